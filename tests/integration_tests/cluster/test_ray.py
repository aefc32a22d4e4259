"""Ray Data gives what one process gives, also when a worker dies."""

from __future__ import annotations

import errno
import functools
import json
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_chatexports import (
    ChunkSessions,
    FolderFacebookMessengerChatLoader,
    LabelSpeakers,
    MapAIMessages,
    MergeChatRuns,
    to_training_examples,
)
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.counts import add_summaries, sum_of
from langchain_chatexports.chat_loaders.recognition import open_export
from langchain_chatexports.chat_loaders.table import TableChatLoader
from langchain_chatexports.cluster import (
    JsonLines,
    ParquetRows,
    add_counts,
    part_of,
    read_examples,
    read_exports,
    session_of_row,
    through,
)
from langchain_chatexports.datasets.formats import write_dataset
from langchain_chatexports.datasets.jsonl import json_line
from langchain_chatexports.datasets.trace import trace_examples
from langchain_chatexports.exceptions import ExportFormatError
from langchain_chatexports.samples import write_imessage, write_messenger
from tests.unit_tests.builders.messenger import Export
from tests.unit_tests.builders.sessions import metadata_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from langchain_core.chat_sessions import ChatSession

    from langchain_chatexports.chat_loaders.base import ExportSession
    from langchain_chatexports.steps import SessionTransform

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, of many kinds.

