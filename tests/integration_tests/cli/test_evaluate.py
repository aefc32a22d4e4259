"""`chatexports evaluate` with trained models."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from langchain_chatexports import LocalServer
from langchain_chatexports.evaluation import Evaluation
from tests.integration_tests.commands import chatexports
from tests.unit_tests.builders.voice_server import write_talks

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Iterator[Path]:
    """Train a model of the person."""
    folder = tmp_path_factory.mktemp("evaluation")
    write_talks(folder / "talks.jsonl", 90, terse=True)
    # The commands share this server.
    with LocalServer(tiny_base, data_dir=folder / "data", threads=1):
        done = chatexports(
            folder, "finetune", "talks.jsonl", "--ai", "mia", "--data-dir", "data",
            "--base", str(tiny_base)
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        yield folder


@pytest.fixture(scope="module")
def found(folder: Path) -> Evaluation:
    done = chatexports(
        folder, "evaluate", "mia", "--data-dir", "data", "--turns", "24", "--json",
        "-o", "page.html"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Evaluation.model_validate(json.loads(done.stdout))


def test_training_lowers_held_out_loss(found: Evaluation) -> None:
    difference = next(
        d for d in found.loss_differences if (d.a, d.b) == ("tuned", "base")
    )
    assert difference.value < 0


def test_models_and_person_are_compared(found: Evaluation) -> None:
    kinds = [figures.kind for figures in found.figures]
    assert kinds == ["tuned", "few_shot", "base", "person"]
    # The names of models in the results omit the person's name.
    names = [str(figures.model) for figures in found.figures]
    models = [name for name in names if "ft:" in name]
    assert len(models) == 1
    assert models[0].startswith("ft:tiny:local:\u2026:")
