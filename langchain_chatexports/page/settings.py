"""Settings: what is stored on this computer, with its deletion, and privacy."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TypeVar

from langchain_chatexports.local_server import Job, Model, NotFoundError, State
from langchain_chatexports.page.elements import (
    Element,
    KeyedList,
    Show,
    WorkBar,
    add,
    ask,
    build_line,
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
from langchain_chatexports.page.snapshot import Snapshot
from langchain_chatexports.workflows import removal
from langchain_chatexports.workflows.corrections import count_corrections
from langchain_chatexports.workflows.models import delete_everything, list_data
from langchain_chatexports.workflows.removal import ForgetResult, RemainingCopy
from langchain_chatexports.workflows.saved_talks import model_talks

T = TypeVar("T")

_REASONS = {
    "person": lazy_gettext("it writes like this person"),
    "set": lazy_gettext("it has learned from the same chats"),
    "text": lazy_gettext("this person is named in what it has learned from"),
}
_NOT_DELETED = lazy_gettext(
    "What stays: your chats and their files; models that you have exported; copies "
    "elsewhere, such as backups; downloaded language models."
)
_DELETING = lazy_gettext("Deleting")


class Deletion:
    """Says what a deletion of this part of the screen does, and has done."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._bar, self._done = WorkBar(), add("p", role="status")

    async def run(
        self,
        task: Callable[[], T],
        say: Callable[[T], str] = lambda _result: _("Deleted."),
        title: LazyMessage = _DELETING,
    ) -> None:
        """Run a task in the background; `say` returns what it has done."""

        async def delete() -> str:
            return say(await self._session.delete(task))

        self._done.set_text("")
        self._done.set_text(await self._bar.run(title, delete()) or "")

    def ask(self, stored: Model | Job) -> None:
        """Ask before a model or an unfinished one is deleted, with all that goes."""
        name = stored_name(stored)
        if isinstance(stored, Job):
            title = _("Delete what {name} has learned so far?", name=name)
            texts = [_("What was prepared for it goes, too.")]
        else:
            title = _("Delete {name}?", name=name)
            texts = [*_deleted_with(stored)]

        def delete() -> None:
            with suppress(NotFoundError):  # Another tab did.
                self._session.workspace.delete(_id_of(stored))

        ask(title, _("Delete"), partial(self.run, delete), *texts, _NOT_DELETED)


def build_settings(session: PageSession) -> None:
    with (
        screen(session, SETTINGS, _("Settings")),
        add("div", classes="body"),
    ):
        with add("section", classes="card"):
            add("h2", _("Models"))
            none = add("p", _("There are no models on this computer yet."), "quiet")
            deletion = Deletion(session)
            rows = KeyedList(partial(_build_stored, deletion), _id_of)
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

    def show(stored: tuple[Model | Job, ...]) -> None:
        none.set_visibility(not stored)
        rows.show(stored)

    session.published.watch(_list_stored, show)


def _list_stored(snapshot: Snapshot) -> tuple[Model | Job, ...]:
    """Return the models, and the jobs that have none."""
    stored = snapshot.stored
    finished = {model.job_id for model in stored.models}
    return *stored.models, *(job for job in stored.jobs if job.id not in finished)


def _id_of(stored: Model | Job) -> str:
    return stored.id if isinstance(stored, Job) else stored.name


def stored_name(stored: Model | Job) -> str:
    return job_person(stored) if isinstance(stored, Job) else stored.title


def _facts(stored: Model | Job) -> str:
    time = format_time(stored.created_at)
    if isinstance(stored, Job):
        states = {
            State.QUEUED: _("waits to learn"),
            State.RUNNING: _("learns"),
            State.PAUSED: _("paused"),
        }
        unknown = _("has not learned to the end")
        return join_parts(states.get(stored.state, unknown), time)
    name = stored.person
    person = _("writes like {name}", name=name) if name else ""
    return join_parts(person, time, format_size(stored.size_bytes))


def _build_stored(
    deletion: Deletion, row: Element, stored: Model | Job
) -> Show[Model | Job]:
    row.classes("stored")
    name = stored_name(stored)
    if isinstance(stored, Job):
        title = link("", f"{TEACH}/{person_key(name)}", "name", dir="auto")
    else:
        title = add("h3", classes="name", dir="auto")
    facts = add("p", classes="quiet", dir="auto")
    with add("div", classes="buttons"):
        delete = button(_("Delete"), lambda: deletion.ask(stored), "quiet")
    delete.mark(f"delete-{_id_of(stored)}")

    def show(new: Model | Job) -> None:
        nonlocal stored
        stored = new
        title.set_text(stored_name(new))
        facts.set_text(_facts(new))
        # Voice control needs the visible word first.
        delete.set_prop("aria-label", f"{delete.text}: {title.text}")

    return show


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


