"""The training queue, with a scripted trainer."""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from langchain_chatexports._locks import is_locked
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    write_json,
)
from langchain_chatexports.local_server.storage.database import DatabaseError
from langchain_chatexports.local_server.storage.jobs import JobStore
from langchain_chatexports.local_server.storage.models import new_model_id
from langchain_chatexports.local_server.training.old_queue import TrainingQueue
from tests.unit_tests.builders.waiting import wait_until

# Locks the job, appends its id to `started`, and follows the instruction in `do`.
_TRAINER = """
import json, os, pathlib, sys, threading, time
from langchain_chatexports._locks import ProcessLock
from langchain_chatexports.local_server.storage.data_directory import write_json
spec = json.loads(sys.stdin.readline())
folder = pathlib.Path(spec["data_dir"], "jobs", spec["job_id"])
lock = ProcessLock(folder / "trainer.lock")
assert lock.acquire(timeout=300)
root = pathlib.Path(spec["data_dir"]).parent
def save():
    name = f"saves/checkpoint-{len(list(folder.glob('saves/*'))) + 1}"
    (folder / name).mkdir(parents=True)
    write_json(folder / name / "complete.json", {})
def end_with_server():
    for line in sys.stdin:
        save()
        os._exit(143)
    os._exit(143)
threading.Thread(target=end_with_server, daemon=True).start()
with (root / "started").open("a") as file:
    file.write(spec["job_id"] + "\\n")
while not (root / "do").exists():
    time.sleep(0.01)
what = (root / "do").read_text()
if what == "die":
    os._exit(3)
if what == "run out of memory":
    os.kill(os.getpid(), 9)
if what == "save and be killed":
    if list(folder.glob("saves/*")):
        what = "succeed"
    else:
        save()
        os.kill(os.getpid(), 9)
if what == "succeed":
    model = pathlib.Path(spec["model_folder"])
    model.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (model / name).touch()
    record = {"name": "ft:tiny", "created_at": 1, "trained_tokens": 1}
    write_json(model / "model.json", spec["model_record"] | record)
os._exit(0)
"""


class _Server:
    """A queue with scripted trainers."""

    def __init__(self, root: Path, *, resume_jobs: bool = True) -> None:
        self._root = root
        self.data = DataDirectory(root / "data")
        self.data.prepare()
        self.jobs = JobStore(self.data)
        self.queue = TrainingQueue(
            self.data,
            base_model="tiny",
            base_directory=root,
            threads=1,
            resume_jobs=resume_jobs,
        )

    def create(self, base: str = "tiny") -> str:
        model = {"id": new_model_id(), "base_model": base}
        private = {"model": model, "max_length": 1}
        record = {"training_file": f"file-{'0' * 24}", "hyperparameters": {}, "seed": 1}
        job_id: str = self.jobs.create(record, private=private)["id"]
        self.queue.enqueue(job_id)
        return job_id

    def instruct(self, action: str) -> None:
        (self._root / "do").write_text(action)

    @property
    def started(self) -> list[str]:
        file = self._root / "started"
        return file.read_text().split() if file.exists() else []

    def status(self, job_id: str) -> str:
        return str((self.jobs.get(job_id) or {}).get("status"))

    def error(self, job_id: str) -> Any:
        return (self.jobs.get(job_id) or {})["error"]

    def messages(self, job_id: str) -> list[str]:
        return [event["message"] for event in self.jobs.events(job_id)]

    def wait_for(self, job_id: str, status: str) -> None:
        wait_until(lambda: self.status(job_id) == status)


MakeServer: TypeAlias = Callable[..., _Server]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeServer]:
    monkeypatch.setattr(
        "langchain_chatexports.local_server.processes.child_command",
        lambda _: [sys.executable, "-c", _TRAINER],
    )
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))
    servers = []

    def start(**options: Any) -> _Server:
        servers.append(_Server(tmp_path, **options))
        servers[-1].queue.start()
        return servers[-1]

    yield start
    for server in servers:
        server.queue.stop()


def test_one_job_trains_at_a_time(make: MakeServer) -> None:
    server = make()
    first, second, third = (server.create() for _ in range(3))
    wait_until(lambda: server.started == [first])
    statuses = [server.status(job) for job in (first, second, third)]
    assert statuses == ["running", "queued", "queued"]
    assert server.jobs.jobs_ahead(third) == [first, second]
    assert server.messages(third)[-1] == (
        f"Queued behind job {second} (position 3); jobs run one at a time"
    )
    server.instruct("succeed")
    server.wait_for(third, "succeeded")
    assert server.started == [first, second, third]
    assert not list(server.data.jobs.iterdir())


def test_job_of_another_base_stays_queued(make: MakeServer) -> None:
    left = make()
    left.queue.stop()
    other, own = left.create(base="other"), left.create()
    server = make()
    server.instruct("succeed")
    server.wait_for(own, "succeeded")
    assert server.started == [own]
    assert server.status(other) == "queued"
    assert "waiting for a server with its base, other" in server.messages(other)[-1]


def test_stopped_job_continues_from_its_checkpoint(make: MakeServer) -> None:
    server = make()
    job_id = server.create()
    wait_until(lambda: server.started == [job_id])
    server.queue.stop()
    assert server.status(job_id) == "queued"
    assert list(server.jobs.folder(job_id).glob("saves/*"))
    server = make()
    server.instruct("succeed")
    server.wait_for(job_id, "succeeded")
    assert server.started == [job_id, job_id]


