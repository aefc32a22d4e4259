"""The terminal in other languages than English."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from langchain_chatexports import _translation
from langchain_chatexports.datasets.replies import EarlierReply
from langchain_chatexports.personas.talk import Turn
from tests.unit_tests.builders.local_jobs import count_steps
from tests.unit_tests.cli.conftest import Run

# The package has a function with this name.
FINETUNE = import_module("langchain_chatexports.cli.finetune")
_ENGLISH = {
    *("the", "of", "and", "to", "is", "are", "from", "with", "these", "it", "messages"),
    *("examples", "model", "answers", "without", "your", "said"),
}

pytestmark = pytest.mark.parametrize(
    "language", ["de_DE", "es_ES", "hi_IN", "ko", "zh"]
)


@pytest.fixture(autouse=True)
def _language(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setattr(_translation, "_active", _translation._ENGLISH)
    monkeypatch.setenv("LC_MESSAGES", f"{language}.UTF-8")


def find_english(text: str) -> set[str]:
    return _ENGLISH.intersection(re.findall(r"[a-z]+", text.lower()))


def test_finetune_is_translated(
    run: Run, chats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_steps(monkeypatch)
    turns = [Turn("Ready?", "Yes.")]
    monkeypatch.setattr(FINETUNE, "stdin_is_terminal", lambda: True)
    monkeypatch.setattr(FINETUNE, "answer_untrained", lambda *_, **__: turns)
    monkeypatch.setattr(FINETUNE, "answer_tuned", lambda *_, **__: turns)
    replies = [EarlierReply("Ready?", "Always.")]
    monkeypatch.setattr(FINETUNE, "sample_replies", lambda _: replies)
    done = run("finetune", chats.name, "--ai", "Tortoise", "--data-dir", "data")
    assert done.status == 0, done.err
    assert "Ready?" in done.err
    assert not find_english(done.err)
