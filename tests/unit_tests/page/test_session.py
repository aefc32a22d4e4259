"""The session of the page, without a browser; its jobs count steps."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from langchain_chatexports._progress import Watch
from langchain_chatexports.local_server import (
    Base,
    DiskFullError,
    Queue,
    State,
    Workspace,
)
from langchain_chatexports.local_server.testing import EchoServer, train_steps
from langchain_chatexports.page import session as session_module
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.session import Choice, PageSession
from langchain_chatexports.samples import write_imessage
from langchain_chatexports.workflows.chat_filter import ChatFilter
from langchain_chatexports.workflows.training_events import JobEvent
from tests.unit_tests.builders.waiting import wait_until
from tests.unit_tests.builders.whatsapp import write_pair_chat
from tests.unit_tests.builders.workspaces import add_job

_SECONDS = 240


@pytest.fixture(autouse=True)
def _steps(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = partial(Queue, train=train_steps, threads=1)
    monkeypatch.setattr(session_module, "Queue", queue)
    monkeypatch.setattr(session_module, "LocalServer", EchoServer)
    monkeypatch.setattr(session_module, "download_base", lambda *_, **__: None)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[PageSession]:
    with PageSession(None, tmp_path / "data") as session:
        yield session


def _add(session: PageSession, *paths: Path) -> None:
    session.exports.add(paths)
    session.exports.join(_SECONDS)


def _prepare(session: PageSession) -> Any:
    assert session.prepare()
    session.preparing.join(_SECONDS)
    return session.data


@pytest.fixture
def messenger(session: PageSession) -> PageSession:
    """A session with the Messenger sample."""
    session.add_sample()
    session.exports.join(_SECONDS)
    return session


def test_examples_match_finetune(messenger: PageSession) -> None:
    data = _prepare(messenger)
    assert data.person == "Harry Potter"
    assert str(data).startswith("87 examples")
    assert data.has_enough_examples
    assert (messenger.estimate_seconds() or 0) > 0


def test_examples_can_be_redacted(messenger: PageSession) -> None:
    messenger.choice = Choice("", redact=True)
    data = _prepare(messenger)
    assert "Harry" not in f"{data.examples} {data.person}"
    # Another choice does not change the stand-in.
    chats = ChatFilter(without_groups=True)
    messenger.choice = Choice("Harry Potter", chats, redact=True)
    assert _prepare(messenger).person == data.person


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        (Choice("", ChatFilter(end=date(1990, 1, 1))), "Nothing to train on"),
        (Choice("Nobody"), "has no messages in the selected chats"),
    ],
)
def test_missing_examples_are_explained(
    messenger: PageSession, choice: Choice, reason: str
) -> None:
    messenger.choice = choice
    assert _prepare(messenger) is None
    assert reason in str(messenger.preparing.error)
    assert "--" not in str(messenger.preparing.error)


def test_chat_from_two_phones_is_learned_once(
    session: PageSession, tmp_path: Path
) -> None:
    mine = write_pair_chat(tmp_path / "WhatsApp Chat with Mum.txt", "Mum", "Jo")
    hers = write_pair_chat(tmp_path / "WhatsApp Chat with Jo.txt", "Petra", "Jo")
    counts = []
    for added, people in (([mine], ()), ([hers], ()), ([], ("Mum",))):
        _add(session, *added)
        session.choice = Choice("Jo", chats=ChatFilter(include=people))
        counts.append(len(_prepare(session).examples))
    assert counts[0] > 0
    assert len({*counts}) == 1


def test_examples_of_another_choice_are_not_used(messenger: PageSession) -> None:
    data, prepared = _prepare(messenger), messenger.choice
    other = Choice("Draco Malfoy")
    is_shown = []
    for choice in (prepared, other, prepared, other):
        messenger.choice = choice
        is_shown.append(messenger.data is data)
    assert is_shown == [True, False] * 2
    assert not messenger.train(None)
    assert _prepare(messenger).person == "Draco Malfoy"


def test_choice_is_kept_when_exports_change(
    messenger: PageSession, tmp_path: Path
) -> None:
    assert messenger.choice == Choice("")
    _add(messenger, write_imessage(tmp_path / "chat.db"))
    assert messenger.choice == Choice("Harry Potter")
    chats = ChatFilter(include=("Hare", "Draco Malfoy"), without_groups=True)
    messenger.choice = Choice("Hare", chats)
    messenger.exports.remove(messenger.exports.cards[1])
    chats = ChatFilter(include=("Draco Malfoy",), without_groups=True)
    assert messenger.choice == Choice("", chats)


def test_base_is_downloaded_before_training(
    messenger: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def download(base: Base, watch: Watch, check: Callable[[], None]) -> None:
        work = messenger.job_work
        with watch("MB", lambda: 7, 2610):
            calls.append((base.id, str(work.title), work.progress))
        check()
        messenger.stop_preparing()
        check()

    monkeypatch.setattr(session_module, "download_base", download)
    data = _prepare(messenger)
    assert not messenger.choose_base(data).base.is_default
    assert messenger.train("Qwen/Qwen3.5-0.8B")
    messenger.job_work.join(_SECONDS)
    assert calls == [("Qwen/Qwen3.5-0.8B", "Downloading the base model", (7, 2610))]
    assert messenger.job_work.error is None
    assert messenger.workspace.jobs.list() == ()


def test_training_is_followed_to_its_model(messenger: PageSession) -> None:
    data = _prepare(messenger)
    assert messenger.train(None)
    assert not messenger.train(None)
    messenger.job_work.join(_SECONDS)
    assert messenger.job_work.error is None
    events = [messenger.job_event]
    (model,) = wait_until(lambda: messenger.read().stored.models)
    assert model.person == data.person
    (job,) = messenger.snapshot.jobs
    steps = messenger.progress(job).steps
    assert [event.step for event in steps] == [*range(1, (job.steps or 0) + 1)]
    assert messenger.training_status is None
    assert messenger.train(None)
    messenger.job_work.join(_SECONDS)
    events.append(messenger.job_event)
    assert [event and event.state for event in events] == ["new", "trained"]


def _start_slow_job(workspace: Workspace, session: PageSession) -> Any:
    """Order a training that takes minutes on this page."""
    job = add_job(workspace, hyperparameters={"steps": 500, "step_seconds": 0.05})
    workspace.jobs.pause(job.id)
    assert session.resume_job(job)
    session.job_work.join(_SECONDS)
    wait_until(lambda: session.read().stored.jobs[0].step)
    return session.read().stored.jobs[0]


def test_stopped_training_continues_from_its_save(session: PageSession) -> None:
    workspace = session.workspace
    job = _start_slow_job(workspace, session)
    assert str(session.training_status).startswith("Training for tiny is running: step")
    assert session.stop_job(job)
    session.job_work.join(_SECONDS)
    (stopped,) = session.read().stored.jobs
    assert (session.job_work.error, stopped.state) == (None, State.PAUSED)
    assert stopped.saved_step >= job.step
    assert session.resume_job(stopped)
    session.job_work.join(_SECONDS)
    wait_until(lambda: session.read().stored.jobs[0].step > stopped.saved_step)
    steps = [event.step for event in session.progress(job).steps]
    assert steps == sorted({*steps})


def test_closing_the_page_pauses_its_training(session: PageSession) -> None:
    workspace = session.workspace
    job = _start_slow_job(workspace, session)
    other = add_job(workspace, mark="of another program")
    session.__exit__()
    assert workspace.jobs.get(job.id).state is State.PAUSED
    assert workspace.jobs.get(job.id).saved_step >= job.step
    assert workspace.jobs.get(other.id).state is State.QUEUED


def test_page_continues_training_of_killed_page(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    job = add_job(workspace, hyperparameters={"steps": 3})
    workspace.jobs.move(job.id, State.RUNNING, "started", sources=(State.QUEUED,))
    with PageSession(None, tmp_path) as session:
        wait_until(lambda: session.read().stored.models)


def test_talk_and_training_use_two_bases(session: PageSession) -> None:
    _start_slow_job(session.workspace, session)
    first = session.use_server("my/first")
    assert session.use_server("my/first") is first
    second = session.use_server("my/second")
    assert (first.is_running, second.is_running) == (False, True)
    session.guess.is_using_server = True
    with pytest.raises(PageError, match="blind test with"):
        session.use_server("my/first")
    assert session.use_server("my/second") is second


def test_full_disk_is_explained(
    messenger: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    _prepare(messenger)

    def create(*_: object) -> NoReturn:
        msg = "any text"
        raise DiskFullError(msg)

    monkeypatch.setattr(session_module, "create_job", create)
    assert messenger.train(None)
    messenger.job_work.join(_SECONDS)
    assert "The disk is full or almost full" in str(messenger.job_work.error)


def test_stores_are_read_only_after_changes(
    session: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = add_job(session.workspace, hyperparameters={"steps": 3})
    wait_until(lambda: session.read().stored.models)
    time.sleep(1)  # The queue's last event.
    session.progress(job)
    reads: list[object] = []
    monkeypatch.setattr(session.workspace.jobs, "events", reads.append)
    monkeypatch.setattr(session.workspace.jobs, "list", reads.append)
    for _ in range(100):
        session.progress(job)
    time.sleep(1)
    assert reads == []


def test_time_left_is_estimated_before_first_steps(
    messenger: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    _prepare(messenger)
    monkeypatch.setattr(
        session_module, "create_job", lambda *_, **__: JobEvent("j", "new")
    )
    assert messenger.train(None)
    messenger.job_work.join(_SECONDS)
    assert messenger.job_work.error is None
    estimate = messenger.estimate_seconds() or 0
    job = add_job(Workspace(messenger.workspace.data_dir.with_name("other")))
    states = [(State.QUEUED, 0, None), (State.RUNNING, 0, None), (State.RUNNING, 1, 4)]
    for (state, step, steps), share in zip(states, (1, 1, 3 / 4), strict=True):
        shown = replace(job, id="j", state=state, step=step, steps=steps)
        assert messenger.seconds_left(shown) == pytest.approx(estimate * share)