STEPS = MergeChatRuns() | MapAIMessages() | ChunkSessions(size=8, overlap=2)
SPEAKERS = MapAIMessages(sender=["Tortoise", "Harry Potter"])
MANY = 30


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Exports of several owners, as folders and zips, and one that is none."""
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
        name = root / f"export-{number}"
        as_zip = number % 2
        path = (
            export.to_zip(name.with_suffix(".zip"))
            if as_zip
            else export.to_folder(name)
        )
        paths.append(path)
    paths[7].write_bytes(paths[7].read_bytes()[:100])
    return paths


def lines_of_one_process(paths: list[Path], steps: SessionTransform) -> list[bytes]:
    loaders = [open_export(path).loader for path in paths]
    return sorted(
        json_line(example)
        for loader in loaders
        for example in to_training_examples(loader | steps)
    )


def lines_in(folder: Path) -> list[bytes]:
    files = sorted(folder.rglob("*.jsonl"))
    return sorted(line for file in files for line in file.read_bytes().splitlines(True))


def test_examples_and_counts_are_those_of_one_process(
    exports: list[Path], tmp_path: Path
) -> None:
    good = [path for path in exports if path != exports[7]]
    examples = read_examples(exports, STEPS, counts=tmp_path / "counts")
    examples.write_datasink(JsonLines(str(tmp_path / "out")))

    assert lines_in(tmp_path / "out") == lines_of_one_process(good, STEPS)
    counts = add_counts(tmp_path / "counts")
    assert counts.exports == MANY - 1
    assert counts.failed == {str(exports[7]): "ExportFormatError"}
    whole = [(open_export(path).loader | STEPS).inspect() for path in good]
    assert counts.summary == add_summaries(whole)
    assert counts.examples == len(lines_in(tmp_path / "out"))


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_thread_folders_one_by_one_are_the_export(scheme: str, tmp_path: Path) -> None:
    export = write_messenger(tmp_path / "export")
    threads = [f"{scheme}{folder}" for folder in (export / "inbox").iterdir()]
    steps = MergeChatRuns() | SPEAKERS | ChunkSessions(size=4, overlap=1)
    open_thread = functools.partial(
        FolderFacebookMessengerChatLoader, owner="Harry Potter"
    )
    examples = read_examples(
        threads, steps, open_loader=open_thread, tasks=2, counts=tmp_path / "counts"
    )
    examples.write_datasink(JsonLines(str(tmp_path / "out")))

    assert lines_in(tmp_path / "out") == lines_of_one_process([export], steps)
    counts = add_counts(tmp_path / "counts")
    whole = (open_thread(export) | steps).inspect()
    assert counts.exports == len(threads) == 9
    assert counts.summary == replace(whole, details={**whole.details, "parts": 9})


class DiesOnce:
    """Opens loaders; the process that gets to the marked export first is killed."""

    def __init__(self, marked: Path, mark: Path) -> None:
        self.marked = marked
        self.mark = mark

    def __call__(self, path: Path) -> Any:
        if path == self.marked and not self.mark.exists():
            self.mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return open_export(path).loader


def test_a_worker_that_dies_costs_nothing_and_doubles_nothing(
    exports: list[Path], tmp_path: Path
) -> None:
    good = [path for path in exports if path != exports[7]]
    dies = DiesOnce(good[11], tmp_path / "died")
    examples = read_examples(good, STEPS, open_loader=dies, counts=tmp_path / "counts")
    examples.write_datasink(JsonLines(str(tmp_path / "out")))

    assert dies.mark.exists()
    assert lines_in(tmp_path / "out") == lines_of_one_process(good, STEPS)
    counts = add_counts(tmp_path / "counts")
    assert counts.examples == len(lines_in(tmp_path / "out"))


def die(_path: Path) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def test_how_often_a_task_is_run_again_can_be_limited(exports: list[Path]) -> None:
    from ray.exceptions import RayError

    dies = read_examples(
        exports[0], STEPS, open_loader=die, ray_remote_args={"max_retries": 0}
    )
    with pytest.raises(RayError):
        dies.take_all()


class DiesAfterWriting(JsonLines):
    """JSON lines; the process that has written the first file is killed."""

    mark: Path
    counts: Path

    def write_block_to_file(self, block: Any, file: Any) -> None:
        super().write_block_to_file(block, file)
        file.flush()
        if not self.mark.exists():
            self.mark.write_text(str(len([*self.counts.glob("export-*.json")])))
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_writing_doubles_nothing(
    exports: list[Path], tmp_path: Path
) -> None:
    good = [path for path in exports if path != exports[7]][:4]
    sink = DiesAfterWriting(tmp_path / "out")
    sink.mark, sink.counts = tmp_path / "died", tmp_path / "counts"
    read_examples(good, STEPS, counts=sink.counts).write_datasink(sink)

    assert int(sink.mark.read_text()) > 0  # It had counted, too, when it was killed.
    assert sorted(p.suffix for p in (tmp_path / "out").iterdir()) == [".jsonl"] * 4
    assert lines_in(tmp_path / "out") == lines_of_one_process(good, STEPS)
    counts = add_counts(tmp_path / "counts")
    assert counts.examples == len(lines_in(tmp_path / "out"))


def test_files_are_for_their_owner_only(exports: list[Path], tmp_path: Path) -> None:
    read_examples(exports[0], STEPS).write_datasink(JsonLines(tmp_path / "a?b" / "#c"))

    (file,) = (tmp_path / "a?b" / "#c").iterdir()
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    sink, file = JsonLines(tmp_path / "out"), tmp_path / "out" / "a.jsonl"
    sink.on_write_start()
    with sink.open_output_stream(str(file)) as stream:
        stream.write(b"{}\n")
        stream.flush()
        assert not file.exists()
    assert file.read_bytes() == b"{}\n"


def test_two_runs_do_not_write_into_one_folder(
    exports: list[Path], tmp_path: Path
) -> None:
    examples = read_examples(exports[0], STEPS)
    (tmp_path / "out").mkdir()
    examples.write_datasink(JsonLines(tmp_path / "out"))
    with pytest.raises(ExportFormatError, match="holds files already"):
        examples.write_datasink(JsonLines(tmp_path / "out"))
    examples.write_datasink(JsonLines(tmp_path / "out", mode="append"))

    once = lines_of_one_process(exports[:1], STEPS)
    assert lines_in(tmp_path / "out") == sorted(once * 2)


DRIVER = """
import logging, sys, time
from pathlib import Path

import ray
from langchain_chatexports.chat_loaders.recognition import open_export
from langchain_chatexports.cluster import JsonLines, read_examples
from langchain_chatexports.steps import MapAIMessages

