"""The number and order of jobs that train at once."""

from __future__ import annotations

import errno
import io
import sys
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports._locks import ProcessLock
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    write_json,
)
from langchain_chatexports.local_server.storage.events import EventLog
from langchain_chatexports.local_server.storage.files import FileStore
from langchain_chatexports.local_server.storage.jobs import JobStore
from langchain_chatexports.local_server.storage.models import ModelStore, new_model_id
from langchain_chatexports.local_server.training.queue import (
    TrainingQueue,
    _exit_reason,
)

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


class _Trainings:
    """Stands for the trainers: notes which jobs are at work until they are let go."""

    def __init__(self, root: Any, *, at_once: Any, resumes: bool = True) -> None:
        data = DataDirectory(root)
        data.prepare()
        self.jobs = JobStore(data)
        self.files = FileStore(data)
        models = ModelStore(data, base_model="tiny", signature="")
        self.queue = TrainingQueue(
            self.jobs,
            self.files,
            models,
            base_directory=root,
            threads=5,
            at_once=at_once,
            resumes=resumes,
        )
        queue: Any = self.queue
        queue._train = self._train
        self.begun: list[str] = []
        self.most_at_once = 0
        self._at_work = 0
        self._lock = threading.Lock()
        self.let_go = threading.Event()

    def order(self, *, base: str = "tiny", **more: Any) -> Any:
        model = {"id": new_model_id(), "base_model": base, "signature": ""}
        private = {
            "model": model,
            "max_length": 1,
            "stops_early": True,
            "dtype": "float32",
        }
        record = {"metadata": {}, **more}
        job = self.jobs.create(record, private=private, events=[])
        self.queue.wake()
        return job["id"]

    def _train(self, job_id: Any) -> Any:
        with self._lock:
            self.begun.append(job_id)
            self._at_work += 1
            self.most_at_once = max(self.most_at_once, self._at_work)
        while not (self.let_go.is_set() or self.queue._stopping.is_set()):
            time.sleep(0.001)
        with self._lock:
            self._at_work -= 1
        if not self.let_go.is_set():
            self.queue._conclude(job_id, exit_code=-15)
            return
        self.jobs.update(job_id, only_from=("queued", "running"), status="succeeded")


@pytest.fixture
def trainings(tmp_path: Path) -> Any:
    made = []

    def make(at_once: Any, **options: Any) -> Any:
        made.append(_Trainings(tmp_path / "data", at_once=at_once, **options))
        return made[-1]

    yield make
    for each in made:
        each.queue.stop()


def _wait(condition: Any) -> Any:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_so_many_jobs_train_at_once_and_no_more(trainings: Any, at_once: Any) -> None:
    made = trainings(at_once)
    made.queue.start()
    ordered = [made.order() for _ in range(5)]
    _wait(lambda: len(made.begun) == at_once)
    time.sleep(0.05)
    assert sorted(made.begun) == sorted(ordered[:at_once])
    made.let_go.set()
    _wait(lambda: not made.jobs.with_status("queued"))
    assert made.most_at_once <= at_once
    assert sorted(made.begun) == sorted(ordered)


def test_one_trainer_takes_the_jobs_in_their_order(trainings: Any) -> None:
    made = trainings(1)
    ordered = [made.order() for _ in range(5)]
    made.let_go.set()
    made.queue.start()
    _wait(lambda: len(made.begun) == 5)
    assert made.begun == ordered


