"""The cost of writing a set, splitting it, and removing a person from it.

```
python benchmarks/sets.py --messages 100000
```

On 2026-11-20 (Python 3.11, AMD EPYC, two shared cores), 100,000 messages in 16,000
windows of 8: CPU time, loading and steps included, and peak memory so far:

| | µs a message | MB |
|---|---:|---:|
| sessions and steps alone | 13.6 | 63 |
| `write_jsonl`, no trace | 17.1 | 63 |
| `write_dataset`, `openai`, with trace and card | 22.6 | 65 |
| `write_dataset`, `trl-prompt-completion` | 31.3 | 65 |
| `write_dataset`, `parquet` | 37.2 | 180 |
| `deduplicate_examples` | 23.5 | |
| `split_examples` | 31.4 | 313 |
| `forget` of one person in fifty | 5.1 | |

Writers and exact copies are read and written in one stream; a split holds all examples.
Parquet was measured with pyarrow, which DuckDB replaces.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.chat_loaders import BaseChatLoader

from langchain_chatexports.chat_loaders.conversation import human_message
from langchain_chatexports.chat_loaders.messages import Message
from langchain_chatexports.datasets import (
    deduplicate_examples,
    forget,
    split_examples,
    to_training_examples,
    trace_examples,
    write_dataset,
    write_jsonl,
)
from langchain_chatexports.steps import ChunkSessions, MapAIMessages, MergeChatRuns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langchain_core.chat_sessions import ChatSession

_PEOPLE = 50
_THREAD = 100
_START = 1_600_000_000


class InventedChats(BaseChatLoader):
    """Threads of a hundred messages of ten invented words."""

    def __init__(self, messages: int) -> None:
        self.messages = messages

    def lazy_load(self) -> Iterator[ChatSession]:
        """Yield the threads."""
        dice = random.Random(1)
        words = ["".join(dice.choices("abcdefghijklmnop", k=5)) for _ in range(5_000)]
        for number in range(self.messages // _THREAD):
            other = f"Person {number % _PEOPLE}"
            yield {
                "messages": [
                    human_message(
                        Message(
                            (_START + number * 90_000 + 60 * index) * 1_000_000,
                            ("Me", other)[index % 2],
                            " ".join(dice.choices(words, k=10)),
                            id=f"{number}-{index}",
                        ),
                        ("Me", other)[index % 2],
                        is_from_me=index % 2 == 0,
                    )
                    for index in range(_THREAD)
                ],
                "metadata": {  # type: ignore[typeddict-unknown-key] # ours
                    "id": f"chat-{number}",
                    "participants": ["Me", other],
                    "is_group": False,
                },
            }


def main() -> None:
    """Measure each in turn and print a line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=100_000)
    messages = parser.parse_args().messages
    steps = MergeChatRuns() | MapAIMessages() | ChunkSessions()
    sessions = InventedChats(messages) | steps

    def measure(name: str, run: Callable[[], object]) -> None:
        before = time.process_time()
        run()
        cost = (time.process_time() - before) / messages * 1e6
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name:36} {cost:7.1f} us/message  {peak:6.0f} MB", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        measure("sessions and steps", lambda: _drain(sessions.lazy_load()))
        measure(
            "write_jsonl",
            lambda: write_jsonl(to_training_examples(sessions), place / "plain"),
        )
        for name in ("openai", "trl-prompt-completion", "parquet"):
            measure(
                f"write_dataset {name}",
                lambda name=name: write_dataset(
                    trace_examples(sessions), place / name, format=name
                ),
            )
        measure(
            "deduplicate_examples",
            lambda: _drain(deduplicate_examples(trace_examples(sessions))),
        )
        measure("split_examples", lambda: split_examples(trace_examples(sessions)))
        measure("forget", lambda: forget(place / "openai", people=["Person 3"]))


def _drain(items: Iterator[object]) -> None:
    for item in items:
        del item


if __name__ == "__main__":
    main()
