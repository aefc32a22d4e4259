"""Load chats that LINE exports as text.

Phones write a head, and columns separated by tabs; computers write neither, and
separate by spaces. Day lines are in the form of the phone's language. Times are local,
without a zone.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Unpack

from langchain_chatexports.chat_loaders.base import LoaderOptions
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.local_times import LocalClock
from langchain_chatexports.chat_loaders.messages import Message, attachment
from langchain_chatexports.chat_loaders.text_exports import (
    TextChat,
    TextChatLoader,
    day_number,
    file_stem,
    seconds_of_day,
    to_utc,
)
from langchain_chatexports.exceptions import ExportFormatError

_HEAD = re.compile(r"\[LINE\] ?")
_HEAD_NAMES = (
    # A name, and whether it is that of a group; `None` if the form is used for both.
    (re.compile(r"(.+)とのトーク(?:履歴)?"), False),
    (re.compile(r"(.+)のトーク履歴"), True),
    (re.compile(r"Chat history in (.+)"), True),
    (re.compile(r"Chat history with (.+)"), None),
    (re.compile(r"[與与](.+)的(?:聊天[記记][錄录]|[對对][話话])"), None),
    (re.compile(r"(.+)的聊天[記记][錄录]"), True),
    (re.compile(r'ประวัติ(?:การ)?(?:แชท|สนทนา)ในกลุ่ม "?(.+?)"?'), True),
    (re.compile(r"ประวัติ(?:การ)?(?:แชท|สนทนา)กับ (.+)"), False),
    (re.compile(r"Lịch sử trò chuyện với nhóm (.+)"), True),
)
_SAVED = re.compile(
    r"\D{0,30}\d[\d/.,\-: 年月日]*(?:午前|午後|上午|下午|[AP]M|[\d: ])*"
)
_BUSINESS = re.compile(r"(?:送信者タイプ|傳送者類型),")
_MARKS = re.compile("[\u200b\u200e\u200f\u2066-\u2069\ufeff]")
# From Monday. Without dots and spaces, in lower case.
_WEEKDAY_NAMES = (
    (
        "mon monday 月 月曜日 一 週一 周一 星期一 จ จันทร์ วันจันทร์ "
        "th2 월 월요일 sen lun mo seg пн pzt"
    ),
    (
        "tue tuesday 火 火曜日 二 週二 周二 星期二 อ อังคาร วันอังคาร "
        "th3 화 화요일 sel mar di ter вт sal"
    ),
    (
        "wed wednesday 水 水曜日 三 週三 周三 星期三 พ พุธ วันพุธ "
        "th4 수 수요일 rab mié mer mi qua ср çar"  # noqa: RUF001 - Russian
    ),
    (
        "thu thursday 木 木曜日 四 週四 周四 星期四 พฤ พฤหัสบดี วันพฤหัสบดี "
        "th5 목 목요일 kam jue jeu gio do qui чт per"
    ),
    (
        "fri friday 金 金曜日 五 週五 周五 星期五 ศ ศุกร์ วันศุกร์ "
        "th6 금 금요일 jum vie ven fr sex пт cum"
    ),
    (
        "sat saturday 土 土曜日 六 週六 周六 星期六 ส เสาร์ วันเสาร์ "
        "th7 토 토요일 sab sáb sam sa сб cmt"  # noqa: RUF001 - Russian
    ),
    (
        "sun sunday 日 日曜日 週日 周日 星期日 อา อาทิตย์ วันอาทิตย์ "
        "cn 일 일요일 min dom dim so вс paz"
    ),
)
_WEEKDAYS = {
    name: number
    for number, names in enumerate(_WEEKDAY_NAMES)
    for name in names.split()
}
_SEPARATOR = r"(?:[/.\-] ?)"
_WORD = r"[^\s\d()（），,.]{1,14}"  # noqa: RUF001 - full-width
_YEAR_FIRST = re.compile(
    rf"(?P<year>\d{{4}}){_SEPARATOR}(?P<a>\d{{1,2}}){_SEPARATOR}(?P<b>\d{{1,2}})\.?"
    rf" ?[(（]?(?P<word>{_WORD})?\.?[)）]?"  # noqa: RUF001 - full-width
)
_YEAR_LAST = re.compile(
    rf"(?:(?P<word>(?:{_WORD})\.?(?: \d)?)(?:,|(?<=\.)|(?= )),? ?)?"
    rf"(?P<a>\d{{1,2}}){_SEPARATOR}(?P<b>\d{{1,2}}){_SEPARATOR}(?P<year>\d{{4}})"
    rf"(?: г\.| ?[(（]?(?P<after>{_WORD})\.?[)）]?)?"  # noqa: RUF001 - full-width
)
_BUDDHIST_YEAR, _BUDDHIST_OFFSET = 2400, 543
_TIME = (
    r"(?:(?P<before>午前|午後|上午|下午|오전|오후) ?)?"
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)"
    r"(?:[ \u00a0\u202f]?(?P<after>[AaPp])\.?[Mm]\.?)?"
)
_TAB_LINE = re.compile(rf"{_TIME}\t(?P<rest>.*)", re.DOTALL)
_SPACE_LINE = re.compile(rf"{_TIME} (?P<rest>.+)", re.DOTALL)
_MARKERS = {
    "午前": "a",
    "上午": "a",
    "오전": "a",
    "午後": "p",
    "下午": "p",
    "오후": "p",
}
_HOUR, _NOON = 3600, 12
_HEAD_LINES = 12
_SAMPLE_LINES = 1000

_PLACEHOLDERS = {
    "photo": "Photo Photos 写真 照片 圖片 图片 รูป ภาพ Ảnh 사진",
    "video": "Video Videos 動画 影片 视频 วิดีโอ 동영상",
    "sticker": "Sticker Stickers スタンプ 貼圖 贴图 สติกเกอร์ 스티커",
    "audio": "Audio ボイスメッセージ 語音訊息 语音信息 ข้อความเสียง",
    "file": "File Files ファイル 檔案 文件 ไฟล์ 파일",
    "contact": "Contact 連絡先 聯絡資訊 ผู้ติดต่อ",
    "location": "Location 位置情報 位置 ตำแหน่ง",
    "gift": "Gift プレゼント 禮物",
    "album": "Album Albums アルバム 相簿",
    "note": "Notes Note ノート 記事本 记事本",
    "poll": "Poll 投票",
}
_KINDS = {word: kind for kind, words in _PLACEHOLDERS.items() for word in words.split()}
_KINDS["Voice message"] = "audio"
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
_CALLS = frozenset({"ไม่ได้รับสาย", "ยกเลิกการโทร"})
_UNSENT = re.compile(
    r"(?P<name>.{0,80}?)(?: ?unsent a (?:message|photo|video|sticker)\."
    r"|Message unsent\.|が?メッセージの送信を取り消しました|已收回訊息|撤回了一条消息"
    r"| ?ยกเลิก(?:ข้อความ(?:แล้ว)?|การส่งข้อความ))"
)
# Of files without a column for the sender.
_NOTICE = re.compile(
    r"(?P<name>.{1,80}?)(?: joined the (?:group|chat)\.?| left the (?:group|chat)\.?"
    r"| added .{1,200} to the group\.?| invited .{1,200} to the group\.?"
    r"| changed the group(?:'s)? name to .{1,200}| made an announcement.{0,200}"
    r"|がグループに参加しました。?|がグループを退会しました。?"
    r"|が.{1,200}を招待しました。?|が.{1,200}をグループに追加しました。?"
    r"|がアナウンスしました。?|がグループ名を.{1,200}変更しました。?"
    r"|已加入群組|已離開群組|已新增.{1,200}至群組|已設定公告|加入聊天|離開聊天"
    r"|已將.{1,200}強制退出社群。"
    r"|已加入该群|已退群|.{1,200}添加至群|发布了通告"
    r"|เข้าร่วมกลุ่ม| ?ออกจากกลุ่ม| เพิ่ม .{1,200} เข้ากลุ่ม)"
)
_NAME_WORD = re.compile(r"(?![a-z])[^\d,;:/()]+")
_MIN_LINES = 3
_MAX_WORDS = 12
_MAX_DAY_LENGTH = 60
_PAIR = 2


class LineChatLoader(TextChatLoader):
    """Load chats that LINE exported as text, on phones or computers.

    Each chat is a session. In files of computers, names are separated from the text by
    a space, like words: name the people who have a space in theirs with `senders`.
    """

    platform = "line"
    label = "LINE export"
    encodings = ("cp932",)
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
        lines = [_MARKS.sub("", line) for line in lines[:_HEAD_LINES]]
        if _BUSINESS.match(lines[0]):
            return True
        if len(lines) > 1 and (_HEAD.match(lines[0]) or _name_of_head(lines[0])):
            return _SAVED.fullmatch(lines[1].strip()) is not None
        has_day = False
        for line in filter(None, lines):
            if has_day and (_TAB_LINE.match(line) or _SPACE_LINE.match(line)):
                return True
            has_day = bool(_find_days(line))
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
        chat = TextChat(id=stem)
        head = _MARKS.sub("", lines[0])
        found = _name_of_head(head) or _name_of_head(stem)
        if _HEAD.match(head) or _name_of_head(head):
            del lines[:2]
        name, is_private = stem, False
        if found:
            name, chat.is_group = found
            is_private = chat.is_group is False
        chat.name = name.strip()
        sample = lines[:_SAMPLE_LINES]
        tabs, spaces = (
            sum(1 for line in sample if pattern.match(line))
            for pattern in (_TAB_LINE, _SPACE_LINE)
        )
        days = _Days(lines)
        if tabs >= spaces:
            chat.messages = list(_read_tab_lines(lines, days, clock))
            _mark_unknown_placeholders(chat.messages)
        else:
            names = {*self.senders, chat.name}
            chat.messages = list(_read_space_lines(lines, days, names, clock))
        is_group = any(
            row.extra.get("system") == "notice" and _NOTICE.fullmatch(row.text)
            for row in chat.messages
        )
        chat.is_group = True if is_group and not is_private else chat.is_group
        chat.find_owner_by_name()
        return chat


def _name_of_head(line: str) -> tuple[str, bool | None] | None:
    line = _HEAD.sub("", line).strip()
    for pattern, is_group in _HEAD_NAMES:
        if match := pattern.fullmatch(line):
            return match[1], is_group
    return None


class _Day(NamedTuple):
    """The day of a line: as day and month, and as month and day."""

    dmy: int | None
    mdy: int | None


def _find_days(line: str) -> _Day | None:
    """Return the possible days of a line; `None` if it is not the line of a day.

    The weekday decides between day and month; a line with another one was typed.
    """
    line = _MARKS.sub("", line).strip()
    is_year_first = True
    match = _YEAR_FIRST.fullmatch(line)
    if match is None:
        match, is_year_first = _YEAR_LAST.fullmatch(line), False
    if match is None:
        return None
    after = None if is_year_first else match["after"]
    word = re.sub(r"[. ]", "", match["word"] or after or "").casefold()
    weekday = _WEEKDAYS.get(word)
    if match["word"] and not is_year_first and weekday is None:
        return None
    year, a, b = int(match["year"]), int(match["a"]), int(match["b"])
    year -= _BUDDHIST_OFFSET if year >= _BUDDHIST_YEAR else 0
    orders = [(a, b)] if is_year_first else [(b, a), (a, b)]
    days = [day_number(year, month, day) for month, day in orders]
    if weekday is not None:
        days = [
            day if day is None or _weekday(day) == weekday else None for day in days
        ]
    return None if not any(day is not None for day in days) else _Day(days[0], days[-1])


def _weekday(day: int) -> int:
    return date.fromordinal(date(1970, 1, 1).toordinal() + day).weekday()


class _Days:
    """The lines of days in a file, with one order of day and month."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._days = {
            line: days
            for line in {*lines}
            if len(line) < _MAX_DAY_LENGTH and (days := _find_days(line))
        }
        found = [self._days[line] for line in lines if line in self._days]
        certain = Counter(
            day.mdy is None for day in found if None in day and day.dmy != day.mdy
        )
        self._is_month_first = certain[False] > certain[True]
        if not certain:
            steps = [
                _count_steps_back([day[order] for day in found]) for order in (0, 1)
            ]
            self._is_month_first = steps[1] < steps[0]

    def get(self, line: str) -> int | None:
        """Return the day of a line."""
        days = self._days.get(line)
        if days is None:
            return None
        first, second = days[::-1] if self._is_month_first else days
        return second if first is None else first


