"""Server and trainer killed at random moments: nothing is lost, nothing is doubled."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.local_server import LocalServer
from tests.integration_tests.local_server.conftest import (
    KILLS,
    client_of,
    order,
    trainers_of,
    wait_for,
)

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


pytestmark = [
    pytest.mark.training,
    pytest.mark.release,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal"),
]

_ROUNDS = KILLS or 2
_LONGEST_ROUND_SECONDS = 9.0
_STATUSES = {"queued", "running", "succeeded"}


def _check_disk(data_dir: Any, jobs: Any) -> Any:
    for job_id in jobs:
        record = json.loads((data_dir / "jobs" / job_id / "job.json").read_text())
        assert record["status"] in _STATUSES
    for folder in (data_dir / "models").iterdir():
        if not folder.name.startswith("."):
            assert (folder / "adapter_model.safetensors").stat().st_size > 10_000
            assert json.loads((folder / "model.json").read_text())["job_id"] in jobs


def _kill_something(chance: Any, server: Any, data_dir: Any) -> Any:
    victims = [server._process.pid]
    trainers = [process.pid for _, process in trainers_of(data_dir)]
    choice = chance.choice(["server", "both", "both"])
    if choice == "both":
        victims += trainers
    # The server first: one that lives on calls a killed trainer's job failed.
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_killed_at_any_moment_every_job_ends_in_a_model(
    tiny_base: Any, tmp_path: Path
) -> None:
    chance = random.Random(20261120)
    data_dir = tmp_path / "data"
    jobs: list[str] = []
    done: dict[str, str] = {}
    for _ in range(_ROUNDS):
        server = LocalServer(tiny_base, data_dir=data_dir, threads=1)
        with server, client_of(server) as client:
            known = {job.id: job for job in client.fine_tuning.jobs.list(limit=100)}
            assert set(known) == set(jobs)
            assert {job.status for job in known.values()} <= _STATUSES
            for name in done.values():
                client.models.retrieve(name)
            while sum(known[j].status != "succeeded" for j in jobs if j in known) < 2:
                job = order(client, epochs=chance.choice([1, 5, 20]))
                jobs.append(job.id)
                known[job.id] = job
            end = time.monotonic() + chance.uniform(0, _LONGEST_ROUND_SECONDS)
            while time.monotonic() < end:
                at_work = [job_id for job_id, _ in trainers_of(data_dir)]
                assert len(at_work) == len(set(at_work))
                time.sleep(0.2)
            for job in client.fine_tuning.jobs.list(limit=100):
                if job.status == "succeeded":
                    done[job.id] = job.fine_tuned_model
            _kill_something(chance, server, data_dir)
        _check_disk(data_dir, jobs)
    server = LocalServer(tiny_base, data_dir=data_dir, threads=1)
    with server, client_of(server) as client:
        names = set()
        for job_id in jobs:
            job = wait_for(client, job_id)
            assert job.status == "succeeded", job.error
            names.add(job.fine_tuned_model)
            steps = [
                event.data["step"]
                for event in client.fine_tuning.jobs.list_events(job_id, limit=1000)
                if event.type == "metrics"
            ]
            expected = 10 * job.hyperparameters.n_epochs
            assert steps == list(range(expected, 0, -1))
        assert len(names) == len(jobs)
        for name in names:
            client.chat.completions.create(
                model=name, messages=[{"role": "user", "content": "a"}], max_tokens=1
            )
    assert not [path for path in data_dir.rglob("*") if path.suffix in {".pt", ".bin"}]
