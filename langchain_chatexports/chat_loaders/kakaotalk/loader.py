"""Load chats that KakaoTalk exports as text or CSV, in Korean or English.

One file is a chat. The layouts are those of Android, iOS, Windows and Mac, from 2015 to
2026; times are local, in minutes, without a zone.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import ClassVar

from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.local_times import LocalClock
from langchain_chatexports.chat_loaders.messages import (
    DetectedOwner,
    Message,
    attachment,
)
from langchain_chatexports.chat_loaders.phrases import load_phrases, phrase_pattern
from langchain_chatexports.chat_loaders.schema import Attachment
from langchain_chatexports.chat_loaders.text_exports import (
    CLOCK,
    TextChat,
    TextChatLoader,
    attach_lines,
    day_number,
    file_stem,
    seconds_of,
    to_utc,
)
from langchain_chatexports.chat_loaders.times import MICROSECONDS
from langchain_chatexports.exceptions import ExportFormatError

_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
_MONTH_DAY = r"(?P<name>[A-Z][a-z]{2,8})\.? (?P<day>\d{1,2}), (?P<year>\d{4})"
_YEAR_DAY = (
    r"(?P<year>\d{4})(?:년|\.) (?P<month>\d{1,2})(?:월|\.) (?P<day>\d{1,2})(?:일|\.)"
)
_PHONE_REST = r"(?P<rest>(?:(?:,|: | ,).*)?)"
# The time of a message, and what follows it.
_STAMPS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        rf"{_YEAR_DAY} {CLOCK}{_PHONE_REST}",
        rf"{CLOCK}, {_MONTH_DAY}{_PHONE_REST}",
        rf"{_MONTH_DAY}(?:,| at)[ \u00a0\u202f]{CLOCK}{_PHONE_REST}",
        # Below the line of a day.
        rf"(?=\D){CLOCK}(?P<rest>, .*)",
        # Windows.
        rf"\[(?P<sender>.+?)\] \[{CLOCK}\](?: (?P<rest>.*))?",
    )
)
_WINDOWS = len(_STAMPS) - 1
_DAY_LINES = (
    re.compile(
        r"(?:-{5,} )?(?P<year>\d{4})년 (?P<month>\d{1,2})월 (?P<day>\d{1,2})일 "
        r"[월화수목금토일]요일(?: -{5,})?"
    ),
    re.compile(
        r"(?:-{5,} )?[A-Z][a-z]{5,8}, (?P<name>[A-Z][a-z]{2,8}) (?P<day>\d{1,2}), "
        r"(?P<year>\d{4})(?: -{5,})?"
    ),
)
_SAVED = re.compile(r"(?:저장한 날짜|Date Saved) ?: ?\w")
_HEADS = (
    re.compile(r"(?P<name>.+?)(?: (?P<count>\d{1,5}))? ?님과 카카오톡 대화"),
    re.compile(
        r"(?P<name>.+?)(?: \((?P<count>\d{1,5})명\))?(?:과|와)? 카카오톡 대화"
        r"(?:-\d+\.txt)?"
    ),
    re.compile(
        r"(?:.{1,80} saved )?KakaoTalk Chats with (?P<name>.+?)"
        r"(?: \((?P<count>\d{1,5})(?: people)?\))?(?:-\d+\.txt)?"
    ),
    re.compile(r"(?P<name>.+) with KakaoTalk Chats"),
)
_CSV_HEAD = "Date,User,Message"
_CSV_NAME = re.compile(r"KakaoTalk_Chat_(.+)_\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d")
_CSV_TIME = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d) "
    r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d))?"
)
_PART = re.compile(r"-\d{1,3}$")
_HEAD_LINES = 4
_SAMPLE_LINES = 400
_PAIR = 2
# What phones write for the owner.
_OWN_NAMES = frozenset({"회원님"})
_OWN_NAMES_BY_LAYOUT = dict.fromkeys((1, 2), _OWN_NAMES | {"you", "You"})
_PHRASES = load_phrases(__package__)
_DELETED = frozenset(_PHRASES["deleted"])
_NOTICE = re.compile(rf"(?:{phrase_pattern(_PHRASES['notices'])})\.?")
_BANNERS = tuple(_PHRASES["banners"])
_ENGLISH_NOTICE = re.compile(
    rf"(.{{1,80}}?) (?:{phrase_pattern(_PHRASES['english_notices'])})\."
)
_RENAMER = re.compile(r"님이 | invited ")
_GROUP_NOTICE = re.compile(r"들어왔습니다|초대|나갔습니다|joined|invited|left")
_CALLS = frozenset(_PHRASES["calls"])
_DURATION = re.compile(r" ?\d{1,2}:\d\d(?::\d\d)?$")
_APP = frozenset(_PHRASES["app"])
# Numbers are `#`.
_MEDIA = {text: kind for kind, texts in _PHRASES["media"].items() for text in texts}
_MAX_MEDIA_LENGTH = max(map(len, _MEDIA)) + 5
_NUMBER = re.compile(r"\d+")
_LABEL = re.compile(
    rf"(?P<label>{phrase_pattern(_PHRASES['labels'])}): (?P<title>.{{1,300}})",
    re.DOTALL,
)
_NAMED_FILE = re.compile(r"[^\n]{1,255}\.\w{1,8}")
_PLACE = re.compile(r"\[장소\]\n.+", re.DOTALL)
_LINK = re.compile(
    r"톡게시판 '[^'\n]{1,20}': (?P<title>(?s:.{1,300}))|샵검색: (?P<topic>#.{1,100})"
)
_STICKER_PREFIX = re.compile(r"\((?:이모티콘|emoticon)\) ?(?=\S)")
_FILE_NAME = re.compile(
    r"[\w.-]{1,200}\.(?:jpe?g|png|gif|webp|mp4|mov|m4a|pdf)", re.ASCII
)


class KakaoTalkChatLoader(TextChatLoader):
    """Load chats that KakaoTalk exported as text (phones, Windows) or CSV (Mac).

    Each chat is a session; the parts `-1`, `-2`, … of a long chat are joined. Phones
    write the owner's messages with `회원님` or `You` instead of the name.
    """

    platform = "kakaotalk"
    label = "KakaoTalk export"
    suffixes = (".txt", ".csv", ".eml")
    encodings: ClassVar = {"cp949": ""}
    remedy = (
        "In the chat, open the menu, then Export chat history, and pass the text or "
        "CSV file."
    )

    @classmethod
    def is_chat(cls, lines: Sequence[str]) -> bool:
        """Return whether the first lines are those of a chat from KakaoTalk."""
        if not lines or lines[0] == _CSV_HEAD:
            return bool(lines)
        head = lines[:_HEAD_LINES]
        if any(map(_SAVED.match, head)):
            return any(
                pattern.fullmatch(line) for line in head for pattern in _HEADS
            ) or (bool(re.match(r"Talk_\d{4}\.", head[0])))
        found = filter(None, map(_match_stamp, lines))
        texts = (layout == _WINDOWS or match["rest"] for layout, match in found)
        return sum(1 for text in texts if text is True or " : " in text) > 1

    def read_chat(self, text: str, file: ExportFile, clock: LocalClock) -> TextChat:
        """Parse a file."""
        stem = file_stem(file)
        own_names = _OWN_NAMES
        chat = TextChat(id=_PART.sub("", stem))
        if text.startswith(_CSV_HEAD):
            match = _CSV_NAME.fullmatch(stem)
            chat.name = match[1] if match else ""
            chat.messages = list(_read_csv(text, file, clock))
        else:
            lines = text.split("\n")
            _read_head(lines, chat)
            layout = _find_layout(lines)
            if layout is not None:
                own_names = _OWN_NAMES_BY_LAYOUT.get(layout, own_names)
                chat.messages = _read_lines(lines, layout, clock)
        notices = (row.text for row in chat.messages if row.kind == "system")
        if stem.endswith("_group") or any(map(_GROUP_NOTICE.search, notices)):
            chat.is_group = True
        for row in chat.messages:
            if row.sender in own_names:
                owner = self.owner or row.sender
                chat.owner = DetectedOwner(owner, f"the sender {row.sender}")
                row.sender = owner
        if chat.owner and not chat.name and not chat.is_group:
            others = [name for name in chat.senders if name != chat.owner.id]
            chat.name = others[0] if len(others) == 1 else ""
        chat.find_owner_by_name()
        return chat


def _match_stamp(line: str) -> tuple[int, re.Match[str]] | None:
    """Return the layout of the first line of a message, and its parts."""
    for layout, stamp in enumerate(_STAMPS):
        if match := stamp.fullmatch(line.removesuffix("\r")):
            return layout, match
    return None


def _read_head(lines: list[str], chat: TextChat) -> None:
    """Remove the lines before the messages, and read the chat's name from them."""
    if not any(_SAVED.match(line) for line in lines[:_HEAD_LINES]):
        return
    while lines and not _SAVED.match(lines[0]):
        line = lines.pop(0).strip()
        match = next(filter(None, (p.fullmatch(line) for p in _HEADS)), None)
        if match:
            chat.name = match["name"].strip()
            count = match.groupdict().get("count")
            if count and int(count) > _PAIR:
                chat.is_group = True
    del lines[:1]