def slowly(path):
    time.sleep(1)  # So that it is killed before the last one.
    return open_export(path).loader

counts, out, address, *paths = sys.argv[1:]
ray.init(address, log_to_driver=False, configure_logging=False)
examples = read_examples(paths, MapAIMessages(), open_loader=slowly, counts=counts)
examples.write_datasink(JsonLines(out))
"""


def test_a_run_whose_driver_was_killed_is_not_taken_for_a_whole_one(
    exports: list[Path], tmp_path: Path
) -> None:
    import ray

    counts, out = tmp_path / "counts", tmp_path / "out"
    address = ray.get_runtime_context().gcs_address
    good = [path for path in exports if path != exports[7]]
    command = [sys.executable, "-c", DRIVER, counts, out, address, *good]
    with subprocess.Popen(  # noqa: S603 - Ours.
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as driver:
        while driver.poll() is None and not [*counts.glob("export-*.json")]:
            time.sleep(0.05)
        driver.kill()

    with pytest.raises(ExportFormatError, match="did not end"):
        add_counts(counts)
    whole = set(lines_of_one_process(good, MapAIMessages()))
    assert set(lines_in(out)) <= whole
    with pytest.raises(ExportFormatError, match="counts of another run"):
        read_examples(good, STEPS, counts=counts)


def test_the_same_export_named_twice_is_read_once(
    exports: list[Path], tmp_path: Path
) -> None:
    rows = read_examples([exports[0], str(exports[0])], STEPS, counts=tmp_path / "c")

    assert len(rows.take_all()) == len(lines_of_one_process(exports[:1], STEPS))
    assert add_counts(tmp_path / "c").exports == 1


class DamagedLater(ChatExportLoader):
    """Two sessions, and then the file is damaged."""

    error: Exception = ExportFormatError("It is damaged.")

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        sessions = FolderFacebookMessengerChatLoader(self.path).read_sessions(tally)
        yield next(sessions)
        yield next(sessions)
        raise self.error


class LostLater(DamagedLater):
    """Two sessions, and then the disk of another machine does not answer."""

    error = TimeoutError(errno.ETIMEDOUT, "Connection timed out")


@pytest.mark.parametrize("loader", [DamagedLater, LostLater])
def test_what_was_read_before_the_damage_is_counted(
    loader: type[DamagedLater], exports: list[Path], tmp_path: Path
) -> None:
    damaged = read_examples(
        exports[0], STEPS, open_loader=loader, counts=tmp_path / "counts"
    )
    rows = damaged.take_all()

    counts = add_counts(tmp_path / "counts")
    assert {row["conversation"] for row in rows} == {"friend_0", "friend_1"}
    assert counts.exports == 0
    assert counts.failed == {str(exports[0]): type(loader.error).__name__}
    assert counts.examples == len(rows)
    assert counts.summary is not None
    assert counts.summary.kept == 18


def test_without_counts_a_bad_export_is_an_error(exports: list[Path]) -> None:
    with pytest.raises(Exception, match="ExportFormatError"):
        read_examples(exports[7], STEPS).take_all()


class Odd(BaseChatLoader):
    """Sessions with tools, parts and no ids, or with plain texts."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lazy_load(self) -> Generator[ChatSession, None, None]:
        question = HumanMessage([{"type": "text", "text": "what?"}])
        call = {"name": "look", "args": {"at": None}, "id": "1"}
        answer = AIMessage("", tool_calls=[call])
        found = ToolMessage("it", tool_call_id="1")
        for text in ("a", "b"):
            yield {"messages": [HumanMessage(text), AIMessage(text)]}
            yield {"messages": [question, answer, found, AIMessage("It.")]}


