"""What would many exports cost on a cluster?

```
python benchmarks/cluster.py --messages 5000000 --cores 2 --price 0.05
```

Generates Messenger zips (of 100,000 messages, or `--export`), reads a tenth of them
with Ray Data on this machine, predicts the whole from that, reads the whole, and
compares. Then it says what 500 million messages would take. The price is for one core
and hour.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from langchain_chatexports.cluster import JsonLines, add_counts, read_examples
from langchain_chatexports.steps import ChunkSessions, MapAIMessages, MergeChatRuns

_THREAD = 1_000
_START = 1_500_000_000_000
_TARGET = 500_000_000


class Run(NamedTuple):
    """What one run took.

    Attributes:
        messages: Messages that were read.
        seconds: Wall time.
        written: Bytes of JSON lines.
    """

    messages: int
    seconds: float
    written: int


def make_export(folder: Path, size: int, number: int) -> Path:
    """Write an invented export of Messenger, of so many messages, as a zip."""
    dice = random.Random(number)
    words = ["".join(dice.choices("abcdefghijklmnop", k=5)) for _ in range(3_000)]
    path = folder / f"export-{number}.zip"
    owner = f"Owner {number}"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for thread in range(size // _THREAD):
            people = [f"Friend {thread}", owner]
            messages = [
                {
                    "sender_name": dice.choice(people),
                    "timestamp_ms": _START + 60_000 * at,
                    "content": " ".join(dice.choices(words, k=dice.randint(1, 15))),
                }
                for at in range(_THREAD)
            ]
            document = {
                "participants": [{"name": name} for name in people],
                "messages": messages[::-1],
                "title": people[0],
                "thread_path": f"inbox/friend_{thread}",
            }
            place = f"your_facebook_activity/messages/inbox/friend_{thread}"
            archive.writestr(f"{place}/message_1.json", json.dumps(document))
    return path


def run(paths: list[Path], folder: Path) -> Run:
    """Make examples of exports with Ray, and count."""
    steps = MergeChatRuns() | MapAIMessages() | ChunkSessions(size=8, overlap=2)
    begin = time.perf_counter()
    examples = read_examples(paths, steps, counts=folder / "counts")
    examples.write_datasink(JsonLines(str(folder / "out")))
    seconds = time.perf_counter() - begin
    summary = add_counts(folder / "counts").summary
    written = sum(file.stat().st_size for file in (folder / "out").iterdir())
    return Run(summary.found if summary else 0, seconds, written)


def main() -> None:
    """Measure, predict, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--export", type=int, default=100_000, help="messages in each")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--price", type=float, default=0.05, help="a core and hour")
    options = parser.parse_args()

    import ray

    root = Path(__file__).resolve().parents[1]
    ray.init(
        num_cpus=options.cores,
        include_dashboard=False,
        object_store_memory=500 * 2**20,
        runtime_env={"env_vars": {"PYTHONPATH": str(root)}},
        log_to_driver=False,
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    count = max(10, options.messages // options.export)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ProcessPoolExecutor(options.cores) as pool:
            make = partial(make_export, folder, options.export)
            paths = list(pool.map(make, range(count)))
        size = sum(path.stat().st_size for path in paths)
        # Workers start, and import, before the clock does.
        run(paths[: options.cores], folder / "warm")
        some = max(2 * options.cores, count // 10)
        small = run(paths[:some], folder / "small")
        large = run(paths, folder / "large")
    ray.shutdown()
    report(small, large, size, options.cores, options.price)


def report(small: Run, large: Run, size: int, cores: int, price: float) -> None:
    """Print the comparison, and what it means for the target."""
    predicted = small.seconds * large.messages / small.messages
    print(f"{cores} cores, {size / 1e6:,.0f} MB of zips, {large.messages:,} messages")
    print("| messages | s | messages a second and core | MB of JSON lines |")
    print("|---:|---:|---:|---:|")
    for each in (small, large):
        rate = each.messages / each.seconds / cores
        print(
            f"| {each.messages:,} | {each.seconds:.1f} | {rate:,.0f} "
            f"| {each.written / 1e6:,.0f} |"
        )
    print(f"predicted from the small run: {predicted:.1f} s", end=", ")
    print(f"measured / predicted: {large.seconds / predicted:.2f}")
    hours = _TARGET / (large.messages / large.seconds / cores) / 3600
    scale = _TARGET / large.messages
    print(
        f"{_TARGET:,} messages: {hours:.1f} core hours, {hours * price:.2f} at "
        f"{price} a core and hour, {size * scale / 1e9:,.0f} GB read, "
        f"{large.written * scale / 1e9:,.0f} GB written"
    )


if __name__ == "__main__":
    main()
