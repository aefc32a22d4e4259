"""The screen of all that is kept: rename, take elsewhere, forget, delete."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from nicegui import ui

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.recognition import PLATFORM_NAMES
from langchain_chatexports.page.layout import answers, dialog, follow, show_work, text
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.workflows.models import (
    MAX_LABEL_LENGTH,
    NOT_DELETED,
    Kept,
    KeptJob,
    KeptSet,
    TunedModel,
    kept,
)
from langchain_chatexports.workflows.removal import Forgotten
from langchain_chatexports.workflows.train import is_unfinished, job_in_words

_KINDS = {
    "model": "The model {title}",
    "training": "The training of {title}",
    "examples": "Examples that no training used",
}
_DELETED = {
    "model": "Deleted: the model {title}.",
    "training": "Deleted: the training of {title}.",
    "examples": "Deleted: examples that no training used.",
}
_REASONS = {
    "voice": "it learned this voice",
    "set": "it was trained on the set",
    "text": "its examples name them",
}
_OTHER_PROGRAMS = {
    True: "Ollama and llama.cpp: one GGUF file",
    False: "A Hugging Face folder: transformers, vLLM",
}


def build_manage(session: PageSession) -> None:
    """Build the screen."""
    text(
        "All that is kept on this machine. Only what was made here is ever deleted; an "
        "export on your disk is never touched."
    )
    manage = session.manage

    @ui.refreshable
    def work() -> None:
        with ui.element("div").classes("part"):
            show_work(manage.working, "")
            if not manage.working.is_running:
                with ui.element("div").props("role=status").classes("part"):
                    for line in manage.done:
                        text(line)
                    for one in manage.deleted:
                        text(_DELETED[one.kind].format(title=one.title))
                    if manage.forgotten is not None:
                        _show_forgotten(session, manage.forgotten)

    def look_at_work() -> object:
        # It can be done between two looks.
        did = manage.done, manage.forgotten, manage.deleted
        return manage.working.is_running, manage.working.error, did

    found = [kept(session.data_dir, session.index_dir)]

    def look() -> object:
        now = kept(session.data_dir, session.index_dir)
        found[:] = [now]
        models = [(model.name, model.label) for model in now.models]
        jobs = [(job.id, is_unfinished(job)) for job in now.jobs]
        return models, jobs, now.sets, id(session.read)

    @ui.refreshable
    def all_kept() -> None:
        with ui.element("div").classes("part"):
            _show_exports(session)
            _show_models(session, found)

    # In view also where the button is far below it.
    with ui.element("div").classes("result"):
        follow(work, look_at_work)
    follow(all_kept, look)
    _build_forget(session)
    _build_delete_everything(session)


def _show_exports(session: PageSession) -> None:
    text("Exports", tag="h2")
    cards = [card for card in session.exports.cards if card.export]
    if not cards:
        text("No export is open on this page.")
    for card in cards:
        with ui.element("div").classes("card"):
            text(card.name, classes="name")
            text(
                "Removes the copy that this page made. Your own file stays.",
                classes="quiet",
            )
            with ui.element("div").classes("row-of"):
                button = ui.button(
                    "Remove from the list",
                    on_click=partial(session.exports.remove, card),
                )
                button.props("outline dense")


def _show_models(session: PageSession, now: list[Kept]) -> None:
    (found,) = now
    text("Models", tag="h2")
    if not found.models:
        text("There is no trained model on this machine.")
    for model in found.models:
        _show_model(session, model, found.sets_of(model.job_id))
    if found.jobs_without_model:
        text("Trainings that made no model, or not yet", tag="h2")
    for job in found.jobs_without_model:
        _show_job(session, job, now)
    if found.unused_sets:
        text("Examples that no training used", tag="h2")
    for one in found.unused_sets:
        with ui.element("div").classes("card"):
            text(f"{one.created_at:%Y-%m-%d %H:%M} UTC, {_megabytes([one])}")
            with ui.element("div").classes("row-of"):
                _delete_button(session, one.id, "these examples", "")


def _show_model(
    session: PageSession, model: TunedModel, sets: Sequence[KeptSet]
) -> None:
    with ui.element("div").classes("card"):
        text(model.title, tag="h3", classes="name")
        whose = f"The voice of {model.person}, " if model.person else ""
        source = f", from {source_in_words(model.source)}" if model.source else ""
        text(
            f"{whose}{model.base_model}, {model.created_at:%Y-%m-%d %H:%M} UTC, "
            f"{model.size_bytes / 1e6:,.1f} MB{source}"
        )
        text(
            f"Its examples: {_megabytes(sets)}. Its name for programs: {model.name}",
            classes="quiet",
        )
        with ui.element("div").classes("row-of"):
            _button("Rename", model.title, lambda: _ask_label(session, model))
            _button("Take elsewhere", model.title, lambda: _ask_folder(session, model))
            _delete_button(
                session,
                model.name,
                model.title,
                "Its training and the examples that only it used are deleted with it.",
            )


def _show_job(session: PageSession, job: KeptJob, now: list[Kept]) -> None:
    title = job.person or job.base_model
    sets = now[0].sets_of(job.id)

    def look() -> str:
        return job_in_words(next((j for j in now[0].jobs if j.id == job.id), job))

    @ui.refreshable
    def state() -> None:
        text(
            f"{look()}, {job.base_model}, {job.created_at:%Y-%m-%d %H:%M} UTC, "
            f"examples: {_megabytes(sets)}"
        )

    with ui.element("div").classes("card"):
        text(title, tag="h3", classes="name")
        follow(state, look)
        with ui.element("div").classes("row-of"):
            _delete_button(
                session,
                job.id,
                f"the training of {title}",
                "It is stopped if it runs, and the examples that only it used are "
                "deleted with it.",
            )


def source_in_words(source: str) -> str:
    """Return what a model's examples were made from, with the platforms' own names."""
    return re.sub(
        rf"(^|, )({'|'.join(PLATFORM_NAMES)}) ",
        lambda found: f"{found[1]}{PLATFORM_NAMES[found[2]]} ",
        source,
    )


def _megabytes(sets: Sequence[KeptSet]) -> str:
    return f"{sum(one.size_bytes for one in sets) / 1e6:,.1f} MB" if sets else "none"


def _button(title: str, whose: str, act: Callable[[], object]) -> None:
    # What a screen reader says, as there are several of them.
    button = ui.button(title, on_click=act).props("outline dense")
    button.props["aria-label"] = f"{title}: {whose}"


def _delete_button(session: PageSession, name: str, title: str, more: str) -> None:
    def ask() -> None:
        with dialog(f"Delete {title}?") as opened:
            text(f"{more} {NOT_DELETED}".strip())
            answers(opened, "Delete", lambda: session.manage.delete(name))

    _button("Delete", title, ask)


def _ask_label(session: PageSession, model: TunedModel) -> None:
    with dialog(f"Rename {model.title}") as opened:
        text("The name is for this machine; programs still use the one with ft:.")
        label = ui.input("New name", value=model.label or "")
        label.props(f"maxlength={MAX_LABEL_LENGTH} dir=auto")
        answers(
            opened,
            "Save",
            lambda: session.manage.rename(model, label.value),
            field=label,
        )


def _ask_folder(session: PageSession, model: TunedModel) -> None:
    name = model.short_name.replace(":", "-").strip("-")
    with dialog(f"Take {model.title} elsewhere") as opened:
        text(
            "It is merged into its base, and written to a new folder. A model can "
            "repeat what it learned: whoever gets it can get your messages."
        )
        gguf = ui.radio(_OTHER_PROGRAMS, value=True)
        folder = ui.input("New folder", value=str(Path.home() / f"voice-{name}"))
        answers(
            opened,
            "Write",
            lambda: session.manage.export(model, folder.value, gguf=gguf.value),
            field=folder,
        )


def _build_forget(session: PageSession) -> None:
    text("Forget a person", tag="h2")
    text(
        "Deletes the search indexes that have somebody, and says which models, "
        "trainings and examples on this machine know them: these you can delete, too. "
        "Exports are not changed; a later search makes indexes anew from them."
    )
    with ui.element("div").classes("row-of"):
        person = ui.input("Name or number of the person").props("dir=auto")
        person.classes("grow")
    with ui.expansion("In a set that chatexports prepare has written, too"):
        path = ui.input("Path of the set")
        key = ui.input("Path of its key, if names were replaced")
        mentions = ui.checkbox("Also take out its texts that mention the name")
    ui.button(
        "Forget",
        on_click=lambda: session.manage.forget(
            person.value, path=path.value, key=key.value, mentions=mentions.value
        ),
    )


def _show_forgotten(session: PageSession, done: Forgotten) -> None:
    if done.report is not None:
        text(
            f"{done.report.removed:,} of {plural(done.report.rows, 'row')} taken out "
            f"of {done.report.path}."
        )
    if done.indexes:
        count = plural(len(done.indexes), "search index", "search indexes")
        text(f"Deleted: {count} with this person.")
    if not done.known_by:
        text("No model, training or examples on this machine know them.")
        return
    text("These on this machine still know them:")
    chosen = {
        one: ui.checkbox(
            f"{_KINDS[one.kind].format(title=one.title)}: {_REASONS[one.reason]}",
            value=True,
        )
        for one in done.known_by
    }

    def ask_to_delete() -> None:
        wanted = [one for one, box in chosen.items() if box.value]
        with dialog(f"Delete {plural(len(wanted), 'thing')} that know them?") as opened:
            text(
                "A model is deleted with its training, and both with the examples that "
                f"only they used. {NOT_DELETED}"
            )
            answers(opened, "Delete", lambda: session.manage.delete_known(wanted))

    with ui.element("div"):
        button = ui.button("Delete these, too …", on_click=ask_to_delete)
        button.props("outline color=negative")


def _build_delete_everything(session: PageSession) -> None:
    def ask() -> None:
        with dialog("Delete everything?") as opened:
            found = kept(session.data_dir, session.index_dir)
            text(
                f"{found}; the talk, and what this page has read. A training that "
                "runs is stopped."
            )
            text(NOT_DELETED)
            answers(opened, "Delete everything", session.manage.delete_everything)

    text("Delete everything", tag="h2")
    text(NOT_DELETED)
    with ui.element("div"):
        ui.button("Delete everything …", on_click=ask).props("outline color=negative")
