"""Exactly one job after lost responses and kills; its files and settings."""

import asyncio
import io
import subprocess
import sys
import textwrap
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.finetuning.connection import HttpClient
from tests.unit_tests.builders.openai_server import (
    BASE_MODEL,
    CREATE,
    FILES,
    HTML,
    JOBS,
    KEY,
    UPLOAD,
    Fault,
    OpenAIServer,
    refused,
)
from tests.unit_tests.builders.tuners import FakeClock, make_examples, make_tuner

ROUTES = st.sampled_from([FILES, UPLOAD, JOBS, CREATE])
TIMES = st.integers(1, 5)


class Killed(BaseException):
    """Simulates the end of a process: nothing handles it."""


def test_repeated_call_after_kill_has_one_job(monkeypatch: pytest.MonkeyPatch) -> None:
    send, stop_after = HttpClient.send, [0]

    def counted(self: Any, request: Any, **arguments: Any) -> Any:
        answer = send(self, request, **arguments)
        stop_after[0] -= 1
        if stop_after[0] == 0:
            raise Killed
        return answer

    monkeypatch.setattr(HttpClient, "send", counted)
    for requests in range(1, 100):
        stop_after[0] = requests
        with OpenAIServer().running() as server:
            try:
                make_tuner(server).invoke(make_examples())
            except Killed:
                make_tuner(server).invoke(make_examples())
            else:
                assert requests >= 5
                return
            assert (len(server.jobs), server.uploads) == (1, 1), requests


