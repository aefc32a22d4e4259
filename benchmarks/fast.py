"""Speed of fast functions, compared with plain ones.

Run `python -m benchmarks.fast` from the repository's root (seconds). Times are CPU time
of one process, the best of five rounds. Measured 2026-11-21 on two shared cores, Python
3.11: messages are five times as fast, times four, copies three, lines two.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, HumanMessage

from langchain_chatexports._fast.messages import (
    copy_with_changes,
    create_ai_message,
    create_human_message,
)
from langchain_chatexports._fast.strings import format_iso_time
from langchain_chatexports.datasets.jsonl import json_line

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMES = 50_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXTRA: dict[str, Any] = {
    "message_time": 1_693_182_723,
    "sender": "Hare",
    "is_from_me": False,
    "events": [{"message_time": "2023-08-28T00:32:03+00:00"}],
}
_EXAMPLE = {
    "messages": [
        {"role": role, "content": "Slow and steady wins the race."}
        for role in ("user", "assistant") * 4
    ]
}


def main() -> None:
    """Print the table."""
    message = create_human_message("Ready?", _EXTRA, "1")
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    human: dict[str, Any] = {"content": "Ready?", "additional_kwargs": _EXTRA}
    changes: dict[str, Any] = {"content": "Go!", "additional_kwargs": _EXTRA}
    microseconds = 1_693_182_723_250_000

    def format_datetime() -> str:
        return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()

    print("microseconds: fast, plain, ratio")
    rows: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        (
            "HumanMessage",
            partial(create_human_message, "Ready?", _EXTRA, "1"),
            partial(HumanMessage, **human, id="1"),
        ),
        (
            "AIMessage",
            partial(create_ai_message, "Ready?", _EXTRA, message_id="1", name=None),
            partial(AIMessage, **human, response_metadata={}, id="1", name=None),
        ),
        (
            "changed copy",
            partial(copy_with_changes, message, changes),
            partial(message.model_copy, update=changes),
        ),
        ("ISO time", partial(format_iso_time, microseconds), format_datetime),
        (
            "JSON line of eight messages",
            partial(json_line, _EXAMPLE),
            lambda: encode(_EXAMPLE).encode(),
        ),
    ]
    for name, fast, plain in rows:
        first, second = _microseconds(fast), _microseconds(plain)
        print(f"{first:>8.2f}{second:>8.2f}{second / first:>8.1f}  {name}")


def _microseconds(call: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(5):
        begin = time.process_time()
        for _ in range(_TIMES):
            call()
        best = min(best, time.process_time() - begin)
    return 1e6 * best / _TIMES


if __name__ == "__main__":
    main()
