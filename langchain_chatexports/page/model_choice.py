"""The choice of a tuned model on this machine."""

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from langchain_chatexports.local_server import Model
from langchain_chatexports.page.languages import _, format_time, join_parts
from langchain_chatexports.page.layout import next_link, rebuild_on_change, text
from langchain_chatexports.page.session import PageSession


def find_tuned_models(session: PageSession) -> dict[str, Model]:
    """Return the tuned models by name, newest first; without any, show a note."""
    models = {model.name: model for model in session.snapshot.models}
    if not models:
        _build_no_model(session)
    return models


def _build_no_model(session: PageSession) -> None:
    def note() -> None:
        if training := session.training_status:
            text(training)
            next_link(_("See the training run"), "/train")
        else:
            text(_("No trained models on this machine yet."))
            next_link(_("Train one first"), "/add")

    rebuild_on_change(note, lambda: session.training_status)


def model_select(
    models: dict[str, Model],
    chosen: Model | None,
    others: Mapping[str, str] | None = None,
) -> Any:
    """Add a select of models; `others` are further values with their labels."""
    labels = {
        name: join_parts(model.title, model.base_model, format_time(model.created_at))
        for name, model in models.items()
    }
    labels |= others or {}
    value = chosen.name if chosen and chosen.name in models else next(iter(labels))
    return ui.select(labels, label=_("Model"), value=value).classes("grow")
