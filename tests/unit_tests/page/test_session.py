"""What the page reads and makes, without a browser."""

import threading
from collections.abc import Callable, Iterator
from datetime import date, datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

from langchain_chatexports._progress import Watch
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.local_server.bases import known_bases
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.jobs import JobStore, KeptJob
from langchain_chatexports.local_server.training import speed
from langchain_chatexports.page.session import Choice, PageSession
from langchain_chatexports.personas.talk import Voice
from langchain_chatexports.samples import write_imessage, write_messenger
from langchain_chatexports.workflows.bases import Base
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


def test_examples_are_those_of_finetune(session: PageSession, tmp_path: Path) -> None:
    _add(session, write_messenger(tmp_path / "hogwarts"))
    data = _prepare(session)
    assert data.person == "Harry Potter"
    assert str(session.data).startswith("87 examples")
    assert data.is_enough
    assert (session.estimate_seconds() or 0) > 0


def test_examples_can_be_redacted(session: PageSession, tmp_path: Path) -> None:
    _add(session, write_messenger(tmp_path / "hogwarts"))
    session.choice = Choice("", redact=True)
    data = _prepare(session)
    assert "Harry" not in str(data.examples)
    person = data.person
    assert "Harry" not in str(person)
    # The same stand-in, whatever else is chosen.
    session.choice = Choice(
        "Harry Potter", ChatChoice(without_groups=True), redact=True
    )
    data = _prepare(session)
    assert data.person == person


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice("", ChatChoice(end=date(1990, 1, 1))), "nothing to learn"),
        (Choice("Nobody"), "wrote nothing in the chats"),
    ],
)
def test_what_makes_no_examples_is_said_in_the_pages_words(
    session: PageSession, tmp_path: Path, choice: Choice, said: str
) -> None:
    _add(session, write_messenger(tmp_path / "hogwarts"))
    session.choice = choice
    _prepare(session)
    assert said in str(session.preparing.error)
    assert "--" not in str(session.preparing.error)
    assert session.data is None


def test_of_a_chat_that_two_phones_exported_one_is_learned(
    session: PageSession, tmp_path: Path
) -> None:
    mine = write_pair_chat(tmp_path / "WhatsApp Chat with Mum.txt", "Mum", "Jo")
    hers = write_pair_chat(tmp_path / "WhatsApp Chat with Jo.txt", "Petra", "Jo")
    made = []
    for added, people in (([mine], ()), ([hers], ()), ([], ("Mum",))):
        for path in added:
            _add(session, path)
        session.choice = Choice("Jo", chats=ChatChoice(include=people))
        _prepare(session)
        assert session.data is not None
        made.append(len(session.data.examples))
    assert made[0] > 0
    assert len({*made}) == 1


def test_examples_of_another_choice_are_not_shown_or_trained_on(
    session: PageSession, tmp_path: Path
) -> None:
    _add(session, write_messenger(tmp_path / "hogwarts"))
    _prepare(session)
    made, chosen = session.data, session.choice
    other = Choice("Draco Malfoy")
    seen = []
    for choice in (chosen, other, chosen, other):
        session.choice = choice
        seen.append(session.data is made)
    assert seen == [True, False] * 2
    assert not session.train(None)
    data = _prepare(session)
    assert data.person == "Draco Malfoy"


def test_a_choice_is_kept_while_exports_are_added_and_removed(
    session: PageSession, tmp_path: Path
) -> None:
    _add(session, write_messenger(tmp_path / "hogwarts"))
    assert session.choice == Choice("")
    _add(session, write_imessage(tmp_path / "chat.db"))
    assert session.choice == Choice("Harry Potter")
    chats = ChatChoice(include=("Hare", "Draco Malfoy"), without_groups=True)
    session.choice = Choice("Hare", chats)
    assert session.read is not None
    session.exports.remove(session.exports.cards[1])
    chats = ChatChoice(include=("Draco Malfoy",), without_groups=True)
    assert session.choice == Choice("", chats)


