"""The counts of many tasks become one table."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

pytest.importorskip("fsspec", reason="needs the extra ray")

from langchain_chatexports import IMessageChatLoader, MergeChatRuns
from langchain_chatexports.chat_loaders.counts import Counts, ExportSummary, sum_of
from langchain_chatexports.cluster.counts import (
    ClusterCounts,
    RunCounts,
    add_counts,
)
from langchain_chatexports.datasets.examples import to_training_examples
from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError
from langchain_chatexports.samples import write_imessage


def begin(folder: object, exports: int = 1) -> RunCounts:
    return RunCounts.begin(str(folder), exports=exports)


@pytest.fixture
def run(tmp_path: Path) -> RunCounts:
    """The counts of one export."""
    return begin(tmp_path / "c")


@pytest.fixture
def summary(tmp_path: Path) -> ExportSummary:
    loader = IMessageChatLoader(write_imessage(tmp_path / "chat.db"))
    return (loader | MergeChatRuns()).inspect()


def test_a_summary_survives_the_file(summary: ExportSummary, run: RunCounts) -> None:
    run.write("a", summary, [])

    assert add_counts(run.folder).summary == summary


def test_a_task_that_runs_again_is_counted_once(
    summary: ExportSummary, run: RunCounts
) -> None:
    for _ in range(2):
        run.write("a", summary, [])

    assert add_counts(run.folder).summary == summary


def test_counts_of_examples_add_up(tmp_path: Path) -> None:
    loader = IMessageChatLoader(write_imessage(tmp_path / "chat.db"))
    ledger: list[Counts] = []
    steps = MergeChatRuns()
    with pytest.raises(ValueError, match="nothing to learn"):
        list(to_training_examples(loader | steps, ledger=ledger))
    run = begin(tmp_path / "c", exports=2)
    for path in ("a", "b"):
        run.write(path, None, ledger)

    total = add_counts(tmp_path / "c").sum_of(ledger, "Examples", "sessions")
    sessions = sum_of(ledger, "Examples", "sessions").found
    assert total.found == 2 * sessions > 0
    assert total.skipped["no_assistant"] == 2 * sessions


def test_a_bad_export_is_named_and_not_counted_as_read(tmp_path: Path) -> None:
    run = begin(tmp_path / "c", exports=2)
    run.write("bad", None, [], error="ExportFormatError")
    run.write("good", None, [])

    counts = add_counts(tmp_path / "c")
    assert counts.exports == 1
    assert counts.failed == {"bad": "ExportFormatError"}
    assert "1 read, 1 not readable" in str(counts)


def test_many_bad_exports_are_told_by_reason_and_the_first_by_name() -> None:
    failed = {f"e/{number:04}": "ExportFormatError" for number in range(995)}
    failed["f"] = "ExportNotFoundError"
    counts = ClusterCounts(5, None, [], failed)

    assert counts.reasons == {"ExportFormatError": 995, "ExportNotFoundError": 1}
    printed = str(counts).splitlines()
    assert printed[:3] == [
        "exports   5 read, 996 not readable",
        "          995 ExportFormatError",
        "          1 ExportNotFoundError",
    ]
    assert "e/0000: ExportFormatError" in printed[3]
    assert len(printed) < 30


def test_secrets_in_urls_do_not_go_into_the_counts(tmp_path: Path) -> None:
    run = begin(tmp_path / "c", exports=2)
    urls = [f"https://me:pass@host/export?sign=hush{n}" for n in (1, 2)]
    for url in urls:
        run.write(url, None, [], error="ExportNotFoundError")

    written = "".join(file.read_text() for file in (tmp_path / "c").iterdir())
    assert "hush" not in written
    assert "pass" not in written
    failed = add_counts(tmp_path / "c").failed
    assert len(failed) == 2  # They differ in nothing but their queries.
    assert all(name.startswith("https://host/export?...") for name in failed)


def test_an_export_that_is_missing_is_an_error(tmp_path: Path) -> None:
    run = begin(tmp_path / "c", exports=2)
    run.write("a", None, [])

    with pytest.raises(
        ExportFormatError, match="1 exports, and the run has 2: it did not end"
    ):
        add_counts(tmp_path / "c")


def test_counts_of_two_runs_are_not_added_up(
    summary: ExportSummary, run: RunCounts
) -> None:
    run.write("a", summary, [])
    run.write("b", summary, [])

    with pytest.raises(ExportFormatError, match="not the only one"):
        add_counts(run.folder)


def test_two_runs_at_once_are_told_apart(
    summary: ExportSummary, run: RunCounts
) -> None:
    # Nothing was there yet when the second began, and it counts exports of that name.
    begin(run.folder)
    run.write("a", summary, [])

    with pytest.raises(ExportFormatError, match="not the only one"):
        add_counts(run.folder)


def test_counts_of_an_earlier_run_are_refused(
    summary: ExportSummary, run: RunCounts
) -> None:
    run.write("a", summary, [])

    with pytest.raises(ExportFormatError, match="counts of another run"):
        begin(run.folder)


@pytest.mark.parametrize("name", ["a[1]", "a*b?c", "a#b", "a b%20c"])
def test_a_folder_may_have_any_name(
    name: str, summary: ExportSummary, tmp_path: Path
) -> None:
    begin(tmp_path / name).write("a", summary, [])

    assert add_counts(tmp_path / name).summary == summary


def test_a_store_needs_no_folders(summary: ExportSummary) -> None:
    url = "memory://counts-of-a-run/some/where"
    begin(url).write("a", summary, [])

    assert add_counts(url).summary == summary


def test_no_counts_at_all_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExportNotFoundError, match="no counts"):
        add_counts(tmp_path)


def test_something_else_in_the_folder_is_an_error(run: RunCounts) -> None:
    (Path(run.folder) / "export-x.json").write_text("[]")

    with pytest.raises(ExportFormatError, match="holds no counts"):
        add_counts(run.folder)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_names_in_counts_are_for_their_owner_only(
    summary: ExportSummary, run: RunCounts
) -> None:
    run.write("a", summary, [])

    modes = [stat.S_IMODE(file.stat().st_mode) for file in Path(run.folder).iterdir()]
    assert stat.S_IMODE(Path(run.folder).stat().st_mode) == 0o700
    assert modes == [0o600, 0o600]


def test_many_senders_are_counted_together(
    summary: ExportSummary, run: RunCounts
) -> None:
    senders = {f"customer {number}": 1 for number in range(1500)}
    crowd = ExportSummary.from_dict({**summary.to_dict(), "senders": senders})
    run.write("a", crowd, [])

    added = add_counts(run.folder).summary
    assert added is not None
    assert sum(added.senders.values()) == 1500
    assert added.senders["(further senders)"] == 500
