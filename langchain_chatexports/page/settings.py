"""Settings: what is stored on this computer, with its deletion, and privacy."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from nicegui import ui

from langchain_chatexports.local_server import (
    ExampleFile,
    Job,
    Model,
    State,
    export_model,
    usage_instructions,
)
from langchain_chatexports.page.elements import (
    KeyedList,
    Show,
    WorkBar,
    add,
    ask,
    button,
    line_form,
    link,
    set_text,
)
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.frame import SETTINGS, TEACH, screen
from langchain_chatexports.page.languages import (
    LazyMessage,
    Size,
    _,
    format_time,
    join_parts,
    lazy_gettext,
    lazy_ngettext,
    ngettext,
)
from langchain_chatexports.page.people import job_person, person_key
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.snapshot import Outcome, Snapshot
from langchain_chatexports.page.work import IDLE, WorkState
from langchain_chatexports.workflows import models, removal
from langchain_chatexports.workflows.models import (
    MAX_LABEL_LENGTH,
    LocalData,
    list_data,
)
from langchain_chatexports.workflows.removal import RemainingCopy
from langchain_chatexports.workflows.saved_talks import model_talks

_MODELS, _FORGET, _EVERYTHING = "models", "forget", "everything"
_CHECKED = "(event) => emit(event.target.checked)"
_REASONS = {
    "person": lazy_gettext("it writes like this person"),
    "set": lazy_gettext("it has learned from the same chats"),
    "text": lazy_gettext("this person is named in what it has learned from"),
}
_TITLES = {
    "model": lazy_gettext("The model {name}"),
    "training": lazy_gettext("The unfinished model {name}"),
    "examples": lazy_gettext("What was prepared to learn from, and is not used"),
}
_NOT_DELETED = lazy_gettext(
    "What stays: your chats and their files; models that you have exported; copies "
    "elsewhere, such as backups; downloaded language models."
)


# Changes, in the background


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

    _run(session, _MODELS, lazy_gettext("Renaming"), change)


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
        return Outcome(_MODELS, (done, *usage_instructions(path)))

    _run(
        session,
        _MODELS,
        lazy_gettext("Writing the model; this takes a few minutes"),
        change,
    )


def delete_stored(session: PageSession, name: str) -> None:
    """Delete a model with its talks, an unfinished one, or what was prepared."""

    def change() -> Outcome:
        session.workspace.delete(name)
        return Outcome(_MODELS, (lazy_gettext("Deleted."),))

    _run(session, _MODELS, lazy_gettext("Deleting"), change)


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
        return Outcome(_FORGET, found=found)

    _run(session, _FORGET, lazy_gettext("Searching"), change)


def delete_remaining(session: PageSession, remaining: Sequence[RemainingCopy]) -> None:
    """Delete the remaining models, trainings and examples with a person."""

    def change() -> Outcome:
        deleted = removal.delete_remaining(remaining, session.workspace)
        lines = (lazy_gettext("Deleted: {what}", what=_title(i)) for i in deleted)
        return Outcome(_FORGET, tuple(lines))

    _run(session, _FORGET, lazy_gettext("Deleting"), change)


def delete_everything(session: PageSession) -> None:
    """Delete all data of this program, and the page's copies of chats."""

    def change() -> Outcome:
        session.stop_server()
        shutil.rmtree(session.search_dir, ignore_errors=True)
        deleted = models.delete_everything(session.workspace, session.index_dir)
        session.clear()
        done = lazy_gettext("Deleted: {kept}.", kept=_data_text(deleted))
        return Outcome(_EVERYTHING, (done,))

    _run(session, _EVERYTHING, lazy_gettext("Deleting everything"), change)


# The screen


def build_settings(session: PageSession) -> None:
    """Build the screen."""
    with (
        screen(session, SETTINGS, _("Settings")),
        ui.element("div").classes("body"),
    ):
        with add("section", classes="card"):
            add("h2", _("Models"))
            none = add("p", _("There are no models on this computer yet."), "quiet")
            _build_outcome(session, _MODELS)
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
        _build_forget(session)
        _build_everything(session)

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


def _build_outcome(session: PageSession, place: str) -> None:
    """Add what the last change in a part of the settings does, and has done."""
    bar = WorkBar()
    lines = KeyedList(_build_line, lambda line: line, "div")
    lines.props("role=status")

    def show(shown: tuple[WorkState, Outcome | None]) -> None:
        work, outcome = shown
        is_here = outcome is not None and outcome.place == place
        bar.show(work if is_here else IDLE)
        lines.show(map(str, outcome.lines) if outcome and is_here else ())

    session.published.watch(lambda s: (s.managing, s.outcome), show)