def _find_layout(lines: Sequence[str]) -> int | None:
    found = filter(None, map(_match_stamp, lines[:_SAMPLE_LINES]))
    counts = Counter(layout for layout, _ in found)
    return counts.most_common(1)[0][0] if counts else None


def _read_lines(lines: Sequence[str], layout: int, clock: LocalClock) -> list[Message]:
    rows = list(attach_lines(_split_lines(lines, layout, clock)))
    if layout != _WINDOWS:
        names = _find_long_names(row.text.partition("\n")[0] for row in rows)
        for row in rows:
            _read_sender(row, names)
    return list(map(_convert, rows))


def _split_lines(
    lines: Sequence[str], layout: int, clock: LocalClock
) -> Iterator[Message | str]:
    """Yield the first lines of messages and notices, and further lines.

    On phones, a record ends with CRLF, and a line break inside a message is LF. Only in
    a file that was saved again, each line that looks like a header is one.
    """
    stamp, is_windows = _STAMPS[layout], layout == _WINDOWS
    ends = [line.endswith("\r") for line in lines]
    is_mixed = not is_windows and True in ends and False in ends[:-1]
    senders: set[str] = set()
    row: Message | None = None
    day: int | None = None
    may_begin = True
    for line, has_return in zip(lines, ends, strict=True):
        text = line.removesuffix("\r")
        day_line = _match_day(text) if may_begin else None
        match = stamp.fullmatch(text) if may_begin else None
        if match is not None:
            if "year" in stamp.groupindex:
                day = _day_of(match)
            sender = match["sender"] if is_windows else ""
            senders.add(sender)
            if match["rest"] or is_windows:  # A line with only a date begins a day.
                time = to_utc(day, seconds_of(match), clock)
                row = Message(time, sender, match["rest"] or "")
                yield row
        elif day_line is not None:
            day = _day_of(day_line)
        elif is_windows and (_is_notice(text, senders) or text in _DELETED):
            row = Message(row.time if row else None, "", text)
            yield row
        elif row or not text.strip():
            yield text
        else:
            row = Message(None, "", text, "unreadable")
            yield row
        may_begin = has_return or not is_mixed


