"""Changes of what is stored on this computer, in the background."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from langchain_chatexports.local_server import (
    Model,
    export_model,
    usage_instructions,
)
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.languages import (
    LazyMessage,
    Size,
    lazy_gettext,
    lazy_ngettext,
)
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.snapshot import Outcome
from langchain_chatexports.workflows import models, removal
from langchain_chatexports.workflows.models import (
    LocalData,
)
from langchain_chatexports.workflows.removal import RemainingCopy

MODELS, FORGET, EVERYTHING = "models", "forget", "everything"
TITLES = {
    "model": lazy_gettext("The model {name}"),
    "training": lazy_gettext("The unfinished model {name}"),
    "examples": lazy_gettext("What was prepared to learn from, and is not used"),
}
NOT_DELETED = lazy_gettext(
    "What stays: your chats and their files; models that you have exported; copies "
    "elsewhere, such as backups; downloaded language models."
)


def title_of(item: RemainingCopy) -> LazyMessage:
    """Return what a copy is called."""
    return replace(TITLES[item.kind], values={"name": item.title})


def _run(
    session: PageSession,
    place: str,
    title: LazyMessage,
    change: Callable[[], Outcome | None],
) -> None:
    def work() -> None:
        session.outcome = change() or session.outcome
        session.refresh()

    if not session.managing.is_running:
        session.outcome = Outcome(place)
        session.managing.start(title, work)


def rename(session: PageSession, model: Model, label: str) -> None:
    """Change the label of a model."""

    def change() -> None:
        session.workspace.models.rename(model.name, label)

    _run(session, MODELS, lazy_gettext("Renaming"), change)


def export(session: PageSession, model: Model, folder_text: str) -> None:
    """Export a model for other programs to a new folder."""

    def change() -> Outcome:
        name = folder_text.strip().strip("\"'")
        folder = Path(name).expanduser()
        if not name:
            raise PageError(lazy_gettext("Enter the folder to write to."))
        if folder.exists():
            message = lazy_gettext(
                "{folder} already exists: choose a new folder.", folder=folder
            )
            raise PageError(message)
        path = export_model(model, folder, gguf=True)
        done = lazy_gettext("Written to {folder}", folder=path)
        return Outcome(MODELS, (done, *usage_instructions(path)))

    _run(
        session,
        MODELS,
        lazy_gettext("Writing the model; this takes a few minutes"),
        change,
    )


def delete_stored(session: PageSession, name: str) -> None:
    """Delete a model with its talks, an unfinished one, or what was prepared."""

    def change() -> Outcome:
        session.workspace.delete(name)
        return Outcome(MODELS, (lazy_gettext("Deleted."),))

    _run(session, MODELS, lazy_gettext("Deleting"), change)


def forget(session: PageSession, person: str) -> None:
    """Delete the indexes with a person, and find models and examples with them."""

    def change() -> Outcome:
        shutil.rmtree(session.search_dir, ignore_errors=True)
        found = removal.forget(
            None,
            people=[person.strip()],
            workspace=session.workspace,
            index_dir=session.index_dir,
        )
        return Outcome(FORGET, found=found)

    _run(session, FORGET, lazy_gettext("Searching"), change)


def delete_remaining(session: PageSession, remaining: Sequence[RemainingCopy]) -> None:
    """Delete the remaining models, trainings and examples with a person."""

    def change() -> Outcome:
        deleted = removal.delete_remaining(remaining, session.workspace)
        lines = (lazy_gettext("Deleted: {what}", what=title_of(i)) for i in deleted)
        return Outcome(FORGET, tuple(lines))

    _run(session, FORGET, lazy_gettext("Deleting"), change)


def delete_everything(session: PageSession) -> None:
    """Delete all data of this program, and the page's copies of chats."""

    def change() -> Outcome:
        session.stop_server()
        shutil.rmtree(session.search_dir, ignore_errors=True)
        deleted = models.delete_everything(session.workspace, session.index_dir)
        session.clear()
        done = lazy_gettext("Deleted: {kept}.", kept=data_text(deleted))
        return Outcome(EVERYTHING, (done,))

    _run(session, EVERYTHING, lazy_gettext("Deleting everything"), change)


def data_text(data: LocalData) -> LazyMessage:
    """Return how much data there is, and of what kind."""
    return lazy_gettext(
        "{models}, {prepared}, {indexes}: {size}",
        models=lazy_ngettext("{count} model", "{count} models", len(data.models)),
        prepared=lazy_ngettext(
            "{count} set to learn from",
            "{count} sets to learn from",
            len(data.snapshot.files),
        ),
        indexes=lazy_ngettext(
            "{count} search file", "{count} search files", len(data.indexes)
        ),
        size=Size(data.size_bytes),
    )
