"""Telegram's HTML: pages of a chat, read into the shape that messages have in JSON.

HTML has no ids of people and no kinds of chats: names stand for both.
"""

from __future__ import annotations

import re
from functools import partial
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.telegram.chats import Chat
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from langchain_chatexports.chat_loaders.export_files import ExportFile

__all__ = ["find_pages", "is_page"]

_PAGE = re.compile(r"messages(\d*)\.html?", re.IGNORECASE)
_HEAD_BYTES = 8192
_SIGNS = (b"Exported Data", b"page_wrap")
_CHAT_SIGN = b"chat_page"  # Not in the lists of an account's export.
_TITLE_BYTES = 16384

_VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})
_MESSAGE_ID = re.compile(r"message(-?\d{1,18})")
_TARGET = re.compile(r"#go_to_message(\d{1,18})")
_DATE = re.compile(
    r"(\d\d)\.(\d\d)\.(\d{4}) (\d\d:\d\d:\d\d)(?: UTC([+-]\d\d:\d\d))?", re.ASCII
)
_LINES = re.compile(r"\s*\n\s*")
_DELETED = "Deleted Account"
_VIA_BOT = re.compile(r"\s+via (@\w+)$")

# What of JSON a medium is, by the class of its block.
_MEDIA: dict[str, dict[str, str]] = {
    "photo_wrap": {"photo": ""},
    "media_photo": {"photo": ""},
    "video_file_wrap": {"media_type": "video_file"},
    "media_video": {"media_type": "video_file"},
    "animated_wrap": {"media_type": "animation"},
    "sticker_wrap": {"media_type": "sticker"},
    "media_voice_message": {"media_type": "voice_message"},
    "media_audio_file": {"media_type": "audio_file"},
    "media_poll": {"poll": ""},
    "media_location": {"location_information": ""},
    "media_live_location": {"location_information": ""},
    "media_contact": {"contact_information": ""},
    "media_game": {"game_title": ""},
    "media_invoice": {"invoice_information": ""},
    "media_call": {"type": "service", "action": "phone_call"},
}


def is_page(file: ExportFile) -> bool:
    """Return whether a file is a page of a chat, by its first bytes."""
    try:
        head = file.read(_HEAD_BYTES)
    except ChatExportError:
        return False
    is_chat = _CHAT_SIGN in head or bool(_PAGE.fullmatch(file.name))
    return is_chat and all(sign in head for sign in _SIGNS)


def find_pages(
    pages: Sequence[ExportFile], warn: Callable[[ChatExportError], None]
) -> list[Chat]:
    """Return the chats that pages belong to: all of a folder are of one.

    Args:
        pages: The pages.
        warn: Called with an error for each page that cannot be read.
    """
    folders: dict[tuple[int, tuple[str, ...]], list[ExportFile]] = {}
    for page in pages:
        folders.setdefault((page.part, page.folders), []).append(page)
    chats: list[Chat] = []
    begun: dict[tuple[object, ...], str] = {}
    for inside in folders.values():
        inside.sort(key=_number)
        parser = _PageParser()
        try:
            parser.feed(inside[0].read(_TITLE_BYTES).decode("utf-8", "replace"))
        except ChatExportError as error:
            warn(error)
            continue
        title = parser.title.strip()
        folder = inside[0].folders[-1] if inside[0].folders else ""
        # Folders of single chats are named after the day; the next export's is not.
        name = title if title and title != _DELETED else ""
        chat_id = name or folder or "chat"
        if any(chat.id == chat_id for chat in chats):
            chat_id = f"{chat_id} ({folder})"
        # Two exports of one chat begin with the same message; namesakes do not. An
        # account's export has no chat twice.
        first = next(filter(_is_written, parser.messages), None)
        if first and inside[0].folders[-2:-1] != ("chats",):
            beginning = (name, first["id"], first.get("from"), first.get("text"))
            chat_id = begun.setdefault(beginning, chat_id)
        read = partial(_blocks, tuple(inside), warn)
        chats.append(Chat(chat_id, name or None, "", inside[0], read))
    return chats


def _is_written(message: dict[str, Any] | None) -> bool:
    return message is not None and message["type"] == "message"


def _number(page: ExportFile) -> int:
    match = _PAGE.fullmatch(page.name)
    return int(match[1] or 1) if match else 0


def _blocks(
    pages: tuple[ExportFile, ...], warn: Callable[[ChatExportError], None]
) -> Iterator[list[Any]]:
    sender = ""
    for page in pages:
        try:
            text = page.read().decode("utf-8", "replace")
        except ChatExportError as error:
            if len(pages) == 1:
                raise
            warn(error)
            continue
        parser = _PageParser(sender)
        parser.feed(text)
        parser.close()
        sender = parser.sender
        yield parser.messages


