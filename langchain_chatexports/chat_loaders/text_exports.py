"""The base class of loaders for text files of one chat, whose times have no zone."""

import codecs
import re
from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from typing import ClassVar, Unpack

from langchain_chatexports._terminal import plural, printable
from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.conversation import MessageIds
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.legacy_text import decode_text
from langchain_chatexports.chat_loaders.local_times import (
    LocalClock,
    find_time_zone,
    report_local_times,
)
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    DetectedOwner,
    Message,
)
from langchain_chatexports.exceptions import ExportFormatError

_HEAD_BYTES = 4096
_MAX_BYTES = 1 << 28
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_SECONDS = 86_400
_NOON = 12
_HOURS = 24
_MINUTES = 60
_PM = ("p", "午後", "下午", "오후")
_BLANK = "[ \u00a0\u202f]"
CLOCK = (
    rf"(?:(?P<marker>午前|午後|上午|下午|오전|오후|AM|PM){_BLANK}?)?"
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)"
    rf"(?:{_BLANK}?(?P<after>[AaPp]\.?[Mm]\.?|오전|오후))?"
)
"""A pattern for the time of a line, in any language; see `seconds_of`."""

_PAIR = 2
_COPY_NUMBER = re.compile(r" ?\(\d{1,3}\)$")


@dataclass
class TextChat:
    """The content of a file."""

    name: str = ""
    """The chat's name, from the head or the file's name; empty if unknown."""

    id: str = ""
    """The id if there is no name, the same for all parts of an export."""

    is_group: bool | None = None
    owner: DetectedOwner | None = None
    """The owner, if the file shows it."""

    messages: list[Message] = field(default_factory=list)
    doubts: dict[str, str] = field(default_factory=dict)
    """Warnings about what may be read wrongly, by their keys in `details`."""

    @property
    def senders(self) -> list[str]:
        """The people who wrote messages, in the order of their first one."""
        rows = (row for row in self.messages if row.kind != "system")
        return [name for name in dict.fromkeys(row.sender for row in rows) if name]

    def find_owner_by_name(self) -> None:
        """Set the owner of a chat between two people that is named after one."""
        senders = self.senders
        others = [name for name in senders if name != self.name]
        if self.is_group or len(senders) > _PAIR or self.owner or not self.name:
            return
        if len(others) == 1:
            self.owner = DetectedOwner(others[0], "the chat's name")


class TextChatLoader(ChatExportLoader):
    """Load text files that each contain a chat, without ids and time zone.

    Subclasses recognize and parse the text of a file. Several exports of one chat are
    joined: equal messages are read once.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".txt",)
    has_parts = True
    has_ids = False

    encodings: ClassVar[Mapping[str, str]] = {}
    """Encodings of files that other programs saved; see `decode_text`."""

    def __init__(
        self,
        path: str | Path | Sequence[str | Path],
        *,
        timezone: str | None = None,
        encoding: str | None = None,
        **options: Unpack[LoaderOptions],
    ) -> None:
        """Initialize the loader.

        Args:
            path: The text file of a chat, or a folder or zip of them.
            timezone: The time zone of the phone or computer that exported the chat, for
                example `Europe/Berlin`. Defaults to this machine's.
            encoding: The encoding of the files, if it is not Unicode.
            **options: The options of every loader; see `ChatExportLoader`. `owner` is
                the exporting person's name, as written in the chats.

        Raises:
            ValueError: If the time zone or encoding is unknown.
        """
        super().__init__(path, **options)
        self.timezone = find_time_zone(timezone)
        try:
            self.encoding = encoding and codecs.lookup(encoding).name
        except LookupError:
            msg = f"Unknown encoding {encoding!r}. Use a name such as cp932."
            raise ValueError(msg) from None

    @classmethod
    @abstractmethod
    def is_chat(cls, lines: Sequence[str]) -> bool:
        """Return whether the first lines of a file are those of a chat."""

    @abstractmethod
    def read_chat(self, text: str, file: ExportFile, clock: LocalClock) -> TextChat:
        """Parse a file, whose lines end in LF or CRLF."""

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the chats by name.

        Raises:
            ExportFormatError: If there is no chat.
        """
        exports: dict[str, list[TextChat]] = defaultdict(list)
        for chat in self.read_exports(files, partial(self._read_file, files=files)):
            exports[chat.name or chat.id].append(chat)
        others = len(files.files) - sum(map(self.is_export, files))
        if others and not files.is_single_file:
            files.details["other_texts"] = others
        report_local_times(self.timezone, files)
        all_chats = chain.from_iterable(exports.values())
        owners = Counter(chat.owner.id for chat in all_chats if chat.owner)
        for chat_id in sorted(exports):
            _report_namesakes(chat_id, exports[chat_id], files)
            yield self._build_conversation(chat_id, exports.pop(chat_id), owners)

    @classmethod
    def is_export(cls, file: ExportFile) -> bool:
        """Return whether a file's first lines are those of a chat."""
        if not file.name.lower().endswith(cls.suffixes):
            return False
        head = file.head(_HEAD_BYTES)
        text, _ = decode_text(head, cls.encodings, is_cut=True)
        return cls.is_chat([line.rstrip("\r") for line in text.split("\n")])

    def _read_file(self, file: ExportFile, files: ExportFiles) -> TextChat:
        if file.size > _MAX_BYTES:
            msg = (
                f"{file.label} is larger than any chat ({file.size:,} bytes). "
                f"{self.remedy}"
            )
            raise ExportFormatError(msg, path=file.path)
        text = self._decode(file, files)
        chat = self.read_chat(text, file, LocalClock(self.timezone))
        if all(row.kind == "unreadable" for row in chat.messages):
            msg = (
                f"{file.label} contains no message with a time and a sender. "
                f"{self.remedy}"
            )
            raise ExportFormatError(msg, path=file.path)
        for kind, doubt in chat.doubts.items():
            files.report_loss(kind, f"{file.label} {doubt}")
        return chat

    def _decode(self, file: ExportFile, files: ExportFiles) -> str:
        data = file.read()
        text, encoding = decode_text(data, self.encodings)
        if encoding and self.encoding:
            text = data.decode(self.encoding, "replace")
            if lost := text.count("\ufffd"):
                files.report_loss(
                    "unknown_characters",
                    f"{file.label} has {plural(lost, 'character')} that are not "
                    f"{self.encoding}. Pass another encoding, or export the chat "
                    "again.",
                    lost,
                )
        elif encoding:
            remedy = 'Pass encoding="cp874", "euc_jp", "big5" or another one, or export'
            files.report_encoding(file, encoding, f"{remedy} the chat again,")
        # Old programs for the Mac end lines with a carriage return.
        return text if "\n" in text else text.replace("\r", "\n")

    def _build_conversation(
        self, chat_id: str, chats: list[TextChat], owners: Counter[str]
    ) -> Conversation:
        for chat in chats:
            ids = MessageIds(chat_id)
            for row in chat.messages:
                row.id = ids.from_content(row.time, row.sender, row.text)
        senders = dict.fromkeys(name for chat in chats for name in chat.senders)
        owner = next((chat.owner for chat in chats if chat.owner), None)
        others = (name for name, _ in owners.most_common() if name in senders)
        if owner is None and (name := next(others, "")):
            owner = DetectedOwner(name, "other chats")
        name = chats[-1].name
        is_group = any(chat.is_group for chat in chats) or len(senders) > _PAIR
        if not is_group and name and len(senders) == 1 and owner:
            senders.setdefault(name)
        return Conversation(
            id=chat_id,
            messages=chain.from_iterable(chat.messages for chat in chats),
            title=name or None,
            members=tuple(senders),
            is_group=is_group or (None if chats[-1].is_group is None else False),
            owner=None if self.owner else owner,
        )


