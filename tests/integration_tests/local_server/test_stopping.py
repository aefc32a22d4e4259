"""Ctrl-C in `finetune`, and several commands with one data directory."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from langchain_chatexports.local_server import Job, State, Workspace
from tests.integration_tests.commands import COMMAND, chatexports
from tests.integration_tests.local_server.conftest import MAX_SECONDS, find_trainers
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues

pytestmark = [
    pytest.mark.training,
    pytest.mark.skipif(
        sys.platform == "win32", reason="Windows sends Ctrl-C differently"
    ),
]


class _Terminal:
    """A data directory, and commands that use it."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.data_dir = folder / "data"
        self.workspace = Workspace(self.data_dir)
        self._folder = folder
        self._base = base
        self._started = 0

        (folder / "other.jsonl").write_bytes(as_jsonl(dialogues(20)))
        # 450 steps: enough for an interrupt on a busy machine.
        (folder / "talks.jsonl").write_bytes(as_jsonl(dialogues(250)))
        # 4,000 steps, more than are trained while two other commands start.
        (folder / "many.jsonl").write_bytes(as_jsonl(dialogues(2200)))

    def finetune_command(self, *options: str, file: str = "talks.jsonl") -> list[str]:
        base_and_data = ("--base", str(self._base), "--data-dir", str(self.data_dir))
        return ["finetune", file, *base_and_data, *options]

    @contextmanager
    def start(self, *command: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
        """Start a command, and yield it with its error output."""
        self._started += 1
        err = self._folder / f"{self._started}.err"
        with (
            err.open("w") as file,
            subprocess.Popen(  # noqa: S603 - our own command.
                [*COMMAND, *command],
                cwd=self._folder,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            ) as process,
        ):
            try:
                yield process, err
            finally:
                process.kill()

    def run(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return chatexports(self._folder, *command, stdin=stdin)


@pytest.fixture
def terminal(tmp_path: Path, tiny_base: Path) -> _Terminal:
    return _Terminal(tmp_path, tiny_base)


def _wait(condition: Callable[[], object], *processes: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + MAX_SECONDS
    while not condition():
        assert all(process.poll() is None for process in processes)
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _is_trained(workspace: Workspace) -> bool:
    jobs = workspace.jobs.list()
    return any(job.state is State.RUNNING and job.step >= 2 for job in jobs)


def _interrupt(terminal: _Terminal, command: list[str]) -> Job:
    """Interrupt a training run, and check its output and its job."""
    with terminal.start(*command) as (process, err):
        _wait(lambda: _is_trained(terminal.workspace), process)
        process.send_signal(signal.SIGINT)
        assert process.wait(MAX_SECONDS) == 130
    printed = err.read_text()
    (job,) = terminal.workspace.jobs.list()
    assert job.step == job.saved_step > 0
    at = f"Training stopped at step {job.step} of {job.steps}."
    assert f"{at} To resume it:\n  chatexports {' '.join(command)}\n" in printed
    delete = f"models --delete {job.id} --data-dir {terminal.data_dir}"
    assert f"To delete the job and its examples:\n  chatexports {delete}\n" in printed
    assert "may be billed" not in printed
    assert "Traceback" not in printed
    assert (job.state, find_trainers(terminal.data_dir)) == (State.PAUSED, [])
    assert not terminal.workspace.has_queue()
    return job


class _Continued(NamedTuple):
    """A training run that was interrupted, and continued by the same command."""

    data_dir: Path
    job: Job
    again: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def continued(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> _Continued:
    terminal = _Terminal(tmp_path_factory.mktemp("continued"), tiny_base)
    command = terminal.finetune_command()
    job = _interrupt(terminal, command)
    again = terminal.run(*command)
    return _Continued(terminal.data_dir, job, again)


@pytest.fixture
def terminal_with_model(terminal: _Terminal, continued: _Continued) -> _Terminal:
    shutil.copytree(continued.data_dir, terminal.data_dir)
    return terminal


def test_same_command_continues_an_interrupted_training(continued: _Continued) -> None:
    job, again = continued.job, continued.again
    assert again.returncode == 0, again.stderr
    found = f"Job {job.id}: resuming from the checkpoint at step"
    assert f"{found} {job.step}\n" in again.stderr
    assert f"step {job.step}/" not in again.stderr
    assert "Created fine-tuning job" not in again.stderr
    (model,) = Workspace(continued.data_dir).models.list()
    assert (model.job_id, model.name in again.stdout) == (job.id, True)


def test_commands_share_a_data_directory(terminal_with_model: _Terminal) -> None:
    """Chat while a job is trained, and train after the first command has exited."""
    terminal = terminal_with_model
    data_dir_option = ("--data-dir", str(terminal.data_dir))
    command = terminal.finetune_command(file="other.jsonl")
    long = terminal.finetune_command(file="many.jsonl")
    with terminal.start(*long) as (hare, _):
        _wait(lambda: _is_trained(terminal.workspace), hare)
        before, *_ = terminal.workspace.jobs.list()
        short = ("--max-tokens", "4", "--temperature", "0")
        chat = terminal.run("chat", *data_dir_option, *short, stdin="Are you ready?\n")
        assert chat.returncode == 0, chat.stderr
        with terminal.start(*command) as (tortoise, err):
            _wait(lambda: "Queued behind job" in err.read_text(), hare, tortoise)
            assert f"Queued behind job {before.id}" in err.read_text()
            hare.send_signal(signal.SIGINT)
            assert hare.wait(MAX_SECONDS) == 130
            assert tortoise.wait(MAX_SECONDS) == 0, err.read_text()
    states = [State.SUCCEEDED, State.PAUSED, State.SUCCEEDED]
    assert [job.state for job in terminal.workspace.jobs.list()] == states
    assert not terminal.workspace.has_queue()


def test_waiting_command_continues_a_killed_one(terminal: _Terminal) -> None:
    command = terminal.finetune_command()
    with terminal.start(*command) as (first, _):
        _wait(lambda: _is_trained(terminal.workspace), first)
        with terminal.start(*command) as (second, err):
            _wait(lambda: "already training" in err.read_text(), first, second)
            first.kill()
            assert second.wait(MAX_SECONDS) == 0, err.read_text()
    (job,) = terminal.workspace.jobs.list()
    steps = [
        e.data["step"]
        for e in terminal.workspace.jobs.events(job.id)
        if e.kind == "step"
    ]
    assert steps == [*range(1, job.step + 1)]


def test_chat_does_not_run_jobs(terminal_with_model: _Terminal) -> None:
    terminal = terminal_with_model
    data_dir_option = ("--data-dir", str(terminal.data_dir))
    command = terminal.finetune_command(file="many.jsonl")
    with terminal.start(*command) as (process, _):
        _wait(lambda: _is_trained(terminal.workspace), process)
        process.kill()
    _wait(lambda: not find_trainers(terminal.data_dir))
    chat = terminal.run("chat", *data_dir_option, "--max-tokens", "4", stdin="Hello\n")
    assert chat.returncode == 0, chat.stderr
    assert find_trainers(terminal.data_dir) == []
    listed = terminal.run("models", *data_dir_option)
    assert "No program runs the jobs" in listed.stderr