def test_killed_process_and_another_share_one_job(server: OpenAIServer) -> None:
    """The first is killed while the server responds to the creation."""
    code = f"""
        from langchain_chatexports import ChatFineTuner
        examples = {make_examples()!r}
        ChatFineTuner(
            model={BASE_MODEL!r}, base_url={server.base_url!r}, api_key={KEY!r}
        ).submit(examples)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)]) as process:  # noqa: S603 - our own code

        def kill(request: str) -> None:
            if request == f"POST /v1{CREATE.removeprefix('POST ')}":
                process.kill()
                process.wait()

        server.before_answer = kill
        process.wait(timeout=300)
    assert process.returncode != 0
    server.before_answer = None
    make_tuner(server).submit(make_examples())
    assert (len(server.jobs), server.uploads) == (1, 1)


async def test_concurrent_tasks_share_one_job(server: OpenAIServer) -> None:
    """More tasks than threads: a waiting task must not block the others."""
    tuner = make_tuner(server)
    runs = await asyncio.gather(*(tuner.asubmit(make_examples()) for _ in range(40)))
    assert {run.id for run in runs} == {"ftjob-1"}
    assert (len(server.jobs), server.uploads) == (1, 1)


async def test_cancelled_call_releases_the_lock(server: OpenAIServer) -> None:
    server.faults.append(Fault("GET /fine_tuning/jobs", delay=0.3))
    tuner = make_tuner(server)
    tasks = [asyncio.create_task(tuner.asubmit(make_examples())) for _ in range(2)]
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.wait_for(tuner.asubmit(make_examples()), timeout=60)
    assert len(server.jobs) == 1


LOST = st.builds(Fault, ROUTES, TIMES, cut_after=st.sampled_from([0, 30, -1]))
NOT_DONE = st.builds(Fault, ROUTES, TIMES, status=st.sampled_from([409, 429, 500, 503]))
GATEWAY = st.builds(
    Fault,
    ROUTES,
    TIMES,
    status=st.sampled_from([200, 502, 504]),
    body=st.just(HTML),
    carried_out=st.booleans(),
)
REFUSED = st.builds(Fault, ROUTES, TIMES, status=st.sampled_from([400, 401, 403, 413]))


@settings(max_examples=25)  # Each one is a server and some twenty requests.
@given(st.lists(LOST | NOT_DONE | GATEWAY | REFUSED, max_size=4))
def test_any_faults_leave_one_job_and_one_file(faults: list[Fault]) -> None:
    faults = [replace(fault) for fault in faults]
    with OpenAIServer(*faults).running() as server:
        tuner = make_tuner(server)
        outcome = "ftjob-1"
        try:
            outcome = tuner.submit(make_examples()).id
        except FineTuningError as error:
            outcome = str(error)
        assert len(server.jobs) == 1 or outcome != "ftjob-1"
        assert "No job was created" not in outcome or not server.jobs
        assert server.requests.count(CREATE) <= 4
        assert server.requests.count(UPLOAD) <= 4
        server.faults.clear()
        tuner.submit(make_examples())
        assert (len(server.jobs), server.uploads) == (1, 1)


@pytest.mark.parametrize("status", [401, 403, 413])
@pytest.mark.parametrize("route", [FILES, UPLOAD, JOBS, CREATE])
def test_refusal_is_not_repeated(
    server: OpenAIServer, clock: FakeClock, route: str, status: int
) -> None:
    server.faults.append(Fault(route, -1, status=status))
    with pytest.raises(FineTuningError):
        make_tuner(server).submit(make_examples())
    assert server.requests.count(route) == 1
    assert server.jobs == {}
    assert clock.sleeps == []


@pytest.mark.parametrize("polls", [1, 3])
def test_slow_creation_is_awaited(polls: int, clock: FakeClock) -> None:
    """The gateway timed out, but not the server."""
    with OpenAIServer(Fault(CREATE, status=504, late=polls)).running() as server:
        run = make_tuner(server).submit(make_examples())
        assert (run.id, len(server.jobs)) == ("ftjob-1", 1)
    assert sum(clock.sleeps) < 120


def test_creation_respects_the_timeout(clock: FakeClock) -> None:
    with OpenAIServer(Fault(CREATE, -1, status=504)).running() as server:
        with pytest.raises(FineTuningError, match="may have been created"):
            make_tuner(server, timeout=10).submit(make_examples())
        assert server.requests.count(CREATE) == 1
    assert sum(clock.sleeps) <= 10


@pytest.mark.parametrize(
    "change",
    [
        {"model": "tiny-2"},
        {"suffix": "x"},
        {"seed": 3},
        {"n_epochs": 3},
        {"batch_size": 4},
        {"learning_rate_multiplier": 0.5},
        {"validation_examples": make_examples(1)},
        {"extra_body": {"lora": True}},
    ],
    ids=str,
)
def test_settings_define_the_job(server: OpenAIServer, change: dict[str, Any]) -> None:
    make_tuner(server).submit(make_examples())
    make_tuner(server, **change).submit(make_examples())
    assert len(server.jobs) == 2


def test_wait_settings_do_not_change_the_job(server: OpenAIServer) -> None:
    make_tuner(server).submit(make_examples())
    make_tuner(server, poll_interval=1, metadata={"who": "me"}, timeout=60).submit(
        iter(make_examples())
    )
    assert len(server.jobs) == 1


def test_deleted_model_is_trained_again(server: OpenAIServer) -> None:
    tuner = make_tuner(server)
    tuner.submit(make_examples()).wait().delete_model()
    tuner.invoke(make_examples())
    assert (len(server.jobs), server.uploads) == (2, 1)


def test_missing_metadata_support_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with OpenAIServer(refuses_field="metadata").running() as server:
        make_tuner(server, metadata={"who": "me"}).submit(make_examples())
    assert "does not store metadata, so later calls will not find job" in caplog.text


@pytest.mark.parametrize(
    "change",
    [{"filename": "x.jsonl"}, {"status": "error"}, {"status": "deleted"}],
    ids=str,
)
def test_unusable_file_is_ignored(server: OpenAIServer, change: dict[str, Any]) -> None:
    make_tuner(server, suffix="a").submit(make_examples())
    server.files["file-1"].update(change)
    make_tuner(server, suffix="b").submit(make_examples())
    assert server.uploads == 2


def test_file_is_named_by_its_content(server: OpenAIServer) -> None:
    buffer = io.BytesIO()
    write_jsonl(make_examples(), buffer)
    make_tuner(server).submit(make_examples())
    make_tuner(server).submit(make_examples(11))
    names = {file["filename"] for file in server.files.values()}
    assert len(names) == 2
    for name in names:
        assert name.startswith("chatexports-")
        assert len(name) == len("chatexports-.jsonl") + 32
    assert server.contents["file-1"] == buffer.getvalue()


@pytest.mark.parametrize(("timeout", "waited"), [(None, 30), (30, 10)])
def test_file_processing_is_awaited_briefly(
    timeout: float | None, waited: int, clock: FakeClock
) -> None:
    with OpenAIServer(file_statuses=["uploaded"]).running() as server:
        make_tuner(server, timeout=timeout).submit(make_examples())
        assert len(server.jobs) == 1
    assert waited - 6 < sum(clock.sleeps) <= waited


def test_file_of_possible_job_is_kept(server: OpenAIServer) -> None:
    server.faults.append(Fault(CREATE, -1, status=500))
    with pytest.raises(FineTuningError, match=r"may have been created.*file-1"):
        make_tuner(server, delete_training_file=True).submit(make_examples())
    assert server.deleted == []


def test_file_in_use_stays(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    make_tuner(server, suffix="waits").submit(make_examples())
    make_tuner(server, suffix="ends", delete_training_file=True).invoke(make_examples())
    assert server.deleted == []
    assert "another job uses it" in caplog.text


def test_job_has_every_setting(server: OpenAIServer) -> None:
    make_tuner(
        server,
        suffix="me",
        seed=7,
        n_epochs=3,
        learning_rate_multiplier=0.5,
        metadata={"who": "me"},
        extra_body={"lora": True},
        validation_examples=make_examples(2),
    ).submit(make_examples())
    (body,) = server.bodies
    metadata = body.pop("metadata")
    numbers = {"n_epochs": 3, "learning_rate_multiplier": 0.5}
    assert body == {
        "model": BASE_MODEL,
        "training_file": "file-1",
        "validation_file": "file-2",
        "suffix": "me",
        "seed": 7,
        "lora": True,
        "method": {"type": "supervised", "supervised": {"hyperparameters": numbers}},
    }
    assert metadata["who"] == "me"
    assert len(metadata["langchain_chatexports_key"]) == 64


@pytest.mark.parametrize(("days", "warns"), [(30, True), (-300, True), (365, False)])
def test_upcoming_shutdown_is_a_warning(days: int, warns: bool) -> None:
    day = (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
    warning = pytest.warns(match=f"{BASE_MODEL} and its tuned models on {day}")
    server = OpenAIServer(models={BASE_MODEL: day})
    with server.running(), warning if warns else nullcontext():
        make_tuner(server).submit(make_examples())


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry-after": "9"}, 9.0),
        (429, {"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        (429, {"retry-after": "soon"}, 2.0),
        (503, {"retry-after": "9"}, 9.0),
        (503, {}, 2.0),
    ],
)
def test_retry_after_header_is_respected(
    server: OpenAIServer,
    status: int,
    headers: dict[str, str],
    seconds: float,
    clock: FakeClock,
) -> None:
    server.faults.append(refused(CREATE, status, headers=headers))
    make_tuner(server).submit(make_examples())
    assert clock.sleeps == [seconds]


def test_no_job_after_the_timeout(server: OpenAIServer, clock: FakeClock) -> None:

    def slow(request: str) -> None:
        if request.startswith("GET /v1/files"):
            clock.time += 100

    server.before_answer = slow
    with pytest.raises(FineTuningError, match="60 s"):
        make_tuner(server, timeout=60).submit(make_examples())
    assert server.jobs == {}
