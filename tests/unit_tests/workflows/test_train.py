"""Jobs: created, found, interrupted, followed; here and on another server."""

import sys
from contextlib import suppress
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import httpx
import openai
import pytest

from langchain_chatexports.datasets.preparation import Preparation, PrepareOptions
from langchain_chatexports.datasets.training_data import TrainingData
from langchain_chatexports.exceptions import (
    FineTuningFailedError,
    LocalServerError,
    TrainingDataError,
)
from langchain_chatexports.finetuning.connection import Clock
from langchain_chatexports.finetuning.run import FineTuningRun
from langchain_chatexports.local_server.storage.jobs import KeptJob
from langchain_chatexports.workflows import train
from langchain_chatexports.workflows.train import create_job, progress_now
from langchain_chatexports.workflows.train_elsewhere import train_elsewhere
from langchain_chatexports.workflows.training_events import (
    JobEvent,
    MessageEvent,
    StepEvent,
    StoppedEvent,
)
from tests.unit_tests.builders.openai_server import OpenAIServer
from tests.unit_tests.builders.tuners import make_examples

TRAIN: Any = sys.modules["langchain_chatexports.workflows.train"]
EXAMPLES: Any = make_examples()


def data(examples: Any = EXAMPLES) -> TrainingData:
    nothing = Preparation([], PrepareOptions())
    return TrainingData(examples, [], 0, nothing, "Tortoise", "imessage chat.db")


def events_of(here: Any, examples: Any = EXAMPLES) -> list[Any]:
    """Train, and return the events, also of a training that is interrupted."""
    events: list[Any] = []
    with suppress(KeyboardInterrupt):
        train(data(examples), data_dir=here.data_dir, on_event=events.append)
    return events


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_job_is_created_followed_and_found_again(
    here: Any, server: OpenAIServer
) -> None:
    def train_on_server(request: str) -> None:
        if request == "GET /fine_tuning/jobs/ftjob-1/events" and server.jobs:
            step = {"step": 20, "total_steps": 20, "train_loss": 1.254}
            server.say("ftjob-1", "Step 20/20", type="metrics", data=step)
            server.before_work = None

    server.before_work = train_on_server
    events = events_of(here)
    assert events[0] == JobEvent("ftjob-1", "new")
    (step,) = [event for event in events if isinstance(event, StepEvent)]
    assert str(step) == "step 20/20, loss 1.25"
    body = server.bodies[-1]
    assert body["suffix"] == "tortoise"
    assert body["metadata"]["langchain_chatexports_person"] == "Tortoise"

    # What was shown before is not shown again.
    assert events_of(here) == [JobEvent("ftjob-1", "trained")]
    assert len(server.jobs) == 1
    assert create_job(here, data()) == JobEvent("ftjob-1", "trained")


def test_a_job_that_another_command_trains_is_not_stopped(
    here: Any, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FineTuningRun, "wait", interrupt)
    server.statuses = ("running",)
    here.is_shared = True
    told = [events_of(here) for _ in range(2)]
    states = [e.state for events in told for e in events if isinstance(e, JobEvent)]
    assert states == ["new", "running"]
    assert [events[-1].outcome for events in told] == ["paused", "elsewhere"]
    assert server.requests.count("POST /fine_tuning/jobs/ftjob-1/pause") == 1


