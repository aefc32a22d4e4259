"""What was replaced can be put back with the map."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.redaction import restore, write_undo_map

if TYPE_CHECKING:
    from pathlib import Path


MAP = {"Zidenefazi": "José", "[phone-0123456789]": "+1 555 123 4567"}


def test_names_come_back_in_the_case_of_the_stand_in() -> None:
    assert restore("Zidenefazi, zidenefazi, ZIDENEFAZI!", MAP) == "José, josé, JOSÉ!"


def test_placeholders_come_back() -> None:
    assert restore("call [phone-0123456789].", MAP) == "call +1 555 123 4567."


def test_ids_of_conversations_come_back_with_the_number_of_their_part() -> None:
    ids = {"chat-0123456789": "iMessage;-;+15550101"}
    assert restore("chat-0123456789#2", ids) == "iMessage;-;+15550101#2"
    assert restore("chat-0123456789a", ids) == "chat-0123456789a"


def test_what_is_not_in_the_map_stays() -> None:
    text = "[phone-aaaaaaaaaa] [note-0123456789] Zidenefazix"
    assert restore(text, MAP) == text


def test_the_map_is_written_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "undo.json"
    write_undo_map(MAP, path)
    assert json.loads(path.read_text(encoding="utf-8")) == MAP
    assert [p.name for p in tmp_path.iterdir()] == ["undo.json"]
    if os.name != "nt":
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_map_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "undo.json"
    path.write_text("old")
    undo_map: Any = {"a": object()}
    with pytest.raises(TypeError):
        write_undo_map(undo_map, path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [
        ("undo.json", "old")
    ]
