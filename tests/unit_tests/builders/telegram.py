"""Telegram Desktop's exports.

```python
chat = TelegramChat("Bo")
chat.says(ANN, "Hello")
path = chat.write(tmp_path / "result.json")
```
"""

import html
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.telegram import TelegramChatLoader

START = datetime(2024, 5, 1, 8, tzinfo=UTC)
BERLIN_SUMMER = timezone(timedelta(hours=2))
NOT_INCLUDED = "(File not included. Change data exporting settings to download.)"


class Person(NamedTuple):
    """An author: a name, if the account is not deleted, and an id."""

    name: str | None
    id: str | int | None


ANN, BO, CY = Person("Ann", "user11"), Person("Bo", "user22"), Person("Cy", "user33")


BO_AS_CONTACT = {"user_id": 22, "first_name": "Bo", "phone_number": "+1 555 0122"}


class TelegramChat:
    """A chat: the content of `result.json`, or an item in it."""

    def __init__(
        self,
        name: str | None = "Bo",
        kind: str = "personal_chat",
        number: int = 22,
        **keys: Any,
    ) -> None:
        self.about: dict[str, Any] = {"name": name, "type": kind, "id": number, **keys}
        if kind in {"saved_messages", "replies"}:
            del self.about["name"]
        self.messages: list[Any] = []

    def says(self, who: Person, text: Any, **keys: Any) -> dict[str, Any]:
        """Add a message, one minute after the previous one, and return it."""
        moment = START + timedelta(minutes=len(self.messages))
        parts = [{"type": "plain", "text": text}] if isinstance(text, str) else text
        message = {
            "id": len(self.messages) + 1,
            "type": "message",
            "date": moment.astimezone(BERLIN_SUMMER).replace(tzinfo=None).isoformat(),
            "date_unixtime": str(int(moment.timestamp())),
            "from": who.name,
            "from_id": who.id,
            **keys,
            "text": text,
            "text_entities": parts if text else [],
        }
        self.messages.append(message)
        return message

    def service(self, who: Person, action: str | None, **keys: Any) -> dict[str, Any]:
        message = self.says(who, "", **keys)
        message["type"] = "service"
        message["actor"] = message.pop("from")
        message["actor_id"] = message.pop("from_id")
        if action:
            message["action"] = action
        return message

    @property
    def value(self) -> dict[str, Any]:
        return {**self.about, "messages": self.messages}

    def text(self, *, indent: int | None = 1, ascii_only: bool = False) -> str:
        return json.dumps(self.value, indent=indent, ensure_ascii=ascii_only)

    def write(self, path: Path, **options: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.text(**options).encode())
        return path


def account_text(
    chats: Sequence[TelegramChat],
    left_chats: Sequence[TelegramChat] = (),
    *,
    user: dict[str, Any] | None = None,
    indent: int | None = 1,
) -> str:
    """Return the text of an account's file."""
    about_user = {"personal_information": user} if user else {}
    value = {
        "about": "Here is the data you requested.",
        **about_user,
        "contacts": {"about": "", "list": [BO_AS_CONTACT]},
        "chats": {"about": "These are chats.", "list": [chat.value for chat in chats]},
        "left_chats": {"about": "", "list": [chat.value for chat in left_chats]},
    }
    return json.dumps(value, indent=indent, ensure_ascii=False)


USER = {
    "user_id": 11,
    "first_name": "Ann",
    "last_name": "",
    "phone_number": "+1 555 0100",
    "username": "@annode",
    "bio": "",
}


class Page:
    """An HTML page of a chat."""

    def __init__(self, title: str = "Bo", zone: str = " UTC+02:00") -> None:
        self.title = title
        self.zone = zone
        self.blocks: list[str] = []

    def says(
        self, name: str | None, body: str, number: int = 0, clock: str = "10:00:00"
    ) -> None:
        """Add a message; without a name, it is joined to the one before."""
        number = number or len(self.blocks) + 1
        joined = "" if name else " joined"
        shown = html.escape(name or "")
        sender = f'<div class="from_name">\n{shown} \n       </div>\n' if name else ""
        self.blocks.append(
            f'     <div class="message default clearfix{joined}" '
            f'id="message{number}">\n'
            '      <div class="pull_left userpic_wrap">\n'
            '       <div class="userpic userpic1" style="width: 42px">\n'
            '        <div class="initials">\nA\n        </div>\n       </div>\n'
            "      </div>\n"
            '      <div class="body">\n'
            '       <div class="pull_right date details" '
            f'title="01.05.2024 {clock}{self.zone}">\n10:00\n       </div>\n'
            f"       {sender}{body}\n      </div>\n     </div>\n"
        )

    def service(self, text: str, number: int) -> None:
        self.blocks.append(
            f'     <div class="message service" id="message{number}">\n'
            f'      <div class="body details">\n{text}\n      </div>\n     </div>\n'
        )

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            '<!DOCTYPE html>\n<html>\n <head>\n  <meta charset="utf-8"/>\n'
            "<title>Exported Data</title>\n </head>\n"
            '  <body onload="CheckLocation();">\n  <div class="page_wrap">\n'
            '   <div class="page_header">\n    <div class="content">\n'
            f'     <div class="text bold">\n{html.escape(self.title)} \n'
            '     </div>\n    </div>\n   </div>\n   <div class="page_body chat_page">\n'
            f'    <div class="history">\n{"".join(self.blocks)}    </div>\n'
            "   </div>\n  </div>\n </body>\n</html>\n",
            encoding="utf-8",
        )
        return path


def text_block(text: str) -> str:
    """Return the HTML of a message's text."""
    return f'<div class="text">\n{text}\n       </div>'


def is_recognized(path: Path) -> bool:
    """Return whether `matches` recognizes the files at a path."""
    with ExportFiles([path], TelegramChatLoader.suffixes) as files:
        return TelegramChatLoader.matches(files)


def make_chat(number: int = 22, name: str = "Bo", **keys: Any) -> TelegramChat:
    """A chat with a message of each."""
    chat = TelegramChat(name, number=number, **keys)
    chat.says(Person(name, f"user{number}"), "yours")
    chat.says(ANN, "mine")
    return chat


def make_group(*people: Person) -> TelegramChat:
    """A group in which each person wrote."""
    group = TelegramChat("Race", "private_group", 7)
    for person in people:
        group.says(person, "Hi")
    return group


def write_account(tmp_path: Path, *chats: TelegramChat, **options: Any) -> Path:
    """Write an account's export."""
    path = tmp_path / "result.json"
    path.write_text(account_text(chats, **options), encoding="utf-8")
    return path
