"""`chatexports evaluate`, from an export to a page, with real training and scoring."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import langchain_chatexports
from langchain_chatexports import LocalServer
from langchain_chatexports.evaluation import Evaluation
from tests.unit_tests.builders.pages import read_page
from tests.unit_tests.builders.voice_server import write_talks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    write_talks(folder / "talks.jsonl", 60, terse=True)
    return folder


def chatexports(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "langchain_chatexports.cli", *arguments],
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
    )


@pytest.fixture(scope="module")
def found(folder: Path, tiny_base: Path) -> Evaluation:
    """Train the tiny base on the earlier talks, and compare on the later ones."""
    done = chatexports(
        folder, "evaluate", "talks.jsonl", "--ai", "mia", "--finetune",
        "--base", str(tiny_base), "--data-dir", "data", "--turns", "24",
        "--temperature", "1", "--wrong-person", "friend p1", "--epochs", "2",
        "--validation", "none", "--json", "-o", "page.html",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    values: dict[str, Any] = json.loads(done.stdout)
    return Evaluation.model_validate(values)


def test_training_lowers_the_loss_of_turns_held_out(found: Evaluation) -> None:
    losses = {each.contestant: each.bits_per_byte for each in found.loss}
    assert losses["tuned"] is not None
    assert losses["base"] is not None
    assert losses["tuned"] < losses["base"]
    difference = next(
        d for d in found.loss_differences if (d.a, d.b) == ("tuned", "base")
    )
    assert difference.interval[1] < 0


def test_the_person_is_told_from_another_person(found: Evaluation) -> None:
    losses = {each.contestant: each.bits_per_byte for each in found.loss}
    kinds = ["base", "few_shot", "wrong_person", "tuned", "hybrid"]
    assert list(losses) == kinds
    assert losses["tuned"] != losses["wrong_person"]
    models = {each.kind: each.model for each in found.contestants}
    # Models are named after their person, and results name nobody.
    assert models["tuned"].startswith("ft:tiny:local:…:")
    assert models["wrong_person"].startswith("ft:tiny:local:…:")
    assert models["tuned"] != models["wrong_person"]


def test_the_same_part_is_held_out_again(folder: Path, found: Evaluation) -> None:
    """Without `--finetune`: the newest model is the person's, and says what it is."""
    done = chatexports(
        folder, "evaluate", "talks.jsonl", "--ai", "mia", "--data-dir", "data",
        "--turns", "24", "--temperature", "1", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    again = Evaluation.model_validate(json.loads(done.stdout))
    assert again.data == found.data
    losses, before = (
        {each.contestant: each.bits_per_byte for each in result.loss}
        for result in (again, found)
    )
    assert losses["tuned"] == before["tuned"]


def test_the_price_of_a_foreign_history_is_told(found: Evaluation) -> None:
    kinds = ["base", "wrong_person", "tuned"]
    assert [each.contestant for each in found.relevance] == kinds
    losses = {each.contestant: each.bits_per_byte for each in found.loss}
    for each in found.relevance:
        assert each.own_history == losses[each.contestant]
        assert each.turns == found.data.heldout_turns
        assert each.difference is not None


def test_what_the_model_was_trained_on_is_looked_up(found: Evaluation) -> None:
    assert found.data.trained_on_dropped == 0
    assert not any("Nobody knows" in note for note in found.notes)
    assert found.reasons["validation_loss"] == "its job had no validation file"


@pytest.mark.usefixtures("found")
def test_what_it_was_trained_on_is_refused(folder: Path) -> None:
    write_talks(folder / "known.jsonl", 30, terse=True)
    done = chatexports(
        folder, "evaluate", "known.jsonl", "--ai", "mia", "--data-dir", "data"
    )
    assert done.returncode == 1
    assert "The model was trained on 12 of the 12 conversations" in done.stderr
    assert not (folder / "evaluation.html").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.usefixtures("found")
def test_the_page_is_its_owners_alone(folder: Path) -> None:
    assert (folder / "page.html").stat().st_mode & 0o777 == 0o600


def test_style_is_scored_against_three_friends(found: Evaluation) -> None:
    assert found.measures is not None
    assert len(found.data.others) == 3
    assert sum(bool(measure.separates) for measure in found.measures) >= 4


def test_the_page_holds_no_text_and_no_name(found: Evaluation, folder: Path) -> None:
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert f"{found.data.heldout_turns}" in page
    assert "mia" not in page
    for line in (folder / "talks.jsonl").read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["text"]
        assert len(text) < 20 or text not in page


@pytest.mark.usefixtures("found")
def test_the_docs_example_evaluates_a_kept_model_on_a_prepared_set(
    folder: Path,
    tiny_base: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class TinyServer(LocalServer):
        def __init__(self, **options: Any) -> None:
            super().__init__(tiny_base, threads=1, **options)

    write_talks(folder / "new.jsonl", 30, seed=2, terse=True)
    chatexports(folder, "prepare", "new.jsonl", "--ai", "mia", "--split", "-o", "set")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(langchain_chatexports, "LocalServer", TinyServer)
    (block,) = read_page("evaluation.md", kinds=("python train",))
    exec(compile(block.code, "evaluation.md", "exec"), {})  # noqa: S102 - our page
    assert "20 held-out conversations" in capsys.readouterr().out
    assert (folder / "evaluation.html").is_file()
