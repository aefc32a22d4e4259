"""What becomes of jobs: one that outlives its server, and some that go wrong.

Most of what a job of the tiny base costs is importing torch in another process, so the
facts about one job are looked at in one life, and each has a test of its own.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from langchain_chatexports.local_server import LocalServer, list_models
from langchain_chatexports.local_server.storage.jobs import list_jobs
from tests.integration_tests.local_server.conftest import (
    client_of,
    order,
    order_long,
    trainers_of,
    wait_for,
    wait_for_step,
)
from tests.unit_tests.builders.tiny_base import dialogues

_MARK = "MARKEDWORDS"
_CHAT: Any = [{"role": "user", "content": _MARK}]
# Each process of the server notes and refuses what would leave the machine.
_SPY = """
import pathlib, socket
notes = pathlib.Path({folder!r})
connect, unix = socket.socket.connect, getattr(socket, "AF_UNIX", None)
def refuse(self, address, *rest):
    if self is not None and self.family == unix:
        return connect(self, address)  # A file of this machine.
    (notes / "attempt").write_text(repr(address))
    raise OSError("the network is closed")
socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = lambda host, *rest, **more: refuse(None, host)
(notes / "loaded").touch()
"""


@dataclass
class _Life:
    """What was seen of a job from its order to the deletion of its model."""

    spy: Path
    data_dir: Path
    keys: list[str]
    status_when_stopped: str
    trainers_when_stopped: int
    job: Any
    steps: list[int]


@pytest.fixture(scope="module")
def life(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> _Life:
    """Order, stop, start again, go on, chat, and delete: two servers, one job."""
    folder = tmp_path_factory.mktemp("life")
    data_dir = folder / "data"
    (folder / "sitecustomize.py").write_text(_SPY.format(folder=str(folder)))
    server = LocalServer(tiny_base, data_dir=data_dir, threads=1)
    keys = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        with server, client_of(server) as client:
            keys.append(server.api_key)
            job = order(client, epochs=30, examples=dialogues(mark=_MARK))
            # Of 300 steps of milliseconds, most are left when it is stopped.
            wait_for_step(client, job.id, 3)
        trainers = len(trainers_of(data_dir))
        (stopped,) = list_jobs(data_dir)
        with server, client_of(server) as client:
            keys.append(server.api_key)
            job = wait_for(client, job.id)
            events = client.fine_tuning.jobs.list_events(job.id, limit=1000)
            steps = [e.data["step"] for e in events if e.type == "metrics"]
            model = job.fine_tuned_model
            client.chat.completions.create(model=model, messages=_CHAT, max_tokens=4)
            client.files.delete(job.training_file)
            client.models.delete(model)
    return _Life(
        spy=folder,
        data_dir=data_dir,
        keys=keys,
        status_when_stopped=stopped.status,
        trainers_when_stopped=trainers,
        job=job,
        steps=steps,
    )


def test_a_stopped_server_ends_its_trainer_and_queues_its_job(life: _Life) -> None:
    assert life.trainers_when_stopped == 0
    assert life.status_when_stopped == "queued"


def test_the_job_goes_on_with_the_next_server(life: _Life) -> None:
    assert life.job.status == "succeeded", life.job.error
    assert life.steps == list(range(300, 0, -1))


def test_each_start_has_a_new_key(life: _Life) -> None:
    assert life.keys[0] != life.keys[1]


def test_deleted_means_that_no_marked_text_and_no_weights_are_left(life: _Life) -> None:
    left = [path for path in life.data_dir.rglob("*") if path.is_file()]
    assert not any(_MARK.encode() in path.read_bytes() for path in left)
    assert {path.suffix for path in left} <= {".db", ".lock"}
    assert not any(life.job.id.encode() in path.read_bytes() for path in left)


def test_neither_server_nor_trainer_opens_a_connection(life: _Life) -> None:
    assert (life.spy / "loaded").exists()
    assert not (life.spy / "attempt").exists()


def test_a_running_job_is_cancelled_and_the_next_is_taken(
    tiny_server: LocalServer,
) -> None:
    """The next one's file was deleted while it waited: it fails and says so."""
    with client_of(tiny_server) as client:
        first = order_long(client)
        second = order(client)
        client.files.delete(second.training_file)
        wait_for_step(client, first.id, 3)
        assert client.fine_tuning.jobs.cancel(first.id).status == "cancelled"
        second = wait_for(client, second.id)
    assert second.status == "failed"
    assert "deleted" in second.error.message
    data_dir = tiny_server.data_dir
    assert not trainers_of(data_dir)
    assert first.id not in [model.job_id for model in list_models(data_dir)]
    assert not (data_dir / "jobs" / first.id).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="It looks at Linux's memory maps")
def test_a_server_that_only_answers_does_not_import_torch(
    tiny_file: Path, tmp_path: Path
) -> None:
    """It would take seconds and 300 MB; transformers' tokenizers bring it, too."""
    with (
        LocalServer(tiny_file, data_dir=tmp_path / "data", threads=1) as server,
        client_of(server) as client,
    ):
        client.chat.completions.create(model="tiny", messages=_CHAT, max_tokens=1)
        assert server._process is not None
        maps = psutil.Process(server._process.pid).memory_maps()
    assert maps
    assert not [each.path for each in maps if "libtorch" in each.path]
