"""The screen for managing models and data: rename, export, forget, delete."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from nicegui import ui

from langchain_chatexports.local_server import (
    Job,
    Model,
    export_model,
    usage_instructions,
)
from langchain_chatexports.page.errors import PageError
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
from langchain_chatexports.page.layout import (
    paragraph,
    rebuild_on_change,
    show_dialog,
    show_work,
    text,
)
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.train import state_text
from langchain_chatexports.workflows import models, removal
from langchain_chatexports.workflows.models import (
    MAX_LABEL_LENGTH,
    LocalData,
    list_data,
)
from langchain_chatexports.workflows.removal import ForgetResult, RemainingCopy

_REASONS = {
    "person": lazy_gettext("it learned this voice"),
    "set": lazy_gettext("it was trained on these examples"),
    "text": lazy_gettext("its examples name this person"),
}
_TITLES = {
    "model": lazy_gettext("Model {name}"),
    "training": lazy_gettext("Training run for {name}"),
    "examples": lazy_gettext("Unused examples"),
}
_NOT_DELETED = lazy_gettext(
    "Not deleted: your exports; copies elsewhere, such as exported models and "
    "backups; downloaded base models; uploads to other servers."
)


def build_manage(session: PageSession) -> None:
    paragraph(
        "These are all models, training runs and examples on this machine. Only this "
        "program's files are deleted, never your exports."
    )

    def show_result() -> None:
        show_work(session.managing)
        if not session.managing.is_running:
            with ui.element("div").props("role=status").classes("part"):
                for line in session.manage_results:
                    text(line)
                if session.forget_result is not None:
                    _show_forget_result(session, session.forget_result)

    def show_stored_data() -> None:
        _show_data(session, list_data(session.workspace, session.index_dir))

    def data_state() -> object:
        stored = session.snapshot
        names = [(model.name, model.label) for model in stored.models]
        return names, [(job.id, job.is_active) for job in stored.jobs], stored.files

    # Sticky, because the clicked button may be far below.
    with ui.element("div").classes("result"):
        rebuild_on_change(
            show_result,
            lambda: (
                session.managing.state,
                session.manage_results,
                session.forget_result,
            ),
        )
    rebuild_on_change(show_stored_data, data_state)
    _build_forget(session)
    _build_delete_everything(session)


# Actions in the background


def _run_change(
    session: PageSession,
    title: LazyMessage,
    change: Callable[[], list[LazyMessage | str]],
) -> None:
    def work() -> None:
        session.manage_results, session.forget_result = [], None
        session.manage_results = change()
        session.refresh()

    session.managing.start(title, work)


def rename(session: PageSession, model: Model, label: str) -> None:

    def change() -> list[LazyMessage | str]:
        session.workspace.models.rename(model.name, label)
        return []

    _run_change(session, lazy_gettext("Renaming"), change)


def export(session: PageSession, model: Model, folder_text: str) -> None:
    """Export a model for other programs to a new folder."""

    def change() -> list[LazyMessage | str]:
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
        return [done, *usage_instructions(path)]

    _run_change(
        session, lazy_gettext("Writing the model; this takes a few minutes"), change
    )


def delete(session: PageSession, name: str) -> None:

    def change() -> list[LazyMessage | str]:
        session.workspace.delete(name)
        return [lazy_gettext("Deleted.")]

    _run_change(session, lazy_gettext("Deleting"), change)


def delete_everything(session: PageSession) -> None:
    """Delete all data of this program, and the page's exports with their copies."""

    def change() -> list[LazyMessage | str]:
        session.stop_server()
        deleted = models.delete_everything(session.workspace, session.index_dir)
        session.clear()
        return [lazy_gettext("Deleted: {kept}.", kept=_data_text(deleted))]

    _run_change(session, lazy_gettext("Deleting everything"), change)


def forget(session: PageSession, person: str) -> None:
    """Delete the indexes with a person, and find models and examples with them."""

    def change() -> list[LazyMessage | str]:
        if not person.strip():
            raise PageError(lazy_gettext("Enter the name of the person to forget."))
        session.forget_result = removal.forget(
            None,
            people=[person.strip()],
            workspace=session.workspace,
            index_dir=session.index_dir,
        )
        return []

    _run_change(session, lazy_gettext("Forgetting"), change)


def delete_remaining(session: PageSession, remaining: Sequence[RemainingCopy]) -> None:
    """Delete the remaining models, training runs and examples with a person."""

    def change() -> list[LazyMessage | str]:
        deleted = removal.delete_remaining(remaining, session.workspace)
        return [lazy_gettext("Deleted: {what}", what=_title(item)) for item in deleted]

    _run_change(session, lazy_gettext("Deleting"), change)


# Stored data


def _show_data(session: PageSession, data: LocalData) -> None:
    text(_("Models"), tag="h2")
    if not data.models:
        text(_("No trained models on this machine."))
    for model in data.models:
        _show_model(session, model)
    if data.jobs_without_model:
        text(_("Unfinished and failed training runs"), tag="h2")
    for job in data.jobs_without_model:
        _show_job(session, job)
    if data.unused_files:
        text(_("Unused examples"), tag="h2")
    for unused in data.unused_files:
        with ui.element("div").classes("card"):
            text(join_parts(format_time(unused.created_at), Size(unused.size_bytes)))
            with ui.element("div").classes("form-row"):
                _delete_button(session, unused.id, _("Delete these examples?"))


