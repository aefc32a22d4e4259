"""The sheet of a person: what a model learns from, one button, and how it goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from nicegui import ui

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import (
    Base,
    Model,
    State,
    find_base,
    fitting_bases,
)
from langchain_chatexports.page.elements import (
    Element,
    FailureBox,
    KeyedList,
    Show,
    WorkBar,
    add,
    button,
    fold,
    line_form,
    link,
)
from langchain_chatexports.page.errors import Failure, translate_job_error
from langchain_chatexports.page.frame import ADD, TALK, TEACH, screen
from langchain_chatexports.page.languages import (
    _,
    current_language,
    format_days,
    format_duration,
    format_size,
    format_time,
    join_parts,
    lazy_gettext,
    ngettext,
    time_left,
)
from langchain_chatexports.page.lessons import Lesson
from langchain_chatexports.page.people import (
    Person,
    find_person,
    job_person,
    person_key,
    state_text,
)
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.settings import Deletion
from langchain_chatexports.page.snapshot import Snapshot
from langchain_chatexports.page.stored import Training
from langchain_chatexports.page.work import IDLE

_NO_MODEL = lazy_gettext("There is no such model, or it cannot be used here.")
_MAY_NOTIFY = "() => window.Notification?.requestPermission()"
_CHOSEN = "(event) => emit(event.target.value)"


def build_teach(session: PageSession, person: Person) -> None:
    title = _("Teach a model to write like {name}", name=person.name)
    with (
        screen(session, f"{TEACH}/{person.key}", title),
        add("div", classes="body"),
    ):
        learned = KeyedList(partial(_build_learned, person), tag="div")
        learned.classes("learned")
        deletion = Deletion(session)
        build = partial(_build_training, session, deletion)
        training = KeyedList(build, lambda shown: shown.training.job.id, "div")
        bar = WorkBar()
        stop = button(_("Stop"), session.teacher.stop_preparing, "quiet")
        lesson = _LessonPart(session)

    def show(snapshot: Snapshot) -> None:
        now = find_person(snapshot, person.key) or Person(person.key, person.name)
        is_own = snapshot.training_key == person.key
        work = snapshot.training if is_own else IDLE
        learned.show([now.model] if now.model else [])
        training.show(_progress(now, snapshot, is_busy=work.is_running))
        bar.show(work)
        # What is paused or continued has a button of its own.
        stop.set_visibility(work.is_running and now.training is None)
        lesson.show(now, snapshot, is_busy=work.is_running or now.training is not None)

    session.published.watch(lambda s: s, show)


def _build_learned(person: Person, row: Element, model: Model) -> None:
    row.classes("card")
    time = format_time(model.created_at)
    text = _("{name} has learned, {time}.", name=model.title, time=time)
    add("p", text, dir="auto")
    with add("div", classes="buttons"):
        talk = _("Talk with {name}", name=person.name)
        link(talk, f"{TALK}/{person.key}", "primary")


# Before: what it learns from


class _LessonPart:
    """What a model of the person would learn from, and the button."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._lesson: Lesson | None = None
        self._base: Base | None = None
        """The base that was chosen in this tab, or is proposed."""

        with add("section", classes="body-part") as self._part:
            with add("div", classes="body-part") as self._missing:
                add("p", _("The chats are not here: add them again, to teach it."))
                link(_("Add chats"), ADD, "primary")
            self._reading = WorkBar()
            self._sentence, self._base_text = add("p", dir="auto"), add("p")
            self._advice = add("p", classes="quiet", dir="auto")
            self._failure = FailureBox()
            with add("div", classes="buttons"):
                self._teach = button("", self._start, "primary").mark("teach")
                self._teach.on("click", js_handler=_MAY_NOTIFY)
            with add("div", classes="body-part") as self._folds:
                with fold(_("Another model")):
                    self._show_bases = _build_bases(self._choose)
                    self._not_found = FailureBox()
                with fold(_("What it learns from")):
                    self._example = KeyedList(_build_quote, tag="div").classes("turns")
        self._show_lesson()

    def show(self, now: Person, snapshot: Snapshot, *, is_busy: bool) -> None:
        """Show the lesson, and begin to read it if that was not done."""
        lesson = next((one for one in snapshot.lessons if one.key == now.key), None)
        can_learn = now.messages > 0
        is_read = lesson is not None or not can_learn
        if not (is_read or is_busy):
            self._session.teacher.prepare(now.key, now.name)
        self._part.set_visibility(not is_busy)
        self._missing.set_visibility(not can_learn)
        self._reading.show(IDLE if is_read else snapshot.preparing)
        if lesson is not self._lesson:
            self._lesson = lesson
            proposal = lesson.proposal if lesson else None
            chosen = self._session.base or (proposal.base.id if proposal else None)
            failure = lesson.failure if lesson else None
            if self._base is None and chosen:
                failure = self._find_base(chosen) or failure
            self._failure.show(failure)
            self._show_lesson()

    def _choose(self, name: str) -> None:
        """Choose another base; the one before stays if that is not possible."""
        self._not_found.show(self._find_base(name))
        self._show_lesson()

    def _find_base(self, name: str) -> Failure | None:
        try:
            self._base = find_base(name)
        except LocalServerError as error:
            return Failure(_NO_MODEL, str(error))
        return None

    def _show_lesson(self) -> None:
        lesson, base = self._lesson, self._base
        has_data = lesson is not None and lesson.data is not None
        self._folds.set_visibility(has_data)
        for element in (self._sentence, self._advice):
            element.set_visibility(has_data)
        for element in (self._base_text, self._teach):
            element.set_visibility(has_data and base is not None)
        if lesson is None:
            return
        self._sentence.set_text(_lesson_text(lesson))
        self._advice.set_text(_advice(lesson.name))
        self._example.show(_example(lesson))
        if base is None:
            return
        self._base_text.set_text(_base_text(base, lesson))
        self._show_bases((base, lesson))
        size = format_size(base.download_bytes())
        download = _("Download {size} and teach it", size=size)
        self._teach.set_text(download if base.needs_download() else _("Teach it"))

    def _start(self) -> None:
        if self._lesson is not None and self._base is not None:
            self._session.teacher.train(self._lesson, self._base.id)


