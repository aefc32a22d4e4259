"""The chat loader for Apple's Messages."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.base import (
    UNKNOWN_SENDER,
    ChatExportLoader,
    ExportSession,
    SessionMetadata,
)
from langchain_chatexports.chat_loaders.imessage.address_books import (
    CONTACTS_WANTED,
    find_contacts,
)
from langchain_chatexports.chat_loaders.imessage.conversations import (
    MergedChats,
    merge_chats,
    service_name,
)
from langchain_chatexports.chat_loaders.imessage.database import (
    open_database,
    path_status,
)
from langchain_chatexports.chat_loaders.imessage.messages import (
    REASON_OF_KIND,
    Context,
    DatabaseOwner,
    read_conversation,
)
from langchain_chatexports.chat_loaders.imessage.people import People
from langchain_chatexports.chat_loaders.imessage.queries import Queries
from langchain_chatexports.chat_loaders.imessage.schema import Schema
from langchain_chatexports.chat_loaders.imessage.sources import (
    default_path,
    find_database,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Generator, Iterator, Mapping
    from datetime import date, datetime

    from langchain_chatexports.chat_loaders.imessage.messages import ConversationReader
    from langchain_chatexports.chat_loaders.ledger import Tally
    from langchain_chatexports.chat_loaders.people import PeopleSource

__all__ = ["IMessageChatLoader"]


class IMessageChatLoader(ChatExportLoader):
    """Load the conversations of Apple's Messages: iMessage, SMS and RCS.

    Reads `chat.db` of a Mac or `sms.db` of an iPhone as it is, on any system, and
    never changes it or anything beside it. Sessions come most recently active first.

    ```python
    from langchain_chatexports import IMessageChatLoader

    loader = IMessageChatLoader("~/Documents/messages/chat.db")
    for session in loader:
        print(session["metadata"]["title"], len(session["messages"]))
    ```

    The owner's own messages have the sender `owner` and `is_from_me`; everybody else is
    called by name where there are contacts, and by handle (a phone number or an e-mail
    address) where not.
    """

    platform = "imessage"

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        owner: str = "Me",
        contacts: Mapping[str, str] | str | Path | None = None,
        merge_services: bool = True,
        attach_reactions: bool = True,
        include: str | Collection[str] = (),
        exclude: str | Collection[str] = (),
        start: datetime | date | None = None,
        end: datetime | date | None = None,
        include_reactions: bool = False,
        include_system: bool = False,
        include_unsent: bool = False,
        include_media: bool = False,
        include_deleted: bool = False,
        include_drafts: bool = False,
        include_orphans: bool = False,
        include_spam: bool = False,
        include_auto_replies: bool = False,
        people: PeopleSource | None = None,
    ) -> None:
        """Initialize the loader.

        Args:
            path: `chat.db` or `sms.db`, a folder that holds one, or the root of a
                Finder backup; by default `~/Library/Messages/chat.db`.
            owner: What to call the owner of the database. In a database that does not
                say who that is, the handle or name of the one who should be it.
            contacts: Where names come from: a mapping from phone number or e-mail
                address to name, or the path of a vCard file or an address book; by
                default the address book that belongs to the database, if it is there.
            merge_services: Make one session of one person's chats over iMessage, SMS
                and RCS, and of chats that the database itself links.
            attach_reactions: Note reactions on the message that they are about, as
                `reactions`.
            include: Conversations to read, by title, participant or id, without
                regard to case; all if empty.
            exclude: Conversations to leave out, in the same way.
            start: Oldest moment to keep: an aware datetime, or a date in UTC.
            end: End of the time to keep: an aware datetime (itself not kept) or a date
                in UTC (that day kept). With `start` or `end`, messages without a time
                are left out.
            include_reactions: Keep reactions as messages of their own, also those in
                words that quote an earlier message.
            include_system: Keep what nobody typed (renames, joins, poll votes, …).
            include_unsent: Keep unsent messages whose text is still there.
            include_media: Keep messages without text as a placeholder.
            include_deleted: Keep what is in Recently Deleted, in its chat.
            include_drafts: Keep what is scheduled and not yet sent.
            include_orphans: Keep messages that are in no chat, in sessions of their
                own.
            include_spam: Keep what was filtered as junk.
            include_auto_replies: Keep automatic replies.
            people: A table of people, or its file: who has which names and handles.
                Each person then has one name in sessions, the first of the table's.

        Raises:
            ExportNotFoundError: If there is nothing at the path.
            ExportAccessError: If the system refuses to look there.
            ValueError: If `start` or `end` is a datetime without a time zone.
        """
        super().__init__(
            default_path() if path is None else path,
            owner=owner,
            include=include,
            exclude=exclude,
            start=start,
            end=end,
            include_reactions=include_reactions,
            include_system=include_system,
            include_unsent=include_unsent,
            include_media=include_media,
            people=people,
        )
        self.contacts = contacts
        self.merge_services = merge_services
        self.attach_reactions = attach_reactions
        self.include_deleted = include_deleted
        self.include_drafts = include_drafts
        self.include_orphans = include_orphans
        self.include_spam = include_spam
        self.include_auto_replies = include_auto_replies
        path_status(self.path)
        if isinstance(contacts, (str, Path)):
            path_status(Path(contacts).expanduser(), wanted=CONTACTS_WANTED)

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        """Read the database once, oldest message first within each session.

        Args:
            tally: Where to count what is found and what is left out.

        Yields:
            One session a conversation, most recently active first.

        Raises:
            ExportNotFoundError: If there is no database at the path.
            ExportAccessError: If the system refuses to read it.
            ExportFormatError: If it is not a Messages database, or a damaged one.
        """
        with self._opened() as (queries, people):
            yield from self._read(queries, people, tally)

    def handles(self) -> Mapping[str, Collection[str]]:
        """Return the phone numbers and e-mail addresses behind each name.

        Raises:
            ChatExportError: If the database cannot be read.
        """
        with self._opened() as (queries, people):
            _, own = queries.own_addresses()
            known = {name: set(theirs) for name, theirs in people.handles().items()}
        known.setdefault(self.owner or "Me", set()).update(own)
        return known

    def _count_messages(self) -> int:
        database = find_database(self.path)
        with open_database(database) as connection:
            Schema(connection, database)  # Refuses views, whose rows may never end.
            (count,) = connection.execute("SELECT count(*) FROM message").fetchone()
        return int(count)

    @contextmanager
    def _opened(self) -> Iterator[tuple[Queries, People]]:
        database = find_database(self.path)
        with open_database(database) as connection:
            queries = self._queries(connection, database)
            people = People(queries.handles(), find_contacts(self.contacts, database))
            yield queries, people

    def _queries(self, connection: sqlite3.Connection, database: Path) -> Queries:
        return Queries(
            connection,
            Schema(connection, database),
            include_deleted=self.include_deleted,
            include_orphans=self.include_orphans,
        )

    def _read(
        self, queries: Queries, people: People, tally: Tally
    ) -> Generator[ExportSession, None, None]:
        # In the order of the file first: a disk reads it many times as fast then, and
        # the next pass finds it in memory.
        has_own, own = queries.own_addresses()
        activity = queries.activity()
        owner = self._find_owner(people, tally, has_own=has_own)
        context = self._context(queries, people, owner)
        services: Counter[str] = Counter()
        tally.details["owner_addresses"] = sorted(own)
        tally.details["services"] = services
        conversations = merge_chats(
            queries, activity, people, own, merge_services=self.merge_services
        )
        for conversation in conversations:
            if not self._keeps(conversation, queries, people):
                tally.found += conversation.rows
                tally.skip("excluded", conversation.rows)
                continue
            reader = read_conversation(context, conversation)
            tally.found += reader.found
            for reason, count in reader.skipped.items():
                tally.skip(reason, count)
            for service, count in reader.services.items():
                services[service_name(service)] += count
            if reader.messages:
                session = ExportSession(
                    messages=reader.messages,
                    metadata=self._metadata(conversation, reader, context),
                )
                held = [session]
                del reader, session
                yield held.pop()  # Only the caller keeps it in memory.
        rows_in_chats = sum(active.rows for active in activity)
        for reason, count in self._left_out_unread(queries, rows_in_chats):
            tally.found += count
            tally.skip(reason, count)

    def _context(
        self,
        queries: Queries,
        people: People,
        owner: DatabaseOwner,
    ) -> Context:
        switches = {
            "reaction": self.include_reactions,
            "system": self.include_system,
            "media": self.include_media,
            "draft": self.include_drafts,
            "spam": self.include_spam,
            "auto_reply": self.include_auto_replies,
        }
        kept = (kind for kind, reason in REASON_OF_KIND.items() if switches[reason])
        return Context(
            queries=queries,
            people=people,
            owner=owner,
            keeps_time=self.keeps_time,
            has_time_bounds=self.start is not None or self.end is not None,
            kept_kinds=frozenset(kept),
            include_media=self.include_media,
            include_unsent=self.include_unsent,
            include_reaction_texts=self.include_reactions,
            attach_reactions=self.attach_reactions,
        )

    def _find_owner(
        self, people: People, tally: Tally, *, has_own: bool
    ) -> DatabaseOwner:
        """Find the owner by their own messages, or else by the name given."""
        label = self.owner or "Me"
        handle_ids = frozenset[Any]() if has_own else people.handles_named(label)
        is_known = has_own or bool(handle_ids)
        if is_known:
            tally.owner = label
            tally.owner_found_by = "is_from_me" if has_own else "name"
        return DatabaseOwner(label, is_known, handle_ids)

    def _keeps(
        self, conversation: MergedChats, queries: Queries, people: People
    ) -> bool:
        if not self.include and not self.exclude:
            return True
        handle_ids = conversation.handle_ids
        if not handle_ids:
            handle_ids = tuple(queries.handles_of(conversation.chat_ids))
        called = [*people.names_of(handle_ids), *conversation.identifiers]
        for handle_id in handle_ids:
            called += people.addresses_of(people.person_of(handle_id))
        if conversation.other:
            called.append(conversation.other)
        return self.keeps_conversation(conversation.id, conversation.title, called)

    def _metadata(
        self,
        conversation: MergedChats,
        reader: ConversationReader,
        context: Context,
    ) -> SessionMetadata:
        owner = context.owner
        if conversation.is_with_oneself:
            others = []
        else:
            others = context.people.names_of(conversation.handle_ids)
            if not others and conversation.other:
                others = [conversation.other]
        names = dict.fromkeys((*others, *reader.senders))
        names.pop(UNKNOWN_SENDER, None)
        if owner.is_known:
            names.pop(owner.label, None)
            names[owner.label] = None
        is_group = conversation.is_group
        stored = (*conversation.services, *reader.services)
        services = dict.fromkeys(service_name(name) for name in stored if name)
        return SessionMetadata(
            id=conversation.id,
            title=conversation.title,
            platform=self.platform,
            participants=list(names),
            owner=owner.label if owner.is_known else None,
            is_group=len(names) > _PAIR if is_group is None else is_group,
            services=list(services),
        )

    def _left_out_unread(
        self, queries: Queries, rows_in_chats: int
    ) -> Iterator[tuple[str, int]]:
        """Count the messages that no conversation has."""
        if not self.include_deleted:
            yield "deleted", queries.count_deleted()
        if not self.include_orphans:
            yield "orphan", queries.count_orphans(rows_in_chats)


_PAIR = 2
