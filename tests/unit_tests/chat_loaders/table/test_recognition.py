"""A table is told from other exports by its first bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.chat_loaders.recognition import open_export
from langchain_chatexports.chat_loaders.table import TableChatLoader, matches_head
from tests.unit_tests.builders.tables import (
    conversation_rows,
    write_csv,
    write_lines,
    write_parquet,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any


@pytest.mark.parametrize("write", [write_lines, write_csv, write_parquet])
def test_a_table_is_opened_as_one(tmp_path: Path, write: Callable[..., Any]) -> None:
    export = open_export(write(tmp_path / "desk", conversation_rows("case")))
    assert isinstance(export.loader, TableChatLoader)
    assert len(export.loader.load()) == 1


@pytest.mark.parametrize(
    "head",
    [
        json.dumps({"messages": [{"role": "user", "content": "Hi"}]}) + "\n",
        json.dumps({"participants": [], "messages": [], "title": "Hare"}) + "\n",
        json.dumps({"id": 1, "name": "Hare", "text": "no conversation"}) + "\n",
        json.dumps({"conversation_id": 1, "text": {"nested": 1}}) + "\n",
        '{"conversation_id": 1, "text": "cut o',
        "[1, 2]\n",
        "01.05.24, 10:00 - Ann: conversation, text\n01.05.24, 10:01 - Bo: Hi\n",
        "Dear all,\nthe text of the conversation;\n",
        "id,text\n1,no conversation\n",
        "conversation,text",
        "",
    ],
)
def test_other_files_are_no_table(head: str) -> None:
    assert not matches_head(Path('x'), head.encode())
