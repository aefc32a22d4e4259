"""Files in ChatLab's exchange format.

```python
write_json(path, says("ann", "Hi"), members=[member("ann", "Ann")])
```
"""

import json
from pathlib import Path
from typing import Any

NOON = 1_714_550_400


def says(sender: Any, content: Any, at: float = 0, type_: Any = 0, **keys: Any) -> Any:
    """A message, `at` seconds after noon."""
    message = {"sender": sender, "accountName": str(sender).title(), "type": type_}
    return message | {"timestamp": NOON + at, "content": content} | keys


def member(id_: str, name: str, **keys: Any) -> dict[str, Any]:
    """A member of the chat."""
    return {"platformId": id_, "accountName": name, **keys}


def head(**meta: Any) -> dict[str, Any]:
    """The keys before the messages."""
    about = {"version": "0.0.2", "exportedAt": NOON, "generator": "WeFlow"}
    meta = {"name": "Ben", "platform": "wechat", "type": "private"} | meta
    return {"chatlab": about, "meta": meta}


def write_json(
    path: Path, *messages: Any, members: Any = (), order: int = 1, **meta: Any
) -> Path:
    """Write a JSON file; with `order=-1`, the keys are in reverse order."""
    content = {**head(**meta), "members": list(members), "messages": list(messages)}
    items = list(content.items())[::order]
    path.write_text(json.dumps(dict(items), ensure_ascii=False), encoding="utf-8")
    return path


def write_lines(path: Path, *lines: Any, end: str = "\n", **meta: Any) -> Path:
    """Write JSON lines; strings are written as they are."""
    rows: list[Any] = [{"_type": "header", **head(**meta)}]
    rows += [
        {"_type": "message", **line} if "type" in line and "timestamp" in line else line
        for line in lines
    ]
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(text + end for text in texts), newline="")
    return path
