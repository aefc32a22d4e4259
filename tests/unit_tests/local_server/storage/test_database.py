"""The database: processes that write at the same time, and those that are killed."""

import multiprocessing
from pathlib import Path

import pytest

from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.database import (
    DatabaseError,
    is_disk_full,
    writing,
)
from langchain_chatexports.local_server.storage.jobs import JobStore

_EVENTS = 40


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    made = DataDirectory(tmp_path / "data")
    made.prepare()
    return made


def _write_events(root: str, job_id: str) -> None:
    jobs = JobStore(DataDirectory(root))
    for step in range(1, _EVENTS + 1):
        jobs.log(job_id, "Step", data={"step": step})


def test_two_processes_write_events_and_none_is_lost(data: DataDirectory) -> None:
    jobs = JobStore(data)
    job_id = jobs.create({}, private={}, events=[])["id"]
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


def test_a_change_is_made_by_one_of_two(data: DataDirectory) -> None:
    jobs = JobStore(data)
    job_id = jobs.create({}, private={}, events=[])["id"]
    assert jobs.update(job_id, only_from=("queued",), status="cancelled")
    assert not jobs.update(job_id, only_from=("queued",), status="running")
    finished_at = (jobs.get(job_id) or {})["finished_at"]
    assert isinstance(finished_at, int)


def test_a_deleted_job_gets_no_events(data: DataDirectory) -> None:
    jobs = JobStore(data)
    job_id = jobs.create({}, private={}, events=["a warning"])["id"]
    warnings = [event for event in jobs.events(job_id) if event["level"] == "warn"]
    assert [event["message"] for event in warnings] == ["a warning"]
    jobs.delete(job_id)
    jobs.log(job_id, "too late")
    assert jobs.events(job_id) == []


def test_a_missing_database_is_an_error_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError), writing(tmp_path / "none.db"):
        pass
    assert not (tmp_path / "none.db").exists()


def test_a_full_disk_is_explained_and_changes_nothing(data: DataDirectory) -> None:
    jobs = JobStore(data)
    job_id = jobs.create({}, private={}, events=[])["id"]
    with (  # noqa: PT012 - what is written fails, or its commit.
        pytest.raises(DatabaseError, match="Free some space") as caught,
        writing(data.database) as database,
    ):
        database.execute("PRAGMA max_page_count = 1")
        database.execute("UPDATE jobs SET record = ?", ("x" * 100_000,))
    assert is_disk_full(caught.value)
    assert (jobs.get(job_id) or {})["status"] == "queued"


def test_a_damaged_database_is_explained(data: DataDirectory) -> None:
    data.database.write_bytes(b"no database at all" * 100)
    with pytest.raises(DatabaseError, match="not a database") as caught:
        JobStore(data).newest_first()
    assert not is_disk_full(caught.value)
