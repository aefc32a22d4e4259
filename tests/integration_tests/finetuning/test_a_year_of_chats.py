"""A year of chats becomes every format, and each consumer's library loads it."""

from __future__ import annotations

import json
import random
import sys
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.chat_loaders.counts import total_of
from langchain_chatexports.cli.app import run
from langchain_chatexports.datasets.trace_file import read_header, read_trace
from tests.unit_tests.builders.messenger import Export

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


datasets = pytest.importorskip("datasets")
pytest.importorskip("duckdb")

OWNER = "Grace Hopper"
YEAR_MS = 365 * 86_400_000
START_MS = 1_680_000_000_000
ALPHABETS = {
    "Ada Byron": "abcdefghijklmnoprstuvwy",
    "Jürgen Müller": "aäbcdefghioöprstuüß",
    "李雷": "的一是不了在人有我他这为之大来以个中上们到说国和地",
    "ليلى": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
}
FORMATS = ["openai", "trl-prompt-completion", "parquet"]


def _write_year(folder: Any) -> Any:
    """Write threads of two, a group, media, calls and reactions; all invented."""
    dice = random.Random(2023)
    export = Export()
    threads = [[name, OWNER] for name in ALPHABETS] + [[*ALPHABETS, OWNER]]
    for number, people in enumerate(threads):
        chat = export.thread(f"thread_{number}", people)
        at = START_MS + number
        while at < START_MS + YEAR_MS:
            at += dice.randrange(2, 9) * 86_400_000
            for _ in range(dice.randrange(3, 14)):
                at += dice.randrange(5_000, 200_000)
                _add_message(chat, dice, dice.choice(people), at)
    return export.to_folder(folder)


def _add_message(chat: Any, dice: Any, sender: Any, at: Any) -> Any:
    kind = dice.random()
    if kind < 0.05:
        photo = {"uri": "photos/1.jpg", "creation_timestamp": at // 1000}
        chat.says(sender, None, at, photos=[photo])
    elif kind < 0.08:
        chat.says(sender, f"{sender} called you.", at, call_duration=0)
    else:
        letters = ALPHABETS.get(sender, ALPHABETS["Ada Byron"])
        words = ["".join(dice.choices(letters, k=5)) for _ in range(7)]
        keys = {}
        if dice.random() < 0.1:
            other = next(name for name in chat.people if name != sender)
            keys["reactions"] = [{"reaction": dice.choice("❤👍👎"), "actor": other}]
        chat.says(sender, " ".join(words), at, **keys)


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return _write_year(tmp_path_factory.mktemp("year") / "export")


@pytest.fixture
def prepare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.chdir(tmp_path)

    def command(*arguments: Any) -> Any:
        words = ["chatexports", "prepare", *map(str, arguments), "-o", "set"]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            run()
        assert not ended.value.code
        return tmp_path / "set"

    return command


def _load(tmp_path: Path, files: Any) -> Any:
    kind = "parquet" if files[0].suffix == ".parquet" else "json"
    return datasets.load_dataset(
        kind,
        data_files=[str(file) for file in files],
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_loaded_and_accounted_for(
    tmp_path: Path, prepare: Any, year: Any, name: Any
) -> None:
    path = prepare(year, "--format", name, "--split")
    header = read_header(path)
    assert len(header.files) == 3
    rows = _load(tmp_path, [path / file for file in header.files])
    assert rows.num_rows == sum(1 for _ in read_trace(path)) > 100
    stages = header.facts.stages
    found = sum(
        len(json.loads(file.read_bytes())["messages"])
        for file in year.rglob("message_1.json")
    )
    assert stages[0].found == found
    assert {"system", "media"} & set(stages[0].skipped)
    for stage in stages:
        assert stage.adds_up, stage
    total = total_of(stages)
    assert total is not None
    assert total.found == found
    assert total.skipped.keys() >= {"merged", "system", "media"}
    card = (tmp_path / "set.card.md").read_text(encoding="utf-8")
    assert not any(person in card for person in [*ALPHABETS, OWNER])


def test_no_message_is_in_two_parts(prepare: Any, year: Any) -> None:
    path = prepare(year, "--format", "openai", "--split")
    sessions: dict[str, set[str | None]] = {}
    for row in read_trace(path):
        sessions.setdefault(row.file, set()).add(row.origin.session_id)
    parts = list(sessions.values())
    assert len(parts) == 3
    assert len(set().union(*parts)) == sum(map(len, parts))
