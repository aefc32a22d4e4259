"""The evaluation as one table and one picture, in the terminal and as an HTML page."""

from collections.abc import Callable, Sequence
from pathlib import Path

from langchain_chatexports._files import write_whole
from langchain_chatexports.evaluation.contestants import NEAREST
from langchain_chatexports.evaluation.detector import MIN_CONVERSATIONS
from langchain_chatexports.evaluation.results import Evaluation, Figures, Measured
from langchain_chatexports.report.html import render_page
from langchain_chatexports.report.language import _, current, number
from langchain_chatexports.report.svg import Bar, bars

_CHANCE = 0.5
UNKNOWN = "\u2013"
"""The text for a missing measure."""

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
    titles = _titles()
    return render_page(
        "evaluation.html",
        package="langchain_chatexports.evaluation",
        evaluation=evaluation,
        headline=headline(evaluation),
        charts=_charts(evaluation),
        headers=("", *(f"#{header}" for header in headers[1:])),
        rows=rows,
        differences=[
            (
                _("{a} against {b}", a=titles[found.a], b=titles[found.b]),
                _number(found),
            )
            for found in evaluation.loss_differences
        ],
        asked=[
            (titles[each.kind], each.model, _prompt(each))
            for each in evaluation.figures
            if each.model
        ],
        reasons=_reasons(evaluation),
    )


def headline(evaluation: Evaluation) -> str:
    """Return the main result in a few sentences for laypeople."""
    sentences = [str(evaluation.blind)] if evaluation.blind else []
    tuned = evaluation.of("tuned")
    if tuned and tuned.told_apart:
        sentences.append(_detected(tuned.told_apart))
    sentences += [
        _compared(
            evaluation,
            "few_shot",
            more=_(
                "It writes more like the person than the base model with examples to "
                "imitate does."
            ),
            less=_(
                "It writes less like the person than the base model with examples to "
                "imitate does."
            ),
            alike=_(
                "It writes no more like the person than the base model with examples "
                "to imitate does."
            ),
        ),
        _compared(
            evaluation,
            "wrong_person",
            more="It writes more like the person than another person's model does.",
            less="It writes less like the person than another person's model does.",
            alike="It writes no more like the person than another person's model does.",
        ),
    ]
    reasons = _reasons(evaluation)
    if why := reasons.get("bits_per_byte"):
        sentences.append(_("Bits per byte were not measured: {why}.", why=why))
    if why := reasons.get("told_apart"):
        sentences.append(_("The detector was not measured: {why}.", why=why))
    return " ".join(filter(None, sentences))


def _detected(found: Measured) -> str:
    right = round(100 * found.value)
    if found.interval[0] > _CHANCE:
        return _(
            "Of 100 pairs of replies, a program that looks for differences finds the "
            "person's own in {right}, guessing gives 50: it could tell the model from "
            "the person.",
            right=right,
        )
    return _(
        "Of 100 pairs of replies, a program that looks for differences finds the "
        "person's own in {right}, guessing gives 50: it could not tell the model from "
        "the person.",
        right=right,
    )


def _reasons(evaluation: Evaluation) -> dict[str, str]:
    """Return the reasons for missing measures, in the language of the page."""
    reasons = dict(evaluation.reasons)
    if "told_apart" in reasons:
        reasons["told_apart"] = _(
            "it takes {needed} held-out conversations, there are {found}",
            needed=MIN_CONVERSATIONS,
            found=evaluation.data.heldout_conversations,
        )
    return reasons


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

    titles = _titles() if with_intervals else _SHORT
    return [
        ("", *(titles[each.kind] for each in figures)),
        row(_("bits per byte"), lambda each: measured(each.bits_per_byte)),
        row(_("told apart"), lambda each: measured(each.told_apart)),
        share(_("looping"), "looping"),
        share(_("cut off"), "cut"),
        share(_("empty"), "empty"),
        share(_("another language"), "other_language"),
        share(_("quotes its prompt"), "quoting"),
        share(_("repeats a message"), "repeating"),
        share(_("speaks for others"), "continuing"),
        share(_("distinct replies"), "distinct"),
        share(_("end with a mark"), "marks"),
        row(_("characters a message"), lambda each: number(each.talk.characters, 0)),
        row(_("messages a reply"), lambda each: number(each.talk.bubbles, 1)),
    ]


def _titles() -> dict[str, str]:
    return {
        "tuned": _("tuned model"),
        "few_shot": _("base with examples"),
        "base": _("base model"),
        "wrong_person": _("another's model"),
        "person": _("the person"),
    }


def _prompt(figures: Figures) -> str:
    if figures.kind == "base":
        return _("plain")
    if figures.kind == "few_shot":
        return _("plain, with {count} similar replies", count=NEAREST)
    return _("as in its examples")


def _compared(
    evaluation: Evaluation, kind: str, *, more: str, less: str, alike: str
) -> str:
    for found in evaluation.loss_differences:
        if (found.a, found.b) == ("tuned", kind):
            low, high = found.interval
            if low <= 0 <= high:
                return alike
            return more if found.value < 0 else less
    return ""


def _charts(evaluation: Evaluation) -> list[tuple[str, object, str]]:
    losses = _bars(evaluation.figures, lambda each: each.bits_per_byte)
    detected = _bars(evaluation.figures, lambda each: each.told_apart)
    charts: list[tuple[str, object, str]] = []
    if losses:
        title = _("Bits per byte")
        caption = _(
            "How surprising the person's own held-out words are; lower is better."
        )
        charts.append((title, bars(losses, description=title), caption))
    if detected:
        title = _("Told apart by a detector")
        caption = _(
            "How often a trained detector finds the real reply of two: 0.5 is chance, "
            "1 is always. The person's row compares with their own earlier replies: no "
            "model can do better."
        )
        charts.append((title, bars(detected, description=title, most=1), caption))
    return charts


def _bars(
    figures: Sequence[Figures], measure: Callable[[Figures], Measured | None]
) -> list[Bar]:
    titles = _titles()
    return [
        Bar(
            titles[each.kind],
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
    return UNKNOWN if value is None else current().percent(value)
