"""The sheet of a person: what a model learns from, and its training."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

import pytest
from nicegui.testing import User

from langchain_chatexports._progress import Watch
from langchain_chatexports.local_server import Base, DiskFullError, Model, State
from langchain_chatexports.page import lessons
from langchain_chatexports.page.errors import translate_job_error
from langchain_chatexports.page.lessons import Lesson, LessonOptions
from langchain_chatexports.page.people import person_key
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.training_card import polyline_points
from langchain_chatexports.workflows.chat_filter import ChatFilter
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


def _read(
    session: PageSession, name: str = _HARRY, options: LessonOptions | None = None
) -> Lesson:
    if options is not None:
        session.teacher.choose(person_key(name), options)
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


def test_names_can_be_replaced(messenger: PageSession) -> None:
    lesson = _read(messenger, options=LessonOptions(redact=True))
    assert lesson.data is not None
    assert "Harry" not in f"{lesson.data.examples} {lesson.data.person}"
    # Another choice does not change the stand-in.
    chats = ChatFilter(without_groups=True)
    again = _read(messenger, options=LessonOptions(chats, redact=True))
    assert again.data is not None
    assert again.data.person == lesson.data.person
    # Names stay replaced when another export is added.
    messenger.teacher.forget_lessons()
    assert _read(messenger).options.redact


def test_what_is_chosen_while_chats_are_read_holds(messenger: PageSession) -> None:
    teacher, key = messenger.teacher, person_key(_HARRY)
    assert teacher.prepare(key, _HARRY)
    # In another tab: what is read now does not count.
    teacher.choose(key, LessonOptions(redact=True))
    teacher.preparing.join(_SECONDS)
    assert key not in teacher.lessons
    assert _read(messenger).options.redact


@pytest.mark.parametrize(
    ("name", "chats", "reason"),
    [
        (_HARRY, ChatFilter(end=date(1990, 1, 1)), "nothing to learn from"),
        ("Nobody", ChatFilter(), "no messages of this person"),
    ],
)
def test_missing_messages_are_said(
    messenger: PageSession, name: str, chats: ChatFilter, reason: str
) -> None:
    failure = _read(messenger, name, LessonOptions(chats)).failure
    assert failure is not None
    assert reason in str(failure.message)


def test_unexpected_error_is_said_once(
    messenger: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise RuntimeError

    monkeypatch.setattr(lessons, "prepare", fail)
    # A lesson that was not read is read again and again.
    assert _read(messenger).failure is not None


def test_chat_from_two_phones_is_learned_once(
    session: PageSession, tmp_path: Path
) -> None:
    mine = write_pair_chat(tmp_path / "WhatsApp Chat with Mum.txt", "Mum", "Jo")
    hers = write_pair_chat(tmp_path / "WhatsApp Chat with Jo.txt", "Petra", "Jo")
    counts = []
    for added, people in (([mine], ()), ([hers], ()), ([], ("Mum",))):
        session.exports.add(added)
        session.exports.join(_SECONDS)
        options = session.teacher.prepare_options("Jo", ChatFilter(include=people))
        counts.append(len(prepare(session.exports.paths(), options).examples))
    assert counts[0] > 0
    assert len({*counts}) == 1


def _train(session: PageSession, base: str | None = None) -> None:
    assert session.teacher.train(_read(session), base)
    session.teacher.training.join(_SECONDS)


def test_base_is_downloaded_before_training(
    messenger: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    work = messenger.teacher.training

    def download(base: Base, watch: Watch, check: Callable[[], None]) -> None:
        with watch("MB", lambda: 7, 2610):
            state = work.freeze()
            calls.append((base.id, str(state.title), state.done, state.total))
        check()
        messenger.teacher.stop_preparing()
        check()

    monkeypatch.setattr(lessons, "download_base", download)
    _train(messenger, "Qwen/Qwen3.5-0.8B")
    title = "Downloading the language model, once"
    assert calls == [("Qwen/Qwen3.5-0.8B", title, 7, 2610)]
    assert work.error is None
    assert messenger.workspace.jobs.list() == ()


def test_training_makes_one_model(messenger: PageSession) -> None:
    _train(messenger)
    assert messenger.teacher.training.error is None
    (model,) = wait_until(lambda: messenger.read().stored.models)
    assert (model.person, messenger.teacher.learned_key) == (_HARRY, "")
    _train(messenger)
    assert messenger.teacher.learned_key == person_key(_HARRY)
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
    steps = [event.step for event in session.stored.progress(job).steps]
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
        ("out_of_memory", "possibly because memory ran out"),
        ("trainer_ended", "possibly because memory ran out"),
    ],
)
def test_failure_is_recognized_by_its_code(code: str, sentence: str) -> None:
    failure = translate_job_error({"code": code, "message": "the reason"})
    assert sentence in str(failure.message)
    assert failure.details == "the reason"


def test_curve_fills_the_square() -> None:
    points = [(1, 4.0), (2, 3.0), (4, 2.0)]
    curve = polyline_points(points, 4, [4.0, 3.0, 2.0])
    assert curve == "25.00,2.00 50.00,50.00 100.00,98.00"
    assert polyline_points([(1, 4.0)], 1, [4.0]) == "100.00,98.00"


@pytest.mark.asyncio
async def test_one_button_teaches(user: User, messenger: PageSession) -> None:
    await user.open(f"/teach/{_KEY}")
    await user.should_see("messages that Harry Potter wrote: Sep", retries=100)
    await user.should_see("How long it takes is known when it has begun.")
    user.find(marker="teach").click()
    await user.should_see("Harry Potter has learned", retries=100)
    (model,) = messenger.workspace.models.list()
    await user.should_see("Talk with Harry Potter")
    assert model.person == _HARRY


@pytest.mark.asyncio
async def test_own_file_is_refused_with_a_reason(
    user: User, messenger: PageSession
) -> None:
    assert messenger.exports.contents is not None
    await user.open(f"/teach/{_KEY}")
    await user.should_see("and teach it", retries=100)
    user.find(marker="base-file").trigger("submit", "/nowhere/model.gguf")
    await user.should_see("There is no such model", retries=10)
    await user.should_not_see("and teach it")


@pytest.mark.asyncio
async def test_training_is_paused_and_continued(
    user: User, session: PageSession
) -> None:
    _slow_job(session)
    await user.open(f"/teach/{_KEY}")
    await user.should_see("Learning", retries=50)
    await user.should_see("step ")
    await user.should_see("What it would answer now", retries=50)
    user.find(marker="pause").click()
    await user.should_see("Paused. It goes on where it stopped.", retries=100)
    await user.should_see(marker="resume", retries=50)
    user.find(marker="resume").click()
    await user.should_see("Learning", retries=50)


@pytest.mark.asyncio
async def test_queued_training_says_whose_time_it_is(
    user: User, session: PageSession
) -> None:
    _slow_job(session)
    add_job(session.workspace, mark="b", metadata={_PERSON: "Tim"})
    await user.open(f"/teach/{person_key('Tim')}")
    await user.should_see("Waits until Harry Potter has learned", retries=50)


@pytest.mark.asyncio
async def test_without_chats_they_are_asked_for(rosa: Model, user: User) -> None:
    assert rosa.person == "Rosa"
    await user.open(f"/teach/{person_key('Rosa')}")
    await user.should_see("Rosa has learned")
    await user.should_see("The chats are not here")
    await user.should_not_see(marker="teach")
    await user.should_not_see("Another model")
