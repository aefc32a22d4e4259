"""The tuned models of this machine, to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nicegui import ui

from langchain_chatexports.local_server import list_models
from langchain_chatexports.page.layout import follow, next_link, text
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.workflows.models import KeptJob, TunedModel
from langchain_chatexports.workflows.train import is_unfinished, progress_of


def kept_models(session: PageSession) -> dict[str, TunedModel]:
    """Return the tuned models by name, newest first; without any, say what to do.

    Args:
        session: The session.
    """
    kept = list_models(session.data_dir)
    models = {model.name: model for model in kept}
    if not models:
        _build_no_model(session)
    return models


def _build_no_model(session: PageSession) -> None:
    def look() -> str:
        is_ordered = session.is_preparing_training
        return training_in_words(session.jobs(), is_ordered=is_ordered)

    @ui.refreshable
    def note() -> None:
        if words := look():
            text(words)
            next_link("See the training", "/train")
        else:
            text("There is no trained model on this machine yet.")
            next_link("Train one first", "/")

    follow(note, look)


def training_in_words(jobs: Sequence[KeptJob], *, is_ordered: bool) -> str:
    """Return how far the training is that ends first; empty if there is none.

    Args:
        jobs: The jobs, newest first.
        is_ordered: Whether a training is asked for that has not become a job.
    """
    unfinished = [job for job in jobs if is_unfinished(job)]
    if not unfinished:
        return "The training is being prepared." if is_ordered else ""
    job = unfinished[-1]
    steps = f": {progress_of(job)}" if job.total_steps else ""
    return f"{job.person or job.base_model} is still being trained{steps}."


def model_select(models: dict[str, TunedModel], chosen: TunedModel | None) -> Any:
    """Add a choice of one model.

    Args:
        models: The models by name; at least one.
        chosen: Which one is proposed, if it is there; otherwise the newest.
    """
    names = {
        name: f"{model.title}, {model.base_model}, "
        f"{model.created_at:%Y-%m-%d %H:%M} UTC"
        for name, model in models.items()
    }
    first = chosen.name if chosen and chosen.name in models else next(iter(names))
    return ui.select(names, label="Model", value=first).classes("grow")
