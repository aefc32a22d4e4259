"""`chatexports demo` without its training."""

from __future__ import annotations

import json
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.language_models import FakeListChatModel

from langchain_chatexports.personas.talk import Voice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONSOLE = "langchain_chatexports.cli._console"
DEMO = "langchain_chatexports.cli.demo"
# The package has a function of that name.
TRAIN = import_module("langchain_chatexports.workflows.train")


@pytest.fixture(autouse=True)
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replace server, training and models; return the examples trained on."""
    examples: list[Any] = []

    @contextmanager
    def serve(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(base_model="base", base_url="", api_key="")

    def train_on(_server: object, given: Any, **_: object) -> str:
        examples.extend(given.examples)
        return "ft:tuned"

    def make_voice(name: str, *_: object, title: str, is_tuned: bool = False) -> Voice:
        model = FakeListChatModel(responses=[f"I am {name}."])
        return Voice(title, model, has_bubbles=is_tuned)

    monkeypatch.setattr(TRAIN, "open_server", serve)
    monkeypatch.setattr(TRAIN, "train_on", train_on)
    monkeypatch.setattr(f"{DEMO}.make_voice", make_voice)
    return examples


def test_both_models_answer_and_the_last_lines_continue(
    chatexports: Any, trained: list[Any]
) -> None:
    done = chatexports("demo", "--folder", "samples")
    assert done.status == 0, done.err
    assert len(trained) == 10
    assert done.out.splitlines() == [
        "base model: I am base.",
        "in Tortoise's voice: I am ft:tuned.",
        "chatexports chat ft:tuned",
        "chatexports open",
    ]


def test_the_page_opens_with_the_demos_model(chatexports: Any, tmp_path: Path) -> None:
    done = chatexports("demo", "--data-dir", "kept")
    where = f"--data-dir {tmp_path / 'kept'}"
    assert done.out.splitlines()[-1] == f"chatexports open {where}"


def test_the_last_lines_run_where_the_environment_is_not_activated(
    chatexports: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{CONSOLE}.program", lambda: ".venv/bin/chatexports")
    done = chatexports("demo")
    assert done.out.splitlines()[-2:] == [
        ".venv/bin/chatexports chat ft:tuned",
        ".venv/bin/chatexports open",
    ]


def test_as_json_the_demo_prints_answers_and_the_command(chatexports: Any) -> None:
    assert json.loads(chatexports("demo", "--json").out) == {
        "model": "ft:tuned",
        "answers": {"base": "I am base.", "tuned": "I am ft:tuned."},
        "chat": "chatexports chat ft:tuned",
        "open": "chatexports open",
    }
