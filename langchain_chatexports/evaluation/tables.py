"""The tables of the evaluation page: results as rows of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports._terminal import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeVar

    from langchain_chatexports.evaluation.results import (
        BlindFinding,
        ContestantInfo,
        Copies,
        CopyRates,
        Evaluation,
        Loss,
        MeasureFinding,
        NameRates,
        PersonChecks,
        Relevance,
        SanityChecks,
    )

    Found = TypeVar("Found", Loss, SanityChecks, Copies, NameRates, Relevance)
    Row = tuple[str, ...]
    Table = tuple[Row, Sequence[Row]]
    Titles = Mapping[str, str]

__all__ = [
    "UNKNOWN",
    "blind_rows",
    "contestant_rows",
    "copy_table",
    "detector_rows",
    "difference_rows",
    "distance_table",
    "loss_table",
    "measure_rows",
    "name_rows",
    "relevance_table",
    "sanity_table",
    "secret_table",
    "share_text",
    "with_interval",
]

UNKNOWN = "\u2013"
"""Shown where nothing was measured."""

_LENGTHS = ("the shortest third", "the middle third", "the longest third")
_CONFIDENCE = {"1": "guessed", "2": "rather sure", "3": "sure"}


def with_interval(value: float | None, ends: tuple[float, float] | None) -> str:
    """Return a number with its 95 % interval."""
    if value is None:
        return UNKNOWN
    if ends is None:
        return f"{value:.2f}"
    return f"{value:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]"


def share_text(value: float | None) -> str:
    """Return a share in percent."""
    return UNKNOWN if value is None else f"{value:.0%}"


def loss_table(evaluation: Evaluation, titles: Titles) -> Table:
    """Return the bits per byte of the contestants."""
    rows = [
        (
            titles[found.contestant],
            with_interval(found.bits_per_byte, found.interval),
            _number(found.end_bits),
            f"{found.turns:,}",
            found.reason or "",
        )
        for found in _ordered(evaluation.loss, titles)
    ]
    return _table(
        ("", "#bits per byte", "#of the end, in bits", "#turns", "note"), rows
    )


def relevance_table(evaluation: Evaluation, titles: Titles) -> Table:
    """Return the bits per byte after the own and a foreign history."""
    rows = [
        (
            titles[found.contestant],
            with_interval(found.difference, found.interval),
            _number(found.own_history),
            _number(found.foreign_history),
            f"{found.turns:,}",
            found.reason or "",
        )
        for found in _ordered(evaluation.relevance, titles)
    ]
    headers = ("", "#difference", "#own history", "#foreign history", "#turns", "note")
    return _table(headers, rows)


def difference_rows(evaluation: Evaluation, titles: Titles) -> list[Row]:
    """Return the paired differences between contestants."""
    kinds = (
        ("bits per byte", evaluation.loss_differences),
        ("median score", evaluation.summary_differences),
    )
    return [
        (
            f"{titles[found.a]} against {titles[found.b]}",
            unit,
            with_interval(found.value, found.interval),
        )
        for unit, differences in kinds
        for found in reversed(differences)
        if found.a in titles and found.b in titles
    ]


def measure_rows(evaluation: Evaluation, titles: Titles) -> list[Row]:
    """Return the scores by measure, a column for each contestant."""
    if not evaluation.measures:
        return []
    by_name = {each.contestant: each for each in evaluation.summary or ()}
    rows = [
        (
            "median",
            *(
                with_interval(by_name[name].median_score, by_name[name].interval)
                for name in titles
            ),
        )
    ]
    for measure in evaluation.measures:
        found = {each.name: each for each in measure.contestants}
        cells = [
            with_interval(found[name].score, found[name].score_interval)
            if name in found
            else UNKNOWN
            for name in titles
        ]
        rows.append((f"{measure.name}: {measure.meaning}", *cells))
    return rows


def distance_table(evaluation: Evaluation, titles: Titles) -> Table:
    """Return the distances behind the scores."""
    headers = (
        *("measure", "in", "#units compared", "#the person", "#other people"),
        *("each of them", *(f"#{title}" for title in titles.values()), "note"),
    )
    rows = [_distances(found, titles) for found in evaluation.measures or ()]
    return _table(headers, rows)


def _distances(measure: MeasureFinding, titles: Titles) -> Row:
    found = {each.name: each for each in measure.contestants}
    return (
        measure.name,
        measure.unit,
        UNKNOWN if measure.units_each is None else f"{measure.units_each:,}",
        with_interval(measure.ceiling, measure.ceiling_interval),
        with_interval(measure.floor, measure.floor_interval),
        _each(measure.floor_each),
        *(
            with_interval(found[name].value, found[name].interval)
            if name in found
            else UNKNOWN
            for name in titles
        ),
        measure.reason or "",
    )


def detector_rows(evaluation: Evaluation, titles: Titles) -> list[Row]:
    """Return how often a detector tells replies from the person's, theirs first."""
    found = evaluation.detector
    if found is None:
        return []
    earlier = with_interval(found.ceiling, found.ceiling_interval)
    rows: list[Row] = [
        ("the person, earlier", earlier),
        (
            "other people",
            UNKNOWN
            if found.floor is None
            else f"{found.floor:.2f} ({_each(found.floor_each)})",
        ),
    ]
    by_name = {each.name: each for each in found.contestants}
    for name, title in titles.items():
        if each := by_name.get(name):
            rows.append((title, with_interval(each.told_apart, each.interval)))
    return rows


