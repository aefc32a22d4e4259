"""Add chats: drop files anywhere, and a card for each says who is in it."""

import json
import platform
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from nicegui import ui

from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.imessage.sources import default_path
from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.chat_loaders.recognition import PLATFORM_NAMES
from langchain_chatexports.page.elements import (
    Element,
    KeyedList,
    Show,
    WorkBar,
    add,
    build_line,
    button,
    fold,
    line_form,
    link,
)
from langchain_chatexports.page.exports import Card
from langchain_chatexports.page.frame import ADD, TALK, TEACH, screen
from langchain_chatexports.page.languages import (
    _,
    format_days,
    format_names,
    format_size,
    join_parts,
    message_count_text,
    ngettext,
)
from langchain_chatexports.page.people import person_key
from langchain_chatexports.page.session import SAMPLE, PageSession

_MAX_NAMES, _MAX_FILES, _MAX_PEOPLE = 3, 10, 4
# The same steps as in the sections "Get your export" of docs/.
_STEPS = Path(__file__).with_name("how_to_export.json")
# Marks the line to tap in a drawing.
_TAPPED = "*"
_OPEN_STEPS = "() => { document.getElementById('how').open = true }"


def build_add(session: PageSession) -> None:
    with (
        screen(session, ADD, _("Add chats")),
        add("div", classes="body") as body,
    ):
        add(
            "p",
            _(
                "Talk with someone from your chats: a model on this computer writes "
                "like them. Add a copy of your chats from WhatsApp, Messenger, "
                "Instagram, Telegram, Signal, iMessage, Discord, Slack, Skype, LINE, "
                "KakaoTalk, SMS or e-mail. It is only read, and never leaves this "
                "computer."
            ),
            "intro",
        )
        with add("div", classes="card drop"):
            add("p", _("Drop files and folders anywhere on this page"), "name")
            with add("div", classes="buttons"):
                _build_chooser("files", _("Choose files …"), "multiple")
                _build_chooser("folder", _("Choose a folder …"), "webkitdirectory")
        _build_cards(session)
        _build_steps()
        with add("div", classes="buttons") as sample:
            add("p", _("No chats at hand?"), "quiet")
            button(_("Try it with sample chats"), session.add_sample, "quiet")
        with fold(_("More")):
            _build_more(session)

    def show(exports: tuple[Card, ...]) -> None:
        body.set_class("filled", is_on=bool(exports))
        sample.set_visibility(all(e.name != SAMPLE for e in exports))

    session.published.watch(lambda s: s.exports, show)


def _build_chooser(name: str, title: str, prop: str) -> None:
    """Add a button that opens the system's dialog for files or a folder."""
    field = ui.element("input").props(f"type=file id={name} tabindex=-1 {prop}")
    field.props["aria-label"] = title
    field.classes("visually-hidden")
    # Browsers open the dialog only in the handler of a click.
    script = f"() => document.getElementById('{name}').click()"
    button(title, None, "primary" if name == "files" else "quiet").on(
        "click", js_handler=script
    )


def _build_more(session: PageSession) -> None:
    def add_path(text: str) -> None:
        session.exports.add([Path(text.strip("\"'")).expanduser()])
        session.poller.poke()

    line_form(_("Where a file or folder is on this computer"), _("Add"), add_path)
    if platform.system() == "Darwin":
        button(
            _("Add this Mac's Messages"),
            lambda: session.exports.add([default_path()]),
            "quiet",
        )


def _build_cards(session: PageSession) -> None:
    with ui.element("div").props("aria-live=polite").classes("body-part"):
        cards = KeyedList(partial(_build_card, session), lambda card: card.id, "div")
        cards.classes("body-part")
        clear = button(
            _("Remove all that could not be read"),
            session.exports.remove_failed,
            "quiet",
        )

    def show(exports: tuple[Card, ...]) -> None:
        cards.show(exports)
        clear.set_visibility(sum(one.state == "failed" for one in exports) > 1)

    session.published.watch(lambda s: s.exports, show)


