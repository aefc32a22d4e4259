"""Mail as mbox.

```python
path.write_bytes(mbox(mail("Hi", to="ben@b.example"), mail("Hello", sender=BEN)))
```
"""

from pathlib import Path
from typing import Any

from langchain_chatexports import EmailChatLoader

ANN, BEN = "Ann <ann@a.example>", "Ben <ben@b.example>"
_SEPARATOR = "From 1753412345678901234@xxx Mon Jan 01 10:00:00 +0000 2024"


def mail(
    body: str | bytes = "Hi",
    id_: str = "1",
    sender: str = ANN,
    to: str = BEN,
    at: int = 0,
    **headers: Any,
) -> bytes:
    """A message, `at` minutes after 10:00; `X_GM_THRID="1"` adds a header."""
    keys = {"From": sender, "To": to, "Subject": "Tea", "Message-ID": f"<{id_}@m>"}
    keys["Date"] = f"Mon, 1 Jan 2024 {10 + at // 60:02}:{at % 60:02}:00 +0000"
    keys |= {key.replace("_", "-"): value for key, value in headers.items()}
    lines = [f"{key}: {value}" for key, value in keys.items() if value is not None]
    content = body.encode() if isinstance(body, str) else body
    return "\n".join(lines).encode() + b"\n\n" + content + b"\n"


def multipart(*parts: tuple[str, str], kind: str = "mixed") -> dict[str, Any]:
    """The arguments for a message with parts, each of headers and a body."""
    body = "".join(f"--xyz\n{head}\n\n{content}\n" for head, content in parts)
    content_type = f'multipart/{kind}; boundary="xyz"'
    return {"body": f"{body}--xyz--\n", "Content_Type": content_type}


def mbox(*mails: bytes, separator: str = _SEPARATOR, end: bytes = b"\n") -> bytes:
    """An mbox file."""
    parts = (separator.encode() + b"\n" + content + b"\n" for content in mails)
    return b"".join(parts).replace(b"\n", end)


def write(
    folder: Path, *mails: bytes, name: str = "Inbox.mbox", **options: Any
) -> Path:
    """Write an mbox file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(mbox(*mails, **options))
    return path


def texts(path: Path, **options: Any) -> list[str]:
    """The texts of all messages."""
    sessions = EmailChatLoader(path, **options).load()
    return [str(m.content) for session in sessions for m in session["messages"]]
