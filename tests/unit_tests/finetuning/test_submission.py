"""Exactly one job: whatever is lost, cut off or killed, and wherever."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAI

from langchain_chatexports.exceptions import (
    FineTuningError,
    FineTuningUnavailableError,
)
from langchain_chatexports.finetuning.protocol import Call, Deadline
from langchain_chatexports.finetuning.submission import Submission
from tests.unit_tests.builders.openai_server import (
    BASE_MODEL,
    KEY,
    Fault,
    OpenAIServer,
    refused,
)
from tests.unit_tests.builders.tuners import FakeClock, make_examples, make_tuner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from operator import attrgetter
else:
    from operator import attrgetter

CREATE = "POST /fine_tuning/jobs"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer().running() as running:
        yield running


def bodies_of(server: OpenAIServer) -> dict[str, Any]:
    (body,) = server.bodies
    return body


@pytest.mark.parametrize("request_of", ["POST /files", CREATE])
def test_an_answer_cut_anywhere_gives_one_job_and_one_upload(request_of: str) -> None:
    """From before the first byte to before the last one."""
    with OpenAIServer().running() as whole:
        make_tuner(whole).submit(make_examples())
    longest = 1500
    for length in [*range(0, 200, 40), *range(200, longest, 130), -1]:
        fault = Fault(request_of, cut_after=length)
        with OpenAIServer(fault).running() as server:
            make_tuner(server).submit(make_examples())
            counts = (len(server.jobs), server.uploads)
        assert counts == (1, 1), length


def calls_of(server: OpenAIServer, stop_after: int | None) -> int:
    """Make the requests of a submission, and stop dead after some of them."""
    tuner = make_tuner(server)
    order = tuner._order(make_examples())
    submission = Submission(order, server.base_url, Deadline(FakeClock(), None))
    protocol = submission.run()
    calls, answer = 0, None
    with OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
        while True:
            try:
                action = protocol.send(answer)
            except StopIteration:
                return calls
            answer = None
            if isinstance(action, Call):
                answer = attrgetter(action.method)(client)(**action.arguments)
                calls += 1
                if calls == stop_after:
                    return calls


def test_killed_between_any_two_requests_and_repeated_it_pays_once() -> None:
    with OpenAIServer().running() as whole:
        requests = calls_of(whole, None)
    assert requests >= 5
    for stop_after in range(1, requests + 1):
        with OpenAIServer().running() as server:
            calls_of(server, stop_after)
            make_tuner(server).invoke(make_examples())
            counts = (len(server.jobs), server.uploads)
        assert counts == (1, 1), stop_after


def test_a_killed_process_and_another_one_pay_once(server: OpenAIServer) -> None:
    """Killed by the system, while the server answers the order."""
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
        process.wait(timeout=60)
    assert process.returncode != 0
    server.before_answer = None
    make_tuner(server).submit(make_examples())
    assert (len(server.jobs), server.uploads) == (1, 1)


def test_threads_with_the_same_order_share_one_job(server: OpenAIServer) -> None:
    tuner = make_tuner(server)
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(tuner.submit, [make_examples()] * 4))
    assert {run.id for run in runs} == {"ftjob-1"}
    assert (len(server.jobs), server.uploads) == (1, 1)


async def test_tasks_with_the_same_order_share_one_job(server: OpenAIServer) -> None:
    tuner = make_tuner(server)
    runs = await asyncio.gather(*(tuner.asubmit(make_examples()) for _ in range(4)))
    assert {run.id for run in runs} == {"ftjob-1"}
    assert (len(server.jobs), server.uploads) == (1, 1)


async def test_a_cancelled_wait_for_the_same_order_leaves_no_lock(
    server: OpenAIServer,
) -> None:
    server.faults.append(Fault("GET /fine_tuning/jobs", delay=0.3))
    tuner = make_tuner(server)
    first = asyncio.create_task(tuner.asubmit(make_examples()))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(tuner.asubmit(make_examples()))
    await asyncio.sleep(0.1)
    second.cancel()
    await first
    await asyncio.wait_for(tuner.asubmit(make_examples()), timeout=5)
    assert len(server.jobs) == 1


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
def test_a_different_setting_is_a_different_order(
    server: OpenAIServer, change: dict[str, Any]
) -> None:
    make_tuner(server).submit(make_examples())
    make_tuner(server, **change).submit(make_examples())
    assert len(server.jobs) == 2


@pytest.mark.parametrize(
    "change", [{"n_epochs": 3}, {"seed": 3}, {"validation_examples": make_examples(1)}]
)
def test_a_different_order_is_told_apart_without_metadata(
    change: dict[str, Any],
) -> None:
    with OpenAIServer(keeps_metadata=False, filters=False).running() as server:
        make_tuner(server, n_epochs=2, seed=1).submit(make_examples())
        settings = {"n_epochs": 2, "seed": 1, **change}
        make_tuner(server, **settings).submit(make_examples())
        assert len(server.jobs) == 2


def test_how_to_wait_does_not_make_another_order(server: OpenAIServer) -> None:
    make_tuner(server).submit(make_examples())
    make_tuner(server, poll_interval=1, metadata={"who": "me"}, timeout=60).submit(
        iter(make_examples())
    )
    assert len(server.jobs) == 1


def test_an_order_whose_model_was_deleted_is_placed_again(server: OpenAIServer) -> None:
    tuner = make_tuner(server)
    tuner.submit(make_examples()).wait().delete_model()
    tuner.invoke(make_examples())
    assert (len(server.jobs), server.uploads) == (2, 1)


def test_a_file_that_expires_is_not_taken_for_one_that_stays(
    server: OpenAIServer,
) -> None:
    make_tuner(server, file_expires_after=3600, suffix="a").submit(make_examples())
    make_tuner(server, suffix="b").submit(make_examples())
    assert server.uploads == 2


def test_the_file_is_named_by_its_content(server: OpenAIServer) -> None:
    make_tuner(server).submit(make_examples())
    (file,) = server.files.values()
    name = file["filename"]
    assert name.startswith("chatexports-")
    assert len(name) == len("chatexports-.jsonl") + 32
    make_tuner(server).submit(make_examples(11))
    assert len({file["filename"] for file in server.files.values()}) == 2


def test_the_uploaded_bytes_are_those_of_write_jsonl(server: OpenAIServer) -> None:
    import io

    from langchain_chatexports.finetuning.jsonl import write_jsonl

    buffer = io.BytesIO()
    write_jsonl(make_examples(), buffer)
    make_tuner(server).submit(make_examples())
    assert server.contents["file-1"] == buffer.getvalue()


def test_the_order_says_what_was_asked_for(server: OpenAIServer) -> None:
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
    body = bodies_of(server)
    metadata = body.pop("metadata")
    assert body == {
        "model": BASE_MODEL,
        "training_file": "file-1",
        "validation_file": "file-2",
        "suffix": "me",
        "seed": 7,
        "lora": True,
        "method": {
            "type": "supervised",
            "supervised": {
                "hyperparameters": {"n_epochs": 3, "learning_rate_multiplier": 0.5}
            },
        },
    }
    assert metadata["who"] == "me"
    assert len(metadata["langchain_chatexports_key"]) == 64


def test_the_old_form_holds_the_same_numbers() -> None:
    with OpenAIServer(refuses_field="method").running() as server:
        make_tuner(server, n_epochs=3).submit(make_examples())
        assert server.bodies[-1]["hyperparameters"] == {"n_epochs": 3}
        assert "method" not in server.bodies[-1]


def test_pairs_are_ordered_as_dpo(server: OpenAIServer) -> None:
    pairs = [
        {
            "input": {"messages": example["messages"][:1]},
            "preferred_output": example["messages"][1:],
            "non_preferred_output": [{"role": "assistant", "content": "No idea."}],
        }
        for example in make_examples()
    ]
    make_tuner(server, method="dpo", n_epochs=1).submit(pairs)
    assert bodies_of(server)["method"] == {
        "type": "dpo",
        "dpo": {"hyperparameters": {"n_epochs": 1}},
    }


def test_files_are_sent_with_their_expiry(server: OpenAIServer) -> None:
    make_tuner(server, file_expires_after=7200).submit(make_examples())
    assert server.files["file-1"]["expires_at"]


def test_a_server_that_ignores_the_expiry_is_warned_about(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    answer = {"id": "file-9", "object": "file", "status": "processed"}
    server.faults.append(Fault("POST /files", status=200, body=answer))
    make_tuner(server, file_expires_after=7200).submit(make_examples())
    assert "does not say that it deletes the file file-9" in caplog.text


def test_setting_that_the_server_changes_is_warned_about(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    answer = {
        "id": "ftjob-9",
        "object": "fine_tuning.job",
        "status": "queued",
        "hyperparameters": {"n_epochs": 9},
    }
    server.faults.append(Fault(CREATE, status=200, body=answer))
    make_tuner(server, n_epochs=2).submit(make_examples())
    assert "another n_epochs" in caplog.text


@pytest.mark.parametrize(
    ("date", "warns"),
    [("2026-12-24", True), ("2026-01-01", True), ("2027-12-24", False), ("?", False)],
)
def test_a_near_shutdown_is_warned_about(date: str, warns: bool) -> None:
    with OpenAIServer(models={BASE_MODEL: date}).running() as server:
        tuner = make_tuner(server)
        if warns:
            with pytest.warns(UserWarning, match=f"{BASE_MODEL} down on {date}"):
                tuner.submit(make_examples())
        else:
            tuner.submit(make_examples())


def test_a_file_of_another_job_is_not_deleted(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    make_tuner(server, suffix="waits").submit(make_examples())
    make_tuner(server, suffix="ends", delete_training_file=True).invoke(make_examples())
    assert server.deleted == []
    assert "another job uses it" in caplog.text


def test_a_file_that_cannot_be_deleted_is_told(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults.append(refused("DELETE /files/file-1", 403, times=-1))
    make_tuner(server, delete_training_file=True).invoke(make_examples())
    assert "file-1 could not be deleted" in caplog.text


def test_a_file_that_is_gone_needs_no_deletion(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    run = make_tuner(server, delete_training_file=True).submit(make_examples())
    server.files.clear()
    run.wait()
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_pauses_between_attempts_grow(server: OpenAIServer) -> None:
    clock = FakeClock()
    server.faults.append(Fault(CREATE, -1, status=500))
    with pytest.raises(FineTuningUnavailableError):
        make_tuner(server, clock=clock).submit(make_examples())
    assert clock.sleeps == [0.5, 1.0, 2.0]


def test_a_retry_after_date_is_read_against_the_servers_clock(
    server: OpenAIServer,
) -> None:
    clock = FakeClock()
    headers = {
        "retry-after": "Tue, 01 Jan 2030 00:00:09 GMT",
        "date": "Tue, 01 Jan 2030 00:00:00 GMT",
    }
    server.faults.append(refused(CREATE, 429, headers=headers))
    make_tuner(server, clock=clock).submit(make_examples())
    assert clock.sleeps == [9.0]


def test_a_wait_beyond_the_timeout_is_raised_at_once(server: OpenAIServer) -> None:
    clock = FakeClock()
    server.faults.append(refused(CREATE, 429, headers={"retry-after": "90"}))
    with pytest.raises(FineTuningError, match="90 s"):
        make_tuner(server, clock=clock, timeout=60).submit(make_examples())
    assert clock.sleeps == []


def test_a_used_up_quota_is_raised_at_once(server: OpenAIServer) -> None:
    clock = FakeClock()
    fault = refused(CREATE, 429, code="insufficient_quota", times=-1)
    server.faults.append(fault)
    with pytest.raises(FineTuningUnavailableError, match="quota"):
        make_tuner(server, clock=clock).submit(make_examples())
    assert server.requests.count(CREATE) == 1
    assert clock.sleeps == []


@pytest.mark.parametrize(("timeout", "waited"), [(None, 30), (30, 10)])
def test_a_file_is_waited_for_a_while_only(timeout: float | None, waited: int) -> None:
    clock = FakeClock()
    with OpenAIServer(file_statuses=["uploaded"]).running() as server:
        make_tuner(server, clock=clock, timeout=timeout).submit(make_examples())
        assert len(server.jobs) == 1
    assert waited / 2 < sum(clock.sleeps) <= waited
