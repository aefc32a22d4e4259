"""Backups of SMS Backup & Restore.

```python
path.write_bytes(backup(sms("Hi"), mms(text("Look"), photo(), box=1)))
```
"""

from typing import Any
from xml.sax.saxutils import quoteattr

HARE = "+15550000001"
OWN = "+15550000009"
NOON = 1_721_556_000_000
HEAD = "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n"


def element(name: str, attributes: dict[str, Any], content: str = "") -> str:
    """An element; a value that begins with a quotation mark is not escaped."""
    values = (f" {key}={_quote(str(value))}" for key, value in attributes.items())
    start = f"<{name}{''.join(values)}"
    return f"{start}>{content}</{name}>\n" if content else f"{start} />\n"


def _quote(value: str) -> str:
    return value if value.startswith(('"', "'")) else quoteattr(value)


def sms(body: str = "Hi", type: int = 1, at: int = 0, **attributes: Any) -> str:
    """An SMS, `at` milliseconds after noon."""
    keys = {"protocol": 0, "address": HARE, "date": NOON + at, "type": type}
    keys |= {"subject": "null", "body": body, "date_sent": 0, "contact_name": "Hare"}
    return element("sms", keys | attributes)


def part(ct: str, **attributes: Any) -> str:
    """A part of an MMS."""
    keys = {"seq": 0, "ct": ct, "name": "null", "cl": "null", "text": "null"}
    return element("part", keys | attributes)


def text(content: str) -> str:
    """A part with text."""
    return part("text/plain", text=content)


def photo(data: str = "QUJD" * 25, **attributes: Any) -> str:
    """A part with a picture."""
    return part("image/jpeg", data=data, **attributes)


SMIL = part("application/smil", seq=-1, text="<smil><body/></smil>")


def mms(
    *parts: str,
    box: int = 1,
    at: int = 0,
    sender: str = "",
    to: tuple[str, ...] = (),
    **attributes: Any,
) -> str:
    """An MMS with `addr` elements if there is a sender or recipients."""
    keys = {"date": NOON + at, "msg_box": box, "address": HARE, "m_type": 132}
    keys |= {"sub": "null", "contact_name": "Hare", "date_sent": NOON // 1000}
    addresses = [element("addr", {"address": n, "type": 151}) for n in to]
    if sender:
        addresses.insert(0, element("addr", {"address": sender, "type": 137}))
    content = f"<parts>{''.join(parts)}</parts>\n"
    if addresses:
        content += f"<addrs>{''.join(addresses)}</addrs>\n"
    return element("mms", keys | attributes, content)


def backup(*elements: str, head: str = HEAD, count: int | None = None) -> bytes:
    """A backup file."""
    number = len(elements) if count is None else count
    return f'{head}<smses count="{number}">\n{"".join(elements)}</smses>'.encode()
