"""The database: concurrent writes and errors."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.database import (
    DatabaseError,
    is_disk_full,
    transaction,
)
from langchain_chatexports.local_server.storage.jobs import JobStore

_EVENTS = 40


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    return directory


def _write_events(root: str, job_id: str) -> None:
    jobs = JobStore(DataDirectory(root))
    for step in range(1, _EVENTS + 1):
        jobs.log(job_id, "Step", data={"step": step})


def test_concurrent_writes_are_not_lost(data: DataDirectory) -> None:
    jobs = JobStore(data)
    job_id = jobs.create({})["id"]
    before = len(jobs.events(job_id))
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_write_events, args=(str(data.root), job_id))
        for _ in range(2)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(300)
    assert len(jobs.events(job_id)) == before + 2 * _EVENTS
    assert jobs.last_metrics(job_id) == {"step": _EVENTS}


def test_update_needs_an_expected_status(data: DataDirectory) -> None:
    jobs = JobStore(data)
    job_id = jobs.create({})["id"]
    assert jobs.update(job_id, expected=("queued",), status="cancelled")
    assert not jobs.update(job_id, expected=("queued",), status="running")
    finished_at = (jobs.get(job_id) or {})["finished_at"]
    assert isinstance(finished_at, int)


def test_job_that_starts_meanwhile_is_ahead_once(
    data: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = JobStore(data)
    first, second = (jobs.create({})["id"] for _ in range(2))
    select = JobStore._select

    def select_and_start(*args: Any) -> Any:
        rows = select(*args)
        jobs.update(first, expected=("queued",), status="running")
        return rows

    monkeypatch.setattr(JobStore, "_select", select_and_start)
    assert jobs.jobs_ahead(second) == [first]


def test_deleted_job_gets_no_events(data: DataDirectory) -> None:
    jobs = JobStore(data)
    job_id = jobs.create({}, warnings=["a warning"])["id"]
    warnings = [event for event in jobs.events(job_id) if event["level"] == "warn"]
    assert [event["message"] for event in warnings] == ["a warning"]
    jobs.delete(job_id)
    jobs.log(job_id, "too late")
    assert jobs.events(job_id) == []


def test_missing_database_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError), transaction(tmp_path / "none.db"):
        pass
    assert not (tmp_path / "none.db").exists()


def test_full_disk_rolls_back(data: DataDirectory) -> None:
    jobs = JobStore(data)
    job_id = jobs.create({})["id"]
    with (  # noqa: PT012 - the update or its commit fails.
        pytest.raises(DatabaseError, match="Free some space") as caught,
        transaction(data.database) as database,
    ):
        database.execute("PRAGMA max_page_count = 1")
        database.execute("UPDATE jobs SET record = ?", ("x" * 100_000,))
    assert is_disk_full(caught.value)
    assert (jobs.get(job_id) or {})["status"] == "queued"


def test_damaged_database_is_an_error(data: DataDirectory) -> None:
    data.database.write_bytes(b"no database at all" * 100)
    with pytest.raises(DatabaseError, match="not a database") as caught:
        JobStore(data).list_all()
    assert not is_disk_full(caught.value)
