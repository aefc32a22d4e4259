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
from openai import DefaultHttpxClient, OpenAI

from langchain_chatexports.exceptions import (
    FineTuningError,
    FineTuningTimeoutError,
    FineTuningUnavailableError,
)
from langchain_chatexports.finetuning.connection import (
    Deadline,
    connect,
    run_blocking,
)
from langchain_chatexports.finetuning.errors import Situation, error_of
from langchain_chatexports.finetuning.jobs import Submission
from langchain_chatexports.finetuning.training_file import prepare_order
from tests.unit_tests.builders.openai_server import (
    BASE_MODEL,
    KEY,
    Fault,
    OpenAIServer,
    lost,
    refused,
)
from tests.unit_tests.builders.tuners import FakeClock, make_examples, make_tuner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_chatexports import ChatFineTuner

CREATE = "POST /fine_tuning/jobs"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer().running() as running:
        yield running


def bodies_of(server: OpenAIServer) -> dict[str, Any]:
    (body,) = server.bodies
    return body


class Killed(BaseException):
    """What stands for the end of a process: nothing handles it."""


def invoke_and_die(server: OpenAIServer, stop_after: int) -> None:
    """Fine-tune in a process that ends when so many requests are carried out."""

    def count(_: Any) -> None:
        if len(server.requests) == stop_after:
            raise Killed

    http_client = DefaultHttpxClient(event_hooks={"response": [count]})
    with OpenAI(
        base_url=server.base_url, api_key=KEY, http_client=http_client
    ) as client:
        make_tuner(server, client=client).invoke(make_examples())


def test_killed_between_any_two_requests_and_repeated_it_pays_once() -> None:
    with OpenAIServer().running() as whole:
        invoke_and_die(whole, stop_after=-1)
        requests = len(whole.requests)
    assert requests >= 5
    for stop_after in range(1, requests + 1):
        with OpenAIServer().running() as server:
            with pytest.raises(Killed):
                invoke_and_die(server, stop_after)
            assert len(server.requests) == stop_after
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
        process.wait(timeout=300)
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
    await asyncio.wait_for(tuner.asubmit(make_examples()), timeout=60)
    assert len(server.jobs) == 1


def place_as_another_process(server: OpenAIServer) -> None:
    """Place the order past the lock that calls of one process share."""
    run_blocking(place_without_lock(make_tuner(server)))


async def place_without_lock(tuner: ChatFineTuner, data: bytes = b"") -> None:
    order = prepare_order(tuner, make_examples())
    order.training.data = data or order.training.data
    deadline = Deadline(FakeClock(), None)
    async with connect(tuner.access(), deadline, is_async=False) as connection:
        await Submission(order, connection).place()


@pytest.fixture
def _another_process(server: OpenAIServer) -> None:
    """Another process places the order just before it is carried out here."""

    def place(request: str) -> None:
        if request == CREATE:
            server.before_work = None
            place_as_another_process(server)

    server.before_work = place


