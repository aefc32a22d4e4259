"""From exports to examples and sets, without a terminal."""

from dataclasses import replace
from pathlib import Path

import pytest

from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.datasets.preparation import Preparation, PrepareOptions
from langchain_chatexports.datasets.redaction import Redaction
from langchain_chatexports.datasets.set_writer import SetOptions, write_set
from langchain_chatexports.samples import write_imessage

TORTOISE = PrepareOptions(ai=("Tortoise",))


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    return write_imessage(tmp_path / "chat.db")


@pytest.mark.parametrize(
    ("options", "is_whole"),
    [
        (TORTOISE, True),
        (replace(TORTOISE, chats=ChatChoice(without_groups=True)), False),
        (replace(TORTOISE, redaction=Redaction(Path("key.json"))), False),
    ],
)
def test_what_was_left_out_or_redacted_is_not_looked_up_in_the_export(
    chats: Path, options: PrepareOptions, *, is_whole: bool
) -> None:
    assert Preparation([chats], options).whole_exports == ((chats,) if is_whole else ())


def test_a_talk_reads_an_export_by_the_path_that_was_given(
    chats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warnings name the path, and are shown once."""
    monkeypatch.chdir(chats.parent)
    given = Path(chats.name)
    assert Preparation([given], TORTOISE).whole_exports == (given,)


def test_an_export_may_be_gone_once_it_was_read(chats: Path) -> None:
    preparation = Preparation([chats], TORTOISE)
    assert list(preparation.traced([]))
    chats.unlink()
    assert preparation.whole_exports == (chats,)


def test_only_plain_examples_are_a_file_to_train_on(
    chats: Path, tmp_path: Path
) -> None:
    for name, is_plain in (("openai", True), ("trl-prompt-completion", False)):
        options = SetOptions(format=name)  # type: ignore[arg-type] # two of its names
        path = tmp_path / name
        result = write_set(Preparation([chats], TORTOISE), path, options)
        assert result.training_file == (path if is_plain else None)
