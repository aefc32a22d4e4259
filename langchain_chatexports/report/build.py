"""`build_report`: the figures of a report, counted in exports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

from langchain_core.chat_loaders import BaseChatLoader

from langchain_chatexports._terminal import printable
from langchain_chatexports._tokens import token_counter
from langchain_chatexports.chat_loaders.counts import Counts, sum_of
from langchain_chatexports.datasets.preparation import Gap, PrepareOptions
from langchain_chatexports.datasets.splits import part_borders
from langchain_chatexports.exceptions import TrainingDataError
from langchain_chatexports.report.counts import (
    ExampleSizes,
    MessageCounts,
    MessageProgress,
    ReportCounts,
    private_counts,
)
from langchain_chatexports.report.distributions import (
    DOUBLINGS,
    RUN_EDGES,
    SECOND_EDGES,
    bins_of,
    rank,
    values_of,
)
from langchain_chatexports.report.figures import (
    ExampleFigures,
    ExportReport,
    PauseFigures,
    PersonFigures,
    RedactionFigures,
    SourceFigures,
    SplitPart,
    StageFigures,
)
from langchain_chatexports.report.times import TimeCounts, find_time_zone, moment_of
from langchain_chatexports.steps import SessionTransform

TOKEN_LIMIT = 1024
"""Maximum tokens of an example on the local server; OpenAI's is 65,536."""

_VALIDATION = _TEST = 0.1


def build_report(
    loaders: BaseChatLoader | Sequence[BaseChatLoader],
    *,
    ai: str | Collection[str] = (),
    time_zone: str = "UTC",
    anonymous: bool = False,
    redaction: bool = True,
    token_limit: int = TOKEN_LIMIT,
    count_tokens: str | Callable[[str], int] = "bytes",
    gap: Gap = "auto",
    windows: SessionTransform | None = None,
    on_messages: Callable[[int], None] | None = None,
) -> ExportReport:
    """Return counts of what is in exports, and of the examples made from them.

    The sessions are read once, with `redaction` twice: first for the names to look for.
    Memory does not grow with the messages beyond the loader's own.

    Args:
        loaders: The loader of an export, or several. Their own steps come before all
            that is counted.
        ai: Name or handle, or several names, of the person who becomes the AI; empty
            for each export's owner.
        time_zone: The zone of hours and days, such as `Europe/Berlin`; `local` for this
            machine's.
        anonymous: Leave out names of people and files.
        redaction: Count what `Redact` would replace.
        token_limit: Tokens after which an example would be cut off.
        count_tokens: As for `ChunkSessions`.
        gap: The silence at which threads are cut into conversations; `"auto"` finds it
            in each thread, `None` never cuts.
        windows: The step that cuts conversations into examples; by default as in
            `chatexports prepare`: `ChunkSessions`, with `keep_tail` where threads are
            cut.
        on_messages: Called after each session with the number of messages read so
            far, in both passes together.

    Returns:
        The figures.

    Raises:
        ValueError: If there is no such time zone or token counter.
        ChatExportError: If an export cannot be read.
    """
    listed = list(loaders) if isinstance(loaders, Sequence) else [loaders]
    if isinstance(count_tokens, str):
        counter, counted_by = token_counter(count_tokens), count_tokens
    else:
        counter, counted_by = count_tokens, "function"
    zone = find_time_zone(time_zone)
    progress = MessageProgress(on_messages)
    private = private_counts(listed, progress) if redaction else None
    prepared = PrepareOptions(gap=gap)
    counts = ReportCounts(
        messages=MessageCounts(TimeCounts(zone), private, gap),
        sizes=ExampleSizes(counter),
        split=prepared.split_steps(),
        windows=(
            (*prepared.label_steps(), *prepared.window_steps())
            if windows is None
            else (windows,)
        ),
        system=prepared.system_prompt(),
        progress=progress,
    )
    names = (ai,) if isinstance(ai, str) else tuple(ai)
    for loader in listed:
        counts.read(loader, names)
    return ExportReport(
        anonymous=anonymous,
        sources=tuple(_sources(counts, listed, anonymous=anonymous)),
        messages=counts.messages.messages,
        people=tuple(_people(counts.messages, anonymous=anonymous)),
        ai_is_owner=not names,
        time=counts.messages.times.figures(),
        lengths=counts.messages.lengths.figures(DOUBLINGS),
        replies=counts.conversations.replies.figures(SECOND_EDGES),
        runs=counts.conversations.runs.figures(RUN_EDGES),
        pauses=_pauses(counts),
        stages=tuple(_stages(counts)),
        examples=_examples(counts.sizes, token_limit, counted_by),
        split=tuple(_split(counts.sizes)),
        redaction=_redaction(counts.messages),
    )


def _aliases(counts: MessageCounts, *, anonymous: bool) -> dict[str, str]:
    ranked = sorted(counts.senders.items(), key=lambda item: (-item[1], item[0]))
    return {
        name: f"Person {number}" if anonymous else printable(name)
        for number, (name, _) in enumerate(ranked, 1)
    }


