"""The screen for managing models and data: rename, export, forget, delete."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from nicegui import ui

from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.languages import (
    Sentence,
    Size,
    _,
    facts,
    later,
    moment,
    ngettext,
    nlater,
)
from langchain_chatexports.page.layout import ask, follow, paragraph, show_work, text
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.train import state_text
from langchain_chatexports.workflows import models, removal
from langchain_chatexports.workflows.models import (
    MAX_LABEL_LENGTH,
    KeptJob,
    LocalData,
    TunedModel,
    kept,
)
from langchain_chatexports.workflows.removal import Forgotten, KnownBy
from langchain_chatexports.workflows.train import is_unfinished

_REASONS = {
    "voice": later("it learned this voice"),
    "set": later("it was trained on the set"),
    "text": later("its examples name them"),
}
_KINDS = {
    "model": later("The model {name}"),
    "training": later("The training of {name}"),
    "examples": later("Examples that no training used"),
}
_NOT_DELETED = later(
    "Not deleted: your exports; copies elsewhere, such as models that you exported, "
    "and backups; downloaded base models; what was uploaded to other servers."
)


def build_manage(session: PageSession) -> None:
    paragraph(
        "All models, trainings and examples on this machine. Only files of this "
        "program are deleted, never an export on your disk."
    )

    def work() -> None:
        show_work(session.managing)
        if not session.managing.is_running:
            with ui.element("div").props("role=status").classes("part"):
                for line in session.managed:
                    text(line)
                if session.forgotten is not None:
                    _show_forgotten(session, session.forgotten)

    def all_kept() -> None:
        _show_models(session, _kept(session))

    def look() -> object:
        now = _kept(session)
        shown = [(model.name, model.label) for model in now.models]
        return shown, [(job.id, is_unfinished(job)) for job in now.jobs], now.sets

    # In view, because the button may be far below.
    with ui.element("div").classes("result"):
        # The work may end between two checks.
        follow(
            work, lambda: (session.managing.state, session.managed, session.forgotten)
        )
    follow(all_kept, look)
    _build_forget(session)
    _build_delete_everything(session)


def _kept(session: PageSession) -> LocalData:
    # A killed server trains nothing, whatever its records show.
    now = kept(session.data_dir, session.index_dir)
    return replace(now, jobs=session.jobs())


# What the buttons do, in the background


def _change(
    session: PageSession, title: Sentence, change: Callable[[], list[Sentence | str]]
) -> None:
    def work() -> None:
        session.managed, session.forgotten = [], None
        session.managed = change()

    session.managing.start(title, work)


def rename(session: PageSession, model: TunedModel, label: str) -> None:

    def change() -> list[Sentence | str]:
        models.rename(model.name, label, data_dir=session.data_dir)
        return []

    _change(session, later("Renaming"), change)


def export(session: PageSession, model: TunedModel, typed: str) -> None:
    """Write a model for other programs to a new folder."""

    def change() -> list[Sentence | str]:
        plain = typed.strip().strip("\"'")
        folder = Path(plain).expanduser()
        if not plain:
            raise PageError(later("Name the folder to write."))
        if folder.exists():
            there = later(
                "{folder} is there already: name a new folder.", folder=folder
            )
            raise PageError(there)
        written, lines = models.export_model(
            model.name, folder, data_dir=session.data_dir, gguf=True
        )
        return [later("Written to {folder}", folder=written), *lines]

    _change(session, later("Writing the model, which takes a few minutes"), change)


def delete(session: PageSession, name: str) -> None:

    def change() -> list[Sentence | str]:
        session.leave_talk_with(name)
        models.delete(name, data_dir=session.data_dir)
        return [later("Deleted.")]

    _change(session, later("Deleting"), change)


def delete_everything(session: PageSession) -> None:
    """Delete all data of this machine, and the page's list with its copies."""

    def change() -> list[Sentence | str]:
        session.talk.leave()
        session.stop_server()
        deleted = models.delete_everything(session.data_dir, session.index_dir)
        session.clear()
        return [later("Deleted: {kept}.", kept=_data_text(deleted))]

    _change(session, later("Deleting everything"), change)


def forget(session: PageSession, person: str) -> None:
    """Delete the indexes with a person, and find what else knows them."""

    def change() -> list[Sentence | str]:
        if not person.strip():
            raise PageError(later("Name the person to forget."))
        session.forgotten = removal.forget(
            None,
            people=[person.strip()],
            data_dir=session.data_dir,
            index_dir=session.index_dir,
        )
        return []

    _change(session, later("Forgetting"), change)


def delete_known(session: PageSession, known_by: Sequence[KnownBy]) -> None:
    """Delete models, trainings and examples that know a person."""

    def change() -> list[Sentence | str]:
        for one in known_by:
            session.leave_talk_with(one.id)
        deleted = removal.delete_known(known_by, session.data_dir)
        return [later("Deleted: {what}", what=_known_text(one)) for one in deleted]

    _change(session, later("Deleting"), change)


# What is kept


def _show_models(session: PageSession, found: LocalData) -> None:
    text(_("Models"), tag="h2")
    if not found.models:
        text(_("There is no trained model on this machine."))
    for model in found.models:
        _show_model(session, model)
    if found.jobs_without_model:
        text(_("Unfinished and failed trainings"), tag="h2")
    for job in found.jobs_without_model:
        _show_job(session, job)
    if found.unused_sets:
        text(_("Examples that no training used"), tag="h2")
    for one in found.unused_sets:
        with ui.element("div").classes("card"):
            text(facts(moment(one.created_at), Size(one.size_bytes)))
            with ui.element("div").classes("row-of"):
                _delete_button(session, one.id, _("Delete these examples?"))


