"""The base class of loaders: options, `|`, iteration and `inspect`."""

from abc import abstractmethod
from collections import deque
from collections.abc import (
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import AbstractContextManager, closing
from copy import copy
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from inspect import isfunction
from itertools import count
from pathlib import Path
from typing import ClassVar, Protocol, Self, TypeVar, cast

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from typing_extensions import TypedDict

from langchain_chatexports.chat_loaders.async_loading import AsyncLoading
from langchain_chatexports.chat_loaders.conversation import (
    DisplayNames,
    ExportSession,
    Selection,
    to_session,
)
from langchain_chatexports.chat_loaders.counts import (
    CountedStep,
    ExportSummary,
    Reading,
)
from langchain_chatexports.chat_loaders.files import ExportFiles, open_files
from langchain_chatexports.chat_loaders.messages import KINDS, Conversation, Message
from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.chat_loaders.people import PeopleSource, to_people
from langchain_chatexports.chat_loaders.session_source import closing_iterator
from langchain_chatexports.exceptions import ChatExportError

_loader_numbers = count(1)
_Result = TypeVar("_Result")
_Result_co = TypeVar("_Result_co", covariant=True)


class LoaderOptions(TypedDict, total=False):
    """The options of every loader; see `ChatExportLoader`."""

    owner: str | None
    include: str | Collection[str]
    exclude: str | Collection[str]
    start: datetime | date | None
    end: datetime | date | None
    keep: str | Collection[str]
    people: PeopleSource | None


class _Pipeable(Protocol[_Result_co]):
    """An object that accepts a loader on the left of `|`, such as a step."""

    def __ror__(self, loader: BaseChatLoader, /) -> _Result_co: ...


class ChatExportLoader(AsyncLoading):
    """Base class of the loaders: options, `|`, iteration and `inspect`.

    Subclasses implement `conversations`; this class handles options, names and counts.
    Each call of `lazy_load` reads the export again, without a cache.
    """

    platform: ClassVar[str] = "unknown"
    """The platform name in session metadata and summaries."""

    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    """Suffixes of the files to read, in lower case."""

    names_are_in_messages: ClassVar[bool] = False
    """Whether people's names are only known once the messages have been read."""

    owner_is_label: ClassVar[bool] = False
    """Whether `owner` is just a display name, since the export identifies the owner."""

    def __init__(
        self,
        path: str | Path | Collection[str | Path],
        *,
        owner: str | None = None,
        include: str | Collection[str] = (),
        exclude: str | Collection[str] = (),
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
        self.include = _as_tuple(include)
        self.exclude = _as_tuple(exclude)
        self.start = parse_time_bound(start, "start")
        self.end = parse_time_bound(end, "end")
        self.keep = frozenset(_as_tuple(keep))
        if unknown := sorted(self.keep - KINDS):
            msg = f"Unknown kinds in keep: {unknown}. Use any of {sorted(KINDS)}."
            raise ValueError(msg)
        self.names_found: set[str] = set()
        """Names of the conversations and people read so far, to detect unknown names in
        `include` and `exclude`."""
        self._selection: CountedStep | None = None
        self._seen_messages: dict[int, int] | None = None
        self._loader_number = 0

    @property
    def path(self) -> Path:
        """The path of the export, or of its first part."""
        return self.paths[0]

    @abstractmethod
    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the conversations of the export.

        Args:
            files: The files of the export. Call `files.skip(error)` for an unreadable
                file, and add details for `inspect` to `files.details`.

        Yields:
            Each conversation; its messages are read before the next one is requested.
        """

    def open_export(
        self, *, is_quiet: bool = False
    ) -> AbstractContextManager[ExportFiles]:
        """Open the files of the export, without warnings if `is_quiet`."""
        return open_files(self.paths, self.suffixes, is_quiet=is_quiet)

    def lazy_load(self) -> Iterator[ChatSession]:
        """Load the sessions one by one, in a new pass over the export.

        Returns:
            An iterator; closing it closes the export.
        """
        return self._sessions(Reading(self.platform))

    def read(self, steps: Iterable[CountedStep] = ()) -> Reading:
        """Start a counted pass over the export.

        Args:
            steps: Steps to apply to the sessions.

        Returns:
            The pass. Iterate over it, then call `summary`.
        """
        reading = Reading(self.platform)
        return reading.start(self._sessions(reading), steps)

    def inspect(self) -> ExportSummary:
        """Read the export once, and count the messages found, kept and skipped.

        Returns:
            The counts; found = kept + sum(skipped).
        """
        return self.read().finish()

    def with_selection(self, step: CountedStep) -> Self:
        """Return a copy of the loader that applies a step such as `SelectSessions`.

        Unlike with `loader | step`, dropped sessions count as skipped by the loader,
        and the summary's owner, senders and times are from the kept sessions only.
        """
        copied = copy(self)
        copied.names_found = set()
        copied._selection = step  # noqa: SLF001 - same class
        return copied

    def share_seen_messages(self, seen: dict[int, int]) -> None:
        """Skip messages that another loader has read, starting with the next pass.

        The loaders share `seen`, which maps the hash of each message to the first
        loader that read it. Copies of a loader count as the same loader.
        """
        self._seen_messages, self._loader_number = seen, next(_loader_numbers)

    def without_filters(self) -> Self:
        """Return a copy of the loader that does not filter by conversation or time."""
        copied = copy(self)
        copied.include = copied.exclude = ()
        copied.start = copied.end = None
        copied._selection = None  # noqa: SLF001 - same class
        return copied

    def estimate_message_count(self) -> int | None:
        """Estimate the number of messages in the export, for a progress bar.

        `None` if there is no fast estimate, or if the export is unreadable.
        """
        try:
            return self._count_messages()
        except (ChatExportError, OSError, ValueError, ImportError):
            return None

    def _count_messages(self) -> int | None:
        """Estimate the number of rows or records. Override this if that is fast."""
        return None

    def names_of(self, person: str) -> frozenset[str]:
        """Return all sender names of the person with a name or handle.

        Case and the format of phone numbers are ignored. If the export does not contain
        the person, returns the name unchanged.
        """
        card = self.people.find([person])
        key = name_key(person)
        names = {
            name
            for name, handles in self._known_handles.items()
            if key in map(name_key, (name, *handles))
        }
        return frozenset(names or (card.name if card else person,))

    @cached_property
    def _known_handles(self) -> Mapping[str, Collection[str]]:
        # Reading the handles can take seconds, and commands look up multiple names.
        return self.handles()

    def handles(self) -> Mapping[str, Collection[str]]:
        """Return the handles of each person, by display name.

        Handles are phone numbers, e-mail addresses, user names, ids and other names.
        """
        ids_by_name: dict[str, dict[str, None]] = {}
        handles: dict[str, dict[str, None]] = {}
        with (
            self.open_export(is_quiet=True) as files,
            closing(closing_iterator(self.conversations(files))) as conversations,
        ):
            names = DisplayNames(self.people)
            for conversation in conversations:
                if self.names_are_in_messages:
                    deque(conversation.messages, maxlen=0)
                if not names.start(conversation):
                    continue
                for person in {*conversation.names, *conversation.handles}:
                    name = names.display_name(person)
                    ids_by_name.setdefault(name, {})[person] = None
                    all_names = dict.fromkeys([name, *names.all_names(person)])
                    handles[person] = handles.get(person, {}) | all_names
        return {
            name: tuple({handle for id_ in ids for handle in handles[id_]})
            for name, ids in ids_by_name.items()
        }

    def _sessions(self, reading: Reading) -> Generator[ChatSession, None, None]:
        with self.open_export() as files:
            selection = Selection(
                owner=None if self.owner_is_label else self.owner,
                keep=self.keep,
                include=frozenset(map(name_key, self.include)),
                exclude=frozenset(map(name_key, self.exclude)),
                start=self.start,
                end=self.end,
            )
            names = DisplayNames(self.people)
            collects_names = self.include or self.exclude or self._selection
            reading.counts, reading.details = files.counts, files.details
            with closing(closing_iterator(self.conversations(files))) as conversations:
                for conversation in conversations:
                    session = to_session(
                        conversation,
                        self.platform,
                        selection,
                        names,
                        reading,
                        files=files,
                        names_found=self.names_found if collects_names else None,
                        is_new=None if self._seen_messages is None else self._is_new,
                    )
                    del conversation
                    if session and self._is_selected(session, reading):
                        held = [cast("ChatSession", session)]
                        del session
                        yield held.pop()  # Do not keep a reference to the session.

    def _is_new(self, conversation_id: str, row: Message) -> bool:
        """Return whether a message has not been read by another loader."""
        seen = {} if self._seen_messages is None else self._seen_messages
        # Include the time or text, since two tables may use the same ids.
        content = row.text if row.time is None else row.time
        message_hash = hash((conversation_id, row.id, content))
        return seen.setdefault(message_hash, self._loader_number) == self._loader_number

    def _is_selected(self, session: ExportSession, reading: Reading) -> bool:
        if self._selection is None:
            return True
        skipped = self._selection.skipped(cast("ChatSession", session))
        if not skipped:
            return True
        counted = [
            message
            for message in session["messages"]
            if "weight" not in message.additional_kwargs
        ]
        reading.counts.kept -= len(counted)
        reading.counts.sessions_kept -= 1
        reading.counts.skip("excluded", len(counted))
        return False

    def __iter__(self) -> Iterator[ChatSession]:
        """Iterate over the sessions, as `lazy_load` does."""
        return self.lazy_load()

    def __or__(self, other: _Pipeable[_Result]) -> _Result:
        """Return a loader whose sessions pass through a step."""
        check_is_step(other)
        return other.__ror__(self)

    def __repr__(self) -> str:
        """Return the class and the path, without content."""
        return f"{type(self).__name__}(path={str(self.path)!r})"


def check_is_step(value: object) -> None:
    """Raise a `TypeError` if a value cannot be combined with a chat loader."""
    # Check the class, since `step.with_config(...)` forwards the methods of a step.
    if not callable(getattr(type(value), "lazy_transform", None)):
        remedy = (
            "(steps | other).invoke(loader), or other.invoke(loader | steps), such as "
            "tuner.invoke(loader | steps)"
        )
        if isfunction(value):
            remedy = f"{value.__name__}(loader | steps)"
        msg = (
            f"A chat loader can only be combined with session steps, "
            f"not with {type(value).__name__}. Write {remedy}."
        )
        raise TypeError(msg)


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
