import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from langchain_chatexports.chat_loaders.counts import Counts, sum_counts
from langchain_chatexports.datasets.card import CardNotes
from langchain_chatexports.datasets.formats import FormatName
from langchain_chatexports.datasets.jsonl import read_jsonl
from langchain_chatexports.datasets.removal import forget
from langchain_chatexports.datasets.splits import split_examples
from langchain_chatexports.datasets.trace import trace_examples
from langchain_chatexports.datasets.trace_file import (
    read_header,
    read_trace,
    trace_path,
)
from langchain_chatexports.datasets.write import write_dataset
from langchain_chatexports.exceptions import (
    ExportFormatError,
    ExportNotFoundError,
    SenderNotFoundError,
)
from langchain_chatexports.finetuning.training_file import TrainingFile
from langchain_chatexports.steps import ChunkSessions, MapAIMessages
from tests.unit_tests.builders.conversations import conversation, daily_conversations

ANIMALS = (
    *("Fox", "Hare", "Mole", "Otter", "Wolf"),
    *("Bear", "Lynx", "Newt", "Crow", "Toad"),
)
Write: TypeAlias = Callable[..., Path]


def _traced(*sessions: Any) -> Iterator[Any]:
    steps = MapAIMessages() | ChunkSessions(size=2, overlap=0)
    return trace_examples(steps.invoke(list(sessions)))


