"""The sheet of a person: what a model learns from, and its training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from nicegui.testing import User

from langchain_chatexports._progress import Watch
from langchain_chatexports.local_server import (
    Base,
    DiskFullError,
    Model,
    NoConnectionError,
    State,
)
from langchain_chatexports.page import lessons
from langchain_chatexports.page.errors import translate_job_error
from langchain_chatexports.page.lessons import Lesson
from langchain_chatexports.page.people import person_key
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.teach import polyline_points
from langchain_chatexports.workflows.prepare import prepare
from tests.unit_tests.builders.waiting import wait_until
from tests.unit_tests.builders.whatsapp import write_pair_chat
from tests.unit_tests.builders.workspaces import add_job

_SECONDS = 240
_PERSON = "langchain_chatexports_person"
_HARRY = "Harry Potter"
_KEY = person_key(_HARRY)


@pytest.fixture
def messenger(session: PageSession) -> PageSession:
    """A session with the Messenger sample."""
    session.add_sample()
    session.exports.join(_SECONDS)
    return session


def _read(session: PageSession, name: str = _HARRY) -> Lesson:
    assert session.teacher.prepare(person_key(name), name)
    session.teacher.preparing.join(_SECONDS)
    return session.teacher.lessons[person_key(name)]


def test_lesson_is_what_a_person_wrote(messenger: PageSession) -> None:
    lesson = _read(messenger)
    assert lesson.data is not None
    assert lesson.data.person == _HARRY
    assert lesson.messages > 300
    assert (lesson.language, lesson.failure) == ("English", None)
    assert lesson.seconds is None  # Nothing was measured on this machine.
    # The sample repeats itself, but something is held out to play with.
    assert len(lesson.data.validation) >= 5


@pytest.mark.filterwarnings("ignore::UserWarning")  # A chat has no time zone.
def test_days_are_those_of_the_exports_with_the_person(
    messenger: PageSession, tmp_path: Path
) -> None:
    messenger.exports.add([write_pair_chat(tmp_path / "_chat.txt", "Mum", "Jo")])
    messenger.exports.join(_SECONDS)
    lesson = _read(messenger)
    assert lesson.first is not None
    assert lesson.last is not None
    assert (lesson.first.year, lesson.last.year) == (2023, 2023)


def test_missing_messages_are_said(messenger: PageSession) -> None:
    failure = _read(messenger, "Nobody").failure
    assert failure is not None
    assert "no messages of this person" in str(failure.message)


def test_lesson_of_removed_chats_is_forgotten(messenger: PageSession) -> None:
    assert messenger.teacher.prepare(_KEY, _HARRY)
    messenger.exports.clear()
    messenger.teacher.preparing.join(_SECONDS)
    assert messenger.teacher.lessons == {}


def test_unexpected_error_is_said_once(
    messenger: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise RuntimeError

    monkeypatch.setattr(lessons, "prepare", fail)
    # A lesson that was not read is read again and again.
    assert _read(messenger).failure is not None


@pytest.mark.filterwarnings("ignore::UserWarning")  # A chat has no time zone.
def test_chat_from_two_phones_is_learned_once(
    session: PageSession, tmp_path: Path
) -> None:
    mine = write_pair_chat(tmp_path / "WhatsApp Chat with Mum.txt", "Mum", "Jo")
    hers = write_pair_chat(tmp_path / "WhatsApp Chat with Jo.txt", "Petra", "Jo")
    counts = []
    for path in (mine, hers):
        session.exports.add([path])
        session.exports.join(_SECONDS)
        options = session.exports.prepare_options("Jo")
        counts.append(len(prepare(session.exports.paths(), options).examples))
    assert counts[0] == counts[1] > 0


def _train(session: PageSession, base: str | None = None) -> None:
    assert session.teacher.train(_read(session), base)
    session.teacher.training.join(_SECONDS)


def test_base_is_downloaded_before_training(
    messenger: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    work = messenger.teacher.training

    def download(base: Base, watch: Watch, check: Callable[[], None]) -> None:
        with watch("MB", lambda: 500, 2000):
            state = work.freeze()
            calls.append((base.id, str(state.title), state.fraction))
        check()
        messenger.teacher.stop_preparing()
        check()

    monkeypatch.setattr(lessons, "download_base", download)
    _train(messenger, "Qwen/Qwen3.5-0.8B")
    title = "Downloading the language model, once"
    assert calls == [("Qwen/Qwen3.5-0.8B", title, 0.25)]
    assert work.error is None
    assert messenger.workspace.jobs.list() == ()


def test_training_makes_one_model(messenger: PageSession) -> None:
    _train(messenger)
    assert messenger.teacher.training.error is None
    (model,) = wait_until(lambda: messenger.read().stored.models)
    assert model.person == _HARRY
    _train(messenger)
    assert "already learned exactly this" in str(messenger.teacher.training.error)
    assert len(messenger.workspace.jobs.list()) == 1


def test_full_disk_is_said(
    messenger: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(*_: object) -> NoReturn:
        msg = "any text"
        raise DiskFullError(msg)

    monkeypatch.setattr(lessons, "create_job", create)
    _train(messenger)
    error = messenger.teacher.training.error
    assert "The disk is full or almost full" in str(error)


def _slow_job(session: PageSession) -> Any:
    """Order a training that takes minutes on this page."""
    hyperparameters = {"steps": 500, "step_seconds": 0.05}
    metadata = {_PERSON: _HARRY}
    job = add_job(session.workspace, hyperparameters=hyperparameters, metadata=metadata)
    session.workspace.jobs.pause(job.id)
    assert session.teacher.resume(_KEY, job)
    session.teacher.training.join(_SECONDS)
    return wait_until(lambda: [j for j in session.read().stored.jobs if j.step])[0]


def test_paused_training_continues_from_its_save(session: PageSession) -> None:
    job = _slow_job(session)
    assert session.teacher.pause(_KEY, job)
    session.teacher.training.join(_SECONDS)
    (paused,) = session.read().stored.jobs
    assert paused.state is State.PAUSED
    assert paused.saved_step >= job.step
    assert session.teacher.resume(_KEY, paused)
    session.teacher.training.join(_SECONDS)
    wait_until(lambda: session.read().stored.jobs[0].step > paused.saved_step)
    (training,) = session.read().trainings
    steps = [step for step, _loss in training.losses]
    assert steps == sorted({*steps})


def test_closing_the_page_pauses_its_training(session: PageSession) -> None:
    workspace = session.workspace
    job = _slow_job(session)
    other = add_job(workspace, mark="of another program")
    session.__exit__()
    assert workspace.jobs.get(job.id).state is State.PAUSED
    assert workspace.jobs.get(other.id).state is State.QUEUED


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("disk_full", "The disk is full or almost full."),
        ("out_of_memory", "may have too little free memory"),
        ("trainer_ended", "may have too little free memory"),
    ],
)
def test_failure_is_recognized_by_its_code(code: str, sentence: str) -> None:
    failure = translate_job_error({"code": code, "message": "the reason"})
    assert sentence in str(failure.message)
    assert failure.details == "the reason"


def test_curve_fills_the_square() -> None:
    points = [(1, 4.0), (2, 3.0), (4, 2.0)]
    assert polyline_points(points) == "25.00,2.00 50.00,50.00 100.00,98.00"
    assert polyline_points([(1, 4.0)]) == "100.00,98.00"


@pytest.mark.asyncio
async def test_one_button_teaches(user: User, messenger: PageSession) -> None:
    await user.open(f"/teach/{_KEY}")
    await user.should_see("messages that Harry Potter wrote: Sep", retries=100)
    await user.should_see("How long it takes is known when it has begun.")
    await user.should_see("tone of Harry Potter, not sense")
    user.find(marker="teach").click()
    await user.should_see("Harry Potter has learned", retries=100)
    (model,) = messenger.workspace.models.list()
    await user.should_see("Talk with Harry Potter")
    assert model.person == _HARRY


@pytest.mark.asyncio
async def test_download_without_a_network_is_tried_again(
    user: User, messenger: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def download(base: Base, *_: object, **__: object) -> NoReturn:
        tries.append(base.id)
        msg = "the hub cannot be reached"
        raise NoConnectionError(msg)

    monkeypatch.setattr(lessons, "download_base", download)
    await user.open(f"/teach/{_KEY}")
    while len(tries) < 2:
        await user.should_see(marker="teach", retries=100)
        user.find(marker="teach").click()
        await user.should_see("no connection to huggingface.co", retries=50)
        await user.should_see("and try again")
    assert messenger.workspace.jobs.list() == ()


@pytest.mark.asyncio
async def test_own_file_is_refused_with_a_reason(
    user: User, messenger: PageSession
) -> None:
    assert messenger.exports.paths()
    await user.open(f"/teach/{_KEY}")
    await user.should_see("and teach it", retries=100)
    user.find(marker="base-file").trigger("submit", "/nowhere/model.gguf")
    await user.should_see("There is no such model", retries=10)
    # The one that was chosen before can still be used.
    await user.should_see("and teach it")


@pytest.mark.asyncio
async def test_training_is_paused_and_continued(
    user: User, session: PageSession
) -> None:
    _slow_job(session)
    await user.open(f"/teach/{_KEY}")
    await user.should_see("learning", retries=50)
    await user.should_see("step ")
    await user.should_see("What it would answer now", retries=50)
    user.find(marker="pause").click()
    await user.should_see("Paused. It goes on where it stopped.", retries=100)
    await user.should_see(marker="resume", retries=50)
    user.find(marker="resume").click()
    await user.should_see("learning", retries=50)


@pytest.mark.asyncio
async def test_queued_training_says_for_whom_it_waits(
    user: User, session: PageSession
) -> None:
    _slow_job(session)
    add_job(session.workspace, mark="b", metadata={_PERSON: "Tim"})
    await user.open(f"/teach/{person_key('Tim')}")
    await user.should_see("waits for Harry Potter", retries=50)


@pytest.mark.asyncio
async def test_without_chats_they_are_asked_for(rosa: Model, user: User) -> None:
    assert rosa.person == "Rosa"
    await user.open(f"/teach/{person_key('Rosa')}")
    await user.should_see("Rosa has learned")
    await user.should_see("The chats are not here")
    await user.should_not_see(marker="teach")
    await user.should_not_see("Another model")