# Forgetting a person, and deleting everything


def _build_forget(session: PageSession) -> None:
    remaining: list[RemainingCopy] = []

    def forget(name: str) -> Awaitable[None]:
        def find() -> ForgetResult:
            shutil.rmtree(session.search_dir, ignore_errors=True)
            return removal.forget(
                None,
                people=[name.strip()],
                workspace=session.workspace,
                index_dir=session.index_dir,
            )

        show_remaining([])
        return deletion.run(find, say, lazy_gettext("Searching"))

    def say(found: ForgetResult) -> str:
        show_remaining(found.remaining)
        return " ".join(_forgotten(found))

    def confirm() -> None:
        copies, count = [*remaining], len(remaining)

        def delete() -> None:
            removal.delete_remaining(copies, session.workspace)

        def say(_result: None) -> str:
            show_remaining([])
            return _("Deleted.")

        ask(
            ngettext("Delete {count} item?", "Delete {count} items?", count),
            _("Delete"),
            partial(deletion.run, delete, say),
            _("With a model go its training and your chats with it."),
            _NOT_DELETED,
        )

    with add("section", classes="card"):
        add("h2", _("Forget a person"))
        text = _(
            "Deletes your chats with the person before training, your corrections of "
            "them, and what makes searching for their messages fast. Lists the models "
            "that know the person, so that you can delete them. The chats that you "
            "have added stay as they are."
        )
        add("p", text)
        line_form(_("Name or phone number"), _("Forget"), forget).mark("forget")
        deletion = Deletion(session)
        items = KeyedList(build_line)
        with add("div", classes="buttons"):
            end = button(_("Delete these, too …"), confirm, "quiet")

    def show_remaining(found: list[RemainingCopy]) -> None:
        remaining[:] = found
        items.show(join_parts(_title_of(i), _REASONS[i.reason]) for i in found)
        end.set_visibility(bool(found))

    show_remaining([])


def _title_of(item: RemainingCopy) -> str:
    titles = {
        "model": _("The model {name}", name=item.title),
        "training": _("The unfinished model {name}", name=item.title),
        "examples": _("What was prepared to learn from, and is not used"),
    }
    return titles[item.kind]


def _forgotten(found: ForgetResult) -> Iterator[str]:
    if found.indexes:
        yield _("Searching no longer finds this person quickly.")
    if found.talks:
        yield ngettext(
            "Deleted: {count} chat with this person.",
            "Deleted: {count} chats with this person.",
            found.talks,
        )
    if found.corrections:
        yield ngettext(
            "Deleted: {count} correction of yours.",
            "Deleted: {count} corrections of yours.",
            found.corrections,
        )
    if found.remaining:
        yield _("What still knows this person:")
    else:
        yield _("No model on this computer knows this person.")


def _build_everything(session: PageSession) -> None:
    def delete() -> None:
        session.stop_server()
        shutil.rmtree(session.search_dir, ignore_errors=True)
        delete_everything(session.workspace, session.index_dir)
        session.exports.clear()

    def confirm() -> None:
        kept = _count_everything(session)
        text = _(
            "{kept}; all your chats with models, and the chats on this page. What "
            "learns now is stopped.",
            kept=kept,
        )
        said = _("Deleted: {kept}.", kept=kept)
        title, yes = _("Delete everything?"), _("Delete everything")
        ask(
            title, yes, lambda: deletion.run(delete, lambda _: said), text, _NOT_DELETED
        )

    with add("section", classes="card"):
        add("h2", _("Delete everything"))
        add("p", _NOT_DELETED)
        deletion = Deletion(session)
        with add("div", classes="buttons"):
            button(_("Delete everything …"), confirm, "danger")


def _count_everything(session: PageSession) -> str:
    data = list_data(session.workspace, session.index_dir)
    models, sets = len(data.models), len(data.snapshot.files)
    indexes, corrections = len(data.indexes), sum(data.corrections.values())
    texts = {
        ngettext("{count} model", "{count} models", models): models,
        ngettext("{count} set to learn from", "{count} sets to learn from", sets): sets,
        ngettext("{count} search file", "{count} search files", indexes): indexes,
        ngettext("{count} correction", "{count} corrections", corrections): corrections,
    }
    found = (text for text, count in texts.items() if count)
    return join_parts(*found, format_size(data.size_bytes))
