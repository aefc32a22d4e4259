"""The session of the page, without a browser; its jobs count steps."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from langchain_core.language_models import FakeListChatModel

from langchain_chatexports.local_server import (
    Base,
    Queue,
    State,
    Workspace,
)
from langchain_chatexports.local_server.bases import base as base_module
from langchain_chatexports.local_server.testing import EchoServer, train_steps
from langchain_chatexports.page import session as session_module
from langchain_chatexports.page import teaching
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.session import Choice, PageSession
from langchain_chatexports.personas.talk import Talk
from tests.unit_tests.builders.waiting import wait_until
from tests.unit_tests.builders.whatsapp import WhatsAppChat
from tests.unit_tests.builders.workspaces import add_job

_SECONDS = 240


@pytest.fixture(autouse=True)
def _steps(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = partial(Queue, train=train_steps, threads=1)
    monkeypatch.setattr(session_module, "Queue", queue)
    monkeypatch.setattr(session_module, "LocalServer", EchoServer)
    monkeypatch.setattr(teaching, "download_base", lambda *_, **__: None)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[PageSession]:
    with PageSession(None, tmp_path / "data") as session:
        yield session


def _add(session: PageSession, *paths: Path) -> None:
    session.exports.add(paths)
    session.exports.join(_SECONDS)


@pytest.fixture
def calls(session: PageSession, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Add a German chat, and record the downloads and started bases."""
    calls: list[object] = []

    def use_server(base: str | None) -> object:
        calls.append(base)
        return SimpleNamespace(
            base_model="m", base_url="http://127.0.0.1:9", api_key="k"
        )

    def download(base: Base, *_: object, **__: object) -> None:
        calls.append(f"downloaded {base.id}")

    chat = WhatsAppChat.ios()
    for number in range(20):
        chat.says("Jonas", f"Wie geht es dir heute, {number}?")
        chat.says("Mama", f"Mir geht es auch noch nicht gut, {number}.")
    monkeypatch.setattr(teaching, "download_base", download)
    monkeypatch.setattr(base_module, "machine_memory", lambda: 24 * 10**9)
    monkeypatch.setattr(session.talk, "_use_server", use_server)
    _add(session, chat.to_file(session.exports.new_copy("_chat.txt")))
    session.choice = Choice("Mama")
    return calls


def _talk(session: PageSession, **options: bool) -> str:
    """Start a talk with the person, and return its error."""
    assert session.talk_to_person(**options)
    session.talk.reply_work.join(_SECONDS)
    return str(session.talk.reply_work.error)


def test_person_answers_without_training(
    session: PageSession, calls: list[object]
) -> None:
    _talk(session)
    assert session.offer is not None
    base = session.offer.base.id
    assert (calls, session.talk.is_ready) == ([], False)
    assert "No base model on this machine speaks" in _talk(session, downloads=False)
    _talk(session, downloads=True)
    assert calls == [f"downloaded {base}", base]
    assert session.talk.voices[-1].title == "Mama"
    session.clear()
    assert not session.talk.is_ready


def test_person_answers_with_given_base_and_cites_chats(
    session: PageSession, calls: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    session.base = "my/base"
    _talk(session)
    assert calls == ["my/base"]
    talk = session.talk
    model = FakeListChatModel(responses=["Gut."])
    voices = [Talk("base model", model), Talk("Mama", model, talk.settings)]
    monkeypatch.setattr(talk, "_new_voices", lambda: voices)
    talk.voices = voices
    assert talk.send("Wie war es mit 17?")
    talk.reply_work.join(_SECONDS)
    assert talk.reply_work.error is None
    for text in ("Jonas: Wie geht es dir heute, 17?", "Mama: Mir geht es auch noch"):
        assert any(text in cited for cited in talk.lines[0].cited)
    talk.end()
    assert talk.settings.memory is None


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
    with pytest.raises(PageError, match="blind test with"):
        session.use_server("my/first")
    assert session.use_server("my/second") is second


def test_stores_are_read_only_after_changes(
    session: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = add_job(session.workspace, hyperparameters={"steps": 3})
    wait_until(lambda: session.read().stored.models)
    time.sleep(1)  # The queue's last event.
    session.stored.progress(job)
    reads: list[object] = []
    monkeypatch.setattr(session.workspace.jobs, "events", reads.append)
    monkeypatch.setattr(session.workspace.jobs, "list", reads.append)
    for _ in range(100):
        session.stored.progress(job)
    time.sleep(1)
    assert reads == []