def _each(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in values.items())


def sanity_table(evaluation: Evaluation, titles: Titles) -> Table:
    """Return the sanity checks, the person's own first."""

    def cells(found: SanityChecks | PersonChecks, cut: float | None) -> Row:
        return (
            share_text(found.variety),
            _number(found.words_400, 0),
            share_text(found.reach),
            share_text(cut),
            share_text(found.empty),
            found.reason or "",
        )

    rows = [("the person", *cells(evaluation.guards[0].person, None))]
    rows += [
        (titles[found.contestant], *cells(found, found.cut))
        for found in _ordered(evaluation.guards, titles)
    ]
    return _table(
        (
            *("", "#not repeated", "#words of 400", "#reach", "#cut off", "#empty"),
            "note",
        ),
        rows,
    )


def copy_table(evaluation: Evaluation, titles: Titles) -> Table:
    """Return the copies from the training half, the person's own first."""

    def cells(found: CopyRates) -> Row:
        runs = found.longest_run
        return (
            share_text(found.exact),
            share_text(found.unique6),
            UNKNOWN if runs is None else " / ".join(map(str, runs)),
            f"{found.bubbles:,}",
            found.reason or "",
        )

    rows = [("the person", UNKNOWN, *cells(evaluation.copies[0].person))]
    rows += [
        (
            titles[found.contestant],
            with_interval(found.excess, found.interval),
            *cells(found),
        )
        for found in _ordered(evaluation.copies, titles)
    ]
    return _table(
        (
            *("", "#excess", "#whole", "#six words", "#longest run", "#messages"),
            "note",
        ),
        rows,
    )


def name_rows(evaluation: Evaluation, titles: Titles) -> list[Row]:
    """Return the names and numbers that nobody had mentioned."""
    return [
        (
            titles[found.contestant],
            f"{found.unprompted_per_reply:.2f}",
            f"{found.person:.2f}",
            str(found.outside_circle),
            str(found.numbers),
            str(found.addresses),
        )
        for found in _ordered(evaluation.names or (), titles)
    ]


def secret_table(evaluation: Evaluation) -> Table:
    """Return what the test run revealed of planted secrets."""
    rows = [
        (
            "never (control)" if not found.repeats else plural(found.repeats, "time"),
            str(found.canaries),
            f"{found.sampled_hits} of {found.samples}",
            f"{found.partial_hits} of {found.samples}",
            f"{found.greedy_hits} of {found.canaries}",
            share_text(found.hit_upper_bound),
            _list(found.exposure_bits),
            _list(found.z),
            _list(found.base_exposure_bits),
            found.reason or "",
        )
        for found in evaluation.secrets or ()
    ]
    headers = (
        *("planted", "#secrets", "#said", "#in part", "#greedy", "#at most"),
        *("#exposure", "#z", "#exposure, base", "note"),
    )
    return _table(headers, rows)


def blind_rows(blind: BlindFinding | None) -> list[Row]:
    """Return the right guesses by the answers' length, and by confidence."""
    if blind is None:
        return []
    found = dict(zip(_LENGTHS, blind.by_length, strict=False))
    found |= {_CONFIDENCE[level]: n for level, n in blind.by_confidence.items()}
    return [(what, f"{share.right} of {share.pairs}") for what, share in found.items()]


def contestant_rows(contestants: Sequence[ContestantInfo], titles: Titles) -> list[Row]:
    """Return how each contestant was asked."""
    return [
        (
            titles[each.name],
            each.model,
            f"{each.temperature:g}",
            f"{each.top_p:g}",
            str(each.max_tokens),
            each.prompt,
        )
        for each in contestants
    ]


def _table(headers: Row, rows: Sequence[Row]) -> Table:
    """Return a table, without its last column if that is empty."""
    if any(row[-1] for row in rows):
        return headers, rows
    return headers[:-1], [row[:-1] for row in rows]


def _ordered(found: Sequence[Found], titles: Titles) -> list[Found]:
    by_name = {each.contestant: each for each in found}
    return [by_name[name] for name in titles if name in by_name]


def _number(value: float | None, digits: int = 2) -> str:
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values) or UNKNOWN
