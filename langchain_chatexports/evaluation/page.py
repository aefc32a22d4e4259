"""The evaluation as one table and one picture, in the terminal and as an HTML page."""

from collections.abc import Callable, Sequence
from pathlib import Path

from langchain_chatexports._files import write_whole
from langchain_chatexports.evaluation.contestants import NEAREST
from langchain_chatexports.evaluation.results import Evaluation, Figures, Measured
from langchain_chatexports.report.html import render_page
from langchain_chatexports.report.numbers import number
from langchain_chatexports.report.svg import Bar, bars

_CHANCE = 0.5
UNKNOWN = "\u2013"

_TITLES = {
    "tuned": "tuned model",
    "few_shot": "base with examples",
    "base": "base model",
    "wrong_person": "another's model",
    "person": "the person",
}
_SHORT = {
    "tuned": "tuned",
    "few_shot": "few-shot",
    "base": "base",
    "wrong_person": "another's",
    "person": "person",
}
_PROMPTS = {
    "base": "plain",
    "few_shot": f"plain, with {NEAREST} similar replies",
}
_OTHERS = {
    "few_shot": "the base model with examples to imitate",
    "wrong_person": "another person's model",
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
            (
                _TITLES[each.kind],
                each.model,
                _PROMPTS.get(each.kind, "as in its examples"),
            )
            for each in evaluation.figures
            if each.model
        ],
    )


def headline(evaluation: Evaluation) -> str:
    """Return the main result in a few sentences for laypeople."""
    sentences = [str(evaluation.blind)] if evaluation.blind else []
    tuned = evaluation.of("tuned")
    if tuned and tuned.told_apart:
        detected = tuned.told_apart
        could = "could" if detected.interval[0] > _CHANCE else "could not"
        sentences.append(
            "Of 100 pairs of replies, a program that looks for differences finds the "
            f"person's own in {round(100 * detected.value)}, guessing gives 50: it "
            f"{could} tell the model from the person."
        )
    for found in evaluation.loss_differences:
        if found.a == "tuned" and found.b in _OTHERS:
            low, high = found.interval
            much = "no more" if low <= 0 <= high else "more" if high < 0 else "less"
            sentences.append(
                f"It writes {much} like the person than {_OTHERS[found.b]} does."
            )
    if why := evaluation.reasons.get("told_apart"):
        sentences.append(f"The detector was not measured: {why}.")
    return " ".join(sentences)


def table(
    evaluation: Evaluation, *, with_intervals: bool = False
) -> list[tuple[str, ...]]:
    """Return all measures as rows of a table, with headers first.

    Without intervals it fits a terminal of 80 columns.
    """
    *contestants, person = evaluation.figures
    figures = [person, *contestants]

    def measured(found: Measured | None) -> str:
        return _number(found) if with_intervals else _number(found, ends=False)

    def row(title: str, cell: Callable[[Figures], str]) -> tuple[str, ...]:
        return title, *map(cell, figures)

    def share(title: str, name: str) -> tuple[str, ...]:
        return row(title, lambda each: _percent(getattr(each.talk, name)))

    titles = _TITLES if with_intervals else _SHORT
    return [
        ("", *(titles[each.kind] for each in figures)),
        row("bits per byte", lambda each: measured(each.bits_per_byte)),
        row("told apart", lambda each: measured(each.told_apart)),
        share("looping", "looping"),
        share("cut off", "cut"),
        share("empty", "empty"),
        share("another language", "other_language"),
        share("quotes its prompt", "quoting"),
        share("repeats a message", "repeating"),
        share("speaks for others", "continuing"),
        share("distinct replies", "distinct"),
        share("end with a mark", "marks"),
        row("characters a message", lambda each: number(each.talk.characters, 0)),
        row("messages a reply", lambda each: number(each.talk.bubbles, 1)),
    ]


def _charts(evaluation: Evaluation) -> list[tuple[str, object, str]]:
    losses = _bars(evaluation.figures, lambda each: each.bits_per_byte)
    detected = _bars(evaluation.figures, lambda each: each.told_apart)
    charts: list[tuple[str, object, str]] = []
    if losses:
        title = "Bits per byte"
        caption = "How surprising the person's own held-out words are; lower is better."
        charts.append((title, bars(losses, description=title), caption))
    if detected:
        title = "Told apart by a detector"
        caption = (
            "How often a trained detector finds the real reply of two: 0.5 is chance, "
            "1 is always. The person's row compares with their own earlier replies: no "
            "model can do better."
        )
        charts.append((title, bars(detected, description=title, most=1), caption))
    return charts


def _bars(
    figures: Sequence[Figures], measure: Callable[[Figures], Measured | None]
) -> list[Bar]:
    return [
        Bar(
            _TITLES[each.kind],
            found.value,
            number(found.value, 2),
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
        return number(value, 2)
    low, high = (number(end, 2) for end in interval)
    return f"{number(value, 2)} [{low}, {high}]"


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0%}"
