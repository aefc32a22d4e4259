"""The ten talks of Tortoise and Hare, as five other apps export them."""

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


def _lines() -> Iterator[_Line]:
    scenes = read_scenes("tortoise_and_hare.txt")
    for number, (title, lines) in enumerate(scenes.items()):
        begins = _BEGINS + number * _BETWEEN_TALKS
        for place, line in enumerate(lines):
            moment = begins + place * _BETWEEN_MESSAGES
            yield _Line(title, begins, moment, line.speaker, line.text)


def write_discord(folder: str | Path = "discord") -> Path:
    """Write ten talks of Tortoise with Hare, as DiscordChatExporter saves them.

    Args:
        folder: A new or empty folder; the same sample there is left as it is.

    Returns:
        The folder.

    Raises:
        ExportAccessError: If the system refuses to write there.
        ExportFormatError: If something else is there. Nothing is written then.
    """
    messages: list[dict[str, Any]] = [
        {
            "id": str(int(line.moment.timestamp()) * 1000 - _DISCORD_EPOCH_MS << 22),
            "type": "Default",
            "timestamp": line.moment.isoformat(),
            "timestampEdited": None,
            "content": line.text,
            "author": {
                "id": f"10000000000000{_IDS[line.speaker]}",
                "name": line.speaker.lower(),
                "nickname": line.speaker,
                "isBot": False,
            },
            "attachments": [],
            "embeds": [],
            "reactions": [],
            "mentions": [],
        }
        for line in _lines()
    ]
    content = {
        "guild": {"id": "0", "name": "Direct Messages", "iconUrl": ""},
        "channel": {
            "id": "100000000000000010",
            "type": "DirectTextChat",
            "categoryId": None,
            "category": None,
            "name": "Hare",
            "topic": None,
        },
        "dateRange": {"after": None, "before": None},
        "exportedAt": "2023-10-01T00:00:00+00:00",
        "messages": messages,
        "messageCount": len(messages),
    }
    name = "Direct Messages - Hare [100000000000000010].json"
    return write_folder(folder, {name: _json(content)})


def write_signal(folder: str | Path = "signal") -> Path:
    """Write ten talks of Tortoise with Hare, as Signal exports them as JSON.

    Args:
        folder: A new or empty folder; the same sample there is left as it is.

    Returns:
        The folder.

    Raises:
        ExportAccessError: If the system refuses to write there.
        ExportFormatError: If something else is there. Nothing is written then.
    """
    hare = {"aci": "AAAAAAAAAAAAAAAAAAAAAg==", "profileGivenName": "Hare"}
    frames: list[dict[str, Any]] = [
        {"version": "1", "backupTimeMs": "1696118400000"},
        {"account": {"username": "tortoise.01", "givenName": "Tortoise"}},
        {"recipient": {"id": f"{_IDS['Tortoise']}", "self": {}}},
        {"recipient": {"id": f"{_IDS['Hare']}", "contact": hare}},
        {"chat": {"id": "1", "recipientId": f"{_IDS['Hare']}"}},
    ]
    for line in _lines():
        sent = f"{int(line.moment.timestamp())}000"
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
    """Write ten talks of Tortoise and Hare as a Slack export: channels, and a thread.

    Args:
        folder: A new or empty folder; the same sample there is left as it is.

    Returns:
        The folder.

    Raises:
        ExportAccessError: If the system refuses to write there.
        ExportFormatError: If something else is there. Nothing is written then.
    """
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
            "ts": _ts(line.moment),
        }
        if line.talk == _SLACK_THREAD:
            message["thread_ts"] = _ts(line.begins)
        days[f"{name}/{line.moment.date()}.json"].append(message)
    users = [
        {
            "id": user,
            "name": name.lower(),
            "real_name": name,
            "profile": {"display_name": name, "real_name": name},
        }
        for name, user in _SLACK_USERS.items()
    ]
    contents: dict[str, Any] = {"users.json": users, **days}
    contents["channels.json"] = [*channels.values()]
    return write_folder(folder, {name: _json(c) for name, c in contents.items()})


def write_telegram(folder: str | Path = "telegram") -> Path:
    """Write ten talks of Tortoise with Hare, as Telegram Desktop exports them.

    Args:
        folder: A new or empty folder; the same sample there is left as it is.

    Returns:
        The folder.

    Raises:
        ExportAccessError: If the system refuses to write there.
        ExportFormatError: If something else is there. Nothing is written then.
    """
    messages: list[dict[str, Any]] = [
        {
            "id": number,
            "type": "message",
            "date": line.moment.replace(tzinfo=None).isoformat(),
            "date_unixtime": str(int(line.moment.timestamp())),
            "from": line.speaker,
            "from_id": f"user{_IDS[line.speaker]}",
            "text": line.text,
            "text_entities": [{"type": "plain", "text": line.text}],
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
    """Write ten talks of Tortoise with Hare, as an Android phone in UTC exports them.

    Args:
        folder: A new or empty folder; the same sample there is left as it is.

    Returns:
        The folder.

    Raises:
        ExportAccessError: If the system refuses to write there.
        ExportFormatError: If something else is there. Nothing is written then.
    """
    rows = [f"{_BEGINS:%d/%m/%Y, %H:%M} - {_WHATSAPP_NOTICE}"]
    rows += [
        f"{line.moment:%d/%m/%Y, %H:%M} - {line.speaker}: {line.text}"
        for line in _lines()
    ]
    text = "".join(f"{row}\n" for row in rows)
    return write_folder(folder, {"WhatsApp Chat with Hare.txt": text})


def _ts(moment: datetime) -> str:
    return f"{int(moment.timestamp())}.000100"


def _json(content: object) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
