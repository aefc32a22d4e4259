"""Reading keeps one session in memory, and that as small as its messages are."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports import IMessageChatLoader
from tests.unit_tests.builders.chat_db import ChatDb

if TYPE_CHECKING:
    from pathlib import Path


MESSAGES = 4000
LARGEST_BYTES = 2200


@pytest.mark.benchmark
def test_largest_chat_takes_little_for_each_of_its_messages(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    with ChatDb(path) as db:
        chat = db.chat("+15550000001")
        for number in range(MESSAGES):
            chat.message(f"Message {number} of a long talk.", mine=number % 2 == 0)
    IMessageChatLoader(path).inspect()  # Warms up imports and caches.
    gc.collect()
    tracemalloc.start()
    try:
        for session in IMessageChatLoader(path):
            assert len(session["messages"]) == MESSAGES
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / MESSAGES < LARGEST_BYTES
