"""The evaluation page: one HTML file with results and no message text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports._files import write_whole
from langchain_chatexports.evaluation import tables
from langchain_chatexports.evaluation.charts import loss_chart, score_chart
from langchain_chatexports.evaluation.contestants import TITLES
from langchain_chatexports.report.html import render_page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langchain_chatexports.evaluation.results import ContestantInfo, Evaluation

__all__ = [
    "evaluation_page",
    "headline",
    "overview",
    "title_of",
    "validation_sentence",
    "write_evaluation_page",
]


def write_evaluation_page(evaluation: Evaluation, path: str | Path) -> None:
    """Write an evaluation as one HTML file that only its owner can read.

    Args:
        evaluation: The results.
        path: The file to write or replace, whole or not at all.

    Raises:
        ChatExportError: If it cannot be written there.
        MissingExtraError: If the extra `report` is not installed.
    """
    write_whole(path, evaluation_page(evaluation).encode("utf-8", "replace"))


def evaluation_page(evaluation: Evaluation) -> str:
    """Return an evaluation as one HTML page, which loads nothing from elsewhere.

    Args:
        evaluation: The results.

    Returns:
        The page, the same for the same results.

    Raises:
        MissingExtraError: If the extra `report` is not installed.
    """
    temperature = evaluation.contestants[0].temperature
    shown = _tuned_first(evaluation.contestants)
    main = [
        (each.name, each.kind, TITLES[each.kind])
        for each in shown
        if each.temperature == temperature
    ]
    titles = {each.name: title_of(each, temperature) for each in shown}
    main_titles = {name: title for name, _, title in main}
    return render_page(
        "evaluation.html",
        package="langchain_chatexports.evaluation",
        evaluation=evaluation,
        headline=headline(evaluation),
        facts=_facts(evaluation),
        score_svg=score_chart(evaluation, main),
        style_reason=_style_reason(evaluation),
        loss_svg=loss_chart(evaluation, main),
        loss_reason=_loss_reason(evaluation),
        validation=validation_sentence(evaluation),
        loss_table=tables.loss_table(evaluation, titles),
        relevance_table=tables.relevance_table(evaluation, titles),
        difference_rows=tables.difference_rows(evaluation, main_titles),
        measure_headers=("", *(f"#{title}" for title in titles.values())),
        measure_rows=tables.measure_rows(evaluation, titles),
        distance_table=tables.distance_table(evaluation, main_titles),
        detector_rows=tables.detector_rows(evaluation, titles),
        sanity_table=tables.sanity_table(evaluation, titles),
        copy_table=tables.copy_table(evaluation, titles),
        name_rows=tables.name_rows(evaluation, titles),
        secret_table=tables.secret_table(evaluation),
        blind_rows=tables.blind_rows(evaluation.blind),
        contestant_rows=tables.contestant_rows(shown, titles),
    )


def _tuned_first(contestants: Sequence[ContestantInfo]) -> list[ContestantInfo]:
    temperatures = list(dict.fromkeys(each.temperature for each in contestants))
    kinds = list(TITLES)
    return sorted(
        contestants,
        key=lambda each: (temperatures.index(each.temperature), kinds.index(each.kind)),
    )


def title_of(contestant: ContestantInfo, main_temperature: float) -> str:
    """Return a contestant's name as the page shows it."""
    title = TITLES[contestant.kind]
    if contestant.temperature == main_temperature:
        return title
    return f"{title}, T\u00a0{contestant.temperature:g}"


def headline(evaluation: Evaluation) -> str:
    """Return the two primary results in a sentence or two."""
    said = (
        _style_sentence(evaluation),
        _loss_sentence(evaluation),
        _control_sentence(evaluation),
    )
    return " ".join(filter(None, said))


