"""Bad exports among a thousand are counted and named, and cost nothing else."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pytest

from langchain_chatexports import (
    ChunkSessions,
    MapAIMessages,
    MergeChatRuns,
    to_training_examples,
)
from langchain_chatexports.chat_loaders.counts import add_summaries
from langchain_chatexports.chat_loaders.recognition import open_export
from langchain_chatexports.cluster import JsonLines, add_counts, read_examples
from langchain_chatexports.datasets.jsonl import json_line
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.messenger import Export

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, of many kinds.

STEPS = MergeChatRuns() | MapAIMessages() | ChunkSessions(size=4, overlap=1)
MANY = 1_000


class Exports(NamedTuple):
    """Many exports.

    Attributes:
        good: How many there are by the one that they are a copy of.
        paths: All of them, good and bad.
        bad: The kind of the error by path.
        vanishing: Those that somebody takes away when the run has been planned.
    """

    good: Mapping[Path, int]
    paths: list[Path]
    bad: dict[str, str]
    vanishing: list[Path]


def write_kinds(folder: Path) -> list[Path]:
    """Write a good export of each kind: database, zip, folder and table."""
    inboxes = Export()
    with ChatDb(folder / "good.db") as database:
        for friend in range(2):
            chat = database.chat(f"+155500000{friend}0")
            people = [f"Friend {friend}", "Owner"]
            thread = inboxes.thread(f"inbox/friend_{friend}", people)
            for at in range(9):
                chat.message(f"d{friend} {at}", mine=bool(at % 2))
                thread.says(people[at % 2], f"t{friend} {at}", 1_600_000_000_000 + at)
    rows = [
        {"conversation_id": str(at // 9), "text": f"r{at}", "is_from_me": at % 2 == 1}
        for at in range(18)
    ]
    table = folder / "good.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        folder / "good.db",
        inboxes.to_zip(folder / "good.zip"),
        inboxes.to_folder(folder / "good"),
        table,
    ]


def spoil(folder: Path, kinds: list[Path]) -> dict[str, str]:
    """Write exports that are bad, each in another way; give the kinds of errors."""
    database, archive, *_ = kinds
    bad = {
        "cut.db": database.read_bytes()[:6_000],
        "other.db": b"no database " * 100,
        "empty.db": b"",
        "cut.zip": archive.read_bytes()[:-200],
        "other.zip": b"PK\x03\x04 no zip",
        "empty.zip": b"",
        "other.jsonl": b'{"price": 3}\n',
        "cut.parquet": b"PAR1 and nothing else",
    }
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    (folder / "empty").mkdir()
    (folder / "photos").mkdir()
    (folder / "photos" / "a.jpg").write_bytes(b"jpg")
    (folder / "loop.zip").symlink_to(folder / "loop.zip")
    names = [*bad, "empty", "photos", "loop.zip"]
    return {str(folder / name): "ExportFormatError" for name in names} | {
        str(folder / "never.zip"): "ExportNotFoundError"
    }


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    folder = tmp_path_factory.mktemp("many")
    kinds = write_kinds(folder)
    bad = spoil(folder, kinds)
    good: Counter[Path] = Counter()
    paths = [*map(folder.joinpath, bad)]
    vanishing = []
    while len(paths) < MANY:
        kind = kinds[len(paths) % len(kinds)]
        copy = folder / f"{len(paths)}{kind.suffix}"
        (shutil.copytree if kind.is_dir() else shutil.copy)(kind, copy)
        if len(paths) % 100 == 1:
            vanishing.append(copy)
            bad[str(copy)] = "ExportNotFoundError"
        else:
            good[kind] += 1
        paths.append(copy)
    return Exports(good, sorted(paths), bad, vanishing)


def test_bad_exports_among_a_thousand_are_counted_and_not_fatal(
    exports: Exports, tmp_path: Path
) -> None:
    examples = read_examples(exports.paths, STEPS, tasks=20, counts=tmp_path / "counts")
    for path in exports.vanishing:
        path.unlink()
    examples.write_datasink(JsonLines(tmp_path / "out"))

    counts = add_counts(tmp_path / "counts")
    assert counts.failed == exports.bad
    assert counts.reasons == Counter(exports.bad.values())
    assert counts.exports == MANY - len(exports.bad)
    each = {path: open_export(path).loader | STEPS for path in exports.good}
    summaries = [
        summary
        for path, count in exports.good.items()
        for summary in [each[path].inspect()] * count
    ]
    assert counts.summary == add_summaries(summaries)
    expected = Counter(
        json_line(example)
        for path, count in exports.good.items()
        for example in to_training_examples(each[path])
        for _ in range(count)
    )
    files = sorted((tmp_path / "out").glob("*.jsonl"))
    assert len(files) <= 20
    written = Counter(
        line for file in files for line in file.read_bytes().splitlines(True)
    )
    assert written == expected
    assert counts.examples == written.total()
