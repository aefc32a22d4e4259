"""The promises that every chat loader makes, and that no content breaks one."""

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.chat_loaders import BaseChatLoader

from langchain_chatexports.chat_loaders.telegram import TelegramChatLoader
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.standard_tests import ChatLoaderUnitTests
from tests.unit_tests.builders.telegram import (
    ANN,
    BO,
    CY,
    USER,
    Page,
    TelegramChat,
    account_text,
    text_block,
)

KEYS = [
    *("id", "type", "date", "date_unixtime", "from", "from_id", "actor", "actor_id"),
    *("action", "title", "new_title", "text", "text_entities", "reply_to_message_id"),
    *("reply_to_peer_id", "forwarded_from", "saved_from", "via_bot", "photo", "file"),
    *("media_type", "sticker_emoji", "poll", "question", "reactions", "emoji", "count"),
    *("recent", "edited", "place_name", "location_information", "name", "messages"),
]
any_text = st.text(st.characters(exclude_categories=[])) | st.sampled_from(
    [
        "user11",
        "message",
        "service",
        "topic_created",
        "2024-05-01T08:00:00",
        "1714550400",
    ]
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | any_text,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner)
    ),
)
any_message = st.dictionaries(st.sampled_from(KEYS), any_json) | any_json
OPTIONS = {"keep": ("media", "bot", "system", "channel")}


class TestTelegram(ChatLoaderUnitTests):
    @property
    def chat_loader_class(self) -> type[BaseChatLoader]:
        return TelegramChatLoader

    @property
    def time_key(self) -> str:
        return "message_time"

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        chats = []
        for number in range(3):
            chat = TelegramChat("Race", "private_supergroup", number)
            for at in range(9):
                chat.says((ANN, BO, CY)[at % 3], f"Zeile {at} 😂")
            chats.append(chat)
        path = tmp_path / "export"
        path.mkdir()
        (path / "result.json").write_text(account_text(chats, user=USER), "utf-8")
        return path


def check(files: dict[str, bytes], **options: Any) -> None:
    """Read such files: sessions, counts or our error."""
    with tempfile.TemporaryDirectory() as folder:
        chat = TelegramChat(number=1)
        chat.says(ANN, "Hello")
        path = Path(folder)
        chat.write(path / "sound.json")
        for name, data in files.items():
            (path / name).write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            try:
                summary = TelegramChatLoader(path, **options).inspect()
            except ChatExportError:
                return
        assert summary.found == summary.kept + sum(summary.skipped.values())
        json.dumps(summary.to_dict())


@pytest.mark.parametrize("indent", [1, None])
@given(messages=st.lists(any_message), kind=any_json, is_twice=st.booleans())
def test_any_messages_are_sessions_or_counts(
    indent: int | None, messages: list[object], kind: Any, is_twice: bool
) -> None:
    chat = TelegramChat(kind=kind if isinstance(kind, str) else "private_supergroup")
    chat.about["type"] = kind
    chat.messages = messages
    data = chat.text(indent=indent, ascii_only=True).encode()
    check({"a.json": data} | ({"b.json": data} if is_twice else {}), **OPTIONS)


@given(st.text() | st.sampled_from(["</div>" * 9, "<div class='text'>", "<!--", "<a"]))
def test_any_page_is_sessions_or_counts(text: str) -> None:
    page = Page()
    page.says("Ann", text_block("Hello"), number=1)
    page.says(None, text, number=2)
    page.says("Bo", text_block("Hi"), number=3)
    with tempfile.TemporaryDirectory() as folder:
        path = page.write(Path(folder) / "messages.html")
        check({"messages.html": path.read_bytes()}, **OPTIONS)
        cut = path.read_bytes()
        check({"messages.html": cut[: len(cut) * 2 // 3]}, **OPTIONS)
