"""The screen for managing models and data: rename, export, forget, delete."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from nicegui import ui

from langchain_chatexports.chat_loaders.recognition import PLATFORM_NAMES
from langchain_chatexports.page.languages import (
    Size,
    _,
    facts,
    later,
    moment,
    ngettext,
)
from langchain_chatexports.page.layout import answers, dialog, follow, show_work, text
from langchain_chatexports.page.manage_state import data_text
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.train import state_text
from langchain_chatexports.workflows.models import (
    MAX_LABEL_LENGTH,
    KeptJob,
    KeptSet,
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
_OTHER_PROGRAMS = {
    True: later("Ollama and llama.cpp: one GGUF file"),
    False: later("A Hugging Face folder: transformers, vLLM"),
}

_NOT_DELETED = later(
    "Not deleted: your exports; copies elsewhere, such as models that you exported, "
    "and backups; downloaded base models; what was uploaded to other servers."
)


def build_manage(session: PageSession) -> None:
    """Build the screen."""
    text(
        _(
            "All models, trainings and examples on this machine. Only files of this "
            "program are deleted, never an export on your disk."
        )
    )
    manage = session.manage

    @ui.refreshable
    def work() -> None:
        with ui.element("div").classes("part"):
            show_work(manage.working)
            if not manage.working.is_running:
                with ui.element("div").props("role=status").classes("part"):
                    for line in manage.done:
                        text(line)
                    for one in manage.deleted:
                        text(_("Deleted: {what}", what=_known_text(one)))
                    if manage.forgotten is not None:
                        _show_forgotten(session, manage.forgotten)

    def look_at_work() -> object:
        # The work may end between two checks.
        did = manage.done, manage.forgotten, manage.deleted
        return manage.working.is_running, manage.working.error, did

    def kept_now() -> LocalData:
        # A killed server trains nothing, whatever its records show.
        now = kept(session.data_dir, session.index_dir)
        return replace(now, jobs=session.jobs())

    found = [kept_now()]

    def look() -> object:
        now = kept_now()
        found[:] = [now]
        models = [(model.name, model.label) for model in now.models]
        jobs = [(job.id, is_unfinished(job)) for job in now.jobs]
        return models, jobs, now.sets

    @ui.refreshable
    def all_kept() -> None:
        with ui.element("div").classes("part"):
            _show_models(session, found)

    # Scroll to it, because the button may be far below.
    with ui.element("div").classes("result"):
        follow(work, look_at_work)
    follow(all_kept, look)
    _build_forget(session)
    _build_delete_everything(session)


def _show_models(session: PageSession, now: list[LocalData]) -> None:
    (found,) = now
    text(_("Models"), tag="h2")
    if not found.models:
        text(_("There is no trained model on this machine."))
    for model in found.models:
        _show_model(session, model, found.sets_of(model.job_id))
    if found.jobs_without_model:
        text(_("Unfinished and failed trainings"), tag="h2")
    for job in found.jobs_without_model:
        _show_job(session, job, now)
    if found.unused_sets:
        text(_("Examples that no training used"), tag="h2")
    for one in found.unused_sets:
        with ui.element("div").classes("card"):
            text(facts(moment(one.created_at), _size([one])))
            with ui.element("div").classes("row-of"):
                _delete_button(session, one.id, _("Delete these examples?"))


def _show_model(
    session: PageSession, model: TunedModel, sets: Sequence[KeptSet]
) -> None:
    with ui.element("div").classes("card"):
        text(model.title, tag="h3", classes="name")
        source = source_in_words(model.source or "")
        text(
            facts(
                _("The voice of {person}", person=model.person) if model.person else "",
                model.base_model,
                moment(model.created_at),
                Size(model.size_bytes),
                _("from {files}", files=source) if source else "",
            )
        )
        text(
            facts(
                _("Its examples: {size}", size=_size(sets)),
                _("Its name for programs: {name}", name=model.name),
            ),
            classes="quiet",
        )
        with ui.element("div").classes("row-of"):
            rename = _("Rename {name}", name=model.title)
            _button(_("Rename"), rename, lambda: _ask_label(session, model))
            take = _("Export {name}", name=model.title)
            _button(_("Export this model"), take, lambda: _ask_folder(session, model))
            _delete_button(
                session,
                model.name,
                _("Delete {name}?", name=model.title),
                _(
                    "Its training and the examples that only it used are deleted with "
                    "it."
                ),
            )


def _show_job(session: PageSession, job: KeptJob, now: list[LocalData]) -> None:
    title = job.person or job.base_model
    sets = now[0].sets_of(job.id)

    def look() -> str:
        jobs = now[0].jobs
        current = next((other for other in jobs if other.id == job.id), job)
        return state_text(session, current, jobs)

    @ui.refreshable
    def state() -> None:
        text(
            facts(
                look(),
                job.base_model,
                moment(job.created_at),
                _("Its examples: {size}", size=_size(sets)),
            )
        )

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


def source_in_words(source: str) -> str:
    """Return the source of a model's examples, with the platforms' own names."""

    def named(found: re.Match[str]) -> str:
        name = PLATFORM_NAMES[found[2]]
        # A file's name can begin with the platform's.
        return found[1] + ("" if found[3].startswith(name) else f"{name} ") + found[3]

    return re.sub(rf"(^|, )({'|'.join(PLATFORM_NAMES)}) (\w+)", named, source)


def _size(sets: Sequence[KeptSet]) -> str:
    if not sets:
        return _("none")
    return str(Size(sum(one.size_bytes for one in sets)))


def _button(title: str, label: str, act: Callable[[], object]) -> None:
    # A label for screen readers, because there are several such buttons.
    button = ui.button(title, on_click=act).props("outline dense")
    button.props["aria-label"] = label


def _delete_button(
    session: PageSession, name: str, question: str, more: str = ""
) -> None:
    def ask() -> None:
        with dialog(question) as opened:
            if more:
                text(more)
            text(_NOT_DELETED)
            answers(
                opened,
                _("Delete"),
                lambda: session.manage.delete(name),
                deletes=True,
            )

    _button(_("Delete"), question, ask)


def _ask_label(session: PageSession, model: TunedModel) -> None:
    with dialog(_("Rename {name}", name=model.title)) as opened:
        text(_("The name is for this machine; programs still use the one with ft:."))
        label = ui.input(_("New name"), value=model.label or "")
        label.props(f"maxlength={MAX_LABEL_LENGTH} dir=auto")
        answers(
            opened,
            _("Save"),
            lambda: session.manage.rename(model, label.value),
            field=label,
        )


def _ask_folder(session: PageSession, model: TunedModel) -> None:
    name = model.short_name.replace(":", "-").strip("-")
    with dialog(_("Export {name}", name=model.title)) as opened:
        text(
            _(
                "It is merged into its base, and written to a new folder. A model can "
                "repeat what it learned: whoever gets it can get your messages."
            )
        )
        gguf = ui.radio({k: str(v) for k, v in _OTHER_PROGRAMS.items()}, value=True)
        folder = ui.input(_("New folder"), value=str(Path.home() / f"voice-{name}"))
        answers(
            opened,
            _("Write"),
            lambda: session.manage.export(model, folder.value, gguf=gguf.value),
            field=folder,
        )


def _build_forget(session: PageSession) -> None:
    text(_("Forget a person"), tag="h2")
    text(
        _(
            "Deletes the search indexes with a person, and lists the models, "
            "trainings and examples on this machine that know them; you can delete "
            "these, too. Exports are not changed; a later search builds new indexes of "
            "them."
        )
    )
    with ui.element("div").classes("row-of"):
        person = ui.input(_("Name or number of the person")).props("dir=auto")
        person.classes("grow")
    ui.button(_("Forget"), on_click=lambda: session.manage.forget(person.value))


def _known_text(one: KnownBy) -> str:
    if one.kind == "model":
        return _("The model {name}", name=one.title)
    if one.kind == "training":
        return _("The training of {name}", name=one.title)
    return _("Examples that no training used")


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
        question = ngettext(
            "Delete {count} thing that knows them?",
            "Delete {count} things that know them?",
            len(wanted),
        )
        with dialog(question) as opened:
            text(
                _(
                    "A model is deleted with its training, and both with the examples "
                    "that only they used."
                )
            )
            text(_NOT_DELETED)
            answers(
                opened,
                _("Delete"),
                lambda: session.manage.delete_known(wanted),
                deletes=True,
            )

    with ui.element("div"):
        button = ui.button(_("Delete these, too …"), on_click=ask_to_delete)
        button.props("outline color=negative")


def _build_delete_everything(session: PageSession) -> None:
    def ask() -> None:
        with dialog(_("Delete everything?")) as opened:
            found = kept(session.data_dir, session.index_dir)
            text(
                _(
                    "{kept}; the talk, and what this page has read. A training that "
                    "runs is stopped.",
                    kept=data_text(found),
                )
            )
            text(_NOT_DELETED)
            answers(
                opened,
                _("Delete everything"),
                session.manage.delete_everything,
                deletes=True,
            )

    text(_("Delete everything"), tag="h2")
    text(_NOT_DELETED)
    with ui.element("div"):
        ui.button(_("Delete everything …"), on_click=ask).props(
            "outline color=negative"
        )
