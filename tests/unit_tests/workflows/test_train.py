"""Jobs on this machine and on another server: create, find, follow, interrupt."""

import sys
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import openai
import pytest

from langchain_chatexports.exceptions import (
    FineTuningFailedError,
    LocalServerError,
    TrainingDataError,
)
from langchain_chatexports.finetuning.run import FineTuningRun
from langchain_chatexports.local_server.storage.jobs import LocalJob
from langchain_chatexports.workflows import train
from langchain_chatexports.workflows.preparation import Preparation, PrepareOptions
from langchain_chatexports.workflows.remote_training import train_remotely
from langchain_chatexports.workflows.train import create_job, get_progress
from langchain_chatexports.workflows.training_data import TrainingData
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
NOW = datetime.now(UTC)


def data(examples: Any = EXAMPLES) -> TrainingData:
    nothing = Preparation([], PrepareOptions())
    return TrainingData(examples, [], 0, nothing, "Tortoise", "imessage chat.db")


def collect_events(local_server: Any, examples: Any = EXAMPLES) -> list[Any]:
    """Train, and return the events, even if training is interrupted."""
    events: list[Any] = []
    with suppress(KeyboardInterrupt):
        train(data(examples), data_dir=local_server.data_dir, on_event=events.append)
    return events


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_job_is_created_and_found_again(local_server: Any) -> None:
    def train_on_server(request: str) -> None:
        if (
            request == "GET /fine_tuning/jobs/ftjob-1/events"
            and local_server.server.jobs
        ):
            step = {"step": 20, "total_steps": 20, "train_loss": 1.254}
            local_server.server.add_event(
                "ftjob-1", "Step 20/20", type="metrics", data=step
            )
            local_server.server.before_work = None

    local_server.server.before_work = train_on_server
    events = collect_events(local_server)
    assert events[0] == JobEvent("ftjob-1", "new")
    (step,) = [event for event in events if isinstance(event, StepEvent)]
    assert str(step) == "step 20/20, loss 1.25"
    body = local_server.server.bodies[-1]
    assert body["suffix"] == "tortoise"
    assert body["metadata"]["langchain_chatexports_person"] == "Tortoise"

    # Events are emitted only once.
    assert collect_events(local_server) == [JobEvent("ftjob-1", "trained")]
    assert len(local_server.server.jobs) == 1
    assert create_job(local_server, data()) == JobEvent("ftjob-1", "trained")


def test_job_of_another_command_is_not_paused(
    local_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FineTuningRun, "wait", interrupt)
    local_server.server.statuses = ("running",)
    local_server.is_shared = True
    commands = [collect_events(local_server) for _ in range(2)]
    states = [e.state for events in commands for e in events if isinstance(e, JobEvent)]
    assert states == ["new", "running"]
    assert [events[-1].outcome for events in commands] == ["paused", "elsewhere"]
    assert (
        local_server.server.requests.count("POST /fine_tuning/jobs/ftjob-1/pause") == 1
    )