def _people(counts: MessageCounts, *, anonymous: bool) -> Iterator[PersonFigures]:
    for name, alias in _aliases(counts, anonymous=anonymous).items():
        yield PersonFigures(
            name=alias,
            is_ai=name in counts.ai_senders,
            messages=counts.senders[name],
            characters=counts.characters[name],
        )


def _sources(
    counts: ReportCounts, loaders: Sequence[BaseChatLoader], *, anonymous: bool
) -> Iterator[SourceFigures]:
    aliases = _aliases(counts.messages, anonymous=anonymous)
    pairs = zip(loaders, counts.summaries, strict=True)
    for number, (loader, summary) in enumerate(pairs, 1):
        name = f"Export {number}"
        path = getattr(getattr(loader, "loader", loader), "path", None)
        if isinstance(path, Path) and not anonymous:
            name = printable(path.name)
        owner = summary.owner
        if owner is not None:
            # An owner who wrote nothing is in no list of people.
            unknown = "somebody without messages" if anonymous else printable(owner)
            owner = aliases.get(owner, unknown)
        yield SourceFigures(
            name=name,
            platform=summary.platform,
            owner=owner,
            owner_found_by=summary.owner_found_by,
            threads=summary.sessions,
            found=summary.found,
            kept=summary.kept,
            skipped=dict(summary.skipped),
            first=summary.first,
            last=summary.last,
        )


def _pauses(counts: ReportCounts) -> PauseFigures:
    pauses, gaps = counts.messages.pauses, counts.messages.gaps
    conversations = counts.conversations.conversations
    return PauseFigures(
        pauses=pauses.ai.total() + pauses.others.total(),
        bins=bins_of(pauses.ai, pauses.others, SECOND_EDGES),
        threads=gaps.total(),
        shortest_gap=min(gaps, default=None),
        median_gap=rank(gaps, 50) if gaps else None,
        longest_gap=max(gaps, default=None),
        boundaries=conversations - counts.messages.threads,
        conversations=conversations,
    )


def _stages(counts: ReportCounts) -> Iterator[StageFigures]:
    exports = Counts("Export")
    for summary in counts.summaries:
        exports.add(summary.stages()[0])
    yield _stage(exports)
    alike: dict[tuple[int, str], Counts] = {}
    for steps in counts.steps:
        for place, step in enumerate(steps):
            alike.setdefault((place, step.name), Counts(step.name)).add(step)
    for _, stage in sorted(alike.items(), key=itemgetter(0)):
        yield _stage(stage)
    yield _stage(sum_of(counts.stages, "Examples"))
    yield _stage(sum_of(counts.stages, "Examples", "sessions"))


def _stage(stage: Counts) -> StageFigures:
    return StageFigures(
        name=stage.name,
        unit=stage.unit,
        found=stage.found,
        kept=stage.kept,
        skipped=dict(sorted(stage.skipped.items())),
        added=dict(sorted(stage.added.items())),
    )


def _examples(
    sizes: ExampleSizes, token_limit: int, counted_by: str
) -> ExampleFigures | None:
    if not sizes.examples:
        return None
    tokens = sizes.tokens
    return ExampleFigures(
        examples=sizes.examples,
        messages=sizes.messages,
        answers=sizes.answers,
        tokens=values_of(tokens),
        bins=bins_of(tokens, {}, DOUBLINGS),
        total_tokens=sum(number * times for number, times in tokens.items()),
        counted_by=counted_by,
        token_limit=token_limit,
        over_limit=sum(n for number, n in tokens.items() if number > token_limit),
    )


def _split(sizes: ExampleSizes) -> Iterator[SplitPart]:
    order = sorted(range(len(sizes.sizes)), key=sizes.begins.__getitem__)
    if not order:
        return
    try:
        borders = part_borders(
            [sizes.sizes[i] for i in order], validation=_VALIDATION, test=_TEST
        )
    except TrainingDataError:  # Fewer conversations than parts.
        return
    names = ("train", "validation", "test")
    ends = pairwise((0, *borders, len(order)))
    for name, (start, end) in zip(names, ends, strict=True):
        part = order[start:end]
        begins = [sizes.begins[i] for i in part if sizes.begins[i] > float("-inf")]
        utc = find_time_zone("UTC")
        yield SplitPart(
            name=name,
            examples=sum(sizes.sizes[i] for i in part),
            conversations=len(part),
            first=moment_of(begins[0], utc) if begins else None,
            last=moment_of(begins[-1], utc) if begins else None,
        )


def _redaction(counts: MessageCounts) -> RedactionFigures | None:
    private = counts.private
    if private is None:
        return None
    return RedactionFigures(
        texts=private.texts,
        changed=private.changed,
        before=dict(sorted(private.before.items())),
        after=dict(sorted(private.after.items())),
    )
