"""Screen 3: trainings with their progress; a stopped one can be continued."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from nicegui import ui

from langchain_chatexports._progress import time_left
from langchain_chatexports.local_server import list_models
from langchain_chatexports.page.layout import (
    error_box,
    follow,
    next_link,
    show_work,
    text,
)
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.workflows.models import KeptJob
from langchain_chatexports.workflows.train import (
    StepEvent,
    failure_of,
    is_unfinished,
    progress_now,
    progress_of,
)

# What is done before a step is trained.
_PHASES = {
    "libraries": "It loads the programs for training, some seconds",
    "base": "It loads the base model",
    "speed": "It measures how long a step takes",
}
_Points = list[tuple[int, float]]
_MAX_POINTS = 500
_MAX_AVERAGED = 10
_TRAINED, _HELD_OUT = "with the examples", "with those held out"


def build_train(session: PageSession) -> None:
    """Build the screen."""
    text(
        "The model reads the examples again and again, and is corrected at each step. "
        "You need not wait here: closing this page stops nothing. Leave the "
        "window open from which this page was started: without it a training stops, "
        "and you can continue it later."
    )
    found: list[KeptJob] = session.jobs()

    def look() -> object:
        found[:] = session.jobs()
        ordering = session.ordering
        states = [(job.id, job.status) for job in found]
        doing = ordering.is_running, ordering.what, ordering.error, ordering.progress
        lost = session.has_lost_training, session.can_order_again
        return states, doing, lost, session.found

    @ui.refreshable
    def jobs() -> None:
        with ui.element("div").classes("part"):
            show_work(session.ordering, "")
            if session.is_preparing_training:
                ui.button("Stop", on_click=session.stop_preparing).props("outline")
            if session.has_lost_training:
                error_box(
                    "The local server ended unexpectedly: memory may not be enough. "
                    "What a training has saved is kept. Press Go on to continue it."
                )
            if session.can_order_again:
                ui.button("Try again", on_click=session.order_again)
            if not found and not session.ordering.is_running:
                text("There is no training yet.")
                next_link("Choose what to train on first", "/choose")
            if session.found is not None and session.found.state != "new":
                text(f"{session.found}.", classes="quiet")
            for job in found:
                _show_job(session, job, found)

    follow(jobs, look)


def _show_job(session: PageSession, job: KeptJob, jobs: Sequence[KeptJob]) -> None:
    now = {"job": job}

    def look() -> object:
        # The list is renewed; a deleted job stays as it was last seen.
        now["job"] = next((other for other in jobs if other.id == job.id), job)
        seen = now["job"]
        return seen, _state(session, seen, jobs) if is_unfinished(seen) else ""

    @ui.refreshable
    def progress() -> None:
        _show_progress(session, now["job"], jobs)

    with ui.element("div").classes("card"):
        whose = f"{job.person}: " if job.person else ""
        text(f"{whose}{job.base_model}", tag="h2", classes="name")
        follow(progress, look)
        with ui.element("div").classes("row-of"):
            if is_unfinished(job):
                stop = ui.button("Stop", on_click=lambda: session.stop_job(job))
                stop.props("outline")
            elif job.status in {"stopped", "failed"}:
                if not session.ordering.is_running:
                    ui.button("Go on", on_click=lambda: session.continue_job(job))
            elif job.status == "succeeded":
                _add_way_to_talk(session, job)


def _add_way_to_talk(session: PageSession, job: KeptJob) -> None:
    model = next((m for m in list_models(session.data_dir) if m.job_id == job.id), None)
    if model is None:
        text("Its model was deleted.", classes="quiet")
        return

    def talk() -> None:
        session.talk.choose(model)
        ui.navigate.to("/talk")

    ui.button("Next: talk to it", on_click=talk)


def _show_progress(session: PageSession, job: KeptJob, jobs: Sequence[KeptJob]) -> None:
    progress = progress_now(job, session.data_dir)
    if not (job.status == "stopped" and session.ordering.is_running):
        # Until it has saved, or goes on, the work above says what happens.
        text(_state(session, job, jobs))
    if job.total_steps:
        bar = ui.linear_progress(job.step / job.total_steps, show_value=False)
        bar.props('aria-label="Steps trained"')
    if job.status == "failed":
        error_box(failure_of(job, session.data_dir))
    _show_losses(progress.steps)


def _state(session: PageSession, job: KeptJob, jobs: Sequence[KeptJob]) -> str:
    if job.status == "queued":
        return _waiting(session, job, jobs)
    step = progress_of(job).capitalize() if job.step else ""
    if job.status == "running":
        progress = progress_now(job, session.data_dir)
        doing = _PHASES.get(progress.phase, step or "It starts in a moment")
        left = progress.seconds_left
        return f"{doing}, {time_left(left)}." if left else f"{doing}."
    if job.status == "stopped":
        return f"Stopped. {step or 'Not begun'}; it goes on from {job.saved_step:,}."
    return {
        "succeeded": f"Done. {step}.",
        "failed": f"Failed. {step}",
        "cancelled": "Cancelled.",
    }.get(job.status, job.status)


def _waiting(session: PageSession, job: KeptJob, jobs: Sequence[KeptJob]) -> str:
    before = [
        other
        for other in reversed(jobs)
        if is_unfinished(other) and other.created_at < job.created_at
    ]
    if not before:
        return "It starts in a moment."
    first = before[0]
    left = progress_now(first, session.data_dir).seconds_left
    names = ", ".join(other.person or other.base_model for other in before)
    if not left:
        return f"It waits behind {names}."
    if len(before) == 1:
        return f"It waits behind {names}, {time_left(left)}."
    return (
        f"It waits behind {names}: {time_left(left)} of "
        f"{first.person or first.base_model}."
    )


def _show_losses(steps: Sequence[StepEvent]) -> None:
    curves = {
        _TRAINED: [(one.step, one.loss) for one in steps if one.loss is not None],
        _HELD_OUT: [
            (one.step, one.validation_loss)
            for one in steps
            if one.validation_loss is not None
        ],
    }
    found = {name: points for name, points in curves.items() if points}
    if not found:
        return
    lines = {name: smoothed(points) for name, points in found.items()}
    losses = [loss for points in lines.values() for _, loss in points]
    last = max(step for points in lines.values() for step, _ in points)
    lowest, highest = min(losses), max(losses)
    with ui.element("div").classes("chart").props("aria-hidden=true"):
        with ui.element("div").classes("ends"):
            ui.label(f"{highest:.1f}")
            ui.label(f"{lowest:.1f}")
        with ui.element("svg").classes("losses") as drawing:
            drawing.props('viewBox="0 0 100 100" preserveAspectRatio=none')
            for name, points in lines.items():
                kind = "training" if name == _TRAINED else "validation"
                line = ui.element("polyline").classes(kind)
                line.props["points"] = curve(points, last, lowest, highest)
        with ui.element("div").classes("ends below"):
            ui.label("step 1")
            ui.label(f"step {last:,}")
    words = "; ".join(f"{name} {losses_in_words(p)}" for name, p in found.items())
    text(
        f"How far off it is (the loss), lower is better: {words}. Single steps jump up "
        "and down.",
        classes="quiet",
    )


def losses_in_words(points: _Points) -> str:
    """Return the mean loss of the first steps and of the last ones, for people."""
    losses = [loss for _, loss in points]
    count = min(len(losses) // 2, _MAX_AVERAGED)
    if not count:
        return f"{losses[0]:.1f} so far"
    first, last = fmean(losses[:count]), fmean(losses[-count:])
    averaged = " on average" if count > 1 else ""
    return f"{first:.1f} at first and {last:.1f} last{averaged}"


def smoothed(points: _Points) -> _Points:
    """Return points with the mean of those around each, a tenth of all of them."""
    half = min(len(points) // 20, _MAX_AVERAGED)
    return [
        (
            step,
            fmean(loss for _, loss in points[max(place - half, 0) : place + half + 1]),
        )
        for place, (step, _) in enumerate(points)
    ]


def curve(
    points: Sequence[tuple[int, float]], last: int, lowest: float, highest: float
) -> str:
    """Return points of an SVG line in a square of 100 by 100, highest losses on top."""
    stride = len(points) // _MAX_POINTS + 1
    height = highest - lowest or 1
    kept = [*points[::stride], points[-1]]
    return " ".join(
        f"{100 * step / last:.2f},{98 - 96 * (loss - lowest) / height:.2f}"
        for step, loss in kept
    )
