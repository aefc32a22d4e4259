"""Jobs continue after kills of the trainer, the server, or both."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from langchain_chatexports.local_server import (
    Job,
    LocalServer,
    Queue,
    State,
    Workspace,
)
from tests.integration_tests.local_server.conftest import (
    KILLS,
    MAX_SECONDS,
    create_job,
    create_long_job,
    find_trainers,
    open_client,
    other_server,
    wait_for,
    wait_for_step,
)
from tests.unit_tests.builders.waiting import wait_until
from tests.unit_tests.builders.workspaces import add_job

pytestmark = [
    pytest.mark.training,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal"),
]

_STEPS = 120
_WEIGHTS = "adapter_model.safetensors"
_ROUNDS = KILLS or 2
_MAX_ROUND_SECONDS = 9.0
_STATUSES = {"queued", "running", "succeeded"}


def test_killed_server_leaves_no_processes(tiny_base: Path, data_dir: Path) -> None:
    with other_server(tiny_base, data_dir) as (process, client):
        _ask(client, "tiny")
        job = create_long_job(client)
        wait_for_step(client, job.id, 2)
        ((_, trainer),) = find_trainers(data_dir)
        children = psutil.Process(process.pid).children(recursive=True)
        assert trainer in children
        assert len(children) == 2
        process.kill()
        assert not psutil.wait_procs(children, MAX_SECONDS)[1]
    server = LocalServer(tiny_base, data_dir=data_dir, threads=1)
    with server, open_client(server) as client:

        def is_taken_over() -> bool:
            events = server.workspace.jobs.events(job.id)
            return any("continues from its last save" in e.message for e in events)

        wait_until(is_taken_over)
        assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"


_OWNER = """
import sys
from langchain_chatexports.local_server import Queue, Workspace
with Queue(Workspace(sys.argv[1]), threads=1, save_seconds=0.2):
    sys.stdin.read()
"""


def test_killed_training_ends_like_an_uninterrupted_one(
    tiny_base: Path, data_dir: Path
) -> None:
    """Bit for bit, when its owner is killed between saves and another one continues."""
    workspace = Workspace(data_dir)
    order: Any = {"base": str(tiny_base), "seed": 7}
    order["hyperparameters"] = {"n_epochs": _STEPS // 10}
    jobs = [add_job(workspace, **order) for _ in range(2)]
    command = [sys.executable, "-c", _OWNER, str(data_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as owner:  # noqa: S603 - ours.
        try:
            wait_until(lambda: _is_between_saves(workspace.jobs.get(jobs[0].id)))
        finally:
            owner.kill()
    assert workspace.jobs.get(jobs[0].id).state is State.RUNNING
    with Queue(workspace, threads=1):
        wait_until(lambda: not any(job.is_active for job in workspace.jobs.list()))
    messages = [event.message for event in workspace.jobs.events(jobs[0].id)]
    assert any("continues from its last save" in message for message in messages)
    killed, whole = (_steps(workspace, job) for job in jobs)
    assert [step["step"] for step in killed] == [*range(1, _STEPS + 1)]
    assert killed == whole
    first, second = (workspace.model_folder(job.id) / _WEIGHTS for job in jobs)
    assert first.read_bytes() == second.read_bytes()


def _is_between_saves(job: Job) -> bool:
    return 0 < job.saved_step < job.step < _STEPS


def _steps(workspace: Workspace, job: Job) -> list[dict[str, Any]]:
    events = workspace.jobs.events(job.id)
    return [event.data for event in events if event.kind == "step"]


def _ask(client: Any, model: str) -> None:
    client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "a"}], max_tokens=1
    )


def _kill(process: Any, data_dir: Path, *, with_trainer: bool) -> None:
    trainers = [each.pid for _, each in find_trainers(data_dir)] if with_trainer else []
    for pid in (process.pid, *trainers):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _check_all_succeed(client: Any, jobs: list[str], data_dir: Path) -> None:
    names = set()
    for job_id in jobs:
        job = wait_for(client, job_id)
        assert job.status == "succeeded", job.error
        names.add(job.fine_tuned_model)
        events = client.fine_tuning.jobs.list_events(job_id, limit=1000)
        steps = [event.data["step"] for event in events if event.type == "metrics"]
        assert steps == list(range(10 * job.hyperparameters.n_epochs, 0, -1))
    assert len(names) == len(jobs)
    for name in names:
        _ask(client, name)
    assert not list((data_dir / "jobs").iterdir())
    assert not [p for p in data_dir.rglob("*") if p.suffix in {".pt", ".pth", ".bin"}]


@pytest.mark.release
def test_jobs_survive_kills_at_any_moment(tiny_base: Path, data_dir: Path) -> None:
    rng = random.Random(20261120)
    jobs: list[str] = []
    for _ in range(_ROUNDS):
        with other_server(tiny_base, data_dir) as (process, client):
            known = {job.id: job for job in client.fine_tuning.jobs.list(limit=100)}
            assert set(known) == set(jobs)
            assert {job.status for job in known.values()} <= _STATUSES
            while sum(job.status != "succeeded" for job in known.values()) < 2:
                job = create_job(client, epochs=rng.choice([1, 5, 20]))
                jobs.append(job.id)
                known[job.id] = job
            end = time.monotonic() + rng.uniform(0, _MAX_ROUND_SECONDS)
            while time.monotonic() < end:
                assert len(find_trainers(data_dir)) <= 1
                time.sleep(0.2)
            _kill(process, data_dir, with_trainer=rng.choice([True, False]))
    server = LocalServer(tiny_base, data_dir=data_dir, threads=1)
    with server, open_client(server) as client:
        _check_all_succeed(client, jobs, data_dir)
