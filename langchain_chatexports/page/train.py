"""Screen 3: training runs with their progress."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from nicegui import ui

from langchain_chatexports.local_server import Job, QueueState, State
from langchain_chatexports.page.errors import translate_job_error
from langchain_chatexports.page.languages import (
    TimeLeft,
    _,
    current_language,
    format_names,
    join_parts,
    lazy_gettext,
)
from langchain_chatexports.page.layout import (
    error_box,
    next_link,
    paragraph,
    rebuild_on_change,
    show_work,
    text,
)
from langchain_chatexports.page.people import model_person, person_key
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.workflows.training_events import StepEvent

# The phases before the first step.
_PHASES = {
    "libraries": lazy_gettext(
        "Loading the training libraries; this takes a few seconds"
    ),
    "base": lazy_gettext("Loading the base model"),
}
_FOUND = {
    "trained": lazy_gettext("A model was already trained on these examples."),
    "running": lazy_gettext("A model is already being trained on these examples."),
    "resumed": lazy_gettext(
        "This training run was stopped earlier, and is continuing."
    ),
}
_LOSSES = {
    "training": lazy_gettext("Training examples: {first} at first, {latest} now."),
    "validation": lazy_gettext("Held-out examples: {first} at first, {latest} now."),
}
_Points = list[tuple[int, float]]
_MAX_POINTS = 40


def build_train(session: PageSession) -> None:
    paragraph(
        "The model reads the examples many times, and is corrected at each step. You "
        "can close this page: training continues. Keep the terminal open that is "
        "running chatexports open: if you close it, training stops, and you can "
        "continue it later."
    )

    def jobs_state() -> object:
        states = [(job.id, job.state) for job in session.snapshot.jobs]
        return states, session.job_work.is_running, session.job_event

    def jobs() -> None:
        training_jobs = session.snapshot.jobs
        if not training_jobs and not session.job_work.is_running:
            text(_("No training runs yet."))
            next_link(_("Choose what to train on first"), "/choose")
        if session.job_event is not None and session.job_event.state in _FOUND:
            text(_FOUND[session.job_event.state], classes="quiet")
        for job in training_jobs:
            _show_job(session, job)

    rebuild_on_change(
        lambda: show_work(session.job_work), lambda: session.job_work.state
    )
    # Outside the parts: a rebuild during a click would lose the click.
    stop = ui.button(_("Stop"), on_click=session.stop_preparing).props("outline")
    stop.bind_visibility_from(session, "is_preparing_training")
    rebuild_on_change(jobs, jobs_state)


def _show_job(session: PageSession, job: Job) -> None:
    def state() -> tuple[Job, str]:
        jobs = session.snapshot.jobs
        # A deleted job keeps its last state until the list is rebuilt.
        current = next((other for other in jobs if other.id == job.id), job)
        return current, state_text(session, current)

    def progress() -> None:
        _show_progress(session, *state())

    with ui.element("div").classes("card"):
        text(join_parts(job.person or "", job.base_model), tag="h2", classes="name")
        rebuild_on_change(progress, state)
        with ui.element("div").classes("form-row"):
            # Only one action can run at a time.
            is_busy = session.job_work.is_running
            if job.is_active and not is_busy:
                stop = ui.button(_("Stop"), on_click=lambda: session.stop_job(job))
                stop.props("outline")
            elif job.state in {State.PAUSED, State.FAILED} and not is_busy:
                ui.button(_("Continue"), on_click=lambda: session.resume_job(job))
            elif job.state is State.SUCCEEDED:
                _build_talk_link(session, job)


def _build_talk_link(session: PageSession, job: Job) -> None:
    model = next((m for m in session.snapshot.models if m.job_id == job.id), None)
    if model is None:
        text(_("Its model was deleted."), classes="quiet")
        return

    def talk() -> None:
        ui.navigate.to(f"/talk/{person_key(model_person(model))}")

    ui.button(_("Next: talk to it"), on_click=talk)


def _show_progress(session: PageSession, job: Job, state: str) -> None:
    if not (job.state is State.PAUSED and session.job_work.is_running):
        # While a job is being stopped or continued, the work above shows the state.
        text(state)
    if job.steps:
        bar = ui.linear_progress(job.step / job.steps, show_value=False)
        bar.props["aria-label"] = _("Steps trained")
    if job.state is State.FAILED:
        error_box(*translate_job_error(job.error))
    _show_losses(session.progress(job).steps)


def state_text(session: PageSession, job: Job) -> str:
    """Return the state of a job, with its progress or position in the queue."""
    if job.state is State.QUEUED:
        return _queue_text(session, job)
    step = ""
    if job.step:
        step = _("Step {step} of {total}", step=job.step, total=job.steps or "?")
    if job.state is State.RUNNING:
        phase = _PHASES.get(session.progress(job).phase) or step or _("Starting soon.")
        return join_parts(phase, TimeLeft(session.seconds_left(job)))
    if job.state is State.PAUSED:
        return join_parts(
            _("Stopped"),
            step,
            _("Continues from step {step}", step=job.saved_step)
            if job.saved_step
            else _("Restarts at the first step"),
        )
    final_states = {
        State.SUCCEEDED: _("Done"),
        State.FAILED: _("Failed"),
        State.CANCELLED: _("Canceled"),
    }
    return join_parts(final_states[job.state], step)


def _queue_text(session: PageSession, job: Job) -> str:
    if session.snapshot.queue is QueueState.SUSPENDED:
        return _(
            "Waiting: another program that trains is suspended. Continue that program, "
            "or end it."
        )
    queued_before = [
        other
        for other in reversed(session.snapshot.jobs)
        if other.is_active and other.created_at < job.created_at
    ]
    if not queued_before:
        return _("Starting soon.")
    next_job = queued_before[0]
    left = TimeLeft(session.seconds_left(next_job))
    names = format_names(other.person or other.base_model for other in queued_before)
    wait_text = _("Queued after {names}", names=names)
    if len(queued_before) == 1 or not left.seconds:
        return join_parts(wait_text, left)
    name = next_job.person or next_job.base_model
    return join_parts(wait_text, _("{name}: {left}", name=name, left=left))


def _show_losses(steps: Sequence[StepEvent]) -> None:
    losses = {
        "training": [(event.step, event.loss) for event in steps],
        "validation": [(event.step, event.validation_loss) for event in steps],
    }
    lines: dict[str, _Points] = {}
    for kind, values in losses.items():
        if points := [(step, loss) for step, loss in values if loss is not None]:
            lines[kind] = average_points(points)
    if not lines:
        return
    all_losses = [loss for points in lines.values() for _step, loss in points]
    last = max(points[-1][0] for points in lines.values())
    lowest, highest = min(all_losses), max(all_losses)
    with ui.element("div").classes("chart").props("aria-hidden=true"):
        with ui.element("div").classes("ends"):
            ui.label(current_language().number(highest, 1))
            ui.label(current_language().number(lowest, 1))
        with ui.element("svg").classes("losses") as svg:
            svg.props('viewBox="0 0 100 100" preserveAspectRatio=none')
            for kind, points in lines.items():
                line = ui.element("polyline").classes(kind)
                line.props["points"] = polyline_points(points, last, lowest, highest)
        with ui.element("div").classes("ends below"):
            ui.label(_("step {step}", step=1))
            ui.label(_("step {step}", step=last))
    paragraph(
        "The loss shows how far off the model is: lower is better. It varies from "
        "step to step.",
        classes="quiet",
    )
    for kind, points in lines.items():
        first, latest = (
            current_language().number(loss, 1) for loss in mean_ends(points)
        )
        sentence = replace(_LOSSES[kind], values={"first": first, "latest": latest})
        text(sentence, classes=f"quiet key {kind}")


def average_points(points: _Points) -> _Points:
    """Return at most `_MAX_POINTS` points, each the mean of consecutive steps."""
    size = -(-len(points) // _MAX_POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], fmean(loss for _step, loss in group)) for group in groups]


def mean_ends(points: _Points) -> tuple[float, float]:
    """Return the mean loss of the first and of the last fifth of the points."""
    losses = [loss for _step, loss in points]
    count = max(1, len(losses) // 5)
    return fmean(losses[:count]), fmean(losses[-count:])


def polyline_points(points: _Points, last: int, lowest: float, highest: float) -> str:
    """Return the points of an SVG polyline in a square of 100 by 100 units."""
    height = highest - lowest or 1
    return " ".join(
        f"{100 * step / last:.2f},{98 - 96 * (loss - lowest) / height:.2f}"
        for step, loss in points
    )
