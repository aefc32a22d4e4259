"""Ray Data returns the same examples as one process, even if a worker dies."""

import os
import shutil
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import (
    ChunkSessions,
    MapAIMessages,
    MergeChatRuns,
    to_training_examples,
)
from langchain_chatexports.cluster import (
    JsonLines,
    read_examples,
    read_exports,
    session_of_row,
)
from langchain_chatexports.datasets.jsonl import json_line
from langchain_chatexports.exceptions import DamagedExportError
from langchain_chatexports.samples import write_imessage, write_messenger
from langchain_chatexports.steps import SessionTransform
from tests.unit_tests.builders.messenger import Export
from tests.unit_tests.builders.sessions import open_export

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray has many warnings.

STEPS = MergeChatRuns() | MapAIMessages() | ChunkSessions(size=8, overlap=2)
MANY = 20


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Exports of several owners, as folders and zips."""
    root = tmp_path_factory.mktemp("exports")
    paths = []
    for number in range(MANY):
        export = Export()
        for friend in range(3):
            people = [f"Friend {friend}", f"Owner {number}"]
            thread = export.thread(f"inbox/friend_{friend}", people)
            for at in range(9):
                moment = 1_600_000_000_000 + 60_000 * at
                thread.says(people[at % 2], f"{number} {friend} {at}", moment)
        is_zip = number % 2
        name = f"export-{number}{'.zip' if is_zip else ''}"
        paths.append((export.to_zip if is_zip else export.to_folder)(root / name))
    return paths


def load_in_one_process(paths: list[Path], steps: SessionTransform) -> list[bytes]:
    return sorted(
        json_line(example)
        for path in paths
        for example in to_training_examples(open_export(path).loader | steps)
    )


def read_lines(folder: Path) -> list[bytes]:
    files = sorted(folder.rglob("*.jsonl"))
    return sorted(line for file in files for line in file.read_bytes().splitlines(True))


def test_examples_match_those_of_one_process(
    exports: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "private" / "out"
    read_examples(exports, STEPS).write_datasink(JsonLines(out))
    assert read_lines(out) == load_in_one_process(exports, STEPS)
    files = [*out.iterdir()]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(out.stat().st_mode) == 0o700


class KillWorkerOnce:
    """Opens loaders; kills the first process that reads the marked export."""

    def __init__(self, marked: Path, mark: Path) -> None:
        self.marked = marked
        self.mark = mark

    def __call__(self, path: Path) -> Any:
        if path == self.marked and not self.mark.exists():
            self.mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return open_export(path).loader


def test_killed_worker_changes_nothing(exports: list[Path], tmp_path: Path) -> None:
    kill_worker = KillWorkerOnce(exports[11], tmp_path / "killed")
    examples = read_examples(exports, STEPS, open_loader=kill_worker)
    examples.write_datasink(JsonLines(tmp_path / "out"))
    assert kill_worker.mark.exists()
    assert read_lines(tmp_path / "out") == load_in_one_process(exports, STEPS)


def test_duplicate_path_is_read_once(exports: list[Path]) -> None:
    rows = read_examples([exports[0], str(exports[0])], STEPS).take_all()
    assert len(rows) == len(load_in_one_process(exports[:1], STEPS))


def test_folder_is_read_in_one_task(tmp_path: Path) -> None:
    folder = tmp_path / "ann"
    for name in ("2023", "2024"):
        (folder / name).mkdir(parents=True)
        write_imessage(folder / name / "chat.db")
    write_messenger(folder / "messenger")
    steps = MapAIMessages(sender="Tortoise")
    rows = read_exports([folder], steps).take_all()
    assert {row["platform"] for row in rows} == {"imessage", "facebook_messenger"}
    alone = [folder / "2023" / "chat.db", folder / "messenger"]
    sessions = [s for path in alone for s in open_export(path).loader | steps]
    found = sorted(str(session_of_row(row)) for row in rows)
    assert found == sorted(map(str, sessions))


def test_unreadable_exports_can_be_skipped(exports: list[Path], tmp_path: Path) -> None:
    cut = tmp_path / "cut.zip"
    shutil.copy(exports[1], cut)
    cut.write_bytes(cut.read_bytes()[:100])
    paths = [*exports[:4], cut, tmp_path / "never.zip"]
    rows = read_examples(paths, STEPS, skip_unreadable=True).take_all()
    assert len(rows) == len(load_in_one_process(exports[:4], STEPS))


def test_unreadable_export_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(Exception, match=DamagedExportError.__name__):
        read_examples([tmp_path / "cut.zip"], STEPS).take_all()


def test_no_paths_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one path"):
        read_exports([])
