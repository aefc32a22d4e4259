"""One pass over an export, from its files to the counts of each step."""

from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Protocol, TypeAlias

from langchain_core.chat_sessions import ChatSession

from langchain_chatexports.chat_loaders.counts import (
    MERGED,
    Counts,
    ExportSummary,
    sort_counts,
)
from langchain_chatexports.chat_loaders.display_names import KnownNames
from langchain_chatexports.chat_loaders.duplicates import Originals
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.messages import Message
from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.chat_loaders.people import People
from langchain_chatexports.chat_loaders.schema import keys_of
from langchain_chatexports.chat_loaders.session_source import closing_iterator


class SessionStep(Protocol):
    """The methods of `SessionTransform` that chat loaders need."""

    joins_messages: ClassVar[bool]

    def get_name(self) -> str:
        """Return the name of the step in summaries."""

    def flattened(self) -> "tuple[SessionStep, ...]":
        """Return the steps of a pipeline, or the step itself."""

    def skipped(self, session: ChatSession) -> Mapping[str, int]:
        """Count the messages of a session that the step skips, by reason."""

    def lazy_transform(self, sessions: Any, /) -> Iterator[ChatSession]:
        """Transform sessions one by one."""

    def __or__(self, other: Any, /) -> Any:
        """Join two steps."""


Steps: TypeAlias = "Iterable[SessionStep] | Callable[[Reading], Iterable[SessionStep]]"
"""Steps, or a function that creates them for a pass."""


@dataclass(frozen=True)
class Selection:
    """The loader options that select conversations and messages."""

    owner: str | None = None
    """The owner's id, name or handle, if the user gave one."""

    keep: frozenset[str] = frozenset()
    """Kinds to keep that are skipped by default."""

    include: frozenset[str] = frozenset()
    """Name keys of the conversations to keep; all if empty."""

    exclude: frozenset[str] = frozenset()
    groups: bool = True
    start: datetime | None = None
    end: datetime | None = None

    def has_conversation(self, names: Collection[str], *, is_group: bool) -> bool:
        """Return whether a conversation with these names is selected."""
        if is_group and not self.groups:
            return False
        if not self.include and not self.exclude:
            return True
        keys = set(map(name_key, names))
        if self.include and self.include.isdisjoint(keys):
            return False
        return self.exclude.isdisjoint(keys)


