"""Screen 1: add exports, with a card for each."""

import json
import platform
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from nicegui import ui

from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.imessage.sources import default_path
from langchain_chatexports.chat_loaders.recognition import PLATFORM_NAMES
from langchain_chatexports.page.exports import Card
from langchain_chatexports.page.languages import (
    Size,
    TimeLeft,
    _,
    format_names,
    join_parts,
    ngettext,
)
from langchain_chatexports.page.layout import (
    error_box,
    next_link,
    paragraph,
    rebuild_on_change,
    scroll_to,
    show_details,
    show_work,
    text,
)
from langchain_chatexports.page.session import PageSession

_MAX_NAMES = 10
# The same steps as in the sections "Get your export" of docs/.
_STEPS = Path(__file__).with_name("how_to_export.json")
# Marks the line to tap in a drawing.
_TAPPED = "*"


def build_add_exports(session: PageSession) -> None:
    paragraph(
        "Train a small AI model to write like someone in your chats, then talk to it. "
        "Start with an export: a copy of your chats from WhatsApp, Messenger, "
        "Instagram, Telegram, Signal, iMessage, Discord or Slack. It is read on this "
        "machine, and never changed or sent anywhere."
    )
    instructions = _build_how_to_export()

    def add_path() -> None:
        path_text = path.value.strip().strip("\"'")
        if path_text:
            session.exports.add([Path(path_text).expanduser()])
            path.set_value("")

    with ui.element("div").classes("drop"):
        text(_("Drop files and folders anywhere on this page"), classes="name")
        with ui.element("div").classes("form-row"):
            _build_chooser("files", _("Choose files …"), "multiple")
            _build_chooser("folder", _("Choose a folder …"), "webkitdirectory")
    with ui.element("div").classes("form-row"):
        path = ui.input(_("Or the path of a file or folder"))
        path.classes("grow").on("keydown.enter", add_path)
        ui.button(_("Add"), on_click=add_path)
    if platform.system() == "Darwin":
        ui.button(
            _("Add this Mac's Messages"),
            on_click=lambda: session.exports.add([default_path()]),
        )
    _build_cards(session, instructions)


def _build_how_to_export() -> ui.expansion:
    """Show how to export chats from each app, with a drawing of each step."""
    steps_by_app = json.loads(_STEPS.read_text("utf-8"))
    with ui.expansion(_("How do I get an export?")) as instructions:
        names = {name: _(name) for name in steps_by_app}
        app = ui.select(names, label=_("App"), value=next(iter(names)))

        @ui.refreshable
        def steps() -> None:
            with ui.element("ol").classes("how-to"):
                for step in steps_by_app[app.value]:
                    with ui.element("li"):
                        instruction = step["instruction"]
                        text(_(instruction))
                        if "screen" in step:
                            _draw(step["screen"])

        steps()
        app.on_value_change(steps.refresh)
    return instructions


def _draw(lines: Sequence[str]) -> None:
    with ui.element("div").classes("phone").props("aria-hidden=true"):
        for line in lines:
            kind = "tapped" if line.startswith(_TAPPED) else ""
            name = line.removeprefix(_TAPPED)
            with ui.element("div").classes(kind):
                ui.label(_(name))


def _build_chooser(name: str, title: str, prop: str) -> None:
    """Add a button that opens the system's dialog for files or a folder."""
    field = ui.element("input").props(f"type=file id={name} tabindex=-1 {prop}")
    field.props["aria-label"] = title
    field.classes("visually-hidden")
    # Browsers open the dialog only in the handler of a click.
    script = f"() => document.getElementById('{name}').click()"
    ui.button(title).on("click", js_handler=script)


def _build_cards(session: PageSession, instructions: ui.expansion) -> None:
    exports = session.exports
    card_count = len(exports.cards)

    def cards() -> None:
        nonlocal card_count
        for card in exports.cards:
            _build_card(session, card)
        if len(exports.cards) > card_count:
            instructions.close()
            scroll_to(result)
        card_count = len(exports.cards)

    result = ui.element("div").classes("part").props("aria-live=polite")
    with result:
        rebuild_on_change(cards, lambda: list(exports.cards))
        rebuild_on_change(
            lambda: _show_next_steps(session),
            lambda: (
                bool(exports.cards),
                len(exports.notes),
                len(exports.warnings),
                id(session.contents),
                session.choice.voice is not None,
            ),
        )