def test_stopped_job_is_resumed(
    local_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = LocalJob("ftjob-1", "stopped", "tiny-1", NOW, 3, 9, saved_step=3)
    monkeypatch.setattr(TRAIN, "list_jobs", lambda _: [job])
    local_server.server.statuses = ("paused",)
    resumed: list[str] = []
    monkeypatch.setattr(
        "openai.resources.fine_tuning.jobs.Jobs.resume",
        lambda _, job_id: resumed.append(job_id),
    )
    assert create_job(local_server, data()).state == "new"
    found = create_job(local_server, data())
    assert found == JobEvent("ftjob-1", "resumed", 3)
    assert str(found).endswith("resuming from the checkpoint at step 3")
    assert resumed == ["ftjob-1"]


def test_refused_resume_means_the_job_already_runs(
    local_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:

    def refuse(*_: object) -> None:
        answer: Any = httpx.Response(400, request=httpx.Request("POST", "http://x"))
        raise openai.BadRequestError(str(answer), response=answer, body=None)

    monkeypatch.setattr(TRAIN, "list_jobs", lambda _: [])
    monkeypatch.setattr("openai.resources.fine_tuning.jobs.Jobs.resume", refuse)
    local_server.server.statuses = ("queued",)
    assert create_job(local_server, data()).state == "new"
    assert create_job(local_server, data()).state == "resumed"


def test_trailing_messages_are_allowed(local_server: Any) -> None:
    examples: Any = make_examples()
    for example in examples:
        example["messages"].append({"role": "user", "content": "Again!"})
    collect_events(local_server, examples)
    assert b'"Again!"' in local_server.server.contents["file-1"]


@pytest.mark.parametrize(
    ("is_running", "message"),
    [(False, "stopped before job ftjob-1 finished"), (True, "is full. Free some")],
)
def test_stopped_server_or_full_disk_ends_wait(
    local_server: Any, monkeypatch: pytest.MonkeyPatch, is_running: bool, message: str
) -> None:
    sizes = iter([SimpleNamespace(free=10**9), SimpleNamespace(free=0)])
    monkeypatch.setattr(TRAIN.shutil, "disk_usage", lambda _: next(sizes))
    monkeypatch.setattr(TRAIN, "_WAIT_SECONDS", 0.2)
    local_server.server.statuses = ("running",)
    local_server.is_running = is_running
    with pytest.raises(LocalServerError, match=message):
        train(data(), data_dir=local_server.data_dir)


def test_failed_training_error_suggests_resuming(
    local_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = LocalJob("ftjob-1", "failed", "tiny-1", NOW, 20, 20, saved_step=18)
    monkeypatch.setattr(TRAIN, "list_jobs", lambda _: [job])
    local_server.server.statuses = ("failed",)
    local_server.server.final = {
        "error": {"code": "disk_full", "message": "Free some space."}
    }
    with pytest.raises(FineTuningFailedError) as caught:
        train(data(), data_dir=local_server.data_dir)
    assert caught.value.code == "disk_full"
    assert str(caught.value) == (
        "Training failed. Free some space. To resume it from step 18, run the "
        "same command again."
    )


def test_disk_space_is_checked(
    local_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SimpleNamespace(free=3_000_000)
    monkeypatch.setattr(TRAIN.shutil, "disk_usage", lambda _: free)
    with pytest.raises(LocalServerError, match="3 MB free, but training needs"):
        train(data(), data_dir=local_server.data_dir)
    assert local_server.server.requests == []


def test_deleted_job_is_an_error(local_server: Any) -> None:
    local_server.server.statuses = ("cancelled",)
    with pytest.raises(LocalServerError, match="ftjob-1 was deleted") as caught:
        train(data(), data_dir=local_server.data_dir)
    assert "billed" not in str(caught.value)


def test_too_few_examples_are_an_error() -> None:
    with pytest.raises(TrainingDataError, match="Not enough"):
        train(data(EXAMPLES[:9]))


def test_upload_needs_consent_and_has_no_names(server: OpenAIServer) -> None:
    hosts: list[str] = []

    def refuse(host: str, _: Any) -> bool:
        hosts.append(host)
        raise KeyboardInterrupt

    events: list[Any] = []
    server_options = ("tiny-1", server.base_url.replace("//", "//me:hush@"))
    with pytest.raises(KeyboardInterrupt):
        train_remotely(data(), *server_options, confirm=refuse, on_event=events.append)
    assert hosts == [server.base_url.split("/")[2]]
    assert events == [StoppedEvent(None, "nothing sent")]
    assert server.requests == []

    server_options = ("tiny-1", server.base_url)
    name = train_remotely(data(), *server_options, confirm=lambda *_: True)
    assert name == "ft:tiny-1:org::1"
    assert "Tortoise" not in str(server.bodies[-1])
    assert "chat.db" not in str(server.bodies[-1])


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The events of a running job."""
    events: list[dict[str, Any]] = []
    monkeypatch.setattr(TRAIN, "job_events", lambda *_: events)
    return events


RUNNING = LocalJob("j", "running", "b", NOW, 0, None, 0)


def step(now: float, number: int, total: int = 10) -> dict[str, Any]:
    data = {"step": number, "total_steps": total, "train_loss": 1.0}
    return {"type": "metrics", "created_at": now, "data": data}


def message(now: float, **data: Any) -> dict[str, Any]:
    return {"type": "message", "created_at": now, "data": data}


def test_remaining_time_is_estimated_from_last_steps(log: list[dict[str, Any]]) -> None:
    """A resumed training does not start at the first step."""
    for number, now in ((100, 0.0), (101, 10.0), (102, 20.0), (110, 100.0)):
        log.append(step(now, number, 120))
    seconds = [event.seconds_left for event in get_progress(RUNNING).steps]
    assert seconds == [None, 190.0, 180.0, 100.0]


def test_phase_is_shown_before_the_first_step(log: list[dict[str, Any]]) -> None:
    found = []
    for event in (
        message(0.0, phase="libraries"),
        message(10.0, phase="base"),
        step(22.0, 1),
        step(42.0, 2),
    ):
        log.append(event)
        progress = get_progress(RUNNING, now=event["created_at"])
        found.append((progress.phase, progress.seconds_left))
    assert found == [("libraries", None), ("base", None), ("", None), ("", 160.0)]
    assert get_progress(RUNNING, now=50.0).seconds_left == 152.0


def test_remaining_time_ignores_pause(log: list[dict[str, Any]]) -> None:
    log += [step(0.0, 1), step(1.0, 2), step(2.0, 3)]
    log.append(message(1010.0, phase="libraries"))
    assert get_progress(RUNNING, now=1010.0).seconds_left is None
    log += [step(1020.0, 1), step(1021.0, 2), step(1022.0, 3)]
    assert get_progress(RUNNING, now=1022.0).steps[-1].seconds_left == 7.0


def test_routine_messages_are_dropped(local_server: Any) -> None:
    def say(request: str) -> None:
        if (
            request == "GET /fine_tuning/jobs/ftjob-1/events"
            and local_server.server.jobs
        ):
            local_server.server.add_event("ftjob-1", "Created fine-tuning job: ftjob-1")
            local_server.server.add_event(
                "ftjob-1", "warning of the server", level="warn"
            )
            local_server.server.before_work = None

    local_server.server.before_work = say
    events = collect_events(local_server)
    texts = [event.text for event in events if isinstance(event, MessageEvent)]
    assert "warning of the server" in texts
    assert not [text for text in texts if text.startswith("Created")]