class _PageParser(HTMLParser):
    """Collects the messages of a page."""

    def __init__(self, sender: str = "") -> None:
        super().__init__(convert_charrefs=True)
        self.messages: list[dict[str, Any] | None] = []
        self.title = ""
        self.sender = sender
        """Who wrote the last message: one that is `joined` does not repeat it."""

        self._open: list[tuple[str, str]] = []
        self._message: dict[str, Any] | None = None
        self._depth = 0
        self._is_forwarded = False
        self._taking: tuple[str, int] | None = None
        self._taken: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an opening tag."""
        if tag == "br":
            self._taken.append("\0")
        if tag in _VOID:
            return
        values = {name: value or "" for name, value in attrs}
        classes = values.get("class", "").split()
        self._open.append((tag, " ".join(classes)))
        if self._message is None:
            self._before_message(classes, values)
        else:
            self._in_message(self._message, classes, values)

    def handle_endtag(self, tag: str) -> None:
        """Note a closing tag; one that was never opened is passed over."""
        if tag not in (name for name, _ in self._open):
            return
        while self._open:
            name, _ = self._open.pop()
            self._closed()
            if name == tag:
                return

    def handle_data(self, data: str) -> None:
        """Note a text."""
        if self._taking and not self._is_in_date():
            self._taken.append(data)

    def close(self) -> None:
        """Finish: a page that was cut off ends with a message without its rest."""
        super().close()
        if self._message is not None:
            self._message = None
            self.messages.append(None)

    def _before_message(self, classes: list[str], values: dict[str, str]) -> None:
        number = _MESSAGE_ID.fullmatch(values.get("id", ""))
        if "message" in classes and number:
            self._depth = len(self._open)
            self._is_forwarded = False
            self._message = {"id": int(number[1]), "type": "message"}
            if "service" in classes:
                self._message |= {"type": "service", "from": None}
        elif not self.title and {"text", "bold"} <= set(classes):
            self._take("title")

    def _in_message(
        self, message: dict[str, Any], classes: list[str], values: dict[str, str]
    ) -> None:
        if "forwarded" in classes and "body" in classes:
            self._is_forwarded = True
            message.setdefault("forwarded_from", None)
        elif "date" in classes and "title" in values and not self._is_forwarded:
            message["date"] = _iso(values["title"])
        elif target := _TARGET.search(values.get("href", "")):
            message.setdefault("reply_to_message_id", int(target[1]))
        elif part := self._part_of(message, classes):
            self._take(part)
        for name in classes:
            if name in _MEDIA:
                message.update(_MEDIA[name])
            elif name == "media_wrap":
                message.setdefault("file", "")

    def _part_of(self, message: dict[str, Any], classes: list[str]) -> str:
        """Return which part of a message the text in a block is, if it is one."""
        if "from_name" in classes:
            return "forwarded_from" if self._is_forwarded else "from"
        if "text" in classes and "text" not in message and "bold" not in classes:
            return "text"
        if "details" in classes and "body" in classes:
            return "information_text"
        if any("reaction" in names.split() for _, names in self._open[:-1]):
            return next((name for name in ("emoji", "count") if name in classes), "")
        return ""

    def _take(self, what: str) -> None:
        if self._taking is None:
            self._taking, self._taken = (what, len(self._open)), []

    def _is_in_date(self) -> bool:
        return any("date" in classes.split() for _, classes in self._open[-2:])

    def _closed(self) -> None:
        depth = len(self._open)
        if self._taking and depth < self._taking[1]:
            self._keep(self._taking[0])
        if self._message is not None and depth < self._depth:
            self._end_message(self._message)

    def _keep(self, what: str) -> None:
        text = _LINES.sub(" ", "".join(self._taken)).replace("\0", "\n").strip()
        self._taking = None
        if what == "title":
            self.title = text
        elif self._message is None:
            return
        elif what == "emoji":
            found = {"type": "emoji", "emoji": text, "count": 1}
            self._message.setdefault("reactions", []).append(found)
        elif what == "count":
            if text.isdecimal() and (reactions := self._message.get("reactions")):
                reactions[-1]["count"] = int(text[:9])
        else:
            self._message[what] = text

    def _end_message(self, message: dict[str, Any]) -> None:
        self._message = None
        if message["type"] == "message":
            # A `joined` one does not say who wrote it: the same as before.
            self.sender = message.get("from", self.sender)
            name, bot = _without_bot(self.sender)
            message["from"] = name if name != _DELETED else None
            message["from_id"] = name
            forwarded, bot_before = _without_bot(message.get("forwarded_from") or "")
            if forwarded:
                message["forwarded_from"] = forwarded
            if bot or bot_before:
                message["via_bot"] = bot or bot_before
        if "file" in message and not _is_file(message):
            del message["file"]
        self.messages.append(message)


def _without_bot(name: str) -> tuple[str, str]:
    """Return a name and the inline bot that stands behind it, if there is one."""
    match = _VIA_BOT.search(name)
    return (name[: match.start()], match[1]) if match else (name, "")


def _is_file(message: dict[str, Any]) -> bool:
    known = {key for values in _MEDIA.values() for key in values} - {"media_type"}
    return not (known - {"type", "action"}).intersection(message)


def _iso(title: str) -> str:
    match = _DATE.match(title)
    if match is None:
        return ""
    day, month, year, clock, offset = match.groups()
    return f"{year}-{month}-{day}T{clock}{offset or ''}"
