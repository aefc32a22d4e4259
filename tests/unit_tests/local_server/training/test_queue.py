"""The training queue, with a script in place of the trainer."""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports._locks import is_locked
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    write_json,
)
from langchain_chatexports.local_server.storage.database import DatabaseError
from langchain_chatexports.local_server.storage.jobs import JobStore
from langchain_chatexports.local_server.storage.models import new_model_id
from langchain_chatexports.local_server.training.queue import TrainingQueue
from tests.unit_tests.builders.waiting import wait_until

# Takes the job's lock, writes its id to `began`, and does what the file `do` says.
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
with (root / "began").open("a") as file:
    file.write(spec["job_id"] + "\\n")
while not (root / "do").exists():
    time.sleep(0.01)
what = (root / "do").read_text()
if what == "die":
    os._exit(3)
if what == "die of memory":
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
    """A queue, and what its trainers do."""

    def __init__(self, root: Path, *, resumes: bool = True) -> None:
        self._root = root
        self.data = DataDirectory(root / "data")
        self.data.prepare()
        self.jobs = JobStore(self.data)
        self.queue = TrainingQueue(
            self.data,
            base_model="tiny",
            base_directory=root,
            threads=1,
            resumes=resumes,
        )

    def create(self, base: str = "tiny") -> str:
        model = {"id": new_model_id(), "base_model": base}
        private = {"model": model, "max_length": 1}
        record = {"training_file": f"file-{'0' * 24}", "hyperparameters": {}, "seed": 1}
        job_id: str = self.jobs.create(record, private=private, events=[])["id"]
        self.queue.enqueue(job_id)
        return job_id

    def let_trainers(self, what: str) -> None:
        (self._root / "do").write_text(what)

    @property
    def began(self) -> list[str]:
        file = self._root / "began"
        return file.read_text().split() if file.exists() else []

    def status(self, job_id: str) -> str:
        return str((self.jobs.get(job_id) or {}).get("status"))

    def error(self, job_id: str) -> Any:
        return (self.jobs.get(job_id) or {})["error"]

    def messages(self, job_id: str) -> list[str]:
        return [event["message"] for event in self.jobs.events(job_id)]

    def wait_for(self, job_id: str, status: str) -> None:
        wait_until(lambda: self.status(job_id) == status)


@pytest.fixture
def make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., _Server]]:
    monkeypatch.setattr(
        "langchain_chatexports.local_server.processes.child_command",
        lambda _: [sys.executable, "-c", _TRAINER],
    )
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))
    made = []

    def start(**options: Any) -> _Server:
        made.append(_Server(tmp_path, **options))
        made[-1].queue.start()
        return made[-1]

    yield start
    for server in made:
        server.queue.stop()


def test_one_job_trains_at_a_time_and_the_others_wait_in_line(
    make: Callable[..., _Server],
) -> None:
    server = make()
    first, second, third = (server.create() for _ in range(3))
    wait_until(lambda: server.began == [first])
    assert [server.status(job) for job in (first, second, third)] == [
        "running",
        "queued",
        "queued",
    ]
    assert server.jobs.before(third) == [first, second]
    assert server.messages(third)[-1] == (
        f"The job waits for job {second}: it is number 3 in the queue, and one job "
        "trains at a time"
    )
    server.let_trainers("succeed")
    server.wait_for(third, "succeeded")
    assert server.began == [first, second, third]
    assert not list(server.data.jobs.iterdir())


def test_a_job_of_another_base_waits_for_a_server_with_it(
    make: Callable[..., _Server],
) -> None:
    left = make()
    left.queue.stop()
    other, own = left.create(base="other"), left.create()
    server = make()
    server.let_trainers("succeed")
    server.wait_for(own, "succeeded")
    assert server.began == [own]
    assert server.status(other) == "queued"
    assert "waiting for a server with its base, other" in server.messages(other)[-1]


def test_a_stopped_server_saves_and_the_next_continues(
    make: Callable[..., _Server],
) -> None:
    server = make()
    job_id = server.create()
    wait_until(lambda: server.began == [job_id])
    server.queue.stop()
    assert server.status(job_id) == "queued"
    assert list(server.jobs.folder(job_id).glob("saves/*"))
    server = make()
    server.let_trainers("succeed")
    server.wait_for(job_id, "succeeded")
    assert server.began == [job_id, job_id]


def test_a_queue_that_resumes_nothing_pauses_what_was_left_and_its_own(
    make: Callable[..., _Server],
) -> None:
    left = make()
    left.queue.stop()
    old = left.create()
    server = make(resumes=False)
    assert server.status(old) == "paused"
    new, waiting = server.create(), server.create()
    wait_until(lambda: server.began == [new])
    server.queue.stop()
    assert [server.status(job) for job in (old, new, waiting)] == ["paused"] * 3
    assert not any("queued again" in text for text in server.messages(new))
    server = make()
    assert server.jobs.resume(old)
    server.let_trainers("succeed")
    server.wait_for(old, "succeeded")
    assert server.began == [new, old]