def _build_line(_row: ui.element, _line: str) -> Show[str]:
    text = add("p", dir="auto")
    return lambda line: set_text(text, line)


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
        _NOT_DELETED,
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
        _NOT_DELETED,
        is_destructive=True,
    )


def _build_file(
    session: PageSession, row: ui.element, file: ExampleFile
) -> Show[ExampleFile]:
    row.classes("stored")
    title = str(_TITLES["examples"])
    add("p", join_parts(title, format_time(file.created_at), Size(file.size_bytes)))

    def confirm() -> None:
        ask(
            _("Delete what was prepared?"),
            _("Delete"),
            lambda _text: delete_stored(session, file.id),
            _NOT_DELETED,
            is_destructive=True,
        )

    with ui.element("div").classes("buttons"):
        button(_("Delete"), confirm, "quiet")
    return lambda _file: None


# Deletion of people and of everything


def _title(item: RemainingCopy) -> LazyMessage:
    return replace(_TITLES[item.kind], values={"name": item.title})


def _build_forget(session: PageSession) -> None:
    chosen: set[RemainingCopy] = set()
    with add("section", classes="card"):
        add("h2", _("Forget a person"))
        add(
            "p",
            _(
                "Deletes what makes searching for a person's messages fast, and lists "
                "the models that know the person, so that you can delete them. Your "
                "chats stay as they are."
            ),
        )
        form = line_form(
            _("Name or phone number"), _("Forget"), partial(forget, session)
        )
        form.mark("forget")
        _build_outcome(session, _FORGET)
        text = add("p", role="status")
        items = KeyedList(partial(_build_remaining, chosen), lambda i: i.id)

        def confirm() -> None:
            count = len(chosen)
            if count:
                ask(
                    ngettext("Delete {count} item?", "Delete {count} items?", count),
                    _("Delete"),
                    lambda _text: delete_remaining(session, [*chosen]),
                    _("With a model go its training and your chats with it."),
                    _NOT_DELETED,
                    is_destructive=True,
                )

        with ui.element("div").classes("buttons"):
            end = button(_("Delete these, too …"), confirm, "quiet")

    def show(outcome: Outcome | None) -> None:
        found = outcome.found if outcome else None
        remaining = found.remaining if found else []
        chosen.clear()
        chosen.update(remaining)
        items.show(remaining)
        end.set_visibility(bool(remaining))
        sentences = []
        if found is not None:
            sentences = [
                _("Searching no longer finds this person quickly.")
                if found.indexes
                else "",
                ngettext(
                    "Deleted: {count} chat with this person.",
                    "Deleted: {count} chats with this person.",
                    found.talks,
                )
                if found.talks
                else "",
                _("What still knows this person:")
                if remaining
                else _("No model on this computer knows this person."),
            ]
        set_text(text, " ".join(filter(None, sentences)))

    session.published.watch(lambda s: s.outcome, show)


def _build_remaining(
    chosen: set[RemainingCopy], _row: ui.element, item: RemainingCopy
) -> Show[RemainingCopy]:
    def toggle(is_on: object) -> None:
        (chosen.add if is_on else chosen.discard)(item)

    with add("label", classes="choice"):
        box = add("input", type="checkbox", checked=True)
        add("span", join_parts(_title(item), _REASONS[item.reason]), dir="auto")
    box.on("change", lambda e: toggle(e.args), js_handler=_CHECKED)
    return lambda _item: None


def _build_everything(session: PageSession) -> None:
    def confirm() -> None:
        data = list_data(session.workspace, session.index_dir)
        ask(
            _("Delete everything?"),
            _("Delete everything"),
            lambda _text: delete_everything(session),
            _(
                "{kept}; all your chats with models, and the chats on this page. What "
                "learns now is stopped.",
                kept=_data_text(data),
            ),
            _NOT_DELETED,
            is_destructive=True,
        )

    with add("section", classes="card"):
        add("h2", _("Delete everything"))
        add("p", _NOT_DELETED)
        _build_outcome(session, _EVERYTHING)
        with ui.element("div").classes("buttons"):
            button(_("Delete everything …"), confirm, "danger")


def _data_text(data: LocalData) -> LazyMessage:
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
