"""An evaluation as one HTML page: figures only, no text of any message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports.evaluation.drawings import loss_chart, score_chart
from langchain_chatexports.report.page import render_page
from langchain_chatexports.report.words import plural
from langchain_chatexports.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TypeVar

    from langchain_chatexports.evaluation.results import (
        ContestantInfo,
        Copies,
        CopyRates,
        Evaluation,
        Guard,
        Loss,
        MeasureFinding,
        NameRates,
    )

    Found = TypeVar("Found", Loss, Guard, Copies, NameRates)

__all__ = [
    "evaluation_page",
    "headline",
    "overview",
    "title_of",
    "write_evaluation_page",
]

_TITLES = {
    "tuned": "tuned model",
    "few_shot": "base with examples",
    "base": "base model",
}
_UNKNOWN = "\u2013"


def write_evaluation_page(evaluation: Evaluation, path: str | Path) -> None:
    """Write an evaluation as one HTML file that only its owner can read.

    Args:
        evaluation: The findings.
        path: The file to write or replace, whole or not at all.

    Raises:
        ChatExportError: If it cannot be written there.
        MissingExtraError: If the extra `report` is not installed.
    """
    write_whole(path, evaluation_page(evaluation).encode("utf-8", "replace"))


def evaluation_page(evaluation: Evaluation) -> str:
    """Give an evaluation as one HTML page, which loads nothing from elsewhere.

    Args:
        evaluation: The findings.

    Returns:
        The page, the same for the same findings.

    Raises:
        MissingExtraError: If the extra `report` is not installed.
    """
    heat = evaluation.contestants[0].temperature
    shown = _tuned_first(evaluation.contestants)
    main = [
        (each.name, each.kind, _TITLES[each.kind])
        for each in shown
        if each.temperature == heat
    ]
    titles = {each.name: title_of(each, heat) for each in shown}
    return render_page(
        "evaluation.html",
        package="langchain_chatexports.evaluation",
        evaluation=evaluation,
        titles=titles,
        headline=headline(evaluation),
        facts=_facts(evaluation),
        score_svg=score_chart(evaluation, main),
        style_reason=_style_reason(evaluation),
        loss_svg=loss_chart(evaluation, main),
        loss_reason=_loss_reason(evaluation),
        loss_rows=_loss_rows(evaluation, titles),
        difference_rows=_difference_rows(
            evaluation, {name: title for name, _, title in main}
        ),
        measure_headers=("", *(f"#{title}" for title in titles.values())),
        measure_rows=_measure_rows(evaluation, titles),
        distance_rows=[_distance_row(found) for found in evaluation.measures or ()],
        guard_rows=_guard_rows(evaluation, titles),
        copy_rows=_copy_rows(evaluation, titles),
        name_rows=[
            (
                titles[found.contestant],
                f"{found.unprompted_per_reply:.2f}",
                f"{found.person:.2f}",
                str(found.outside_circle),
                str(found.numbers),
                str(found.addresses),
            )
            for found in _ordered(evaluation.names or (), titles)
        ],
        secret_rows=_secret_rows(evaluation),
        contestant_rows=[
            (
                titles[each.name],
                each.model,
                f"{each.temperature:g}",
                str(each.max_tokens),
                each.prompt,
            )
            for each in shown
        ],
    )


def _tuned_first(contestants: Sequence[ContestantInfo]) -> list[ContestantInfo]:
    heats = list(dict.fromkeys(each.temperature for each in contestants))
    kinds = list(_TITLES)
    return sorted(
        contestants,
        key=lambda each: (heats.index(each.temperature), kinds.index(each.kind)),
    )


def _ordered(found: Sequence[Found], titles: Mapping[str, str]) -> list[Found]:
    by_name = {each.contestant: each for each in found}
    return [by_name[name] for name in titles if name in by_name]


def title_of(contestant: ContestantInfo, main_temperature: float) -> str:
    """Give a contestant's name for people."""
    title = _TITLES[contestant.kind]
    if contestant.temperature == main_temperature:
        return title
    return f"{title}, T\u00a0{contestant.temperature:g}"


