"""The session of the page, without a browser."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

from langchain_chatexports._progress import Watch
from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.local_server.bases import known_bases
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.jobs import JobStore, LocalJob
from langchain_chatexports.local_server.training import speed
from langchain_chatexports.page.session import Choice, PageSession
from langchain_chatexports.personas.talk import Talk
from langchain_chatexports.samples import write_imessage
from langchain_chatexports.workflows.bases import Base
from langchain_chatexports.workflows.chat_filter import ChatFilter
from langchain_chatexports.workflows.training_events import JobEvent
from tests.unit_tests.builders.whatsapp import WhatsAppChat, write_pair_chat

_SECONDS = 240


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageSession]:
    monkeypatch.setattr(speed, "measure_machine", lambda: 0.001)
    with PageSession(None, tmp_path / "data") as session:
        yield session


def _add(session: PageSession, *paths: Path) -> None:
    session.exports.add(paths)
    session.exports.join(_SECONDS)


def _prepare(session: PageSession) -> Any:
    assert session.prepare()
    session.preparing.join(_SECONDS)
    session.measuring.join(_SECONDS)
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


def test_training_stopped_during_start_creates_no_job(
    messenger: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, resume = threading.Event(), threading.Event()

    def start_server(_base: str | None) -> object:
        started.set()
        resume.wait(_SECONDS)
        return object()

    monkeypatch.setattr(messenger, "use_server", start_server)
    _prepare(messenger)
    assert messenger.train(None)
    started.wait(_SECONDS)
    was_preparing = messenger.is_preparing_training
    messenger.stop_preparing()
    assert (was_preparing, messenger.is_preparing_training) == (True, False)
    resume.set()
    messenger.job_work.join(_SECONDS)
    assert messenger.job_work.error is None
    assert messenger.jobs() == []


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

    monkeypatch.setattr(f"{PageSession.__module__}.download_base", download)
    monkeypatch.setattr(messenger, "use_server", calls.append)
    data = _prepare(messenger)
    assert not messenger.choose_base(data).base.is_default
    assert messenger.train("Qwen/Qwen3.5-0.8B")
    messenger.job_work.join(_SECONDS)
    assert calls == [("Qwen/Qwen3.5-0.8B", "Downloading the base model", (7, 2610))]


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
    monkeypatch.setattr(f"{PageSession.__module__}.download_base", download)
    monkeypatch.setattr(known_bases, "machine_memory", lambda: 24 * 10**9)
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


def test_jobs_of_killed_server_are_stopped(
    session: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DataDirectory(session.data_dir)
    data.prepare()
    store = JobStore(data)
    request = {"model": "tiny", "metadata": {}}
    ids = [store.create(request)["id"] for _ in range(2)]
    server: Any = SimpleNamespace(is_running=True, stop=lambda: None)
    session._server = server
    running: list[object] = [server]
    monkeypatch.setattr(
        f"{PageSession.__module__}.find_running_server", lambda _: running[-1]
    )
    assert {job.status for job in session.jobs()} == {"queued"}
    has_lost = [session.has_interrupted_training]
    server.is_running = False
    running.append(None)
    assert {job.status for job in session.jobs()} == {"stopped"}
    assert session.training_status is None
    has_lost.append(session.has_interrupted_training)
    for job_id in ids:
        store.update(job_id, expected=("queued",), status="succeeded")
    has_lost.append(session.has_interrupted_training)
    assert has_lost == [False, True, False]


@pytest.mark.parametrize("dies", ["before the answer", "after it"])
def test_server_killed_right_after_continue_is_noticed(
    session: PageSession, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    data = DataDirectory(session.data_dir)
    data.prepare()
    store = JobStore(data)
    job_id = store.create({"model": "tiny", "metadata": {}})["id"]
    store.update(job_id, expected=("queued",), status="stopped")
    server: Any = SimpleNamespace(is_running=True, stop=lambda: None)
    monkeypatch.setattr(session, "use_server", lambda _: server)
    session._server = server

    def resume(*_: object) -> None:
        store.update(job_id, expected=("stopped",), status="queued")
        server.is_running = False
        if dies == "before the answer":
            msg = "http://127.0.0.1:1/v1 cannot be reached"
            raise FineTuningError(msg)

    monkeypatch.setattr(f"{PageSession.__module__}.resume_job", resume)
    (job,) = session.jobs()
    assert session.resume_job(job)
    session.job_work.join(_SECONDS)
    assert session.job_work.error is None
    assert session.has_interrupted_training


def test_failed_training_request_can_be_repeated(
    messenger: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    _prepare(messenger)
    server = SimpleNamespace(is_running=False)
    monkeypatch.setattr(messenger, "use_server", lambda _: server)
    event = JobEvent("ftjob-1", "new")

    def create(*_: object, **__: object) -> JobEvent:
        if server.is_running:
            return event
        msg = "http://127.0.0.1:1/v1 cannot be reached"
        raise FineTuningError(msg)

    monkeypatch.setattr(f"{PageSession.__module__}.create_job", create)
    assert messenger.train(None)
    messenger.job_work.join(_SECONDS)
    assert "The local server stopped unexpectedly" in str(messenger.job_work.error)
    server.is_running = True
    assert messenger.train(None)
    messenger.job_work.join(_SECONDS)
    assert messenger.job_event == event


def test_time_left_is_estimated_before_first_steps(
    messenger: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    _prepare(messenger)
    monkeypatch.setattr(messenger, "use_server", lambda _: None)
    monkeypatch.setattr(
        f"{PageSession.__module__}.create_job", lambda *_, **__: JobEvent("j", "new")
    )
    assert messenger.train(None)
    messenger.job_work.join(_SECONDS)
    assert messenger.job_work.error is None
    estimate = messenger.estimate_seconds() or 0
    states = [("queued", 0, None), ("running", 0, None), ("running", 1, 4)]
    for (status, step, total), share in zip(states, (1, 1, 3 / 4), strict=True):
        job = LocalJob("j", status, "b", datetime.now(UTC), step, total, 0)
        assert messenger.seconds_left(job) == pytest.approx(estimate * share)
