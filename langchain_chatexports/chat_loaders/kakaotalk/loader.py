"""Load chats that KakaoTalk exports as text or CSV, in Korean or English.

One file is a chat. The layouts are those of Android, iOS, Windows and Mac, from 2015 to
2026; times are local, in minutes, without a zone.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

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
    TextChat,
    TextChatLoader,
    day_number,
    file_stem,
    seconds_of_day,
    to_utc,
)
from langchain_chatexports.exceptions import ExportFormatError

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec"
_BLANK = "[ \u00a0\u202f]"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)"
_MARKER = "(?P<marker>오전|오후|AM|PM)"
_AFTER = rf"(?:{_BLANK}?(?P<marker>[AaPp])\.?[Mm]\.?)?"
_MONTH_DAY = r"(?P<name>[A-Z][a-z]{2,8})\.? (?P<day>\d{1,2}), (?P<year>\d{4})"
_YEAR_DAY = (
    r"(?P<year>\d{4})(?:년|\.) (?P<month>\d{1,2})(?:월|\.) (?P<day>\d{1,2})(?:일|\.)"
)
# Phones: the time of a message, and what follows it.
_STAMPS = (
    re.compile(rf"{_YEAR_DAY} (?:{_MARKER}{_BLANK})?{_CLOCK}(?P<rest>.*)", re.DOTALL),
    re.compile(rf"{_CLOCK}{_AFTER}, {_MONTH_DAY}(?P<rest>.*)", re.DOTALL),
    re.compile(
        rf"{_MONTH_DAY}(?:,| at){_BLANK}{_CLOCK}{_AFTER}(?P<rest>.*)", re.DOTALL
    ),
    # Below the line of a day.
    re.compile(rf"{_MARKER}{_BLANK}{_CLOCK}(?P<rest>, .*)", re.DOTALL),
    # Windows.
    re.compile(
        rf"\[(?P<sender>.+?)\] \[(?:{_MARKER}{_BLANK})?{_CLOCK}"
        rf"(?:{_BLANK}(?P<after>AM|PM|오전|오후))?\](?P<rest>.*)",
        re.DOTALL,
    ),
)
_ENGLISH, _WINDOWS = {1, 2}, len(_STAMPS) - 1
_DAY_LINE = re.compile(
    r"(?:-{5,} )?(?:"
    r"(?P<year>\d{4})년 (?P<month>\d{1,2})월 (?P<day>\d{1,2})일 [월화수목금토일]요일|"
    r"[A-Z][a-z]{5,8}, (?P<name>[A-Z][a-z]{2,8}) (?P<day2>\d{1,2}), (?P<year2>\d{4})"
    r")(?: -{5,})?"
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
_CSV_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d)(?::(\d\d))?")
_PART = re.compile(r"-\d{1,3}$")
_HEAD_LINES = 4
_SAMPLE_LINES = 400
_PAIR = 2
_OWN_NAMES = {"회원님"}
_OWN_ENGLISH_NAMES = {"you", "You"}
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
    encodings = ("cp949",)
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
        return sum(1 for line in lines if _is_message(line)) > 1

    def read_chat(self, text: str, file: ExportFile, clock: LocalClock) -> TextChat:
        """Parse a file."""
        stem = file_stem(file)
        is_english = False
        chat = TextChat(id=_PART.sub("", stem))
        if text.startswith(_CSV_HEAD):
            match = _CSV_NAME.fullmatch(stem)
            chat.name = match[1] if match else ""
            chat.messages = list(_read_csv(text, file, clock))
        else:
            lines = text.split("\n")
            _read_head(lines, chat)
            layout = _find_layout(lines)
            is_english = layout in _ENGLISH
            if layout is not None:
                chat.messages = list(_read_lines(lines, layout, clock))
        if stem.endswith("_group"):
            chat.is_group = True
        notices = (row.text for row in chat.messages if row.kind == "system")
        if any(_GROUP_NOTICE.search(notice) for notice in notices):
            chat.is_group = True
        self._rename_owner(
            chat, _OWN_NAMES | (_OWN_ENGLISH_NAMES if is_english else set())
        )
        if chat.owner and not chat.name and not chat.is_group:
            others = [name for name in chat.senders if name != chat.owner.id]
            chat.name = others[0] if len(others) == 1 else ""
        chat.find_owner_by_name()
        return chat

    def _rename_owner(self, chat: TextChat, own_names: set[str]) -> None:
        """Find the name that phones write for the owner."""
        for row in chat.messages:
            if row.sender in own_names:
                owner = self.owner or row.sender
                chat.owner = DetectedOwner(owner, f"the sender {row.sender}")
                row.sender = owner


def _is_message(line: str) -> bool:
    for index, stamp in enumerate(_STAMPS):
        if match := stamp.match(line):
            rest = match["rest"]
            return index == _WINDOWS or (rest.startswith(", ") and " : " in rest)
    return False


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


def _read_lines(
    lines: Sequence[str], layout: int, clock: LocalClock
) -> Iterator[Message]:
    """Yield the messages and notices of a text file.

    On phones, a record ends with CRLF, and a line break inside a message is LF. Only in
    a file that was saved again, each line that looks like a header is one.
    """
    stamp, is_windows = _STAMPS[layout], layout == _WINDOWS
    records: list[tuple[int | None, str | None, list[str]]] = []
    ends = [line.endswith("\r") for line in lines]
    is_mixed = not is_windows and True in ends and False in ends[:-1]
    senders: set[str] = set()
    day: int | None = None
    may_begin = True
    for line, has_return in zip(lines, ends, strict=True):
        text = line.removesuffix("\r")
        match = stamp.match(text) if may_begin else None
        if match is not None and _ends_stamp(match["rest"], is_windows=is_windows):
            if "year" in stamp.groupindex:
                day = _day_of(match)
            sender, rest = match["sender"] if is_windows else None, match["rest"]
            senders |= {sender} if sender else set()
            if rest or is_windows:  # A line with only a date begins a day.
                time = to_utc(day, _seconds_of(match), clock)
                records.append((time, sender, [rest]))
        elif may_begin and (day_line := _DAY_LINE.fullmatch(text)):
            day = _day_of_line(day_line)
        elif is_windows and (_is_notice(text, senders) or text in _DELETED):
            records.append((records[-1][0] if records else None, "", [text]))
        elif records:
            records[-1][2].append(text)
        elif text.strip():
            records.append((None, None, [text]))
        may_begin = has_return or not is_mixed
    names = {} if is_windows else _find_long_names(rest[0] for _, _, rest in records)
    for time, sender, rest in records:
        rest[0] = rest[0].removeprefix(" ") if is_windows else rest[0]
        body = "\n".join(rest).rstrip("\n")
        yield _convert(time, sender, body, names)


def _find_layout(lines: Sequence[str]) -> int | None:
    counts: Counter[int] = Counter()
    for line in lines[:_SAMPLE_LINES]:
        for index, stamp in enumerate(_STAMPS):
            match = stamp.match(line.removesuffix("\r"))
            if match and _ends_stamp(match["rest"], is_windows=index == _WINDOWS):
                counts[index] += 1
                break
    return counts.most_common(1)[0][0] if counts else None


def _ends_stamp(rest: str, *, is_windows: bool) -> bool:
    return not rest or rest.startswith(" " if is_windows else (", ", ",", ": ", " ,"))


def _day_of(match: re.Match[str]) -> int | None:
    groups = match.groupdict()
    month = groups.get("month") or _month_of(groups.get("name") or "")
    return day_number(int(groups["year"]), int(month), int(groups["day"]))


def _month_of(name: str) -> int:
    short = name[:3].lower()
    months = _MONTHS.split()
    return months.index(short) + 1 if short in months else 0


def _day_of_line(match: re.Match[str]) -> int | None:
    if match["year"]:
        return day_number(int(match["year"]), int(match["month"]), int(match["day"]))
    return day_number(int(match["year2"]), _month_of(match["name"]), int(match["day2"]))


def _seconds_of(match: re.Match[str]) -> int | None:
    groups = match.groupdict()
    marker = groups.get("marker") or groups.get("after") or ""
    letter = {"오전": "a", "오후": "p"}.get(marker, marker[:1].lower())
    return seconds_of_day(int(match["hour"]), int(match["minute"]), letter)


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


def _convert(
    time: int | None, sender: str | None, rest: str, long_names: dict[str, str]
) -> Message:
    """Convert what follows the time of a message."""
    if sender is None:
        if time is None and not rest.startswith(","):
            return Message(None, "", rest, "unreadable")
        body = rest.lstrip(" ").removeprefix(",").removeprefix(" ")
        sender, colon, text = body.partition(" : ")
        if not colon and body.endswith(" :"):
            sender, colon = body[:-2], " : "
        # Notices may quote a name with a colon.
        is_notice = _RENAMER.search(sender) and _is_notice(body, {body.split(" ")[0]})
        if rest.startswith(":") or not colon or is_notice:
            return _notice(time, body.removeprefix(":").strip())
        if (name := long_names.get(sender)) and body.startswith(f"{name} : "):
            sender, text = name, body.removeprefix(f"{name} : ")
        sender = sender.strip()
    else:
        text = rest
    if not sender:
        return _notice(time, text)
    return _convert_text(time, sender, text)


def _is_notice(text: str, names: Collection[str]) -> bool:
    """Return whether a line is a notice; English ones begin with one of the names."""
    if text[-1:] == "." and (match := _ENGLISH_NOTICE.fullmatch(text)):
        return match[1] in names
    is_notice = text.startswith(_BANNERS) or _NOTICE.fullmatch(text)
    return text[-1:] in {".", "다", "기"} and bool(is_notice)


def _notice(time: int | None, text: str) -> Message:
    if text in _DELETED:
        return Message(time, "", "", "unsent")
    return Message(time, "", text, "system", extra={"system": "notice"})


def _convert_text(time: int | None, sender: str, text: str) -> Message:
    row = Message(time, sender, text)
    if text in _DELETED:
        row.kind, row.text = "unsent", ""
    elif text in _APP or _DURATION.sub("", text[-80:]) in _CALLS:
        row.kind = "system"
        row.extra["system"] = "notice" if text in _APP else "call"
    elif item := _find_attachment(text.rstrip()):
        row.extra["attachments"], row.text = [item], ""
    elif sticker := _STICKER_PREFIX.match(text):
        row.extra["attachments"] = [attachment(kind="sticker")]
        row.text = text[sticker.end() :]
    if row.kind == "text" and _FILE_NAME.fullmatch(text):
        row.extra["attachments"], row.text = [attachment(text)], ""
    if time is None and row.kind == "text":
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
            date, sender, content = row[0], "".join(row[1:2]), ",".join(row[2:])
            match = _CSV_TIME.fullmatch(date)
            time = None
            if match:
                year, month, day, hour, minute = map(int, match.groups("0")[:5])
                seconds = seconds_of_day(hour, minute, "")
                dated += 1
                time = to_utc(day_number(year, month, day), seconds, clock)
                if time is not None:
                    time += int(match[6] or 0) * 1_000_000
            count += 1
            is_notice = not sender or _is_notice(content, {sender})
            yield (
                _notice(time, content)
                if is_notice
                else _convert_text(time, sender, content.removesuffix("\n"))
            )
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
