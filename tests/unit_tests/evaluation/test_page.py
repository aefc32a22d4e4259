"""The page of an evaluation."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, cast

import pytest

from langchain_chatexports.evaluation import (
    Evaluation,
    EvaluationSettings,
    HeldOutData,
    blind_result,
    evaluate,
    evaluation_page,
    write_evaluation_page,
)
from langchain_chatexports.evaluation.blind_test import BlindGuess
from langchain_chatexports.evaluation.model_server import JobFacts
from langchain_chatexports.evaluation.page import headline, overview
from langchain_chatexports.evaluation.results import Secrets, ValidationLoss
from tests.unit_tests.builders.voice_server import Voices, talks
from tests.unit_tests.builders.voices import DISTINCT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langchain_chatexports.evaluation.model_server import ModelServer

SECRETS = Secrets(
    repeats=4,
    canaries=2,
    samples=40,
    sampled_hits=9,
    partial_hits=9,
    greedy_hits=2,
    hit_upper_bound=1.0,
    exposure_bits=[8.0, 7.0],
    exposure_max=8.0,
    z=[-5.5, -5.0],
    base_exposure_bits=[1.0, 2.0],
)


@pytest.fixture(scope="module")
def data() -> HeldOutData:
    names = frozenset({"mia", "oskar", "rita", "yun"})
    return HeldOutData(talks(40, 1), talks(24, 2), names=names, person="mia")


@pytest.fixture(scope="module")
def found(data: HeldOutData) -> Evaluation:
    server = Voices({"base": DISTINCT[1], "tuned": DISTINCT[0]})
    server.job = JobFacts(
        ValidationLoss(
            contestant="tuned",
            full_valid_loss=1.375,
            unit="nats per token",
            step=1240,
            source="checkpoints",
        ),
        [],
    )
    guesses = [
        BlindGuess(is_right=at < 23, size=at, confidence=1 + at % 3) for at in range(40)
    ]
    result = evaluate(
        data,
        cast("ModelServer", server),
        tuned="tuned",
        base="base",
        settings=EvaluationSettings(turns=60, rounds=20, loss_rounds=20),
        secrets=lambda: [SECRETS],
        blind=lambda _: blind_result(23, 40, guesses),
    )
    # These models do not read; on the page the columns must be told apart.
    relevance = [
        each.model_copy(update={"foreign_history": 9.25, "difference": 7.75})
        for each in result.relevance
    ]
    return result.model_copy(update={"relevance": relevance})


@pytest.fixture(scope="module")
def page(found: Evaluation) -> str:
    return evaluation_page(found)


def test_the_page_loads_nothing(page: str) -> None:
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert "<svg" in page


def test_no_text_of_a_message_and_no_name_is_on_it(
    page: str, data: HeldOutData
) -> None:
    for name in data.names or ():
        assert not re.search(rf"\b{name}\b", page.lower())
    for conversation in (*data.training, *data.held_out):
        for line in conversation.lines:
            assert len(line.text) < 12 or line.text not in page


class Tables(HTMLParser):
    """The tables of a page: rows of cells, by the text of their headers."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[tuple[str, ...], list[list[str]]] = {}
        self._row: list[str] = []
        self._headers: tuple[str, ...] = ()
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag == "tr":
            self._row = []
        self._in_cell = tag in {"td", "th"}
        if self._in_cell:
            self._row.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in {"td", "th"}
        if tag == "thead":
            self._headers = tuple(self._row)
            self.found[self._headers] = []
        elif tag == "tr" and self._headers and self._row:
            self.found[self._headers].append(self._row)
        elif tag == "table":
            self._headers = ()

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self._row[-1] += data

    def named(self, header: str) -> list[dict[str, str]]:
        """Return the rows of the one table that has a column, by their headers."""
        (headers,) = (each for each in self.found if header in each)
        return [dict(zip(headers, row, strict=True)) for row in self.found[headers]]


@pytest.fixture(scope="module")
def tables(page: str) -> Tables:
    return Tables(page)


TITLES = {
    "tuned": "tuned model",
    "few_shot": "base with examples",
    "base": "base model",
    "tuned@0.7": "tuned model, T\u00a00.7",
    "few_shot@0.7": "base with examples, T\u00a00.7",
    "base@0.7": "base model, T\u00a00.7",
}


def written(value: float | None, ends: Sequence[float] | None = None) -> str:
    if value is None:
        return "\u2013"
    whole = "" if ends is None else f" [{ends[0]:.2f}, {ends[1]:.2f}]"
    return f"{value:.2f}{whole}"


