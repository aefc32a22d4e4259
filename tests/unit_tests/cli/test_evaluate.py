"""`chatexports evaluate`: what it asks, shows and writes."""

import io
from pathlib import Path
from typing import Any, cast

import pytest

from langchain_chatexports.cli.evaluate import guess
from langchain_chatexports.evaluation import (
    EvaluationSettings,
    HeldOutData,
    ModelServer,
    evaluate,
)
from langchain_chatexports.evaluation.blind_test import BlindPair
from langchain_chatexports.evaluation.conversations import Utterance
from langchain_chatexports.workflows import evaluate as workflow
from tests.unit_tests.builders.kept_models import keep_model
from tests.unit_tests.builders.voice_server import Voices, talks
from tests.unit_tests.builders.voices import DISTINCT
from tests.unit_tests.cli.conftest import Command


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let voices stand for models, and note how the workflow is called."""
    asked: dict[str, Any] = {}

    def measured(model: str | None = None, **given: Any) -> Any:
        asked.update(given, model=model)
        given["on_event"](workflow.StageEvent("scoring: tuned model", 1, 9, 60.0))
        return evaluate(
            HeldOutData(talks(40, 1), talks(24, 2)),
            cast("ModelServer", Voices({"base": DISTINCT[1], "tuned": DISTINCT[0]})),
            tuned="tuned",
            base="base",
            settings=EvaluationSettings(given["settings"].turns, 24, rounds=5),
            blind=given["blind"],
        )

    monkeypatch.setattr(workflow, "evaluate_model", measured)
    return asked


def test_it_writes_a_page_and_prints_one_table(
    chatexports: Command, tmp_path: Path, asked: dict[str, Any]
) -> None:
    done = chatexports("evaluate", "mia", "--turns", "30")
    assert done.status == 0, done.err
    assert (tmp_path / "evaluation.html").is_file()
    assert "scoring: tuned model, about 60 s left in all" in done.err
    for shown in ("bits per byte", "told apart", "looping", "the person"):
        assert shown in done.out + done.err
    assert (asked["model"], asked["settings"].turns) == ("mia", 30)
    assert asked["blind"] is None


def test_without_a_model_it_says_how_to_train_one(
    chatexports: Command, tmp_path: Path
) -> None:
    done = chatexports("evaluate", "--data-dir", tmp_path / "none")
    assert done.status == 1
    assert "There is no tuned model on this machine" in done.err


def test_that_nothing_was_held_out_is_said_before_anything_starts(
    chatexports: Command, tmp_path: Path
) -> None:
    keep_model(tmp_path, "00000000000a")
    done = chatexports("evaluate", "--data-dir", tmp_path)
    assert done.status == 1
    assert "held nothing out" in done.err
    assert "starting" not in done.err


def test_a_blind_test_needs_somebody(chatexports: Command) -> None:
    done = chatexports("evaluate", "--blind", "20")
    assert done.status == 2
    assert "no terminal" in done.err


PAIRS = [
    BlindPair((Utterance("p1", f"question {n}"),), ("yes [b]no", "no"), n % 2)
    for n in range(9)
]


@pytest.mark.parametrize("typed", ["", "a\nb\n"])
def test_whoever_stops_early_gets_no_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert guess(PAIRS, 4) is None
    assert capsys.readouterr().err.count("told apart") == 1


def test_an_answer_does_not_command_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "\x1b]0;evil\x07"
    pair = BlindPair((Utterance("p1", f"so{evil}"),), (f"yes{evil}", "no"), 0)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    guess([pair], 1)
    shown = capsys.readouterr().err
    assert "evil" in shown
    assert "\x1b]" not in shown
    assert "\x07" not in shown


def test_guesses_are_counted_and_told_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = "a\n?\nab\nB\n\na\na\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    result = guess(PAIRS, 4)
    assert result is not None
    assert (result.right, result.pairs) == (3, 4)
    shown = capsys.readouterr().err
    assert "question 3" in shown
    assert "question 4" not in shown
    assert "yes [b]no" in shown
    assert "3 of 4 right, guessing gives 2: you could not tell" in shown
