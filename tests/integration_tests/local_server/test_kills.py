"""Jobs continue after kills of the trainer, the server, or both."""

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from langchain_chatexports.local_server.storage.jobs import last_checkpoint
from langchain_chatexports.local_server.training.old_trainer import TrainingSpec
from tests.unit_tests.builders.training_runs import (
    read_events,
    run_training,
    training_spec,
)

from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.training import progress
from tests.integration_tests.local_server.conftest import (
    KILLS,
    MAX_SECONDS,
    create_job,
    create_long_job,
    find_trainers,
    open_client,
    wait_for,
    wait_for_step,
)

pytestmark = [
    pytest.mark.training,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal"),
]

_ROUNDS = KILLS or 2
_MAX_ROUND_SECONDS = 9.0
_STATUSES = {"queued", "running", "succeeded"}


def _spec(folder: Path, base: Path) -> TrainingSpec:
    folder.mkdir()
    held_out = str(folder / "train.jsonl")
    return training_spec(folder, base, epochs=3, rate=20.0, validation_file=held_out)


def _check_same_model(folder: Path, plain: Path, spec: TrainingSpec) -> None:
    """Compare with an uninterrupted training; each step has one event."""
    weights = [
        (each / "model" / "adapter_model.safetensors").read_bytes()
        for each in (folder, plain)
    ]
    assert weights[0] == weights[1]
    data = [event["data"] for event in read_events(spec)]
    assert [each["step"] for each in data if "step" in each] == list(range(1, 31))


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("is_killed", [True, False])
def test_interrupted_training_continues_from_its_checkpoint(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_killed: bool
) -> None:
    """It is killed in step 12, or stopped, which saves a checkpoint."""
    folders = [tmp_path / "plain", tmp_path / "interrupted"]
    plain, interrupted = (_spec(folder, tiny_base) for folder in folders)
    started_steps: list[int] = []

    def interrupt(
        self: Any, _args: Any, state: Any, _control: Any, **_kwargs: Any
    ) -> None:
        started_steps.append(state.global_step)
        if len(started_steps) == 12:
            self.is_stopping = not is_killed
            if is_killed:
                raise _KilledError

    run_training(plain)
    with monkeypatch.context() as patch:
        patch.setattr(progress, "CHECKPOINT_SECONDS", 0.0 if is_killed else 3600.0)
        patch.setattr(
            progress.ProgressWriter, "on_step_begin", interrupt, raising=False
        )
        with pytest.raises(_KilledError if is_killed else progress.StoppedError):
            run_training(interrupted)
        checkpoint = last_checkpoint(interrupted.folder)
        assert checkpoint is not None
        assert checkpoint.name == ("checkpoint-11" if is_killed else "checkpoint-12")
        run_training(interrupted)
    assert started_steps[12] == int(checkpoint.name.rpartition("-")[2])
    _check_same_model(folders[1], folders[0], interrupted)


def test_killed_server_leaves_no_processes(tiny_base: Path, data_dir: Path) -> None:
    server = LocalServer(tiny_base, data_dir=data_dir, threads=1)
    with server, open_client(server) as client:
        _ask(client, "tiny")
        job = create_long_job(client)
        wait_for_step(client, job.id, 2)
        ((_, trainer),) = find_trainers(data_dir)
        assert server._process is not None
        children = psutil.Process(server._process.pid).children(recursive=True)
        assert trainer in children
        assert len(children) > 1
        os.kill(server._process.pid, signal.SIGKILL)
        assert not psutil.wait_procs(children, MAX_SECONDS)[1]
    with server, open_client(server) as client:
        events = client.fine_tuning.jobs.list_events(job.id, limit=1000)
        assert any("queued again" in event.message for event in events)
        assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"


def _ask(client: Any, model: str) -> None:
    client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "a"}], max_tokens=1
    )


def _kill(server: LocalServer, data_dir: Path, *, with_trainer: bool) -> None:
    assert server._process is not None
    pids = [server._process.pid]
    if with_trainer:
        pids += [process.pid for _, process in find_trainers(data_dir)]
    for pid in pids:
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
        server = LocalServer(tiny_base, data_dir=data_dir, threads=1)
        with server, open_client(server) as client:
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
            _kill(server, data_dir, with_trainer=rng.choice([True, False]))
    server = LocalServer(tiny_base, data_dir=data_dir, threads=1)
    with server, open_client(server) as client:
        _check_all_succeed(client, jobs, data_dir)