def _match_day(text: str) -> re.Match[str] | None:
    return next(filter(None, (line.fullmatch(text) for line in _DAY_LINES)), None)


def _day_of(match: re.Match[str]) -> int | None:
    groups = match.groupdict()
    month = (
        groups.get("month") or _MONTHS.find(groups.get("name", "")[:3].lower()) // 3 + 1
    )
    return day_number(int(groups["year"]), int(month), int(groups["day"]))


def _find_long_names(rests: Iterator[str]) -> dict[str, str]:
    """Return the names that contain ` : `, by their first part.

    A name begins all lines of its sender, unlike an occasional `PS : `.
    """
    seconds: dict[str, Counter[str]] = {}
    for rest in rests:
        parts = rest.removeprefix(",").strip().split(" : ", 2)
        second = parts[1] if len(parts) > _PAIR else ""
        seconds.setdefault(parts[0], Counter())[second] += 1
    return {
        name: f"{name} : {next(iter(found))}"
        for name, found in seconds.items()
        if len(found) == 1 and "" not in found and found.total() > 1
    }


def _read_sender(row: Message, long_names: Mapping[str, str]) -> None:
    """Split what follows the time of a message: a sender and a text, or a notice."""
    if row.kind == "unreadable":
        return
    body = row.text.lstrip(" ").removeprefix(",").removeprefix(" ")
    sender, colon, text = f"{body} ".partition(" : ")
    # Notices may quote a name with a colon.
    is_notice = _RENAMER.search(sender) and _is_notice(body, {body.split(" ")[0]})
    if row.text.startswith(":") or not colon or is_notice:
        sender, text = "", body.removeprefix(":").strip()
    elif (name := long_names.get(sender)) and body.startswith(f"{name} : "):
        sender, text = name, body.removeprefix(f"{name} : ")
    else:
        text = text[:-1]
    row.sender, row.text = sender.strip(), text


