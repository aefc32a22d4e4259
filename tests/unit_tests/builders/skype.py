"""Skype's `messages.json`.

```python
write_export(path, chat("8:ben", says("8:ben", "Hi"), says(ANN, "Hello", 60)))
```
"""

import json
from pathlib import Path
from typing import Any

ANN, BEN = "8:live:ann", "8:ben"
NOON = 1_620_123_600_000


def says(
    mri: Any, content: Any, at: float = 0, type_: str = "RichText", **keys: Any
) -> dict[str, Any]:
    """A message, `at` seconds after 10:20 on 4 May 2021."""
    seconds = f"{at:06.3f}"
    minutes, rest = divmod(float(seconds), 60)
    name = {"8:live:ann": "Ann", "8:ben": "Ben"}.get(str(mri))
    return {
        "id": f"{NOON + round(at * 1000)}",
        "displayName": name,
        "originalarrivaltime": f"2021-05-04T10:{20 + int(minutes):02}:{rest:06.3f}Z",
        "messagetype": type_,
        "content": content,
        "from": mri,
        "properties": None,
    } | keys


def chat(id_: str, *messages: Any, name: Any = None, **keys: Any) -> dict[str, Any]:
    """A conversation; its messages are listed in reverse."""
    newest_first = list(messages)[::-1]
    return {"id": id_, "displayName": name, "MessageList": newest_first, **keys}


def write_export(path: Path, *chats: Any, owner: str = ANN) -> Path:
    """Write an export."""
    content = {
        "userId": owner,
        "exportDate": "2025-04-30T10:00",
        "conversations": chats,
    }
    path.write_text(json.dumps(content))
    return path
