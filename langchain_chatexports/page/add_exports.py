"""Screen 1: add exports, each on a card."""

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
    facts,
    listed,
    ngettext,
)
from langchain_chatexports.page.layout import (
    error_box,
    follow,
    next_link,
    paragraph,
    scroll_to,
    show_english,
    show_work,
    text,
)
from langchain_chatexports.page.session import PageSession

_MAX_NAMES = 10
# The steps are those of the sections "Get your export" in docs/.
_STEPS = Path(__file__).with_name("how_to_export.json")
# The mark of the line to tap in a drawing.
_TAPPED = "*"


def build_add_exports(session: PageSession) -> None:
    paragraph(
        "On this page you train a small AI model that writes like a person in "
        "your chats, and talk to it. Begin with an export: the copy of your "
        "chats that WhatsApp, Messenger, Instagram, Telegram, Signal, iMessage, "
        "Discord or Slack offers you. It is read on this machine, never "
        "changed, and never sent anywhere."
    )
    how_to_get = _build_how_to_export()

    def add_path() -> None:
        given = path.value.strip().strip("\"'")
        if given:
            session.exports.add([Path(given).expanduser()])
            path.set_value("")

    with ui.element("div").classes("drop"):
        text(_("Drop files and folders anywhere on this page"), classes="name")
        with ui.element("div").classes("row-of"):
            _build_chooser("files", _("Choose files …"), "multiple")
            _build_chooser("folder", _("Choose a folder …"), "webkitdirectory")
    with ui.element("div").classes("row-of"):
        path = ui.input(_("Or the path of a file or folder"))
        path.classes("grow").on("keydown.enter", add_path)
        ui.button(_("Add"), on_click=add_path)
    if platform.system() == "Darwin":
        ui.button(
            _("Add this Mac's own Messages"),
            on_click=lambda: session.exports.add([default_path()]),
        )
    _build_cards(session, how_to_get)


def _build_how_to_export() -> ui.expansion:
    """Show how to export chats from each app, with a drawing of each step."""
    steps_of = json.loads(_STEPS.read_text("utf-8"))
    with ui.expansion(_("How do I get an export?")) as folded:
        names = {name: _(name) for name in steps_of}
        app = ui.select(names, label=_("App"), value=next(iter(names)))

        @ui.refreshable
        def steps() -> None:
            with ui.element("ol").classes("steps-to-take"):
                for step in steps_of[app.value]:
                    with ui.element("li"):
                        what = step["what"]
                        text(_(what))
                        if "screen" in step:
                            _draw(step["screen"])

        steps()
        app.on_value_change(steps.refresh)
    return folded


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
    field.classes("unseen")
    # In the browser, which opens its dialog only on a person's click.
    script = f"() => document.getElementById('{name}').click()"
    ui.button(title).on("click", js_handler=script)


def _build_cards(session: PageSession, how_to_get: ui.expansion) -> None:
    exports = session.exports
    shown_count = [len(exports.cards)]

    def talk_at_once() -> None:
        if session.talk.chosen is not None or not session.talk.is_ready:
            session.talk_to_person()
        ui.navigate.to("/talk")

    def cards() -> None:
        for card in exports.cards:
            _build_card(session, card)
        for note in exports.notes:
            text(note, classes="quiet")
        _show_warnings(exports.warnings)
        if not exports.cards:
            text(_("No export at hand?"), classes="quiet")
            button = ui.button(_("Try it with invented chats"))
            button.on_click(session.add_sample).props("outline")
        elif session.read:
            next_link(_("Next: choose whose voice to learn"), "/choose")
            if session.choice.voice is not None:
                button = ui.button(_("Or talk at once, without a training"))
                button.on_click(talk_at_once).props("outline")
        if len(exports.cards) > shown_count[0]:
            how_to_get.close()
            scroll_to(result)
        shown_count[0] = len(exports.cards)

    result = ui.element("div").classes("part").props("aria-live=polite")
    with result:
        follow(
            cards,
            lambda: (
                list(exports.cards),
                len(exports.notes),
                len(exports.warnings),
                id(session.read),
                session.choice.voice is not None,
            ),
        )


def _build_card(session: PageSession, card: Card) -> None:
    def waits() -> str:
        before = session.exports.reading
        if card.state != "waiting" or before is None:
            return _("Waits until the others are read.")
        return facts(
            _("Waits until {name} is read", name=before.name),
            TimeLeft(before.work.seconds_left),
        )

    def shown() -> None:
        with ui.element("div").classes("card"):
            text(card.name, tag="h2", classes="name")
            if card.state == "copying":
                text(_("Copying … {size}", size=Size(card.copied_bytes or 0)))
            elif card.state == "waiting":
                text(waits())
            elif card.state == "reading":
                show_work(card.work)
            elif card.summary:
                _show_card(card, card.summary)
            _show_skipped_files(card.skipped_files)
            if failure := card.work.error:
                details = session.exports.without_copies(failure.details)
                error_box(failure.sentence, details)
            _show_warnings(card.warnings)
            is_over = card.state in {"read", "failed"}
            button = ui.button(_("Remove from the list") if is_over else _("Cancel"))
            button.on_click(partial(session.exports.remove, card))
            button.props("outline dense").classes("small")

    follow(
        shown,
        lambda: (
            card.state,
            waits(),
            card.copied_bytes,
            card.work.progress,
            card.summary,
            len(card.warnings),
        ),
    )


def _show_card(card: Card, summary: ExportSummary) -> None:
    name = PLATFORM_NAMES.get(summary.platform)
    text(
        facts(
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
        yield _("There are no messages to learn from.")
    for twins in card.twins:
        yield _(
            "{one} and {other} look like one chat, from two phones with different "
            "names: one of the two is learned.",
            one=twins.one.title,
            other=twins.other.title,
        )
    if repeated := summary.skipped.get("duplicate"):
        yield ngettext(
            "{count} message is also in another export, and is learned once.",
            "{count} messages are also in another export, and are learned once.",
            repeated,
        )
    if "time_zone" in summary.details:
        yield _("Its times have no time zone: they are read as this machine's.")
    if any("guess" in order for order in summary.details.get("date_orders", ())):
        yield _(
            "Its dates do not show whether the day or the month comes first. If the "
            "figures show wrong dates, add a longer chat from the same phone, too."
        )


def _show_skipped_files(names: Sequence[str]) -> None:
    if not names:
        return
    shown = [*names[:_MAX_NAMES]]
    if more := len(names) - len(shown):
        shown.append(_("{count} more", count=more))
    error_box(
        _("Skipped, because damaged or not an export: {files}", files=listed(shown))
    )


def _show_warnings(warnings: Sequence[str]) -> None:
    if warnings:
        show_english(_("Details, in English"), warnings)