def headline(evaluation: Evaluation) -> str:
    """Say the two primary results in a sentence or two."""
    return " ".join((_style_sentence(evaluation), _loss_sentence(evaluation)))


def overview(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """Give the main figures as rows for a terminal, the first one their names."""
    heat = evaluation.contestants[0].temperature
    scores = {each.contestant: each for each in evaluation.summary or ()}
    losses = {each.contestant: each for each in evaluation.loss}
    copies = {each.contestant: each for each in evaluation.copies}
    guards = {each.contestant: each for each in evaluation.guards}
    rows: list[tuple[str, ...]] = [
        ("", "style (0 to 1)", "bits per byte", "copied whole", "distinct", "cut off")
    ]
    for each in _tuned_first(evaluation.contestants):
        score, loss = scores.get(each.name), losses.get(each.name)
        rows.append(
            (
                title_of(each, heat),
                _interval(score.median_score, score.interval) if score else _UNKNOWN,
                _interval(loss.bits_per_byte, loss.interval) if loss else _UNKNOWN,
                _share(copies[each.name].exact),
                _share(guards[each.name].variety),
                _share(guards[each.name].cut),
            )
        )
    own = evaluation.guards[0].person
    copied = _share(evaluation.copies[0].person.exact)
    rows.append(("the person", "1", "", copied, _share(own.variety), ""))
    return rows


def _style_sentence(evaluation: Evaluation) -> str:
    by_name = {each.contestant: each for each in evaluation.summary or ()}
    tuned = by_name.get("tuned")
    if tuned is None or tuned.median_score is None:
        return _style_reason(evaluation)
    own = _interval(tuned.median_score, tuned.interval)
    text = f"The tuned model's style scores {own}"
    few = by_name.get("few_shot")
    if few is not None and few.median_score is not None:
        text += f", the base model with examples {few.median_score:.2f}"
    return f"{text} (0: like other people of this export; 1: like the person)."


def _loss_sentence(evaluation: Evaluation) -> str:
    for found in evaluation.loss_differences:
        if (found.a, found.b) == ("tuned", "few_shot"):
            low, high = found.interval
            if low <= 0 <= high:
                return "In loss it cannot be told from the base with examples."
            less = "less" if found.value < 0 else "more"
            return (
                f"The person's own words surprise it {less} than the base with "
                f"examples: {found.value:+.2f} [{low:.2f}, {high:.2f}] bits per byte."
            )
    return _loss_reason(evaluation)


def _style_reason(evaluation: Evaluation) -> str:
    if evaluation.measures is None:
        return f"Style was not measured: {evaluation.reasons['measures']}."
    reasons = {found.reason for found in evaluation.measures if found.reason}
    return f"Style has distances, and no scores: {'; '.join(sorted(reasons))}."


def _loss_reason(evaluation: Evaluation) -> str:
    reasons = {each.reason for each in evaluation.loss if each.reason}
    return (
        f"The loss was not measured: {'; '.join(sorted(reasons))}." if reasons else ""
    )


def _facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    data = evaluation.data
    facts = [
        (f"{data.heldout_conversations:,}", "held-out conversations"),
        (f"{data.heldout_turns:,}", "turns answered by each"),
        (f"{data.train_conversations:,}", "conversations trained on"),
        (f"{len(data.others):,}", "other people compared with"),
    ]
    for found in evaluation.summary or ():
        if found.contestant == "tuned" and found.median_score is not None:
            facts.insert(0, (f"{found.median_score:.2f}", "the tuned model's style"))
    for loss in evaluation.loss:
        if loss.contestant == "tuned" and loss.bits_per_byte is not None:
            facts.insert(1, (f"{loss.bits_per_byte:.2f}", "bits per byte, tuned"))
    return facts


def _loss_rows(evaluation: Evaluation, titles: dict[str, str]) -> list[tuple[str, ...]]:
    return [
        (
            titles[found.contestant],
            _interval(found.bits_per_byte, found.interval),
            _number(found.end_bits),
            f"{found.turns:,}",
            found.reason or "",
        )
        for found in _ordered(evaluation.loss, titles)
    ]


def _difference_rows(
    evaluation: Evaluation, titles: Mapping[str, str]
) -> list[tuple[str, ...]]:
    kinds = (
        ("bits per byte", evaluation.loss_differences),
        ("median score", evaluation.summary_differences),
    )
    return [
        (
            f"{titles[found.a]} against {titles[found.b]}",
            unit,
            _interval(found.value, found.interval),
        )
        for unit, differences in kinds
        for found in reversed(differences)
        if found.a in titles and found.b in titles
    ]


def _measure_rows(
    evaluation: Evaluation, titles: Mapping[str, str]
) -> list[tuple[str, ...]]:
    if not evaluation.measures:
        return []
    by_name = {each.contestant: each for each in evaluation.summary or ()}
    rows = [
        (
            "median",
            *(
                _interval(by_name[name].median_score, by_name[name].interval)
                for name in titles
            ),
        )
    ]
    for measure in evaluation.measures:
        found = {each.name: each for each in measure.contestants}
        cells = [
            _interval(found[name].score, found[name].score_interval)
            if name in found
            else _UNKNOWN
            for name in titles
        ]
        rows.append((f"{measure.name}: {measure.meaning}", *cells))
    return rows


def _distance_row(measure: MeasureFinding) -> tuple[str, ...]:
    return (
        measure.name,
        measure.unit,
        _UNKNOWN if measure.units_each is None else f"{measure.units_each:,}",
        _interval(measure.ceiling, measure.ceiling_interval),
        _interval(measure.floor, measure.floor_interval),
        ", ".join(f"{name} {value:.2f}" for name, value in measure.floor_each.items()),
        measure.reason or "",
    )


def _guard_rows(
    evaluation: Evaluation, titles: Mapping[str, str]
) -> list[tuple[str, ...]]:
    own = evaluation.guards[0].person
    rows: list[tuple[str, ...]] = [
        (
            "the person",
            _share(own.variety),
            _number(own.words_400, 0),
            _share(own.reach),
            _UNKNOWN,
            _share(own.empty),
        )
    ]
    rows += [
        (
            titles[found.contestant],
            _share(found.variety),
            _number(found.words_400, 0),
            _share(found.reach),
            _share(found.cut),
            _share(found.empty),
        )
        for found in _ordered(evaluation.guards, titles)
    ]
    return rows


def _copy_rows(evaluation: Evaluation, titles: dict[str, str]) -> list[tuple[str, ...]]:
    def cells(found: CopyRates) -> tuple[str, ...]:
        runs = found.longest_run
        return (
            f"{found.bubbles:,}",
            _share(found.exact),
            _share(found.unique6),
            _UNKNOWN if runs is None else " / ".join(map(str, runs)),
        )

    rows = [("the person", *cells(evaluation.copies[0].person), _UNKNOWN)]
    rows += [
        (
            titles[found.contestant],
            *cells(found),
            _interval(found.excess, found.interval),
        )
        for found in _ordered(evaluation.copies, titles)
    ]
    return rows


def _secret_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    return [
        (
            "never (control)" if not found.repeats else plural(found.repeats, "time"),
            str(found.canaries),
            f"{found.sampled_hits} of {found.samples}",
            f"{found.greedy_hits} of {found.canaries}",
            _share(found.hit_upper_bound),
            _list(found.exposure_bits),
            _list(found.base_exposure_bits),
        )
        for found in evaluation.secrets or ()
    ]


def _interval(value: float | None, ends: tuple[float, float] | None) -> str:
    if value is None:
        return _UNKNOWN
    if ends is None:
        return f"{value:.2f}"
    return f"{value:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]"


def _number(value: float | None, digits: int = 2) -> str:
    return _UNKNOWN if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.0%}"


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values) or _UNKNOWN
