"""Settings: what is stored on this computer, with its deletion, and privacy."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from nicegui import ui

from langchain_chatexports.local_server import (
    ExampleFile,
    Job,
    Model,
    State,
)
from langchain_chatexports.page.changes import (
    MODELS,
    NOT_DELETED,
    TITLES,
    delete_stored,
    export,
    rename,
)
from langchain_chatexports.page.deletion import (
    build_everything,
    build_forget,
    build_outcome,
)
from langchain_chatexports.page.elements import (
    KeyedList,
    Show,
    add,
    ask,
    button,
    link,
    set_text,
)
from langchain_chatexports.page.frame import SETTINGS, TEACH, screen
from langchain_chatexports.page.languages import (
    Size,
    _,
    format_time,
    join_parts,
    ngettext,
)
from langchain_chatexports.page.people import job_person, person_key
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.snapshot import Snapshot
from langchain_chatexports.workflows.models import (
    MAX_LABEL_LENGTH,
)
from langchain_chatexports.workflows.saved_talks import model_talks


def build_settings(session: PageSession) -> None:
    """Build the screen."""
    with (
        screen(session, SETTINGS, _("Settings")),
        ui.element("div").classes("body"),
    ):
        with add("section", classes="card"):
            add("h2", _("Models"))
            none = add("p", _("There are no models on this computer yet."), "quiet")
            build_outcome(session, MODELS)
            model_list = KeyedList(partial(_build_model, session), lambda m: m.name)
            jobs = KeyedList(partial(_build_job, session), lambda j: j.id)
            files = KeyedList(partial(_build_file, session), lambda f: f.id)
        with add("section", classes="card"):
            add("h2", _("Privacy"))
            add(
                "p",
                _(
                    "Everything happens on this computer. Nothing is sent anywhere; "
                    "only language models are downloaded, and you are asked before. "
                    "The copies of your chats are deleted when this program ends. A "
                    "model can repeat what it has learned: give it to nobody whom "
                    "you would not let read the chats."
                ),
            )
        build_forget(session)
        build_everything(session)

    def show(data: tuple[tuple[Model, ...], list[Job], list[ExampleFile]]) -> None:
        none.set_visibility(not data[0])
        model_list.show(data[0])
        jobs.show(data[1])
        files.show(data[2])

    def select(
        snapshot: Snapshot,
    ) -> tuple[tuple[Model, ...], list[Job], list[ExampleFile]]:
        stored = snapshot.stored
        finished = {model.job_id for model in stored.models}
        unfinished = [
            # A step changes nothing that is shown here.
            replace(job, step=0, loss=None, saved_step=0)
            for job in stored.jobs
            if job.id not in finished
        ]
        unused = [file for file in stored.files if not stored.jobs_of(file)]
        return stored.models, unfinished, unused

    session.published.watch(select, show)


def _build_model(session: PageSession, row: ui.element, model: Model) -> Show[Model]:
    row.classes("stored")
    title = add("h3", classes="name", dir="auto")
    facts = add("p", classes="quiet", dir="auto")
    with ui.element("div").classes("buttons"):
        buttons = [
            button(text, partial(act, session, model), kind)
            for text, act, kind in (
                (_("Rename"), _ask_for_name, "quiet"),
                (_("Export"), _ask_for_folder, "quiet"),
                (_("Delete"), _ask_for_deletion, "quiet"),
            )
        ]

    buttons[-1].mark(f"delete-{model.name}")

    def show(model: Model) -> None:
        set_text(title, model.title)
        person = _("writes like {name}", name=model.person) if model.person else ""
        time = format_time(model.created_at)
        set_text(facts, join_parts(person, time, Size(model.size_bytes)))
        for element in buttons:
            # Voice control needs the visible word first.
            element.props["aria-label"] = f"{element.text}: {model.title}"

    return show


def _current(session: PageSession, model: Model) -> Model:
    stored = session.published.value.stored.models
    return next((other for other in stored if other.name == model.name), model)


def _ask_for_name(session: PageSession, model: Model) -> None:
    current = _current(session, model)
    ask(
        _("Rename {name}", name=current.title),
        _("Save"),
        lambda text: rename(session, model, text[:MAX_LABEL_LENGTH]),
        label=_("New name"),
        value=current.label or "",
    )


def _ask_for_folder(session: PageSession, model: Model) -> None:
    name = model.short_name.replace(":", "-").strip("-")
    ask(
        _("Export {name}", name=_current(session, model).title),
        _("Write"),
        lambda text: export(session, model, text),
        _(
            "The model is written to a new folder, for other programs. A model can "
            "repeat what it has learned: whoever has it can extract your messages."
        ),
        label=_("New folder"),
        value=str(Path.home() / f"voice-{name}"),
    )


def _ask_for_deletion(session: PageSession, model: Model) -> None:
    talks = len(model_talks(model).list())
    ask(
        _("Delete {name}?", name=_current(session, model).title),
        _("Delete"),
        lambda _text: delete_stored(session, model.name),
        _("With it go its training, and what was prepared only for it to learn from."),
        *(
            [
                ngettext(
                    "Also {count} chat with it.", "Also {count} chats with it.", talks
                )
            ]
            if talks
            else []
        ),
        NOT_DELETED,
        is_destructive=True,
    )


def _build_job(session: PageSession, row: ui.element, job: Job) -> Show[Job]:
    row.classes("stored")
    name = job_person(job)
    link(name, f"{TEACH}/{person_key(name)}", "name", dir="auto")
    facts = add("p", classes="quiet")

    with ui.element("div").classes("buttons"):
        end = button(_("Delete"), partial(confirm_deletion, session, job), "quiet")
        end.props["aria-label"] = f"{_('Delete')}: {name}"

    def show(job: Job) -> None:
        states = {
            State.QUEUED: _("waits to learn"),
            State.RUNNING: _("learns"),
            State.PAUSED: _("paused"),
        }
        state = states.get(job.state, _("has not learned to the end"))
        set_text(facts, join_parts(state, format_time(job.created_at)))

    return show


def confirm_deletion(session: PageSession, job: Job) -> None:
    """Ask whether to delete an unfinished training."""
    ask(
        _("Delete what {name} has learned so far?", name=job_person(job)),
        _("Delete"),
        lambda _text: delete_stored(session, job.id),
        _("What was prepared for it goes, too."),
        NOT_DELETED,
        is_destructive=True,
    )


def _build_file(
    session: PageSession, row: ui.element, file: ExampleFile
) -> Show[ExampleFile]:
    row.classes("stored")
    title = str(TITLES["examples"])
    add("p", join_parts(title, format_time(file.created_at), Size(file.size_bytes)))

    def confirm() -> None:
        ask(
            _("Delete what was prepared?"),
            _("Delete"),
            lambda _text: delete_stored(session, file.id),
            NOT_DELETED,
            is_destructive=True,
        )

    with ui.element("div").classes("buttons"):
        button(_("Delete"), confirm, "quiet")
    return lambda _file: None
