"""The base class of loaders, with the options of every loader."""

from abc import abstractmethod
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import closing
from copy import copy
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar, Self, TypeVar, cast

from langchain_core.chat_sessions import ChatSession
from typing_extensions import TypedDict

from langchain_chatexports.chat_loaders.conversation import stream_session, to_session
from langchain_chatexports.chat_loaders.display_names import KnownNames
from langchain_chatexports.chat_loaders.duplicates import Originals
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.messages import KINDS, Conversation, Person
from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.chat_loaders.people import PeopleSource, to_people
from langchain_chatexports.chat_loaders.pipe import PipeableChatLoader
from langchain_chatexports.chat_loaders.reading import Reading, Selection, Steps
from langchain_chatexports.chat_loaders.schema import ExportSession
from langchain_chatexports.chat_loaders.session_source import closing_iterator
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

_T = TypeVar("_T")


class LoaderOptions(TypedDict, total=False):
    """The options of every loader; see `ChatExportLoader`."""

    owner: str | None
    include: str | Collection[str]
    exclude: str | Collection[str]
    groups: bool
    start: datetime | date | None
    end: datetime | date | None
    keep: str | Collection[str]
    people: PeopleSource | None


class ChatExportLoader(PipeableChatLoader):
    """Base class of the loaders: options, `|`, iteration and `inspect`.

    Subclasses implement `conversations`; this class handles options, names and counts.
    Each call of `lazy_load` reads the export again, without a cache.
    """

    platform: ClassVar[str] = "unknown"
    """The platform in session metadata and summaries."""

    label: ClassVar[str] = "chat export"
    """The format's display name, such as `Slack export`."""

    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    """Suffixes of the files to read, in lower case; empty if `conversations` opens the
    path itself."""

    remedy: ClassVar[str] = ""
    """What to do about a path without an export, or with a damaged one. If empty, an
    export may have no conversation."""

    has_parts: ClassVar[bool] = False
    """Whether several recognized files, zips or folders are read as one export."""

    owner_is_label: ClassVar[bool] = False
    """Whether `owner` is just a display name, since the export identifies the owner."""

    has_ids: ClassVar[bool] = True
    """Whether people have an id or handle, and not only a name."""

    message_keys: ClassVar[tuple[bytes, ...]] = ()
    """Bytes that occur once in each message, to estimate the number of messages."""

    def __init__(
        self,
        path: str | Path | Collection[str | Path],
        *,
        owner: str | None = None,
        include: str | Collection[str] = (),
        exclude: str | Collection[str] = (),
        groups: bool = True,
        start: datetime | date | None = None,
        end: datetime | date | None = None,
        keep: str | Collection[str] = (),
        people: PeopleSource | None = None,
    ) -> None:
        """Initialize the loader.

        Args:
            path: The export; `~` is expanded. Multiple paths are parts of one export.
            owner: The owner of the export: an id, name or handle.
            include: Conversations to read, by title, participant or id, ignoring case;
                all if empty.
            exclude: Conversations to skip, specified like `include`.
            groups: Whether to keep groups.
            start: Skip older messages: an aware datetime, or a date in UTC.
            end: Skip newer messages: an aware datetime (exclusive), or a date in UTC
                (inclusive). With `start` or `end`, messages without a time are skipped.
            keep: Kinds of messages to keep that are skipped by default: `reaction` (as
                separate messages), `system` (messages from the app: calls, renames,
                joins, …), `unsent`, `media` (placeholders for messages without text),
                `bot`, `draft`, …
            people: Names of people: a mapping of the name to show to the other names
                and handles of a person, or the paths of tables with such rows, of vCard
                files and of address books.

        Raises:
            ValueError: If `start` or `end` is a datetime without a time zone, `keep`
                has an unknown kind, or no path is given.
            ChatExportError: If `people` cannot be read, or if two rows of a table share
                a name.
        """
        paths = [path] if isinstance(path, (str, Path)) else list(path)
        if not paths:
            msg = "No export to load. Pass at least one path."
            raise ValueError(msg)
        self.paths = tuple(Path(part).expanduser() for part in paths)
        self.owner = owner
        self.people = to_people(people)
        self.keep = frozenset(_as_tuple(keep))
        if unknown := sorted(self.keep - KINDS):
            msg = f"Unknown kinds in keep: {unknown}. Use any of {sorted(KINDS)}."
            raise ValueError(msg)
        self.selection = Selection(
            owner=None if self.owner_is_label else owner,
            keep=self.keep,
            include=frozenset(map(name_key, _as_tuple(include))),
            exclude=frozenset(map(name_key, _as_tuple(exclude))),
            groups=groups,
            start=parse_time_bound(start, "start"),
            end=parse_time_bound(end, "end"),
        )

    @property
    def path(self) -> Path:
        """The path of the export, or of its first part."""
        return self.paths[0]

    @abstractmethod
    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the conversations of the export.

        Args:
            files: The files of the export. Call `files.skip(error, file)` for an
                unreadable file, and add details for `inspect` to `files.details`.

        Yields:
            Each conversation; its messages are read before the next one is requested.
        """

    @classmethod
    def matches(cls, files: ExportFiles) -> bool:
        """Return whether files are an export of this format.

        Looks at names and first bytes only. By default, one of them is an export.
        """
        return any(map(cls.is_export, files.named(*cls.suffixes)))

    @classmethod
    def is_export(cls, file: ExportFile) -> bool:
        """Return whether a file is an export by itself, by its first bytes."""
        del file
        return False

    def read_exports(
        self, files: ExportFiles, read: Callable[[ExportFile], _T]
    ) -> Iterator[_T]:
        """Yield what `read` returns for each export; a single file is always read."""
        exports = files.files if files.is_single_file else filter(self.is_export, files)
        for _, content in files.read_each(exports, read):
            yield content

    def list_people(self, files: ExportFiles) -> Iterator[Mapping[str, Person]]:
        """Yield the people of the export, to look up names before the export is read.

        By default, the people of each conversation, whose messages are not read.
        """
        conversations = closing_iterator(self.conversations(files))
        with closing(conversations):
            for conversation in conversations:
                yield conversation.people

    def open_export(self, *, is_quiet: bool = False) -> ExportFiles:
        """Return the files of the export, to be opened with `with`.

        Without warnings if `is_quiet`.
        """
        return ExportFiles(self.paths, self.suffixes, is_quiet=is_quiet)

    def lazy_load(self) -> Iterator[ExportSession]:
        """Load the sessions one by one, in a new pass over the export.

        Returns:
            An iterator; closing it closes the export.
        """
        return cast("Iterator[ExportSession]", self.read().load())

    def stream_sessions(self) -> Iterator[ChatSession]:
        """Load the sessions for steps; each message is created when it is read."""
        if type(self).lazy_load is not ChatExportLoader.lazy_load:
            return super().stream_sessions()  # A subclass changes the sessions.
        return self._sessions(stream_session, self.read())

    def read(self, steps: Steps = (), *, seen: Originals | None = None) -> Reading:
        """Start a counted pass; see `read_loader`."""
        return Reading(
            partial(self._sessions, to_session),
            platform=self.platform,
            steps=steps,
            files=self.open_export(),
            selection=self.selection,
            people=self.people,
            seen=seen,
        )

    def without_filters(self) -> Self:
        """Return a copy of the loader that does not filter by conversation or time."""
        copied = copy(self)
        chosen = self.selection
        copied.selection = Selection(owner=chosen.owner, keep=chosen.keep)
        return copied

    def names_of(self, person: str) -> frozenset[str]:
        """Return all sender names of the person with a name or handle.

        Case and the format of phone numbers are ignored. If the export does not contain
        the person, returns the name unchanged. A counted pass also finds names.
        """
        return self.list_names().names_of(person)

    def list_names(self) -> KnownNames:
        """Return the names of the export's people, to look up several of them.

        Formats that do not list people read all messages.
        """
        names = KnownNames(self.people)
        if not self.has_ids:
            return names
        with (
            self.open_export(is_quiet=True) as files,
            closing(closing_iterator(self.list_people(files))) as people_lists,
        ):
            for people in people_lists:
                names.add_people(people)
        return names

    def estimate_message_count(self) -> int | None:
        """Estimate the number of messages in the export, for a progress bar.

        `None` if there is no fast estimate, or if the export is unreadable.
        """
        try:
            return self._count_messages()
        except (ChatExportError, OSError, ValueError, ImportError):
            return None

    def _count_messages(self) -> int | None:
        """Estimate the number of rows or records, by `message_keys`."""
        if not self.message_keys:
            return None
        with self.open_export(is_quiet=True) as files:
            return sum(file.estimate_count(*self.message_keys) for file in files)

    def _sessions(
        self,
        convert: Callable[[Conversation, Reading], ExportSession | None],
        reading: Reading,
    ) -> Generator[ChatSession, None, None]:
        with (
            reading.files as files,
            closing(closing_iterator(self.conversations(files))) as conversations,
        ):
            is_empty = True
            for conversation in conversations:
                is_empty = False
                session = convert(conversation, reading)
                del conversation
                if session is not None:
                    held = [cast("ChatSession", session)]
                    del session
                    yield held.pop()  # Do not keep a reference to the session.
            if is_empty and self.remedy:
                readable = "readable " if files.unreadable else ""
                msg = f"{files.path} contains no {readable}{self.label}. {self.remedy}"
                raise ExportFormatError(msg, path=files.path)

    def __repr__(self) -> str:
        """Return the class and the path, without content."""
        return f"{type(self).__name__}(path={str(self.path)!r})"


def parse_time_bound(value: datetime | date | None, name: str) -> datetime | None:
    """Convert a time bound to an aware datetime in UTC; a date includes the entire day.

    Raises `ValueError` for a datetime without a time zone.
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            msg = f"{name} has no time zone. Pass an aware datetime, or a date (UTC)."
            raise ValueError(msg)
        return value.astimezone(UTC)
    # `end` is exclusive, so use the start of the next day.
    if name == "end" and value < date.max:
        value += timedelta(days=1)
    return datetime.combine(value, time.min, UTC)


def _as_tuple(value: str | Collection[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
