"""The sheet of a person: what a model learns from, one button, and how it goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nicegui import ui

from langchain_chatexports.datasets.examples import TrainingMessage
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import (
    Base,
    Job,
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
from langchain_chatexports.page.people import Person, find_person, job_person
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.settings import ask_to_delete_job
from langchain_chatexports.page.snapshot import Snapshot
from langchain_chatexports.page.stored import Training
from langchain_chatexports.page.work import IDLE, WorkState

_NO_MODEL = lazy_gettext("There is no such model, or it cannot be used here.")
_MAY_NOTIFY = "() => window.Notification?.requestPermission()"
_CHOSEN = "(event) => emit(event.target.value)"


_ShowPart = Callable[[Person, Snapshot], None]


def build_teach(session: PageSession, person: Person) -> None:
    title = _("Teach a model to write like {name}", name=person.name)
    with (
        screen(session, f"{TEACH}/{person.key}", title),
        add("div", classes="body"),
    ):
        parts = (
            _build_learned(person),
            _build_training(session, person),
            _build_work(session),
            _LessonPart(session).show,
        )

    def show(snapshot: Snapshot) -> None:
        now = find_person(snapshot, person.key) or Person(person.key, person.name)
        for show_part in parts:
            show_part(now, snapshot)

    session.published.watch(lambda s: s, show)


def _work(person: Person, snapshot: Snapshot) -> WorkState:
    """Return a training that is prepared, paused or continued."""
    return snapshot.training if snapshot.training_key == person.key else IDLE


def _build_learned(person: Person) -> _ShowPart:
    with add("div", classes="card learned") as card:
        text = add("p", dir="auto")
        with add("div", classes="buttons"):
            talk = _("Talk with {name}", name=person.name)
            link(talk, f"{TALK}/{person.key}", "primary")

    def show(now: Person, _snapshot: Snapshot) -> None:
        card.set_visibility(now.model is not None)
        if (model := now.model) is not None:
            time = format_time(model.created_at)
            words = _("{name} has learned, {time}.", name=model.title, time=time)
            text.set_text(words)

    return show


def _build_work(session: PageSession) -> _ShowPart:
    bar = WorkBar()
    stop = button(_("Stop"), session.teacher.stop_preparing, "quiet")

    def show(now: Person, snapshot: Snapshot) -> None:
        work = _work(now, snapshot)
        bar.show(work)
        # What is paused or continued has a button of its own.
        stop.set_visibility(work.is_running and now.training is None)

    return show


# Before: what it learns from


class _LessonPart:
    """What a model of the person would learn from, and the button."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._chosen = session.base
        """The base that was chosen in this tab."""

        self._lesson: Lesson | None = None
        with add("section", classes="body-part") as self._part:
            with add("div", classes="body-part") as self._missing:
                add("p", _("The chats are not here: add them again, to teach it."))
                link(_("Add chats"), ADD, "primary")
            self._reading = WorkBar()
            self._sentence, self._base_text = add("p", dir="auto"), add("p")
            self._failure = FailureBox()
            with add("div", classes="buttons"):
                self._teach = button(_("Teach it"), self._start, "primary")
                self._teach.mark("teach").on("click", js_handler=_MAY_NOTIFY)
            with add("div", classes="body-part") as self._folds:
                with fold(_("Another model")):
                    self._bases = _build_bases(self._choose)
                with fold(_("What it learns from")):
                    self._example = add("div", classes="turns")
        self._show_lesson()

    def show(self, now: Person, snapshot: Snapshot) -> None:
        """Show the lesson, and begin to read it if that was not done."""
        lesson = next((one for one in snapshot.lessons if one.key == now.key), None)
        can_learn = now.messages > 0
        is_busy = now.training is not None or _work(now, snapshot).is_running
        is_read = lesson is not None or not can_learn
        if not (is_read or is_busy):
            self._session.teacher.prepare(now.key, now.name)
        self._part.set_visibility(not is_busy)
        self._missing.set_visibility(not can_learn)
        self._reading.show(IDLE if is_read else snapshot.preparing)
        if lesson is not self._lesson:
            self._lesson = lesson
            self._show_lesson()

    def _show_lesson(self) -> None:
        lesson = self._lesson
        data = lesson.data if lesson else None
        self._folds.set_visibility(data is not None)
        self._sentence.set_text(_lesson_text(lesson) if lesson and data else "")
        self._example.clear()
        with self._example:
            for message in _example(lesson) if lesson else ():
                # The person is always on the left.
                side = "theirs" if message["role"] == "assistant" else "mine"
                add("p", message.get("content") or "", f"quote {side}", dir="auto")
        self._show_base()

    @property
    def _base_id(self) -> str | None:
        proposal = self._lesson.proposal if self._lesson else None
        return self._chosen or (proposal.base.id if proposal else None)

    def _choose(self, base: str) -> None:
        self._chosen = base
        self._show_base()

    def _show_base(self) -> None:
        lesson, base, text = self._lesson, None, ""
        failure = lesson.failure if lesson else None
        if lesson is not None and lesson.data is not None and self._base_id:
            try:
                base, failure = find_base(self._base_id), None
            except LocalServerError as error:
                failure = Failure(_NO_MODEL, str(error))
        self._failure.show(failure)
        self._teach.set_visibility(base is not None)
        if base is not None and lesson is not None:
            text = _base_text(base, lesson)
            self._bases((base, lesson))
            size = format_size(base.download_bytes())
            download = _("Download {size} and teach it", size=size)
            title = download if base.needs_download() else _("Teach it")
            self._teach.set_text(title)
        self._base_text.set_text(text)

    def _start(self) -> None:
        if self._lesson is not None and self._base_id is not None:
            self._session.teacher.train(self._lesson, self._base_id)


