"""Convert published chats of real and fictional people to tables.

There are four archives, each a git repository that you clone yourself; no text of them
is shipped or printed:

| repository | content | file |
| --- | --- | --- |
| qTox/qtox-irc-logs | a project's channel | `YEAR/MONTH/*.log.txt` |
| TeeworldsDB/irclogs | two channels of a game | `CHANNEL/*.log` |
| leanprover-community/archive | topics of a community | `zulip_json/STREAM/*.json` |
| EmilHvitfeldt/friends | the scenes of a series | `data/friends.rda` |

`friends.rda` needs the package `rdata` (`pip install rdata`). Its scenes have no times
and get invented ones, a day apart and ten seconds per line, to keep their order.
"""

from __future__ import annotations

import csv
import html
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

__all__ = ["ARCHIVES", "Line", "most_active_senders", "write_table"]

_IRC_LINE = re.compile(r"\[(\d\d:\d\d:\d\d)\] <([^>]+)> (.*)")
_IRC_DAY = re.compile(r"_(\d{8})\.log")
_MINUTE_LINE = re.compile(r"(\d\d:\d\d) <[ @+]?([^>]+)> (.*)")
_AWAY = re.compile(r"(\|.*|_+)$")
_STREAM = "116395-maths"
_SKIPPED = re.compile(
    r"<(blockquote|pre|div class=\"codehilite\").*?</(blockquote|pre|div)>"
    r"|<span class=\"katex.*?</annotation>.*?</span>(</span>)*",
    re.DOTALL,
)
_BREAK = re.compile(r"<br\s*/?>|</p>|</li>")
_TAG = re.compile(r"<[^>]+>")
_BOT = re.compile(r"bot\b|github|travis|notif", re.IGNORECASE)
_FIRST_SCENE = datetime(1994, 9, 22, tzinfo=UTC)
_NOT_SPEAKERS = frozenset({"Scene Directions", "#ALL#", "#OTHER#"})
# Senders who mostly post links or relay messages have no voice.
_MAX_LINKS = 0.3


class Line(NamedTuple):
    """A message, one row of a table."""

    conversation: str
    sender: str
    time: str
    text: str


def write_table(lines: Iterable[Line], path: Path) -> Path:
    """Write messages as a CSV table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Line._fields)
        writer.writerows(lines)
    path.chmod(0o600)
    return path


def most_active_senders(lines: Iterable[Line], count: int) -> list[str]:
    """Return the senders with the most messages, without bots and relays."""
    messages: Counter[str] = Counter()
    links: Counter[str] = Counter()
    for line in lines:
        messages[line.sender] += 1
        links[line.sender] += line.text.startswith(("[", "<", "http"))
    people = (
        name
        for name, total in messages.most_common()
        if not _BOT.search(name) and links[name] < _MAX_LINKS * total
    )
    return [name for name, _ in zip(people, range(count), strict=False)]


def _irc(folder: Path) -> Iterator[Line]:
    for path in sorted(folder.glob("*/*/*.log.txt")):
        day = _IRC_DAY.search(path.name)
        if day is None:
            continue
        date = f"{day[1][:4]}-{day[1][4:6]}-{day[1][6:]}"
        for row in path.read_text("utf-8", "replace").splitlines():
            if found := _IRC_LINE.match(row):
                time, nick, text = found.groups()
                # `nick_` and `nick|away` are the same person.
                sender = _AWAY.sub("", nick) or nick
                yield Line("channel", sender, f"{date}T{time}Z", text)


def _irc_by_minute(folder: Path) -> Iterator[Line]:
    """Yield the lines of channels whose times have no seconds."""
    for path in sorted(folder.glob("*/????-??-??.log")):
        for row in path.read_text("utf-8", "replace").splitlines():
            if found := _MINUTE_LINE.match(row):
                time, nick, text = found.groups()
                sender = _AWAY.sub("", nick) or nick
                moment = f"{path.stem}T{time}:00Z"
                yield Line(path.parent.name, sender, moment, text)


def _zulip(folder: Path) -> Iterator[Line]:
    for path in sorted((folder / "zulip_json" / _STREAM).glob("*.json")):
        for message in json.loads(path.read_text("utf-8")):
            if text := _plain(message["content"]):
                moment = datetime.fromtimestamp(message["timestamp"], UTC)
                name = message["sender_full_name"]
                yield Line(path.stem, name, moment.isoformat(), text)


def _plain(content: str) -> str:
    text = _BREAK.sub("\n", _SKIPPED.sub(" ", content))
    text = html.unescape(_TAG.sub("", text))
    return re.sub(r"\s*\n\s*", "\n", text).strip()


def _series(folder: Path) -> Iterator[Line]:
    import rdata

    table: Any = rdata.read_rda(folder / "data" / "friends.rda")["friends"]
    scenes: dict[tuple[int, ...], int] = {}
    columns = ("season", "episode", "scene", "utterance", "speaker", "text")
    for *scene_key, number, speaker, text in zip(
        *(table[name] for name in columns), strict=True
    ):
        scene = scenes.setdefault(tuple(map(int, scene_key)), len(scenes))
        if isinstance(speaker, str) and isinstance(text, str) and text.strip():
            moment = _FIRST_SCENE + timedelta(days=scene, seconds=10 * int(number))
            if speaker not in _NOT_SPEAKERS:
                yield Line(f"scene {scene}", speaker, moment.isoformat(), text)


ARCHIVES: dict[str, tuple[str, Callable[[Path], Iterator[Line]]]] = {
    "channel": ("qtox-irc-logs", _irc),
    "minutes": ("irclogs", _irc_by_minute),
    "series": ("friends", _series),
    "topics": ("archive", _zulip),
}
"""The folder of the repository, and the function that reads it, by kind of chat."""
