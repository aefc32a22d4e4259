"""The part of the settings that deletes what knows a person, or everything."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from langchain_chatexports.page.changes import (
    EVERYTHING,
    FORGET,
    NOT_DELETED,
    data_text,
    delete_everything,
    delete_remaining,
    forget,
    title_of,
)
from langchain_chatexports.page.elements import (
    KeyedList,
    Show,
    WorkBar,
    add,
    ask,
    button,
    line_form,
    set_text,
)
from langchain_chatexports.page.languages import (
    _,
    join_parts,
    lazy_gettext,
    ngettext,
)
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.snapshot import Outcome
from langchain_chatexports.page.work import IDLE, WorkState
from langchain_chatexports.workflows.models import (
    list_data,
)
from langchain_chatexports.workflows.removal import RemainingCopy

_CHECKED = "(event) => emit(event.target.checked)"
_REASONS = {
    "person": lazy_gettext("it writes like this person"),
    "set": lazy_gettext("it has learned from the same chats"),
    "text": lazy_gettext("this person is named in what it has learned from"),
}


def build_forget(session: PageSession) -> None:
    """Build the deletion of what knows a person."""
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
        build_outcome(session, FORGET)
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
                    NOT_DELETED,
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
        add("span", join_parts(title_of(item), _REASONS[item.reason]), dir="auto")
    box.on("change", lambda e: toggle(e.args), js_handler=_CHECKED)
    return lambda _item: None


def build_everything(session: PageSession) -> None:
    """Build the deletion of all data."""

    def confirm() -> None:
        data = list_data(session.workspace, session.index_dir)
        ask(
            _("Delete everything?"),
            _("Delete everything"),
            lambda _text: delete_everything(session),
            _(
                "{kept}; all your chats with models, and the chats on this page. What "
                "learns now is stopped.",
                kept=data_text(data),
            ),
            NOT_DELETED,
            is_destructive=True,
        )

    with add("section", classes="card"):
        add("h2", _("Delete everything"))
        add("p", NOT_DELETED)
        build_outcome(session, EVERYTHING)
        with ui.element("div").classes("buttons"):
            button(_("Delete everything …"), confirm, "danger")


def build_outcome(session: PageSession, place: str) -> None:
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
