"""Signal exports (`main.jsonl`).

```python
export = SignalExport()
hare = export.contact("Hare")
chat = export.chat(hare)
chat.says(hare, "Speed is key!")
path = export.write(tmp_path / "main.jsonl")
```
"""

import base64
import json
from pathlib import Path
from typing import Any

MAY_MS = 1_714_550_400_000
OWNER = "1"


class SignalChat:
    """A chat; its messages follow it in the file."""

    def __init__(self, export: "SignalExport", chat_id: str) -> None:
        self._export = export
        self.id = chat_id

    def add(self, author: str, kind: str, content: Any, **keys: Any) -> dict[str, Any]:
        """Add a message of a kind, one second after the previous one."""
        export = self._export
        export.seconds += 1
        sent = str(MAY_MS + export.seconds * 1000)
        direction = "outgoing" if author == OWNER else "incoming"
        item: dict[str, Any] = {"chatId": self.id, "authorId": author}
        item["dateSent"] = sent
        item |= {direction: {"dateReceived": sent}, kind: content, **keys}
        export.frames.append({"chatItem": item})
        return item

    def says(self, author: str, text: str, **content: Any) -> dict[str, Any]:
        return self.add(author, "standardMessage", {"text": {"body": text}, **content})


class SignalExport:
    """An export, with its owner as the first recipient."""

    def __init__(self) -> None:
        self.seconds = 0
        names = {"givenName": "Tess", "familyName": "Tortoise"}
        self.frames: list[Any] = [
            {"version": "1", "backupTimeMs": "1715636551000"},
            {"account": {"profileKey": "YQ==", **names}},
            {"recipient": {"id": OWNER, "self": {}}},
            {"recipient": {"id": "2", "releaseNotes": {}}},
        ]
        self._recipients, self._chats = 2, 0

    def recipient(self, **keys: Any) -> str:
        self._recipients += 1
        number = str(self._recipients)
        self.frames.append({"recipient": {"id": number, **keys}})
        return number

    def contact(self, name: str = "", **keys: Any) -> str:
        """Add a person with a profile name."""
        aci = base64.b64encode(f"{name:_<16}".encode()[:16]).decode()
        named = {"profileGivenName": name} if name else {}
        return self.recipient(contact={"aci": aci, **named, **keys})

    def group(self, title: str) -> str:
        key = base64.b64encode(title.encode()).decode()
        snapshot = {"title": {"title": title}, "version": 3}
        return self.recipient(group={"masterKey": key, "snapshot": snapshot})

    def chat(self, recipient: str) -> SignalChat:
        self._chats += 1
        number = str(self._chats)
        self.frames.append({"chat": {"id": number, "recipientId": recipient}})
        return SignalChat(self, number)

    def text(self) -> str:
        return "".join(
            (frame if isinstance(frame, str) else json.dumps(frame, ensure_ascii=False))
            + "\n"
            for frame in self.frames
        )

    def write(self, path: Path) -> Path:
        """Write `main.jsonl`, and the file that is always next to it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text(), encoding="utf-8")
        (path.parent / "metadata.json").write_text('{"version":1}')
        return path