def _count_steps_back(days: Sequence[int | None]) -> int:
    known = [day for day in days if day is not None]
    return sum(later < day for day, later in pairwise(known))


class _Clock:
    """Converts the times of one file, which never decrease within a day."""

    def __init__(self, clock: LocalClock) -> None:
        self.day: int | None = None
        self._clock = clock
        self._last = 0

    def begin(self, day: int) -> None:
        self.day, self._last = day, 0

    def read(self, match: re.Match[str]) -> int | None:
        hour, minute = int(match["hour"]), int(match["minute"])
        marker = _MARKERS.get(match["before"] or "", (match["after"] or "").lower())
        seconds = seconds_of_day(hour, minute, marker)
        if seconds is None or self.day is None:
            return None
        # Some phones write noon with the marker of the morning.
        is_noon = marker == "a" and hour == _NOON and self._last >= _HOUR
        seconds += _NOON * _HOUR if is_noon else 0
        self._last = max(self._last, seconds)
        return to_utc(self.day, seconds, self._clock)


def _read_tab_lines(
    lines: Sequence[str], days: _Days, clock: LocalClock
) -> Iterator[Message]:
    """Yield the messages of a file with tabs.

    Text of several lines is in quotation marks. A block ends at a line that ends with
    one before a line that begins something; the opening one is the last before it.
    """
    heads = [_TAB_LINE.match(line) for line in lines]
    blocks = _find_blocks(lines, heads, days)
    times = _Clock(clock)
    index = 0
    row: Message | None = None
    rest: list[str] = []
    while index < len(lines):
        line, head = lines[index], heads[index]
        if head is not None:
            if row is not None:
                yield _finish(row, rest)
            sender, tab, text = head["rest"].partition("\t")
            end = blocks.get(index, index)
            if end > index:
                text = "\n".join((text, *lines[index + 1 : end + 1]))[1:-1]
                is_doubled = text.count('"') == 2 * text.count('""')
                text = text.replace('""', '"') if is_doubled else text
            if not tab:
                sender, text = "", sender
            row, rest = Message(times.read(head), _MARKS.sub("", sender), text), []
            index = end
        elif (day := days.get(line)) is not None:
            times.begin(day)
        elif row is not None:
            rest.append(line)
        elif line.strip():
            yield Message(None, "", line, "unreadable")
        index += 1
    if row is not None:
        yield _finish(row, rest)