def _chats() -> list[Any]:
    return daily_conversations(length=4, others=ANIMALS)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a set of sessions, and return its path."""

    def write(*sessions: Any) -> Path:
        path = tmp_path / "set.jsonl"
        write_dataset(_traced(*sessions), path)
        return path

    return write


@pytest.fixture
def written(write: Write) -> Path:
    """A set of ten chats of two answers each."""
    return write(*_chats())


def test_card_counts_forgotten_messages(tmp_path: Path) -> None:
    path = tmp_path / "set"
    counts: list[Counts] = []
    steps = MapAIMessages() | ChunkSessions(size=2, overlap=0)
    traced = trace_examples(steps.invoke(_chats()), counts=counts)
    write_dataset(traced, path, notes=CardNotes(counts=counts))
    for animal in ("Fox", "Hare"):
        forget(path, people=[animal])
    total = sum_counts(read_header(path).metadata.stages)
    assert total is not None
    assert (total.found, total.kept, total.skipped) == (40, 32, {"forgotten": 8})
    assert "skipped: removed on request | - 8 |" in _texts(tmp_path / "set.card.md")


def _texts(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["openai", "trl-prompt-completion"])
def test_person_is_removed_in_every_format(tmp_path: Path, name: FormatName) -> None:
    splits = split_examples(_traced(*_chats()))
    path = tmp_path / "set"
    written = write_dataset(splits, path, format=name)
    for person, number in (("hare", 1), ("Crow", 8), ("Toad", 9)):
        report = forget(path, people=[person])
        assert report.removed == 2
        for file in written.files:
            assert f"{number}: what" not in _texts(path / file)
    left = sum(written.files.values()) - 6
    assert (report.remaining_rows, len(list(read_trace(path)))) == (left, left)
    assert "Hare" not in trace_path(path).read_text()


def test_forgetting_a_thread_removes_its_parts(write: Write) -> None:
    parts = [
        conversation("Hi", "Ho", session_id=f"chat#{n}", thread_id="chat")
        for n in (1, 2)
    ]
    path = write(*parts, *_chats())
    assert forget(path, conversations=["chat"]).removed == 2


def test_group_rows_of_other_people_are_kept(write: Write) -> None:
    group = conversation(
        "Fox speaks", "I answer", "Hare speaks", "I answer too",
        speakers=("Fox", "Me", "Hare", "Me")
    )  # fmt: skip
    path = write(group)
    assert forget(path, people=["Fox"]).removed == 1
    assert "Hare speaks" in _texts(path)


def test_chat_of_two_is_removed_completely(write: Write) -> None:
    chat = conversation("Hi", "Ho", "Alone", "Still alone", speakers=("Fox", "Me"))
    for message in chat["messages"][2:]:
        message.additional_kwargs["sender"] = "Me"
    path = write(chat)
    report = forget(path, people=["Fox"])
    assert (report.removed, report.remaining_rows) == (2, 0)


@pytest.mark.parametrize(
    ("name", "typed"), [("Nina Álvarez", "NINA alvarez"), ("Zo\u00eb", " zoe\u0308 ")]
)
def test_names_ignore_case_and_accents(write: Write, name: str, typed: str) -> None:
    path = write(*_chats(), conversation("Hi", "Ho", other=name))
    assert forget(path, people=[typed]).removed == 1


def test_accents_matter_if_names_only_differ_by_them(write: Write) -> None:
    chats = [
        conversation("Hi", f"Ho {name}", session_id=name, other=name)
        for name in ("Thảo", "Thạo")
    ]
    path = write(*chats)
    with pytest.raises(SenderNotFoundError):
        forget(path, people=["Thao"])
    assert forget(path, people=["thạo"]).remaining_rows == 1


def test_unknown_name_removes_nothing(tmp_path: Path, written: Path) -> None:
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(SenderNotFoundError, match="Did you mean 'Hare'") as error:
        forget(written, people=["Fox", "Haer"])
    assert error.value.senders["Hare"] == 2
    assert "'Fox' or" not in str(error.value)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_unknown_id_is_an_error(written: Path) -> None:
    with pytest.raises(ExportNotFoundError, match="Did you mean 'chat-3'"):
        forget(written, conversations=["chta-3"])


def test_silent_group_member_is_known(write: Write) -> None:
    people = ["Fox", "Me", "Mole"]
    group = conversation("Hi", "Ho", other="Fox", participants=people, is_group=True)
    path = write(group)
    assert forget(path, people=["Mole"]).removed == 0


@pytest.mark.parametrize(("people", "conversations"), [(["fox"], []), ([], ["chat-3"])])
def test_forgetting_twice_is_not_an_error(
    written: Path, people: Any, conversations: Any
) -> None:
    forget(written, people=["Fox"], conversations=["chat-3"])
    report = forget(written, people=people, conversations=conversations)
    assert (report.removed, report.not_found) == (0, (*people, *conversations))


def test_redacted_set_is_refused(written: Path) -> None:
    _change_header(written, facts={"redacted": True})
    with pytest.raises(ExportFormatError, match="with `exclude`"):
        forget(written, people=["Fox"])


def test_hashes_of_all_versions_are_kept(written: Path) -> None:
    versions = [TrainingFile(read_jsonl(written)).digest]
    forget(written, people=["Fox"])
    versions.append(TrainingFile(read_jsonl(written)).digest)
    assert list(forget(written, people=["Hare"]).hashes)[:2] == versions


def test_edited_set_is_refused(written: Path) -> None:
    written.write_text(
        _texts(written).replace("3: what number 0", "3: changed"), encoding="utf-8"
    )
    before = written.read_bytes()
    with pytest.raises(ExportFormatError, match="changed after it was written"):
        forget(written, people=["Fox"])
    assert written.read_bytes() == before


def test_missing_trace_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "set.jsonl").write_text("{}\n")
    with pytest.raises(ExportNotFoundError, match="no trace next to"):
        forget(tmp_path / "set.jsonl", people=["Fox"])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_rewritten_files_are_private(tmp_path: Path, written: Path) -> None:
    forget(written, people=["Fox"])
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def _change_header(path: Path, **changes: Any) -> None:
    trace = trace_path(path)
    header, *rows = trace.read_bytes().splitlines(keepends=True)
    changed = json.dumps({**json.loads(header), **changes}).encode()
    trace.write_bytes(b"".join([changed, b"\n", *rows]))


@pytest.mark.parametrize(
    "changes",
    [
        {"files": 5},
        {"is_folder": True, "files": ["../outside.jsonl"]},
        {"files": ["set.jsonl", "other.jsonl"]},
        {"format": "../x"},
        {"facts": {"stages": 5}},
        {"is_folder": "yes"},
        {"others": ["thesis.txt"]},
    ],
    ids=repr,
)
def test_invalid_header_is_refused(tmp_path: Path, written: Path, changes: Any) -> None:
    _change_header(written, **changes)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(ExportFormatError, match="is not the trace of a set"):
        forget(written, people=["Fox"])
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "row",
    [b"[]", b"{}", b"[" * 100_000, b'{"file": "a", "digest": "x", "senders": [5]}'],
    ids=["list", "empty", "nested", "number"],
)
def test_invalid_trace_row_is_an_error(written: Path, row: bytes) -> None:
    trace = trace_path(written)
    header, rows = trace.read_bytes().split(b"\n", 1)
    trace.write_bytes(b"\n".join([header, row, rows]))
    with pytest.raises(ExportFormatError, match="is not the trace of a set"):
        forget(written, people=["Fox"])


@pytest.mark.skipif(os.name == "nt", reason="needs links")
@pytest.mark.parametrize("suffix", [".card.md", ".trace.jsonl"])
def test_links_next_to_a_set_are_replaced(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "inner").mkdir()
    path = tmp_path / "inner" / "set.jsonl"
    write_dataset(_traced(*_chats()), path)
    link, target = path.with_name(f"set.jsonl{suffix}"), tmp_path / "elsewhere"
    target.write_bytes(link.read_bytes())
    before = target.read_bytes()
    link.unlink()
    link.symlink_to(target)
    assert forget(path, people=["Fox"]).removed
    assert target.read_bytes() == before
    write_dataset(_traced(*_chats()), path)
    assert target.read_bytes() == before
