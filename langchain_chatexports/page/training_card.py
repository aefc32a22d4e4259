"""The card of a training: how far it is, its buttons and its curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nicegui import ui

from langchain_chatexports.local_server import Job, QueueState, State
from langchain_chatexports.page.elements import (
    FailureBox,
    add,
    button,
    fold,
    set_prop,
    set_text,
)
from langchain_chatexports.page.errors import translate_job_error
from langchain_chatexports.page.languages import (
    TimeLeft,
    _,
    current_language,
    join_parts,
)
from langchain_chatexports.page.lessons import Lesson
from langchain_chatexports.page.people import Person, job_person
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.settings import confirm_deletion
from langchain_chatexports.page.stored import Training
from langchain_chatexports.page.work import WorkState

_Points = Sequence[tuple[int, float]]


class View(NamedTuple):
    """What the sheet of a person shows."""

    person: Person
    lesson: Lesson | None
    preparing: WorkState
    work: WorkState
    """A training that was asked for and has no job yet, or is paused or continued."""

    trainings: tuple[Training, ...]
    queue: QueueState


class TrainingCard:
    """How far a training is, with its buttons and, folded, its curves."""

    def __init__(self, session: PageSession, person: Person) -> None:
        """Build the card of a person."""
        self._session, self._person = session, person
        self._job: Job | None = None
        with ui.element("div").classes("card") as self._card:
            self._state = add("p", dir="auto", role="status")
            self._bar = add("progress", max=1, aria_label=_("How much it has learned"))
            self._failure = FailureBox()
            with ui.element("div").classes("turns") as self._sample:
                text = _("What it would answer now, for example:")
                add("p", text, "quiet")
                self._message = add("p", "", "quote mine", dir="auto")
                self._answer = add("p", "", "quote theirs", dir="auto")
            with ui.element("div").classes("buttons"):
                self._pause = button(_("Pause"), self._do_pause, "quiet").mark("pause")
                self._resume = button(_("Continue"), self._do_resume, "primary")
                self._resume.mark("resume")
                button(_("Delete …"), self._confirm, "quiet")
            with fold(_("Details")):
                self._details = add("p", classes="quiet")
                self._chart = _Chart()

    def show(self, view: View) -> None:
        """Show the training of a person, if there is one."""
        training = view.person.training
        self._card.set_visibility(training is not None)
        self._job = training.job if training else None
        if training is None:
            return
        job, is_busy = training.job, view.work.is_running
        set_text(self._state, _state_text(training, view))
        self._bar.set_visibility(bool(job.steps))
        if job.steps:
            set_prop(self._bar, "value", round(job.step / job.steps, 3))
        self._sample.set_visibility(training.sample is not None)
        for element, text in zip(
            (self._message, self._answer), training.sample or ("", ""), strict=True
        ):
            set_text(element, text or "…")
        is_failed = job.state is State.FAILED
        self._failure.show(translate_job_error(job.error) if is_failed else None)
        self._pause.set_visibility(job.is_active and not is_busy)
        can_resume = job.state in {State.PAUSED, State.FAILED} and not is_busy
        self._resume.set_visibility(can_resume)
        step = _("step {step} of {total}", step=job.step, total=job.steps or 0)
        set_text(self._details, join_parts(job.base_model, step if job.steps else ""))
        self._chart.show(training)

    def _do_pause(self) -> None:
        if self._job is not None:
            self._session.teacher.pause(self._person.key, self._job)

    def _do_resume(self) -> None:
        if self._job is not None:
            self._session.teacher.resume(self._person.key, self._job)

    def _confirm(self) -> None:
        if self._job is not None:
            confirm_deletion(self._session, self._job)


def _state_text(training: Training, view: View) -> str:
    job, left = training.job, TimeLeft(training.seconds_left)
    if job.state is State.QUEUED:
        return _queue_text(job, view)
    if job.state is State.RUNNING:
        is_learning = job.step and not training.phase
        return join_parts(_("Learning") if is_learning else _("Getting ready …"), left)
    if job.state is State.FAILED:
        return _("Learning has stopped.")
    if job.saved_step:
        return _("Paused. It goes on where it stopped.")
    return _("Paused. It starts at the beginning.")


def _queue_text(job: Job, view: View) -> str:
    if view.queue is QueueState.SUSPENDED:
        return _(
            "Waiting: another program that teaches is suspended. Continue that "
            "program, or end it."
        )
    for other in view.trainings:
        if other.job.state is State.RUNNING:
            name, left = job_person(other.job), str(TimeLeft(other.seconds_left))
            if left:
                return _("Waits until {name} has learned: {left}", name=name, left=left)
            return _("Waits until {name} has learned.", name=name)
    return _("Begins soon.") if job.is_active else ""


class _Chart:
    """The curves of a training: how far off the model is."""

    def __init__(self) -> None:
        with ui.element("div").classes("chart") as self._box:
            with ui.element("svg").props("aria-hidden=true") as svg:
                svg.props('viewBox="0 0 100 100" preserveAspectRatio=none')
                self._lines = [
                    ui.element("polyline").classes(kind)
                    for kind in ("training", "held-out")
                ]
            self._texts = [add("p", classes="quiet key training")]
            self._texts.append(add("p", classes="quiet key held-out"))
            add("p", _("How far off the model is: lower is better."), "quiet")

    def show(self, training: Training) -> None:
        """Show the curves, which have at most 60 points."""
        curves = (training.losses, training.validation_losses)
        values = [y for curve in curves for _x, y in curve]
        self._box.set_visibility(bool(values))
        last = max((curve[-1][0] for curve in curves if curve), default=1)
        names = (_("What it learns"), _("Messages it has not seen"))
        number = current_language().number
        for line, text, curve, name in zip(
            self._lines, self._texts, curves, names, strict=True
        ):
            set_prop(line, "points", polyline_points(curve, last, values))
            text.set_visibility(bool(curve))
            if curve:
                first, latest = curve[0][1], curve[-1][1]
                set_text(text, f"{name}: {number(first, 1)} → {number(latest, 1)}")


def polyline_points(curve: _Points, last: int, values: Sequence[float]) -> str:
    """Return the points of an SVG polyline in a square of 100 by 100 units."""
    lowest, highest = min(values, default=0.0), max(values, default=0.0)
    height = highest - lowest or 1
    return " ".join(
        f"{100 * step / last:.2f},{98 - 96 * (value - lowest) / height:.2f}"
        for step, value in curve
    )