def _lesson_text(lesson: Lesson) -> str:
    return ngettext(
        "It learns from {count} message that {name} wrote: {days}.",
        "It learns from {count} messages that {name} wrote: {days}.",
        lesson.messages,
        name=lesson.name,
        days=format_days(lesson.first, lesson.last),
    )


def _example(lesson: Lesson) -> list[TrainingMessage]:
    """Return the messages of one example, without the system prompt."""
    examples = lesson.data.examples if lesson.data else []
    messages = examples[len(examples) // 2]["messages"] if examples else []
    return [m for m in messages if m["role"] in {"assistant", "user"}]


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


def _build_training(session: PageSession, person: Person) -> _ShowPart:
    """Build the card of a training: how far it is, its buttons and its curve."""
    job: Job | None = None

    def pause() -> None:
        if job is not None:
            session.teacher.pause(person.key, job)

    def resume() -> None:
        if job is not None:
            session.teacher.resume(person.key, job)

    def delete() -> None:
        if job is not None:
            ask_to_delete_job(session, job)

    with add("div", classes="card") as card:
        state = add("p", dir="auto", role="status")
        bar = add("progress", max=1, aria_label=_("How much it has learned"))
        failure = FailureBox()
        with add("div", classes="turns") as sample:
            add("p", _("What it would answer now, for example:"), "quiet")
            message = add("p", "", "quote mine", dir="auto")
            answer = add("p", "", "quote theirs", dir="auto")
        with add("div", classes="buttons"):
            pausing = button(_("Pause"), pause, "quiet").mark("pause")
            resuming = button(_("Continue"), resume, "primary").mark("resume")
            button(_("Delete …"), delete, "quiet")
        with fold(_("Details")):
            details = add("p", classes="quiet")
            show_curve = _build_curve()

    def show(now: Person, snapshot: Snapshot) -> None:
        nonlocal job
        training = now.training
        card.set_visibility(training is not None)
        job = training.job if training else None
        if training is None or job is None:
            return
        state.set_text(_state_text(training, snapshot))
        bar.set_visibility(bool(job.steps))
        bar.set_prop("value", round(job.step / job.steps, 3) if job.steps else 0)
        sample.set_visibility(training.sample is not None)
        texts = training.sample or ("", "")
        message.set_text(texts[0])
        answer.set_text(texts[1] or "…")
        is_failed, is_busy = job.state is State.FAILED, _work(now, snapshot).is_running
        failure.show(translate_job_error(job.error) if is_failed else None)
        pausing.set_visibility(job.is_active and not is_busy)
        can_resume = job.state in {State.PAUSED, State.FAILED} and not is_busy
        resuming.set_visibility(can_resume)
        step = _("step {step} of {total}", step=job.step, total=job.steps or 0)
        details.set_text(join_parts(job.base_model, step if job.steps else ""))
        show_curve(training.losses)

    return show


def _state_text(training: Training, snapshot: Snapshot) -> str:
    job, left = training.job, time_left(training.seconds_left)
    if job.state is State.QUEUED:
        return _queue_text(snapshot)
    if job.state is State.RUNNING:
        is_learning = job.step and not training.phase
        return join_parts(_("Learning") if is_learning else _("Getting ready …"), left)
    if job.state is State.FAILED:
        return _("Learning has stopped.")
    if job.saved_step:
        return _("Paused. It goes on where it stopped.")
    return _("Paused. It starts at the beginning.")


def _queue_text(snapshot: Snapshot) -> str:
    for other in snapshot.trainings:
        if other.job.state is State.RUNNING:
            name, left = job_person(other.job), time_left(other.seconds_left)
            if left:
                return _("Waits until {name} has learned: {left}", name=name, left=left)
            return _("Waits until {name} has learned.", name=name)
    return _("Begins soon.")


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