def _build_quote(_row: Element, quote: tuple[int, str, str]) -> None:
    _index, text, side = quote
    add("p", text, f"quote {side}", dir="auto")


def _lesson_text(lesson: Lesson) -> str:
    return ngettext(
        "It learns from {count} message that {name} wrote: {days}.",
        "It learns from {count} messages that {name} wrote: {days}.",
        lesson.messages,
        name=lesson.name,
        days=format_days(lesson.first, lesson.last),
    )


def _advice(name: str) -> str:
    return _(
        "Training gives the tone of {name}, not sense: if the answers before training "
        "make no sense, choose a larger model.",
        name=name,
    )


def _example(lesson: Lesson) -> Iterator[tuple[int, str, str]]:
    """Yield the messages of one example, without the system prompt."""
    sides = {"assistant": "theirs", "user": "mine"}  # The person is always on the left.
    examples = lesson.data.examples if lesson.data else []
    messages = examples[len(examples) // 2]["messages"] if examples else []
    for index, message in enumerate(messages):
        if side := sides.get(message["role"]):
            yield index, str(message.get("content") or ""), side


def _base_text(base: Base, lesson: Lesson) -> str:
    duration = _training_time(base, lesson)
    known = _("It takes about {duration}.", duration=duration)
    time = known if duration else _("How long it takes is known when it has begun.")
    here = _("Everything happens on this computer; you can close this page meanwhile.")
    return f"{time} {here}"


def _training_time(base: Base, lesson: Lesson) -> str:
    if lesson.seconds is None:
        return ""
    seconds = base.training_seconds(lesson.seconds)
    return format_duration(seconds) if seconds else ""


_Option = tuple[Base, Lesson, bool]
"""A base for a lesson, and whether it is chosen."""


def _build_bases(on_choose: Show[str]) -> Show[tuple[Base, Lesson]]:
    """Build the models that fit this computer and the language, and an own file."""
    add("p", _("Larger ones write better, and take longer to learn."), "quiet")

    def build(_row: Element, option: _Option) -> Show[_Option]:
        base = option[0]
        with add("label", classes="choice"):
            box = add("input", type="radio", name="base", value=base.id)
            with add("span"):
                add("span", base.name.removesuffix("-Instruct"))
                details = add("span", classes="quiet details")
        box.on("change", lambda e: on_choose(str(e.args)), js_handler=_CHOSEN)

        def show(option: _Option) -> None:
            box.set_prop("checked", option[2])
            details.set_text(_base_details(base, option[1]))

        return show

    options = KeyedList(build, lambda option: option[0].id, "div")
    label = _("The file of a model on this computer, such as {name}", name="model.gguf")
    form = line_form(label, _("Use it"), lambda path: on_choose(path.strip("\"'")))
    form.mark("base-file")

    def show(chosen: tuple[Base, Lesson]) -> None:
        base, lesson = chosen
        fitting = [b for b in fitting_bases() if b.supports_language(lesson.language)]
        if base.id not in {each.id for each in fitting}:
            fitting.insert(0, base)
        options.show((each, lesson, each.id == base.id) for each in fitting)

    return show


def _base_details(base: Base, lesson: Lesson) -> str:
    size = format_size(base.download_bytes())
    time = _training_time(base, lesson)
    return join_parts(
        _("a tiny model for trying out") if base.is_default else "",
        _("{size} to download", size=size)
        if base.needs_download()
        else _("already on this computer"),
        _("learns in about {duration}", duration=time) if time else "",
        _("license: {license}", license=base.license) if base.license else "",
    )


# Meanwhile: how far the training is


class _Progress(NamedTuple):
    training: Training
    state: str
    is_busy: bool
    """Whether it is being paused or continued."""


def _progress(
    person: Person, snapshot: Snapshot, *, is_busy: bool
) -> Iterator[_Progress]:
    if person.training is not None:
        yield _Progress(person.training, _state_text(person, snapshot), is_busy)


def _build_training(
    session: PageSession, deletion: Deletion, row: Element, shown: _Progress
) -> Show[_Progress]:
    """Build the card of a training: how far it is, its buttons and its curve."""
    job, teacher = shown.training.job, session.teacher
    key = person_key(job_person(job))
    row.classes("card")
    state = add("p", classes="phrase", dir="auto", role="status")
    bar = add("progress", max=1, aria_label=_("How much it has learned"))
    failure = FailureBox()
    with add("div", classes="turns") as sample:
        add("p", _("What it would answer now, for example:"), "quiet")
        message = add("p", "", "quote mine", dir="auto")
        answer = add("p", "", "quote theirs", dir="auto")
    with add("div", classes="buttons"):
        pause = button(_("Pause"), partial(teacher.pause, key, job), "quiet")
        resume = button(_("Continue"), partial(teacher.resume, key, job), "primary")
        button(_("Delete …"), partial(deletion.ask, job), "quiet")
    with fold(_("Details")):
        details = add("p", classes="quiet")
        show_curve = _build_curve()
    pause.mark("pause")
    resume.mark("resume")

    def show(shown: _Progress) -> None:
        training, job = shown.training, shown.training.job
        state.set_text(shown.state)
        bar.set_visibility(bool(job.steps))
        bar.set_prop("value", round(job.step / job.steps, 3) if job.steps else 0)
        texts = training.sample or ("", "")
        sample.set_visibility(training.sample is not None)
        message.set_text(texts[0])
        answer.set_text(texts[1] or "…")
        is_failed = job.state is State.FAILED
        failure.show(translate_job_error(job.error) if is_failed else None)
        pause.set_visibility(job.is_active and not shown.is_busy)
        resume.set_visibility(not job.is_active and not shown.is_busy)
        step = _("step {step} of {total}", step=job.step, total=job.steps or 0)
        details.set_text(join_parts(job.base_model, step if job.steps else ""))
        show_curve(training.losses)

    return show


def _state_text(person: Person, snapshot: Snapshot) -> str:
    training = person.training
    if training is None or training.job.state is State.FAILED:
        return _("Learning has stopped.")
    job = training.job
    if job.state is State.PAUSED and job.saved_step:
        return _("Paused. It goes on where it stopped.")
    if job.state is State.PAUSED:
        return _("Paused. It starts at the beginning.")
    if job.state is State.RUNNING and (training.phase or not job.step):
        return join_parts(_("Getting ready …"), time_left(training.seconds_left))
    return state_text(person, snapshot.trainings)


def _build_curve() -> Show[Sequence[tuple[int, float]]]:
    with add("div", classes="chart") as box:
        with ui.element("svg").props("aria-hidden=true") as svg:
            svg.props('viewBox="0 0 100 100" preserveAspectRatio=none')
            line = add("polyline")
        text = add("p", classes="quiet")

    def show(points: Sequence[tuple[int, float]]) -> None:
        box.set_visibility(bool(points))
        if points:
            line.set_prop("points", polyline_points(points))
            first, last = (
                current_language().number(points[at][1], "#,##0.0") for at in (0, -1)
            )
            words = _("How far off the model is: lower is better.")
            text.set_text(f"{words} {first} → {last}")

    return show


def polyline_points(points: Sequence[tuple[int, float]]) -> str:
    """Return the points of an SVG polyline in a square of 100 by 100 units."""
    values = [value for _step, value in points]
    lowest, last = min(values), points[-1][0]
    height = max(values) - lowest or 1
    return " ".join(
        f"{100 * step / last:.2f},{98 - 96 * (value - lowest) / height:.2f}"
        for step, value in points
    )
