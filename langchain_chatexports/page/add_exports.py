"""Screen 1: exports are added, and shown as the report shows them."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import ui

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.imessage.sources import default_path
from langchain_chatexports.page.layout import (
    error_box,
    follow,
    next_link,
    scroll_to,
    show_work,
    text,
)
from langchain_chatexports.page.path_chooser import choose_path

if TYPE_CHECKING:
    from nicegui.events import MultiUploadEventArguments

    from langchain_chatexports.chat_loaders.recognition import Export
    from langchain_chatexports.page.session import PageSession

__all__ = ["build_add_exports"]

# From the pages of docs/, section "Get your export".
_HOW_TO_GET = {
    "iMessage": "On the Mac that has the messages this page has a button for them. For "
    "another computer, copy the file chat.db there: in the Finder choose Go, Go to "
    "Folder, and type ~/Library/Messages.",
    "Messenger, Instagram": "On accountscenter.facebook.com: Your information and "
    "permissions, Export your information. Choose the format JSON and all time.",
    "WhatsApp": "On the phone, in the chat: its name (iPhone), or the three dots and "
    "More (Android), then Export chat, without media. Each export is one chat.",
    "Telegram": "In Telegram Desktop: Settings, Advanced, Export Telegram data. Choose "
    "the format JSON.",
    "Discord": "User Settings, Data & Privacy, Request all of my data, with Messages.",
    "Slack": "Owners: Tools & settings, Workspace settings, Import/Export data.",
}


def build_add_exports(session: PageSession) -> None:
    """Build the screen.

    Args:
        session: The session.
    """
    text(
        "On this page you train a small AI model that writes as somebody does in your "
        "chats, and then talk to it. It begins with an export: the copy of your chats "
        "that Messenger, Instagram, WhatsApp, Telegram, Discord, Slack or iMessage "
        "lets you have. It is read on this machine, never changed, and nothing of it "
        "is sent anywhere."
    )
    with ui.expansion("How do I get an export?") as how_to_get:
        for name, how in _HOW_TO_GET.items():
            text(f"{name}: {how}")

    def add_path() -> None:
        given = path.value.strip().strip("\"'")
        if given and session.add_exports([Path(given).expanduser()]):
            path.set_value("")

    async def add_files(event: MultiUploadEventArguments) -> None:
        paths = []
        for file in event.files:
            paths.append(session.new_upload(file.name))
            await file.save(paths[-1])
        drop.reset()
        session.add_exports(paths)

    drop = ui.upload(
        label="Drop a zip or a file here",
        multiple=True,
        auto_upload=True,
        on_multi_upload=add_files,
    ).props("flat bordered")
    with ui.element("div").classes("row-of"):
        # In the browser: it opens its dialog only for what a person does in it.
        ui.button("Choose a file …").on(
            "click", js_handler=f"(e) => getElement({drop.id}).$refs.qRef.pickFiles(e)"
        )
        folder = ui.button(
            "Choose a folder …",
            on_click=lambda: choose_path(lambda path: session.add_exports([path])),
        )
        folder.props("outline")
    with ui.element("div").classes("row-of"):
        path = ui.input("Or the path of a file or folder on this machine")
        path.classes("grow").on("keydown.enter", add_path)
        ui.button("Add", on_click=add_path)
    if platform.system() == "Darwin":
        ui.button(
            "Add this Mac's own Messages",
            on_click=lambda: session.add_exports([default_path()]),
        )

    _build_result(session, how_to_get)


def _build_result(session: PageSession, how_to_get: ui.expansion) -> None:
    reading = session.reading

    def look() -> object:
        return reading.is_running, reading.error, id(session.read)

    seen = [look()]

    @ui.refreshable
    def work() -> None:
        # Messages are read several times: their number would be larger than the result.
        show_work(reading, "")
        if look() != seen[0]:
            seen[0] = look()
            how_to_get.close()
            scroll_to(result)

    @ui.refreshable
    def exports() -> None:
        with ui.element("div").classes("part"):
            _show_exports(session)

    result = ui.element("div").classes("part")
    with result:
        follow(work, lambda: (look(), reading.progress))
        follow(exports, lambda: id(session.read))


def _show_exports(session: PageSession) -> None:
    read = session.read
    if read is None:
        text("No export at hand?", classes="quiet")
        button = ui.button("Try it with invented chats", on_click=session.add_sample)
        button.props("outline")
        return
    for export, summary in zip(read.exports, read.summaries, strict=True):
        _show_export(session, export, summary)
    for note in session.notes:
        error_box(note)
    next_link("Next: choose whose voice to learn", "/choose")
    if session.choice.voice is not None:
        next_link("Or talk at once, without a training", "/talk")
    frame = ui.element("iframe").classes("report")
    frame.props(f'src=report?{id(read)} title="Report about these exports"')


def _show_export(session: PageSession, export: Export, summary: ExportSummary) -> None:
    with ui.element("div").classes("card"):
        names = ", ".join(path.name for path in export.paths)
        text(names, tag="h2", classes="name")
        text(
            f"{export.format}: {plural(summary.sessions, 'conversation')}, "
            f"{summary.kept:,} of {plural(summary.found, 'message')} kept"
        )
        with ui.element("div"):
            button = ui.button(
                "Remove from the list", on_click=lambda: session.remove_export(export)
            )
            button.props("outline dense")
