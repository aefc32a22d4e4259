"""The server's process: its start and end, and what outlives it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import openai
import psutil
import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import LocalServer, list_models
from langchain_chatexports.local_server.bases import describe_base, prepare_base
from langchain_chatexports.local_server.processes import child_command
from tests.integration_tests.local_server.conftest import (
    client_of,
    upload,
    wait_for,
    wait_for_step,
)
from tests.unit_tests.builders.tiny_base import dialogues

if TYPE_CHECKING:
    from typing import Any


_HELLO = [{"role": "user", "content": "Are you ready?"}]


def _order(
    client: Any, *, epochs: Any = 1, examples: Any = None, **options: Any
) -> Any:
    file_id = upload(client, examples or dialogues())
    return client.fine_tuning.jobs.create(
        model="tiny",
        training_file=file_id,
        hyperparameters={"n_epochs": epochs},
        **options,
    )


def _trainers(data_dir: Any) -> Any:
    """Give the living trainers of this data directory; there may be others'."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            words = process.info["cmdline"] or []
            is_trainer = any(word.endswith("local_server.training") for word in words)
            if is_trainer and data_dir in Path(process.cwd()).parents:
                found.append(process)
    return found


def test_it_listens_on_this_machine_only_and_answers(tiny_server: Any) -> None:
    assert tiny_server.base_url.startswith("http://127.0.0.1:")
    assert tiny_server.is_running
    with client_of(tiny_server) as client:
        assert [model.id for model in client.models.list()] == ["tiny"]


def test_it_starts_again_with_a_new_key(tiny_base: Any, data_dir: Any) -> None:
    server = LocalServer(tiny_base, data_dir=data_dir)
    with server:
        first = server.api_key, server.base_url
    assert not server.is_running
    with server, client_of(server) as client:
        assert server.api_key != first[0]
        assert client.models.list().data


def test_a_given_key_and_port_are_used(tiny_base: Any, data_dir: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {"port": port, "api_key": "my-own-key"}
    for _ in range(2):
        with LocalServer(tiny_base, data_dir=data_dir, **given) as server:
            assert server.base_url == f"http://127.0.0.1:{port}/v1"
            assert server.api_key == "my-own-key"
            with client_of(server) as client:
                assert client.models.list().data


def test_a_taken_port_is_an_error_that_names_it(tiny_base: Any, data_dir: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalServerError, match=str(port)):
            LocalServer(tiny_base, data_dir=data_dir, port=port).start()


def test_a_damaged_gguf_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"no model at all")
    with pytest.raises(LocalServerError, match=r"model\.gguf"):
        prepare_base(describe_base(file), tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("config.json"))


def test_a_start_that_takes_too_long_is_an_error_and_leaves_no_process(
    tiny_base: Any, data_dir: Any
) -> None:
    server = LocalServer(tiny_base, data_dir=data_dir, startup_timeout=0.001)
    with pytest.raises(LocalServerError, match="startup_timeout"):
        server.start()
    assert not server.is_running


def test_no_secret_is_in_the_arguments_of_a_process(tiny_server: Any) -> None:
    mine = psutil.Process().children(recursive=True)
    words = [word for process in mine for word in process.cmdline()]
    assert words
    assert not any(tiny_server.api_key in word for word in words)


