"""Jobs that are stopped, continued, cancelled and deleted.

Importing torch in another process takes seconds, so several tests share one job.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from langchain_chatexports.local_server import LocalServer, State
from tests.integration_tests.local_server.conftest import (
    create_job,
    create_long_job,
    find_trainers,
    open_client,
    other_server,
    wait_for,
    wait_for_step,
)
from tests.unit_tests.builders.tiny_base import dialogues

_MARK = "MARKEDWORDS"
_EPOCHS = 20
_CHAT: Any = [{"role": "user", "content": _MARK}]
# Refuses and records network connections in each child of the server.
_SPY = """
import pathlib, socket
notes = pathlib.Path({folder!r})
connect, unix = socket.socket.connect, getattr(socket, "AF_UNIX", None)
def refuse(self, address, *rest):
    if self is not None and self.family == unix:
        return connect(self, address)  # A local socket.
    (notes / "attempt").write_text(repr(address))
    raise OSError("the network is closed")
socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = lambda host, *rest, **more: refuse(None, host)
(notes / "loaded").touch()
"""


@dataclass
class _JobHistory:
    """Observations of a job, from its creation to the deletion of its model."""

    spy: Path
    data_dir: Path
    keys: list[str]
    state_when_stopped: State
    trainers_when_stopped: int
    job: Any
    steps: list[int]


@pytest.fixture(scope="module")
def job_history(
    tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> _JobHistory:
    """Create, stop and continue a job, chat with its model, and delete it."""
    folder = tmp_path_factory.mktemp("job_history")
    data_dir = folder / "data"
    (folder / "sitecustomize.py").write_text(_SPY.format(folder=str(folder)))
    server = LocalServer(tiny_base, data_dir=data_dir, threads=1)
    keys = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        with server, open_client(server) as client:
            keys.append(server.api_key)
            job = create_job(client, epochs=_EPOCHS, examples=dialogues(mark=_MARK))
            # Most of the 200 short steps remain when it is stopped.
            wait_for_step(client, job.id, 3)
        trainers = len(find_trainers(data_dir))
        (stopped,) = server.workspace.jobs.list()
        with server, open_client(server) as client:
            keys.append(server.api_key)
            job = wait_for(client, job.id)
            events = client.fine_tuning.jobs.list_events(job.id, limit=1000)
            steps = [e.data["step"] for e in events if e.type == "metrics"]
            model = job.fine_tuned_model
            client.chat.completions.create(model=model, messages=_CHAT, max_tokens=4)
            client.files.delete(job.training_file)
            client.models.delete(model)
    return _JobHistory(
        spy=folder,
        data_dir=data_dir,
        keys=keys,
        state_when_stopped=stopped.state,
        trainers_when_stopped=trainers,
        job=job,
        steps=steps,
    )


def test_stopped_server_queues_its_job(job_history: _JobHistory) -> None:
    assert job_history.trainers_when_stopped == 0
    assert job_history.state_when_stopped is State.QUEUED


def test_next_server_continues_the_job(job_history: _JobHistory) -> None:
    assert job_history.job.status == "succeeded", job_history.job.error
    assert job_history.steps == list(range(10 * _EPOCHS, 0, -1))


def test_each_start_has_a_new_key(job_history: _JobHistory) -> None:
    assert job_history.keys[0] != job_history.keys[1]


def test_deletion_leaves_no_text_or_weights(job_history: _JobHistory) -> None:
    left = [path for path in job_history.data_dir.rglob("*") if path.is_file()]
    assert not any(_MARK.encode() in path.read_bytes() for path in left)
    assert {path.suffix for path in left} <= {".alive", ".db", ".lock"}
    assert not any(job_history.job.id.encode() in path.read_bytes() for path in left)


def test_engine_and_trainer_open_no_connections(job_history: _JobHistory) -> None:
    assert (job_history.spy / "loaded").exists()
    assert not (job_history.spy / "attempt").exists()


def test_cancelled_job_is_followed_by_the_next(tiny_server: LocalServer) -> None:
    """The next job fails, because it has too few examples."""
    with open_client(tiny_server) as client:
        first = create_long_job(client)
        second = create_job(client, examples=dialogues(3))
        wait_for_step(client, first.id, 3)
        assert client.fine_tuning.jobs.cancel(first.id).status == "cancelled"
        second = wait_for(client, second.id)
    assert (second.status, second.error.code) == ("failed", "invalid_training_file")
    models = tiny_server.workspace.models.list()
    assert not find_trainers(tiny_server.data_dir)
    assert first.id not in [model.job_id for model in models]
    assert not (tiny_server.data_dir / "jobs" / first.id).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="It looks at Linux's memory maps")
def test_answers_do_not_import_torch(tiny_file: Path, tmp_path: Path) -> None:
    """It would take seconds and 300 MB."""
    with other_server(tiny_file, tmp_path / "data") as (process, client):
        client.chat.completions.create(model="tiny", messages=_CHAT, max_tokens=1)
        maps = psutil.Process(process.pid).memory_maps()
    assert maps
    assert not [each.path for each in maps if "libtorch" in each.path]
