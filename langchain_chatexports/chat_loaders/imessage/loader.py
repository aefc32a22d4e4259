"""The chat loader for Apple's Messages."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Unpack

from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.conversation import make_names_distinct
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.imessage.contacts import find_contacts
from langchain_chatexports.chat_loaders.imessage.conversations import (
    MergedChats,
    Owner,
    People,
    find_owner,
    merge_chats,
)
from langchain_chatexports.chat_loaders.imessage.database import (
    open_database,
    stat_path,
)
from langchain_chatexports.chat_loaders.imessage.messages import MessageReader
from langchain_chatexports.chat_loaders.imessage.queries import Queries
from langchain_chatexports.chat_loaders.imessage.sources import (
    default_path,
    find_database,
)
from langchain_chatexports.chat_loaders.messages import Conversation


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
    owner_is_label = True

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        contacts: Mapping[str, str] | str | Path | None = None,
        **options: Unpack[LoaderOptions],
    ) -> None:
        """Initialize the loader.

        Args:
            path: `chat.db` or `sms.db`, a folder that contains one, or the root of a
                Finder backup. Defaults to `~/Library/Messages/chat.db`.
            contacts: A mapping from phone numbers and e-mail addresses to names, or the
                path to a vCard file or an address book. Defaults to the address book
                near the database, if there is one.
            **options: The options of every loader; see `ChatExportLoader`. `owner` is
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
        self.contacts = contacts
        stat_path(self.path)
        if isinstance(contacts, (str, Path)):
            stat_path(Path(contacts).expanduser())

    @contextmanager
    def open_export(self, *, is_quiet: bool = False) -> Iterator[ExportFiles]:
        """Yield no files, since `conversations` opens the database."""
        yield ExportFiles(self.path, is_quiet=is_quiet)

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the conversations, most recently active first.

        Raises:
            ChatExportError: If there is no Messages database, access is denied, or the
                database is damaged.
        """
        path = find_database(self.path)
        with open_database(path) as database:
            queries = Queries(database)
            people = People(queries.get_handles(), find_contacts(self.contacts, path))
            # Read in file order first, which is much faster on a hard disk. The next
            # pass then reads from the cache.
            has_sent_messages, addresses = queries.get_owner_addresses()
            files.details["owner_addresses"] = sorted(addresses)
            chats = merge_chats(queries, people, addresses)
            owner = find_owner(
                people,
                self.owner or "Me",
                addresses,
                has_sent_messages=has_sent_messages,
            )
            reader = MessageReader(queries, people, owner)
            display_names = make_names_distinct(people.names, people.handles)
            for merged in chats:
                messages, services = reader.read(merged)
                titles = [chat.title for chat in merged.chats if chat.title]
                if not titles and merged.other_person and not merged.is_group:
                    titles = [display_names[merged.other_person]]
                aliases = [(c.guid, c.identifier, c.title) for c in merged.chats]
                yield Conversation(
                    id=merged.chats[0].guid or str(merged.chats[0].row_id),
                    messages=iter(messages),  # Frees the list when it is exhausted.
                    title=titles[0] if titles else None,
                    members=_list_members(merged, owner),
                    names=people.names,
                    handles=people.handles,
                    aliases=[name for names in aliases for name in names if name],
                    is_group=merged.is_group,
                    owner=owner.id if owner.found_by else None,
                    owner_found_by=owner.found_by,
                    metadata={"services": services},
                    is_ordered=True,
                )

    def _count_messages(self) -> int:
        with open_database(find_database(self.path)) as database:
            # Reject a view, which may be endless.
            database.get_columns("message")
            ((count,),) = database.query("SELECT count(*) FROM message")
        return int(count)


def _list_members(chats: MergedChats, owner: Owner) -> list[str]:
    members = [] if chats.is_self_chat else list(chats.people)
    if not owner.found_by:
        return members
    return [*(person for person in members if person != owner.id), owner.id]
