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
from datetime import date, datetime, time, timedelta, timezone
from functools import cached_property
from inspect import isfunction
from itertools import count
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar, cast

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from typing_extensions import Self, TypedDict

from langchain_chatexports.chat_loaders.async_loading import AsyncLoading
from langchain_chatexports.chat_loaders.conversation import (
    ExportSession,
    Names,
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
from langchain_chatexports.chat_loaders.people import (
    PeopleSource,
    name_key,
    people_table,
)
from langchain_chatexports.chat_loaders.session_source import closing_iterator
from langchain_chatexports.exceptions import ChatExportError

_numbers = count(1)
_Joined = TypeVar("_Joined")
_Joined_co = TypeVar("_Joined_co", covariant=True)


class LoaderOptions(TypedDict, total=False):
    """The options that every loader has; `ChatExportLoader` explains them."""

    owner: str | None
    include: str | Collection[str]
    exclude: str | Collection[str]
    start: datetime | date | None
    end: datetime | date | None
    keep: str | Collection[str]
    people: PeopleSource | None


class _JoinsLoader(Protocol[_Joined_co]):
    """Something that joins a loader on its left, such as a step."""

    def __ror__(self, loader: BaseChatLoader, /) -> _Joined_co: ...


class ChatExportLoader(AsyncLoading):
    """Base of the loaders here: options, `|`, iteration and `inspect`.

    A subclass yields the conversations of its export in `conversations`, and knows
    nothing of options, names or counts. Each call of `lazy_load` reads the export
    again; nothing is kept between two passes.
    """

    platform: ClassVar[str] = "unknown"
    """The platform that sessions and summaries name."""

    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    """The suffixes of the files to read, in lower case."""

    names_are_in_messages: ClassVar[bool] = False
    """Whether the people are only known after all messages were read."""

    owner_is_label: ClassVar[bool] = False
    """Whether the export identifies the owner, and `owner` is only a display name."""

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
            path: The export; `~` is expanded. Several paths are parts of one export.
            owner: Whose export it is: an id, name or handle.
            include: Conversations to read, by title, participant or id, in any case;
                all if empty.
            exclude: Conversations to skip, in the same way.
            start: Oldest moment to keep: an aware datetime, or a date in UTC.
            end: End of the time to keep: an aware datetime (itself not kept) or a date
                in UTC (that day kept). With `start` or `end`, messages without a time
                are skipped.
            keep: Kinds of messages that are skipped by default and kept here:
                `reaction` (as messages of their own), `system` (what the app wrote:
                calls, renames, joins, …), `unsent`, `media` (messages without text, as
                a placeholder), `bot`, `draft`, …
            people: A table of people, or its file: who has which names and handles.
                Each person then has one name in sessions, the first of the table's.

        Raises:
            ValueError: If `start` or `end` is a datetime without a time zone, `keep`
                has an unknown kind, or no path is given.
            ChatExportError: If the table of people cannot be read, or two people in it
                have one name.
        """
        given = [path] if isinstance(path, (str, Path)) else list(path)
        if not given:
            msg = "No path to an export is given."
            raise ValueError(msg)
        self.paths = tuple(Path(part).expanduser() for part in given)
        self.owner = owner
        self.people = None if people is None else people_table(people)
        self.include = _names(include)
        self.exclude = _names(exclude)
        self.start = time_bound(start, "start")
        self.end = time_bound(end, "end")
        self.keep = frozenset(_names(keep))
        if unknown := sorted(self.keep - KINDS):
            msg = f"keep has {unknown}; the kinds are {sorted(KINDS)}."
            raise ValueError(msg)
        self.names_found: set[str] = set()
        """Names by which the conversations read so far can be chosen; with these, an
        unknown name in `include` or `exclude` is recognized as a mistake."""
        self._selection: CountedStep | None = None
        self._seen: dict[int, int] | None = None
        self._number = 0

    @property
    def path(self) -> Path:
        """The export, or the first part of it."""
        return self.paths[0]

    @abstractmethod
    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the conversations as the export has them.

        Args:
            files: The files of the export. `files.skip(error)` counts an unreadable
                one; `files.details` holds what `inspect` shows besides counts.

        Yields:
            Each conversation; its messages are read before the next one is asked for.
        """

    def open_export(
        self, *, is_quiet: bool = False
    ) -> AbstractContextManager[ExportFiles]:
        """Open the files of the export; `is_quiet` suppresses warnings."""
        return open_files(self.paths, self.suffixes, is_quiet=is_quiet)

    def lazy_load(self) -> Iterator[ChatSession]:
        """Read the sessions one by one; a new pass over the export each time.

        Returns:
            An iterator; closing it closes the export.
        """
        return self._sessions(Reading(self.platform))

    def read(self, steps: Iterable[CountedStep] = ()) -> Reading:
        """Start one counted pass over the export, through steps if there are any.

        Args:
            steps: The steps to pass the sessions through.

        Returns:
            The pass: iterate over it, then call `summary`.
        """
        reading = Reading(self.platform)
        return reading.start(self._sessions(reading), steps)

    def inspect(self) -> ExportSummary:
        """Read the export once, and count what it contains and what is skipped.

        Returns:
            The counts, with found = kept + sum(skipped).
        """
        return self.read().finish()

    def selecting(self, step: CountedStep) -> Self:
        """Return a loader of the sessions that a step such as `SelectSessions` keeps.

        Unlike with `loader | step`, the dropped sessions count as skipped by the
        export: the summary's owner, senders and times are those of the kept sessions.
        """
        chosen = copy(self)
        chosen.names_found = set()
        chosen._selection = step  # noqa: SLF001 - a loader of this class
        return chosen

    def share_seen_messages(self, seen: dict[int, int]) -> None:
        """Skip messages that another loader has already read, from the next pass on.

        The loaders share `seen`, which holds the number of the loader that read each
        message. Copies of a loader (`selecting`, `unrestricted`) have its number.
        """
        self._seen, self._number = seen, next(_numbers)

    def unrestricted(self) -> Self:
        """Return a loader of all conversations, without bounds or selection."""
        everything = copy(self)
        everything.include = everything.exclude = ()
        everything.start = everything.end = None
        everything._selection = None  # noqa: SLF001 - a loader of this class
        return everything

    def estimate_message_count(self) -> int | None:
        """Estimate how many messages the export holds, for a progress bar.

        `None` if there is no quick estimate. Errors are left to the actual reading.
        """
        try:
            return self._count_messages()
        except (ChatExportError, OSError, ValueError, ImportError):
            return None

    def _count_messages(self) -> int | None:
        """Count rows or records quickly; a loader that can do so overrides this."""
        return None

    def names_of(self, person: str) -> frozenset[str]:
        """Return the senders in this export that a name or handle belongs to.

        Case does not matter, nor does the notation of phone numbers. A person whom the
        export does not know keeps the given name.
        """
        row = self.people.row_of([person]) if self.people else ()
        wanted = name_key(person)
        found = {
            name
            for name, handles in self._known_handles.items()
            if wanted in map(name_key, (name, *handles))
        }
        return frozenset(found or row[:1] or (person,))

    @cached_property
    def _known_handles(self) -> Mapping[str, Collection[str]]:
        # Reading the handles can take seconds, and a command looks up several names.
        return self.handles()

    def handles(self) -> Mapping[str, Collection[str]]:
        """Return the other names and handles of each person, by display name.

        These are phone numbers, e-mail addresses, user names, ids and other names.
        """
        persons: dict[str, dict[str, None]] = {}
        handles: dict[str, dict[str, None]] = {}
        with (
            self.open_export(is_quiet=True) as files,
            closing(closing_iterator(self.conversations(files))) as conversations,
        ):
            names = Names(self.people)
            for conversation in conversations:
                if self.names_are_in_messages:
                    deque(conversation.messages, maxlen=0)
                if not names.enter(conversation):
                    continue
                for person in {*conversation.names, *conversation.handles}:
                    name = names.of(person)
                    persons.setdefault(name, {})[person] = None
                    known = dict.fromkeys([name, *names.all_of(person)])
                    handles[person] = handles.get(person, {}) | known
        return {
            name: tuple({handle for one in ids for handle in handles[one]})
            for name, ids in persons.items()
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
            names = Names(self.people)
            notes_names = self.include or self.exclude or self._selection
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
                        names_found=self.names_found if notes_names else None,
                        is_new=None if self._seen is None else self._is_new,
                    )
                    del conversation
                    if session and self._is_selected(session, reading):
                        held = [cast("ChatSession", session)]
                        del session
                        yield held.pop()  # The consumer is the only one to hold it.

    def _is_new(self, conversation_id: str, row: Message) -> bool:
        """Return whether no other loader has read the message."""
        seen = {} if self._seen is None else self._seen
        # Two tables may use the same numbers as ids.
        sign = row.text if row.time is None else row.time
        message = hash((conversation_id, row.id, sign))
        return seen.setdefault(message, self._number) == self._number

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

    def __or__(self, other: _JoinsLoader[_Joined]) -> _Joined:
        """Return a loader whose sessions pass through a step."""
        check_is_step(other)
        return other.__ror__(self)

    def __repr__(self) -> str:
        """Return the class and the path, never content."""
        return f"{type(self).__name__}(path={str(self.path)!r})"


def check_is_step(value: object) -> None:
    """Raise a `TypeError` if a value cannot be joined to a chat loader."""
    # Look at the class: `step.with_config(...)` forwards its step's methods, but is not
    # a step.
    if not callable(getattr(type(value), "lazy_transform", None)):
        remedy = (
            "(steps | other).invoke(loader), or other.invoke(loader | steps), such as "
            "tuner.invoke(loader | steps)"
        )
        if isfunction(value):
            remedy = f"{value.__name__}(loader | steps)"
        msg = (
            f"A chat loader can only be joined with session steps, "
            f"not with {type(value).__name__}. Write {remedy}."
        )
        raise TypeError(msg)


def time_bound(value: datetime | date | None, name: str) -> datetime | None:
    """Return a time bound as an aware datetime in UTC; a date includes that whole day.

    A datetime without a time zone is a `ValueError`.
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            msg = f"{name} has no time zone: give an aware datetime, or a date (UTC)."
            raise ValueError(msg)
        return value.astimezone(timezone.utc)
    # `end` itself is not kept, so it is the start of the next day.
    if name == "end" and value < date.max:
        value += timedelta(days=1)
    return datetime.combine(value, time.min, timezone.utc)


def _names(given: str | Collection[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
