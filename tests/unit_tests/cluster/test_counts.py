"""The counts of many tasks become one table."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fsspec", reason="needs the extra ray")

from langchain_chatexports import IMessageChatLoader, MergeChatRuns
from langchain_chatexports.chat_loaders.accounting import ExportSummary
from langchain_chatexports.cluster.counts import add_counts, begin_counts, write_counts
from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError
from langchain_chatexports.finetuning.examples import (
    ExampleCounts,
    to_training_examples,
)
from langchain_chatexports.samples import write_imessage


def unit(path: str, index: int = 0, count: int = 1) -> dict[str, Any]:
    return {"path": path, "index": index, "count": count}


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """The folder for the counts of one export."""
    begin_counts(str(tmp_path / "c"), exports=1, parts=1)
    return str(tmp_path / "c")


@pytest.fixture
def summary(tmp_path: Path) -> ExportSummary:
    loader = IMessageChatLoader(write_imessage(tmp_path / "chat.db"))
    return (loader | MergeChatRuns()).inspect()


def test_a_summary_survives_the_file(summary: ExportSummary, folder: str) -> None:
    write_counts(folder, unit("a"), summary=summary)

    assert add_counts(folder).summary == summary


def test_a_task_that_runs_again_is_counted_once(
    summary: ExportSummary, folder: str
) -> None:
    for _ in range(2):
        write_counts(folder, unit("a"), summary=summary)

    assert add_counts(folder).summary == summary


def test_counts_of_examples_add_up(tmp_path: Path) -> None:
    loader = IMessageChatLoader(write_imessage(tmp_path / "chat.db"))
    counts = ExampleCounts()
    steps = MergeChatRuns()
    with pytest.raises(ValueError, match="nothing to learn"):
        list(to_training_examples(loader | steps, counts=counts))
    begin_counts(str(tmp_path / "c"), exports=2, parts=1)
    for path in ("a", "b"):
        write_counts(str(tmp_path / "c"), unit(path), examples=counts)

    total = add_counts(tmp_path / "c").examples
    assert total.sessions == 2 * counts.sessions > 0
    assert total.sessions_left_out["no_assistant"] == 2 * counts.sessions


def test_a_bad_export_is_named_and_not_counted_as_read(tmp_path: Path) -> None:
    begin_counts(str(tmp_path / "c"), exports=2, parts=1)
    write_counts(str(tmp_path / "c"), unit("bad"), error="ExportFormatError")
    write_counts(str(tmp_path / "c"), unit("good"), examples=ExampleCounts())

    counts = add_counts(tmp_path / "c")
    assert counts.exports == 1
    assert counts.failed == {"bad": "ExportFormatError"}
    assert "1 read, 1 not readable" in str(counts)


def test_a_part_that_is_missing_is_an_error(tmp_path: Path) -> None:
    begin_counts(str(tmp_path / "c"), exports=1, parts=2)
    write_counts(str(tmp_path / "c"), unit("a", 0, 2), examples=ExampleCounts())

    with pytest.raises(ExportFormatError, match="did not end"):
        add_counts(tmp_path / "c")


def test_an_export_that_is_missing_is_an_error(tmp_path: Path) -> None:
    begin_counts(str(tmp_path / "c"), exports=2, parts=1)
    write_counts(str(tmp_path / "c"), unit("a"), examples=ExampleCounts())

    with pytest.raises(
        ExportFormatError, match="1 parts of exports, and the run has 2"
    ):
        add_counts(tmp_path / "c")


def test_counts_of_two_runs_are_not_added_up(
    summary: ExportSummary, folder: str
) -> None:
    begin_counts(folder, exports=1, parts=1)
    write_counts(folder, unit("a"), summary=summary)
    write_counts(folder, unit("b"), summary=summary)

    with pytest.raises(ExportFormatError, match="not the only one"):
        add_counts(folder)


def test_counts_of_an_earlier_run_are_refused(
    summary: ExportSummary, folder: str
) -> None:
    write_counts(folder, unit("a"), summary=summary)

    with pytest.raises(ExportFormatError, match="counts of another run"):
        begin_counts(folder, exports=1, parts=1)


@pytest.mark.parametrize("name", ["a[1]", "a*b?c", "a#b", "a b%20c"])
def test_a_folder_may_have_any_name(
    name: str, summary: ExportSummary, tmp_path: Path
) -> None:
    begin_counts(str(tmp_path / name), exports=1, parts=1)
    write_counts(str(tmp_path / name), unit("a"), summary=summary)

    assert add_counts(tmp_path / name).summary == summary


def test_a_store_needs_no_folders(summary: ExportSummary) -> None:
    url = "memory://counts-of-a-run/some/where"
    begin_counts(url, exports=1, parts=1)
    write_counts(url, unit("a"), summary=summary)

    assert add_counts(url).summary == summary


def test_no_counts_at_all_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExportNotFoundError, match="no counts"):
        add_counts(tmp_path)


def test_something_else_in_the_folder_is_an_error(folder: str) -> None:
    (Path(folder) / "x-0-of-1.json").write_text("[]")

    with pytest.raises(ExportFormatError, match="holds no counts"):
        add_counts(folder)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_names_in_counts_are_for_their_owner_only(
    summary: ExportSummary, folder: str
) -> None:
    write_counts(folder, unit("a"), summary=summary)

    modes = [stat.S_IMODE(file.stat().st_mode) for file in Path(folder).iterdir()]
    assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
    assert modes == [0o600, 0o600]


def test_many_senders_are_counted_together(summary: ExportSummary, folder: str) -> None:
    senders = {f"customer {number}": 1 for number in range(1500)}
    crowd = ExportSummary.from_dict({**summary.to_dict(), "senders": senders})
    write_counts(folder, unit("a"), summary=crowd)

    added = add_counts(folder).summary
    assert added is not None
    assert sum(added.senders.values()) == 1500
    assert added.senders["(further senders)"] == 500
