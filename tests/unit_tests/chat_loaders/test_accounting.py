"""`inspect` accounts for every record of an export, counted here without its loader."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import samples
from langchain_chatexports.chat_loaders.recognition import open_export
from tests.unit_tests.builders.tables import (
    conversation_rows,
    interleaved,
    write_csv,
    write_lines,
)
from tests.unit_tests.builders.whatsapp import WhatsAppChat

_HEADER = re.compile(r"\u200e?\[?\d{1,4}[./-]\d\d?[./-]\d{1,4},? ")


def json_records(path: Path, key: str = "") -> int:
    """Count the records of JSON files, under a key or in the list itself."""
    total = 0
    for file in path.rglob("*.json"):
        value = json.loads(file.read_text(encoding="utf-8"))
        listed = value.get(key) if isinstance(value, dict) else value
        is_day = bool(key) or re.fullmatch(r"\d{4}-\d\d-\d\d\.json", file.name)
        total += len(listed) if isinstance(listed, list) and is_day else 0
    return total


def headers(path: Path) -> int:
    texts = [file for file in path.rglob("*.txt") if file.name != "README.txt"]
    lines = [
        line for file in texts for line in file.read_text(encoding="utf-8").split("\n")
    ]
    return sum(bool(_HEADER.match(line)) for line in lines)


def csv_rows(path: Path) -> int:
    with path.open(encoding="utf-8", newline="") as file:
        return sum(bool(row) for row in csv.reader(file)) - 1


def damaged_csv(path: Path) -> Path:
    rows = interleaved(conversation_rows("one"), conversation_rows("two"))
    rows[0]["text"] = 'two\nlines, "quoted"'
    rows[1] |= {"text": ""}
    rows[2] |= {"conversation_id": ""}
    write_csv(path, rows)
    with path.open("a", encoding="utf-8") as file:
        file.write("one\nthree,Cleo,customer,1,text,id,and,more\n")
    return path


def whatsapp_of_every_kind(place: Path) -> Path:
    """Write two exports of one chat, with what nobody typed."""
    for folder, length in (("older", 6), ("newer", 9)):
        chat = WhatsAppChat.android().system("Ann created group “Run”")
        for number in range(length):
            chat.says(("Ann", "Bob")[number % 2], f"line {number}")
        for text in ("<Media omitted>", "null", "This message was deleted", ""):
            chat.says("Ann", text)
        chat.says("Ann", "Missed voice call").line("one line more")
        chat.to_file(place / folder / "WhatsApp Chat with Run.txt")
    return place


def changed(write: Callable[[Path], Path], *parts: str) -> Callable[[Path], Path]:
    """Return what writes a sample with records that nobody typed, and bad ones."""

    def write_changed(place: Path) -> Path:
        write(place)
        pattern = "".join(parts)
        file = next(iter(sorted(place.rglob(pattern))))
        value = json.loads(file.read_text(encoding="utf-8"))
        listed: list[Any] = value["messages"] if isinstance(value, dict) else value
        listed[0] |= {"type": "service", "subtype": "channel_join"}
        listed[1] |= {"text": "", "content": "", "text_entities": []}
        listed += [5, None, {}]
        file.write_text(json.dumps(value, indent=1), encoding="utf-8")
        return place

    return write_changed


def messages(path: Path) -> int:
    return json_records(path, "messages")


def chat_items(path: Path) -> int:
    return (path / "main.jsonl").read_text(encoding="utf-8").count('{"chatItem"')


EXPORTS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], int]]] = {
    "whatsapp": (samples.write_whatsapp, headers),
    "whatsapp, every kind": (whatsapp_of_every_kind, headers),
    "telegram": (samples.write_telegram, messages),
    "telegram, damaged": (changed(samples.write_telegram, "*.json"), messages),
    "discord": (samples.write_discord, messages),
    "discord, damaged": (changed(samples.write_discord, "*.json"), messages),
    "signal": (samples.write_signal, chat_items),
    "slack": (samples.write_slack, json_records),
    "slack, damaged": (changed(samples.write_slack, "2*.json"), json_records),
    "messenger": (samples.write_messenger, messages),
    "csv": (lambda place: damaged_csv(place / "desk.csv"), csv_rows),
    "json lines": (
        lambda place: write_lines(
            place / "desk.jsonl", [*conversation_rows("one"), "no JSON", {}]
        ),
        lambda path: len(path.read_text(encoding="utf-8").splitlines()),
    ),
}


@pytest.mark.filterwarnings("ignore:.* of its own count")
@pytest.mark.parametrize("name", EXPORTS)
def test_every_record_is_kept_or_left_out_for_a_reason(
    tmp_path: Path, name: str
) -> None:
    write, count = EXPORTS[name]
    path = Path(write(tmp_path / "export"))
    loader = open_export(path).loader
    summary = loader.inspect()
    assert summary.found == count(path) > 0
    assert summary.found == summary.kept + sum(summary.skipped.values())
    # The first message of a thread of Slack is in two sessions, and counted once.
    assert summary.kept == sum(
        message.additional_kwargs.get("weight") != 0
        for session in loader.load()
        for message in session["messages"]
    )
    if "," in name or name in {"csv", "json lines"}:
        assert sum(summary.skipped.values()) >= 2
