"""Telegram's HTML: pages of a chat, read into the records that JSON has.

HTML has no ids of people and no types of chats, so names are used instead. Telegram
escapes texts and attributes, so each message tag begins a message.
"""

import html
import re
from collections.abc import Iterator, Sequence
from functools import partial

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
_CHAT_SIGN = b"chat_page"  # Missing in the list pages of an account's export.
_TITLE_BYTES = 16384

# No pattern reaches beyond the start of its next possible match, so that reading takes
# linear time.
_TITLE = '<div class="text bold">'
_MESSAGE = re.compile(
    r'<div\s+class="message( service)?[^"<>]*"\s+id="message(-?\d{1,18})"'
)
_FORWARDED = '<div class="forwarded body">'
_REPLY = re.compile(
    r'"reply_to details">[^<]*<a [^<>"]*"[^"<>]*#go_to_message(\d{1,18})'
)
_CLASSES = re.compile(r'class="([^"<>]*)"')
_MEDIA_BLOCK = 'class="media_wrap'
_EMOJI, _COUNT = 'class="emoji">', re.compile(r'class="count">\s*(\d{1,9})', re.ASCII)
_DATE = re.compile(
    r'date details" title="(\d\d)\.(\d\d)\.(\d{4}) (\d\d:\d\d:\d\d)'
    r"(?: UTC([+-]\d\d:\d\d))?",
    re.ASCII,
)
_LINE_BREAK, _BREAK_TAG = "\0", re.compile(r"<br\s*/?>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_LONG_REFERENCE = re.compile(r"&#[xX]?[0-9a-fA-F]{10,};?")
_DELETED = "Deleted Account"
_VIA_BOT = re.compile(r" via (@\w+)$")

# The fields of a record, by the class of a media block.
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
_OF_FILES = frozenset({"media_type"})


def is_page(file: ExportFile) -> bool:
    """Return whether a file is a page of a chat, by its first bytes."""
    if not file.name.lower().endswith((".html", ".htm")):
        return False
    head = file.head(_HEAD_BYTES)
    is_chat = _CHAT_SIGN in head or bool(_PAGE.fullmatch(file.name))
    return is_chat and all(sign in head for sign in _SIGNS)


def find_pages(pages: Sequence[ExportFile], files: ExportFiles) -> list[Chat]:
    """Return the chats of pages; the pages of a folder belong to one chat."""
    folders: dict[tuple[int, tuple[str, ...]], list[ExportFile]] = {}
    for page in pages:
        folders.setdefault((page.part, page.folders), []).append(page)
    chats: dict[str, Chat] = {}
    same: dict[tuple[object, ...], str] = {}
    found = []
    for (_, names), inside in folders.items():
        inside.sort(key=_number)
        try:
            head = inside[0].read(_TITLE_BYTES).decode("utf-8", "replace")
        except ChatExportError as error:
            files.skip(error)
            continue
        title = _text(_inside(head, _TITLE))
        # The folder of a single chat is named after the day of the export.
        name = title if title != _DELETED else ""
        folder = names[-1] if names else ""
        chat_id = name or folder or "chat"
        chat_id = f"{chat_id} ({folder})" if chat_id in chats else chat_id
        # Two exports of one chat begin with the same message, unlike chats that only
        # share a name. An account's export contains each chat once.
        records = PageReader().records(head)
        first = next((r for r in records if r and r.type == "message"), None)
        if first and names[-2:-1] != ("chats",):
            beginning = (name, first.id, first.from_, first.text)
            chat_id = same.setdefault(beginning, chat_id)
        read = partial(_records, tuple(inside), files)
        chat = Chat(chat_id, name or None, "", read, is_html=True)
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
        # The author of the last message, which a `joined` message does not repeat.
        self._sender = ""

    def records(self, page: str) -> Iterator[Record | None]:
        """Yield the records of a page; `None` for a truncated one."""
        found = _MESSAGE.finditer(page)
        start = next(found, None)
        while start:
            following = next(found, None)
            block = page[start.end() : following.start() if following else None]
            if following is None and block.count("<div") >= block.count("</div"):
                yield None
            else:
                kind = "service" if start[1] else "message"
                yield self._record(Record(id=int(start[2]), type=kind), block)
            start = following

    def _record(self, record: Record, block: str) -> Record:
        own, is_forwarded, forwarded = block.partition(_FORWARDED)
        if date := _DATE.search(own):
            day, month, year, clock, offset = date.groups(default="")
            record.date = f"{year}-{month}-{day}T{clock}{offset}"
        record.text = _text(_inside(block, '<div class="text">'))
        if record.type == "service":
            record.information_text = _text(_inside(own, 'class="body details">'))
            return record
        if reply := _REPLY.search(own):
            record.reply_to_message_id = int(reply[1])
        record.reactions = list(_reactions(block)) or None
        self._sender = _name(own) or self._sender
        name, bot = _without_bot(self._sender)
        record.from_ = name if name != _DELETED else None
        record.from_id = name
        if is_forwarded:
            author, forwarding = _without_bot(_name(forwarded))
            record.forwarded_from, bot = author, bot or forwarding
        record.via_bot = bot or None
        # A call becomes a service message, but keeps its author.
        if _MEDIA_BLOCK in block:
            _set_media(record, block)
        return record


def _set_media(record: Record, block: str) -> None:
    names = {name for found in _CLASSES.findall(block) for name in found.split()}
    fields = {
        key: value for name in names for key, value in _MEDIA.get(name, {}).items()
    }
    for field, value in fields.items():
        setattr(record, field, value)
    if fields.keys() <= _OF_FILES:
        record.file = ""


def _reactions(block: str) -> Iterator[Reaction]:
    for part in block.split(_EMOJI)[1:]:
        count = _COUNT.search(part)
        emoji = _text(part.partition("</span>")[0])
        yield Reaction(emoji=emoji, count=int(count[1]) if count else 1)


def _inside(block: str, opening: str) -> str:
    """Return the content of the first element with a tag, without nested `div`s."""
    _, _, rest = block.partition(opening)
    return rest.partition("</div>")[0]


def _name(block: str) -> str:
    # The element also contains the date of a forwarded message.
    return _text(_inside(block, '<div class="from_name">').partition("<")[0])


def _text(source: str) -> str:
    """Return the text of a block, with line breaks for `<br>` only."""
    text = _TAG.sub("", _BREAK_TAG.sub(_LINE_BREAK, source))
    text = html.unescape(_LONG_REFERENCE.sub("\ufffd", text))
    lines = filter(None, (line.strip() for line in text.split("\n")))
    return " ".join(lines).replace(_LINE_BREAK, "\n").strip()


def _without_bot(name: str) -> tuple[str, str]:
    """Return a name and the inline bot that follows it, if there is one."""
    match = _VIA_BOT.search(name)
    return (name[: match.start()].rstrip(), match[1]) if match else (name, "")
