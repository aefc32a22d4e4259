"""The evaluation as one table and one picture, in the terminal and as an HTML page."""

from collections.abc import Callable, Sequence
from pathlib import Path

from langchain_chatexports._files import write_whole
from langchain_chatexports.evaluation.contestants import TITLES
from langchain_chatexports.evaluation.results import Evaluation, Figures, Measured
from langchain_chatexports.report.html import render_page
from langchain_chatexports.report.svg import Bar, bars

_CHANCE = 0.5
UNKNOWN = "\u2013"
"""The text for a missing measure."""

_TITLES: dict[str, str] = {**TITLES, "person": "the person"}
_SHORT = {
    "tuned": "tuned",
    "few_shot": "few-shot",
    "base": "base",
    "wrong_person": "another's",
    "person": "person",
}
_COLORS = {"tuned": 1, "few_shot": 2, "wrong_person": 3}


def write_evaluation_page(evaluation: Evaluation, path: str | Path) -> None:
    """Write an evaluation as one HTML file that only its owner can read.

    Args:
        evaluation: The results.
        path: The file to write or replace, whole or not at all.

    Raises:
        ChatExportError: If it cannot be written there.
        MissingExtraError: If the extra `evaluate` is not installed.
    """
    write_whole(path, evaluation_page(evaluation).encode("utf-8", "replace"))


def evaluation_page(evaluation: Evaluation) -> str:
    """Return an evaluation as one HTML page, which loads nothing from elsewhere."""
    headers, *rows = table(evaluation, with_intervals=True)
    return render_page(
        "evaluation.html",
        package="langchain_chatexports.evaluation",
        evaluation=evaluation,
        headline=headline(evaluation),
        charts=_charts(evaluation),
        headers=("", *(f"#{header}" for header in headers[1:])),
        rows=rows,
        differences=[
            (f"{_TITLES[found.a]} against {_TITLES[found.b]}", _number(found))
            for found in evaluation.loss_differences
        ],
        asked=[
            (_TITLES[each.kind], each.model, each.prompt)
            for each in evaluation.figures
            if each.model
        ],
    )


def headline(evaluation: Evaluation) -> str:
    """Return the main result in a few sentences for laypeople."""
    sentences = [str(evaluation.blind)] if evaluation.blind else []
    tuned = evaluation.of("tuned")
    if tuned and tuned.told_apart:
        found = tuned.told_apart
        could = "could" if found.interval[0] > _CHANCE else "could not"
        sentences.append(
            "Of 100 pairs of replies, a program that looks for differences finds the "
            f"person's own in {found.value:.0%}".removesuffix("%")
            + f", guessing gives 50: it {could} tell the model from the person."
        )
    sentences += [
        _compared(evaluation, "few_shot", "the base model with examples to imitate"),
        _compared(evaluation, "wrong_person", "another person's model"),
    ]
    for name, why in evaluation.reasons.items():
        if name != "blind":
            sentences.append(f"{_REASONS[name]} not measured: {why}.")
    return " ".join(filter(None, sentences))


def table(
    evaluation: Evaluation, *, with_intervals: bool = False
) -> list[tuple[str, ...]]:
    """Return all measures as rows of a table, with headers first.

    Without intervals it fits a terminal of 80 columns.
    """
    *contestants, person = evaluation.figures
    figures = [person, *contestants]

    def number(found: Measured | None) -> str:
        return _number(found) if with_intervals else _number(found, ends=False)

    def row(title: str, cell: Callable[[Figures], str]) -> tuple[str, ...]:
        return title, *map(cell, figures)

    def share(name: str) -> tuple[str, ...]:
        title, field = name, _SHARES[name]
        return row(title, lambda each: _percent(getattr(each.talk, field)))

    titles = _TITLES if with_intervals else _SHORT
    return [
        ("", *(titles[each.kind] for each in figures)),
        row("bits per byte", lambda each: number(each.bits_per_byte)),
        row("told apart", lambda each: number(each.told_apart)),
        *map(share, _SHARES),
        row("characters a message", lambda each: f"{each.talk.characters:.0f}"),
        row("messages a reply", lambda each: f"{each.talk.bubbles:.1f}"),
    ]


_SHARES = {
    "looping": "looping",
    "cut off": "cut",
    "empty": "empty",
    "another language": "other_language",
    "quotes its prompt": "quoting",
    "repeats a message": "repeating",
    "speaks for others": "continuing",
    "distinct replies": "distinct",
    "end with a mark": "marks",
}
_DETECTOR_CAPTION = (
    "How often a trained detector finds the real reply of two: 0.5 is chance, 1 is "
    "always. The person's row compares with their own earlier replies: no model can do "
    "better."
)
_REASONS = {"bits_per_byte": "Bits per byte were", "told_apart": "The detector was"}


def _compared(evaluation: Evaluation, kind: str, title: str) -> str:
    for found in evaluation.loss_differences:
        if (found.a, found.b) == ("tuned", kind):
            low, high = found.interval
            if low <= 0 <= high:
                return f"It writes no more like the person than {title} does."
            more = "more" if found.value < 0 else "less"
            return f"It writes {more} like the person than {title} does."
    return ""


def _charts(evaluation: Evaluation) -> list[tuple[str, object, str]]:
    losses = _bars(evaluation.figures, lambda each: each.bits_per_byte)
    detected = _bars(evaluation.figures, lambda each: each.told_apart)
    charts: list[tuple[str, object, str]] = []
    if losses:
        charts.append(
            (
                "Bits per byte",
                bars(losses, description="Bits per byte with intervals"),
                "How surprising the person's own held-out words are; lower is better.",
            )
        )
    if detected:
        charts.append(
            (
                "Told apart by a detector",
                bars(detected, description="Told apart, with intervals", most=1),
                _DETECTOR_CAPTION,
            )
        )
    return charts


def _bars(
    figures: Sequence[Figures], measure: Callable[[Figures], Measured | None]
) -> list[Bar]:
    return [
        Bar(
            _TITLES[each.kind],
            found.value,
            f"{found.value:.2f}",
            found.interval,
            _COLORS.get(each.kind, 0),
        )
        for each in figures
        if (found := measure(each)) is not None
    ]


def _number(found: object, *, ends: bool = True) -> str:
    value, interval = getattr(found, "value", None), getattr(found, "interval", None)
    if value is None or interval is None:
        return UNKNOWN
    if not ends:
        return f"{value:.2f}"
    return f"{value:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]"


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0%}"
