"""Jobs on this machine and on another server: create, find, follow, interrupt."""

import threading
import time
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from langchain_chatexports.exceptions import (
    FineTuningFailedError,
    LocalServerError,
    TrainingDataError,
)
from langchain_chatexports.local_server import (
    DiskFullError,
    Queue,
    State,
    Workspace,
)
from langchain_chatexports.local_server.testing import train_steps
from langchain_chatexports.workflows.preparation import Preparation, PrepareOptions
from langchain_chatexports.workflows.remote_training import train_remotely
from langchain_chatexports.workflows.train import (
    create_job,
    find_earlier_model,
    pause_job,
    train,
)
from langchain_chatexports.workflows.training_data import TrainingData
from langchain_chatexports.workflows.training_events import (
    EventReader,
    JobEvent,
    MessageEvent,
    StepEvent,
    StoppedEvent,
)
from tests.unit_tests.builders.local_jobs import count_steps
from tests.unit_tests.builders.openai_server import OpenAIServer
from tests.unit_tests.builders.tuners import make_examples
from tests.unit_tests.builders.waiting import wait_until
from tests.unit_tests.builders.workspaces import add_job

# The package has a function with this name.
TRAIN = import_module("langchain_chatexports.workflows.train")
EXAMPLES: Any = make_examples()


@pytest.fixture(autouse=True)
def _steps(monkeypatch: pytest.MonkeyPatch) -> None:
    count_steps(monkeypatch)


def data(examples: Any = EXAMPLES) -> TrainingData:
    nothing = Preparation([], PrepareOptions())
    return TrainingData(examples, [], 0, nothing, "Tortoise", "imessage chat.db")


def train_and_collect(workspace: Workspace) -> list[Any]:
    events: list[Any] = []
    train(data(), workspace=workspace, on_event=events.append)
    return events


def interrupt_at(workspace: Workspace, step: int) -> list[Any]:
    """Train until a step, and press Ctrl-C."""
    events: list[Any] = []

    def emit(event: Any) -> None:
        events.append(event)
        if isinstance(event, StepEvent) and event.step == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(data(), workspace=workspace, on_event=emit)
    return events


def slow_down(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.05) -> None:
    """Let new jobs take this time for a step."""
    create = Workspace.__init__

    def initialize(workspace: Workspace, data_dir: Any = None) -> None:
        create(workspace, data_dir)
        order = workspace.jobs.find_or_create
        options = {"step_seconds": seconds}
        slow = lambda **values: order(**values, hyperparameters=options)  # noqa: E731
        monkeypatch.setattr(workspace.jobs, "find_or_create", slow)

    monkeypatch.setattr(Workspace, "__init__", initialize)


def test_job_is_trained_and_found_again(workspace: Workspace) -> None:
    first, *events = train_and_collect(workspace)
    (job,) = workspace.jobs.list()
    assert first == JobEvent(job.id, "new")
    assert [event.step for event in events] == [*range(1, len(events) + 1)]
    assert str(events[-1]).startswith(f"step {len(events)}/{len(events)}, loss 0.")
    model = workspace.models.match("tortoise")[0]
    assert (model.person, model.source) == ("Tortoise", "imessage chat.db")
    # Events are emitted only once.
    assert train_and_collect(workspace) == [JobEvent(job.id, "trained")]
    assert create_job(workspace, data()) == JobEvent(job.id, "trained")
    assert len(workspace.jobs.list()) == 1


