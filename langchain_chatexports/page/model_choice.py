"""The tuned models of this machine, to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from langchain_chatexports.local_server import list_models
from langchain_chatexports.page.layout import follow, next_link, text
from langchain_chatexports.page.session import PageSession, training_in_words
from langchain_chatexports.workflows.models import TunedModel


def kept_models(session: PageSession) -> dict[str, TunedModel]:
    """Return the tuned models by name, newest first; without any, say what to do."""
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


def model_select(
    models: dict[str, TunedModel],
    chosen: TunedModel | None,
    others: Mapping[str, str] | None = None,
) -> Any:
    """Add a choice of one model; `others` are further values with their labels."""
    names = {
        name: f"{model.title}, {model.base_model}, "
        f"{model.created_at:%Y-%m-%d %H:%M} UTC"
        for name, model in models.items()
    }
    names |= others or {}
    first = chosen.name if chosen and chosen.name in models else next(iter(names))
    return ui.select(names, label="Model", value=first).classes("grow")