def test_a_training_that_is_stopped_while_the_server_starts_is_not_ordered(
    session: PageSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_begun, go_on = threading.Event(), threading.Event()

    def start_server(_base: str | None) -> object:
        is_begun.set()
        go_on.wait(_SECONDS)
        return object()

    monkeypatch.setattr(session, "use_server", start_server)
    _add(session, write_messenger(tmp_path / "hogwarts"))
    _prepare(session)
    assert session.train(None)
    is_begun.wait(_SECONDS)
    was_preparing = session.is_preparing_training
    session.stop_preparing()
    assert (was_preparing, session.is_preparing_training) == (True, False)
    go_on.set()
    session.job_work.join(_SECONDS)
    assert session.job_work.error is None
    assert session.jobs() == []


def test_a_base_is_downloaded_with_progress_before_a_training(
    session: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "langchain_chatexports.page.session"
    seen: list[object] = []

    def download(base: Base, watch: Watch, check: Callable[[], None]) -> None:
        with watch("MB", lambda: 7, 2610):
            seen.append(
                (base.id, str(session.job_work.title), session.job_work.progress)
            )
        check()
        session.stop_preparing()
        check()

    monkeypatch.setattr(f"{module}.download_base", download)
    monkeypatch.setattr(session, "use_server", seen.append)
    session.add_sample()
    session.exports.join(_SECONDS)
    data = _prepare(session)
    choice = session.choose_base(data)
    assert not choice.base.is_default
    assert session.train("Qwen/Qwen3.5-0.8B")
    session.job_work.join(_SECONDS)
    assert seen == [("Qwen/Qwen3.5-0.8B", "Downloading the base model", (7, 2610))]


@pytest.fixture
def speaking(session: PageSession, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What happens to a session with a German chat, whose server stands in."""
    seen: list[object] = []

    def use_server(base: str | None) -> object:
        seen.append(base)
        return SimpleNamespace(
            base_model="m", base_url="http://127.0.0.1:9", api_key="k"
        )

    def download(base: Base, *_: object, **__: object) -> None:
        seen.append(f"downloaded {base.id}")

    chat = WhatsAppChat.ios()
    for number in range(20):
        chat.says("Jonas", f"Wie geht es dir heute, {number}?")
        chat.says("Mama", f"Mir geht es auch noch nicht gut, {number}.")
    monkeypatch.setattr("langchain_chatexports.page.session.download_base", download)
    monkeypatch.setattr(known_bases, "machine_memory", lambda: 24 * 10**9)
    monkeypatch.setattr(session.talk, "_use_server", use_server)
    _add(session, chat.to_file(session.exports.new_copy("_chat.txt")))
    session.choice = Choice("Mama")
    return seen


def test_a_person_answers_as_soon_as_an_export_is_read(
    session: PageSession, speaking: list[object]
) -> None:
    assert session.talk_to_person()
    session.talk.answering.join(_SECONDS)
    assert session.offer is not None
    wanted = session.offer.base.id
    assert (speaking, session.talk.is_ready) == ([], False)
    assert session.talk_to_person(downloads=False)
    session.talk.answering.join(_SECONDS)
    assert "No base model on this machine speaks" in str(session.talk.answering.error)
    assert session.talk_to_person(downloads=True)
    session.talk.answering.join(_SECONDS)
    assert speaking == [f"downloaded {wanted}", wanted]
    assert session.talk.is_ready
    assert session.talk.voices[-1].title == "Mama"
    session.clear()
    assert not session.talk.is_ready


def test_a_person_answers_with_the_base_of_the_command_and_cites_chats(
    session: PageSession, speaking: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    session.base = "my/base"
    assert session.talk_to_person()
    talk = session.talk
    talk.answering.join(_SECONDS)
    assert speaking == ["my/base"]
    model = FakeListChatModel(responses=["Gut."])
    voice = Voice("Mama", model, talk.settings)
    voices = [Voice("base model", model), voice]
    monkeypatch.setattr(talk, "_new_voices", lambda: voices)
    talk.voices = voices
    assert talk.say("Wie war es mit 17?")
    talk.answering.join(_SECONDS)
    assert talk.answering.error is None
    for said in ("Jonas: Wie geht es dir heute, 17?", "Mama: Mir geht es auch noch"):
        assert any(said in cited for cited in talk.lines[0].cited)
    talk.leave()
    assert talk.settings.memory is None


def _jobs(session: PageSession, count: int) -> tuple[JobStore, list[str]]:
    data = DataDirectory(session.data_dir)
    data.prepare()
    store = JobStore(data)
    order = {"model": "tiny", "metadata": {}}
    ids = [store.create(order, private={}, events=[])["id"] for _ in range(count)]
    return store, ids


def test_trainings_of_a_killed_server_can_go_on_and_nothing_else_is_said_of_others(
    session: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, ids = _jobs(session, 2)
    server = SimpleNamespace(is_running=True, stop=lambda: None)
    session._server = server  # type: ignore[assignment] # what is asked of it
    running: list[object] = [server]
    monkeypatch.setattr(
        f"{PageSession.__module__}.find_running_server", lambda _: running[-1]
    )
    assert {job.status for job in session.jobs()} == {"queued"}
    lost = [session.has_lost_training]
    server.is_running = False
    running.append(None)
    assert {job.status for job in session.jobs()} == {"stopped"}
    assert session.training is None
    lost.append(session.has_lost_training)
    for job_id in ids:
        store.update(job_id, only_from=("queued",), status="succeeded")
    lost.append(session.has_lost_training)
    assert lost == [False, True, False]


def test_a_training_that_never_became_a_job_can_be_tried_again(
    session: PageSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _add(session, write_messenger(tmp_path / "hogwarts"))
    _prepare(session)
    server = SimpleNamespace(is_running=False)
    monkeypatch.setattr(session, "use_server", lambda _: server)
    event = JobEvent("ftjob-1", "new")

    def create(*_: object, **__: object) -> JobEvent:
        if server.is_running:
            return event
        msg = "http://127.0.0.1:1/v1 cannot be reached"
        raise FineTuningError(msg)

    monkeypatch.setattr(f"{PageSession.__module__}.create_job", create)
    assert session.train(None)
    session.job_work.join(_SECONDS)
    assert "The local server ended unexpectedly" in str(session.job_work.error)
    server.is_running = True
    assert session.train(None)
    session.job_work.join(_SECONDS)
    assert session.found == event


def test_until_the_steps_show_a_pace_the_time_left_is_that_of_choose(
    session: PageSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _add(session, write_messenger(tmp_path / "hogwarts"))
    _prepare(session)
    monkeypatch.setattr(session, "use_server", lambda _: None)
    monkeypatch.setattr(
        f"{PageSession.__module__}.create_job", lambda *_, **__: JobEvent("j", "new")
    )
    assert session.train(None)
    session.job_work.join(_SECONDS)
    assert session.job_work.error is None
    chosen = session.estimate_seconds()
    assert chosen is not None
    lefts = []
    for status, step, total in (
        ("queued", 0, None),
        ("running", 0, None),
        ("running", 1, 4),
    ):
        job = KeptJob("j", status, "b", datetime.now(timezone.utc), step, total, 0)
        lefts.append(session.seconds_left(job))
    assert lefts == [chosen, chosen, chosen * 3 / 4]
