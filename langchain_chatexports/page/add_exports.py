"""Screen 1: exports are added, each on a card of its own."""

from __future__ import annotations

import platform
from functools import partial
from pathlib import Path

from nicegui import ui

from langchain_chatexports._progress import time_left
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.imessage.sources import default_path
from langchain_chatexports.page.exports import Card
from langchain_chatexports.page.how_to_export import build_how_to_export
from langchain_chatexports.page.layout import (
    error_box,
    follow,
    next_link,
    scroll_to,
    show_work,
    text,
)
from langchain_chatexports.page.path_chooser import choose_path
from langchain_chatexports.page.session import PageSession


def build_add_exports(session: PageSession) -> None:
    """Build the screen."""
    text(
        "On this page you train a small AI model that writes as somebody does in your "
        "chats, and then talk to it. It begins with an export: the copy of your chats "
        "that WhatsApp, Messenger, Instagram, Telegram, Signal, iMessage, Discord or "
        "Slack lets you have. It is read on this machine, never changed, and nothing "
        "of it is sent anywhere."
    )
    how_to_get = build_how_to_export()

    def add_path() -> None:
        given = path.value.strip().strip("\"'")
        if given:
            session.exports.add([Path(given).expanduser()])
            path.set_value("")

    with ui.element("div").classes("drop"):
        text("Drop files and folders anywhere on this page", classes="name")
        files = ui.element("input").props("type=file multiple id=files tabindex=-1")
        files.props('aria-label="Files to add"').classes("unseen")
        with ui.element("div").classes("row-of"):
            # In the browser: it opens its dialog only for what a person does in it.
            ui.button("Choose files …").on(
                "click", js_handler="() => document.getElementById('files').click()"
            )
            folder = ui.button(
                "Choose a folder …",
                on_click=lambda: choose_path(lambda path: session.exports.add([path])),
            )
            folder.props("outline")
    with ui.element("div").classes("row-of"):
        path = ui.input("Or the path of a file or folder on this machine")
        path.classes("grow").on("keydown.enter", add_path)
        ui.button("Add", on_click=add_path)
    if platform.system() == "Darwin":
        ui.button(
            "Add this Mac's own Messages",
            on_click=lambda: session.exports.add([default_path()]),
        )
    _build_cards(session, how_to_get)
    _build_report(session)


def _build_cards(session: PageSession, how_to_get: ui.expansion) -> None:
    exports = session.exports
    seen = [len(exports.cards)]

    def talk_at_once() -> None:
        if session.talk.chosen is not None or not session.talk.is_ready:
            session.talk_to_person()
        ui.navigate.to("/talk")

    @ui.refreshable
    def cards() -> None:
        with ui.element("div").classes("part"):
            for card in exports.cards:
                _build_card(session, card)
            for note in exports.notes:
                text(note, classes="quiet")
            if not exports.cards:
                text("No export at hand?", classes="quiet")
                button = ui.button("Try it with invented chats")
                button.on_click(session.add_sample).props("outline")
            elif session.read:
                next_link("Next: choose whose voice to learn", "/choose")
                if session.choice.voice is not None:
                    button = ui.button("Or talk at once, without a training")
                    button.on_click(talk_at_once).props("outline")
        if len(exports.cards) > seen[0]:
            how_to_get.close()
            scroll_to(result)
        seen[0] = len(exports.cards)

    result = ui.element("div").classes("part").props("aria-live=polite")
    with result:
        follow(
            cards,
            lambda: (
                list(exports.cards),
                len(exports.notes),
                id(session.read),
                session.choice.voice is not None,
            ),
        )


def _build_card(session: PageSession, card: Card) -> None:
    def waits() -> str:
        before = session.exports.reading
        if card.state != "waiting" or before is None:
            return "Waits until the others are read."
        left = before.work.seconds_left
        rest = f", {time_left(left)}" if left else ""
        return f"Waits until {before.name} is read{rest}."

    @ui.refreshable
    def shown() -> None:
        with ui.element("div").classes("card"):
            text(card.name, tag="h2", classes="name")
            if card.state == "copying":
                text(f"Copying … {(card.copied_bytes or 0) / 1e6:,.1f} MB")
            elif card.state == "waiting":
                text(waits())
            elif card.state == "reading":
                show_work(card.work, "message")
            elif card.export and card.summary:
                text(
                    f"{card.export.format}: "
                    f"{plural(card.summary.sessions, 'conversation')}, "
                    f"{card.summary.kept:,} of "
                    f"{plural(card.summary.found, 'message')} kept"
                )
                if repeated := card.summary.skipped.get("duplicate"):
                    text(
                        f"{plural(repeated, 'message')} had been read from another "
                        "place, and are learned once.",
                        classes="quiet",
                    )
            error_box(session.exports.in_words(card.work.error))
            for note in card.notes:
                text(note, classes="quiet")
            is_over = card.state in {"read", "failed"}
            button = ui.button("Remove from the list" if is_over else "Cancel")
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
            len(card.notes),
        ),
    )


def _build_report(session: PageSession) -> None:
    @ui.refreshable
    def report() -> None:
        with ui.element("div").classes("part"):
            if session.report:
                frame = ui.element("iframe").classes("report")
                source = f"report?{id(session.report)}"
                frame.props(f'src={source} title="Report about these exports"')
            elif session.reporting.is_running:
                show_work(session.reporting, "message")
            elif session.read:
                button = ui.button("Show figures about these chats")
                button.on_click(session.draw_report).props("outline")
            error_box(session.reporting.error)

    follow(
        report,
        lambda: (
            id(session.read),
            id(session.report),
            session.reporting.is_running,
            session.reporting.progress,
        ),
    )
