"""The Slack loader: an export's zip or folder, or slackdump's files."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

from langchain_chatexports._terminal import escaped
from langchain_chatexports.chat_loaders.archives import (
    open_parts,
    readable_files,
)
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.ledger import Tally
from langchain_chatexports.chat_loaders.slack.export import (
    SlackExport,
    discover,
    messages_of,
)
from langchain_chatexports.chat_loaders.slack.markup import Markup
from langchain_chatexports.chat_loaders.slack.records import RecordReader
from langchain_chatexports.chat_loaders.slack.sessions import ConversationSessions
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportFormatError,
    SenderNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Mapping
    from pathlib import Path

    from typing_extensions import Unpack

    from langchain_chatexports.chat_loaders.base import ExportSession
    from langchain_chatexports.chat_loaders.options import LoaderOptions
    from langchain_chatexports.chat_loaders.slack.export import Conversation
    from langchain_chatexports.chat_loaders.slack.records import Record

__all__ = ["SlackChatLoader"]

_SUFFIXES = (".json", ".txt")
_TS_KEY = b'"ts"'


class SlackChatLoader(ChatExportLoader):
    """Load the conversations of a Slack export.

    Each channel and direct message is a session, joined from its files of all days. A
    thread in a channel is a session of its own: otherwise unrelated threads would
    interleave. Ids in texts become names, and links what people saw.

    Sessions come in code-point order of the folders' names, each channel before its
    threads.
    """

    platform = "slack"

    def __init__(
        self,
        path: str | Path,
        *,
        threads: Literal["sessions", "channel"] = "sessions",
        include_bots: bool = False,
        **options: Unpack[LoaderOptions],
    ) -> None:
        """Initialize the loader.

        Args:
            path: The export's zip, the folder that it unpacks to, or a conversation's
                file that slackdump wrote.
            threads: Whether a channel's threads are `sessions` of their own, or stay in
                their `channel`, by time. In direct messages they always stay.
            include_bots: Keep what bots and apps wrote.
            **options: The options that every loader has, see `ChatExportLoader`.
                `owner` is the id, handle, name or e-mail address of who exported; the
                export itself says so only where it holds direct messages.

        Raises:
            ValueError: If `threads` is neither of the two.
        """
        if threads not in ("sessions", "channel"):
            msg = f"threads is 'sessions' or 'channel', not {threads!r}."
            raise ValueError(msg)
        super().__init__(path, **options)
        self.threads = threads
        self.include_bots = include_bots

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        """Read the export, one conversation at a time.

        Args:
            tally: Where to count what is found and what is left out.

        Yields:
            The sessions of which something is kept.

        Raises:
            ExportNotFoundError: If there is nothing at the path.
            ExportAccessError: If the system refuses.
            ExportFormatError: If it is not a Slack export in JSON.
            SenderNotFoundError: If several people are the `owner`.
        """
        with ExitStack() as stack:
            export = self._discover(stack, tally)
            owner = self._owner(export, tally)
            tally.details["conversations"] = len(export.conversations)
            tally.details["other_files"] = export.other_files
            reader = RecordReader(export.people, Markup(export.people, export.channels))
            files_read = 0
            subtypes: Counter[str] = Counter()
            tally.details["subtypes"] = subtypes
            for conversation in export.conversations:
                records, count = self._records(conversation, reader, tally)
                files_read += count
                sessions = ConversationSessions(
                    self,
                    conversation,
                    export.people,
                    are_threads_apart=self.threads == "sessions",
                    include_bots=self.include_bots,
                    owner=owner,
                    owner_name=tally.owner,
                )
                held: list[ExportSession] = []
                for session in sessions.sessions(records):
                    sessions.count_into(tally)
                    held.append(session)
                    del session
                    yield held.pop()  # Only the caller keeps it in memory.
                sessions.count_into(tally)
                subtypes.update(sessions.subtypes)
            tally.details["files"] = files_read
            if not files_read:
                raise self._no_messages(export)

    def handles(self) -> Mapping[str, Collection[str]]:
        """Return the ids, handles, names and e-mail addresses behind each name.

        Raises:
            ChatExportError: If the export cannot be read.
        """
        with ExitStack() as stack:
            return self._discover(stack, Tally(), is_quiet=True).people.handles()

    def _count_messages(self) -> int:
        with ExitStack() as stack:
            parts = open_parts([self.path], stack, lambda _: None, (".json",))
            files = readable_files(parts, lambda _: None)
            return sum(file.estimate_count(_TS_KEY) for file in files)

    def _discover(
        self, stack: ExitStack, tally: Tally, *, is_quiet: bool = False
    ) -> SlackExport:
        def warn(error: ChatExportError) -> None:
            tally.leave_out_file(error, is_quiet=is_quiet)

        parts = open_parts([self.path], stack, warn, _SUFFIXES)
        files = list(readable_files(parts, warn))
        export = discover(files, warn)
        if not export.conversations:
            raise self._no_messages(export)
        return export

    def _no_messages(self, export: SlackExport) -> ExportFormatError:
        if export.text_files:
            msg = (
                f"{self.path} is a Slack export as text, which has no ids and no "
                "threads. Export again with the format set to JSON."
            )
        else:
            msg = (
                f"{self.path} holds no messages of a Slack export: there is no folder "
                "of a channel with a file a day, such as general/2024-05-01.json. Give "
                "the zip from Slack, or the folder that it unpacks to."
            )
        return ExportFormatError(msg, path=self.path)

    def _owner(self, export: SlackExport, tally: Tally) -> str | None:
        if self.owner:
            tally.owner_found_by = "option"
            ids = export.people.ids_of(self.owner)
            if len(ids) > 1:
                msg = (
                    f"{len(ids)} people in {self.path} are the given owner. Name one "
                    f"by id: {', '.join(ids)}."
                )
                raise SenderNotFoundError(msg)
            # slackdump's files may have no list: then it is an id.
            tally.owner = export.people.name(ids[0]) if ids else self.owner
            return ids[0] if ids else self.owner
        owner = export.owner() or _author_to_partners(export)
        if owner:
            tally.owner = export.people.name(owner)
            tally.owner_found_by = "direct messages"
        return owner

    def _records(
        self, conversation: Conversation, reader: RecordReader, tally: Tally
    ) -> tuple[list[Record], int]:
        records: list[Record] = []
        files_read = 0
        for file in conversation.files:
            try:
                read = messages_of(file)
            except ChatExportError as error:
                if file.path == self.path and file.label == escaped(str(self.path)):
                    raise  # The one file that the user named.
                tally.leave_out_file(error)
                continue
            if read is None:
                tally.details["other_files"] += 1
                continue
            about, messages = read
            conversation.describe(about)
            files_read += 1
            unreadable: Counter[str] = Counter()
            records += reader.records(messages, unreadable)
            tally.found += unreadable.total()
            tally.skip("unreadable", unreadable.total())
        return records, files_read


def _author_to_partners(export: SlackExport) -> str | None:
    """Return who wrote to the partners that slackdump names, if that is one person."""
    authors = set(_authors_beside_partners(export))
    return authors.pop() if len(authors) == 1 else None


def _authors_beside_partners(export: SlackExport) -> Iterator[str]:
    for conversation in export.conversations:
        if conversation.kind != "dm" or conversation.partner is None:
            continue
        for file in conversation.files:
            try:
                read = messages_of(file)
            except ChatExportError:
                continue  # Counted when the conversation is read.
            for message in read[1] if read else ():
                if not isinstance(message, dict) or message.get("subtype"):
                    continue
                user = message.get("user")
                if user == conversation.partner or export.people.is_bot(user):
                    continue
                if isinstance(user, str):
                    yield user
