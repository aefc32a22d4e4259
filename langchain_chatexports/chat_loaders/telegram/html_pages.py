"""Read HTML exports: convert the pages of a chat to records of the JSON export.

HTML has neither user ids nor chat types, so names are used instead. Telegram escapes
text and attributes, so every message tag begins a message.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial

from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.markup import unescape
from langchain_chatexports.chat_loaders.telegram.records import Chat, Reaction, Record
from langchain_chatexports.exceptions import ChatExportError

_PAGE = re.compile(r"messages(\d*)\.html?", re.IGNORECASE)
_HEAD_BYTES = 8192
_SIGNATURES = (b"Exported Data", b"page_wrap")
_CHAT_SIGNATURE = b"chat_page"  # Missing in the overview pages of account exports.
_TITLE_BYTES = 16384

# For linear-time parsing, no pattern extends beyond the start of its next match.
_TITLE = '<div class="text bold">'
_MESSAGE = re.compile(
    r'<div\s+class="message( service)?[^"<>]*"\s+id="message(-?\d{1,18})"'
)
_FORWARDED = '<div class="forwarded body">'
_REPLY, _MAX_REPLY_LENGTH = '"reply_to details">', 2000
_REPLY_LINK = re.compile(r'[^<]*<a [^<>"]*"[^"<>]*#go_to_message(\d{1,18})')
_CLASSES = re.compile(r'class="([^"<>]*)"')
_MEDIA_BLOCK = 'class="media_wrap'
_USERPIC = 'class="userpic '
_EMOJI, _COUNT = 'class="emoji">', re.compile(r'class="count">\s*(\d{1,9})', re.ASCII)
_DATE = re.compile(
    r'date details" title="(\d\d)\.(\d\d)\.(\d{4}) (\d\d:\d\d:\d\d)'
    r"(?: UTC([+-]\d\d:\d\d))?",
    re.ASCII,
)
_LINE_BREAK, _BREAK_TAG = "\0", re.compile(r"<br\s*/?>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_DELETED = "Deleted Account"
_VIA_BOT = re.compile(r" via (@\w+)$")

# Record fields by the class of a media block.
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
_FILE_FIELDS = frozenset({"media_type"})


def may_be_page(file: ExportFile) -> bool:
    """Return whether the name of a file begins like that of a chat's page or file."""
    return file.name.lower().startswith(("messages", "result"))


def is_page(file: ExportFile) -> bool:
    """Return whether the first bytes of a file are those of a chat page."""
    if not file.name.lower().endswith((".html", ".htm")):
        return False
    head = file.head(_HEAD_BYTES)
    is_chat = _CHAT_SIGNATURE in head or bool(_PAGE.fullmatch(file.name))
    return is_chat and all(signature in head for signature in _SIGNATURES)


def find_pages(pages: Sequence[ExportFile], files: ExportFiles) -> list[Chat]:
    """Return the chats in pages. All pages in a folder belong to one chat."""
    folders: dict[tuple[int, tuple[str, ...]], list[ExportFile]] = {}
    for page in pages:
        folders.setdefault((page.part, page.folders), []).append(page)
    chats: dict[str, Chat] = {}
    ids_by_beginning: dict[tuple[object, ...], str] = {}
    all_chats = []
    for (_, names), chat_pages in folders.items():
        chat_pages.sort(key=_page_number)
        if all(map(_page_number, chat_pages)):
            label = "/".join(names) or chat_pages[0].label
            files.report_missing(label, {*map(_page_number, chat_pages)})
        try:
            head = chat_pages[0].read(_TITLE_BYTES).decode("utf-8", "replace")
        except ChatExportError as error:
            files.skip(error, chat_pages[0])
            continue
        title = _extract_text(_find_element(head, _TITLE))
        # The export folder of a single chat is named after the date.
        name = title if title != _DELETED else ""
        folder = names[-1] if names else ""
        chat_id = name or folder or "chat"
        chat_id = f"{chat_id} ({folder})" if chat_id in chats else chat_id
        # Two exports of one chat begin with the same message, unlike different chats
        # with the same name. Account exports contain each chat once.
        records = PageReader().read(head)
        first = next((r for r in records if r and r.type == "message"), None)
        if first and names[-2:-1] != ("chats",):
            beginning = (name, first.id, first.from_, first.text)
            chat_id = ids_by_beginning.setdefault(beginning, chat_id)
        read = partial(_read_records, tuple(chat_pages), files)
        chat = Chat(chat_id, name or None, "", read, is_html=True)
        chats[chat_id] = chat
        all_chats.append(chat)
    return all_chats