def test_tools_and_parts_are_written_as_they_are(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b")]
    examples = read_examples(paths, MergeChatRuns(), open_loader=Odd)
    examples.write_datasink(JsonLines(tmp_path / "out"))

    made = to_training_examples(s for p in paths for s in Odd(p) | MergeChatRuns())
    assert lines_in(tmp_path / "out") == sorted(map(json_line, made))


def test_rows_of_sessions_pass_through_steps(tmp_path: Path) -> None:
    path = write_imessage(tmp_path / "chat.db")
    loader = open_export(path).loader
    dataset = read_exports(path)

    sessions = [session_of_row(row) for row in dataset.take_all()]
    assert sessions == loader.load()
    merged = dataset.flat_map(through(MergeChatRuns())).take_all()
    by_id = {row["id"]: session_of_row(row) for row in merged}
    assert by_id == {metadata_of(s)["id"]: s for s in loader | MergeChatRuns()}


def test_names_and_weights_do_not_put_nulls_into_other_messages(
    exports: list[Path], tmp_path: Path
) -> None:
    steps = (
        LabelSpeakers(where="name", only_groups=False)
        | MapAIMessages()
        | ChunkSessions(size=4, overlap=2, overlap_as_context=True)
    )
    examples = read_examples(exports[0], steps)
    examples.write_datasink(JsonLines(str(tmp_path / "out")))

    assert lines_in(tmp_path / "out") == lines_of_one_process(exports[:1], steps)


def test_tables_come_through_their_columns(tmp_path: Path) -> None:
    for number in range(3):
        rows = [
            {
                "case": f"{number}-{i // 4}",
                "words": f"w{i}",
                "role": "agent" if i % 2 else "user",
            }
            for i in range(8)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{number}.jsonl").write_text(text)
    open_table = functools.partial(
        TableChatLoader, columns={"conversation": "case", "text": "words"}
    )
    dataset = read_examples(
        sorted(tmp_path.glob("*.jsonl")),
        MapAIMessages(role="agent"),
        open_loader=open_table,
        counts=tmp_path / "counts",
    )

    rows = dataset.take_all()
    assert {row["conversation"] for row in rows} == {
        f"{n}-{c}" for n in range(3) for c in (0, 1)
    }
    counts = add_counts(tmp_path / "counts")
    assert (counts.exports, sum_of(counts.ledger, "Examples").kept) == (3, 24)


def test_urls_are_read_from_a_copy(exports: list[Path], tmp_path: Path) -> None:
    urls = [f"file://{path}" for path in exports[:2]]
    counts = f"file://{tmp_path}/counts"
    rows = read_examples(urls, STEPS, counts=counts).take_all()

    assert len(rows) == len(lines_of_one_process(exports[:2], STEPS))
    assert add_counts(counts).exports == 2


def test_a_split_by_hash_keeps_conversations_whole(exports: list[Path]) -> None:
    parts = {"train": 0.5, "test": 0.5}
    dataset = read_examples(exports[0], STEPS)
    train = dataset.filter(lambda row: part_of(row["conversation"], parts) == "train")
    test = dataset.filter(lambda row: part_of(row["conversation"], parts) == "test")

    seen = [{row["conversation"] for row in part.take_all()} for part in (train, test)]
    assert seen[0].isdisjoint(seen[1])
    assert len(seen[0] | seen[1]) == 3


def test_parquet_files_are_read_together_whatever_keys_each_has(
    exports: list[Path], tmp_path: Path
) -> None:
    import datasets

    steps = MapAIMessages() | ChunkSessions(size=4, overlap=2, overlap_as_context=True)
    for number, each in enumerate((steps, MapAIMessages())):  # With weights, without.
        path = exports[number]
        sink = ParquetRows(tmp_path / "out", mode="append")
        read_examples(path, each).write_datasink(sink)
        one = tmp_path / f"one-{number}.parquet"
        examples = trace_examples(open_export(path).loader | each)
        write_dataset(examples, one, format="parquet")

    together, alone = (
        datasets.load_dataset(
            "parquet", data_files=str(tmp_path / files), split="train", streaming=True
        )
        for files in ("out/*.parquet", "one-*.parquet")
    )
    assert sorted(map(str, together)) == sorted(map(str, alone))
    assert together.features == alone.features
    assert {message["weight"] for row in together for message in row["messages"]} == {
        None,
        0,
    }