def _report_namesakes(name: str, chats: Sequence[TextChat], files: ExportFiles) -> None:
    """Report files of one period without a common message: perhaps of two chats."""
    for pair in pairwise(chats):
        first, second = (
            {(row.time, row.text) for row in chat.messages if row.time is not None}
            for chat in pair
        )
        if not first or not second or not first.isdisjoint(second):
            continue
        if min(first)[0] < max(second)[0] and min(second)[0] < max(first)[0]:
            files.report_loss(
                "joined_by_name",
                f"Chats of the same name ({printable(name)}) have no message in "
                "common and are read as one conversation. If they are of different "
                "people, load them by themselves.",
            )


def attach_lines(parts: Iterable[Message | str]) -> Iterator[Message]:
    """Yield messages with the lines that follow; a line before them is unreadable."""
    row: Message | None = None
    lines: list[str] = []
    for part in (*parts, None):
        if isinstance(part, str) and row is not None:
            lines.append(part)
        elif isinstance(part, str):
            yield from [Message(None, "", part, "unreadable")] if part.strip() else ()
        else:
            if row is not None:
                row.text = "\n".join((row.text, *lines)).rstrip("\n")
                yield row
            row, lines = part, []


def file_stem(file: ExportFile) -> str:
    """Return a file's name without suffix and the number of a copy."""
    return _COPY_NUMBER.sub("", file.name.rpartition(".")[0] or file.name).strip()


def seconds_of(match: re.Match[str]) -> int | None:
    """Return the seconds since midnight of a `CLOCK`; `None` if that is not a time.

    24 o'clock is midnight.
    """
    groups = match.groupdict()
    hour, minute = int(groups["hour"]), int(groups["minute"])
    if hour > _HOURS or minute >= _MINUTES:
        return None
    if (marker := groups.get("marker") or groups.get("after")) and hour <= _NOON:
        hour = hour % _NOON + (_NOON if marker.lower().startswith(_PM) else 0)
    return hour % _HOURS * 3600 + minute * 60


def day_number(year: int, month: int, day: int) -> int | None:
    """Return the days since 1970; `None` if there is no such day."""
    with suppress(ValueError):
        return date(year, month, day).toordinal() - _EPOCH_DAY
    return None


def to_utc(day: int | None, seconds: int | None, clock: LocalClock) -> int | None:
    """Return microseconds in UTC."""
    if day is None or seconds is None:
        return None
    return clock.to_utc(day * _DAY_SECONDS + seconds)