def _find_blocks(
    lines: Sequence[str], heads: Sequence[re.Match[str] | None], days: _Days
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


def _finish(row: Message, rest: Sequence[str], *, has_brackets: bool = True) -> Message:
    """Add the lines below a message, and find what its text stands for."""
    row.text = "\n".join((row.text, *rest)).rstrip("\n")
    text = row.text
    if not row.sender:
        row.kind = "unsent" if _UNSENT.fullmatch(text.strip()) else "system"
        row.extra = {"system": "notice"} if row.kind == "system" else {}
        row.text = text if row.kind == "system" else ""
    elif text.startswith(_CALL) or text in _CALLS:
        row.kind, row.extra = "system", {"system": "call"}
    elif item := _find_attachment(text, has_brackets=has_brackets):
        row.extra, row.text = {"attachments": [item]}, ""
    elif row.time is None and text:
        row.kind = "undated"
    return row


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


def _read_space_lines(
    lines: Sequence[str], days: _Days, names: Iterable[str], clock: LocalClock
) -> Iterator[Message]:
    """Yield the messages of a file with spaces, whose senders are learned from it."""
    heads = [_SPACE_LINE.match(_MARKS.sub("", line)) for line in lines]
    senders = _Senders([head["rest"] for head in heads if head], names)
    times = _Clock(clock)
    row: Message | None = None
    rest: list[str] = []
    for line, head in zip(lines, heads, strict=True):
        day = days.get(line)
        split = senders.split(head["rest"]) if head is not None else None
        if day is None and (head is None or split is None):
            if row is not None:
                rest.append(line)
            elif line.strip():
                yield Message(None, "", line, "unreadable")
            continue
        if row is not None and split is not None:
            yield _finish(row, rest, has_brackets=False)
        if day is not None:
            times.begin(day)
        elif head is not None and split is not None:
            row, rest = Message(times.read(head), *split), []
    if row is not None:
        yield _finish(row, rest, has_brackets=False)


class _Senders:
    """The senders of a file without a column for them."""

    def __init__(self, rests: Sequence[str], names: Iterable[str]) -> None:
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
                self._names.add(_find_common_words(first, found))
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
        self._has_names = True
        return words[0], " ".join(words[1:])


def _is_notice_of(name: str, text: str) -> bool:
    """Return whether a notice says this of a person, and not that they wrote it."""
    matches = (p.fullmatch(f"\0 {text}") for p in (_UNSENT, _NOTICE))
    return bool(name) and any(
        m is not None and m["name"].strip() == "\0" for m in matches
    )


def _find_common_words(first: str, lines: Sequence[Sequence[str]]) -> str:
    """Return the words that all lines with this first word begin with."""
    common = list(lines[0][:-1])
    for words in lines:
        length = 0
        while (
            length < min(len(common), len(words) - 1)
            and common[length] == words[length]
        ):
            length += 1
        del common[length:]
    return " ".join(common) or first
