"""Screen 3: trainings and their progress; stopped ones can be continued."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from nicegui import ui

from langchain_chatexports.local_server import list_models
from langchain_chatexports.page.errors import DISK_FULL, FULL_DISK
from langchain_chatexports.page.languages import (
    TimeLeft,
    _,
    current,
    facts,
    later,
    listed,
)
from langchain_chatexports.page.layout import (
    error_box,
    follow,
    next_link,
    paragraph,
    show_work,
    text,
)
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.workflows.models import KeptJob
from langchain_chatexports.workflows.train import (
    failure_of,
    is_unfinished,
    progress_now,
)
from langchain_chatexports.workflows.training_events import StepEvent

# The phases before the first step.
_PHASES = {
    "libraries": later("It loads the programs for training, a few seconds"),
    "base": later("It loads the base model"),
}
_FOUND = {
    "trained": later("These examples were trained on before."),
    "running": later("These examples are being trained on already."),
    "continued": later("This training was stopped before, and continues."),
}
_LOSSES = {
    "training": later("With the examples: {first} at first, {latest} last."),
    "validation": later(
        "With examples that were held out: {first} at first, {latest} last."
    ),
}
_Points = list[tuple[int, float]]
_MAX_POINTS = 40


def build_train(session: PageSession) -> None:
    paragraph(
        "The model reads the examples again and again, and is corrected at each "
        "step. You need not wait here: closing this page stops nothing. Leave the "
        "window open from which this page was started: without it a training "
        "stops, and you can continue it later."
    )

    def look() -> object:
        states = [(job.id, job.status) for job in session.jobs()]
        lost = session.has_lost_training
        return states, session.job_work.state, lost, session.found

    def jobs() -> None:
        show_work(session.job_work)
        if session.is_preparing_training:
            stop = ui.button(_("Stop"), on_click=session.stop_preparing)
            stop.props("outline")
        if session.has_lost_training:
            error_box(
                _(
                    "The local server ended unexpectedly: memory may not be "
                    "enough. The last save of the training is kept. Press "
                    "Continue to resume it."
                )
            )
        found = session.jobs()
        if not found and not session.job_work.is_running:
            text(_("There is no training yet."))
            next_link(_("Choose what to train on first"), "/choose")
        if session.found is not None and session.found.state in _FOUND:
            text(_FOUND[session.found.state], classes="quiet")
        for job in found:
            _show_job(session, job)

    follow(jobs, look)


def _show_job(session: PageSession, job: KeptJob) -> None:
    def look() -> tuple[KeptJob, str]:
        jobs = session.jobs()
        # A deleted job keeps its last state until the list is rebuilt.
        now = next((other for other in jobs if other.id == job.id), job)
        return now, state_text(session, now, jobs)

    def progress() -> None:
        _show_progress(session, *look())

    with ui.element("div").classes("card"):
        text(facts(job.person or "", job.base_model), tag="h2", classes="name")
        follow(progress, look)
        with ui.element("div").classes("row-of"):
            if is_unfinished(job):
                stop = ui.button(_("Stop"), on_click=lambda: session.stop_job(job))
                stop.props("outline")
            elif job.status in {"stopped", "failed"}:
                if not session.job_work.is_running:
                    ui.button(_("Continue"), on_click=lambda: session.continue_job(job))
            elif job.status == "succeeded":
                _add_way_to_talk(session, job)


def _add_way_to_talk(session: PageSession, job: KeptJob) -> None:
    model = next((m for m in list_models(session.data_dir) if m.job_id == job.id), None)
    if model is None:
        text(_("Its model was deleted."), classes="quiet")
        return

    def talk() -> None:
        session.talk.choose(model)
        ui.navigate.to("/talk")

    ui.button(_("Next: talk to it"), on_click=talk)


def _show_progress(session: PageSession, job: KeptJob, state: str) -> None:
    if not (job.status == "stopped" and session.job_work.is_running):
        # Until it is saved or continues, the work above shows the state.
        text(state)
    if job.total_steps:
        bar = ui.linear_progress(job.step / job.total_steps, show_value=False)
        bar.props["aria-label"] = _("Steps trained")
    if job.status == "failed":
        reason = failure_of(job, session.data_dir)
        is_full = FULL_DISK in reason
        error_box(DISK_FULL if is_full else _("The training failed."), reason)
    _show_losses(progress_now(job, session.data_dir).steps)


def state_text(session: PageSession, job: KeptJob, jobs: Sequence[KeptJob]) -> str:
    """Return the state of a job, with its progress or place in the queue."""
    if is_unfinished(job) and FULL_DISK in failure_of(job, session.data_dir):
        return _("The disk is full: free some space, and the training continues.")
    if job.status == "queued":
        return _waiting(session, job, jobs)
    step = ""
    if job.step:
        step = _("Step {step} of {total}", step=job.step, total=job.total_steps or "?")
    if job.status == "running":
        progress = progress_now(job, session.data_dir)
        phase = _PHASES.get(progress.phase) or step or _("It starts in a moment.")
        return facts(phase, TimeLeft(session.seconds_left(job)))
    if job.status == "stopped":
        return facts(
            _("Stopped"),
            step,
            _("It continues from step {step}", step=job.saved_step)
            if job.saved_step
            else _("It begins again at the first step"),
        )
    ends = {"succeeded": _("Done"), "failed": _("Failed"), "cancelled": _("Canceled")}
    return facts(ends.get(job.status, job.status), step)


def _waiting(session: PageSession, job: KeptJob, jobs: Sequence[KeptJob]) -> str:
    before = [
        other
        for other in reversed(jobs)
        if is_unfinished(other) and other.created_at < job.created_at
    ]
    if not before:
        return _("It starts in a moment.")
    first = before[0]
    left = TimeLeft(session.seconds_left(first))
    names = listed(other.person or other.base_model for other in before)
    waits = _("Queued after {names}", names=names)
    if len(before) == 1 or not left.seconds:
        return facts(waits, left)
    name = first.person or first.base_model
    return facts(waits, _("{name}: {left}", name=name, left=left))


def _show_losses(steps: Sequence[StepEvent]) -> None:
    losses = {
        "training": [(one.step, one.loss) for one in steps],
        "validation": [(one.step, one.validation_loss) for one in steps],
    }
    lines: dict[str, _Points] = {}
    for kind, found in losses.items():
        if known := [(step, loss) for step, loss in found if loss is not None]:
            lines[kind] = averaged(known)
    if not lines:
        return
    shown = [loss for points in lines.values() for _step, loss in points]
    last = max(points[-1][0] for points in lines.values())
    lowest, highest = min(shown), max(shown)
    with ui.element("div").classes("chart").props("aria-hidden=true"):
        with ui.element("div").classes("ends"):
            ui.label(current().number(highest, 1))
            ui.label(current().number(lowest, 1))
        with ui.element("svg").classes("losses") as drawing:
            drawing.props('viewBox="0 0 100 100" preserveAspectRatio=none')
            for kind, points in lines.items():
                line = ui.element("polyline").classes(kind)
                line.props["points"] = curve(points, last, lowest, highest)
        with ui.element("div").classes("ends below"):
            ui.label(_("step {step}", step=1))
            ui.label(_("step {step}", step=last))
    paragraph(
        "The loss (how far off the model is): lower is better. Single steps jump "
        "up and down.",
        classes="quiet",
    )
    for kind, points in lines.items():
        first, latest = (current().number(loss, 1) for loss in mean_ends(points))
        words = replace(_LOSSES[kind], values={"first": first, "latest": latest})
        text(words, classes=f"quiet key {kind}")


def averaged(points: _Points) -> _Points:
    """Return at most `_MAX_POINTS` points, each the mean of consecutive steps."""
    size = -(-len(points) // _MAX_POINTS)
    groups = [points[place : place + size] for place in range(0, len(points), size)]
    return [(group[-1][0], fmean(loss for _step, loss in group)) for group in groups]


def mean_ends(points: _Points) -> tuple[float, float]:
    """Return the mean loss of the first and of the last fifth of the points."""
    losses = [loss for _step, loss in points]
    count = max(1, len(losses) // 5)
    return fmean(losses[:count]), fmean(losses[-count:])


def curve(points: _Points, last: int, lowest: float, highest: float) -> str:
    """Return points of an SVG line in a square of 100 by 100, high losses on top."""
    height = highest - lowest or 1
    return " ".join(
        f"{100 * step / last:.2f},{98 - 96 * (loss - lowest) / height:.2f}"
        for step, loss in points
    )