def test_a_waiting_queue_takes_a_new_job_at_once(
    trainings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not look again by itself."""
    monkeypatch.setattr(
        "langchain_chatexports.local_server.training.queue._IDLE_SECONDS", 3600.0
    )
    made = trainings(2)
    made.queue.start()
    time.sleep(0.05)
    made.order()
    _wait(lambda: made.begun)


def test_trainers_share_the_threads(trainings: Any) -> None:
    assert trainings(1).queue._threads == 5
    assert trainings(2).queue._threads == 2
    assert trainings(8).queue._threads == 1


def test_trainers_that_were_left_alone_are_all_watched_and_take_no_new_place(
    trainings: Any,
) -> None:
    made = trainings(1)
    left = [made.order() for _ in range(3)]
    waiting = made.order()
    locks = [ProcessLock(made.jobs.folder(job) / "trainer.lock") for job in left]
    for job_id, lock in zip(left, locks, strict=True):
        made.jobs.update(job_id, only_from=("queued",), status="running")
        assert lock.acquire()
    made.queue.start()
    _wait(lambda: len(made.begun) == 3)
    time.sleep(0.05)
    assert sorted(made.begun) == sorted(left)
    made.let_go.set()
    _wait(lambda: waiting in made.begun)
    for lock in locks:
        lock.release()


def test_a_job_of_another_base_waits_for_a_server_with_it_and_says_so(
    trainings: Any,
) -> None:
    made = trainings(1)
    other, own = made.order(base="other"), made.order()
    made.let_go.set()
    made.queue.start()
    _wait(lambda: made.jobs.get(own)["status"] == "succeeded")
    assert made.begun == [own]
    assert made.jobs.get(other)["status"] == "queued"
    told = [event["message"] for event in made.jobs.events(other).read()]
    assert told[-1] == "The job is waiting for a server with its base, other"
    assert made.queue.cancel(other)


def test_a_job_that_was_left_is_trained_only_if_it_is_resumed(trainings: Any) -> None:
    left = [trainings(1).order() for _ in range(2)]
    made = trainings(1, resumes=False)
    made.let_go.set()
    made.queue.start()
    new = made.order()
    _wait(lambda: made.begun == [new])
    assert made.queue.resume(left[0])
    _wait(lambda: made.begun == [new, left[0]])
    made.queue.stop()
    assert made.jobs.get(left[1])["status"] == "queued"


def test_a_queue_that_resumes_nothing_pauses_its_jobs_when_it_stops(
    trainings: Any,
) -> None:
    made = trainings(1, resumes=False)
    made.queue.start()
    jobs = [made.order() for _ in range(2)]
    _wait(lambda: made.begun)
    made.queue.stop()
    assert [made.jobs.get(job)["status"] for job in jobs] == ["paused", "paused"]
    events = [e["message"] for job in jobs for e in made.jobs.events(job).read()]
    assert not any("queued again" in message for message in events)


def test_a_paused_job_is_trained_by_no_later_queue_before_it_is_resumed(
    trainings: Any,
) -> None:
    made = trainings(1)
    paused = made.order()
    assert made.queue.pause(paused)
    made = trainings(1)
    made.let_go.set()
    made.queue.start()
    new = made.order()
    _wait(lambda: made.begun == [new])
    assert made.queue.resume(paused)
    _wait(lambda: made.begun == [new, paused])


def test_a_request_to_pause_outlives_the_server_that_was_killed(trainings: Any) -> None:
    made = trainings(1)
    job_id = made.order()
    made.jobs.update(
        job_id, only_from=("queued",), status="running", private={"pause": True}
    )
    made = trainings(1)
    made.queue.start()
    assert made.jobs.get(job_id)["status"] == "paused"
    assert made.queue.resume(job_id)
    assert trainings(1).jobs.private(job_id)["pause"] is False


def test_a_reason_of_an_earlier_trainer_is_not_that_of_the_next(
    trainings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainings(1)
    del made.queue._train
    monkeypatch.setattr(
        "langchain_chatexports.local_server.training.queue.child_command",
        lambda _: [sys.executable, "-c", "raise SystemExit(3)"],
    )
    made.queue.start()
    with made.queue._changed:
        job_id = made.order(
            training_file=f"file-{'0' * 24}", hyperparameters={}, seed=1
        )
        reason = {"code": "disk_full", "message": "It was full.", "param": None}
        write_json(made.jobs.folder(job_id) / "failure.json", reason)
    _wait(lambda: made.jobs.get(job_id)["status"] == "failed")
    assert "exit code 3" in made.jobs.get(job_id)["error"]["message"]


def test_a_file_expires_while_a_trainer_is_at_work(
    trainings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainings(1)
    job_id = made.order()
    content = io.BytesIO(b"{}\n")
    file_id = made.files.create(content, filename="x", lifetime=3600)["id"]
    polls = iter([None, None, 0])
    trainer = SimpleNamespace(poll=lambda: next(polls))
    later = time.time() + 3601
    monkeypatch.setattr("time.time", lambda: later)
    assert made.queue._watch(job_id, trainer) == 0
    assert not made.files.path(file_id).exists()


def test_a_job_that_cannot_be_started_fails_and_the_next_is_taken(
    trainings: Any,
) -> None:
    made = trainings(1)
    good = made.queue._train

    def train(job_id: Any) -> Any:
        if job_id == broken:
            msg = "no such thing"
            raise OSError(msg)
        good(job_id)

    made.queue._train = train
    made.let_go.set()
    broken, fine = made.order(), made.order()
    made.queue.start()
    _wait(lambda: made.jobs.get(fine)["status"] == "succeeded")
    assert made.jobs.get(broken)["error"]["code"] == "server_error"


def test_a_stopped_queue_ends_its_threads(trainings: Any) -> None:
    made = trainings(3)
    made.queue.start()
    made.order()
    _wait(lambda: made.begun)
    made.queue.stop()
    assert not [t for t in threading.enumerate() if t.name.startswith("training-queue")]


def test_a_full_disk_fails_the_job_and_not_the_queue(
    trainings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    made = trainings(1)
    del made.queue._train
    first, second = made.order(), made.order()
    with monkeypatch.context() as patch:
        patch.setattr(
            "langchain_chatexports.local_server.storage.jobs.write_json", full
        )
        patch.setattr(EventLog, "append", full)
        made.queue.start()
        _wait(lambda: made.jobs.get(second)["status"] == "failed")
    for job_id in (first, second):
        assert made.jobs.get(job_id)["error"]["code"] == "disk_full"
    made.queue._train = made._train
    made.let_go.set()
    third = made.order()
    _wait(lambda: made.jobs.get(third)["status"] == "succeeded")


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [(-9, "memory"), (errno.ENOSPC, "Free some space"), (3, "exit code 3")],
)
def test_the_end_of_a_trainer_without_a_reason_is_explained(
    exit_code: int, words: str
) -> None:
    assert words in _exit_reason(exit_code)