def test_every_score_stands_in_its_row_and_column(
    tables: Tables, found: Evaluation
) -> None:
    values = found.model_dump(mode="json")
    (headers,) = (each for each in tables.found if each[1:] == tuple(TITLES.values()))
    median, *rows = (dict(zip(headers, r, strict=True)) for r in tables.found[headers])
    for summary in values["summary"]:
        cell = median[TITLES[summary["contestant"]]]
        assert cell == written(summary["median_score"], summary["interval"])
    for row, measure in zip(rows, values["measures"], strict=True):
        assert row[""] == f"{measure['name']}: {measure['meaning']}"
        for each in measure["contestants"]:
            cell = row[TITLES[each["name"]]]
            assert cell == written(each["score"], each["score_interval"])


def test_every_distance_stands_in_its_row_and_column(
    tables: Tables, found: Evaluation
) -> None:
    values = found.model_dump(mode="json")
    rows = tables.named("units compared")
    for row, measure in zip(rows, values["measures"], strict=True):
        assert (row["measure"], row["in"]) == (measure["name"], measure["unit"])
        assert row["units compared"] == f"{measure['units_each']:,}"
        ceiling, floor = measure["ceiling"], measure["floor"]
        assert row["the person"] == written(ceiling, measure["ceiling_interval"])
        assert row["other people"] == written(floor, measure["floor_interval"])
        each_of_them = [f"{k} {v:.2f}" for k, v in measure["floor_each"].items()]
        assert row["each of them"] == ", ".join(each_of_them)
        for each in measure["contestants"]:
            if "@" not in each["name"]:
                cell = row[TITLES[each["name"]]]
                assert cell == written(each["value"], each["interval"])


def test_losses_and_relevance_stand_in_their_rows(
    tables: Tables, found: Evaluation
) -> None:
    values = found.model_dump(mode="json")
    rows = {row[""]: row for row in tables.named("bits per byte")}
    for loss in values["loss"]:
        row = rows[TITLES[loss["contestant"]]]
        assert row["bits per byte"] == written(loss["bits_per_byte"], loss["interval"])
        assert row["of the end, in bits"] == written(loss["end_bits"])
        assert row["turns"] == f"{loss['turns']:,}"
    rows = {row[""]: row for row in tables.named("own history")}
    assert len(rows) == len(values["relevance"]) == 2
    for each in values["relevance"]:
        row = rows[TITLES[each["contestant"]]]
        assert row["own history"] == written(each["own_history"])
        assert row["foreign history"] == written(each["foreign_history"])
        assert row["difference"] == written(each["difference"], each["interval"])


def test_differences_stand_in_their_rows(tables: Tables, found: Evaluation) -> None:
    shown = {
        (row[0], row[1]): row[2]
        for headers, rows in tables.found.items()
        if headers == ("", "in", "difference")
        for row in rows
    }
    values = found.model_dump(mode="json")
    expected = {
        (f"{TITLES[each['a']]} against {TITLES[each['b']]}", unit): written(
            each["value"], each["interval"]
        )
        for unit, name in (
            ("bits per byte", "loss_differences"),
            ("median score", "summary_differences"),
        )
        for each in values[name]
        if "@" not in each["a"] + each["b"]
    }
    assert shown == expected
    assert len(shown) == 6


def test_guards_copies_and_names_stand_in_their_rows(
    tables: Tables, found: Evaluation
) -> None:
    def share(value: float) -> str:
        return f"{value:.0%}"

    values = found.model_dump(mode="json")
    guards, copies, names = (
        {row[""]: row for row in tables.named(header)}
        for header in ("reach", "longest run", "names a reply")
    )
    rows = [(TITLES[each["contestant"]], each) for each in values["guards"]]
    for title, each in (*rows, ("the person", values["guards"][0]["person"])):
        row = guards[title]
        assert row["not repeated"] == share(each["variety"])
        assert row["words of 400"] == f"{each['words_400']:.0f}"
        assert row["reach"] == share(each["reach"])
        assert row["empty"] == share(each["empty"])
        assert row["cut off"] == (share(each["cut"]) if "cut" in each else "\u2013")
    rows = [(TITLES[each["contestant"]], each) for each in values["copies"]]
    for title, each in (*rows, ("the person", values["copies"][0]["person"])):
        row = copies[title]
        assert row["messages"] == str(each["bubbles"])
        assert row["whole"] == share(each["exact"])
        assert row["six words"] == share(each["unique6"])
        assert row["longest run"] == " / ".join(map(str, each["longest_run"]))
        assert row["excess"] == written(each.get("excess"), each.get("interval"))
    for each in values["names"]:
        row = names[TITLES[each["contestant"]]]
        assert row["names a reply"] == written(each["unprompted_per_reply"])
        assert row["the person's"] == written(each["person"])
        counts = [row[name] for name in ("outside", "numbers", "addresses")]
        fields = ("outside_circle", "numbers", "addresses")
        assert counts == [str(each[name]) for name in fields]


