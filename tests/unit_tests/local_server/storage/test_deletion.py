"""Deletion without a server."""

from __future__ import annotations

import io
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports._locks import ProcessLock
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import (
    KeptData,
    cancel_job,
    count_kept,
    delete_everything,
    delete_job,
    delete_model,
    list_jobs,
    list_models,
    pause_job,
)
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    read_json,
    write_json,
)
from langchain_chatexports.local_server.storage.files import FileStore
from langchain_chatexports.local_server.storage.jobs import JobStore
from tests.unit_tests.builders.kept_models import keep_model
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


@pytest.fixture
def root(tmp_path: Path) -> Any:
    keep_model(tmp_path / "data", "0" * 11 + "1", mark="MARKED")
    keep_model(tmp_path / "data", "0" * 11 + "2", mark="MARKED")
    return tmp_path / "data"


def _marked(root: Any) -> Any:
    return [p for p in root.rglob("*") if p.is_file() and b"MARKED" in p.read_bytes()]


def test_what_is_kept_is_counted(root: Any) -> None:
    assert count_kept(root) == KeptData(files=2, jobs=2, models=2)


def test_a_directory_that_is_not_there_holds_nothing_and_is_not_made(
    tmp_path: Path,
) -> None:
    assert count_kept(tmp_path / "none") == KeptData(0, 0, 0)
    assert delete_everything(tmp_path / "none") == KeptData(0, 0, 0)
    assert not (tmp_path / "none").exists()


def test_one_model_is_deleted_and_the_other_stays(root: Any) -> None:
    newest, oldest = list_models(root)
    delete_model(newest.name, data_dir=root)
    assert [model.name for model in list_models(root)] == [oldest.name]
    assert not newest.path.exists()


def test_the_text_that_only_a_deleted_model_used_is_deleted(root: Any) -> None:
    newest, oldest = list_models(root)
    job = read_json(root / "jobs" / newest.job_id / "job.json") or {}
    other = read_json(root / "jobs" / oldest.job_id / "job.json") or {}
    delete_model(newest.name, data_dir=root)
    assert not (root / "files" / job["training_file"]).exists()
    assert (root / "files" / other["training_file"]).exists()


@pytest.mark.parametrize(
    ("status", "has_model", "stays"),
    [
        ("queued", False, True),
        ("running", False, True),
        ("succeeded", True, True),
        ("succeeded", False, False),
        ("failed", False, False),
        ("cancelled", False, False),
    ],
)
def test_a_shared_text_stays_while_another_job_or_model_uses_it(
    root: Any, status: str, *, has_model: bool, stays: bool
) -> None:
    newest, oldest = list_models(root)
    job = read_json(root / "jobs" / newest.job_id / "job.json") or {}
    shared = job["training_file"]
    path = root / "jobs" / oldest.job_id / "job.json"
    other = read_json(path) or {}
    write_json(path, {**other, "validation_file": shared, "status": status})
    if not has_model:
        shutil.rmtree(oldest.path)
    delete_model(newest.name, data_dir=root)
    assert (root / "files" / shared).exists() == stays


def test_a_model_is_deleted_though_job_and_text_are_gone(root: Any) -> None:
    newest, _ = list_models(root)
    shutil.rmtree(root / "jobs" / newest.job_id)
    shutil.rmtree(root / "files")
    delete_model(newest.name, data_dir=root)
    assert len(list_models(root)) == 1


def test_a_model_that_is_not_there_is_refused_with_those_that_are(root: Any) -> None:
    with pytest.raises(LocalServerError, match="ft:tiny:local::000000000002"):
        delete_model("ft:tiny:local::ffffffffffff", data_dir=root)
    assert len(list_models(root)) == 2


@pytest.fixture
def stopped(root: Path) -> str:
    """A job without a model, with a save and an upload of its own; its id."""
    upload = io.BytesIO(as_jsonl(dialogues(mark="STOPPED")))
    data = DataDirectory(root)
    file = FileStore(data).create(upload, filename="x")
    jobs = JobStore(data)
    order = {"model": "tiny", "training_file": file["id"], "metadata": {}}
    job_id: str = jobs.create(order, private={}, events=[])["id"]
    for step in (3, 12):
        metrics = {"step": step, "total_steps": 20}
        jobs.events(job_id).append(f"Step {step}/20", data=metrics)
    save = jobs.folder(job_id) / "work" / "trainer" / "checkpoint-11"
    save.mkdir(parents=True)
    (save / "whole.json").touch()
    jobs.update(job_id, only_from=("queued",), status="paused")
    return job_id


def _status(root: Path, job_id: str) -> Any:
    return (read_json(root / "jobs" / job_id / "job.json") or {})["status"]


