"""Exports of six more apps and the stages of loading them, for `benchmarks.loaders`.

`generate` also counts the messages with tools that do not know the loaders, and fails
if a loader finds another number.
"""

from __future__ import annotations

import json
import mailbox
import random
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

import langchain_chatexports
from benchmarks.facebook_messenger import OWNER, OWNER_SHARE, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BEGIN = datetime(2017, 7, 14, 2, 40, tzinfo=UTC)
_READ = """
import langchain_chatexports
loader = langchain_chatexports.{name}(path, {options})
"""


@dataclass(frozen=True)
class Row:
    """A message."""

    number: int
    at: datetime
    person: str
    is_own: bool
    text: str

    @property
    def sender(self) -> str:
        """The name of who wrote it."""
        return OWNER if self.is_own else self.person

    @property
    def milliseconds(self) -> int:
        """The time since 1970."""
        return int(self.at.timestamp() * 1000)


@dataclass(frozen=True)
class TextApp:
    """An app whose export has a file for each conversation."""

    loader: str
    suffix: str
    write: Callable[[list[Row]], str]
    count: Callable[[Path], int]
    options: str = ""

    @property
    def STAGES(self) -> dict[str, tuple[str, str]]:  # noqa: N802 - as in a module
        """The stages of loading."""
        setup = _READ.format(name=self.loader, options=self.options)
        return {
            "first session": (setup, "next(iter(loader.lazy_load()))"),
            "read": (setup, "for session in loader.lazy_load(): del session"),
            "inspect": (setup, "print(loader.inspect().found, file=sys.stderr)"),
        }

    def generate(self, folder: Path, messages: int, conversations: int) -> None:
        """Write the conversations, and compare the loader's count with another one."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        source = random.Random(7)
        for chat in range(conversations):
            count = messages // conversations + (chat < messages % conversations)
            rows = list(_rows(source, f"Person Number{chat}", count))
            path = folder / f"{rows[0].person}{self.suffix}"
            path.write_bytes(self.write(rows).encode())
        counted = sum(map(self.count, folder.iterdir()))
        options = eval(f"dict({self.options})")  # noqa: S307 - our own text
        found = getattr(langchain_chatexports, self.loader)(folder, **options).inspect()
        if not counted == messages == found.found:
            msg = f"{self.loader} found {found.found} messages of {counted}"
            raise ValueError(msg)


def _rows(source: random.Random, person: str, count: int) -> Iterator[Row]:
    for number in range(count):
        words = source.choices(WORDS, k=source.randint(1, 18))
        at = _BEGIN + timedelta(minutes=number, seconds=source.randrange(60))
        is_own = source.random() < OWNER_SHARE
        yield Row(number, at, person, is_own, " ".join(words))


def _write_sms(rows: list[Row]) -> str:
    number = f"+1555{rows[0].person.removeprefix('Person Number'):>07}"
    lines = (
        f'<sms protocol="0" address="{number}" date="{row.milliseconds}" '
        f'type="{1 + row.is_own}" subject="null" body={quoteattr(row.text)} '
        f'date_sent="0" contact_name="{row.person}" />\n'
        for row in rows
    )
    return (
        f'<?xml version="1.0"?>\n<smses count="{len(rows)}">\n{"".join(lines)}</smses>'
    )


def _write_chatlab(rows: list[Row]) -> str:
    meta = {"name": rows[0].person, "platform": "wechat", "type": "private"}
    head = {"_type": "header", "chatlab": {"version": "0.0.2"}, "meta": meta}
    messages = (
        {"_type": "message", "sender": row.sender, "accountName": row.sender}
        | {"timestamp": row.milliseconds // 1000, "type": 0, "content": row.text}
        | {"platformMessageId": f"{row.person} {row.number}"}
        for row in rows
    )
    return "\n".join(map(json.dumps, (head, *messages)))


def _write_kakaotalk(rows: list[Row]) -> str:
    head = f"{rows[0].person} 님과 카카오톡 대화\r\n저장한 날짜 : 2026년 4월 25일\n"
    lines = (
        f"{row.at.year}년 {row.at.month}월 {row.at.day}일 "
        f"{'오전' if row.at.hour < 12 else '오후'} {row.at.hour % 12 or 12}:"  # noqa: PLR2004 - noon
        f"{row.at:%M}, {row.sender} : {row.text}\r\n"
        for row in rows
    )
    return head + "".join(lines)


def _write_line(rows: list[Row]) -> str:
    lines = [
        f"[LINE] Chat history with {rows[0].person}",
        "Saved on: 2026/03/08, 22:10",
    ]
    day = None
    for row in rows:
        if row.at.date() != day:
            day = row.at.date()
            lines += ["", f"{day:%Y/%m/%d(%a)}"]
        lines.append(f"{row.at:%H:%M}\t{row.sender}\t{row.text}")
    return "\n".join(lines) + "\n"


def _write_skype(rows: list[Row]) -> str:
    messages = [
        {"id": str(row.milliseconds), "displayName": None, "version": "1"}
        | {"originalarrivaltime": f"{row.at:%Y-%m-%dT%H:%M:%SZ}", "content": row.text}
        | {"messagetype": "RichText", "conversationid": f"8:{row.person}"}
        | {"from": "8:grace" if row.is_own else f"8:{row.person}"}
        for row in reversed(rows)
    ]
    talk = {"id": f"8:{rows[0].person}", "displayName": rows[0].person}
    talks = [talk | {"properties": {}, "MessageList": messages}]
    return json.dumps({"userId": "8:grace", "exportDate": "x", "conversations": talks})


def _write_mail(rows: list[Row]) -> str:
    return "".join(
        f"From {row.number}@xxx {row.at:%a %b %d %H:%M:%S +0000 %Y}\n"
        f"From: {row.sender} <{row.sender.replace(' ', '.')}@a.example>\n"
        f"To: {row.person.replace(' ', '.')}@a.example\nSubject: Tea\n"
        f"Message-ID: <{row.number}.{row.person.replace(' ', '.')}@a>\n"
        f"X-GM-THRID: {int(row.person.removeprefix('Person Number')) + 1}\n"
        f"Date: {row.at:%a, %d %b %Y %H:%M:%S} +0000\n"
        f"Content-Type: text/plain; charset=utf-8\n\n{row.text}\n\n"
        for row in rows
    )


def _count_xml(path: Path) -> int:
    return sum(element.tag == "sms" for _, element in ET.iterparse(path))  # noqa: S314 - ours


def _count_lines(mark: str) -> Callable[[Path], int]:
    return lambda path: sum(mark in line for line in path.open(encoding="utf-8"))


def _count_json(path: Path) -> int:
    conversations = json.loads(path.read_bytes())["conversations"]
    return sum(len(talk["MessageList"]) for talk in conversations)


_ZONE = "timezone='UTC'"
APPS: dict[str, TextApp] = {
    "sms": TextApp("SmsChatLoader", ".xml", _write_sms, _count_xml),
    "chatlab": TextApp(
        "ChatLabChatLoader", ".jsonl", _write_chatlab, _count_lines('"message"')
    ),
    "kakaotalk": TextApp(
        "KakaoTalkChatLoader", ".txt", _write_kakaotalk, _count_lines(", "), _ZONE
    ),
    "line": TextApp("LineChatLoader", ".txt", _write_line, _count_lines("\t"), _ZONE),
    "skype": TextApp("SkypeChatLoader", ".json", _write_skype, _count_json),
    "mail": TextApp(
        "EmailChatLoader", ".mbox", _write_mail, lambda path: len(mailbox.mbox(path))
    ),
}