def test_what_the_detector_finds_stands_in_its_rows(
    tables: Tables, found: Evaluation
) -> None:
    values = found.model_dump(mode="json")["detector"]
    rows = {row[""]: row["told apart"] for row in tables.named("told apart")}
    person = written(values["ceiling"], values["ceiling_interval"])
    assert rows.pop("the person, earlier") == person
    each_of_them = ", ".join(f"{k} {v:.2f}" for k, v in values["floor_each"].items())
    assert rows.pop("other people") == f"{values['floor']:.2f} ({each_of_them})"
    assert rows == {
        TITLES[each["name"]]: written(each["told_apart"], each["interval"])
        for each in values["contestants"]
    }


def test_secrets_guesses_and_contestants_stand_in_their_rows(
    tables: Tables, found: Evaluation
) -> None:
    (row,) = tables.named("exposure")
    assert row == {
        "planted": "4 times",
        "secrets": "2",
        "said": "9 of 40",
        "in part": "9 of 40",
        "greedy": "2 of 2",
        "at most": "100%",
        "exposure": "8.0, 7.0",
        "z": "-5.5, -5.0",
        "exposure, base": "1.0, 2.0",
    }
    # 23 right ones of 40, the shortest first.
    assert {row[""]: row["right"] for row in tables.named("right")} == {
        "the shortest third": "13 of 13",
        "the middle third": "10 of 14",
        "the longest third": "0 of 13",
        "guessed": "8 of 14",
        "rather sure": "8 of 13",
        "sure": "7 of 13",
    }
    shown = tables.named("max tokens")
    assert [row[""] for row in shown] == list(TITLES.values())
    for row in shown:
        (info,) = (c for c in found.contestants if TITLES[c.name] == row[""])
        assert row["temperature"] == f"{info.temperature:g}"
        assert row["max tokens"] == str(info.max_tokens)
        assert (row["top_p"], row["model"]) == ("1", info.model)


def test_every_finding_of_the_json_has_a_place_on_the_page(
    page: str, found: Evaluation
) -> None:
    """What nobody shows, nobody needs; a new field must be placed or named here."""
    digest = str(found.person)
    assert digest not in page
    for count in (found.data.heldout_turns, found.data.train_turns, found.seed):
        assert f"{count:,}" in page
    assert "1.38 nats per token on its validation file (step 1,240)" in page
    assert set(found.model_dump()) == {
        "format", "created", "seed", "language", "person", "versions", "data",
        "contestants", "loss", "loss_differences", "validation_loss", "relevance",
        "measures", "summary", "summary_differences", "detector", "guards", "copies",
        "secrets", "names", "blind", "reasons", "notes",
    }  # fmt: skip


def test_its_figures_are_the_findings(page: str, found: Evaluation) -> None:
    for each in found.summary or ():
        if each.median_score is not None and each.interval is not None:
            low, high = each.interval
            assert f"{each.median_score:.2f} [{low:.2f}, {high:.2f}]" in page
    for loss in found.loss:
        assert f"{loss.bits_per_byte:.2f} [" in page
    assert "23 of 40" in page
    assert "9 of 40" in page


def test_every_measure_is_named_and_explained(page: str, found: Evaluation) -> None:
    for measure in found.measures or ():
        assert measure.meaning in page


def test_the_same_findings_give_the_same_page(page: str, found: Evaluation) -> None:
    assert evaluation_page(found) == page


def test_what_was_not_measured_is_said_with_its_reason(data: HeldOutData) -> None:
    few = HeldOutData(data.training, data.held_out[:5])
    server = Voices({"tuned": DISTINCT[0]})
    server.scores = False
    found = evaluate(
        few,
        cast("ModelServer", server),
        tuned="tuned",
        settings=EvaluationSettings(rounds=9, loss_rounds=9),
    )
    page = evaluation_page(found)
    assert "20 held-out conversations" in page
    assert "this endpoint cannot score given text" in page
    assert "the examples do not say who takes part" in page
    assert "no test run was asked for" in page


def test_names_of_models_are_escaped(found: Evaluation) -> None:
    odd = [each.model_copy(update={"model": "<b>&evil"}) for each in found.contestants]
    page = evaluation_page(found.model_copy(update={"contestants": odd}))
    assert "<b>&evil" not in page
    assert "&lt;b&gt;&amp;evil" in page


def test_the_headline_says_both_primary_results(found: Evaluation) -> None:
    text = headline(found)
    assert "style score" in text
    assert "bits per byte" in text


def test_the_overview_fits_a_terminal(found: Evaluation) -> None:
    rows = overview(found)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    assert len(rows) > 4
    assert sum(widths) + 2 * (len(widths) - 1) <= 78  # One score may be negative.


def test_the_file_is_written_whole(found: Evaluation, tmp_path: Path) -> None:
    write_evaluation_page(found, tmp_path / "evaluation.html")
    written = (tmp_path / "evaluation.html").read_text(encoding="utf-8")
    assert written == evaluation_page(found)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_the_file_is_its_owners_alone(found: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "evaluation.html").touch(mode=0o644)
    write_evaluation_page(found, tmp_path / "evaluation.html")
    assert (tmp_path / "evaluation.html").stat().st_mode & 0o777 == 0o600
