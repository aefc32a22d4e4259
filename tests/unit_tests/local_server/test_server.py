"""`LocalServer`: settings, start and stop, jobs, and other processes."""

import io
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import openai
import pytest

from langchain_chatexports import _extras
from langchain_chatexports.exceptions import LocalServerError, MissingExtraError
from langchain_chatexports.finetuning import ChatFineTuner
from langchain_chatexports.local_server.server import LocalServer
from langchain_chatexports.local_server.testing import EchoEngine, EchoServer
from tests.unit_tests.builders.processes import children
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues
from tests.unit_tests.builders.waiting import wait_until

_HELLO: list[Any] = [{"role": "user", "content": "one two"}]


def _client(server: LocalServer) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=server.base_url, api_key=server.api_key, max_retries=0
    )


def _order(client: openai.OpenAI, server: LocalServer) -> Any:
    content = io.BytesIO(as_jsonl(dialogues()))
    file = client.files.create(file=content, purpose="fine-tune")
    return client.fine_tuning.jobs.create(
        model=server.base_model, training_file=file.id
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"api_key": "two words"}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"aliases": {"gpt": "other"}}, "gpt=echo"),
    ],
)
def test_invalid_settings_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(LocalServerError, match=message):
        EchoServer(data_dir=tmp_path, **change)


def test_missing_base_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="was not found"):
        LocalServer("no such base", data_dir=tmp_path)


def test_stopped_server_has_no_address(tmp_path: Path) -> None:
    server = EchoServer(data_dir=tmp_path / "new")
    assert not server.is_running
    with pytest.raises(LocalServerError, match="start"):
        _ = server.base_url
    assert not (tmp_path / "new").exists()
    server.stop()


def test_key_is_new_at_each_start_and_not_in_the_repr(tmp_path: Path) -> None:
    server = EchoServer(data_dir=tmp_path)
    keys = []
    for _ in range(2):
        with server:
            assert server.is_running
            assert server.base_url in repr(server)
            keys.append(server.api_key)
        assert server.api_key not in repr(server)
    assert len(set(keys)) == 2
    assert min(map(len, keys)) >= 24


@pytest.mark.parametrize("missing", ["torch", "psutil"])
def test_missing_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr(_extras, "find_spec", lambda name: name != missing or None)
    with pytest.raises(MissingExtraError, match="local"):
        EchoServer(data_dir=tmp_path).start()


def test_order_is_trained_and_replies(tmp_path: Path) -> None:
    with EchoServer(data_dir=tmp_path, aliases={"gpt": "echo"}) as server:
        client = _client(server)
        job = _order(client, server)
        jobs = client.fine_tuning.jobs
        name = wait_until(lambda: jobs.retrieve(job.id).fine_tuned_model)
        events = [*jobs.list_events(job.id, limit=5)]
        assert sum(event.type == "metrics" for event in events) == 20
        for model in ("echo", "gpt", str(name)):
            reply = client.chat.completions.create(model=model, messages=_HELLO)
            assert reply.choices[0].message.content == "one two"
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="wrong").models.list()
    with pytest.raises(openai.APIConnectionError):
        client.models.list()
    assert not children()


def test_tuner_orders_once(tmp_path: Path) -> None:
    with EchoServer(data_dir=tmp_path) as server:
        tuner: Any = ChatFineTuner(
            model=server.base_model,
            base_url=server.base_url,
            api_key=server.api_key,
            poll_interval=0.1,
        )
        first, second = (tuner.invoke(dialogues()) for _ in range(2))
        assert first.model_name == second.model_name
        assert first.invoke("one two").content == "one two"
        assert len(server.workspace.jobs.list()) == 1


def test_two_servers_share_a_directory(tmp_path: Path) -> None:
    with EchoServer(data_dir=tmp_path) as first, EchoServer(data_dir=tmp_path) as other:
        job = _order(_client(other), other)
        first.stop()
        client = _client(other)
        wait_until(lambda: client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model)


def test_server_without_a_queue_says_that_jobs_wait(tmp_path: Path) -> None:
    with EchoServer(data_dir=tmp_path, runs_jobs=False) as server:
        client = _client(server)
        job = _order(client, server)
        (last, *_) = client.fine_tuning.jobs.list_events(job.id)
        assert (last.level, "waits for one" in last.message) == ("warn", True)
        time.sleep(1)
        assert client.fine_tuning.jobs.retrieve(job.id).status == "queued"


def test_taken_port_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalServerError, match=rf"{port}.*choose another"):
            EchoServer(data_dir=tmp_path, port=port).start()
    with EchoServer(data_dir=tmp_path, port=port) as server:
        assert f":{port}/" in server.base_url
        with pytest.raises(LocalServerError, match="already running"):
            server.start()


class _BrokenServer(EchoServer):
    def _open_engine(self) -> NoReturn:
        msg = "The base is incomplete."
        raise LocalServerError(msg)


class _PatientServer(EchoServer):
    def _open_engine(self) -> EchoEngine:
        return EchoEngine(seconds_per_word=30)


def test_failed_start_is_raised(tmp_path: Path) -> None:
    server = _BrokenServer(data_dir=tmp_path)
    with pytest.raises(LocalServerError, match="The base is incomplete"):
        server.start()
    assert not server.is_running


def test_open_stream_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with _PatientServer(data_dir=tmp_path) as server:
        client = _client(server)
        stream = client.chat.completions.create(
            model="echo", messages=_HELLO, stream=True
        )
        next(iter(stream))
        started = time.monotonic()
    assert time.monotonic() - started < 8


def test_requests_are_answered_at_the_same_time(tmp_path: Path) -> None:
    with EchoServer(data_dir=tmp_path) as server, ThreadPoolExecutor(8) as pool:
        client = _client(server)
        statuses = pool.map(lambda _: client.models.list().data[0].id, range(40))
        assert {*statuses} == {"echo"}


_IDLE = """
import json, sys, psutil
from langchain_chatexports.local_server.testing import EchoServer
with EchoServer(data_dir=sys.argv[1]) as server:
    heavy = {"torch", "transformers", "openai", "numpy", "langchain_openai"}
    memory = psutil.Process().memory_info().rss
    print(json.dumps([sorted(heavy & {*sys.modules}), memory]))
"""


def test_idle_server_is_light(tmp_path: Path) -> None:
    finished = subprocess.run(  # noqa: S603 - our own interpreter and code.
        [sys.executable, "-c", _IDLE, str(tmp_path)], capture_output=True, check=True
    )
    heavy, memory = json.loads(finished.stdout)
    assert heavy == []
    assert memory < 100e6


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_umask_of_the_process_stays(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with EchoServer(data_dir=tmp_path / "data") as server:
            _order(_client(server), server)
            wait_until(server.workspace.models.list)
        (tmp_path / "mine").touch()
    finally:
        os.umask(before)
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o644
    paths = [*(tmp_path / "data").rglob("*")]
    assert not [path for path in paths if path.stat().st_mode & 0o077]
