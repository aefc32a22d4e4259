"""The session of the page, without a browser; its jobs count steps."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from langchain_chatexports.local_server import (
    Queue,
    State,
    Workspace,
)
from langchain_chatexports.local_server.testing import EchoServer, train_steps
from langchain_chatexports.page import lessons
from langchain_chatexports.page import session as session_module
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.session import PageSession
from tests.unit_tests.builders.waiting import wait_until
from tests.unit_tests.builders.workspaces import add_job

_SECONDS = 240


@pytest.fixture(autouse=True)
def _steps(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = partial(Queue, train=train_steps, threads=1)
    monkeypatch.setattr(session_module, "Queue", queue)
    monkeypatch.setattr(session_module, "LocalServer", EchoServer)
    monkeypatch.setattr(lessons, "download_base", lambda *_, **__: None)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[PageSession]:
    with PageSession(None, tmp_path / "data") as session:
        yield session


def test_page_continues_training_of_killed_page(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    job = add_job(workspace, hyperparameters={"steps": 3})
    workspace.jobs.move(job.id, State.RUNNING, "started", sources=(State.QUEUED,))
    with PageSession(None, tmp_path) as session:
        wait_until(lambda: session.read().stored.models)


def test_one_base_answers_at_a_time(session: PageSession) -> None:
    first = session.use_server("my/first")
    assert session.use_server("my/first") is first
    second = session.use_server("my/second")
    assert (first.is_running, second.is_running) == (False, True)
    session.game.is_using_server = True
    with pytest.raises(PageError, match="Another model is being guessed at"):
        session.use_server("my/first")
    assert session.use_server("my/second") is second


def test_stores_are_read_only_after_changes(
    session: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_job(session.workspace, hyperparameters={"steps": 3})
    wait_until(lambda: session.read().stored.models)
    time.sleep(1)  # The queue's last event.
    session.read()
    reads: list[object] = []
    monkeypatch.setattr(session.workspace.jobs, "events", reads.append)
    monkeypatch.setattr(session.workspace.jobs, "list", reads.append)
    for _ in range(100):
        session.read()
    time.sleep(1)
    assert reads == []
