"""The queue and the trainer, with steps instead of a model."""

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from langchain_chatexports.local_server.errors import (
    BaseMissingError,
    DataDirectoryError,
    DiskFullError,
)
from langchain_chatexports.local_server.testing import train_steps
from langchain_chatexports.local_server.training import queue as queue_module
from langchain_chatexports.local_server.training.queue import Queue
from langchain_chatexports.local_server.training.trainer import describe
from langchain_chatexports.local_server.workspace import (
    Job,
    State,
    Workspace,
)
from tests.unit_tests.builders.processes import children
from tests.unit_tests.builders.trainers import train_and_fail
from tests.unit_tests.builders.waiting import wait_until
from tests.unit_tests.builders.workspaces import add_job

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")

_SLOW = {"steps": 2000, "step_seconds": 0.01}
# What a command does: order or find the job, resume and follow it; Ctrl-C pauses it.
_COMMAND = """
import sys
from langchain_chatexports.local_server.testing import train_steps
from langchain_chatexports.local_server.training.queue import Queue
from langchain_chatexports.local_server.workspace import State, Workspace
workspace = Workspace(sys.argv[1])
job = workspace.jobs.list()[0]
try:
    with Queue(workspace, train=train_steps, save_seconds=float(sys.argv[2])):
        try:
            workspace.jobs.resume(job.id) if job.state == State.PAUSED else None
            for event in workspace.jobs.follow(job.id):
                pass
        except KeyboardInterrupt:
            workspace.jobs.pause(job.id)
            raise
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "data")


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(workspace: Workspace) -> Iterator[Start]:
    """Start commands, which are killed in the end."""
    processes: list[subprocess.Popen[bytes]] = []

    def start_command(save_seconds: float = 0.2) -> "subprocess.Popen[bytes]":
        arguments = [str(workspace.data_dir), str(save_seconds)]
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and code.
            [sys.executable, "-c", _COMMAND, *arguments], start_new_session=True
        )
        processes.append(process)
        return process

    yield start_command
    for process in processes:
        with process:
            process.kill()


def _wait_for(workspace: Workspace, job: Job, *states: State) -> Job:
    wait_until(lambda: workspace.jobs.get(job.id).state in states)
    return workspace.jobs.get(job.id)


def _wait_for_step(workspace: Workspace, job: Job, step: int = 3) -> None:
    wait_until(lambda: workspace.jobs.get(job.id).step >= step)


def _trainers() -> list[psutil.Process]:
    return children("local_server.training.trainer")


def _messages(workspace: Workspace, job: Job) -> list[str]:
    return [event.message for event in workspace.jobs.events(job.id)]


def _check_each_step_once(workspace: Workspace, job: Job) -> None:
    events = workspace.jobs.events(job.id)
    steps = [event.data["step"] for event in events if event.kind == "step"]
    assert steps == [*range(1, workspace.jobs.get(job.id).step + 1)]


def test_jobs_run_one_at_a_time(workspace: Workspace) -> None:
    jobs = [add_job(workspace, hyperparameters={"steps": 5}) for _ in range(3)]
    with Queue(workspace, train=train_steps):
        done = [_wait_for(workspace, job, State.SUCCEEDED) for job in jobs]
    times = [(job.started_at or 0, job.finished_at or 0) for job in done]
    assert times == sorted(times)
    assert all(end <= start for (_, end), (start, _) in pairwise(times))
    assert len(workspace.models.list()) == 3
    assert not [*(workspace.data_dir / "jobs").iterdir()]
    assert (done[0].step, done[0].steps, done[0].results["trained_tokens"]) == (5, 5, 5)


def test_any_process_pauses_resumes_cancels_and_deletes(workspace: Workspace) -> None:
    other = Workspace(workspace.data_dir)
    jobs = [add_job(workspace, hyperparameters=_SLOW) for _ in range(2)]
    first, second = jobs
    with Queue(workspace, train=train_steps):
        _wait_for_step(other, first)
        assert other.has_queue()
        other.jobs.pause(first.id)
        _wait_for_step(other, second)  # A paused job lets the next one run.
        paused = other.jobs.get(first.id)
        assert paused.saved_step == paused.step
        other.jobs.resume(first.id)
        other.jobs.cancel(second.id)
        assert not other.job_folder(second.id).exists()
        _wait_for_step(other, first, paused.step + 1)
        other.jobs.delete(first.id)
        wait_until(lambda: not _trainers())
        wait_until(lambda: not [*(workspace.data_dir / "jobs").iterdir()])
    assert [job.state for job in other.jobs.list()] == [State.CANCELLED]
    assert not other.has_queue()


def test_leaving_saves_and_the_next_queue_continues(workspace: Workspace) -> None:
    job = add_job(workspace, hyperparameters={"steps": 60, "step_seconds": 0.02})
    with Queue(workspace, train=train_steps):
        _wait_for_step(workspace, job)
    assert not _trainers()
    left = workspace.jobs.get(job.id)
    assert left.state is State.QUEUED
    assert left.saved_step == left.step >= 3
    with Queue(workspace, train=train_steps):
        _wait_for(workspace, job, State.SUCCEEDED)
    starts = [text for text in _messages(workspace, job) if "from step" in text]
    first, again = "Training from step 1", f"Training from step {left.step + 1}"
    assert starts == [first, again]
    _check_each_step_once(workspace, job)


@posix
def test_another_process_takes_over_after_a_kill(
    workspace: Workspace, start: Start
) -> None:
    job = add_job(workspace, hyperparameters={"steps": 200, "step_seconds": 0.02})
    first = start()
    _wait_for_step(workspace, job)
    second, third = start(), start()
    _wait_for_step(workspace, job, 30)
    (trainer,) = psutil.Process(first.pid).children()
    others = [
        child for p in (second, third) for child in psutil.Process(p.pid).children()
    ]
    assert others == []
    first.kill()
    assert (second.wait(120), third.wait(120)) == (0, 0)
    assert not trainer.is_running()
    assert workspace.jobs.get(job.id).state is State.SUCCEEDED
    starts = [text for text in _messages(workspace, job) if "from step" in text]
    assert len(starts) == 2
    assert starts[1] != starts[0] == "Training from step 1"
    _check_each_step_once(workspace, job)


@posix
def test_jobs_survive_kills_at_any_moment(workspace: Workspace, start: Start) -> None:
    """Training, saving, publishing and taking over."""
    chance = random.Random(20261123)
    job = add_job(workspace, hyperparameters={"steps": 150, "step_seconds": 0.01})
    for _ in range(10):
        process = start(save_seconds=0.0)
        time.sleep(chance.uniform(0.1, 1.2))
        running = psutil.Process(process.pid).children()
        process.kill()
        process.wait()
        if chance.random() < 0.5:
            for child in running:
                child.kill()
        psutil.wait_procs(running, 30)
        assert not any(child.is_running() for child in running)
    assert start().wait(120) == 0
    assert workspace.jobs.get(job.id).state is State.SUCCEEDED
    assert len(workspace.models.list()) == 1
    assert not [*(workspace.data_dir / "jobs").iterdir()]
    _check_each_step_once(workspace, job)


@posix
def test_interrupt_pauses_and_the_same_command_continues(
    workspace: Workspace, start: Start
) -> None:
    job = add_job(workspace, hyperparameters={"steps": 60, "step_seconds": 0.03})
    process = start(save_seconds=600)
    _wait_for_step(workspace, job)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    paused = workspace.jobs.get(job.id)
    assert (paused.state, paused.saved_step) == (State.PAUSED, paused.step)
    assert start().wait(120) == 0
    assert f"Training from step {paused.step + 1}" in _messages(workspace, job)
    _check_each_step_once(workspace, job)


def train_and_save_slowly(
    progress: Any, examples: Any, job: Any, settings: Any
) -> Path | None:
    """Need half a minute to save."""
    del examples, job, settings
    progress.begin()
    progress.step(1, 2, 0.5)
    while not progress.is_stopping:
        time.sleep(0.05)
    time.sleep(30)
    return None


def test_second_interrupt_ends_the_save(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = add_job(workspace)
    queue = Queue(workspace, train=train_and_save_slowly).start()
    _wait_for_step(workspace, job, 1)
    thread = queue._thread
    assert thread is not None
    join = thread.join

    def interrupt_once(*arguments: Any) -> None:
        monkeypatch.setattr(thread, "join", join)
        join(0.5)
        raise KeyboardInterrupt(*arguments)

    monkeypatch.setattr(thread, "join", interrupt_once)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        queue.stop()
    assert time.monotonic() - started < 10
    assert not _trainers()
    assert workspace.jobs.get(job.id).state is State.QUEUED


@posix
@pytest.mark.parametrize(
    ("end", "code", "message"),
    [
        ("exit", "trainer_ended", "exited with code 3"),
        ("kill", "trainer_ended", "most likely because memory ran out"),
        ("base", "base_missing", "The base is gone."),
        ("read", "training_failed", "OSError"),
        ("memory", "out_of_memory", "smaller base"),
        ("bug", "training_failed", "KeyError"),
    ],
)
def test_failed_job_has_a_code_and_can_be_resumed(
    workspace: Workspace, end: str, code: str, message: str
) -> None:
    job = add_job(workspace, hyperparameters={"end": end, "once": True, "steps": 4})
    with Queue(workspace, train=train_and_fail):
        failed = _wait_for(workspace, job, State.FAILED)
        assert failed.error is not None
        assert failed.error["code"] == code
        assert message in failed.error["message"]
        assert workspace.jobs.events(job.id)[-1].level == "error"
        assert "secret" not in str(workspace.jobs.events(job.id)) + str(failed)
        workspace.jobs.resume(job.id)
        done = _wait_for(workspace, job, State.SUCCEEDED, State.FAILED)
    assert (done.state, done.error) == (State.SUCCEEDED, None)


@posix
def test_killed_trainer_continues_from_a_new_save(workspace: Workspace) -> None:
    options = {"end": "kill", "once": True, "saves": True, "steps": 6}
    job = add_job(workspace, hyperparameters=options)
    with Queue(workspace, train=train_and_fail):
        _wait_for(workspace, job, State.SUCCEEDED)
    assert "Training from step 4" in _messages(workspace, job)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"messages": []}\n' * 12, "line 1: "),
        (b'{"messages": [{"role": "assistant", "content": "a"}]}\n' * 9, "at least 10"),
    ],
)
def test_invalid_examples_fail_the_job(
    workspace: Workspace, content: bytes, message: str
) -> None:
    job = add_job(workspace, training_file=workspace.files.create(content).id)
    with Queue(workspace, train=train_steps):
        failed = _wait_for(workspace, job, State.FAILED)
    assert failed.error is not None
    assert failed.error["code"] == "invalid_training_file"
    assert failed.error["param"] == "training_file"
    assert message in failed.error["message"]


def test_deleted_examples_fail_the_job(workspace: Workspace) -> None:
    job = add_job(workspace)
    workspace.file_path(job.training_file).unlink()
    with Queue(workspace, train=train_steps):
        failed = _wait_for(workspace, job, State.FAILED)
    assert failed.error is not None
    assert "deleted before training" in failed.error["message"]


def test_full_disk_fails_the_job(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    job = add_job(workspace, hyperparameters={"steps": 3})
    with monkeypatch.context() as patch:
        patch.setattr(queue_module, "start", full)
        with Queue(workspace, train=train_steps):
            failed = _wait_for(workspace, job, State.FAILED)
    assert failed.error is not None
    assert failed.error["code"] == "disk_full"
    workspace.jobs.resume(job.id)
    with Queue(workspace, train=train_steps):
        _wait_for(workspace, job, State.SUCCEEDED)


def test_queue_goes_on_after_an_error(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """As when the disk is full for a while."""
    monkeypatch.setattr(queue_module, "_RETRY_SECONDS", 0.01)
    job = add_job(workspace, hyperparameters={"steps": 3})
    sweep, tries = workspace.sweep, []

    def fail_twice() -> None:
        tries.append(1)
        if len(tries) < 3:
            msg = "secret words"
            raise DataDirectoryError(msg)
        sweep()

    monkeypatch.setattr(workspace, "sweep", fail_twice)
    with Queue(workspace, train=train_steps):
        _wait_for(workspace, job, State.SUCCEEDED)
    assert "will try again" in caplog.text
    assert "secret" not in caplog.text


def test_a_full_disk_is_said_until_there_is_space(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(queue_module, "_RETRY_SECONDS", 0.01)
    job = add_job(workspace, hyperparameters={"steps": 3})
    sweep, is_free = workspace.sweep, threading.Event()

    def sweep_if_free() -> None:
        if not is_free.is_set():
            raise DiskFullError
        sweep()

    monkeypatch.setattr(workspace, "sweep", sweep_if_free)
    with Queue(workspace, train=train_steps) as queue:
        assert queue.disk_is_full.wait(10)
        is_free.set()
        _wait_for(workspace, job, State.SUCCEEDED)
        assert not queue.disk_is_full.is_set()
    assert caplog.text.count("The disk is full") == 1


def test_published_model_is_not_trained_again(workspace: Workspace) -> None:
    """Its trainer was killed between the rename and the record."""
    job = add_job(workspace)
    workspace.jobs.move(job.id, State.RUNNING, "x", sources=(State.QUEUED,))
    workspace.model_folder(job.id).mkdir()
    with Queue(workspace, train=train_steps):
        done = _wait_for(workspace, job, State.SUCCEEDED)
    assert (done.step, done.model) == (0, workspace.models.list()[0].name)


def test_queue_needs_a_directory_of_its_own(workspace: Workspace) -> None:
    workspace.data_dir.mkdir()
    (workspace.data_dir / "thesis.txt").write_text("mine")
    with pytest.raises(DataDirectoryError, match="Nothing was changed"):
        Queue(workspace).start()


def test_stopping_twice_is_harmless(workspace: Workspace) -> None:
    queue = Queue(workspace, train=train_steps)
    queue.stop()
    queue.start().stop()
    queue.stop()


def test_error_on_a_full_disk_has_its_code(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries report a full disk with classes of their own."""
    error = type("SafetensorError", (Exception,), {})("secret words")
    expected = {"code": "training_failed", "param": None}
    assert describe(error, workspace).items() >= expected.items()
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    failure = describe(error, workspace)
    assert failure["code"] == "disk_full"
    assert "Free some space" in failure["message"]
    assert describe(BaseMissingError("x"), workspace)["code"] == "base_missing"
