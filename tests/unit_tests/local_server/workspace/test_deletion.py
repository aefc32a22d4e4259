"""Deletion: what goes, what stays, and that no text is left."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from langchain_chatexports._parts import part_file
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.errors import (
    DataDirectoryError,
    NotFoundError,
    StateError,
)
from langchain_chatexports.local_server.workspace import (
    Job,
    Jobs,
    Model,
    Snapshot,
    State,
    Workspace,
    data_directory,
    jobs,
)
from tests.unit_tests.builders.workspaces import add_job, add_model

posix = pytest.mark.skipif(os.name == "nt", reason="Windows restricts links")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "data")


@pytest.fixture
def models(workspace: Workspace) -> tuple[Model, Model]:
    """Two models of the same examples, newest first."""
    older, newer = (add_model(workspace, mark="MARKED", key=key) for key in "ab")
    return newer, older


@pytest.fixture
def paused(workspace: Workspace) -> Job:
    """A job without a model, with a save and examples of its own."""
    job = add_job(workspace, mark="PAUSED")
    save = workspace.job_folder(job.id) / "checkpoint-11"
    save.mkdir(parents=True)
    (save / "complete").touch()
    workspace.jobs.record(job.id, saved_step=11)
    return workspace.jobs.pause(job.id)


def _files_with(workspace: Workspace, text: str) -> list[Path]:
    paths = (path for path in workspace.data_dir.rglob("*") if path.is_file())
    return [path for path in paths if text.encode() in path.read_bytes()]


def _counts(snapshot: Snapshot) -> tuple[int, int, int]:
    return len(snapshot.files), len(snapshot.jobs), len(snapshot.models)


def test_model_is_deleted_with_its_job_and_text(
    workspace: Workspace, models: tuple[Model, Model]
) -> None:
    newer, older = models
    workspace.delete(newer.name)
    assert workspace.models.list() == (older,)
    assert [job.id for job in workspace.jobs.list()] == [older.job_id]
    assert workspace.jobs.events(newer.job_id) == ()
    assert not _files_with(workspace, newer.job_id)
    assert len(_files_with(workspace, "MARKED")) == 2
    workspace.delete(older.name)
    assert not _files_with(workspace, "MARKED")


@pytest.mark.parametrize(
    ("state", "has_model", "stays"),
    [
        (State.QUEUED, False, True),
        (State.RUNNING, False, True),
        (State.PAUSED, False, True),
        (State.SUCCEEDED, True, True),
        (State.SUCCEEDED, False, False),
        (State.FAILED, False, False),
        (State.CANCELLED, False, False),
    ],
)
def test_text_goes_with_the_last_that_needs_it(
    workspace: Workspace,
    models: tuple[Model, Model],
    *,
    state: State,
    has_model: bool,
    stays: bool,
) -> None:
    model = models[0]
    shared = workspace.jobs.get(model.job_id).training_file
    own = add_job(workspace, mark="OTHER").training_file
    workspace.jobs.delete(models[1].job_id)
    other = add_job(workspace, training_file=own, validation_file=shared, key="x")
    if has_model:
        workspace.model_folder(other.id).mkdir()
    workspace.jobs.move(other.id, state, "x", sources=(State.QUEUED,))
    workspace.delete(model.name)
    assert workspace.file_path(shared).exists() == stays


def test_used_examples_are_not_deleted_by_name(
    workspace: Workspace, models: tuple[Model, Model]
) -> None:
    unused = workspace.files.create(b"{}\n")
    workspace.delete(unused.id)
    used = workspace.jobs.get(models[0].job_id).training_file
    with pytest.raises(StateError, match="Delete the job instead"):
        workspace.delete(used)
    assert [file.id for file in workspace.files.list()] == [used]
    with pytest.raises(StateError, match="Delete the model instead"):
        workspace.delete(models[0].job_id)


def test_examples_of_an_unfinished_job_stay(workspace: Workspace, paused: Job) -> None:
    with pytest.raises(StateError, match="A job needs"):
        workspace.files.delete(paused.training_file)
    workspace.jobs.cancel(paused.id)
    workspace.files.delete(paused.training_file)
    assert not _files_with(workspace, "PAUSED")


@pytest.mark.parametrize(
    "name", ["ft:tiny:local::ffffffffffff", "ftjob-" + "0" * 24, "file-" + "0" * 32, ""]
)
def test_unknown_name_is_an_error(
    workspace: Workspace, models: tuple[Model, Model], name: str
) -> None:
    with pytest.raises(NotFoundError, match="No "):
        workspace.delete(name)
    assert _counts(workspace.snapshot()) == (1, 2, len(models))


def test_deleted_job_leaves_no_data(workspace: Workspace, paused: Job) -> None:
    workspace.delete(paused.id)
    for text in ("PAUSED", paused.id):
        assert not _files_with(workspace, text)
    assert not [*workspace.data_dir.glob("jobs/*")]


def test_cancelled_job_keeps_its_text_only(workspace: Workspace, paused: Job) -> None:
    workspace.jobs.cancel(paused.id)
    assert not workspace.job_folder(paused.id).exists()
    assert _counts(workspace.snapshot()) == (1, 1, 0)


def test_deletion_works_on_a_full_disk(
    workspace: Workspace,
    paused: Job,
    models: tuple[Model, Model],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    journals = _watch_journals(monkeypatch)
    workspace.delete(paused.id)
    workspace.delete(models[0].name)
    assert journals == {"memory"}
    assert len(workspace.jobs.list()) == 1
    assert not _files_with(workspace, "PAUSED")


def _watch_journals(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the journal modes of all changes from now on."""
    from contextlib import contextmanager

    from langchain_chatexports.local_server.workspace import DataDirectory

    seen: set[str] = set()
    connect = DataDirectory.connect

    @contextmanager
    def watched(self: DataDirectory, **options: bool) -> Any:
        with connect(self, **options) as database:
            yield database
            if any(options.values()):
                (mode,) = database.execute("PRAGMA journal_mode").fetchone()
                seen.add(mode)

    monkeypatch.setattr(DataDirectory, "connect", watched)
    return seen