def test_queue_without_resume_pauses_jobs(make: MakeServer) -> None:
    left = make()
    left.queue.stop()
    old = left.create()
    server = make(resume_jobs=False)
    assert server.status(old) == "paused"
    new, waiting = server.create(), server.create()
    wait_until(lambda: server.started == [new])
    server.queue.stop()
    assert [server.status(job) for job in (old, new, waiting)] == ["paused"] * 3
    assert not any("queued again" in text for text in server.messages(new))
    server = make()
    assert server.jobs.resume(old)
    server.instruct("succeed")
    server.wait_for(old, "succeeded")
    assert server.started == [new, old]


@pytest.mark.parametrize(("status", "checkpoints"), [("cancelled", 0), ("paused", 1)])
def test_stopped_job_has_no_trainer(
    make: MakeServer, status: Any, checkpoints: int
) -> None:
    server = make()
    job_id = server.create()
    wait_until(lambda: server.started == [job_id])
    elsewhere = JobStore(DataDirectory(server.data.root))
    assert elsewhere.stop(job_id, status)
    folder = server.jobs.folder(job_id)
    assert not is_locked(folder / "trainer.lock")
    assert len(list(folder.glob("saves/*"))) == checkpoints
    assert server.status(job_id) == status
    server.instruct("succeed")
    assert elsewhere.resume(job_id) == (status == "paused")
    following = server.create()
    server.wait_for(following, "succeeded")
    if status == "paused":
        assert server.status(job_id) == "succeeded"


def test_shutdown_limit_does_not_apply_to_a_paused_job(
    make: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{TrainingQueue.__module__}._SHUTDOWN_SECONDS", 0.0)
    server = make()
    job_id = server.create()
    wait_until(lambda: server.started == [job_id])
    assert server.jobs.stop(job_id, "paused")
    assert len(list(server.jobs.folder(job_id).glob("saves/*"))) == 1


def test_jobs_of_a_killed_server_continue(make: MakeServer) -> None:
    server = make()
    server.queue.stop()
    left, done = server.create(), server.create()
    for job_id in (left, done):
        server.jobs.update(job_id, expected=("queued",), status="running")
    model = server.data.models / server.jobs.private_fields(done)["model"]["id"]
    model.mkdir()
    record = {"name": "ft:tiny", "created_at": 5, "trained_tokens": 7}
    write_json(model / "model.json", record)
    server = make()
    job = server.jobs.get(done) or {}
    assert (job["status"], job["fine_tuned_model"]) == ("succeeded", "ft:tiny")
    assert (job["finished_at"], job["trained_tokens"]) == (5, 7)
    wait_until(lambda: server.started == [left])


@pytest.mark.parametrize("is_killed", [True, False])
def test_late_cancel_deletes_the_model(make: MakeServer, *, is_killed: bool) -> None:
    """If the cancelling process was killed, the next server deletes the model."""
    server = make()
    server.queue.stop()
    job_id = server.create()
    server.jobs.update(job_id, expected=("queued",), status="running")
    folder = server.data.models / server.jobs.private_fields(job_id)["model"]["id"]
    folder.mkdir()
    (folder / "adapter_model.safetensors").touch()
    if is_killed:
        server.jobs.update(job_id, expected=("running",), status="cancelled")
        make()
    else:
        JobStore(DataDirectory(server.data.root)).stop(job_id, "cancelled")
    assert not list(server.data.models.iterdir())
    assert server.status(job_id) == "cancelled"


def test_killed_trainer_continues_from_its_checkpoint(make: MakeServer) -> None:
    server = make()
    server.instruct("save and be killed")
    job_id = server.create()
    server.wait_for(job_id, "succeeded")
    assert server.started == [job_id, job_id]
    assert any("queued again" in text for text in server.messages(job_id))


@pytest.mark.parametrize(
    ("what", "message"),
    [("die", "exited with code 3"), ("run out of memory", "memory")],
)
def test_failed_job_can_be_resumed(make: MakeServer, what: str, message: str) -> None:
    server = make()
    job_id, following = server.create(), server.create()
    server.instruct(what)
    server.wait_for(job_id, "failed")
    assert message in server.error(job_id)["message"]
    server.wait_for(following, "failed")
    server.instruct("succeed")
    assert server.jobs.resume(job_id)
    server.wait_for(job_id, "succeeded")
    assert server.error(job_id) is None


def test_result_is_recorded_after_a_full_disk(
    make: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make()
    job_id = server.create()
    wait_until(lambda: server.started == [job_id])
    update, tries = JobStore.update, []

    def update_on_a_full_disk(*args: Any, **changes: Any) -> bool:
        tries.append(changes)
        if len(tries) < 3:
            full = sqlite3.OperationalError("database or disk is full")
            raise DatabaseError(Path("chatexports.db"), full)
        return update(*args, **changes)

    monkeypatch.setattr(JobStore, "update", update_on_a_full_disk)
    server.instruct("succeed")
    server.wait_for(job_id, "succeeded")
    assert len(tries) == 3


def test_job_on_a_full_disk_can_be_resumed(
    make: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make()
    server.instruct("succeed")
    with monkeypatch.context() as patch:
        patch.setattr(DataDirectory, "free_bytes", 0)
        job_id = server.create()
        server.wait_for(job_id, "failed")
    assert "Free some space" in server.error(job_id)["message"]
    assert server.jobs.resume(job_id)
    server.wait_for(job_id, "succeeded")
