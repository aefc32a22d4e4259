"""The chat loader for Apple's Messages."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Unpack

from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.database import open_database, stat_path
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.imessage.contacts import read_nearby_books
from langchain_chatexports.chat_loaders.imessage.conversations import (
    DatabasePeople,
    MergedChats,
    Owner,
    find_owner,
    merge_chats,
)
from langchain_chatexports.chat_loaders.imessage.messages import MessageReader
from langchain_chatexports.chat_loaders.imessage.queries import Queries
from langchain_chatexports.chat_loaders.imessage.sources import (
    default_path,
    find_database,
)
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    DetectedOwner,
    Person,
)


class IMessageChatLoader(ChatExportLoader):
    """Load the conversations of Apple's Messages: iMessage, SMS and RCS.

    Reads a Mac's `chat.db` or an iPhone's `sms.db` on any system, without changing it
    or the files next to it. A person's chats over iMessage, SMS and RCS form one
    session. The most recently active session comes first.

    ```python
    from langchain_chatexports import IMessageChatLoader

    loader = IMessageChatLoader("~/Documents/messages/chat.db")
    for session in loader:
        print(session["metadata"]["title"], len(session["messages"]))
    ```

    The owner's messages have `owner` as their sender, and `is_from_me`. Other senders
    have their contact name, or their handle (a phone number or e-mail address).
    """

    platform = "imessage"
    label = "iMessage database"
    suffixes = ()
    owner_is_label = True

    def __init__(
        self, path: str | Path | None = None, **options: Unpack[LoaderOptions]
    ) -> None:
        """Initialize the loader.

        Args:
            path: `chat.db` or `sms.db`, a folder that contains one, or the root of a
                Finder backup. Defaults to `~/Library/Messages/chat.db`.
            **options: The options of every loader; see `ChatExportLoader`. Unless
                `people` has an address book or is `{}`, the one near the database also
                gives people their names, if there is one. `owner` is
                the owner's display name, `Me` by default. If the database does not show
                who the owner is, it can be the owner's handle or name. Kinds to `keep`
                are `reaction`, `system`, `unsent`, `media`, `draft`, `spam`,
                `auto_reply`, `deleted` (messages in Recently Deleted, in their chat)
                and `orphan` (messages without a chat, as separate sessions).

        Raises:
            ExportNotFoundError: If there is nothing at the path.
            ExportAccessError: If the system denies access.
            ValueError: If `start` or `end` is a datetime without a time zone.
        """
        super().__init__(default_path() if path is None else path, **options)
        self.owner = self.owner or "Me"
        stat_path(self.path)

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the conversations, most recently active first.

        Raises:
            ChatExportError: If there is no Messages database, access is denied, or the
                database is damaged.
        """
        with open_database(find_database(self.path)) as database:
            queries = Queries(database)
            people, owner, chats = self._find_people(queries, database.path)
            files.details["owner_addresses"] = sorted(owner.addresses)
            reader = MessageReader(queries, people, owner)
            listed_people = people.to_dict()
            for merged in chats:
                yield _read_conversation(merged, reader, owner, listed_people)

    def list_people(self, files: ExportFiles) -> Iterator[Mapping[str, Person]]:
        """Yield the people in the database, without reading messages."""
        del files
        with open_database(find_database(self.path)) as database:
            people, *_ = self._find_people(Queries(database), database.path)
            yield people.to_dict()

    def _find_people(
        self, queries: Queries, path: Path
    ) -> tuple[DatabasePeople, Owner, list[MergedChats]]:
        contacts = self.people
        if not contacts.has_address_book:
            contacts = contacts.with_address_book(read_nearby_books(path))
        people = DatabasePeople(queries.get_handles(), contacts)
        # Read in file order first, which is much faster on a hard disk. The next pass
        # then reads from the cache.
        has_sent_messages, addresses = queries.get_owner_addresses()
        chats = merge_chats(queries, people, addresses)
        label = self.owner or "Me"
        owner = find_owner(people, label, addresses, has_sent_messages)
        return people, owner, chats

    def _count_messages(self) -> int:
        with open_database(find_database(self.path)) as database:
            # Reject a view, which may be endless.
            database.get_columns("message")
            ((count,),) = database.query("SELECT count(*) FROM message")
        return int(count)


def _read_conversation(
    chats: MergedChats,
    reader: MessageReader,
    owner: Owner,
    people: Mapping[str, Person],
) -> Conversation:
    messages, services = reader.read(chats)
    members = [] if chats.is_self_chat else list(chats.people)
    if owner.found_by:
        members = [*(person for person in members if person != owner.id), owner.id]
    titles = [chat.title for chat in chats.chats if chat.title]
    if not titles and chats.is_self_chat and chats.other_person:
        titles = [people[chats.other_person].name]
    aliases = [(chat.guid, chat.identifier, chat.title) for chat in chats.chats]
    return Conversation(
        id=chats.chats[0].guid or str(chats.chats[0].row_id),
        messages=iter(messages),  # Frees the list when it is exhausted.
        title=titles[0] if titles else None,
        members=members,
        people=people,
        aliases=[name for names in aliases for name in names if name],
        is_group=chats.is_group,
        owner=DetectedOwner(owner.id, owner.found_by) if owner.found_by else None,
        is_ordered=True,
        metadata={"services": services},
    )
