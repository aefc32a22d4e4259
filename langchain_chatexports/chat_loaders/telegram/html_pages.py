"""Telegram's HTML: pages of a chat, read into the records that JSON has.

HTML has no ids of people and no kinds of chats: names stand for both.
"""

import html
import re
from collections.abc import Iterator, Sequence
from functools import partial

import msgspec

from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.chat_loaders.telegram.json_files import (
    Chat,
    Reaction,
    Record,
)
from langchain_chatexports.exceptions import ChatExportError

_PAGE = re.compile(r"messages(\d*)\.html?", re.IGNORECASE)
_HEAD_BYTES = 8192
_SIGNS = (b"Exported Data", b"page_wrap")
_CHAT_SIGN = b"chat_page"  # Not in the lists of an account's export.
_TITLE_BYTES = 16384

# Telegram escapes `>` in attributes and texts: it ends a tag. A match begins where the
# last one ended, and never fails within a tag: the time is linear.
_TAG = re.compile(r"<(?:(/?)([a-zA-Z][a-zA-Z0-9]*)([^>]*)|[!?][^>]*)>")
_ATTRIBUTE = re.compile(r'\s(class|id|title|href)="([^"]*)"')
_NESTING = frozenset({"div", "span"})
_LONG_REFERENCE = re.compile(r"&#[xX]?[0-9a-fA-F]{10,};?")
_MESSAGE_ID = re.compile(r"message(-?\d{1,18})")
_TARGET = re.compile(r"#go_to_message(\d{1,18})")
_DATE = re.compile(
    r"(\d\d)\.(\d\d)\.(\d{4}) (\d\d:\d\d:\d\d)(?: UTC([+-]\d\d:\d\d))?", re.ASCII
)
_DELETED = "Deleted Account"
_VIA_BOT = re.compile(r" via (@\w+)$")
_LINE_BREAK = "\0"

# The fields of a record by the class of a medium's block.
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

_NOT_FILES = {
    *("photo", "poll", "location_information", "contact_information", "game_title"),
    "invoice_information",
}


def is_page(file: ExportFile) -> bool:
    """Return whether a file is a page of a chat, by its first bytes."""
    try:
        head = file.read(_HEAD_BYTES)
    except ChatExportError:
        return False
    is_chat = _CHAT_SIGN in head or bool(_PAGE.fullmatch(file.name))
    return is_chat and all(sign in head for sign in _SIGNS)


def find_pages(pages: Sequence[ExportFile], files: ExportFiles) -> list[Chat]:
    """Return the chats that pages belong to: all of a folder are of one."""
    folders: dict[tuple[int, tuple[str, ...]], list[ExportFile]] = {}
    for page in pages:
        folders.setdefault((page.part, page.folders), []).append(page)
    chats: dict[str, Chat] = {}
    same: dict[tuple[object, ...], str] = {}
    found = []
    for (_, names), inside in folders.items():
        inside.sort(key=_number)
        reader = PageReader()
        try:
            head = inside[0].read(_TITLE_BYTES)
        except ChatExportError as error:
            files.skip(error)
            continue
        records = list(reader.records(head.decode("utf-8", "replace")))
        # Folders of single chats are named after the day; the next export's is not.
        name = reader.title if reader.title != _DELETED else ""
        folder = names[-1] if names else ""
        chat_id = name or folder or "chat"
        chat_id = f"{chat_id} ({folder})" if chat_id in chats else chat_id
        # Two exports of one chat begin with the same message; namesakes do not. An
        # account's export has no chat twice.
        first = next((r for r in records if r and r.type == "message"), None)
        if first and names[-2:-1] != ("chats",):
            beginning = (name, first.id, first.from_, first.text)
            chat_id = same.setdefault(beginning, chat_id)
        read = partial(_records, tuple(inside), files)
        chat = Chat(chat_id, name or None, "", inside[0].label, read, is_html=True)
        chats[chat_id] = chat
        found.append(chat)
    return found


def _number(page: ExportFile) -> int:
    match = _PAGE.fullmatch(page.name)
    return int(match[1] or 1) if match else 0


def _records(
    pages: tuple[ExportFile, ...], files: ExportFiles
) -> Iterator[Record | None]:
    reader = PageReader()
    for page in pages:
        try:
            text = page.read().decode("utf-8", "replace")
        except ChatExportError as error:
            files.skip(error)
            continue
        yield from reader.records(text)


