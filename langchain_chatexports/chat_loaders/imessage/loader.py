"""The chat loader for Apple's Messages."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from typing_extensions import Unpack

from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.conversation import distinct_names
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.imessage.contacts import find_contacts
from langchain_chatexports.chat_loaders.imessage.conversations import (
    People,
    merge_chats,
)
from langchain_chatexports.chat_loaders.imessage.database import (
    open_database,
    path_status,
)
from langchain_chatexports.chat_loaders.imessage.messages import Reader
from langchain_chatexports.chat_loaders.imessage.queries import Queries
from langchain_chatexports.chat_loaders.imessage.sources import (
    default_path,
    find_database,
)
from langchain_chatexports.chat_loaders.messages import Conversation


class IMessageChatLoader(ChatExportLoader):
    """Load the conversations of Apple's Messages: iMessage, SMS and RCS.

    Reads `chat.db` of a Mac or `sms.db` of an iPhone on any system, without changing it
    or the files next to it. A person's chats over iMessage, SMS and RCS are one
    session. Sessions are sorted by activity, the latest first.

    ```python
    from langchain_chatexports import IMessageChatLoader

    loader = IMessageChatLoader("~/Documents/messages/chat.db")
    for session in loader:
        print(session["metadata"]["title"], len(session["messages"]))
    ```

    The owner's messages have the sender `owner` and `is_from_me`. Other people have the
    name in the contacts, or else their handle (a phone number or e-mail address).
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
            path: `chat.db` or `sms.db`, a folder that holds one, or the root of a
                Finder backup; by default `~/Library/Messages/chat.db`.
            contacts: The source of names: a mapping from phone number or e-mail address
                to name, or the path of a vCard file or an address book; by default the
                address book that belongs to the database, if it is there.
            **options: The options of every loader; see `ChatExportLoader`. `owner` is
                the display name of the owner, `Me` by default; if the database does not
                show who the owner is, a handle or name of that person. Kinds to `keep`
                are `reaction`, `system`, `unsent`, `media`, `draft`, `spam`,
                `auto_reply`, `deleted` (messages in Recently Deleted, in their chat)
                and `orphan` (messages in no chat, as sessions of their own).

        Raises:
            ExportNotFoundError: If there is nothing at the path.
            ExportAccessError: If the system refuses to look there.
            ValueError: If `start` or `end` is a datetime without a time zone.
        """
        super().__init__(default_path() if path is None else path, **options)
        self.owner = self.owner or "Me"
        self.contacts = contacts
        path_status(self.path)
        if isinstance(contacts, (str, Path)):
            path_status(Path(contacts).expanduser())

    @contextmanager
    def open_export(self, *, is_quiet: bool = False) -> Iterator[ExportFiles]:
        """Return no files: the database is opened by `conversations`."""
        yield ExportFiles(self.path, is_quiet=is_quiet)

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the conversations, most recently active first.

        Raises:
            ChatExportError: If there is no Messages database, the system refuses to
                read it, or it is damaged.
        """
        path = find_database(self.path)
        label = self.owner or "Me"
        with open_database(path) as database:
            queries = Queries(database)
            people = People(queries.handles(), find_contacts(self.contacts, path))
            # Read in the order of the file first, which is much faster on a disk and
            # brings it into memory for the next pass.
            has_own, own = queries.own_addresses()
            conversations = merge_chats(queries, people, own)
            own_handles = frozenset() if has_own else people.handles_of(label)
            # The label itself, unless it is another person's address.
            owner = label if label not in people.handles else "is_from_me"
            owner = min((people.ids[handle] for handle in own_handles), default=owner)
            people.names[owner] = label
            known = people.handles.get(owner, ())
            people.handles[owner] = dict.fromkeys((label, *known, *sorted(own)))
            files.details["owner_addresses"] = sorted(own)
            found_by = "is_from_me" if has_own else "name" if own_handles else None
            reader = Reader(queries, people, owner, own_handles, queries.shared())
            shown = distinct_names(people.names, people.handles)
            for merged in conversations:
                members = [] if merged.is_with_oneself else list(merged.people)
                if found_by:
                    members = [*(one for one in members if one != owner), owner]
                titles = [chat.title for chat in merged.chats if chat.title]
                if not titles and merged.only_other and not merged.is_group:
                    titles = [shown[merged.only_other]]
                aliases = [(c.guid, c.identifier, c.title) for c in merged.chats]
                services: list[str] = []
                yield Conversation(
                    id=merged.chats[0].guid or str(merged.chats[0].row_id),
                    messages=reader.read(merged, services),
                    title=titles[0] if titles else None,
                    members=members,
                    names=people.names,
                    handles=people.handles,
                    aliases=[name for names in aliases for name in names if name],
                    is_group=merged.is_group,
                    owner=owner if found_by else None,
                    owner_found_by=found_by,
                    metadata={"services": services},
                )

    def _count_messages(self) -> int:
        with open_database(find_database(self.path)) as database:
            database.columns("message")  # Refuses a view, which may be endless.
            ((count,),) = database.query("SELECT count(*) FROM message")
        return int(count)
