"""Evaluation results as a table and as an HTML page."""

from collections.abc import Callable
from pathlib import Path

from langchain_chatexports._files import write_atomic
from langchain_chatexports._translation import Sentence
from langchain_chatexports.evaluation.contestants import NEAREST, TITLES
from langchain_chatexports.evaluation.results import (
    Difference,
    Evaluation,
    Figures,
    Measurement,
)
from langchain_chatexports.report.html import render_page
from langchain_chatexports.report.numbers import number
from langchain_chatexports.report.svg import Bar, draw_bars

_CHANCE = 0.5
UNKNOWN = "\u2013"

_TITLES = {**TITLES, "person": "the person"}
_SHORT_TITLES = {
    "tuned": "tuned",
    "few_shot": "few-shot",
    "base": "base",
    "person": "person",
}
_PROMPTS = {
    "base": "plain",
    "few_shot": f"plain, with {NEAREST} similar replies",
}
_CHARTS: dict[str, tuple[str, float | None, str]] = {
    "bits_per_byte": (
        "Bits per byte",
        None,
        "How surprising the person's own held-out words are; lower is better.",
    ),
    "told_apart": (
        "Told apart by a detector",
        1,
        (
            "How often a trained detector picks the real one of two replies: 0.5 is "
            "chance, 1 is always. The person is compared with their own earlier "
            "replies: no model can do better."
        ),
    ),
    "matched": (
        "About its message",
        1,
        "How often a reply can be told to belong to its message, of eight.",
    ),
}
_COLORS = {"tuned": 1, "few_shot": 2}


def write_evaluation_page(evaluation: Evaluation, path: str | Path) -> None:
    """Write an evaluation as one HTML file that only its owner can read.

    Args:
        evaluation: The results.
        path: The file to write or replace atomically.

    Raises:
        ChatExportError: If it cannot be written there.
        MissingExtraError: If the extra `evaluate` is not installed.
    """
    write_atomic(path, render_evaluation_page(evaluation).encode("utf-8", "replace"))


def render_evaluation_page(evaluation: Evaluation) -> str:
    """Render an evaluation as a self-contained HTML page."""
    headers, *rows = build_table(evaluation, with_intervals=True)
    return render_page(
        "evaluation.html",
        package="langchain_chatexports.evaluation",
        evaluation=evaluation,
        headline=" ".join(summarize_evaluation(evaluation)),
        charts=_charts(evaluation),
        headers=("", *(f"#{header}" for header in headers[1:])),
        rows=rows,
        differences=[
            (f"{_TITLES[loss.a]} against {_TITLES[loss.b]}", _number(loss))
            for loss in evaluation.loss_differences
        ],
        contestants=[
            (
                _TITLES[figures.kind],
                figures.model,
                _PROMPTS.get(figures.kind, "as in its examples"),
            )
            for figures in evaluation.figures
            if figures.model
        ],
    )


def summarize_evaluation(evaluation: Evaluation) -> list[Sentence]:
    """Summarize the main results in a few sentences for laypeople."""
    sentences = [evaluation.blind.describe()] if evaluation.blind else []
    tuned = evaluation.get("tuned")
    if tuned and tuned.told_apart:
        detected = tuned.told_apart
        pairs = round(100 * detected.value)
        sentences.append(
            Sentence(
                "A classifier picks out the person's reply in {count} of 100 pairs "
                "(50 would be chance): it could tell the model from the person.",
                count=pairs,
            )
            if detected.interval[0] > _CHANCE
            else Sentence(
                "A classifier picks out the person's reply in {count} of 100 pairs "
                "(50 would be chance): it could not tell the model from the person.",
                count=pairs,
            )
        )
    for loss in evaluation.loss_differences:
        if (loss.a, loss.b) == ("tuned", "few_shot"):
            low, high = loss.interval
            if low <= 0 <= high:
                sentence = Sentence(
                    "The model writes no more like the person than the base model with "
                    "examples to imitate does."
                )
            elif high < 0:
                sentence = Sentence(
                    "The model writes more like the person than the base model with "
                    "examples to imitate does."
                )
            else:
                sentence = Sentence(
                    "The model writes less like the person than the base model with "
                    "examples to imitate does."
                )
            sentences.append(sentence)
    person = evaluation.get("person")
    if tuned and tuned.matched and person and person.matched:
        sentences.append(
            Sentence(
                "Of the person's replies, {person} of 100 can be told to belong to "
                "their message, of eight, and {model} of 100 of the model's (12 would "
                "be chance).",
                person=round(100 * person.matched.value),
                model=round(100 * tuned.matched.value),
            )
        )
    if reason := evaluation.reasons.get("told_apart"):
        sentences.append(
            Sentence(
                "The detector was not measured: {reason}.", reason=Sentence(reason)
            )
        )
    if reason := evaluation.reasons.get("matched"):
        sentences.append(
            Sentence(
                "Whether replies are about their messages was not measured: {reason}.",
                reason=Sentence(reason),
            )
        )
    return sentences


def build_table(
    evaluation: Evaluation, *, with_intervals: bool = False
) -> list[tuple[str, ...]]:
    """Return all metrics as table rows, after the headers.

    Without intervals, it fits in 80 columns.
    """
    *contestants, person = evaluation.figures
    figures = [person, *contestants]

    def format_measurement(measurement: Measurement | None) -> str:
        return _number(measurement, with_interval=with_intervals)

    def row(title: str, cell: Callable[[Figures], str]) -> tuple[str, ...]:
        return title, *map(cell, figures)

    def percentage(title: str, name: str) -> tuple[str, ...]:
        return row(title, lambda figures: _percent(getattr(figures.talk, name)))

    titles = _TITLES if with_intervals else _SHORT_TITLES
    return [
        ("", *(titles[column.kind] for column in figures)),
        row("bits per byte", lambda figures: format_measurement(figures.bits_per_byte)),
        row("told apart", lambda figures: format_measurement(figures.told_apart)),
        row("about its message", lambda figures: format_measurement(figures.matched)),
        percentage("looping", "looping"),
        percentage("cut off", "cut"),
        percentage("empty", "empty"),
        percentage("another language", "other_language"),
        percentage("quotes its prompt", "quoting"),
        percentage("repeats a message", "repeating"),
        percentage("answers several", "reused"),
        percentage("copied phrases", "copied"),
        percentage("writes others' lines", "continuing"),
        percentage("distinct replies", "distinct"),
        percentage("end with punctuation", "marks"),
        row(
            "characters per message", lambda figures: number(figures.talk.characters, 0)
        ),
        row("messages per reply", lambda figures: number(figures.talk.bubbles, 1)),
        percentage("of several messages", "several"),
    ]


def _charts(evaluation: Evaluation) -> list[tuple[str, object, str]]:
    charts: list[tuple[str, object, str]] = []
    for name, (title, maximum, caption) in _CHARTS.items():
        bars = [
            Bar(
                _TITLES[row.kind],
                measured.value,
                number(measured.value, 2),
                measured.interval,
                _COLORS.get(row.kind, 0),
            )
            for row in evaluation.figures
            if (measured := getattr(row, name)) is not None
        ]
        if bars and name not in evaluation.reasons:
            chart = draw_bars(bars, description=title, maximum=maximum)
            charts.append((title, chart, caption))
    return charts


def _number(
    measured: Measurement | Difference | None, *, with_interval: bool = True
) -> str:
    if measured is None:
        return UNKNOWN
    if not with_interval:
        return number(measured.value, 2)
    low, high = (number(end, 2) for end in measured.interval)
    return f"{number(measured.value, 2)} [{low}, {high}]"


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0%}"
