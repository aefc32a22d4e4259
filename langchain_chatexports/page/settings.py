"""Settings: what is stored on this computer, with its deletion, and privacy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from langchain_chatexports.local_server import Job, Model, State
from langchain_chatexports.page.elements import (
    Element,
    KeyedList,
    Show,
    WorkBar,
    add,
    ask,
    button,
    line_form,
    link,
)
from langchain_chatexports.page.frame import SETTINGS, TEACH, screen
from langchain_chatexports.page.languages import (
    LazyMessage,
    _,
    format_size,
    format_time,
    join_parts,
    lazy_gettext,
    ngettext,
)
from langchain_chatexports.page.people import job_person, person_key
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.snapshot import Outcome, Snapshot
from langchain_chatexports.page.work import IDLE, WorkState
from langchain_chatexports.workflows import models, removal
from langchain_chatexports.workflows.corrections import count_corrections
from langchain_chatexports.workflows.models import list_data
from langchain_chatexports.workflows.removal import ForgetResult, RemainingCopy
from langchain_chatexports.workflows.saved_talks import model_talks

_MODELS, _FORGET, _EVERYTHING = "models", "forget", "everything"
_TITLES = {
    "model": lazy_gettext("The model {name}"),
    "training": lazy_gettext("The unfinished model {name}"),
    "examples": lazy_gettext("What was prepared to learn from, and is not used"),
}
_REASONS = {
    "person": lazy_gettext("it writes like this person"),
    "set": lazy_gettext("it has learned from the same chats"),
    "text": lazy_gettext("this person is named in what it has learned from"),
}
_NOT_DELETED = lazy_gettext(
    "What stays: your chats and their files; models that you have exported; copies "
    "elsewhere, such as backups; downloaded language models."
)
_DELETING, _DELETED = lazy_gettext("Deleting"), lazy_gettext("Deleted.")


class _Stored(NamedTuple):
    """A row: a model, or an unfinished one."""

    id: str
    title: str
    facts: str
    model: Model | None = None
    job: Job | None = None


def build_settings(session: PageSession) -> None:
    with (
        screen(session, SETTINGS, _("Settings")),
        add("div", classes="body"),
    ):
        with add("section", classes="card"):
            add("h2", _("Models"))
            none = add("p", _("There are no models on this computer yet."), "quiet")
            _build_outcome(session, _MODELS)
            rows = KeyedList(partial(_build_stored, session), lambda row: row.id)
        with add("section", classes="card"):
            add("h2", _("Privacy"))
            text = _(
                "Everything happens on this computer. Nothing is sent anywhere; "
                "only language models are downloaded, and you are asked before. "
                "The copies of your chats are deleted when this program ends. A "
                "model can repeat what it has learned: give it to nobody whom "
                "you would not let read the chats."
            )
            add("p", text)
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
        time, size = format_time(model.created_at), format_size(model.size_bytes)
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


def _build_stored(session: PageSession, row: Element, stored: _Stored) -> Show[_Stored]:
    row.classes("stored")
    if stored.job is None:
        title = add("h3", classes="name", dir="auto")
    else:
        title = link("", f"{TEACH}/{person_key(stored.title)}", "name", dir="auto")
    facts = add("p", classes="quiet", dir="auto")
    with add("div", classes="buttons"):
        delete = button(_("Delete"), lambda: _ask_to_delete(session, stored), "quiet")
    delete.mark(f"delete-{stored.id}")

    def show(new: _Stored) -> None:
        nonlocal stored
        stored = new
        title.set_text(new.title)
        facts.set_text(new.facts)
        # Voice control needs the visible word first.
        delete.props["aria-label"] = f"{delete.text}: {new.title}"

    return show


def _ask_to_delete(session: PageSession, stored: _Stored) -> None:
    if stored.job is not None:
        ask_to_delete_job(session, stored.job)
    elif stored.model is not None:
        title = _("Delete {name}?", name=stored.title)
        _ask(session, stored.id, title, *_deleted_with(stored.model))


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


def ask_to_delete_job(session: PageSession, job: Job) -> None:
    title = _("Delete what {name} has learned so far?", name=job_person(job))
    _ask(session, job.id, title, _("What was prepared for it goes, too."))


def _ask(session: PageSession, name: str, title: str, *texts: str) -> None:
    def delete() -> Outcome:
        session.workspace.delete(name)
        return Outcome(_MODELS, _DELETED)

    ask(
        title,
        _("Delete"),
        lambda: session.delete(_MODELS, _DELETING, delete),
        *texts,
        _NOT_DELETED,
    )


# Forgetting a person, and deleting everything


def _build_forget(session: PageSession) -> None:
    remaining: list[RemainingCopy] = []

    def forget(name: str) -> None:
        def find() -> Outcome:
            shutil.rmtree(session.search_dir, ignore_errors=True)
            found = removal.forget(
                None,
                people=[name.strip()],
                workspace=session.workspace,
                index_dir=session.index_dir,
            )
            return Outcome(_FORGET, found=found)

        session.delete(_FORGET, lazy_gettext("Searching"), find)

    def confirm() -> None:
        copies, count = [*remaining], len(remaining)

        def delete() -> Outcome:
            removal.delete_remaining(copies, session.workspace)
            return Outcome(_FORGET, _DELETED)

        ask(
            ngettext("Delete {count} item?", "Delete {count} items?", count),
            _("Delete"),
            lambda: session.delete(_FORGET, _DELETING, delete),
            _("With a model go its training and your chats with it."),
            _NOT_DELETED,
        )

    with add("section", classes="card"):
        add("h2", _("Forget a person"))
        text = _(
            "Deletes what makes searching for a person's messages fast, and lists "
            "the models that know the person, so that you can delete them. Your "
            "chats stay as they are."
        )
        add("p", text)
        line_form(_("Name or phone number"), _("Forget"), forget).mark("forget")
        _build_outcome(session, _FORGET)
        summary = add("p", role="status")
        items = KeyedList(_build_line)
        with add("div", classes="buttons"):
            end = button(_("Delete these, too …"), confirm, "quiet")

    def show(outcome: Outcome | None) -> None:
        found = outcome.found if outcome else None
        remaining[:] = found.remaining if found else []
        items.show(join_parts(_title_of(i), _REASONS[i.reason]) for i in remaining)
        end.set_visibility(bool(remaining))
        summary.set_text(" ".join(_forgotten(found)) if found else "")

    session.published.watch(lambda s: s.outcome, show)


def _title_of(item: RemainingCopy) -> LazyMessage:
    return replace(_TITLES[item.kind], values={"name": item.title})


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

    def delete(kept: str) -> Outcome:
        session.stop_server()
        shutil.rmtree(session.search_dir, ignore_errors=True)
        models.delete_everything(session.workspace, session.index_dir)
        session.exports.clear()
        return Outcome(_EVERYTHING, lazy_gettext("Deleted: {kept}.", kept=kept))

    def confirm() -> None:
        data = list_data(session.workspace, session.index_dir)
        kept = _(
            "{models}, {prepared}, {indexes}: {size}",
            models=ngettext("{count} model", "{count} models", len(data.models)),
            prepared=ngettext(
                "{count} set to learn from",
                "{count} sets to learn from",
                len(data.snapshot.files),
            ),
            indexes=ngettext(
                "{count} search file", "{count} search files", len(data.indexes)
            ),
            size=format_size(data.size_bytes),
        )
        text = _(
            "{kept}; all your chats with models, and the chats on this page. What "
            "learns now is stopped.",
            kept=kept,
        )
        title = lazy_gettext("Deleting everything")
        ask(
            _("Delete everything?"),
            _("Delete everything"),
            lambda: session.delete(_EVERYTHING, title, partial(delete, kept)),
            text,
            _NOT_DELETED,
        )

    with add("section", classes="card"):
        add("h2", _("Delete everything"))
        add("p", _NOT_DELETED)
        _build_outcome(session, _EVERYTHING)
        with add("div", classes="buttons"):
            button(_("Delete everything …"), confirm, "danger")


def _build_outcome(session: PageSession, place: str) -> None:
    """Add what the last deletion in a part of the settings does, and has done."""
    bar, text = WorkBar(), add("p", role="status")

    def show(shown: tuple[WorkState, Outcome | None]) -> None:
        work, outcome = shown
        is_here = outcome is not None and outcome.place == place
        bar.show(work if is_here else IDLE)
        text.set_text(outcome.text or "" if outcome and is_here else "")

    session.published.watch(lambda s: (s.deleting, s.outcome), show)


def _build_line(_row: Element, line: str) -> None:
    add("p", line, dir="auto")
