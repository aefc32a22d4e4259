"""Speed and quality of the search index.

```
python -m benchmarks.retrieval speed --messages 1000000
python -m benchmarks.retrieval quality ARCHIVE [--stream maths]
```

`speed` indexes invented chats (600 conversations, words by Zipf's law) in a file and
prints CPU seconds, size, memory and milliseconds of CPU per question.

`quality` reads a Zulip archive with one JSON file per topic, such as
github.com/leanprover-community/archive, and prints mean reciprocal ranks of topics: for
a held-out message of the topic, and for its name, which is not in the index. It prints
no text. Figures are in docs/retrieval.md.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.messages import HumanMessage

from langchain_chatexports.retrieval import ChatIndex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.chat_sessions import ChatSession

_CHATS = 600
_VOCABULARY = 50_000
_BEGIN = 1_500_000_000
_QUESTIONS = 50
_MIN_POSTS = 6
_POOL = 100


class InventedChats(BaseChatLoader):
    """Chats with words by Zipf's law, in bursts, the same in each run."""

    def __init__(self, messages: int) -> None:
        self.each = messages // _CHATS

    def lazy_load(self) -> Iterator[ChatSession]:
        """Create the sessions one by one."""
        for number in range(_CHATS):
            rng = random.Random(number)
            moment = _BEGIN
            messages = []
            for row in range(self.each):
                # A burst has about ten messages, and the next burst is hours later.
                moment += rng.randrange(60) if row % 10 else rng.randrange(3600, 86_400)
                extra = {"sender": f"p{number}" if rng.random() > 0.5 else "me"}  # noqa: PLR2004 - a half
                messages.append(
                    HumanMessage(
                        " ".join(words(rng, rng.randint(2, 16))),
                        id=f"{number:08x}-{row:027x}",
                        additional_kwargs={**extra, "message_time": moment},
                    )
                )
            metadata = {"id": f"c{number}", "platform": "invented"}
            session: Any = {"messages": messages, "metadata": metadata}
            yield session


def words(rng: random.Random, count: int) -> list[str]:
    """Draw words; the first words of the vocabulary are the most frequent."""
    ranks = (int(_VOCABULARY ** rng.random()) for _ in range(count))
    return [f"w{rank}" for rank in ranks]


def measure_speed(messages: int) -> None:
    """Index invented chats and print the costs."""
    loader = InventedChats(messages)
    with timed("create the messages without indexing"):
        for _ in loader.lazy_load():
            pass
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.sqlite"
        with ChatIndex(path) as index:
            with timed("create the messages and index them"):
                index.rebuild(loader)
            size = path.stat().st_size / 1e6
            print(f"{size:.0f} MB, {1e6 * size / messages:.0f} bytes per message")
            with timed("create the messages and index them again"):
                index.rebuild(loader)
            rng = random.Random(1)
            for count in (1, 4, 12):
                questions = [" ".join(words(rng, count)) for _ in range(_QUESTIONS)]
                print_search(index, f"{count} words", questions)
            print_search(index, "4 words of a person", questions, person="p1")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory {peak / (1e6 if sys.platform == 'darwin' else 1e3):.0f} MB")


def print_search(
    index: ChatIndex, name: str, questions: Sequence[str], **filters: str
) -> None:
    """Print the milliseconds of CPU per question."""
    index.search(questions[0])
    times = []
    for question in questions:
        begin = time.process_time()
        index.search(question, **filters)  # type: ignore[arg-type] # names only
        times.append(1000 * (time.process_time() - begin))
    times.sort()
    print(
        f"{name}: median {statistics.median(times):.1f} ms, "
        f"95th percentile {times[int(0.95 * len(times))]:.1f} ms"
    )


@contextmanager
def timed(label: str) -> Iterator[None]:
    """Print the CPU seconds of a block."""
    begin = time.process_time()
    yield
    print(f"{label}: {time.process_time() - begin:.1f} s of CPU", flush=True)


class Topic(NamedTuple):
    """A topic with its messages."""

    name: str
    rows: list[tuple[str, int, str]]


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self.parts.append(data)


def read_topics(archive: Path, stream: str) -> Iterator[Topic]:
    """Read the topics with enough messages from an archive."""
    for path in sorted(archive.glob(f"**/*{stream}/*.json")):
        rows = []
        for post in json.loads(path.read_bytes()):
            parser = _Text()
            parser.feed(post["content"])
            text = "".join(parser.parts).strip()
            if text:
                rows.append((post["sender_full_name"], post["timestamp"], text))
        if len(rows) >= _MIN_POSTS:
            yield Topic(unquote(path.stem.replace(".", "%")), rows)


def measure_quality(archive: Path, stream: str, topics: int, questions: int) -> None:
    """Index topics without a held-out message each, and print their ranks."""
    rng = random.Random(1)
    found = [*read_topics(archive, stream)]
    rng.shuffle(found)
    chosen = found[:topics]
    held_out = [topic.rows.pop(rng.randrange(1, len(topic.rows))) for topic in chosen]
    index = ChatIndex()
    with timed(f"{len(chosen)} topics, {sum(len(t.rows) for t in chosen)} messages"):
        index.rebuild(_session(*numbered) for numbered in enumerate(chosen))
    queries = {
        "held-out message": [row[2] for row in held_out[:questions]],
        "name of the topic": [topic.name for topic in chosen[:questions]],
    }
    for name, texts in queries.items():
        print(f"{name}: {mean_reciprocal_rank(index, texts):.3f}", flush=True)


def _session(number: int, topic: Topic) -> Any:
    messages = [
        HumanMessage(text, additional_kwargs={"sender": name, "message_time": moment})
        for name, moment, text in topic.rows
    ]
    metadata = {"id": str(number), "platform": "zulip"}
    return {"messages": messages, "metadata": metadata}


def mean_reciprocal_rank(index: ChatIndex, questions: Sequence[str]) -> float:
    """Return the mean of 1 / rank of each question's topic, or 0 if not found."""
    total = 0.0
    for number, question in enumerate(questions):
        hits = index.search(question, k=_POOL)
        found = (int(hit.document.metadata["session_id"]) for hit in hits)
        order = [*dict.fromkeys(found)]
        total += 1 / (order.index(number) + 1) if number in order else 0
    return total / len(questions)


def main() -> None:
    """Run a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    speed = commands.add_parser("speed")
    speed.add_argument("--messages", type=int, default=100_000)
    quality = commands.add_parser("quality")
    quality.add_argument("archive", type=Path)
    quality.add_argument("--stream", default="")
    quality.add_argument("--topics", type=int, default=3000)
    quality.add_argument("--questions", type=int, default=500)
    given = parser.parse_args()
    if given.command == "speed":
        measure_speed(given.messages)
    else:
        measure_quality(given.archive, given.stream, given.topics, given.questions)


if __name__ == "__main__":
    main()
