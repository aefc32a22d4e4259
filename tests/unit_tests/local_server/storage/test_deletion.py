"""Jobs and uploads: listing, cancellation and deletion."""

import io
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from langchain_chatexports._locks import ProcessLock
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.database import transaction
from langchain_chatexports.local_server.storage.deletion import (
    DataCounts,
    count_data,
    delete_data,
    delete_everything,
)
from langchain_chatexports.local_server.storage.files import (
    FileStore,
    list_example_files,
)
from langchain_chatexports.local_server.storage.jobs import (
    JobStore,
    job_events,
    list_jobs,
    stop_job,
)
from langchain_chatexports.local_server.storage.models import list_models
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues
from tests.unit_tests.builders.tuned_models import write_model

posix = pytest.mark.skipif(os.name == "nt", reason="Windows restricts links")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_model(tmp_path / "data", "0" * 11 + "1", mark="MARKED")
    write_model(tmp_path / "data", "0" * 11 + "2", mark="MARKED")
    return tmp_path / "data"


@pytest.fixture
def jobs(root: Path) -> JobStore:
    return JobStore(DataDirectory(root))


@pytest.fixture
def stopped(root: Path, jobs: JobStore) -> str:
    """A job without a model, with a checkpoint and an upload of its own; its id."""
    upload = io.BytesIO(as_jsonl(dialogues(mark="STOPPED")))
    file = FileStore(DataDirectory(root)).create(upload, filename="x")
    record = {"model": "tiny", "training_file": file["id"], "metadata": {}}
    job_id: str = jobs.create(record)["id"]
    for step in (3, 12):
        jobs.log(job_id, f"Step {step}", data={"step": step, "total_steps": 20})
    checkpoint = jobs.folder(job_id) / "saves" / "checkpoint-11"
    checkpoint.mkdir(parents=True)
    (checkpoint / "complete.json").touch()
    jobs.update(job_id, expected=("queued",), status="paused")
    return job_id