def test_jobs_are_listed_newest_first_with_their_step(root: Path, stopped: str) -> None:
    newest, *older = list_jobs(root)
    assert len(older) == 2
    assert (newest.id, newest.status, newest.base_model) == (stopped, "stopped", "tiny")
    assert (newest.step, newest.total_steps, newest.saved_step) == (12, 20, 11)


@pytest.mark.parametrize(
    ("lock", "status"),
    [(None, "stopped"), ("server.lock", "running"), ("trainer.lock", "running")],
)
def test_a_job_that_nobody_trains_is_listed_as_stopped(
    root: Path, stopped: str, lock: str | None, status: str
) -> None:
    JobStore(DataDirectory(root)).update(
        stopped, only_from=("paused",), status="running"
    )
    folder = root / "jobs" / stopped if lock == "trainer.lock" else root
    with ProcessLock(folder / (lock or "x.lock")) as held:
        assert held.acquire()
        assert list_jobs(root)[0].status == status


def test_no_directory_has_no_jobs(tmp_path: Path) -> None:
    assert list_jobs(tmp_path / "none") == []


def test_a_deleted_job_leaves_no_text_events_or_checkpoints(
    root: Path, stopped: str
) -> None:
    delete_job(stopped, data_dir=root)
    assert not (root / "jobs" / stopped).exists()
    assert count_kept(root) == KeptData(files=2, jobs=2, models=2)
    assert not [p for p in root.glob("files/*/*") if b"STOPPED" in p.read_bytes()]


def test_a_text_that_a_deleted_job_shares_stays(root: Path, stopped: str) -> None:
    other = list_models(root)[0].job_id
    shared = (read_json(root / "jobs" / other / "job.json") or {})["training_file"]
    path = root / "jobs" / stopped / "job.json"
    write_json(path, {**(read_json(path) or {}), "validation_file": shared})
    delete_job(stopped, data_dir=root)
    assert (root / "files" / shared).exists()


def test_a_job_is_not_deleted_before_its_model(root: Path) -> None:
    model = list_models(root)[0]
    with pytest.raises(LocalServerError, match=model.name):
        delete_job(model.job_id, data_dir=root)
    assert count_kept(root) == KeptData(files=2, jobs=2, models=2)


def test_a_cancelled_job_keeps_its_text_and_no_checkpoint(
    root: Path, stopped: str
) -> None:
    cancel_job(stopped, data_dir=root)
    assert _status(root, stopped) == "cancelled"
    assert not (root / "jobs" / stopped / "work").exists()
    assert count_kept(root).files == 3


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_job_of_a_killed_server_is_paused_and_keeps_its_checkpoint(
    root: Path, stopped: str, status: str
) -> None:
    JobStore(DataDirectory(root)).update(stopped, only_from=("paused",), status=status)
    pause_job(stopped, data_dir=root)
    assert _status(root, stopped) == "paused"
    assert list_jobs(root)[0].saved_step == 11


@pytest.mark.parametrize("change", [cancel_job, pause_job])
def test_a_finished_job_is_not_changed(root: Path, stopped: str, change: Any) -> None:
    cancel_job(stopped, data_dir=root)
    with pytest.raises(LocalServerError, match="finished already"):
        change(stopped, data_dir=root)


@pytest.mark.parametrize("change", [cancel_job, pause_job, delete_job])
@pytest.mark.parametrize("job_id", ["ftjob-" + "0" * 24, "ftjob-../files"])
def test_a_job_that_is_not_there_is_an_error(
    root: Path, change: Any, job_id: str
) -> None:
    with pytest.raises(LocalServerError, match="no job"):
        change(job_id, data_dir=root)


@pytest.mark.parametrize("change", [cancel_job, pause_job, delete_job])
def test_a_job_is_not_changed_under_a_trainer_that_was_left_alone(
    root: Path, stopped: str, change: Any
) -> None:
    with ProcessLock(root / "jobs" / stopped / "trainer.lock") as lock:
        assert lock.acquire()
        with pytest.raises(LocalServerError, match="trainer of a killed server"):
            change(stopped, data_dir=root)
    assert _status(root, stopped) == "paused"


def test_everything_deleted_leaves_no_marked_text(root: Any) -> None:
    half = root / "models" / f".new-{'0' * 12}"
    half.mkdir()
    (half / "adapter_model.safetensors").write_text("MARKED")
    assert len(_marked(root)) == 5
    assert delete_everything(root) == KeptData(files=2, jobs=2, models=2)
    assert _marked(root) == []
    assert count_kept(root) == KeptData(0, 0, 0)


