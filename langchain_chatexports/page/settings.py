"""Settings: what is stored on this computer, with its deletion, and privacy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from nicegui import ui

from langchain_chatexports.local_server import Job, Model, State
from langchain_chatexports.page import changes
from langchain_chatexports.page.changes import (
    EVERYTHING,
    FORGET,
    MODELS,
    NOT_DELETED,
    TITLES,
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
from langchain_chatexports.page.frame import SETTINGS, TEACH, screen
from langchain_chatexports.page.languages import (
    Size,
    _,
    format_time,
    join_parts,
    lazy_gettext,
    ngettext,
)
from langchain_chatexports.page.people import job_person, person_key
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.snapshot import Outcome, Snapshot
from langchain_chatexports.page.work import IDLE, WorkState
from langchain_chatexports.workflows.corrections import count_corrections
from langchain_chatexports.workflows.models import MAX_LABEL_LENGTH, list_data
from langchain_chatexports.workflows.removal import ForgetResult, RemainingCopy
from langchain_chatexports.workflows.saved_talks import model_talks

_REASONS = {
    "person": lazy_gettext("it writes like this person"),
    "set": lazy_gettext("it has learned from the same chats"),
    "text": lazy_gettext("this person is named in what it has learned from"),
}


class _Stored(NamedTuple):
    """A row: a model, an unfinished one, or what was prepared for none."""

    id: str
    title: str
    facts: str
    model: Model | None = None
    job: Job | None = None


_Action = Callable[[PageSession, _Stored], None]


def build_settings(session: PageSession) -> None:
    """Build the screen."""
    with (
        screen(session, SETTINGS, _("Settings")),
        ui.element("div").classes("body"),
    ):
        with add("section", classes="card"):
            add("h2", _("Models"))
            none = add("p", _("There are no models on this computer yet."), "quiet")
            _build_outcome(session, MODELS)
            rows = KeyedList(partial(_build_stored, session), lambda row: row.id)
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

    def show(stored: list[_Stored]) -> None:
        none.set_visibility(not any(row.model for row in stored))
        rows.show(stored)

    session.published.watch(lambda s: [*_list_stored(s)], show)


def _list_stored(snapshot: Snapshot) -> Iterator[_Stored]:
    stored = snapshot.stored
    for model in stored.models:
        person = _("writes like {name}", name=model.person) if model.person else ""
        time, size = format_time(model.created_at), Size(model.size_bytes)
        facts = join_parts(person, time, size)
        yield _Stored(model.name, model.title, facts, model)
    finished = {model.job_id for model in stored.models}
    states = {
        State.QUEUED: _("waits to learn"),
        State.RUNNING: _("learns"),
        State.PAUSED: _("paused"),
    }
    for job in stored.jobs:
        if job.id not in finished:
            state = states.get(job.state, _("has not learned to the end"))
            facts = join_parts(state, format_time(job.created_at))
            yield _Stored(job.id, job_person(job), facts, job=job)
    for file in stored.files:
        if not stored.jobs_of(file):
            facts = join_parts(format_time(file.created_at), Size(file.size_bytes))
            yield _Stored(file.id, str(TITLES["examples"]), facts)


def _build_stored(
    session: PageSession, row: ui.element, stored: _Stored
) -> Show[_Stored]:
    row.classes("stored")
    if stored.job is None:
        title = add("h3", classes="name", dir="auto")
    else:
        title = link("", f"{TEACH}/{person_key(stored.title)}", "name", dir="auto")
    facts = add("p", classes="quiet", dir="auto")
    actions: list[tuple[str, _Action]] = [(_("Delete"), _ask_to_delete)]
    if stored.model is not None:
        actions[:0] = (_("Rename"), _ask_for_name), (_("Export"), _ask_for_folder)

    def act(action: _Action) -> None:
        action(session, stored)

    with ui.element("div").classes("buttons"):
        buttons = [
            button(text, partial(act, action), "quiet") for text, action in actions
        ]
    buttons[-1].mark(f"delete-{stored.id}")

    def show(new: _Stored) -> None:
        nonlocal stored
        stored = new
        set_text(title, new.title)
        set_text(facts, new.facts)
        for element in buttons:
            # Voice control needs the visible word first.
            element.props["aria-label"] = f"{element.text}: {new.title}"

    return show


def _ask_for_name(session: PageSession, stored: _Stored) -> None:
    if (model := stored.model) is not None:
        ask(
            _("Rename {name}", name=stored.title),
            _("Save"),
            lambda text: changes.rename(session, model, text[:MAX_LABEL_LENGTH]),
            label=_("New name"),
            value=model.label or "",
        )


def _ask_for_folder(session: PageSession, stored: _Stored) -> None:
    if (model := stored.model) is not None:
        name = model.short_name.replace(":", "-").strip("-")
        ask(
            _("Export {name}", name=stored.title),
            _("Write"),
            lambda text: changes.export(session, model, text),
            _(
                "The model is written to a new folder, for other programs. A model can "
                "repeat what it has learned: whoever has it can extract your messages."
            ),
            label=_("New folder"),
            value=str(Path.home() / f"voice-{name}"),
        )


def _ask_to_delete(session: PageSession, stored: _Stored) -> None:
    if stored.job is not None:
        confirm_deletion(session, stored.job)
        return
    if stored.model is None:
        _confirm(session, stored.id, _("Delete what was prepared?"))
        return
    title = _("Delete {name}?", name=stored.title)
    _confirm(session, stored.id, title, *_deleted_with(stored.model))


def _deleted_with(model: Model) -> Iterator[str]:
    yield _("With it go its training, and what was prepared only for it to learn from.")
    if talks := len(model_talks(model).list()):
        yield ngettext(
            "Also {count} chat with it.", "Also {count} chats with it.", talks
        )
    if corrections := count_corrections(model):
        yield ngettext(
            "Also {count} correction of yours.",
            "Also {count} corrections of yours.",
            corrections,
        )


def confirm_deletion(session: PageSession, job: Job) -> None:
    """Ask whether to delete an unfinished training."""
    title = _("Delete what {name} has learned so far?", name=job_person(job))
    _confirm(session, job.id, title, _("What was prepared for it goes, too."))


def _confirm(session: PageSession, name: str, title: str, *texts: str) -> None:
    ask(
        title,
        _("Delete"),
        lambda _text: changes.delete_stored(session, name),
        *texts,
        NOT_DELETED,
        is_destructive=True,
    )


# Forgetting a person, and deleting everything


def _build_forget(session: PageSession) -> None:
    """Build the deletion of what knows a person."""
    remaining: list[RemainingCopy] = []
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
            _("Name or phone number"), _("Forget"), partial(changes.forget, session)
        )
        form.mark("forget")
        _build_outcome(session, FORGET)
        text = add("p", role="status")
        items = KeyedList(_build_line, lambda line: line)

        def confirm() -> None:
            count = len(remaining)
            ask(
                ngettext("Delete {count} item?", "Delete {count} items?", count),
                _("Delete"),
                lambda _text: changes.delete_remaining(session, [*remaining]),
                _("With a model go its training and your chats with it."),
                NOT_DELETED,
                is_destructive=True,
            )

        with ui.element("div").classes("buttons"):
            end = button(_("Delete these, too …"), confirm, "quiet")

    def show(outcome: Outcome | None) -> None:
        found = outcome.found if outcome else None
        remaining[:] = found.remaining if found else []
        items.show(
            join_parts(changes.title_of(i), _REASONS[i.reason]) for i in remaining
        )
        end.set_visibility(bool(remaining))
        set_text(text, " ".join(_forgotten(found)) if found else "")

    session.published.watch(lambda s: s.outcome, show)


def _forgotten(found: ForgetResult) -> Iterator[str]:
    if found.indexes:
        yield _("Searching no longer finds this person quickly.")
    if found.talks:
        yield ngettext(
            "Deleted: {count} chat with this person.",
            "Deleted: {count} chats with this person.",
            found.talks,
        )
    if found.remaining:
        yield _("What still knows this person:")
    else:
        yield _("No model on this computer knows this person.")


def _build_everything(session: PageSession) -> None:
    """Build the deletion of all data."""

    def confirm() -> None:
        data = list_data(session.workspace, session.index_dir)
        ask(
            _("Delete everything?"),
            _("Delete everything"),
            lambda _text: changes.delete_everything(session),
            _(
                "{kept}; all your chats with models, and the chats on this page. What "
                "learns now is stopped.",
                kept=changes.data_text(data),
            ),
            NOT_DELETED,
            is_destructive=True,
        )

    with add("section", classes="card"):
        add("h2", _("Delete everything"))
        add("p", NOT_DELETED)
        _build_outcome(session, EVERYTHING)
        with ui.element("div").classes("buttons"):
            button(_("Delete everything …"), confirm, "danger")


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