@pytest.fixture
def journals(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The journal modes of all changes on a full disk."""
    seen = set()

    @contextmanager
    def watched(path: Path, **options: bool) -> Iterator[sqlite3.Connection]:
        with transaction(path, **options) as database:
            yield database
            seen.add(database.execute("PRAGMA journal_mode").fetchone()[0])
            assert not path.with_name(f"{path.name}-journal").exists()

    for module in ("files", "jobs"):
        name = f"langchain_chatexports.local_server.storage.{module}.transaction"
        monkeypatch.setattr(name, watched)
    usage = SimpleNamespace(free=0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    return seen


def _files_with(root: Path, text: bytes) -> list[Path]:
    return [p for p in root.rglob("*") if p.is_file() and text in p.read_bytes()]


def _get_upload(jobs: JobStore, job_id: str) -> str:
    return str((jobs.get(job_id) or {})["training_file"])


def test_deletion_works_on_a_full_disk(
    root: Path, jobs: JobStore, stopped: str, journals: set[str]
) -> None:
    delete_data(stopped, data_dir=root)
    delete_data(list_models(root)[0].name, data_dir=root)
    assert (len(jobs.list_all()), journals) == (1, {"memory"})
    assert not _files_with(root, b"STOPPED")


def test_missing_directory_is_not_created(tmp_path: Path) -> None:
    assert count_data(tmp_path / "none") == DataCounts(0, 0, 0)
    assert delete_everything(tmp_path / "none") == DataCounts(0, 0, 0)
    assert (list_jobs(tmp_path / "none"), list_example_files(tmp_path / "none")) == (
        [],
        [],
    )
    assert not (tmp_path / "none").exists()


def test_model_is_deleted_with_its_job_and_text(root: Path, jobs: JobStore) -> None:
    newest, oldest = list_models(root)
    file_id = _get_upload(jobs, newest.job_id)
    delete_data(newest.name, data_dir=root)
    assert [model.name for model in list_models(root)] == [oldest.name]
    assert [job.id for job in list_jobs(root)] == [oldest.job_id]
    assert job_events(newest.job_id, root) == []
    assert not _files_with(root, newest.job_id.encode())
    assert not _files_with(root, file_id.encode())
    assert [file.job_ids for file in list_example_files(root)] == [(oldest.job_id,)]


@pytest.mark.parametrize(
    ("status", "has_model", "stays"),
    [
        ("queued", False, True),
        ("running", False, True),
        ("paused", False, True),
        ("succeeded", True, True),
        ("succeeded", False, False),
        ("failed", False, False),
        ("cancelled", False, False),
    ],
)
def test_shared_upload_is_not_deleted(
    root: Path, jobs: JobStore, status: str, *, has_model: bool, stays: bool
) -> None:
    newest, oldest = list_models(root)
    shared = _get_upload(jobs, newest.job_id)
    jobs.update(
        oldest.job_id, expected=("queued",), status=status, validation_file=shared
    )
    if not has_model:
        shutil.rmtree(oldest.path)
    delete_data(newest.name, data_dir=root)
    assert (root / "files" / f"{shared}.jsonl").exists() == stays


def test_used_examples_are_not_deleted(root: Path) -> None:
    data = DataDirectory(root)
    unused = FileStore(data).create(io.BytesIO(b"{}\n"), filename="x")["id"]
    used = list_example_files(root)[-1].id
    delete_data(unused, data_dir=root)
    with pytest.raises(LocalServerError, match="used"):
        delete_data(used, data_dir=root)
    assert unused not in {file.id for file in list_example_files(root)}


@pytest.mark.parametrize(
    "name", ["ft:tiny:local::ffffffffffff", "ftjob-" + "0" * 24, "file-" + "0" * 24]
)
def test_unknown_name_is_not_deleted(root: Path, name: str) -> None:
    with pytest.raises(LocalServerError, match=r"No (model or job|examples)"):
        delete_data(name, data_dir=root)
    assert count_data(root) == DataCounts(files=2, jobs=2, models=2)


def test_listed_jobs_have_a_position(root: Path, jobs: JobStore, stopped: str) -> None:
    newest, second, first = list_jobs(root)
    assert (newest.id, newest.status, newest.base_model) == (stopped, "stopped", "tiny")
    assert (newest.step, newest.total_steps, newest.saved_step) == (12, 20, 11)
    assert (first.position, second.position) == (0, 1)
    jobs.update(first.id, expected=("queued",), status="running")
    assert list_jobs(root)[1].position == 1


def test_job_without_server_is_stopped(
    root: Path, jobs: JobStore, stopped: str
) -> None:
    jobs.update(stopped, expected=("paused",), status="running")
    assert list_jobs(root)[0].status == "stopped"
    with ProcessLock(root / "server.lock") as lock:
        assert lock.acquire()
        assert list_jobs(root)[0].status == "running"


def test_deleted_job_leaves_no_data(root: Path, jobs: JobStore, stopped: str) -> None:
    delete_data(stopped, data_dir=root)
    assert not (root / "jobs" / stopped).exists()
    assert count_data(root) == DataCounts(files=2, jobs=2, models=2)
    assert not _files_with(root, b"STOPPED")
    assert jobs.events(stopped) == []
    assert not _files_with(root, stopped.encode())


def test_cancelled_job_has_no_checkpoints(
    root: Path, jobs: JobStore, stopped: str
) -> None:
    stop_job(stopped, "cancelled", data_dir=root)
    assert (jobs.get(stopped) or {})["status"] == "cancelled"
    assert not (root / "jobs" / stopped).exists()
    assert count_data(root).files == 3


@pytest.mark.parametrize("status", ["queued", "running"])
def test_paused_job_keeps_its_checkpoints(
    root: Path, jobs: JobStore, stopped: str, status: str
) -> None:
    jobs.update(stopped, expected=("paused",), status=status)
    stop_job(stopped, "paused", data_dir=root)
    assert (jobs.get(stopped) or {})["status"] == "paused"
    assert list_jobs(root)[0].saved_step == 11


@pytest.mark.parametrize("change", ["cancelled", "paused"])
def test_finished_job_cannot_be_changed(root: Path, stopped: str, change: Any) -> None:
    stop_job(stopped, "cancelled", data_dir=root)
    with pytest.raises(LocalServerError, match="already finished"):
        stop_job(stopped, change, data_dir=root)
    for job_id in ("ftjob-" + "0" * 24, "ftjob-../files"):
        with pytest.raises(LocalServerError, match="No job"):
            stop_job(job_id, change, data_dir=root)


def test_job_in_training_is_not_deleted(
    root: Path, stopped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "langchain_chatexports.local_server.storage.jobs._TRAINER_SECONDS", 0.1
    )
    with ProcessLock(root / "jobs" / stopped / "trainer.lock") as lock:
        assert lock.acquire()
        with pytest.raises(LocalServerError, match="still running"):
            delete_data(stopped, data_dir=root)
    assert (root / "jobs" / stopped / "saves").exists()


def test_deleting_everything_leaves_no_text(root: Path, stopped: str) -> None:
    half = root / "models" / f".deleted-{'0' * 12}"
    half.mkdir()
    (half / "adapter_model.safetensors").write_text("MARKED")
    assert len(_files_with(root, b"MARKED")) == 5
    assert delete_everything(root) == DataCounts(files=3, jobs=3, models=2)
    for text in (b"MARKED", b"STOPPED", stopped.encode()):
        assert _files_with(root, text) == []
    assert count_data(root) == DataCounts(0, 0, 0)


def test_running_server_prevents_deletion(root: Path) -> None:
    with ProcessLock(root / "server.lock") as lock:
        assert lock.acquire()
        with pytest.raises(LocalServerError, match="Another local server"):
            delete_everything(root)
    assert count_data(root) == DataCounts(files=2, jobs=2, models=2)


def _state(root: Path) -> list[tuple[str, int, int]]:
    paths = sorted([root, *root.rglob("*")])
    return [(str(p), p.lstat().st_mode, p.lstat().st_mtime_ns) for p in paths]


@pytest.mark.parametrize("call", [count_data, delete_everything])
def test_foreign_folder_is_refused(tmp_path: Path, call: Any) -> None:
    project = tmp_path / "project"
    for name in ("models/bert", "files/thesis", "jobs/2024", "models/0123456789ab"):
        (project / name).mkdir(parents=True)
        (project / name / "precious").write_text("mine")
    before = _state(project)
    with pytest.raises(LocalServerError, match="not a data directory"):
        call(project)
    with pytest.raises(LocalServerError, match="data_dir"):
        DataDirectory(project).prepare()
    assert _state(project) == before
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(LocalServerError, match=r"thesis\.txt"):
        call(tmp_path / "thesis.txt")


def test_foreign_files_are_not_deleted(root: Path) -> None:
    names = (
        "notes.txt",
        "files/.DS_Store",
        "files/thesis/chapter.txt",
        # Valid ids without a record.
        f"files/file-{'a' * 24}.jsonl",
        f"jobs/ftjob-{'a' * 24}/list.txt",
        f"models/{'a' * 12}/config.json",
        "jobs/.deleted-scenes/cut.txt",
        "models/bert/config.json",
    )
    paths = [root / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    assert delete_everything(root) == DataCounts(files=2, jobs=2, models=2)
    assert all(path.exists() for path in paths)
    assert _files_with(root, b"MARKED") == []


@posix
def test_linked_folder_is_refused(root: Path, tmp_path: Path) -> None:
    (root / "models").rename(tmp_path / "elsewhere")
    (root / "models").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LocalServerError, match="links"):
        delete_everything(root)
    assert len(list((tmp_path / "elsewhere").iterdir())) == 2


@posix
def test_link_with_a_model_id_is_not_followed(root: Path, tmp_path: Path) -> None:
    shutil.copytree(list_models(root)[0].path, tmp_path / "elsewhere")
    (root / "models" / ("f" * 12)).symlink_to(tmp_path / "elsewhere")
    delete_everything(root)
    assert list((tmp_path / "elsewhere").iterdir())