class Reading:
    """One pass over an export, and through steps.

    Iterate over it once; the counts cover the sessions read so far. It owns the files
    of the export, the selection of conversations, and the names and owner found.
    Without files, the loader does not count: all messages are found and kept.
    """

    def __init__(
        self,
        read: Callable[["Reading"], Iterator[ChatSession]],
        *,
        platform: str,
        steps: Steps = (),
        files: ExportFiles | None = None,
        selection: Selection | None = None,
        people: People | None = None,
        seen: Originals | None = None,
    ) -> None:
        """Initialize without reading.

        Args:
            read: A function that yields the sessions, and counts their records here.
            platform: The platform, unless the sessions have another one.
            steps: Steps to apply to the sessions, or a function that creates them
                for this pass.
            files: The files of the export.
            selection: The conversations and messages to keep.
            people: The names of people that the user gave.
            seen: The messages read so far, if several exports may contain the same
                ones.
        """
        self.platform = platform
        self._is_counted = files is not None
        self.files = files or ExportFiles()
        self.selection = Selection() if selection is None else selection
        self.names = KnownNames(people)
        self.counts = Counts()
        self.owner: str | None = None
        self.owner_found_by: str | None = None
        self.platforms: set[str] = set()
        self.system_types: Counter[str] = Counter()
        self._seen = seen
        self._senders: Counter[str] = Counter()
        self._first: int | None = None
        self._last: int | None = None
        self._repeats = 0  # Number of repeated messages in the current session.
        self._steps: list[tuple[SessionStep, Counts]] = []
        self._read = read
        self._outputs: Iterator[ChatSession] = _tap(self.load(), self._count)
        for step in steps(self) if callable(steps) else steps:
            for part in step.flattened():
                self._outputs = self._count_step(self._outputs, part)

    def __iter__(self) -> Iterator[ChatSession]:
        """Iterate over the output of the last step."""
        return self._outputs

    def load(self) -> Iterator[ChatSession]:
        """Return the sessions before the steps, without counting senders and times.

        To be used instead of iteration. The iterator closes the export when it is
        dropped.
        """
        return self._read(self)

    @property
    def messages_read(self) -> int:
        """The number of messages found so far, including skipped ones."""
        return self.counts.found + self.files.unreadable

    def inspect(self) -> ExportSummary:
        """Read the remaining sessions and return the summary."""
        for session in self:
            del session
        return self.summary()

    def summary(self) -> ExportSummary:
        """Summarize the sessions read so far."""
        skipped = self.counts.skipped + Counter(unreadable=self.files.unreadable)
        details = dict(self.files.details)
        if self.system_types:
            details["system"] = self.system_types
        return ExportSummary(
            platform=next(iter(self.platforms))
            if len(self.platforms) == 1
            else self.platform,
            owner=self.owner,
            owner_found_by=self.owner_found_by,
            sessions=self.counts.sessions_kept,
            senders=dict(sorted(self._senders.items(), key=lambda x: (-x[1], x[0]))),
            first=_to_datetime(self._first),
            last=_to_datetime(self._last),
            found=self.messages_read,
            kept=self.counts.kept,
            skipped=dict(sort_counts(skipped)),
            steps=tuple(_balance_counts(step, counts) for step, counts in self._steps),
            details=details,
        )

    def skip(self, row: Message, reason: str) -> None:
        """Count a record that is not kept."""
        if not row.is_repeat:  # Repeated messages are counted in another conversation.
            self.counts.skipped[reason] += 1

    def is_copy(self, conversation_id: str, row: Message) -> bool:
        """Return whether another export contains the message, and was read before."""
        if self._seen is None:
            return False
        return self._seen.is_copy(conversation_id, row, source=self)

    def _count(self, session: ChatSession) -> None:
        """Count the senders and times of a session."""
        messages = session.get("messages", ())
        keys = [*map(keys_of, messages)]
        if self._is_counted:  # Messages with weight 0 count in another session.
            keys = [key for key in keys if key.get("weight") != 0]
            self._repeats = len(messages) - len(keys)
        else:
            self.counts.found += len(messages)
            self.counts.kept += len(messages)
            self.counts.sessions_kept += 1
        self._senders.update([str(key.get("sender", "unknown")) for key in keys])
        times: list[Any] = [key.get("message_time") for key in keys]
        if times := [time for time in times if isinstance(time, int)]:
            first, last = min(times), max(times)
            self._first = first if self._first is None else min(first, self._first)
            self._last = last if self._last is None else max(last, self._last)

    def _count_step(
        self, sessions: Iterator[ChatSession], step: SessionStep
    ) -> Iterator[ChatSession]:
        counts = Counts(step.get_name())
        is_first_step = not self._steps
        self._steps.append((step, counts))

        def count_found(session: ChatSession) -> None:
            repeats = self._repeats if is_first_step else 0
            counts.sessions_found += 1
            counts.found += len(session.get("messages", ())) - repeats
            counts.added.update({"repeated": repeats} if repeats else {})
            counts.skipped.update(step.skipped(session))

        def count_kept(session: ChatSession) -> None:
            counts.sessions_kept += 1
            counts.kept += len(session.get("messages", ()))

        return _tap(step.lazy_transform(_tap(sessions, count_found)), count_kept)


def _tap(
    sessions: Iterable[ChatSession], count: Callable[[ChatSession], None]
) -> Generator[ChatSession, None, None]:
    """Call `count` with each session, and yield it without keeping a reference."""
    with closing(closing_iterator(iter(sessions))) as source:
        for session in source:
            count(session)
            held = [session]
            del session
            yield held.pop()


def _balance_counts(step: SessionStep, counts: Counts) -> Counts:
    """Return a step's counts, with a default reason for messages without one."""
    balanced = replace(
        counts, skipped=Counter(counts.skipped), added=Counter(counts.added)
    )
    missing = counts.found + counts.added.total() - counts.kept - counts.skipped.total()
    if missing > 0:
        balanced.skip(MERGED if step.joins_messages else "unnamed", missing)
    elif missing < 0:
        balanced.added["repeated"] -= missing
    return balanced


def _to_datetime(seconds: int | None) -> datetime | None:
    # Avoid `fromtimestamp`, which fails before 1970 on Windows. Nanoseconds, as in
    # langchain-community's `message_time`, overflow.
    if seconds is None:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return None