def test_interruption_pauses_and_the_same_call_resumes(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_down(monkeypatch)
    workspace = Workspace(workspace.data_dir)
    *_, stopped = interrupt_at(workspace, 3)
    (job,) = workspace.jobs.list()
    assert (job.state, job.saved_step) == (State.PAUSED, job.step)
    assert job.step >= 3
    assert stopped == StoppedEvent(job.id, "paused", job)
    found, *events = train_and_collect(workspace)
    assert found == JobEvent(job.id, "resumed", job.saved_step)
    assert str(found).endswith(f"resuming from the checkpoint at step {job.step}")
    assert events[0].step == job.step + 1
    assert len(workspace.models.list()) == 1


def test_job_of_another_command_is_not_paused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_down(monkeypatch, 0.2)
    workspace = Workspace(workspace.data_dir)
    assert create_job(workspace, data()).state == "new"
    with Queue(workspace, train=train_steps, threads=1):
        wait_until(lambda: workspace.jobs.list()[0].step > 1)
        first, *_, stopped = interrupt_at(workspace, 4)
        assert (first.state, stopped.outcome) == ("running", "elsewhere")
        assert workspace.jobs.list()[0].state is State.RUNNING
        workspace.jobs.cancel(workspace.jobs.list()[0].id)


def test_job_of_an_ended_process_is_taken_over(workspace: Workspace) -> None:
    job_id = create_job(workspace, data()).job_id
    sources = (State.QUEUED,)
    workspace.jobs.move(job_id, State.RUNNING, "The job started", sources=sources)
    first, *events = train_and_collect(workspace)
    assert first == JobEvent(job_id, "resumed", 0)
    warnings = [event for event in events if isinstance(event, MessageEvent)]
    assert [warning.is_warning for warning in warnings] == [True]
    assert "continues from its last save" in str(warnings[0])


@pytest.mark.parametrize("verb", ["pause", "cancel", "delete"])
def test_other_program_ends_the_wait(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    slow_down(monkeypatch, 0.2)
    workspace = Workspace(workspace.data_dir)
    reason = "paused at" if verb == "pause" else "cancelled or deleted"

    def change(event: Any) -> None:
        if isinstance(event, StepEvent) and event.step == 2:
            job = workspace.jobs.list()[0]
            change = getattr(Workspace(workspace.data_dir).jobs, verb)
            threading.Thread(target=change, args=(job.id,)).start()

    with pytest.raises(LocalServerError, match=f"was {reason}"):
        train(data(), workspace=workspace, on_event=change)


def test_failed_training_says_how_to_resume(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = {"code": "disk_full", "message": "Free some space.", "param": None}
    job_id = create_job(workspace, data()).job_id
    workspace.jobs.record(job_id, saved_step=18)

    def fail(*_: object, **__: object) -> Any:
        workspace.jobs.move(
            job_id, State.FAILED, "failed", sources=(State.QUEUED,), error=error
        )
        return iter(())

    monkeypatch.setattr(workspace.jobs, "follow", fail)
    monkeypatch.setattr(Queue, "start", lambda queue: queue)
    with pytest.raises(FineTuningFailedError) as caught:
        train(data(), workspace=workspace)
    assert caught.value.code == "disk_full"
    assert str(caught.value) == (
        "Training failed. Free some space. To resume it from step 18, run the "
        "same command again."
    )


def test_broken_examples_are_refused(workspace: Workspace) -> None:
    examples: Any = [*make_examples()]
    examples[4] = {"messages": [{"role": "user", "content": "Alone"}]}
    with pytest.raises(TrainingDataError, match="line 5"):
        train(data(examples), workspace=workspace)
    assert workspace.jobs.list() == ()


def test_trailing_messages_are_allowed(workspace: Workspace) -> None:
    examples: Any = make_examples()
    for example in examples:
        example["messages"].append({"role": "user", "content": "Again!"})
    create_job(workspace, data(examples))
    stored = workspace.files.list()[0]
    assert b'"Again!"' in workspace.file_path(stored.id).read_bytes()


@pytest.mark.parametrize("megabytes", [3, 150])
def test_disk_space_is_checked(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, megabytes: int
) -> None:
    """The default base's adapters and their optimizer need more than 150 MB."""
    free = SimpleNamespace(free=megabytes * 10**6)
    monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    with pytest.raises(DiskFullError, match=f"{megabytes} MB free, but training"):
        train(data(), workspace=workspace)
    assert not workspace.data_dir.exists()


def test_a_full_disk_ends_the_wait(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise DiskFullError

    with monkeypatch.context() as patch:
        patch.setattr(workspace, "sweep", fail)
        with pytest.raises(DiskFullError, match="continues from its last save"):
            train(data(), workspace=workspace)
    _resumed, *events = train_and_collect(workspace)
    assert str(events[-1]).startswith("step ")


def test_earlier_model_is_found(workspace: Workspace) -> None:
    assert find_earlier_model(data(), workspace) is None
    model = train(data(), workspace=workspace)
    assert find_earlier_model(data(), workspace) is None
    new = {"messages": [{"role": "assistant", "content": "New."}]}
    assert find_earlier_model(data([*EXAMPLES, new]), workspace) == (model, 1)


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
    assert events == [StoppedEvent(None, "nothing sent", host=hosts[0])]
    assert server.requests == []

    server_options = ("tiny-1", server.base_url)
    name = train_remotely(data(), *server_options, confirm=lambda *_: True)
    assert name == "ft:tiny-1:org::1"
    assert "Tortoise" not in str(server.bodies[-1])
    assert "chat.db" not in str(server.bodies[-1])


@pytest.fixture
def running(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A job; a function adds an event at a time and returns the progress."""
    job = add_job(workspace)
    reader, seen = EventReader(), 0
    steps: list[StepEvent] = []

    def add(now: float, step: int | None = None, total: int = 10, **phase: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: now)
            if step is not None:
                workspace.jobs.log_step(job.id, step, total, 1.0)
            elif phase:
                workspace.jobs.log(job.id, "…", kind="phase", **phase)
        nonlocal seen
        for event in workspace.jobs.events(job.id, after=seen):
            seen, found = event.number, reader.read(event)
            if isinstance(found, StepEvent):
                steps.append(found)
        left = reader.seconds_left_at(now)
        return SimpleNamespace(steps=steps, phase=reader.phase, seconds_left=left)

    return add


def test_remaining_time_is_estimated_from_last_steps(running: Any) -> None:
    """A resumed training does not start at the first step."""
    for number, now in ((100, 1.0), (101, 11.0), (102, 21.0), (110, 101.0)):
        progress = running(now, number, 120)
    seconds = [event.seconds_left for event in progress.steps]
    assert seconds == [None, 190.0, 180.0, 100.0]


def test_phase_is_shown_before_the_first_step(running: Any) -> None:
    found = [
        running(1.0, phase="libraries"),
        running(10.0, phase="base"),
        running(22.0, 1),
        running(42.0, 2),
    ]
    assert [(progress.phase, progress.seconds_left) for progress in found] == [
        ("libraries", None),
        ("base", None),
        ("", None),
        ("", 160.0),
    ]
    assert running(50.0).seconds_left == 152.0


def test_remaining_time_ignores_pause(running: Any) -> None:
    for number in (1, 2, 3):
        running(float(number), number)
    assert running(1010.0, phase="libraries").seconds_left is None
    for number in (4, 5, 6):
        progress = running(1016.0 + number, number)
    assert progress.steps[-1].seconds_left == 4.0


def test_finished_job_is_not_paused(workspace: Workspace) -> None:
    train_and_collect(workspace)
    (job,) = workspace.jobs.list()
    pause_job(workspace, job.id)
    assert workspace.jobs.get(job.id).state is State.SUCCEEDED
