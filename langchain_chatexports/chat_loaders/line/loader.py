"""Load chats that LINE exports as text.

Phones write a head, and columns separated by tabs; computers write neither, and
separate by spaces. Day lines are in the form of the phone's language. Times are local,
without a zone.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import ClassVar, Unpack

from langchain_chatexports.chat_loaders.base import LoaderOptions
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.line.dates import (
    MARKS,
    SPACE_LINE,
    TAB_LINE,
    Clock,
    Days,
    find_days,
)
from langchain_chatexports.chat_loaders.local_times import LocalClock
from langchain_chatexports.chat_loaders.messages import Message, attachment
from langchain_chatexports.chat_loaders.phrases import load_phrases, phrase_pattern
from langchain_chatexports.chat_loaders.text_exports import (
    TextChat,
    TextChatLoader,
    attach_lines,
    file_stem,
)
from langchain_chatexports.exceptions import ExportFormatError

_HEAD = re.compile(r"\[LINE\] ?")
_PHRASES = load_phrases(__package__)
# Whether a form is that of a group; `None` if it is used for both.
_HEAD_NAMES = [
    (re.compile(phrase_pattern([text], "(.+)")), is_group)
    for key, is_group in (("direct", False), ("either", None), ("group", True))
    for text in _PHRASES["heads"][key]
]
_SAVED = re.compile(
    r"\D{0,30}\d[\d/.,\-: 年月日]*(?:午前|午後|上午|下午|[AP]M|[\d: ])*"
)
_BUSINESS = re.compile(r"(?:送信者タイプ|傳送者類型),")
_HEAD_LINES = 12
_SAMPLE_LINES = 1000

_KINDS = {
    word: kind for kind, words in _PHRASES["placeholders"].items() for word in words
}
_WITH_TEXT = frozenset({"album", "note", "poll"})
_BRACKETS = re.compile(
    r"\[(?P<word>[^\[\]\n]{1,40})\](?: (?P<title>.{1,2000}))?", re.DOTALL
)
_ONE_WORD = re.compile(r"\[[^\W\d_]{2,30}\]")
_PLACE = re.compile(
    r"\[(?:null|Location|位置情報|位置|ตำแหน่ง)\]\s(?P<title>.{0,1000}?)\s?"
    r"(?P<uri>https://maps\.google\.com/\S{1,500})\s*",
    re.DOTALL,
)
_CALL = "☎"
_CALLS = frozenset(_PHRASES["calls"])
_UNSENT = re.compile(rf"(?P<name>.{{0,80}}?) ?(?:{phrase_pattern(_PHRASES['unsent'])})")
# Of files without a column for the sender.
_NOTICE = re.compile(
    rf"(?P<name>.{{1,80}}?)(?:{phrase_pattern(_PHRASES['notices'])})[.。]?"
)
_NAME_WORD = re.compile(r"(?![a-z])[^\d,;:/()]+")
_MIN_LINES = 3
_MAX_WORDS = 12
_PAIR = 2


class LineChatLoader(TextChatLoader):
    """Load chats that LINE exported as text, on phones or computers.

    Each chat is a session. In files of computers, names are separated from the text by
    a space, like words: name the people who have a space in theirs with `senders`.
    """

    platform = "line"
    label = "LINE export"
    encodings: ClassVar = {"cp874": "ประวัติ|บันทึก|วัน", "cp932": ""}
    remedy = (
        "In the chat, open the menu, then Settings, Export chat history, and pass the "
        "text file."
    )

    def __init__(
        self,
        path: str | Path | Sequence[str | Path],
        *,
        timezone: str | None = None,
        encoding: str | None = None,
        senders: Iterable[str] = (),
        **options: Unpack[LoaderOptions],
    ) -> None:
        """Initialize the loader.

        Args:
            path: The text file of a chat, or a folder or zip of them.
            timezone: The time zone of the phone or computer, for example `Asia/Tokyo`.
                Defaults to this machine's.
            encoding: The encoding of the files, if it is not Unicode: `cp874`, ….
            senders: Names with spaces, in files from computers.
            **options: The options of every loader; see `ChatExportLoader`.

        Raises:
            ValueError: If the time zone or encoding is unknown.
        """
        super().__init__(path, timezone=timezone, encoding=encoding, **options)
        self.senders = tuple(senders)

    @classmethod
    def is_chat(cls, lines: Sequence[str]) -> bool:
        """Return whether the first lines are those of a chat from LINE."""
        lines = [MARKS.sub("", line) for line in lines[:_HEAD_LINES]]
        if _BUSINESS.match(lines[0]):
            return True
        if len(lines) > 1 and (_HEAD.match(lines[0]) or _name_of_head(lines[0])):
            return _SAVED.fullmatch(lines[1].strip()) is not None
        has_day = False
        for line in filter(None, lines):
            if has_day and (TAB_LINE.match(line) or SPACE_LINE.match(line)):
                return True
            has_day = bool(find_days(line))
            if not has_day:
                return False
        return False

    def read_chat(self, text: str, file: ExportFile, clock: LocalClock) -> TextChat:
        """Parse a file."""
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        if _BUSINESS.match(lines[0]):
            msg = (
                f"{file.label} is from LINE's manager for business accounts, which is "
                f"not supported. {self.remedy}"
            )
            raise ExportFormatError(msg, path=file.path)
        stem = _HEAD.sub("", file_stem(file)).strip()
        head = MARKS.sub("", lines[0])
        found = _name_of_head(head)
        if found or _HEAD.match(head):
            del lines[:2]
        name, is_group = found or _name_of_head(stem) or (stem, None)
        chat = TextChat(name.strip(), stem, is_group)
        sample = lines[:_SAMPLE_LINES]
        tabs, spaces = (
            sum(1 for line in sample if pattern.match(line))
            for pattern in (TAB_LINE, SPACE_LINE)
        )
        days = Days(lines)
        has_tabs = tabs >= spaces
        if has_tabs:
            parts = _split_tab_lines(lines, days, clock)
        else:
            parts = _split_space_lines(lines, days, self.senders, chat, clock)
        chat.messages = list(attach_lines(parts))
        if any(x.text.startswith('"') and "\n" in x.text for x in chat.messages):
            chat.doubts["open_quotes"] = (
                "has a text of several lines whose end is missing, so it was edited or "
                "cut. Export the chat again."
            )
        for row in chat.messages:
            _convert(row, has_brackets=has_tabs)
        if has_tabs:
            _mark_unknown_placeholders(chat.messages)
        if is_group is None and any(
            row.extra.get("system") == "notice" and _NOTICE.fullmatch(row.text)
            for row in chat.messages
        ):
            chat.is_group = True
        chat.find_owner_by_name()
        return chat


def _name_of_head(line: str) -> tuple[str, bool | None] | None:
    line = _HEAD.sub("", line).strip()
    for pattern, is_group in _HEAD_NAMES:
        if match := pattern.fullmatch(line):
            return match[1], is_group
    return None


def _split_tab_lines(
    lines: Sequence[str], days: Days, clock: LocalClock
) -> Iterator[Message | str]:
    """Yield the messages of a file with tabs, and further lines.

    Text of several lines is in quotation marks. A block ends at a line that ends with
    one before a line that begins something; the opening one is the last before it.
    """
    heads = [TAB_LINE.match(line) for line in lines]
    blocks = _find_blocks(lines, heads, days)
    times = Clock(clock)
    end = -1
    for index, (line, head) in enumerate(zip(lines, heads, strict=True)):
        if index <= end:
            continue
        if head is not None:
            sender, tab, text = head["rest"].partition("\t")
            end = blocks.get(index, index)
            if end > index:
                text = "\n".join((text, *lines[index + 1 : end + 1]))[1:-1]
                is_doubled = text.count('"') == 2 * text.count('""')
                text = text.replace('""', '"') if is_doubled else text
            if not tab:
                sender, text = "", sender
            yield Message(times.read(head), MARKS.sub("", sender), text)
        elif (day := days.get(line)) is not None:
            times.begin(day)
        else:
            yield line


def _find_blocks(
    lines: Sequence[str], heads: Sequence[re.Match[str] | None], days: Days
) -> dict[int, int]:
    """Return the last line of each text in quotation marks, by its first line."""
    blocks = {}
    opening: int | None = None
    for index, line in enumerate(lines):
        following = lines[index + 1] if index + 1 < len(lines) else ""
        is_end = line.endswith('"') and (
            not following
            or heads[index + 1] is not None
            or days.get(following) is not None
        )
        head = heads[index]
        if head is not None and head["rest"].partition("\t")[2].startswith('"'):
            is_open = not is_end or head["rest"].endswith('\t"')
            opening = index if is_open else opening
        elif head is None and is_end and opening is not None:
            blocks[opening] = index
            opening = None
    return blocks


def _convert(row: Message, *, has_brackets: bool) -> None:
    """Find what the text of a message stands for."""
    text = row.text
    if row.kind == "unreadable":
        return
    if not row.sender and _UNSENT.fullmatch(text.strip()):
        row.kind, row.text = "unsent", ""
    elif not row.sender:
        row.kind, row.extra = "system", {"system": "notice"}
    elif text.startswith(_CALL) or text in _CALLS:
        row.kind, row.extra = "system", {"system": "call"}
    elif item := _find_attachment(text, has_brackets=has_brackets):
        row.extra, row.text = {"attachments": [item]}, ""
    elif row.time is None and text:
        row.kind = "undated"


def _find_attachment(text: str, *, has_brackets: bool) -> object:
    if text == "(emoji)":
        return attachment(kind="sticker")
    if not has_brackets:
        return attachment(kind=_KINDS[text]) if text in _KINDS else None
    if text[:1] != "[":
        return None
    if place := _PLACE.fullmatch(text):
        item = attachment(kind="location", title=place["title"].strip())
        item["uri"] = place["uri"]
        return item
    match = _BRACKETS.fullmatch(text)
    kind = _KINDS.get(match["word"]) if match else None
    if match is None or kind is None or (match["title"] and kind not in _WITH_TEXT):
        return None
    return attachment(kind=kind, title=(match["title"] or "").strip())


def _mark_unknown_placeholders(rows: Iterable[Message]) -> None:
    """Make a word in brackets that two people sent an attachment."""
    senders: dict[str, set[str]] = defaultdict(set)
    found = [row for row in rows if row.sender and _ONE_WORD.fullmatch(row.text)]
    for row in found:
        senders[row.text].add(row.sender)
    for row in found:
        if len(senders[row.text]) >= _PAIR:
            row.extra, row.text = {"attachments": [attachment(kind="file")]}, ""


def _split_space_lines(
    lines: Sequence[str],
    days: Days,
    names: Iterable[str],
    chat: TextChat,
    clock: LocalClock,
) -> Iterator[Message | str]:
    """Yield the messages of a file with spaces, and further lines.

    The senders are learned from the file.
    """
    heads = [SPACE_LINE.match(MARKS.sub("", line)) for line in lines]
    rests = [head["rest"] for head in heads if head]
    senders = _Senders(rests, {*names, chat.name})
    times = Clock(clock)
    for line, head in zip(lines, heads, strict=True):
        split = senders.split(head["rest"]) if head is not None else None
        if (day := days.get(line)) is not None:
            times.begin(day)
        elif head is not None and split is not None:
            yield Message(times.read(head), *split)
        else:
            yield line
    if senders.is_guessed:
        chat.doubts["guessed_names"] = (
            "does not show where some names end, so their first word is read as the "
            "name. Call the file [LINE] Bob Smith.txt if that is the other person, or "
            "pass `senders`."
        )


class _Senders:
    """The senders of a file without a column for them."""

    def __init__(self, rests: Sequence[str], names: Iterable[str]) -> None:
        self.is_guessed = False
        """Whether a name of several words may have been split."""

        self._names: set[str] = set()
        words: dict[str, list[list[str]]] = defaultdict(list)
        for rest in rests:
            first, _, last = rest.rpartition(" ")
            if notice := _NOTICE.fullmatch(rest):
                self._names.add(notice["name"])
            elif last in _KINDS and first:
                self._names.add(first)
            else:
                words[rest.partition(" ")[0]].append(rest.split(" "))
        for first, found in words.items():
            if len(found) >= _MIN_LINES:
                columns = zip(*(row[:-1] for row in found), strict=False)
                same = takewhile(lambda column: len({*column}) == 1, columns)
                self._names.add(" ".join(column[0] for column in same) or first)
        self._has_names = bool(self._names)
        self._names |= {*names} - {""}
        self._firsts = {name.partition(" ")[0] for name in self._names}

    def split(self, rest: str) -> tuple[str, str] | None:
        """Return sender and text; `None` for a line of a longer message."""
        words = rest.split(" ")
        if words[0] in self._firsts:
            for count in range(min(len(words), _MAX_WORDS), 0, -1):
                name = " ".join(words[:count])
                if name in self._names:
                    text = " ".join(words[count:])
                    return ("", rest) if _is_notice_of(name, text) else (name, text)
        if _UNSENT.fullmatch(rest) or _NOTICE.fullmatch(rest):
            return "", rest
        # Someone who wrote once, unlike a line that was pasted from a table.
        is_name = len(words) > 1 and _NAME_WORD.fullmatch(words[0])
        is_table = self._has_names and any(word[:1].isdigit() for word in words[1:2])
        if not is_name or is_table:
            return None
        self._has_names = self.is_guessed = True
        return words[0], " ".join(words[1:])


def _is_notice_of(name: str, text: str) -> bool:
    """Return whether a notice says this of a person, and not that they wrote it."""
    matches = (p.fullmatch(f"\0 {text}") for p in (_UNSENT, _NOTICE))
    return bool(name) and any(
        m is not None and m["name"].strip() == "\0" for m in matches
    )
