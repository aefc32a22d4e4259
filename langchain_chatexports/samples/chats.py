"""Ten chats between Tortoise and Hare as exports from five other apps."""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from langchain_chatexports.samples.writing import read_scenes, write_folder

_START = datetime(2023, 8, 28, 0, 32, 3, tzinfo=UTC)
_TIME_BETWEEN_CHATS = timedelta(days=3, seconds=5_400)
_TIME_BETWEEN_MESSAGES = timedelta(seconds=30)
_DISCORD_EPOCH_MS = 1_420_070_400_000
_IDS = {"Tortoise": 1001, "Hare": 1002}
_SLACK_USERS = {"Tortoise": "U0TORTOISE", "Hare": "U0HARE"}
_SLACK_THREAD = "Training"
_WHATSAPP_NOTICE = (
    "Messages and calls are end-to-end encrypted. Only people in this chat can read, "
    "listen to, or share them. Learn more"
)


class _Line(NamedTuple):
    chat: str
    chat_start: datetime
    time: datetime
    speaker: str
    text: str

    @property
    def unix_time(self) -> int:
        return int(self.time.timestamp())


def _read_lines() -> Iterator[_Line]:
    scenes = read_scenes("tortoise_and_hare.txt")
    for chat_index, (title, lines) in enumerate(scenes.items()):
        start = _START + chat_index * _TIME_BETWEEN_CHATS
        for index, line in enumerate(lines):
            time = start + index * _TIME_BETWEEN_MESSAGES
            yield _Line(title, start, time, line.speaker, line.text)


def write_discord(folder: str | Path = "discord") -> Path:
    """Write a direct chat as DiscordChatExporter does, and return the folder."""
    messages = [
        {
            "id": str(line.unix_time * 1000 - _DISCORD_EPOCH_MS << 22),
            "type": "Default",
            "timestamp": line.time.isoformat(),
            "content": line.text,
            "author": {
                "id": f"10000000000000{_IDS[line.speaker]}",
                "name": line.speaker.lower(),
                "nickname": line.speaker,
                "isBot": False,
            },
        }
        for line in _read_lines()
    ]
    channel = {"id": "100000000000000010", "type": "DirectTextChat", "name": "Hare"}
    content = {
        "guild": {"id": "0", "name": "Direct Messages"},
        "channel": channel,
        "messages": messages,
        "messageCount": len(messages),
    }
    name = f"Direct Messages - Hare [{channel['id']}].json"
    return write_folder(folder, {name: _to_json(content)})


def write_signal(folder: str | Path = "signal") -> Path:
    """Write a chat as a Signal JSON export, and return the folder."""
    hare = {"aci": "AAAAAAAAAAAAAAAAAAAAAg==", "profileGivenName": "Hare"}
    frames: list[dict[str, Any]] = [
        {"version": "1", "backupTimeMs": "1696118400000"},
        {"account": {"username": "tortoise.01", "givenName": "Tortoise"}},
        {"recipient": {"id": f"{_IDS['Tortoise']}", "self": {}}},
        {"recipient": {"id": f"{_IDS['Hare']}", "contact": hare}},
        {"chat": {"id": "1", "recipientId": f"{_IDS['Hare']}"}},
    ]
    for line in _read_lines():
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
    """Write a Slack export with channels and a thread, and return the folder."""
    channels: dict[str, dict[str, Any]] = {}
    days: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in _read_lines():
        name = line.chat.lower().replace(" ", "-")
        members = [*_SLACK_USERS.values()]
        channel = {"id": f"C{len(channels):09}", "name": name, "members": members}
        channels.setdefault(name, channel)
        text = line.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        message = {
            "type": "message",
            "user": _SLACK_USERS[line.speaker],
            "text": text,
            "ts": _format_slack_time(line.time),
        }
        if line.chat == _SLACK_THREAD:
            message["thread_ts"] = _format_slack_time(line.chat_start)
        days[f"{name}/{line.time.date()}.json"].append(message)
    users = [
        {"id": user, "name": name.lower(), "profile": {"display_name": name}}
        for name, user in _SLACK_USERS.items()
    ]
    contents: dict[str, Any] = {"users.json": users, **days}
    contents["channels.json"] = [*channels.values()]
    return write_folder(folder, {name: _to_json(c) for name, c in contents.items()})


def write_telegram(folder: str | Path = "telegram") -> Path:
    """Write a chat as a Telegram Desktop export, and return the folder."""
    messages = [
        {
            "id": message_id,
            "type": "message",
            "date": line.time.replace(tzinfo=None).isoformat(),
            "date_unixtime": str(line.unix_time),
            "from": line.speaker,
            "from_id": f"user{_IDS[line.speaker]}",
            "text": line.text,
        }
        for message_id, line in enumerate(_read_lines(), start=1)
    ]
    content = {
        "name": "Hare",
        "type": "personal_chat",
        "id": _IDS["Hare"],
        "messages": messages,
    }
    return write_folder(folder, {"result.json": _to_json(content)})


def write_whatsapp(folder: str | Path = "whatsapp") -> Path:
    """Write a chat as WhatsApp on Android does, in UTC, and return the folder."""
    rows = [f"{_START:%d/%m/%Y, %H:%M} - {_WHATSAPP_NOTICE}"]
    rows += [
        f"{line.time:%d/%m/%Y, %H:%M} - {line.speaker}: {line.text}"
        for line in _read_lines()
    ]
    text = "".join(f"{row}\n" for row in rows)
    return write_folder(folder, {"WhatsApp Chat with Hare.txt": text})


def _format_slack_time(time: datetime) -> str:
    return f"{int(time.timestamp())}.000100"


def _to_json(content: object) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
