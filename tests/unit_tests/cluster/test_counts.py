"""The counts of many tasks become one table."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("fsspec", reason="needs the extra ray")

from langchain_chatexports import IMessageChatLoader, MergeChatRuns
from langchain_chatexports.chat_loaders.accounting import ExportSummary
from langchain_chatexports.cluster.counts import add_counts, write_counts
from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError
from langchain_chatexports.finetuning.examples import (
    ExampleCounts,
    to_training_examples,
)
from langchain_chatexports.samples import write_imessage

if TYPE_CHECKING:
    from pathlib import Path


def unit(path: str, index: int = 0, count: int = 1) -> dict[str, Any]:
    return {"path": path, "index": index, "count": count}


@pytest.fixture
def summary(tmp_path: Path) -> ExportSummary:
    loader = IMessageChatLoader(write_imessage(tmp_path / "chat.db"))
    return (loader | MergeChatRuns()).inspect()


def test_a_summary_survives_the_file(summary: ExportSummary, tmp_path: Path) -> None:
    write_counts(str(tmp_path / "c"), unit("a"), summary=summary)

    assert add_counts(tmp_path / "c").summary == summary


def test_a_task_that_runs_again_is_counted_once(
    summary: ExportSummary, tmp_path: Path
) -> None:
    for _ in range(2):
        write_counts(str(tmp_path / "c"), unit("a"), summary=summary)

    assert add_counts(tmp_path / "c").summary == summary


def test_counts_of_examples_add_up(tmp_path: Path) -> None:
    loader = IMessageChatLoader(write_imessage(tmp_path / "chat.db"))
    counts = ExampleCounts()
    steps = MergeChatRuns()
    with pytest.raises(ValueError, match="nothing to learn"):
        list(to_training_examples(loader | steps, counts=counts))
    for path in ("a", "b"):
        write_counts(str(tmp_path / "c"), unit(path), examples=counts)

    total = add_counts(tmp_path / "c").examples
    assert total.sessions == 2 * counts.sessions > 0
    assert total.sessions_left_out["no_assistant"] == 2 * counts.sessions


def test_a_bad_export_is_named_and_not_counted_as_read(tmp_path: Path) -> None:
    write_counts(str(tmp_path / "c"), unit("bad"), error="ExportFormatError")
    write_counts(str(tmp_path / "c"), unit("good"), examples=ExampleCounts())

    counts = add_counts(tmp_path / "c")
    assert counts.exports == 1
    assert counts.failed == {"bad": "ExportFormatError"}
    assert "1 read, 1 not readable" in str(counts)


def test_a_part_that_is_missing_is_an_error(tmp_path: Path) -> None:
    write_counts(str(tmp_path / "c"), unit("a", 0, 2), examples=ExampleCounts())

    with pytest.raises(ExportFormatError, match="not read to their end"):
        add_counts(tmp_path / "c")


def test_no_counts_at_all_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExportNotFoundError, match="no counts"):
        add_counts(tmp_path)


def test_something_else_in_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x-0-of-1.json").write_text("[]")

    with pytest.raises(ExportFormatError, match="holds no counts"):
        add_counts(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_names_in_counts_are_for_their_owner_only(
    summary: ExportSummary, tmp_path: Path
) -> None:
    write_counts(str(tmp_path / "c"), unit("a"), summary=summary)

    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o700


def test_many_senders_are_counted_together(
    summary: ExportSummary, tmp_path: Path
) -> None:
    senders = {f"customer {number}": 1 for number in range(1500)}
    crowd = ExportSummary.from_dict({**summary.to_dict(), "senders": senders})
    write_counts(str(tmp_path / "c"), unit("a"), summary=crowd)

    added = add_counts(tmp_path / "c").summary
    assert added is not None
    assert sum(added.senders.values()) == 1500
    assert added.senders["(further senders)"] == 500
