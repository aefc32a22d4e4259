"""What docs/tutorials.md says about OpenAI's rules is correct."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.chat_loaders import BaseChatLoader

from langchain_chatexports import (
    FolderFacebookMessengerChatLoader,
    validate_examples,
)
from langchain_chatexports.adapters.openai import convert_messages_for_finetuning
from langchain_chatexports.chat_loaders.imessage import IMessageChatLoader
from langchain_chatexports.chat_loaders.utils import map_ai_messages, merge_chat_runs
from langchain_chatexports.samples import write_imessage, write_messenger
from tests.unit_tests.builders.pages import DOCS

TEXT = " ".join((DOCS / "tutorials.md").read_text(encoding="utf-8").split())


def dialogues(loader: BaseChatLoader, sender: str) -> list[list[dict[str, Any]]]:
    """Prepare sessions as the tutorials do."""
    sessions = map_ai_messages(merge_chat_runs(loader.lazy_load()), sender=sender)
    return convert_messages_for_finetuning(list(sessions))


def problems(examples: Iterable[list[dict[str, Any]]]) -> list[str]:
    found = validate_examples([{"messages": messages} for messages in examples])
    return [str(problem) for problem in found]


def test_imessage_tutorial_examples_are_valid_for_openai(tmp_path: Path) -> None:
    examples = dialogues(
        IMessageChatLoader(path=write_imessage(tmp_path / "chat.db")), "Tortoise"
    )
    assert len(examples) == 10
    assert problems(examples) == []


@pytest.fixture
def hogwarts(tmp_path: Path) -> FolderFacebookMessengerChatLoader:
    return FolderFacebookMessengerChatLoader(write_messenger(tmp_path / "hogwarts"))


def test_messenger_tutorial_examples_are_invalid_for_openai(
    hogwarts: FolderFacebookMessengerChatLoader,
) -> None:
    examples = [
        messages[start : start + 8]
        for messages in dialogues(hogwarts, "Harry Potter")
        for start in range(0, len(messages) - 8 + 1, 8 - 2)
    ]
    refused = problems(examples)
    assert f"{len(examples)} examples {len(refused)} end with the user" in TEXT
    assert all(
        re.search("must have the role `assistant`$", problem) for problem in refused
    )
