"""`build_report`: count the figures of a report in one pass over exports.

Memory does not grow with the messages, since equal numbers are counted.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import accumulate
from operator import itemgetter
from pathlib import Path

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import BaseMessage

from langchain_chatexports._terminal import printable
from langchain_chatexports._tokens import max_tokens_by_bytes
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.counts import (
    Counts,
    ExportSummary,
    Reading,
    read_counted,
    sum_of,
)
from langchain_chatexports.datasets.estimate import example_tokens
from langchain_chatexports.datasets.preparation import Gap, PrepareOptions
from langchain_chatexports.datasets.trace import trace_examples
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.report.figures import (
    Bin,
    ExampleFigures,
    ExportReport,
    PauseFigures,
    PersonFigures,
    Sides,
    SourceFigures,
    StageFigures,
    Values,
)
from langchain_chatexports.report.times import TimeCounts, find_time_zone
from langchain_chatexports.steps import (
    LabelSpeakers,
    MapAIMessages,
    MergeChatRuns,
    SessionTransform,
)
from langchain_chatexports.steps.pauses import automatic_gap, pauses_before
from langchain_chatexports.steps.pipe import TransformedChatLoader, read_loader

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_PAUSE_EDGES = (
    *(0, 10, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 7 * _DAY, 28 * _DAY),
)


def build_report(
    loaders: BaseChatLoader | Sequence[BaseChatLoader],
    *,
    ai: str | Collection[str] = (),
    time_zone: str = "UTC",
    anonymous: bool = False,
    gap: Gap = "auto",
    on_messages: Callable[[int], None] | None = None,
) -> ExportReport:
    """Count the contents of exports, and the examples made from them.

    The sessions are read once.

    Args:
        loaders: One or several loaders. Sessions are counted after the loader's steps.
        ai: One or several names or handles of the person who becomes the AI; empty for
            each export's owner.
        time_zone: The zone of hours and days, such as `Europe/Berlin`; `local` for this
            machine's.
        anonymous: Leave out names of people and files.
        gap: The pause after which chats are split into conversations; `"auto"` finds it
            in each chat, `None` never splits.
        on_messages: Called after each session with the number of messages read so far.

    Returns:
        The figures.

    Raises:
        ValueError: If there is no such time zone.
        ChatExportError: If an export cannot be read.
    """
    listed = list(loaders) if isinstance(loaders, Sequence) else [loaders]
    names = (ai,) if isinstance(ai, str) else tuple(ai)
    counts = _Counts(TimeCounts(find_time_zone(time_zone)), gap, on_messages)
    for loader in listed:
        counts.read(loader, names)
    aliases = {
        name: f"Person {number}" if anonymous else printable(name)
        for number, (name, _) in enumerate(_most_first(counts.senders), 1)
    }
    return ExportReport(
        anonymous=anonymous,
        sources=tuple(_sources(counts, listed, aliases, anonymous=anonymous)),
        messages=counts.messages,
        people=tuple(
            PersonFigures(
                name=alias,
                is_ai=name in counts.ai_senders,
                messages=counts.senders[name],
                characters=counts.characters[name],
            )
            for name, alias in aliases.items()
        ),
        ai_is_owner=not names,
        time=counts.times.figures(),
        lengths=counts.lengths.figures(),
        replies=counts.replies.figures(),
        runs=counts.runs.figures(),
        pauses=_pauses(counts),
        stages=tuple(_stages(counts)),
        examples=_examples(counts),
    )


@dataclass
class _Numbers:
    """The frequency of each number, for the AI and for the others."""

    ai: Counter[int] = field(default_factory=Counter)
    others: Counter[int] = field(default_factory=Counter)

    def add(self, number: int, *, is_ai: bool) -> None:
        (self.ai if is_ai else self.others)[number] += 1

    def figures(self) -> Sides:
        return Sides(ai=values_of(self.ai), others=values_of(self.others))


@dataclass
class _Counts:
    """All counts of a report."""

    times: TimeCounts
    gap: Gap
    on_messages: Callable[[int], None] | None
    messages: int = 0
    chats: int = 0
    conversations: int = 0
    senders: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    ai_senders: set[str] = field(default_factory=set)
    lengths: _Numbers = field(default_factory=_Numbers)
    replies: _Numbers = field(default_factory=_Numbers)
    runs: _Numbers = field(default_factory=_Numbers)
    pauses: Counter[int] = field(default_factory=Counter)
    gaps: set[float] = field(default_factory=set)
    answers: int = 0
    tokens: Counter[int] = field(default_factory=Counter)
    stages: list[Counts] = field(default_factory=list)
    """The counts of windows, as `Examples`."""

    summaries: list[ExportSummary] = field(default_factory=list)
    steps: list[tuple[Counts, ...]] = field(default_factory=list)
    """For each export the counts of each step."""

    def read(self, loader: BaseChatLoader, names: Collection[str]) -> None:
        """Read an export to its end, through the steps of `prepare`."""
        inner = loader.loader if isinstance(loader, TransformedChatLoader) else loader
        if isinstance(inner, ChatExportLoader):
            names = {found for name in names for found in inner.names_of(name)}

        def is_ai(message: BaseMessage) -> bool:
            extra = message.additional_kwargs
            if names:
                return extra.get("sender") in names
            return extra.get("is_from_me") is True

        prepared = PrepareOptions(gap=self.gap)
        source = read_loader(loader)
        chats = _watched(source, partial(self._add_chat, is_ai))
        split = _counted(chats, *prepared.split_steps())
        parts = _watched(split, partial(self._add_conversation, is_ai))
        as_ai = MapAIMessages(sender=tuple(names) or None)
        steps = (LabelSpeakers(), *prepared.window_steps())
        windows = _counted(parts, MergeChatRuns(), as_ai, *steps)
        # Without an AI there are no examples.
        with suppress(SenderNotFoundError):
            for item in trace_examples(
                windows, system=prepared.system_prompt(), counts=self.stages
            ):
                roles = [one["role"] for one in item.example["messages"]]
                self.answers += roles.count("assistant")
                self.tokens[example_tokens(item.example, max_tokens_by_bytes)] += 1
        summary = source.summary()
        rows = (*summary.steps, *split.summary().steps, *windows.summary().steps)
        self.summaries.append(summary)
        self.steps.append(rows)

    def _add_chat(
        self, is_ai: Callable[[BaseMessage], bool], messages: Sequence[BaseMessage]
    ) -> None:
        """Count the messages and pauses of a whole chat."""
        self.chats += 1
        self.messages += len(messages)
        for message in messages:
            extra = message.additional_kwargs
            content = message.content
            size = len(content if isinstance(content, str) else str(message.text))
            sender, by_ai = str(extra.get("sender", "unknown")), is_ai(message)
            self.senders[sender] += 1
            self.characters[sender] += size
            if by_ai:
                self.ai_senders.add(sender)
            self.lengths.add(size, is_ai=by_ai)
            self.times.add(extra.get("message_time"), is_ai=by_ai)
        known = [pause for pause in pauses_before(messages) if pause is not None]
        # Count by bin, since nearly all pauses differ.
        self.pauses.update(
            _PAUSE_EDGES[bisect_right(_PAUSE_EDGES, pause) - 1] for pause in known
        )
        if known and self.gap is not None:
            is_given = isinstance(self.gap, timedelta)
            gap = self.gap.total_seconds() if is_given else automatic_gap(known)  # type: ignore[union-attr] # checked in the same line
            self.gaps.add(gap)
        if self.on_messages is not None:
            self.on_messages(self.messages)

    def _add_conversation(
        self, is_ai: Callable[[BaseMessage], bool], messages: Sequence[BaseMessage]
    ) -> None:
        """Count the replies and runs of a conversation, before runs are merged."""
        self.conversations += 1
        run = 0
        pauses = pauses_before(messages)
        for index, (message, pause) in enumerate(zip(messages, pauses, strict=True)):
            run += 1
            following = messages[index + 1 : index + 2]
            if run == 1 and index and pause is not None:
                self.replies.add(int(pause), is_ai=is_ai(message))
            if not following or _sender(following[0]) != _sender(message):
                self.runs.add(run, is_ai=is_ai(message))
                run = 0


def _sender(message: BaseMessage) -> object:
    return message.additional_kwargs.get("sender")


def _watched(
    sessions: Iterable[ChatSession], count: Callable[[Sequence[BaseMessage]], None]
) -> Iterator[ChatSession]:
    for session in sessions:
        count(session.get("messages", ()))
        yield session
        del session


def _counted(sessions: Iterator[ChatSession], *steps: SessionTransform) -> Reading:
    return read_counted(sessions, "", steps)


def values_of(numbers: Counter[int]) -> Values:
    """Return percentiles (nearest rank) of counted numbers."""
    ordered = sorted(numbers)
    reached = list(accumulate(numbers[number] for number in ordered))

    def rank(percent: int) -> int | None:
        wanted = -(-percent * numbers.total() // 100)
        return ordered[bisect_left(reached, wanted)] if ordered else None

    return Values(count=numbers.total(), median=rank(50), p90=rank(90), most=rank(100))


def _most_first(senders: Counter[str]) -> list[tuple[str, int]]:
    return sorted(senders.items(), key=lambda item: (-item[1], item[0]))


def _sources(
    counts: _Counts,
    loaders: Sequence[BaseChatLoader],
    aliases: dict[str, str],
    *,
    anonymous: bool,
) -> Iterator[SourceFigures]:
    pairs = zip(loaders, counts.summaries, strict=True)
    for number, (loader, summary) in enumerate(pairs, 1):
        name = f"Export {number}"
        path = getattr(getattr(loader, "loader", loader), "path", None)
        if isinstance(path, Path) and not anonymous:
            name = printable(path.name)
        owner = summary.owner
        if owner is not None:
            # An owner without messages is not among the people.
            unknown = "a person without messages" if anonymous else printable(owner)
            owner = aliases.get(owner, unknown)
        yield SourceFigures(
            name=name,
            platform=summary.platform,
            owner=owner,
            owner_found_by=summary.owner_found_by,
            chats=summary.sessions,
            found=summary.found,
            kept=summary.kept,
            skipped=dict(summary.skipped),
            first=summary.first,
            last=summary.last,
        )


def _pauses(counts: _Counts) -> PauseFigures:
    gaps, used = counts.gaps, sorted(counts.pauses)
    edges = [e for e in _PAUSE_EDGES if used and used[0] <= e <= used[-1]]
    below = dict(zip(_PAUSE_EDGES, (*_PAUSE_EDGES[1:], None), strict=True))
    return PauseFigures(
        pauses=counts.pauses.total(),
        bins=tuple(
            Bin(least=edge, below=below[edge], count=counts.pauses[edge])
            for edge in edges
        ),
        shortest_gap=min(gaps, default=None),
        longest_gap=max(gaps, default=None),
        boundaries=counts.conversations - counts.chats,
        conversations=counts.conversations,
    )


def _stages(counts: _Counts) -> Iterator[StageFigures]:
    exports = Counts("Export")
    for summary in counts.summaries:
        exports.add(summary.stages()[0])
    alike: dict[tuple[int, str], Counts] = {}
    for steps in counts.steps:
        for index, step in enumerate(steps):
            alike.setdefault((index, step.name), Counts(step.name)).add(step)
    steps_in_order = (stage for _, stage in sorted(alike.items(), key=itemgetter(0)))
    examples = (
        sum_of(counts.stages, "Examples", unit) for unit in ("messages", "sessions")
    )
    for stage in (exports, *steps_in_order, *examples):
        yield StageFigures(
            name=stage.name,
            unit=stage.unit,
            found=stage.found,
            kept=stage.kept,
            skipped=dict(sorted(stage.skipped.items())),
            added=dict(sorted(stage.added.items())),
        )


def _examples(counts: _Counts) -> ExampleFigures | None:
    if not counts.tokens:
        return None
    return ExampleFigures(
        examples=counts.tokens.total(),
        answers=counts.answers,
        tokens=values_of(counts.tokens),
        total_tokens=sum(number * times for number, times in counts.tokens.items()),
    )
