"""`chatexports demo` without its training."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

from langchain_chatexports.personas.talk import Talk
from tests.unit_tests.cli.conftest import Run

# The package has a function with this name.
DEMO = import_module("langchain_chatexports.cli.demo")


@pytest.fixture(autouse=True)
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replace the training and the talk; return the examples trained on."""
    examples: list[Any] = []

    def train(data: Any, **_: object) -> Any:
        examples.extend(data.examples)
        return SimpleNamespace(name="ft:base:local:tuned:1", short_name="tuned:1")

    @contextmanager
    def open_talk(*_: object, **__: object) -> Iterator[list[Talk]]:
        models = {"base model": "I am base.", "Tortoise": "I am tuned."}
        yield [
            Talk(title, FakeListChatModel(responses=[answer]))
            for title, answer in models.items()
        ]

    monkeypatch.setattr(DEMO, "train", train)
    monkeypatch.setattr(DEMO, "load_tuned_speaker", lambda *_: None)
    monkeypatch.setattr(DEMO, "open_talk", open_talk)
    return examples


@pytest.mark.parametrize("folder", [None, "kept"])
def test_demo_prints_answers_and_commands(
    run: Run, trained: list[Any], tmp_path: Path, folder: str | None
) -> None:
    options = () if folder is None else ("--data-dir", folder)
    data_dir = "" if folder is None else f" --data-dir {tmp_path / folder}"
    done = run("demo", *options)
    assert done.status == 0, done.err
    assert len(trained) == 37
    assert done.out.splitlines() == [
        "base model: I am base.",
        "Tortoise: I am tuned.",
        f"chatexports chat{data_dir} ft:base:local:tuned:1",
        f"chatexports open{data_dir}",
    ]