def _show_model(session: PageSession, model: TunedModel) -> None:
    person = model.person

    def ask_label() -> None:
        ask(
            _("Rename {name}", name=model.title),
            _("Save"),
            partial(rename, session, model),
            _("The name is for this machine; programs still use the one with ft:."),
            field=lambda: ui.input(_("New name"), value=model.label or "").props(
                f"maxlength={MAX_LABEL_LENGTH} dir=auto"
            ),
        )

    def ask_folder() -> None:
        name = model.short_name.replace(":", "-").strip("-")
        folder = str(Path.home() / f"voice-{name}")
        ask(
            _("Export {name}", name=model.title),
            _("Write"),
            partial(export, session, model),
            _(
                "It is merged into its base, and written to a new folder. A model can "
                "repeat what it learned: whoever gets it can get your messages."
            ),
            field=lambda: ui.input(_("New folder"), value=folder),
        )

    with ui.element("div").classes("card"):
        text(model.title, tag="h3", classes="name")
        text(
            facts(
                _("The voice of {person}", person=person) if person else "",
                model.base_model,
                moment(model.created_at),
                Size(model.size_bytes),
            )
        )
        with ui.element("div").classes("row-of"):
            _button(_("Rename"), _("Rename {name}", name=model.title), ask_label)
            label = _("Export {name}", name=model.title)
            _button(_("Export this model"), label, ask_folder)
            _delete_button(
                session,
                model.name,
                _("Delete {name}?", name=model.title),
                _(
                    "Its training and the examples that only it used are deleted with "
                    "it."
                ),
            )


def _show_job(session: PageSession, job: KeptJob) -> None:
    title = job.person or job.base_model

    def look() -> str:
        jobs = session.jobs()
        return state_text(session, next((j for j in jobs if j.id == job.id), job), jobs)

    def state() -> None:
        text(facts(look(), job.base_model, moment(job.created_at)))

    with ui.element("div").classes("card"):
        text(title, tag="h3", classes="name")
        follow(state, look)
        with ui.element("div").classes("row-of"):
            _delete_button(
                session,
                job.id,
                _("Delete the training of {name}?", name=title),
                _(
                    "It is stopped if it runs, and the examples that only it used are "
                    "deleted with it."
                ),
            )


def _button(title: str, label: str, act: Callable[[], object]) -> None:
    # A label for screen readers, because there are several such buttons.
    button = ui.button(title, on_click=act).props("outline dense")
    button.props["aria-label"] = label


def _delete_button(session: PageSession, name: str, question: str, *more: str) -> None:
    def ask_to_delete() -> None:
        act = partial(delete, session, name)
        ask(question, _("Delete"), act, *more, _NOT_DELETED, deletes=True)

    _button(_("Delete"), question, ask_to_delete)


# People and everything


def _build_forget(session: PageSession) -> None:
    text(_("Forget a person"), tag="h2")
    paragraph(
        "Deletes the search indexes with a person, and lists the models, "
        "trainings and examples on this machine that know them; you can delete "
        "these, too. Exports are not changed; a later search builds new indexes of "
        "them."
    )
    with ui.element("div").classes("row-of"):
        person = ui.input(_("Name or number of the person")).props("dir=auto")
        person.classes("grow")
    ui.button(_("Forget"), on_click=lambda: forget(session, person.value))


def _known_text(one: KnownBy) -> Sentence:
    return replace(_KINDS[one.kind], values={"name": one.title})


def _show_forgotten(session: PageSession, done: Forgotten) -> None:
    if done.indexes:
        text(
            ngettext(
                "Deleted: {count} search index with this person.",
                "Deleted: {count} search indexes with this person.",
                len(done.indexes),
            )
        )
    if not done.known_by:
        text(_("No model, training or examples on this machine know them."))
        return
    text(_("These on this machine still know them:"))
    chosen = {
        one: ui.checkbox(facts(_known_text(one), _REASONS[one.reason]), value=True)
        for one in done.known_by
    }

    def ask_to_delete() -> None:
        wanted = [one for one, box in chosen.items() if box.value]
        ask(
            ngettext(
                "Delete {count} thing that knows them?",
                "Delete {count} things that know them?",
                len(wanted),
            ),
            _("Delete"),
            partial(delete_known, session, wanted),
            _(
                "A model is deleted with its training, and both with the examples "
                "that only they used."
            ),
            _NOT_DELETED,
            deletes=True,
        )

    with ui.element("div"):
        button = ui.button(_("Delete these, too …"), on_click=ask_to_delete)
        button.props("outline color=negative")


def _build_delete_everything(session: PageSession) -> None:
    def ask_to_delete() -> None:
        found = _data_text(kept(session.data_dir, session.index_dir))
        ask(
            _("Delete everything?"),
            _("Delete everything"),
            partial(delete_everything, session),
            _(
                "{kept}; the talk, and what this page has read. A training that "
                "runs is stopped.",
                kept=found,
            ),
            _NOT_DELETED,
            deletes=True,
        )

    text(_("Delete everything"), tag="h2")
    text(_NOT_DELETED)
    with ui.element("div"):
        button = ui.button(_("Delete everything …"), on_click=ask_to_delete)
        button.props("outline color=negative")


def _data_text(data: LocalData) -> Sentence:
    return later(
        "{models}, {trainings}, {sets}, {indexes}: {size}",
        models=nlater("{count} model", "{count} models", len(data.models)),
        trainings=nlater("{count} training", "{count} trainings", len(data.jobs)),
        sets=nlater(
            "{count} file of examples", "{count} files of examples", len(data.sets)
        ),
        indexes=nlater(
            "{count} search index", "{count} search indexes", len(data.indexes)
        ),
        size=Size(data.size_bytes),
    )