def test_job_in_training_is_not_deleted(
    workspace: Workspace, paused: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_TRAINER_SECONDS", 0.1)
    with workspace.lock("trainer") as lock:
        assert lock.acquire()
        with pytest.raises(LocalServerError, match="still running"):
            workspace.delete(paused.id)
        assert workspace.job_folder(paused.id).exists()
    workspace.delete(paused.id)


def test_deletion_does_not_wait_for_another_job(
    workspace: Workspace, paused: Job
) -> None:
    other = add_job(workspace)
    workspace.jobs.move(other.id, State.RUNNING, "x", sources=(State.QUEUED,))
    with workspace.lock("trainer") as lock:
        assert lock.acquire()
        workspace.delete(paused.id)


def test_failed_deletion_can_be_repeated(
    workspace: Workspace, paused: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, while another program uses the file."""

    def fail(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "The file is used by another process")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", fail)
        with pytest.raises(DataDirectoryError, match=r"another process.*try again"):
            workspace.delete(paused.id)
    assert workspace.jobs.get(paused.id) == paused
    workspace.delete(paused.id)


class _KilledError(BaseException):
    pass


@pytest.mark.parametrize("calls", range(6))
def test_deletion_survives_a_kill(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """Before any of its changes: nothing is left that can be used, but the record."""
    model = add_model(workspace, mark="MARKED")
    left = iter(range(calls))

    def count(function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(left, None) is None:
                raise _KilledError
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patch, suppress(_KilledError):
        patch.setattr(Path, "unlink", count(Path.unlink))
        patch.setattr(jobs, "remove_folder", count(data_directory.remove_folder))
        patch.setattr(Jobs, "move", count(Jobs.move))
        patch.setattr(shutil, "rmtree", count(shutil.rmtree))
        workspace.delete(model.name)
    again = Workspace(workspace.data_dir)
    again.sweep()
    for job in again.jobs.list():
        again.jobs.delete(job.id)
    for text in ("MARKED", model.job_id):
        assert not _files_with(again, text)
    assert _counts(again.snapshot()) == (0, 0, 0)


@pytest.mark.usefixtures("paused", "models")
def test_deleting_everything_leaves_no_text(workspace: Workspace) -> None:
    half = workspace.data_dir / "models" / f".deleted-ftjob-{'0' * 24}"
    half.mkdir()
    (half / "adapter_model.safetensors").write_text("MARKED")
    assert _counts(workspace.delete_everything()) == (2, 3, 2)
    for text in ("MARKED", "PAUSED", "ftjob-"):
        assert not _files_with(workspace, text)
    assert _counts(workspace.snapshot()) == (0, 0, 0)


@pytest.mark.usefixtures("paused", "models")
def test_foreign_files_are_not_deleted(workspace: Workspace) -> None:
    names = (
        "notes.txt",
        "files/.DS_Store",
        "files/thesis/chapter.txt",
        "jobs/.deleted-scenes/cut.txt",
        "jobs/2024/list.txt",
        "models/bert/config.json",
    )
    paths = [workspace.data_dir / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    workspace.delete_everything()
    assert all(path.exists() for path in paths)
    assert not _files_with(workspace, "MARKED")


@posix
def test_links_are_not_followed(
    workspace: Workspace, models: tuple[Model, Model], tmp_path: Path
) -> None:
    folder = models[0].folder
    assert folder is not None
    shutil.copytree(folder, tmp_path / "elsewhere")
    (workspace.data_dir / "models" / f"ftjob-{'f' * 24}").symlink_to(
        tmp_path / "elsewhere"
    )
    workspace.delete_everything()
    assert [*(tmp_path / "elsewhere").iterdir()]


def test_sweep_deletes_what_nothing_can_use(workspace: Workspace, paused: Job) -> None:
    done = add_model(workspace, mark="MARKED")
    for name in (done.job_id, f"ftjob-{'e' * 24}"):
        (workspace.data_dir / "jobs" / name).mkdir()
    (workspace.data_dir / "models" / f"ftjob-{'e' * 24}").mkdir()
    workspace.sweep()
    kept = [*workspace.data_dir.glob("*/ftjob-*")]
    assert {path.name for path in kept} == {paused.id, done.job_id}


def test_upload_of_a_killed_process_is_swept(workspace: Workspace) -> None:
    workspace.prepare()
    left = workspace.data_dir / "files" / ".chatexports-0a.part"
    left.touch(mode=0o600)
    os.utime(left, (0, 0))  # From before the start of the system.
    with part_file(workspace.data_dir / "files") as running:
        workspace.sweep()
        assert (left.exists(), running.exists()) == (False, True)