def _page_number(page: ExportFile) -> int:
    match = _PAGE.fullmatch(page.name)
    return int(match[1] or 1) if match else 0


def _read_records(
    pages: tuple[ExportFile, ...], files: ExportFiles
) -> Iterator[Record | None]:
    reader = PageReader()
    for _, content in files.read_each(pages, ExportFile.read):
        yield from reader.read(content.decode("utf-8", "replace"))


class PageReader:
    """Reads the pages of one chat, in order."""

    def __init__(self) -> None:
        # The author of the last message, which `joined` messages do not repeat.
        self._sender = ""

    def read(self, page: str) -> Iterator[Record | None]:
        """Yield the records on a page, or `None` for a truncated record."""
        tags = _MESSAGE.finditer(page)
        tag = next(tags, None)
        while tag:
            next_tag = next(tags, None)
            block = page[tag.end() : next_tag.start() if next_tag else None]
            if next_tag is None and block.count("<div") >= block.count("</div"):
                yield None
            else:
                kind = "service" if tag[1] else "message"
                yield self._fill_record(Record(id=int(tag[2]), type=kind), block)
            tag = next_tag

    def _fill_record(self, record: Record, block: str) -> Record:
        own_block, is_forwarded, forwarded_block = block.partition(_FORWARDED)
        if date := _DATE.search(own_block):
            day, month, year, clock, offset = date.groups(default="")
            record.date = f"{year}-{month}-{day}T{clock}{offset}"
        record.text = _extract_text(_find_element(block, '<div class="text">'))
        if record.type == "service":
            record.information_text = _extract_text(
                _find_element(own_block, 'class="body details">')
            )
            return record
        _, _, link = own_block.partition(_REPLY)
        if reply := _REPLY_LINK.match(link[:_MAX_REPLY_LENGTH]):
            record.reply_to_message_id = int(reply[1])
        record.reactions = list(_find_reactions(block)) or None
        self._sender = _find_name(own_block) or self._sender
        name, bot = _split_via_bot(self._sender)
        record.from_ = name if name != _DELETED else None
        record.from_id = name
        if is_forwarded:
            author, forwarded_bot = _split_via_bot(_find_name(forwarded_block))
            record.forwarded_from, bot = author, bot or forwarded_bot
        record.via_bot = bot or None
        # A call becomes a service message with an author.
        if _MEDIA_BLOCK in block:
            _set_media(record, block)
        return record


def _set_media(record: Record, block: str) -> None:
    names = {name for value in _CLASSES.findall(block) for name in value.split()}
    fields = {
        key: value for name in names for key, value in _MEDIA.get(name, {}).items()
    }
    for field, value in fields.items():
        setattr(record, field, value)
    if fields.keys() <= _FILE_FIELDS:
        record.file = ""


def _find_reactions(block: str) -> Iterator[Reaction]:
    for part in block.split(_EMOJI)[1:]:
        count = _COUNT.search(part)
        emoji = _extract_text(part.partition("</span>")[0])
        # A few people are shown by their pictures, without a number.
        number = int(count[1]) if count else max(part.count(_USERPIC), 1)
        yield Reaction(emoji=emoji, count=number)


def _find_element(block: str, opening: str) -> str:
    """Return the content of the first element with this opening tag, up to `</div>`."""
    _, _, rest = block.partition(opening)
    return rest.partition("</div>")[0]


def _find_name(block: str) -> str:
    # For forwarded messages, the element also contains a date.
    return _extract_text(
        _find_element(block, '<div class="from_name">').partition("<")[0]
    )


def _extract_text(source: str) -> str:
    """Return the text of a block, with line breaks only for `<br>`."""
    text = _TAG.sub("", _BREAK_TAG.sub(_LINE_BREAK, source))
    text = unescape(text)
    lines = filter(None, (line.strip() for line in text.split("\n")))
    return " ".join(lines).replace(_LINE_BREAK, "\n").strip()


def _split_via_bot(name: str) -> tuple[str, str]:
    """Split a name into the name and the inline bot after it, if any."""
    match = _VIA_BOT.search(name)
    return (name[: match.start()].rstrip(), match[1]) if match else (name, "")
