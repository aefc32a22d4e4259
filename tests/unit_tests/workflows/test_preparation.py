from dataclasses import replace
from pathlib import Path

import pytest

from langchain_chatexports.samples import write_imessage
from langchain_chatexports.workflows.chat_filter import ChatFilter
from langchain_chatexports.workflows.preparation import Preparation, PrepareOptions
from langchain_chatexports.workflows.prepare import DatasetOptions, write_prepared
from langchain_chatexports.workflows.redaction import Redaction

TORTOISE = PrepareOptions(ai=("Tortoise",))


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    return write_imessage(tmp_path / "chat.db")


@pytest.mark.parametrize(
    ("options", "is_whole"),
    [
        (TORTOISE, True),
        (replace(TORTOISE, chats=ChatFilter(without_groups=True)), False),
        (replace(TORTOISE, redaction=Redaction(Path("key.json"))), False),
    ],
)
def test_filtered_or_redacted_exports_are_not_citable(
    chats: Path, options: PrepareOptions, *, is_whole: bool
) -> None:
    assert Preparation([chats], options).citable_exports == (
        (chats,) if is_whole else ()
    )


def test_citable_exports_keep_their_relative_paths(
    chats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warnings name the path, and are only shown once per path."""
    monkeypatch.chdir(chats.parent)
    given = Path(chats.name)
    assert Preparation([given], TORTOISE).citable_exports == (given,)


def test_deleted_exports_remain_citable(chats: Path) -> None:
    preparation = Preparation([chats], TORTOISE)
    assert list(preparation.iter_examples([]))
    chats.unlink()
    assert preparation.citable_exports == (chats,)


def test_only_openai_sets_have_a_training_file(chats: Path, tmp_path: Path) -> None:
    for name, is_plain in (("openai", True), ("trl-prompt-completion", False)):
        options = DatasetOptions(format=name)  # type: ignore[arg-type] # two of its names
        path = tmp_path / name
        result = write_prepared(Preparation([chats], TORTOISE), path, options)
        assert result.training_file == (path if is_plain else None)