@pytest.mark.usefixtures("_another_process")
def test_two_processes_in_the_same_moment_pay_once(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The younger job is stopped by who created it, and by nobody else."""
    assert make_tuner(server).submit(make_examples()).id == "ftjob-1"
    states = {name: job["status"] for name, job in server.jobs.items()}
    assert states["ftjob-2"] == "cancelled"
    assert states["ftjob-1"] != "cancelled"
    assert "Job ftjob-2 was cancelled at once: job ftjob-1" in caplog.text


@pytest.mark.usefixtures("_another_process")
def test_a_second_job_that_cannot_be_stopped_is_told(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults.append(refused("POST .*/cancel", 403, times=-1))
    assert make_tuner(server).submit(make_examples()).id == "ftjob-1"
    assert "Job ftjob-2 is of the same order as job ftjob-1, and may cost" in (
        caplog.text
    )


def test_a_younger_job_of_the_same_order_is_told_and_left_to_its_maker(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    def younger(request: str) -> None:
        if request == "POST /v1/fine_tuning/jobs" and len(server.jobs) == 1:
            first = server.jobs["ftjob-1"]
            second = {**first, "id": "ftjob-2", "created_at": first["created_at"] + 1}
            server.jobs["ftjob-2"] = second

    server.before_answer = younger
    assert make_tuner(server).submit(make_examples()).id == "ftjob-1"
    assert "get('ftjob-2').cancel() stops it" in caplog.text
    assert "cancelled" not in {job["status"] for job in server.jobs.values()}


def test_jobs_of_earlier_runs_are_not_taken_for_a_second_one(
    server: OpenAIServer,
) -> None:
    """Deleted models and `run_again`: these were ordered on purpose."""
    tuner = make_tuner(server)
    tuner.submit(make_examples()).wait().delete_model()
    assert tuner.submit(make_examples()).id == "ftjob-2"
    assert make_tuner(server, run_again=True).submit(make_examples()).id == "ftjob-3"
    assert not [r for r in server.requests if r.endswith("/cancel")]


def test_a_list_that_fails_at_the_last_look_does_not_cost_the_job() -> None:
    clock = FakeClock()
    last = refused("GET /fine_tuning/jobs", 429, headers={"retry-after": "60"})
    last.after = 1
    with OpenAIServer(last).running() as server:
        assert make_tuner(server, clock=clock).submit(make_examples()).id == "ftjob-1"
    assert clock.sleeps == []


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


@pytest.fixture
def forgetful() -> Iterator[OpenAIServer]:
    """A server whose jobs tell neither metadata nor suffix."""
    server = OpenAIServer(keeps_metadata=False, filters=False, keeps_suffix=False)
    with server.running() as running:
        yield running


@pytest.mark.parametrize("suffixes", [("a", "b"), (None, "b")], ids=str)
def test_another_suffix_is_another_order_on_a_server_that_tells_none(
    suffixes: tuple[str | None, str],
    forgetful: OpenAIServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for suffix in suffixes:
        run = make_tuner(forgetful, suffix=suffix).submit(make_examples())
    assert run.id == "ftjob-2"
    assert "Job ftjob-1 trains the same files" in caplog.text


def test_there_an_order_without_a_suffix_finds_its_job(forgetful: OpenAIServer) -> None:
    for _ in range(2):
        make_tuner(forgetful).submit(make_examples())
    assert len(forgetful.jobs) == 1


def test_there_the_suffix_is_known_by_the_name_of_the_model(
    forgetful: OpenAIServer,
) -> None:
    make_tuner(forgetful, suffix="a").invoke(make_examples())
    job = forgetful.jobs["ftjob-1"]
    job["fine_tuned_model"] = "ft:tiny-1:org:a:1"
    forgetful.models["ft:tiny-1:org:a:1"] = None
    make_tuner(forgetful, suffix="a").invoke(make_examples())
    assert len(forgetful.jobs) == 1


def test_there_a_job_whose_answer_was_lost_is_found_with_a_suffix(
    forgetful: OpenAIServer,
) -> None:
    make_tuner(forgetful, suffix="a").submit(make_examples())
    forgetful.faults.append(lost(CREATE))
    assert make_tuner(forgetful, suffix="b").submit(make_examples()).id == "ftjob-2"
    assert len(forgetful.jobs) == 2


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


@pytest.mark.parametrize(
    "change",
    [{"bytes": 3}, {"filename": "x.jsonl"}, {"status": "error"}, {"status": "deleted"}],
    ids=str,
)
def test_a_file_that_is_another_or_of_no_use_is_not_taken(
    server: OpenAIServer, change: dict[str, Any]
) -> None:
    make_tuner(server, suffix="a").submit(make_examples())
    server.files["file-1"].update(change)
    make_tuner(server, suffix="b").submit(make_examples())
    assert server.uploads == 2


def test_the_file_of_a_job_that_may_be_there_is_not_deleted(
    server: OpenAIServer,
) -> None:
    server.faults.append(Fault(CREATE, -1, status=500))
    with pytest.raises(FineTuningError, match=r"may have been created.*file-1"):
        make_tuner(server, delete_training_file=True).submit(make_examples())
    assert server.deleted == []


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

    from langchain_chatexports.datasets.jsonl import write_jsonl

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


def pairs() -> list[dict[str, Any]]:
    return [
        {
            "input": {"messages": example["messages"][:1]},
            "preferred_output": example["messages"][1:],
            "non_preferred_output": [{"role": "assistant", "content": "No idea."}],
        }
        for example in make_examples()
    ]


@pytest.mark.parametrize(
    "numbers", [{}, {"n_epochs": 1}, {"n_epochs": 1, "beta": 0.2}], ids=str
)
def test_pairs_are_ordered_as_dpo(
    server: OpenAIServer, numbers: dict[str, Any]
) -> None:
    make_tuner(server, method="dpo", **numbers).submit(pairs())
    inner = {"hyperparameters": numbers} if numbers else {}
    assert bodies_of(server)["method"] == {"type": "dpo", "dpo": inner}


@pytest.mark.parametrize("keeps_metadata", [True, False])
def test_another_beta_is_another_order(keeps_metadata: bool) -> None:
    with OpenAIServer(keeps_metadata=keeps_metadata).running() as server:
        for beta in (0.1, 0.2, 0.1):
            make_tuner(server, method="dpo", beta=beta).submit(pairs())
        assert len(server.jobs) == 2


def test_dpo_is_not_ordered_in_the_old_form() -> None:
    """There it would be a supervised job, and paid for."""
    with OpenAIServer(refuses_field="method").running() as server:
        with pytest.raises(FineTuningError, match="method"):
            make_tuner(server, method="dpo").submit(pairs())
        assert server.jobs == {}


def test_labels_that_the_server_refuses_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with OpenAIServer(refuses_field="metadata").running() as server:
        make_tuner(server, metadata={"who": "me"}).submit(make_examples())
    assert "takes no metadata" in caplog.text


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


def test_a_file_of_another_job_stays_where_files_cannot_be_listed(
    server: OpenAIServer,
) -> None:
    make_tuner(server, suffix="waits").submit(make_examples())
    run = make_tuner(server, suffix="ends", delete_training_file=True).submit(
        make_examples()
    )
    server.faults.append(refused("GET /files", 403, times=-1))
    run.wait()
    assert server.deleted == []


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
    looks = [2.0, 4.0]
    assert clock.sleeps == [0.5, *looks, 1.0, *looks, 2.0, *looks]


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


def test_milliseconds_are_obeyed_before_seconds(server: OpenAIServer) -> None:
    clock = FakeClock()
    headers = {"retry-after-ms": "1500", "retry-after": "9"}
    server.faults.append(refused(CREATE, 429, headers=headers))
    make_tuner(server, clock=clock).submit(make_examples())
    assert clock.sleeps == [1.5]


@pytest.mark.parametrize("said", ["soon", "", "-5", "Tue, 99 Jan 2030"])
def test_a_retry_after_that_says_nothing_is_passed_over(
    server: OpenAIServer, said: str
) -> None:
    clock = FakeClock()
    server.faults.append(refused(CREATE, 429, headers={"retry-after": said}))
    make_tuner(server, clock=clock).submit(make_examples())
    assert clock.sleeps == [0.5]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://api.openai.com/v1", "no new jobs after 2027-01-06"),
        ("https://example.com/v1", "may fine-tune it."),
    ],
)
def test_closed_access_at_openai_says_that_it_is_for_good(url: str, says: str) -> None:
    refusal = Exception("no")
    refusal.status_code = 403  # type: ignore[attr-defined] # as the SDK's has
    situation = Situation("Nothing was ordered.")
    error = error_of(refusal, "fine_tuning.jobs.create", url, situation)
    assert isinstance(error, FineTuningUnavailableError)
    assert says in str(error)
    assert str(error).endswith("Nothing was ordered.")
    assert ("2027" in str(error)) == ("openai" in url)


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


@pytest.mark.parametrize(
    ("status", "longest"), [("uploaded", 30), ("pending", 600), ("running", 600)]
)
def test_a_server_that_says_it_is_at_work_on_the_file_is_given_longer(
    status: str, longest: int
) -> None:
    """Azure refuses a job until it is through with the file."""
    clock = FakeClock()
    with OpenAIServer(file_statuses=[status]).running() as server:
        make_tuner(server, clock=clock).submit(make_examples())
        assert len(server.jobs) == 1
    assert longest - 10 < sum(clock.sleeps) <= longest


def test_a_file_that_cannot_be_looked_at_is_not_waited_for() -> None:
    clock = FakeClock()
    settings: dict[str, Any] = {
        "file_statuses": ["uploaded"],
        "routes_missing": ("GET /files/[^/]+",),
    }
    with OpenAIServer(**settings).running() as server:
        make_tuner(server, clock=clock).submit(make_examples())
        assert len(server.jobs) == 1
    assert clock.sleeps == [1.0]


def test_no_job_is_ordered_once_the_time_is_over(server: OpenAIServer) -> None:
    clock = FakeClock()

    def take_long(request: str) -> None:
        if request.startswith("GET /models/"):
            clock.time += 100

    server.before_work = take_long
    with pytest.raises(FineTuningTimeoutError, match="Nothing was ordered"):
        make_tuner(server, clock=clock, timeout=60).submit(make_examples())
    assert server.jobs == {}


@pytest.mark.parametrize("megabytes", [1, 40])
def test_a_large_file_is_given_time_to_be_looked_at(
    megabytes: int, server: OpenAIServer
) -> None:
    timeouts: list[float] = []

    def see(request: Any) -> None:
        if (request.method, request.url.path) == ("POST", "/v1/files"):
            timeouts.append(request.extensions["timeout"]["read"])

    http_client = DefaultHttpxClient(event_hooks={"request": [see]})
    with OpenAI(
        base_url=server.base_url, api_key=KEY, http_client=http_client
    ) as client:
        tuner = make_tuner(server, client=client, request_timeout=30)
        run_blocking(place_without_lock(tuner, b"x" * megabytes * 1_000_000))
    assert timeouts == [30 if megabytes == 1 else 160]


@pytest.mark.parametrize(
    "fault",
    [
        refused(CREATE, 402, times=-1),
        refused(CREATE, 429, code="billing_not_active", times=-1),
        Fault(
            CREATE,
            -1,
            status=429,
            body={"error": {"message": "no", "type": "insufficient_quota"}},
        ),
    ],
    ids=["402", "billing", "type"],
)
def test_no_money_left_is_raised_at_once_however_it_is_said(fault: Fault) -> None:
    clock = FakeClock()
    with OpenAIServer(Fault(**vars(fault))).running() as server:
        with pytest.raises(FineTuningUnavailableError, match="quota"):
            make_tuner(server, clock=clock).submit(make_examples())
        assert server.requests.count(CREATE) == 1
    assert clock.sleeps == []