class PageReader:
    """Reads the pages of one chat, in order."""

    def __init__(self) -> None:
        self.title = ""
        self._sender = ""
        """The author of the last message: one that is `joined` does not repeat it."""

    def records(self, text: str) -> Iterator[Record | None]:
        """Yield the records of a page; `None` if it was cut off within one."""
        self._open: list[tuple[str, frozenset[str]]] = []
        self._open_names = dict.fromkeys(_NESTING, 0)
        self._record: Record | None = None
        self._depth = 0
        self._is_forwarded = False
        self._has_text = False
        self._part, self._part_depth = "", 0
        self._texts: list[str] = []
        at = 0
        # Beyond the last `>` there is no tag, and nothing that is complete.
        for tag in _TAG.finditer(text, 0, text.rfind(">") + 1):
            end, name, rest = tag.groups(default="")
            if self._part and not self._is_in_date():
                self._texts.append(text[at : tag.start()])
            at = tag.end()
            name = name.lower()
            if name == "br" and self._part:
                self._texts.append(_LINE_BREAK)
            elif end and name in _NESTING:
                if record := self._close(name):
                    yield record
            elif name and not end:
                self._start(name, rest)
        if self._is_inside:
            yield None

    @property
    def _is_inside(self) -> bool:
        return self._record is not None

    def _start(self, name: str, rest: str) -> None:
        attributes = dict(_ATTRIBUTE.findall(rest)) if rest else {}
        classes = frozenset(attributes.get("class", "").split())
        parent = self._open[-1][1] if self._open else classes
        if name in _NESTING:
            self._open.append((name, classes))
            self._open_names[name] += 1
        if self._record is None:
            self._start_outside(classes, attributes)
        elif attributes:
            self._start_inside(self._record, classes, attributes, parent)

    def _start_outside(
        self, classes: frozenset[str], attributes: dict[str, str]
    ) -> None:
        number = _MESSAGE_ID.fullmatch(attributes.get("id", ""))
        if "message" in classes and number:
            self._depth = len(self._open)
            self._is_forwarded = self._has_text = False
            self._part = ""
            kind = "service" if "service" in classes else "message"
            self._record = Record(id=int(number[1]), type=kind)
        elif not self.title and {"text", "bold"} <= classes:
            self._take("title")

    def _start_inside(
        self,
        record: Record,
        classes: frozenset[str],
        attributes: dict[str, str],
        parent: frozenset[str],
    ) -> None:
        if {"forwarded", "body"} <= classes:
            self._is_forwarded = True
            record.forwarded_from = None
        elif "date" in classes and "title" in attributes and not self._is_forwarded:
            record.date = _iso(attributes["title"])
        elif target := _TARGET.search(attributes.get("href", "")):
            record.reply_to_message_id = record.reply_to_message_id or int(target[1])
        elif part := self._part_of(classes, parent):
            self._take(part)
        for name in classes & _MEDIA.keys():
            for field, value in _MEDIA[name].items():
                setattr(record, field, value)
        if "media_wrap" in classes:
            record.file = ""

    def _part_of(self, classes: frozenset[str], parent: frozenset[str]) -> str:
        """Return the field of a record that the text of a block is, if it is one."""
        if "from_name" in classes:
            return "forwarded_from" if self._is_forwarded else "from_"
        if "text" in classes and "bold" not in classes and not self._has_text:
            self._has_text = True
            return "text"
        if {"details", "body"} <= classes:
            return "information_text"
        known = ("emoji", "count") if "reaction" in parent else ()
        return next((name for name in known if name in classes), "")

    def _take(self, part: str) -> None:
        if not self._part:
            self._part, self._part_depth, self._texts = part, len(self._open), []

    def _is_in_date(self) -> bool:
        return bool(self._open) and "date" in self._open[-1][1]

    def _close(self, name: str) -> Record | None:
        """Close the innermost block of a name; return the record that this ends."""
        record = None
        if self._open_names[name]:
            closed = ""
            while closed != name:
                closed, _ = self._open.pop()
                self._open_names[closed] -= 1
            if self._part and len(self._open) < self._part_depth:
                self._keep(_text("".join(self._texts)))
            if self._record and len(self._open) < self._depth:
                record, self._record = self._record, None
                self._finish(record)
        return record

    def _keep(self, text: str) -> None:
        part, self._part = self._part, ""
        if part == "title":
            self.title = text
        elif self._record is None:
            return
        elif part == "emoji":
            self._record.reactions = self._record.reactions or []
            self._record.reactions.append(Reaction(emoji=text, count=1))
        elif part == "count":
            if self._record.reactions and text.isdecimal():
                self._record.reactions[-1].count = int(text[:9])
        else:
            setattr(self._record, part, text)

    def _finish(self, record: Record) -> None:
        if record.type == "message":
            self._sender = self._sender if record.from_ is None else record.from_
            name, bot = _without_bot(self._sender)
            record.from_ = name if name != _DELETED else None
            record.from_id = name
            if isinstance(record.forwarded_from, str):
                record.forwarded_from, forwarding = _without_bot(record.forwarded_from)
                bot = bot or forwarding
            record.via_bot = bot or None
        if any(getattr(record, key) is not msgspec.UNSET for key in _NOT_FILES):
            record.file = msgspec.UNSET


def _text(source: str) -> str:
    """Return the text of a block: line ends of the page are spaces, `<br>` are not."""
    text = html.unescape(_LONG_REFERENCE.sub("\ufffd", source))
    lines = filter(None, (line.strip() for line in text.split("\n")))
    return " ".join(lines).replace(_LINE_BREAK, "\n").strip()


def _without_bot(name: str) -> tuple[str, str]:
    """Return a name and the inline bot behind it, if there is one."""
    match = _VIA_BOT.search(name)
    return (name[: match.start()].rstrip(), match[1]) if match else (name, "")


def _iso(title: str) -> str | None:
    match = _DATE.match(title)
    if match is None:
        return None
    day, month, year, clock, offset = match.groups()
    return f"{year}-{month}-{day}T{clock}{offset or ''}"