def _show_next_steps(session: PageSession) -> None:
    """Show the notes about all exports, and what to do next."""
    exports = session.exports

    for note in exports.notes:
        text(note, classes="quiet")
    _show_warnings(exports.warnings)
    if not exports.cards:
        text(_("Don't have an export yet?"), classes="quiet")
        button = ui.button(_("Try it with sample chats"))
        button.on_click(session.add_sample).props("outline")
    elif session.contents:
        next_link(_("Next: choose whose voice to learn"), "/choose")


def _build_card(session: PageSession, card: Card) -> None:
    def wait_text() -> str:
        current = session.exports.current_card
        if card.state != "waiting" or current is None:
            return _("Waiting for the other exports.")
        return join_parts(
            _("Waiting for {name}", name=current.name),
            TimeLeft(current.work.seconds_left),
        )

    def content() -> None:
        state = card.state
        text(card.name, tag="h2", classes="name")
        if state == "copying":
            text(_("Copying … {size}", size=Size(card.copied_bytes or 0)))
        elif state == "waiting":
            text(wait_text())
        elif state == "reading":
            show_work(card.work)
        elif card.summary:
            _show_summary(card, card.summary)
        _show_skipped_files(card.skipped_files)
        if failure := card.work.error:
            details = session.exports.strip_copy_paths(failure.details)
            error_box(failure.message, details)
        _show_warnings(card.warnings)
        is_over = state in {"read", "failed"}
        remove.text = _("Remove from the list") if is_over else _("Cancel")

    def state() -> object:
        return (
            card.state,
            wait_text(),
            card.copied_bytes,
            card.work.progress,
            card.work.error,
            card.summary,
            len(card.warnings),
        )

    with ui.element("div").classes("card"):
        part = ui.element("div")
        # Outside the part, which is rebuilt while an export is read: a rebuild during
        # a click would lose the click.
        remove = ui.button(on_click=partial(session.exports.remove, card))
        remove.props("outline dense").classes("small")
        with part:
            rebuild_on_change(content, state)


def _show_summary(card: Card, summary: ExportSummary) -> None:
    name = PLATFORM_NAMES.get(summary.platform)
    text(
        join_parts(
            _("{app} export", app=name) if name else _("A table"),
            ngettext("{count} chat", "{count} chats", summary.sessions),
            ngettext(
                "{kept} of {count} message kept",
                "{kept} of {count} messages kept",
                summary.found,
                kept=summary.kept,
            ),
        )
    )
    for note in _notes(card, summary):
        text(note, classes="quiet")


def _notes(card: Card, summary: ExportSummary) -> Iterator[str]:
    if not summary.kept:
        yield _("No messages to train on.")
    for pair in card.duplicates:
        yield _(
            "{one} and {other} look like the same chat from two phones, with "
            "different names: only one of them is used.",
            one=pair.first.title,
            other=pair.second.title,
        )
    if repeated := summary.skipped.get("duplicate"):
        yield ngettext(
            "{count} message is also in another export, and is used only once.",
            "{count} messages are also in another export, and are used only once.",
            repeated,
        )
    if "time_zone" in summary.details:
        yield _(
            "Its timestamps have no time zone: this machine's time zone is assumed."
        )
    if any("guess" in order for order in summary.details.get("date_orders", ())):
        yield _(
            "Its dates do not show whether the day or the month comes first. If dates "
            "are wrong, also add a longer chat from the same phone."
        )


def _show_skipped_files(names: Sequence[str]) -> None:
    if not names:
        return
    listed_names = [*names[:_MAX_NAMES]]
    if hidden_count := len(names) - len(listed_names):
        listed_names.append(_("{count} more", count=hidden_count))
    error_box(
        _(
            "Skipped (damaged or not an export): {files}",
            files=format_names(listed_names),
        )
    )


def _show_warnings(warnings: Sequence[str]) -> None:
    if warnings:
        show_details(_("Details, in English"), warnings)
