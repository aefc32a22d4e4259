"""The choice of a tuned model on this machine."""

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from langchain_chatexports.local_server import list_models
from langchain_chatexports.page.languages import _, facts, moment
from langchain_chatexports.page.layout import follow, next_link, text
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.workflows.models import TunedModel


def kept_models(session: PageSession) -> dict[str, TunedModel]:
    """Return the tuned models by name, newest first; show a note if there are none."""
    models = {model.name: model for model in list_models(session.data_dir)}
    if not models:
        _build_no_model(session)
    return models


def _build_no_model(session: PageSession) -> None:
    def note() -> None:
        if training := session.training:
            text(training)
            next_link(_("See the training"), "/train")
        else:
            text(_("There is no trained model on this machine yet."))
            next_link(_("Train one first"), "/")

    follow(note, lambda: session.training)


def model_select(
    models: dict[str, TunedModel],
    chosen: TunedModel | None,
    others: Mapping[str, str] | None = None,
) -> Any:
    """Add a choice of one model; `others` are further values with their labels."""
    names = {
        name: facts(model.title, model.base_model, moment(model.created_at))
        for name, model in models.items()
    }
    names |= others or {}
    first = chosen.name if chosen and chosen.name in models else next(iter(names))
    return ui.select(names, label=_("Model"), value=first).classes("grow")