def _build_card(session: PageSession, row: Element, export: Card) -> Show[Card]:
    row.classes("card")
    title = add("h2", classes="name", dir="auto")
    facts = add("p", classes="quiet", dir="auto")
    reading = WorkBar()
    how = add("a", _("How do I get my chats?"), href="#how")
    how.on("click", js_handler=_OPEN_STEPS)
    people = KeyedList(_build_person, tag="div").classes("people")
    notes = KeyedList(build_line, tag="div")
    with fold(_("Details, in English")).props("lang=en") as details:
        warnings = KeyedList(build_line, tag="div")

    def remove() -> None:
        session.exports.remove(export.id)
        session.poller.poke()

    with add("div", classes="buttons"):
        end = button("", remove, "quiet")

    def show(state: Card) -> None:
        summary = state.summary
        names = _names(summary) if summary else []
        title.set_text(_list_names(names, _MAX_NAMES) or state.name)
        facts.set_text(_facts(state))
        reading.show(state.work)
        how.set_visibility(state.state == "failed")
        people.show(names[:_MAX_PEOPLE])
        notes.show(_notes(state, summary) if summary else ())
        details.set_visibility(bool(state.warnings))
        warnings.show(state.warnings)
        is_over = state.state in {"read", "repeated", "failed"}
        end.set_text(_("Remove") if is_over else _("Cancel"))
        end.props["aria-label"] = f"{end.text}: {state.name}"

    return show


def _names(summary: ExportSummary) -> list[str]:
    """Return the people, the owner of the export last."""
    owner = name_key(summary.owner or "")
    return sorted(summary.senders, key=lambda name: name_key(name) == owner)


def _list_names(names: Sequence[str], limit: int) -> str:
    listed: list[str] = [*names[:limit]]
    if hidden := len(names) - len(listed):
        listed.append(_("{count} more", count=hidden))
    return format_names(listed)


def _facts(card: Card) -> str:
    if card.state == "copying":
        return _("Copying … {size}", size=format_size(card.copied_bytes))
    if card.state == "waiting":
        return _("Waiting for the others.")
    if card.state == "repeated":
        return _("You have already added this file.")
    if card.summary is None:
        return card.name if card.state == "reading" else ""
    return join_parts(
        message_count_text(card.summary.kept),
        format_days(card.summary.first, card.summary.last),
        PLATFORM_NAMES.get(card.summary.platform) or _("a table"),
        card.name,
    )


def _build_person(row: Element, name: str) -> None:
    row.classes("person")
    key = person_key(name)
    link(_("Talk with {name} now", name=name), f"{TALK}/{key}", "primary")
    label = _("Teach a model to write like {name}", name=name)
    link(_("Teach a model"), f"{TEACH}/{key}", "quiet", aria_label=label)


def _notes(card: Card, summary: ExportSummary) -> Iterator[str]:
    if not summary.kept:
        yield _("There are no messages in it.")
    if (hidden := len(summary.senders) - _MAX_PEOPLE) > 0:
        yield ngettext(
            "{count} more person is in the list of chats.",
            "{count} more people are in the list of chats.",
            hidden,
        )
    if card.skipped_files:
        names = _list_names(card.skipped_files, _MAX_FILES)
        yield _("Left out (damaged, or not a chat): {files}", files=names)
    for pair in card.duplicates:
        yield _(
            "{one} and {other} look like the same chat from two phones, with "
            "different names: only one of them is used.",
            one=pair.first.title,
            other=pair.second.title,
        )
    if repeated := summary.skipped.get("duplicate"):
        yield ngettext(
            "{count} message is also in another file, and is used only once.",
            "{count} messages are also in another file, and are used only once.",
            repeated,
        )
    if any("guess" in order for order in summary.details.get("date_orders", ())):
        yield _(
            "Its dates do not show whether the day or the month comes first. If dates "
            "are wrong, also add a longer chat from the same phone."
        )


# How to get a copy of one's chats


def _build_steps() -> None:
    with fold(_("How do I get my chats?")).props("id=how"):
        for app, steps in json.loads(_STEPS.read_text("utf-8")).items():
            _build_app(app, steps)


def _build_app(app: str, steps: Sequence[dict[str, object]]) -> None:
    def build() -> None:
        # Most of the drawings are never looked at.
        if len(details.default_slot.children) > 1:
            return
        with details, add("ol", classes="how-to"):
            for step in steps:
                with add("li"):
                    instruction = str(step["instruction"])
                    add("p", _(instruction))
                    _draw(step.get("screen", ()))

    with fold(_(app)) as details:
        details.mark(app).on("toggle", build)


def _draw(lines: object) -> None:
    with add("div", classes="phone").props("aria-hidden=true"):
        for line in lines if isinstance(lines, list) else ():
            kind = "tapped" if line.startswith(_TAPPED) else ""
            name = line.removeprefix(_TAPPED)
            add("p", _(name), kind)