def overview(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """Return the main results as a table's rows, headers first.

    They fit a terminal of 80 columns; the page has the others.
    """
    temperature = evaluation.contestants[0].temperature
    scores = {each.contestant: each for each in evaluation.summary or ()}
    losses = {each.contestant: each for each in evaluation.loss}
    copies = {each.contestant: each for each in evaluation.copies}
    rows: list[tuple[str, ...]] = [("", "style (0 to 1)", "bits per byte", "copied")]
    for each in _tuned_first(evaluation.contestants):
        score, loss = scores.get(each.name), losses.get(each.name)
        rows.append(
            (
                title_of(each, temperature),
                tables.with_interval(score.median_score, score.interval)
                if score
                else tables.UNKNOWN,
                tables.with_interval(loss.bits_per_byte, loss.interval)
                if loss
                else tables.UNKNOWN,
                tables.share_text(copies[each.name].exact),
            )
        )
    copied = tables.share_text(evaluation.copies[0].person.exact)
    rows.append(("the person", "1", "", copied))
    return rows


def _style_sentence(evaluation: Evaluation) -> str:
    by_name = {each.contestant: each for each in evaluation.summary or ()}
    tuned = by_name.get("tuned")
    if tuned is None or tuned.median_score is None:
        return _style_reason(evaluation)
    own = tables.with_interval(tuned.median_score, tuned.interval)
    text = f"The tuned model's style score is {own}"
    few = by_name.get("few_shot")
    if few is not None and few.median_score is not None:
        text += f", that of the base with examples {few.median_score:.2f}"
    return f"{text} (0: like other people of this export; 1: like the person)."


def _loss_sentence(evaluation: Evaluation) -> str:
    for found in evaluation.loss_differences:
        if (found.a, found.b) == ("tuned", "few_shot"):
            low, high = found.interval
            if low <= 0 <= high:
                return (
                    "The tuned model's loss does not differ significantly from that of "
                    "the base with examples."
                )
            lower = "lower" if found.value < 0 else "higher"
            return (
                f"The tuned model's loss is {lower} than that of the base with "
                f"examples: {found.value:+.2f} [{low:.2f}, {high:.2f}] bits per byte."
            )
    return _loss_reason(evaluation)


def _control_sentence(evaluation: Evaluation) -> str:
    for found in evaluation.loss_differences:
        if (found.a, found.b) == ("tuned", "wrong_person"):
            own = tables.with_interval(found.value, found.interval)
            return f"Against another person's model it is {own}."
    return ""


def _style_reason(evaluation: Evaluation) -> str:
    if evaluation.measures is None:
        return f"Style was not measured: {evaluation.reasons['measures']}."
    reasons = {found.reason for found in evaluation.measures if found.reason}
    return f"Style has distances, but no scores: {'; '.join(sorted(reasons))}."


def _loss_reason(evaluation: Evaluation) -> str:
    reasons = {each.reason for each in evaluation.loss if each.reason}
    return (
        f"The loss was not measured: {'; '.join(sorted(reasons))}." if reasons else ""
    )


def validation_sentence(evaluation: Evaluation) -> str:
    """Return what the tuned model's own job reports of its loss, if anything."""
    found = evaluation.validation_loss
    if found is None:
        return ""
    return (
        f"The tuned model's own job reports a loss of {found.full_valid_loss:.2f} "
        f"{found.unit} on its validation file (step {found.step:,}), which cannot be "
        "compared with bits per byte."
    )


def _facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    data = evaluation.data
    facts = [
        (f"{data.heldout_conversations:,}", "held-out conversations"),
        (f"{data.heldout_turns:,}", "turns answered by each model"),
        (f"{data.train_conversations:,}", "conversations trained on"),
        (f"{len(data.others):,}", "other people to compare with"),
    ]
    style = [
        s.median_score for s in evaluation.summary or () if s.contestant == "tuned"
    ]
    loss = [
        each.bits_per_byte for each in evaluation.loss if each.contestant == "tuned"
    ]
    tuned = [
        (f"{value:.2f}", f"{what} of the tuned model")
        for what, values in (("style score", style), ("bits per byte", loss))
        for value in values
        if value is not None
    ]
    return [*tuned, *facts]