def _is_notice(text: str, names: Collection[str]) -> bool:
    """Return whether a line is a notice; English ones begin with one of the names."""
    if text[-1:] == "." and (match := _ENGLISH_NOTICE.fullmatch(text)):
        return match[1] in names
    is_notice = text.startswith(_BANNERS) or _NOTICE.fullmatch(text)
    return text[-1:] in {".", "다", "기"} and bool(is_notice)


def _convert(row: Message) -> Message:
    """Find what the text of a message stands for."""
    text = row.text
    if row.kind == "unreadable":
        return row
    if text in _DELETED:
        row.kind, row.text = "unsent", ""
    elif not row.sender or text in _APP:
        row.kind, row.extra = "system", {"system": "notice"}
    elif _DURATION.sub("", text[-80:]) in _CALLS:
        row.kind, row.extra = "system", {"system": "call"}
    elif item := _find_attachment(text.rstrip()):
        row.extra["attachments"], row.text = [item], ""
    elif _FILE_NAME.fullmatch(text):
        row.extra["attachments"], row.text = [attachment(text)], ""
    elif sticker := _STICKER_PREFIX.match(text):
        row.extra["attachments"] = [attachment(kind="sticker")]
        row.text = text[sticker.end() :]
    if row.time is None and row.kind == "text":
        row.kind = "undated"
    return row


def _find_attachment(text: str) -> Attachment | None:
    if len(text) <= _MAX_MEDIA_LENGTH and (kind := _MEDIA.get(_NUMBER.sub("#", text))):
        return attachment(kind=kind)
    if match := _LABEL.fullmatch(text):
        kind, title = _PHRASES["labels"][match["label"]], match["title"]
        if kind == "file":
            is_file = _NAMED_FILE.fullmatch(title)
            return attachment(title, kind=kind) if is_file else None
        is_typed = "\n" in title and kind != "location"
        return None if is_typed else attachment(kind=kind, title=title)
    if _PLACE.fullmatch(text):
        return attachment(kind="location")
    if link := _LINK.fullmatch(text):
        return attachment(kind="link", title=link["title"] or link["topic"])
    return None


def _read_csv(text: str, file: ExportFile, clock: LocalClock) -> Iterator[Message]:
    rows = csv.reader(io.StringIO(text, newline=""))
    next(rows)
    count = dated = 0
    try:
        for row in rows:
            if not row:
                continue
            sender, content = "".join(row[1:2]), ",".join(row[2:])
            match = _CSV_TIME.fullmatch(row[0])
            time = match and to_utc(_day_of(match), seconds_of(match), clock)
            if match and time is not None:
                time += int(match["second"] or 0) * MICROSECONDS
            dated += match is not None
            count += 1
            is_notice = not sender or _is_notice(content, {sender})
            text = content if is_notice else content.removesuffix("\n")
            yield _convert(Message(time, "" if is_notice else sender, text))
    except csv.Error as error:
        msg = (
            f"{file.label} is not a CSV file of KakaoTalk (line {rows.line_num}: "
            f"{error}). Export the chat again."
        )
        raise ExportFormatError(msg, path=file.path) from None
    if count and not dated:
        msg = (
            f"{file.label} has dates that are not KakaoTalk's, so another program "
            "saved it. Export the chat again, and do not open it in a spreadsheet."
        )
        raise ExportFormatError(msg, path=file.path)
