"""A builder of WhatsApp exports from phones and the web, as text files and zips.

```python
chat = WhatsAppChat.ios()
chat.says("Ann", "Hi!").by_app("Ann", "image omitted")
path = chat.to_zip(tmp_path / "WhatsApp Chat - Ann.zip")
```
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

LRM, RLM = "\u200e", "\u200f"
START = datetime(2022, 3, 18, 14, 56, 1)  # noqa: DTZ001 - a phone's local time

_MINUTE = timedelta(minutes=1)


class WhatsAppChat:
    """The lines of an exported chat, with one message a minute."""

    def __init__(
        self,
        stamp: Callable[[datetime], str],
        *,
        end: str = "\n",
        start: datetime = START,
        system: str = "{stamp}{text}",
    ) -> None:
        self.stamp = stamp
        self.end = end
        self.now = start
        self.lines: list[str] = []
        self._system = system

    @classmethod
    def ios(cls) -> WhatsAppChat:
        """Create an iPhone's export, with the day first and a 24-hour clock."""
        return cls(
            lambda at: f"[{at:%d/%m/%Y, %H:%M:%S}] ",
            end="\r\n",
            system="{stamp}{name}: \u200e{text}",
        )

    @classmethod
    def android(cls, start: datetime = START) -> WhatsAppChat:
        return cls(lambda at: f"{at:%d/%m/%Y, %H:%M} - ", start=start)

    @classmethod
    def web(cls) -> WhatsAppChat:
        def stamp(at: datetime) -> str:
            time = f"{at.hour % 12 or 12}:{at:%M:%S} {'AM' if at.hour < 12 else 'PM'}"
            return f"[{at.month}/{at.day}/{at:%y}, {time}] "

        chat = cls(stamp, system="{stamp}- {text}")
        return chat.line("Messages and calls are end-to-end encrypted.")

    def line(self, text: str) -> WhatsAppChat:
        self.lines.append(text)
        return self

    def says(self, name: str, text: str, at: datetime | None = None) -> WhatsAppChat:
        return self.line(f"{self._next(at)}{name}: {text}")

    def by_app(self, name: str, text: str, at: datetime | None = None) -> WhatsAppChat:
        """Add a message by an iPhone itself, with a person as the sender."""
        return self.says(name, f"{LRM}{text}", at)

    def system(
        self, text: str, name: str = "", at: datetime | None = None
    ) -> WhatsAppChat:
        """Add a notice. On iPhones it has a sender."""
        stamp = self._next(at)
        return self.line(self._system.format(stamp=stamp, name=name, text=text))

    def text(self) -> str:
        return "".join(f"{line}{self.end}" for line in self.lines)

    def to_file(self, path: Path, encoding: str = "utf-8") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.text().encode(encoding, "surrogatepass"))
        return path

    def to_zip(self, path: Path, name: str = "_chat.txt", **others: str) -> Path:
        """Write a zip with the chat and other text files."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, self.text())
            for other, text in others.items():
                archive.writestr(other, text)
        return path

    def _next(self, at: datetime | None) -> str:
        if at is not None:
            self.now = at
        stamp = self.stamp(self.now)
        self.now += _MINUTE
        return stamp


def write_pair_chat(path: Path, *people: str, first: int = 0) -> Path:
    """Write a one-to-one chat, with the two people's names on this phone."""
    chat = WhatsAppChat.android()
    for minute in range(first, 30):
        chat.now = START + minute * _MINUTE
        chat.says(people[minute % 2], f"This is message number {minute}.")
    return chat.to_file(path)