def test_it_ends_when_its_starter_is_killed(
    tiny_base: Any, data_dir: Any, tmp_path: Path
) -> None:
    script = tmp_path / "starter.py"
    script.write_text(
        "import sys, time\n"
        "from langchain_chatexports.local_server import LocalServer\n"
        "server = LocalServer(sys.argv[1], data_dir=sys.argv[2]).start()\n"
        "print(server._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    python = child_command("x")[0]
    command = [python, str(script), str(tiny_base), str(data_dir)]
    starter = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - ours.
    with starter:
        assert starter.stdout is not None
        server = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
    server.wait(20)
    assert not server.is_running()


def test_a_job_runs_in_a_process_and_its_model_outlives_the_server(
    tiny_base: Any, data_dir: Any
) -> None:
    server = LocalServer(tiny_base, data_dir=data_dir, threads=1)
    with server, client_of(server) as client:
        job = wait_for(client, _order(client, suffix="kept").id)
        assert job.status == "succeeded", job.error
    (kept,) = list_models(data_dir)
    assert kept.name == job.fine_tuned_model
    with LocalServer(kept.base, data_dir=data_dir) as again, client_of(again) as client:
        answer = client.chat.completions.create(
            model=kept.name, messages=_HELLO, max_tokens=4
        )
        assert answer.usage.completion_tokens >= 0
        assert client.fine_tuning.jobs.retrieve(job.id).status == "succeeded"


def test_a_running_job_is_cancelled_within_seconds(tiny_server: Any) -> None:
    with client_of(tiny_server) as client:
        job = _order(client, epochs=50)
        wait_for_step(client, job.id, 3)
        started = time.monotonic()
        cancelled = client.fine_tuning.jobs.cancel(job.id)
        assert cancelled.status == "cancelled"
        assert time.monotonic() - started < 5
    # The tests that follow see that the queue goes on.
    data_dir = tiny_server.data_dir
    assert not _trainers(data_dir)
    assert job.id not in [model.job_id for model in list_models(data_dir)]
    assert not (data_dir / "jobs" / job.id / "work").exists()


def test_two_jobs_train_at_once_where_two_may(tiny_base: Any, data_dir: Any) -> None:
    server = LocalServer(tiny_base, data_dir=data_dir, threads=1, max_training_jobs=2)
    with server, client_of(server) as client:
        jobs = [_order(client, epochs=40) for _ in range(3)]
        for job in jobs[:2]:
            wait_for_step(client, job.id, 2)
        assert len(_trainers(data_dir)) == 2
        assert client.fine_tuning.jobs.retrieve(jobs[2].id).status == "queued"
        client.fine_tuning.jobs.cancel(jobs[0].id)
        wait_for(client, jobs[2].id, "running")
        assert client.fine_tuning.jobs.cancel(jobs[2].id).status == "cancelled"
        assert client.fine_tuning.jobs.retrieve(jobs[1].id).status == "running"
    assert not _trainers(data_dir)


def test_a_stopped_server_ends_its_trainer_and_the_job_goes_on_with_the_next(
    tiny_base: Any, data_dir: Any
) -> None:
    server = LocalServer(tiny_base, data_dir=data_dir, threads=1)
    with server, client_of(server) as client:
        job = _order(client, epochs=20)
        wait_for_step(client, job.id, 3)
    assert not _trainers(data_dir)
    record = json.loads((data_dir / "jobs" / job.id / "job.json").read_text())
    assert record["status"] == "queued"
    with server, client_of(server) as client:
        assert wait_for(client, job.id).status == "succeeded"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_killed_servers_trainer_goes_on_is_found_again_and_can_be_cancelled(
    tiny_base: Any, data_dir: Any
) -> None:
    server = LocalServer(tiny_base, data_dir=data_dir, threads=1)
    with server, client_of(server) as client:
        job = _order(client, epochs=50)
        wait_for_step(client, job.id, 2)
        (trainer,) = _trainers(data_dir)
        assert server._process is not None
        os.kill(server._process.pid, signal.SIGKILL)
    assert trainer.is_running()
    with server, client_of(server) as client:
        assert client.fine_tuning.jobs.retrieve(job.id).status == "running"
        assert [process.pid for process in _trainers(data_dir)] == [trainer.pid]
        (last,) = client.fine_tuning.jobs.list_events(job.id, limit=1).data
        wait_for_step(client, job.id, last.data["step"] + 1)
        assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
        assert not _trainers(data_dir)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_killed_trainer_is_a_failed_job_with_a_reason(tiny_server: Any) -> None:
    with client_of(tiny_server) as client:
        job = _order(client, epochs=50)
        wait_for_step(client, job.id, 2)
        (trainer,) = _trainers(tiny_server.data_dir)
        trainer.kill()
        job = wait_for(client, job.id)
        assert job.status == "failed"
        assert "memory" in job.error.message


def test_a_file_deleted_before_its_turn_fails_the_job_with_a_reason(
    tiny_server: Any,
) -> None:
    with client_of(tiny_server) as client:
        first = _order(client, epochs=20)
        job = _order(client)
        client.files.delete(job.training_file)
        client.fine_tuning.jobs.cancel(first.id)
        job = wait_for(client, job.id)
        assert job.status == "failed"
        assert job.error.param == "training_file"
        assert "deleted" in job.error.message


def test_deleted_means_that_no_marked_text_and_no_weights_are_left(
    tiny_server: Any,
) -> None:
    data_dir = tiny_server.data_dir
    with client_of(tiny_server) as client:
        examples = dialogues(mark="MARKEDWORDS")
        job = wait_for(client, _order(client, epochs=2, examples=examples).id)
        asked = [{"role": "user", "content": "MARKEDWORDS"}]
        client.chat.completions.create(
            model=job.fine_tuned_model, messages=asked, max_tokens=4
        )
        (kept,) = [m for m in list_models(data_dir) if m.job_id == job.id]
        client.files.delete(job.training_file)
        client.models.delete(job.fine_tuned_model)
    assert not kept.path.exists()
    left = [path for path in data_dir.rglob("*") if path.is_file()]
    assert not any(b"MARKEDWORDS" in path.read_bytes() for path in left)
    of_job = [path for path in left if job.id in path.parts]
    assert {path.suffix for path in of_job} <= {".json", ".jsonl", ".lock", ".pid"}


def test_neither_server_nor_trainer_opens_a_connection(
    tiny_base: Any, data_dir: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process notes and refuses what would leave the machine."""
    spy = tmp_path / "spy"
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(
        "import socket, pathlib\n"
        f"notes = pathlib.Path({str(spy)!r})\n"
        "def refuse(self, address, *rest):\n"
        "    (notes / 'attempt').write_text(repr(address))\n"
        "    raise OSError('the network is closed')\n"
        "socket.socket.connect = socket.socket.connect_ex = refuse\n"
        "resolve = socket.getaddrinfo\n"
        "def closed(host, *rest, **more):\n"
        "    refuse(None, host)\n"
        "socket.getaddrinfo = closed\n"
        "(notes / 'loaded').touch()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(spy))
    server = LocalServer(tiny_base, data_dir=data_dir)
    with server, client_of(server) as client:
        job = wait_for(client, _order(client).id)
        assert job.status == "succeeded", job.error
        client.chat.completions.create(
            model=job.fine_tuned_model, messages=_HELLO, max_tokens=2
        )
    assert (spy / "loaded").exists()
    assert not (spy / "attempt").exists()


def test_a_client_that_leaves_ends_its_answer(tiny_server: Any) -> None:
    """An answer of 400 tokens that nobody reads must not hold up the next."""
    options = {"model": "tiny", "messages": _HELLO, "seed": 3}
    with client_of(tiny_server) as client:
        client.chat.completions.create(**options, max_tokens=1)
        server = psutil.Process(tiny_server._process.pid)
        for _ in range(8):
            stream = client.chat.completions.create(
                **options, max_tokens=480, stream=True
            )
            next(iter(stream))
            stream.close()
        time.sleep(1)
        busy = server.cpu_times().user
        time.sleep(1.5)
        assert server.cpu_times().user - busy < 0.5


def test_chats_of_several_clients_are_all_answered(tiny_server: Any) -> None:
    answers = []

    def ask() -> Any:
        with client_of(tiny_server) as client:
            answer = client.chat.completions.create(
                model="tiny", messages=_HELLO, max_tokens=30
            )
            answers.append(answer.choices[0].finish_reason)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8


def test_a_stream_arrives_while_it_is_written(tiny_server: Any) -> None:
    with client_of(tiny_server) as client:
        options = {"model": "tiny", "messages": _HELLO, "max_tokens": 400, "seed": 3}
        client.chat.completions.create(**{**options, "max_tokens": 1})
        started = time.monotonic()
        first = None
        for chunk in client.chat.completions.create(**options, stream=True):
            if first is None and chunk.choices[0].delta.content:
                first = time.monotonic() - started
        assert first is not None
        assert first < (time.monotonic() - started) / 2


def test_a_chat_with_a_wrong_key_is_refused(tiny_server: Any) -> None:
    with (
        openai.OpenAI(base_url=tiny_server.base_url, api_key="wrong") as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_server_in_the_foreground_ends_in_order(
    tiny_base: Any, data_dir: Any, tmp_path: Path, end: Any
) -> None:
    script = tmp_path / "serve.py"
    script.write_text(
        "import dataclasses, json, sys\n"
        "from langchain_chatexports.local_server import ServerSettings, serve_forever\n"
        "settings = ServerSettings(base=sys.argv[1], data_dir=sys.argv[2], threads=1)\n"
        "def ready(info): print(json.dumps(dataclasses.asdict(info)), flush=True)\n"
        "serve_forever(settings, ready)\n"
    )
    python = child_command("x")[0]
    command = [python, str(script), str(tiny_base), str(data_dir)]
    served = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - ours.
    with served:
        assert served.stdout is not None
        info = json.loads(served.stdout.readline())
        with openai.OpenAI(
            base_url=info["base_url"], api_key=info["api_key"]
        ) as client:
            job = _order(client, epochs=50) if end == signal.SIGINT else None
            if job is not None:
                wait_for_step(client, job.id, 2)
        served.send_signal(end)
        assert served.wait(20) in {0, -end}
    assert not _trainers(data_dir)
    if job is not None:
        record = json.loads((data_dir / "jobs" / job.id / "job.json").read_text())
        assert record["status"] == "queued"
