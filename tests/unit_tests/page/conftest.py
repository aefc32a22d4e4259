"""The page without a browser: `User`, an engine that echoes and a trainer of steps."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
from nicegui import app, background_tasks
from nicegui.testing import User, user_simulation

from langchain_chatexports.local_server import Model, Queue, Workspace
from langchain_chatexports.local_server.bases import base as base_module
from langchain_chatexports.local_server.testing import (
    EchoEngine,
    EchoServer,
    train_steps,
)
from langchain_chatexports.page import lessons
from langchain_chatexports.page import session as session_module
from langchain_chatexports.page.screens import add_screens
from langchain_chatexports.page.session import PageSession
from tests.unit_tests.builders.whatsapp import WhatsAppChat
from tests.unit_tests.builders.workspaces import add_model

BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"


class SlowServer(EchoServer):
    """A server whose models wait before each word."""

    seconds_per_word = 0.0

    def _open_engine(self) -> EchoEngine:
        return EchoEngine(seconds_per_word=self.seconds_per_word)


@pytest.fixture
def rosa(tmp_path: Path) -> Model:
    """A model, made before the session runs jobs: request it first."""
    workspace = Workspace(tmp_path / "data")
    metadata = {"langchain_chatexports_person": "Rosa"}
    model = add_model(workspace, base=BASE, base_model=BASE, metadata=metadata)
    # Without examples, the length of replies has no limit.
    workspace.file_path(workspace.jobs.get(model.job_id).training_file).unlink()
    return model


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageSession]:
    """A session whose models echo, and whose trainings count steps."""
    queue = partial(Queue, train=train_steps, threads=1)
    monkeypatch.setattr(session_module, "Queue", queue)
    monkeypatch.setattr(session_module, "LocalServer", SlowServer)
    monkeypatch.setattr(lessons, "download_base", lambda *_, **__: None)
    with PageSession(None, tmp_path / "data", tmp_path / "indexes") as session:
        yield session


@pytest.fixture
def german(
    session: PageSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> PageSession:
    """A session with a German chat, on a machine without a model."""
    chat = WhatsAppChat.ios()
    for number in range(20):
        chat.says("Jonas", f"Wie geht es dir heute, {number}?")
        chat.says("Mama", f"Mir geht es auch noch nicht gut, {number}.")
    monkeypatch.setattr(base_module, "machine_memory", lambda: 24 * 10**9)
    session.exports.add([chat.to_file(tmp_path / "_chat.txt")])
    session.exports.join(60)
    return session


@pytest.fixture
async def user(
    session: PageSession, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[User]:
    """A user of the page; a logged error fails the test."""
    async with user_simulation() as user:
        add_screens(app, session)
        background_tasks.create(session.poller.run(0.05))
        yield user
    # NiceGUI only logs what a subscriber raises.
    errors = [r for r in caplog.get_records("call") if r.levelname == "ERROR"]
    assert not errors
