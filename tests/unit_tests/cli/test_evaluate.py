"""`chatexports evaluate`: its page, table and blind test."""

import io
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.cli.evaluate import run_blind_test
from langchain_chatexports.evaluation import (
    EvaluationSettings,
    HeldOutData,
    evaluate,
)
from langchain_chatexports.evaluation.blind_test import BlindPair
from langchain_chatexports.evaluation.dialogues import Utterance
from langchain_chatexports.local_server import Workspace
from langchain_chatexports.workflows import evaluate as workflow
from tests.unit_tests.builders.voice_server import Voices, talks
from tests.unit_tests.builders.voices import DISTINCT
from tests.unit_tests.builders.workspaces import add_model
from tests.unit_tests.cli.conftest import Run


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace models by voices; return the arguments of the workflow."""
    arguments: dict[str, Any] = {}

    def evaluate_voices(model: str | None = None, **options: Any) -> Any:
        arguments.update(options, model=model)
        options["on_event"](workflow.StageEvent("scoring: tuned model", 1, 9, 60.0))
        return evaluate(
            HeldOutData(talks(40, 1), talks(24, 2)),
            Voices(base=DISTINCT[1], tuned=DISTINCT[0]),
            tuned="tuned",
            base="base",
            settings=EvaluationSettings(options["settings"].turns, 24, rounds=5),
            blind=options["blind"],
        )

    monkeypatch.setattr(workflow, "evaluate_model", evaluate_voices)
    return arguments


def test_evaluation_writes_page_and_table(
    run: Run, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    done = run("evaluate", "mia", "--turns", "30")
    assert done.status == 0, done.err
    assert (tmp_path / "evaluation.html").is_file()
    assert "scoring: tuned model, about 60 s left" in done.err
    for shown in ("bits per byte", "told apart", "looping", "the person"):
        assert shown in done.out + done.err
    assert (arguments["model"], arguments["settings"].turns) == ("mia", 30)
    assert arguments["blind"] is None


def test_missing_model_is_an_error(run: Run, tmp_path: Path) -> None:
    done = run("evaluate", "--data-dir", tmp_path / "none")
    assert done.status == 1
    assert "No tuned models on this machine" in done.err


def test_missing_held_out_data_is_an_error(run: Run, tmp_path: Path) -> None:
    add_model(Workspace(tmp_path / "kept"))
    done = run("evaluate", "--data-dir", tmp_path / "kept")
    assert done.status == 1
    assert "held out no examples" in done.err
    assert "starting" not in done.err


def test_blind_test_needs_a_terminal(run: Run) -> None:
    done = run("evaluate", "--blind", "20")
    assert done.status == 2
    assert "needs a terminal" in done.err


PAIRS = [
    BlindPair((Utterance("p1", f"question {n}"),), ("yes [b]no", "no"), n % 2)
    for n in range(9)
]


@pytest.mark.parametrize("typed", ["", "a\nb\n"])
def test_aborted_blind_test_has_no_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert run_blind_test(PAIRS, 4) is None
    assert capsys.readouterr().err.count("Stopped before the last pair") == 1


def test_terminal_codes_in_pairs_are_removed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "\x1b]0;evil\x07"
    pair = BlindPair((Utterance("p1", f"so{evil}"),), (f"yes{evil}", "no"), 0)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    run_blind_test([pair], 1)
    shown = capsys.readouterr().err
    assert "evil" in shown
    assert "\x1b]" not in shown
    assert "\x07" not in shown


def test_blind_test_asks_again_and_prints_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a\n?\nab\nB\n\na\na\n"))
    result = run_blind_test(PAIRS, 4)
    assert result is not None
    assert (result.right, result.pairs) == (3, 4)
    shown = capsys.readouterr().err
    assert "question 3" in shown
    assert "question 4" not in shown
    assert "yes [b]no" in shown
    assert "3 of 4 correct (2 expected by chance): you could not tell" in shown