def test_a_stopped_training_continues_from_both_front_ends(
    here: Any, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KeptJob(
        "ftjob-1", "stopped", "tiny-1", datetime.now(timezone.utc), 3, 9, saved_step=3
    )
    monkeypatch.setattr(TRAIN, "list_jobs", lambda _: [kept])
    server.statuses = ("paused",)
    resumed: list[str] = []
    monkeypatch.setattr(
        "openai.resources.fine_tuning.jobs.Jobs.resume",
        lambda _, job_id: resumed.append(job_id),
    )
    assert create_job(here, data()).state == "new"
    found = create_job(here, data())
    assert found == JobEvent("ftjob-1", "continued", 3)
    assert str(found).endswith("it continues from its checkpoint of step 3")
    assert resumed == ["ftjob-1"]


def test_a_failed_training_that_the_server_has_begun_again_is_not_an_error(
    here: Any, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request for it queues it, and the queue may be quick."""

    def refuse(*_: object) -> None:
        answer: Any = httpx.Response(400, request=httpx.Request("POST", "http://x"))
        raise openai.BadRequestError(str(answer), response=answer, body=None)

    monkeypatch.setattr(TRAIN, "list_jobs", lambda _: [])
    monkeypatch.setattr("openai.resources.fine_tuning.jobs.Jobs.resume", refuse)
    server.statuses = ("queued",)
    assert create_job(here, data()).state == "new"
    assert create_job(here, data()).state == "continued"


def test_messages_after_the_last_answer_pass_on_this_machine(
    here: Any, server: OpenAIServer
) -> None:
    examples: Any = make_examples()
    for example in examples:
        example["messages"].append({"role": "user", "content": "Again!"})
    events_of(here, examples)
    assert b'"Again!"' in server.contents["file-1"]


@pytest.mark.parametrize("is_running", [False, True])
def test_a_server_that_is_gone_or_a_full_disk_ends_the_waiting(
    here: Any,
    server: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_running: bool,
) -> None:
    spaces = [10**9, 0]
    monkeypatch.setattr(
        TRAIN.shutil, "disk_usage", lambda _: SimpleNamespace(free=spaces.pop(0))
    )
    monkeypatch.setattr(TRAIN, "_WAIT_SECONDS", 0.2)
    server.statuses = ("running",)
    here.is_running = is_running
    told = "is full. Free some space" if is_running else "stopped before job ftjob-1"
    with pytest.raises(LocalServerError, match=told):
        train(data(), data_dir=here.data_dir)


def test_a_training_that_failed_says_what_the_same_command_does(
    here: Any, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KeptJob(
        "ftjob-1", "failed", "tiny-1", datetime.now(timezone.utc), 20, 20, saved_step=18
    )
    monkeypatch.setattr(TRAIN, "list_jobs", lambda _: [kept])
    server.statuses = ("failed",)
    server.final = {"error": {"code": "disk_full", "message": "Free some space."}}
    with pytest.raises(FineTuningFailedError) as caught:
        train(data(), data_dir=here.data_dir)
    assert caught.value.code == "disk_full"
    assert str(caught.value) == (
        "The training failed. Free some space. The same command continues it from "
        "step 18."
    )


def test_space_on_the_disk_is_checked_before_anything_starts(
    here: Any, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SimpleNamespace(free=3_000_000)
    monkeypatch.setattr(TRAIN.shutil, "disk_usage", lambda _: free)
    with pytest.raises(LocalServerError, match="3 MB free, and a training needs"):
        train(data(), data_dir=here.data_dir)
    assert server.requests == []


def test_a_job_that_another_command_deleted_is_a_line_without_a_bill(
    here: Any, server: OpenAIServer
) -> None:
    server.statuses = ("cancelled",)
    with pytest.raises(LocalServerError, match="ftjob-1 was deleted") as caught:
        train(data(), data_dir=here.data_dir)
    assert "billed" not in str(caught.value)


def test_too_few_examples_are_refused_before_anything_starts() -> None:
    with pytest.raises(TrainingDataError, match="too few"):
        train(data(EXAMPLES[:9]))


def test_another_server_is_asked_for_consent_and_told_no_name(
    server: OpenAIServer,
) -> None:
    asked: list[str] = []

    def refuse(host: str, _: Any) -> bool:
        asked.append(host)
        raise KeyboardInterrupt

    events: list[Any] = []
    where = ("tiny-1", server.base_url.replace("//", "//me:hush@"))
    with pytest.raises(KeyboardInterrupt):
        train_elsewhere(data(), *where, confirm=refuse, on_event=events.append)
    assert asked == [server.base_url.split("/")[2]]
    assert events == [StoppedEvent(None, "nothing sent")]
    assert server.requests == []

    name = train_elsewhere(
        data(), "tiny-1", server.base_url, confirm=lambda *_: True, on_event=print
    )
    assert name == "ft:tiny-1:org::1"
    assert "Tortoise" not in str(server.bodies[-1])
    assert "chat.db" not in str(server.bodies[-1])


def test_a_job_on_another_server_continues_when_the_waiting_is_interrupted(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clock, "sleep", interrupt)
    server.statuses = ("running",)
    events: list[Any] = []
    with pytest.raises(KeyboardInterrupt):
        train_elsewhere(
            data(),
            "tiny-1",
            server.base_url,
            confirm=lambda *_: True,
            on_event=events.append,
        )
    assert events[-1] == StoppedEvent("ftjob-1", "elsewhere")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The events of a running job."""
    events: list[dict[str, Any]] = []
    monkeypatch.setattr(TRAIN, "job_events", lambda *_: events)
    return events


RUNNING = KeptJob("j", "running", "b", datetime.now(timezone.utc), 0, None, 0)


def step(now: float, number: int, total: int = 10) -> dict[str, Any]:
    data = {"step": number, "total_steps": total, "train_loss": 1.0}
    return {"type": "metrics", "created_at": now, "data": data}


def message(now: float, **data: Any) -> dict[str, Any]:
    return {"type": "message", "created_at": now, "data": data}


def test_the_time_left_is_that_of_the_last_steps(said: list[dict[str, Any]]) -> None:
    """A continued training does not start at the first step."""
    for number, now in ((100, 0.0), (101, 10.0), (102, 20.0), (110, 100.0)):
        said.append(step(now, number, 120))
    lefts = [event.seconds_left for event in progress_now(RUNNING).steps]
    assert lefts == [None, 190.0, 180.0, 100.0]


def test_before_the_first_step_the_phase_is_said(said: list[dict[str, Any]]) -> None:
    found = []
    for event in (
        message(0.0, phase="libraries"),
        message(10.0, phase="base"),
        step(22.0, 1),
        step(42.0, 2),
    ):
        said.append(event)
        progress = progress_now(RUNNING, now=event["created_at"])
        found.append((progress.phase, progress.seconds_left))
    assert found == [("libraries", None), ("base", None), ("", None), ("", 160.0)]
    assert progress_now(RUNNING, now=50.0).seconds_left == 152.0


def test_the_time_left_of_a_continued_training_does_not_count_the_pause(
    said: list[dict[str, Any]],
) -> None:
    said += [step(0.0, 1), step(1.0, 2), step(2.0, 3)]
    said.append(message(1010.0, phase="libraries"))
    assert progress_now(RUNNING, now=1010.0).seconds_left is None
    said += [step(1020.0, 1), step(1021.0, 2), step(1022.0, 3)]
    assert progress_now(RUNNING, now=1022.0).steps[-1].seconds_left == 7.0


def test_what_the_server_says_of_every_job_is_not_passed_on(
    here: Any, server: OpenAIServer
) -> None:
    def say(request: str) -> None:
        if request == "GET /fine_tuning/jobs/ftjob-1/events" and server.jobs:
            server.say("ftjob-1", "Created fine-tuning job: ftjob-1")
            server.say("ftjob-1", "warning of the server", level="warn")
            server.before_work = None

    server.before_work = say
    said = [event for event in events_of(here) if isinstance(event, MessageEvent)]
    texts = [event.text for event in said]
    assert "warning of the server" in texts
    assert not [text for text in texts if text.startswith("Created")]
