"""The ten talks of Tortoise and Hare as exports of five other apps."""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

from langchain_chatexports.samples.writing import read_scenes, write_folder

_BEGINS = datetime(2023, 8, 28, 0, 32, 3, tzinfo=timezone.utc)
_BETWEEN_TALKS = timedelta(days=3, seconds=5_400)
_BETWEEN_MESSAGES = timedelta(seconds=30)
_DISCORD_EPOCH_MS = 1_420_070_400_000
_IDS = {"Tortoise": 1001, "Hare": 1002}
_SLACK_USERS = {"Tortoise": "U0TORTOISE", "Hare": "U0HARE"}
_SLACK_THREAD = "Training"
_WHATSAPP_NOTICE = (
    "Messages and calls are end-to-end encrypted. Only people in this chat can read, "
    "listen to, or share them. Learn more"
)


class _Line(NamedTuple):
    talk: str
    begins: datetime
    moment: datetime
    speaker: str
    text: str

    @property
    def unix_time(self) -> int:
        return int(self.moment.timestamp())


def _lines() -> Iterator[_Line]:
    scenes = read_scenes("tortoise_and_hare.txt")
    for number, (title, lines) in enumerate(scenes.items()):
        begins = _BEGINS + number * _BETWEEN_TALKS
        for index, line in enumerate(lines):
            moment = begins + index * _BETWEEN_MESSAGES
            yield _Line(title, begins, moment, line.speaker, line.text)


def write_discord(folder: str | Path = "discord") -> Path:
    """Write a direct chat as saved by DiscordChatExporter, and return the folder."""
    messages = [
        {
            "id": str(line.unix_time * 1000 - _DISCORD_EPOCH_MS << 22),
            "type": "Default",
            "timestamp": line.moment.isoformat(),
            "content": line.text,
            "author": {
                "id": f"10000000000000{_IDS[line.speaker]}",
                "name": line.speaker.lower(),
                "nickname": line.speaker,
                "isBot": False,
            },
        }
        for line in _lines()
    ]
    channel = {"id": "100000000000000010", "type": "DirectTextChat", "name": "Hare"}
    content = {
        "guild": {"id": "0", "name": "Direct Messages"},
        "channel": channel,
        "messages": messages,
        "messageCount": len(messages),
    }
    name = f"Direct Messages - Hare [{channel['id']}].json"
    return write_folder(folder, {name: _json(content)})


def write_signal(folder: str | Path = "signal") -> Path:
    """Write a chat in Signal's JSON format, and return the folder."""
    hare = {"aci": "AAAAAAAAAAAAAAAAAAAAAg==", "profileGivenName": "Hare"}
    frames: list[dict[str, Any]] = [
        {"version": "1", "backupTimeMs": "1696118400000"},
        {"account": {"username": "tortoise.01", "givenName": "Tortoise"}},
        {"recipient": {"id": f"{_IDS['Tortoise']}", "self": {}}},
        {"recipient": {"id": f"{_IDS['Hare']}", "contact": hare}},
        {"chat": {"id": "1", "recipientId": f"{_IDS['Hare']}"}},
    ]
    for line in _lines():
        sent = f"{line.unix_time}000"
        direction = "outgoing" if line.speaker == "Tortoise" else "incoming"
        item = {
            "chatId": "1",
            "authorId": f"{_IDS[line.speaker]}",
            "dateSent": sent,
            direction: {"dateReceived": sent},
            "standardMessage": {"text": {"body": line.text}},
        }
        frames.append({"chatItem": item})
    rows = [f"{json.dumps(frame, ensure_ascii=False)}\n" for frame in frames]
    return write_folder(folder, {"main.jsonl": "".join(rows)})


def write_slack(folder: str | Path = "slack") -> Path:
    """Write a Slack export of channels and one thread, and return the folder."""
    channels: dict[str, dict[str, Any]] = {}
    days: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in _lines():
        name = line.talk.lower().replace(" ", "-")
        members = [*_SLACK_USERS.values()]
        about = {"id": f"C{len(channels):09}", "name": name, "members": members}
        channels.setdefault(name, about)
        text = line.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        message = {
            "type": "message",
            "user": _SLACK_USERS[line.speaker],
            "text": text,
            "ts": _slack_time(line.moment),
        }
        if line.talk == _SLACK_THREAD:
            message["thread_ts"] = _slack_time(line.begins)
        days[f"{name}/{line.moment.date()}.json"].append(message)
    users = [
        {"id": user, "name": name.lower(), "profile": {"display_name": name}}
        for name, user in _SLACK_USERS.items()
    ]
    contents: dict[str, Any] = {"users.json": users, **days}
    contents["channels.json"] = [*channels.values()]
    return write_folder(folder, {name: _json(c) for name, c in contents.items()})


def write_telegram(folder: str | Path = "telegram") -> Path:
    """Write a chat in the format of Telegram Desktop, and return the folder."""
    messages = [
        {
            "id": number,
            "type": "message",
            "date": line.moment.replace(tzinfo=None).isoformat(),
            "date_unixtime": str(line.unix_time),
            "from": line.speaker,
            "from_id": f"user{_IDS[line.speaker]}",
            "text": line.text,
        }
        for number, line in enumerate(_lines(), start=1)
    ]
    content = {
        "name": "Hare",
        "type": "personal_chat",
        "id": _IDS["Hare"],
        "messages": messages,
    }
    return write_folder(folder, {"result.json": _json(content)})


def write_whatsapp(folder: str | Path = "whatsapp") -> Path:
    """Write a chat in the format of an Android phone in UTC, and return the folder."""
    rows = [f"{_BEGINS:%d/%m/%Y, %H:%M} - {_WHATSAPP_NOTICE}"]
    rows += [
        f"{line.moment:%d/%m/%Y, %H:%M} - {line.speaker}: {line.text}"
        for line in _lines()
    ]
    text = "".join(f"{row}\n" for row in rows)
    return write_folder(folder, {"WhatsApp Chat with Hare.txt": text})


def _slack_time(moment: datetime) -> str:
    return f"{int(moment.timestamp())}.000100"


def _json(content: object) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