@pytest.mark.parametrize(
    "delete",
    [
        delete_everything,
        lambda root: delete_model(list_models(root)[0].name, data_dir=root),
    ],
)
def test_nothing_is_deleted_under_a_running_server(root: Any, delete: Any) -> None:
    with ProcessLock(root / "server.lock") as lock:
        assert lock.acquire()
        with pytest.raises(LocalServerError, match="Another local server"):
            delete(root)
    assert count_kept(root) == KeptData(files=2, jobs=2, models=2)


def test_nothing_is_deleted_under_a_trainer_that_was_left_alone(root: Any) -> None:
    job = next((root / "jobs").iterdir())
    with ProcessLock(job / "trainer.lock") as lock:
        assert lock.acquire()
        with pytest.raises(LocalServerError, match="trainer of a killed server"):
            delete_everything(root)
    assert count_kept(root) == KeptData(files=2, jobs=2, models=2)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Somebody's project that happens to have folders of our names."""
    root = tmp_path / "project"
    for name in ("models/bert", "files/thesis", "jobs/2024", "models/0123456789ab"):
        (root / name).mkdir(parents=True)
        (root / name / "precious").write_text("mine")
    for folder in (root, *root.rglob("*")):
        folder.chmod(0o755)
    return root


def _state(root: Path) -> list[tuple[str, int, int]]:
    paths = sorted([root, *root.rglob("*")])
    return [(str(p), p.lstat().st_mode, p.lstat().st_mtime_ns) for p in paths]


@pytest.mark.parametrize("look", [count_kept, list_models])
def test_listing_a_directory_changes_nothing_in_it(root: Path, look: Any) -> None:
    (root / "models").chmod(0o755)
    before = _state(root)
    look(root)
    assert _state(root) == before


def test_listing_deletes_no_upload_whose_time_is_over(root: Path) -> None:
    meta, _ = root.glob("files/*/meta.json")
    write_json(meta, {**(read_json(meta) or {}), "expires_at": 1})
    assert count_kept(root).files == 2
    assert meta.exists()


@pytest.mark.parametrize("call", [count_kept, delete_everything])
def test_somebody_elses_folder_is_refused_and_left_as_it_is(
    project: Path, call: Any
) -> None:
    before = _state(project)
    with pytest.raises(LocalServerError, match="not a data directory"):
        call(project)
    assert _state(project) == before


def test_a_server_takes_up_no_folder_with_other_things_in_it(project: Path) -> None:
    before = _state(project)
    with pytest.raises(LocalServerError, match="data_dir"):
        DataDirectory(project).prepare()
    assert _state(project) == before


@pytest.mark.parametrize("call", [count_kept, delete_everything])
def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path, call: Any) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(LocalServerError, match=r"thesis\.txt"):
        call(tmp_path / "thesis.txt")


def test_what_others_put_into_the_directory_stays(root: Path) -> None:
    theirs = [
        root / path
        for path in (
            "notes.txt",
            "users/family/photo.jpg",
            "users/notes.lock",
            "files/.new-year/list.txt",
            "files/.DS_Store",
            "files/thesis/chapter.txt",
            "jobs/.deleted-scenes/cut.txt",
            f"jobs/.new-file-{'0' * 24}.txt",
            "models/bert/config.json",
            # The form of an id, and no record of ours.
            f"models/{'a' * 12}/config.json",
        )
    ]
    for path in theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    assert delete_everything(root) == KeptData(files=2, jobs=2, models=2)
    assert all(path.exists() for path in theirs)
    assert _marked(root) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows lets few people make links")
def test_a_link_in_place_of_a_folder_is_refused(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / ("0" * 12)
    elsewhere.mkdir(parents=True)
    for entry in (root / "models").iterdir():
        entry.rename(tmp_path / entry.name)
    (root / "models").rmdir()
    (root / "models").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LocalServerError, match="links"):
        delete_everything(root)
    assert elsewhere.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows lets few people make links")
def test_a_link_with_one_of_our_ids_is_not_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("mine")
    (root / "models" / ("f" * 12)).symlink_to(tmp_path / "elsewhere")
    delete_everything(root)
    assert (tmp_path / "elsewhere" / "precious").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows lets few people make links")
def test_a_link_in_place_of_the_lock_makes_no_file_elsewhere(
    root: Path, tmp_path: Path
) -> None:
    (root / "server.lock").unlink(missing_ok=True)
    (root / "server.lock").symlink_to(tmp_path / "made")
    with pytest.raises(OSError, match="symbolic"):
        delete_everything(root)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("more", ["notes.txt", "models/bert", "files/thesis.txt"])
def test_without_the_marker_a_directory_is_somebody_elses(
    root: Path, more: str
) -> None:
    (root / ".chatexports-data").unlink()
    (root / more).mkdir()
    with pytest.raises(LocalServerError, match="not a data directory"):
        delete_everything(root)
    assert len(list_models(root)) == 2
