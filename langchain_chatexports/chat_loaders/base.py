"""The base class of loaders: sessions, messages, options and counts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import (
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import closing
from copy import copy
from datetime import date, datetime, time, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, cast

from langchain_core.messages import BaseMessage
from typing_extensions import TypedDict

from langchain_chatexports._fast.messages import plain_human_message
from langchain_chatexports._fast.strings import iso_time, new_tuple
from langchain_chatexports.chat_loaders.async_loading import AsyncLoading
from langchain_chatexports.chat_loaders.counted_pass import CountedPass, CountedStep
from langchain_chatexports.chat_loaders.ledger import ExportSummary, Tally
from langchain_chatexports.chat_loaders.people import (
    SharedNames,
    name_key,
    people_table,
)
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from langchain_core.chat_loaders import BaseChatLoader
    from langchain_core.chat_sessions import ChatSession
    from langchain_core.messages import HumanMessage
    from typing_extensions import Self

    from langchain_chatexports.chat_loaders.people import PeopleSource, PeopleTable

__all__ = [
    "UNKNOWN_SENDER",
    "ChatExportLoader",
    "ExportSession",
    "MessageTime",
    "SessionMetadata",
    "check_is_step",
    "export_message",
    "message_time",
    "time_bound",
]

UNKNOWN_SENDER = "unknown"

_Joined = TypeVar("_Joined")
_Joined_co = TypeVar("_Joined_co", covariant=True)


class SessionMetadata(TypedDict, total=False):
    """Metadata of a conversation, in JSON types."""

    id: str
    title: str | None
    platform: str
    participants: list[str]
    owner: str | None
    is_group: bool
    services: list[str]
    nicknames: list[str]
    """Other names of people who take part, where a table of people gives them one."""


class ExportSession(TypedDict, total=False):
    """A `ChatSession` with metadata.

    The keys of langchain-core's `ChatSession` are repeated and not inherited: that one
    is a `typing.TypedDict`, which pydantic refuses below Python 3.12.
    """

    messages: Sequence[BaseMessage]
    functions: Sequence[dict[str, Any]]
    metadata: SessionMetadata


class MessageTime(NamedTuple):
    """A moment in the two forms that messages carry."""

    seconds: int
    """Unix seconds in UTC, rounded down."""

    iso: str
    """ISO 8601 in UTC, with the fraction of a second if there is one."""


def message_time(microseconds: int) -> MessageTime | None:
    """Return a moment in the two forms that messages carry.

    Args:
        microseconds: Microseconds since 1970-01-01 UTC.

    Returns:
        The moment, or `None` outside the years 1 to 9999.
    """
    iso = iso_time(microseconds)
    if iso is None:
        return None
    return new_tuple(MessageTime, (microseconds // 1_000_000, iso))


def export_message(
    content: str,
    *,
    sender: str,
    moment: MessageTime | None,
    is_from_me: bool | None,
    message_id: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> HumanMessage:
    """Build a loader's message.

    Args:
        content: The text.
        sender: Display name of who wrote it.
        moment: When it was sent, if the export says so.
        is_from_me: Whether the owner wrote it; `None` where the owner is not known.
        message_id: The export's own id of the message; where there is none, one of
            `MessageIds`.
        extra: Further keys in JSON types, such as `reactions` or `reply_to`.

    Returns:
        The message, with everything but text and id in `additional_kwargs`.
    """
    kwargs: dict[str, Any]
    if moment is None:
        kwargs = {"sender": sender, "is_from_me": is_from_me}
    else:
        seconds, iso = moment
        kwargs = {
            "message_time": seconds,
            "sender": sender,
            "is_from_me": is_from_me,
            "events": [{"message_time": iso}],
        }
    if is_from_me is None:
        del kwargs["is_from_me"]
    if extra:
        kwargs.update(extra)
    return plain_human_message(content, kwargs, message_id)


class _JoinsLoader(Protocol[_Joined_co]):
    """Something that joins a loader on its left, such as a step."""

    def __ror__(self, loader: BaseChatLoader, /) -> _Joined_co: ...


class ChatExportLoader(AsyncLoading):
    """Base of the loaders here: options, `|`, iteration and `inspect`.

    A subclass reads its export in `read_sessions` and counts into the tally that it is
    given. Each call of `lazy_load` is a pass of its own: nothing is kept between two.
    """

    platform: str = "unknown"
    """The platform that sessions and summaries name."""

    def __init__(
        self,
        path: str | Path,
        *,
        owner: str | None = None,
        include: str | Collection[str] = (),
        exclude: str | Collection[str] = (),
        start: datetime | date | None = None,
        end: datetime | date | None = None,
        include_reactions: bool = False,
        include_system: bool = False,
        include_unsent: bool = False,
        include_media: bool = False,
        people: PeopleSource | None = None,
    ) -> None:
        """Initialize the loader.

        Args:
            path: The export; `~` is expanded.
            owner: Whose export it is.
            include: Conversations to read, by title, participant or id, without
                regard to case; all if empty.
            exclude: Conversations to leave out, in the same way.
            start: Oldest moment to keep: an aware datetime, or a date in UTC.
            end: End of the time to keep: an aware datetime (itself not kept) or a date
                in UTC (that day kept). With `start` or `end`, messages without a time
                are left out.
            include_reactions: Keep reactions as messages of their own.
            include_system: Keep what the app wrote (calls, renames, joins, …).
            include_unsent: Keep messages that were unsent, if their text is there.
            include_media: Keep messages without text as a placeholder.
            people: A table of people, or its file: who has which names and handles.
                Each person then has one name in sessions, the first of the table's.

        Raises:
            ValueError: If `start` or `end` is a datetime without a time zone.
            ChatExportError: If the table of people cannot be read, or two people in it
                have one name.
        """
        self.path = Path(path).expanduser()
        self.owner = owner
        self.people = None if people is None else people_table(people)
        self._shared_names = self.people and SharedNames(self.people)
        self.include = self._folded(include)
        self.exclude = self._folded(exclude)
        self.start = time_bound(start, "start")
        self.end = time_bound(end, "end")
        self.include_reactions = include_reactions
        self.include_system = include_system
        self.include_unsent = include_unsent
        self.include_media = include_media
        self.names_met: set[str] = set()
        """Ids, titles and participants of the conversations read so far, where some are
        chosen by name: a name that is asked for and not among them is a mistake."""
        self._selection: CountedStep | None = None

    @abstractmethod
    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        """Read the export once, oldest message first within each session.

        Args:
            tally: Where to count what is found and what is left out, and to say who
                the owner is.

        Yields:
            One session a conversation; none without messages.
        """

    def lazy_load(self) -> Iterator[ChatSession]:
        """Read the sessions one by one; a new pass over the export each time.

        Returns:
            An iterator; closing it closes the export.
        """
        return _as_chat_sessions(self._selected_sessions(Tally()))

    def counted_pass(self, steps: Iterable[CountedStep] = ()) -> CountedPass:
        """Start one counted pass over the export, through steps if there are any.

        Args:
            steps: The steps to pass the sessions through.

        Returns:
            The pass: iterate it, then ask for its summary.
        """
        tally = Tally()
        sessions = _as_chat_sessions(self._selected_sessions(tally))
        return CountedPass(sessions, platform=self.platform, tally=tally, steps=steps)

    def inspect(self) -> ExportSummary:
        """Read the export once and count what is in it and what is left out.

        Returns:
            The counts, with found = kept + sum(skipped).
        """
        return self.counted_pass().finish()

    def selecting(self, step: CountedStep) -> Self:
        """Return this loader with those sessions only that a step keeps.

        Unlike `loader | step`, what is left out is counted as the export's own: owner,
        senders and times of the summary are those of the sessions that stay.

        Args:
            step: A step that keeps or drops whole sessions, such as `SelectSessions`.
        """
        chosen = copy(self)
        chosen.names_met = set()
        chosen._selection = step  # noqa: SLF001 - a loader of this class
        return chosen

    def unrestricted(self) -> Self:
        """Return this loader without bounds, names to include or exclude, selection."""
        everything = copy(self)
        everything.include = everything.exclude = frozenset()
        everything.start = everything.end = None
        everything._selection = None  # noqa: SLF001 - a loader of this class
        return everything

    def estimate_message_count(self) -> int | None:
        """Estimate how many messages the export holds, without reading them.

        For the progress of a pass: known within a moment, and about right.

        Returns:
            About how many rows or records a pass will find; `None` where that cannot
            be told quickly. What is wrong with an export is not reported here.
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

        Args:
            person: A name as in the sessions, or a handle if the format has them, in
                any case; a phone number in any notation.

        Returns:
            The names to look for in messages; the given one where nothing else is
            known.
        """
        if self._shared_names and self._shared_names.row_of(person):
            return frozenset((self._shared_names.of(person),))
        known = self._known_handles
        shared = self.people and SharedNames(self.people, known)
        wanted = name_key(person)
        found = {
            shared.of(name) if shared else name
            for name, handles in known.items()
            if wanted in map(name_key, (name, *handles))
        }
        return frozenset(found or (person,))

    @cached_property
    def _known_handles(self) -> Mapping[str, Collection[str]]:
        # A command asks for several names, and reading them can take seconds.
        return self.handles()

    def handles(self) -> Mapping[str, Collection[str]]:
        """Return the handles, and further names, that the export has for its senders.

        Returns:
            Phone numbers, e-mail addresses, user names, ids or other names, by the name
            that sessions show. By default none; a loader of a format that has them
            overrides this.
        """
        return {}

    def keeps_conversation(
        self, conversation_id: str, title: str | None, participants: Collection[str]
    ) -> bool:
        """Return whether `include` and `exclude` let a conversation through."""
        if not self.include and not self.exclude:
            return True
        called = {conversation_id, *participants, *([title] if title else ())}
        if self._shared_names:
            called |= {self._shared_names.of(name) for name in called}
        self.names_met |= called
        names = {name.casefold() for name in called}
        if self.include and self.include.isdisjoint(names):
            return False
        return self.exclude.isdisjoint(names)

    def keeps_time(self, moment: MessageTime | None) -> bool:
        """Return whether a message's time is within `start` and `end`."""
        if self.start is None and self.end is None:
            return True
        if moment is None:
            return False
        # A bound may have a fraction of a second, and `seconds` is rounded down.
        exact = datetime.fromisoformat(moment.iso)
        return (self.start is None or exact >= self.start) and (
            self.end is None or exact < self.end
        )

    def _selected_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        sessions = self.read_sessions(tally)
        if self.people is not None:
            sessions = self._renamed(sessions, self.people, tally)
        if self._selection is None:
            return sessions
        return self._selected(sessions, self._selection, tally)

    def _renamed(
        self,
        sessions: Generator[ExportSession, None, None],
        people: PeopleTable,
        tally: Tally,
    ) -> Generator[ExportSession, None, None]:
        # Read here, and not when the loader was made: nothing is kept between passes.
        self._shared_names = names = SharedNames(people, self.handles())
        try:
            with closing(sessions):
                for session in sessions:
                    metadata = session.setdefault("metadata", {})
                    names.rename(session["messages"], cast("dict[str, Any]", metadata))
                    held = [session]
                    del session
                    yield held.pop()  # The consumer is the only one to hold it.
        finally:
            if tally.owner:
                tally.owner = names.of(tally.owner)

    def _folded(self, names: str | Collection[str]) -> frozenset[str]:
        listed = [names] if isinstance(names, str) else names
        shared = self._shared_names
        called = {*listed, *(map(shared.of, listed) if shared else ())}
        return frozenset(name.casefold() for name in called)

    def _selected(
        self,
        sessions: Generator[ExportSession, None, None],
        selection: CountedStep,
        tally: Tally,
    ) -> Generator[ExportSession, None, None]:
        with closing(sessions):
            for session in sessions:
                self.names_met |= _people(session)
                left_out = selection.left_out(cast("ChatSession", session))
                for reason, count in left_out.items():
                    tally.skip(reason, count)
                held = [session]
                del session
                if not left_out:
                    yield held.pop()  # The consumer is the only one to hold it.

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
    """Raise an error if a value cannot be joined to a chat loader.

    Raises:
        TypeError: If the value is not a session step.
    """
    # A method of the class: what `step.with_config(...)` returns passes on the methods
    # of its step as its own.
    if not callable(getattr(type(value), "lazy_transform", None)):
        msg = (
            f"A chat loader can only be joined with session steps, "
            f"not with {type(value).__name__}. "
            "Write (steps | other).invoke(loader), or other.invoke(loader | steps), "
            "such as tuner.invoke(loader | steps)."
        )
        raise TypeError(msg)


def _as_chat_sessions(
    sessions: Generator[ExportSession, None, None],
) -> Generator[ChatSession, None, None]:
    # `ExportSession` has one key more than `ChatSession`; closing must reach the file.
    with closing(sessions):
        yield from sessions


def _people(session: ExportSession) -> set[str]:
    extras = [message.additional_kwargs for message in session["messages"]]
    senders = {str(extra["sender"]) for extra in extras if extra.get("sender")}
    return senders.union(session.get("metadata", {}).get("participants", ()))


def time_bound(value: datetime | date | None, name: str) -> datetime | None:
    """Return a bound of time that a user gave as an aware datetime in UTC.

    Args:
        value: An aware datetime, or a date, which means all of that day in UTC.
        name: `start` or `end`.

    Raises:
        ValueError: If it is a datetime without a time zone.
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            msg = f"{name} has no time zone: give an aware datetime, or a date (UTC)."
            raise ValueError(msg)
        return value.astimezone(timezone.utc)
    # A date means all of that day; `end` itself is not kept.
    if name == "end" and value < date.max:
        value += timedelta(days=1)
    return datetime.combine(value, time.min, timezone.utc)