@pytest.mark.parametrize(("status", "saves"), [("cancelled", 0), ("paused", 1)])
def test_a_job_that_any_process_stops_has_no_trainer_when_that_returns(
    make: Callable[..., _Server], status: Any, saves: int
) -> None:
    server = make()
    job_id = server.create()
    wait_until(lambda: server.began == [job_id])
    elsewhere = JobStore(DataDirectory(server.data.root))
    assert elsewhere.stop(job_id, status)
    folder = server.jobs.folder(job_id)
    assert not is_locked(folder / "trainer.lock")
    assert len(list(folder.glob("saves/*"))) == saves
    assert server.status(job_id) == status
    server.let_trainers("succeed")
    assert elsewhere.resume(job_id) == (status == "paused")
    following = server.create()
    server.wait_for(following, "succeeded")
    if status == "paused":
        assert server.status(job_id) == "succeeded"


def test_a_job_of_a_killed_server_continues_unless_its_model_is_there(
    make: Callable[..., _Server],
) -> None:
    server = make()
    server.queue.stop()
    left, done = server.create(), server.create()
    for job_id in (left, done):
        server.jobs.update(job_id, only_from=("queued",), status="running")
    model = server.data.models / server.jobs.private(done)["model"]["id"]
    model.mkdir()
    record = {"name": "ft:tiny", "created_at": 5, "trained_tokens": 7}
    write_json(model / "model.json", record)
    server = make()
    job = server.jobs.get(done) or {}
    assert (job["status"], job["fine_tuned_model"]) == ("succeeded", "ft:tiny")
    assert (job["finished_at"], job["trained_tokens"]) == (5, 7)
    wait_until(lambda: server.began == [left])


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_job_cancelled_after_its_model_was_published_leaves_none(
    make: Callable[..., _Server], *, is_killed: bool
) -> None:
    """Whoever cancels it deletes the model; if that is killed, the next server does."""
    server = make()
    server.queue.stop()
    job_id = server.create()
    server.jobs.update(job_id, only_from=("queued",), status="running")
    folder = server.data.models / server.jobs.private(job_id)["model"]["id"]
    folder.mkdir()
    (folder / "adapter_model.safetensors").touch()
    if is_killed:
        server.jobs.update(job_id, only_from=("running",), status="cancelled")
        make()
    else:
        JobStore(DataDirectory(server.data.root)).stop(job_id, "cancelled")
    assert not list(server.data.models.iterdir())
    assert server.status(job_id) == "cancelled"


def test_a_killed_trainer_continues_from_its_save(make: Callable[..., _Server]) -> None:
    server = make()
    server.let_trainers("save and be killed")
    job_id = server.create()
    server.wait_for(job_id, "succeeded")
    assert server.began == [job_id, job_id]
    assert any("queued again" in text for text in server.messages(job_id))


@pytest.mark.parametrize(
    ("what", "words"), [("die", "exit code 3"), ("die of memory", "memory")]
)
def test_a_failed_job_says_why_and_can_be_resumed(
    make: Callable[..., _Server], what: str, words: str
) -> None:
    server = make()
    job_id, following = server.create(), server.create()
    server.let_trainers(what)
    server.wait_for(job_id, "failed")
    assert words in server.error(job_id)["message"]
    server.wait_for(following, "failed")
    server.let_trainers("succeed")
    assert server.jobs.resume(job_id)
    server.wait_for(job_id, "succeeded")
    assert server.error(job_id) is None


def test_on_a_full_disk_the_end_of_a_job_is_recorded_as_soon_as_there_is_space(
    make: Callable[..., _Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make()
    job_id = server.create()
    wait_until(lambda: server.began == [job_id])
    update, tries = JobStore.update, []

    def update_on_a_full_disk(*args: Any, **changes: Any) -> bool:
        tries.append(changes)
        if len(tries) < 3:
            full = sqlite3.OperationalError("database or disk is full")
            raise DatabaseError(Path("chatexports.db"), full)
        return update(*args, **changes)

    monkeypatch.setattr(JobStore, "update", update_on_a_full_disk)
    server.let_trainers("succeed")
    server.wait_for(job_id, "succeeded")
    assert len(tries) == 3


def test_a_job_without_space_on_the_disk_fails_and_can_be_resumed(
    make: Callable[..., _Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make()
    server.let_trainers("succeed")
    with monkeypatch.context() as patch:
        patch.setattr(DataDirectory, "free_bytes", 0)
        job_id = server.create()
        server.wait_for(job_id, "failed")
    assert "Free some space" in server.error(job_id)["message"]
    assert server.jobs.resume(job_id)
    server.wait_for(job_id, "succeeded")
