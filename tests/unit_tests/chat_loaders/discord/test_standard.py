"""The promises that every chat loader makes, and that no content breaks one."""

import json
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.chat_loaders import BaseChatLoader

from langchain_chatexports import DiscordChatLoader
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.standard_tests import ChatLoaderUnitTests
from tests.unit_tests.builders.discord import (
    ANN,
    BO,
    BOT,
    DiscordChannel,
    write_package,
)

KEYS = [
    *("id", "type", "timestamp", "timestampEdited", "content", "author", "name"),
    *("nickname", "isBot", "attachments", "fileName", "embeds", "title", "stickers"),
    *("reactions", "emoji", "count", "users", "mentions", "reference", "messageId"),
    *("forwardedMessage", "description"),
]
any_text = st.text(st.characters(exclude_categories=[])) | st.sampled_from(
    ["11", "Reply", "20", "2024-05-01T08:00:00Z", "<@11>", "<t:1:R>", "Default"]
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | any_text,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=8,
)
any_message = st.dictionaries(st.sampled_from(KEYS), any_json, max_size=8) | any_json


class TestDiscord(ChatLoaderUnitTests):
    @property
    def chat_loader_class(self) -> type[BaseChatLoader]:
        return DiscordChatLoader

    @property
    def time_key(self) -> str:
        return "message_time"

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        for number in range(3):
            channel = DiscordChannel(f"room {number}", channel_id=f"50{number}")
            for at in range(9):
                channel.says((ANN, BO, BOT)[at % 3], f"Zeile {at} 😂")
            channel.write(tmp_path / "export" / f"{number}.json")
        return tmp_path / "export"


def check(files: dict[str, bytes], **options: Any) -> None:
    """Read such files: sessions, counts or our error."""
    with tempfile.TemporaryDirectory() as folder:
        channel = DiscordChannel(channel_id="1")
        channel.says(ANN, "Hello")
        path = Path(folder)
        channel.write(path / "sound.json")
        write_package(path)
        for name, data in files.items():
            (path / name).write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            try:
                summary = DiscordChatLoader(path, **options).inspect()
            except ChatExportError:
                return
        assert summary.found == summary.kept + sum(summary.skipped.values())
        json.dumps(summary.to_dict())


@pytest.mark.parametrize("indent", [2, None])
@given(st.lists(any_message, max_size=6))
def test_any_messages_are_sessions_or_counts(
    indent: int | None, messages: list[object]
) -> None:
    channel = DiscordChannel()
    channel.messages = messages
    options = {"keep": ("media", "bot", "system")}
    text = channel.text(indent=indent, ascii_only=True)
    check({"any.json": text.encode()}, **options)


@pytest.mark.parametrize(
    "text", ["<" * 1_000_000, "</" + "a " * 500_000 + ">", "<@1>" * 250_000]
)
def test_any_megabyte_of_markup_is_read_in_time(tmp_path: Path, text: str) -> None:
    channel = DiscordChannel()
    channel.says(ANN, text)
    loader = DiscordChatLoader(channel.write(tmp_path / "a.json"))
    before = time.process_time()
    assert loader.inspect().found == 1
    assert time.process_time() - before < 5