def _show_model(session: PageSession, model: Model) -> None:
    person = model.person

    def ask_for_name() -> None:
        show_dialog(
            _("Rename {name}", name=model.title),
            _("Save"),
            partial(rename, session, model),
            _(
                "The name is only shown on this machine; API clients still use the "
                "one that starts with ft:."
            ),
            field=lambda: ui.input(_("New name"), value=model.label or "").props(
                f"maxlength={MAX_LABEL_LENGTH} dir=auto"
            ),
        )

    def ask_for_folder() -> None:
        name = model.short_name.replace(":", "-").strip("-")
        folder = str(Path.home() / f"voice-{name}")
        show_dialog(
            _("Export {name}", name=model.title),
            _("Write"),
            partial(export, session, model),
            _(
                "The model is merged into its base model, and written to a new "
                "folder. A model can repeat its examples: anyone who has it can "
                "extract your messages."
            ),
            field=lambda: ui.input(_("New folder"), value=folder),
        )

    with ui.element("div").classes("card"):
        text(model.title, tag="h3", classes="name")
        text(
            join_parts(
                _("The voice of {person}", person=person) if person else "",
                model.base_model,
                format_time(model.created_at),
                Size(model.size_bytes),
            )
        )
        with ui.element("div").classes("form-row"):
            _button(_("Rename"), _("Rename {name}", name=model.title), ask_for_name)
            label = _("Export {name}", name=model.title)
            _button(_("Export this model"), label, ask_for_folder)
            _delete_button(
                session,
                model.name,
                _("Delete {name}?", name=model.title),
                _(
                    "Its training run and the examples used only by this model are "
                    "also deleted."
                ),
            )


def _show_job(session: PageSession, job: Job) -> None:
    title = job.person or job.base_model

    def state() -> str:
        jobs = session.snapshot.jobs
        return state_text(session, next((j for j in jobs if j.id == job.id), job))

    def description() -> None:
        text(join_parts(state(), job.base_model, format_time(job.created_at)))

    with ui.element("div").classes("card"):
        text(title, tag="h3", classes="name")
        rebuild_on_change(description, state)
        with ui.element("div").classes("form-row"):
            _delete_button(
                session,
                job.id,
                _("Delete the training run for {name}?", name=title),
                _(
                    "If it is still running, it is stopped. The examples used only by "
                    "this run are also deleted."
                ),
            )


def _button(title: str, label: str, on_click: Callable[[], object]) -> None:
    # The label tells screen readers to which model the button belongs.
    button = ui.button(title, on_click=on_click).props("outline dense")
    button.props["aria-label"] = label


def _delete_button(
    session: PageSession, name: str, question: str, *details: str
) -> None:
    def confirm() -> None:
        act = partial(delete, session, name)
        show_dialog(
            question, _("Delete"), act, *details, _NOT_DELETED, is_destructive=True
        )

    _button(_("Delete"), question, confirm)


# Deletion of people and of everything


def _build_forget(session: PageSession) -> None:
    text(_("Forget a person"), tag="h2")
    paragraph(
        "Deletes the search indexes that contain a person, and lists the models, "
        "training runs and examples on this machine that contain the person, so that "
        "you can also delete them. Exports are not changed; the next search rebuilds "
        "the indexes."
    )
    with ui.element("div").classes("form-row"):
        person = ui.input(_("Name or phone number of the person")).props("dir=auto")
        person.classes("grow")
    ui.button(_("Forget"), on_click=lambda: forget(session, person.value))


def _title(item: RemainingCopy) -> LazyMessage:
    return replace(_TITLES[item.kind], values={"name": item.title})


def _show_forget_result(session: PageSession, result: ForgetResult) -> None:
    if result.indexes:
        text(
            ngettext(
                "Deleted: {count} search index with this person.",
                "Deleted: {count} search indexes with this person.",
                len(result.indexes),
            )
        )
    if not result.remaining:
        text(
            _(
                "No models, training runs or examples on this machine contain this "
                "person."
            )
        )
        return
    text(_("Remaining data about this person:"))
    checkboxes = {
        item: ui.checkbox(join_parts(_title(item), _REASONS[item.reason]), value=True)
        for item in result.remaining
    }

    def confirm() -> None:
        items = [item for item, checkbox in checkboxes.items() if checkbox.value]
        show_dialog(
            ngettext(
                "Delete {count} item?",
                "Delete {count} items?",
                len(items),
            ),
            _("Delete"),
            partial(delete_remaining, session, items),
            _(
                "Deleting a model also deletes its training run, and the examples "
                "used only by them."
            ),
            _NOT_DELETED,
            is_destructive=True,
        )

    with ui.element("div"):
        button = ui.button(_("Also delete these …"), on_click=confirm)
        button.props("outline color=negative")


def _build_delete_everything(session: PageSession) -> None:
    def confirm() -> None:
        summary = _data_text(list_data(session.workspace, session.index_dir))
        show_dialog(
            _("Delete everything?"),
            _("Delete everything"),
            partial(delete_everything, session),
            _(
                "{kept}; the talk, and this page's list of exports. Any running "
                "training is stopped.",
                kept=summary,
            ),
            _NOT_DELETED,
            is_destructive=True,
        )

    text(_("Delete everything"), tag="h2")
    text(_NOT_DELETED)
    with ui.element("div"):
        button = ui.button(_("Delete everything …"), on_click=confirm)
        button.props("outline color=negative")


def _data_text(data: LocalData) -> LazyMessage:
    return lazy_gettext(
        "{models}, {trainings}, {sets}, {indexes}: {size}",
        models=lazy_ngettext("{count} model", "{count} models", len(data.models)),
        trainings=lazy_ngettext(
            "{count} training run", "{count} training runs", len(data.snapshot.jobs)
        ),
        sets=lazy_ngettext(
            "{count} example file", "{count} example files", len(data.snapshot.files)
        ),
        indexes=lazy_ngettext(
            "{count} search index", "{count} search indexes", len(data.indexes)
        ),
        size=Size(data.size_bytes),
    )
