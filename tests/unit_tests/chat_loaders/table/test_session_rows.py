"""Sessions that are written as a table are read again by the table's loader."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.imessage import IMessageChatLoader
from langchain_chatexports.chat_loaders.table import TableChatLoader, table_rows
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.samples import write_imessage
from tests.unit_tests.builders.sessions import said

KEYS = ("sender", "message_time", "is_from_me", "reply_to")


def _shape(sessions: Any) -> dict[Any, list[Any]]:
    return {
        session["metadata"]["id"]: [
            (m.text, m.id, *(m.additional_kwargs.get(key) for key in KEYS))
            for m in session["messages"]
        ]
        for session in sessions
    }


def test_an_imessage_export_is_the_same_as_a_table(tmp_path: Path) -> None:
    loader = IMessageChatLoader(write_imessage(tmp_path / "chat.db"))
    write_jsonl(table_rows(loader.lazy_load()), tmp_path / "table.jsonl")
    table = TableChatLoader(tmp_path / "table.jsonl")
    assert _shape(table) == _shape(loader)


def test_an_owner_who_is_named_stands_above_the_role(tmp_path: Path) -> None:
    rows = [
        {"conversation_id": "1", "sender": "Hare", "role": "me", "text": "Fast!"},
        {"conversation_id": "1", "sender": "Fox", "text": "Who won?"},
    ]
    write_jsonl(rows, tmp_path / "table.jsonl")
    (session,) = TableChatLoader(tmp_path / "table.jsonl", owner="Fox").load()
    mine = [m.additional_kwargs["is_from_me"] for m in session["messages"]]
    assert mine == [False, True]


@pytest.mark.parametrize("reply", ["m1", {"id": "m1", "text": "Fast!"}, {"text": "x"}])
def test_a_reply_is_kept_by_its_id(reply: Any) -> None:
    message = said("Hare", "Fast!")
    message.additional_kwargs["reply_to"] = reply
    (row,) = table_rows([{"messages": [message]}])
    assert row.get("reply_to") == (None if reply == {"text": "x"} else "m1")
