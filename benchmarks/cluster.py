"""The cost of many exports on a cluster.

```
python benchmarks/cluster.py --messages 5000000 --cores 2 --price 0.05
```

Generates Messenger zips (of 100,000 messages, or `--export`), reads a tenth of them
with Ray Data on this machine, the whole, and the tenth again, predicts the whole from
the tenth, and compares: the time on the clock, which only says something on free cores,
and the CPU time. Then it measures what a task costs that has almost nothing to read,
and what one giant conversation takes, and says what 500 million messages would: core
hours, money (`--price` is for a core and hour), disk and memory. CPU time and memory
are those of all processes of Ray together. POSIX only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import threading
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from langchain_chatexports.chat_loaders.recognition import open_export
from langchain_chatexports.cluster import JsonLines, add_counts, read_examples
from langchain_chatexports.datasets.examples import to_training_examples
from langchain_chatexports.steps import ChunkSessions, MapAIMessages, MergeChatRuns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

STEPS = MergeChatRuns() | MapAIMessages() | ChunkSessions(size=8, overlap=2)
TARGET = 500_000_000
_THREAD = 1_000
_FILE = 10_000  # As many messages as Meta puts into one.
_START = 1_500_000_000_000
_SMALL_EXPORTS, _SMALL_EXPORT = 500, 100
_GIANTS = (100_000, 400_000)


class Run(NamedTuple):
    """What one run took.

    Attributes:
        messages: Messages that were read.
        seconds: Wall time.
        cpu: Seconds of CPU time, of all processes.
        mb: Peak of the memory of all processes, what they share counted once.
        worker_mb: Peak of that of the largest process.
        written: Bytes of JSON lines.
    """

    messages: int
    seconds: float
    cpu: float
    mb: float
    worker_mb: float
    written: int


class Meter(threading.Thread):
    """Adds up CPU time and memory of this process and all below it."""

    def __init__(self) -> None:
        """Know nothing yet."""
        super().__init__(daemon=True)
        self.mb = self.worker_mb = 0.0
        self._seen: dict[int, tuple[float, float]] = {}
        self._is_over = threading.Event()

    @property
    def cpu(self) -> float:
        """Seconds since the first look."""
        return sum(last - first for first, last in self._seen.values())

    def __enter__(self) -> Self:
        """Begin."""
        self._look(is_first=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look for the last time."""
        self._is_over.set()
        self.join()
        self._look()

    def run(self) -> None:
        """Look again and again."""
        while not self._is_over.wait(0.5):
            self._look()

    def _look(self, *, is_first: bool = False) -> None:
        used = 0
        this = psutil.Process()
        for process in (this, *this.children(recursive=True)):
            with suppress(psutil.Error):  # It has ended.
                times = process.cpu_times()
                cpu = times.user + times.system
                first, _ = self._seen.get(process.pid, (cpu if is_first else 0.0, 0))
                self._seen[process.pid] = first, cpu
                memory = process.memory_full_info()
                used += getattr(memory, "pss", memory.uss)
                self.worker_mb = max(self.worker_mb, memory.uss / 1e6)
        self.mb = max(self.mb, used / 1e6)


def make_export(folder: Path, size: int, thread: int, number: int) -> Path:
    """Write an invented export of Messenger as a zip.

    Args:
        folder: Where it goes.
        size: How many messages it has.
        thread: How many of them a conversation has.
        number: Another number gives another export.
    """
    dice = random.Random(number)
    words = ["".join(dice.choices("abcdefghijklmnop", k=5)) for _ in range(3_000)]
    path = folder / f"export-{size}-{number}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for at in range(size // thread):
            people = [f"Friend {at}", f"Owner {number}"]
            messages = [
                {
                    "sender_name": dice.choice(people),
                    "timestamp_ms": _START + 60_000 * minute,
                    "content": " ".join(dice.choices(words, k=dice.randint(1, 15))),
                }
                for minute in reversed(range(thread))
            ]
            place = f"your_facebook_activity/messages/inbox/friend_{at}"
            for file, begin in enumerate(range(0, thread, _FILE), start=1):
                document = {
                    "participants": [{"name": name} for name in people],
                    "messages": messages[begin : begin + _FILE],
                    "title": people[0],
                    "thread_path": f"inbox/friend_{at}",
                }
                archive.writestr(f"{place}/message_{file}.json", json.dumps(document))
    return path


def run(paths: list[Path], folder: Path, tasks: int | None = None) -> Run:
    """Make examples of exports with Ray, and count."""
    begin = time.perf_counter()
    with Meter() as meter:
        examples = read_examples(paths, STEPS, tasks=tasks, counts=folder / "counts")
        examples.write_datasink(JsonLines(str(folder / "out")))
        seconds = time.perf_counter() - begin
    counts = add_counts(folder / "counts")
    if counts.summary is None or counts.failed:
        msg = f"Some exports could not be read:\n{counts}"
        raise RuntimeError(msg)
    written = sum(file.stat().st_size for file in (folder / "out").iterdir())
    found = counts.summary.found
    return Run(found, seconds, meter.cpu, meter.mb, meter.worker_mb, written)


def giant(folder: Path) -> float:
    """Return the bytes a message of one giant conversation takes in a process."""
    peaks = []
    for size in _GIANTS:
        path = make_export(folder, size, size, 0)
        with get_context("spawn").Pool(1) as pool:
            peaks.append(pool.apply(_peak, (path,)))
    return (peaks[1] - peaks[0]) / (_GIANTS[1] - _GIANTS[0])


def _peak(path: Path) -> int:
    for _ in to_training_examples(open_export(path).loader | STEPS):
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


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
            make = partial(make_export, folder, options.export, _THREAD)
            paths = list(pool.map(make, range(count)))
            make = partial(make_export, folder, _SMALL_EXPORT, _SMALL_EXPORT)
            small_paths = list(pool.map(make, range(_SMALL_EXPORTS)))
        size = sum(path.stat().st_size for path in paths)
        # Workers start, and import, before the clock does.
        run(paths[: options.cores], folder / "warm")
        some = paths[: max(2 * options.cores, count // 10)]
        before = run(some, folder / "before")
        whole = run(paths, folder / "whole")
        after = run(some, folder / "after")
        tiny = run(small_paths, folder / "tiny")
        shared = run(small_paths, folder / "shared", tasks=10)
        ray.shutdown()
        report([before, whole, after], size, options.cores, options.price)
        report_limits(whole, tiny, shared, giant(folder))


def report(runs: Sequence[Run], size: int, cores: int, price: float) -> None:
    """Print the comparison of tenth, whole and tenth, and what it means."""
    before, whole, after = runs
    print(f"{cores} cores, {size / 1e6:,.0f} MB of zips, {whole.messages:,} messages")
    print(
        "| messages | s | messages a second and core | CPU µs | MB written | MB peak |"
    )
    print("|---:|---:|---:|---:|---:|---:|")
    for each in runs:
        rate = each.messages / each.seconds / cores
        print(
            f"| {each.messages:,} | {each.seconds:.1f} | {rate:,.0f} "
            f"| {each.cpu / each.messages * 1e6:.0f} "
            f"| {each.written / 1e6:,.0f} | {each.mb:,.0f} |"
        )
    share = whole.messages / (before.messages + after.messages)
    seconds = (before.seconds + after.seconds) * share
    cpu = (before.cpu + after.cpu) * share
    print(f"predicted {seconds:.1f} s, CPU {cpu:.1f} s", end="; ")
    print(f"measured / predicted: {whole.seconds / seconds:.2f}", end=", ")
    print(f"CPU {whole.cpu / cpu:.2f}")
    scale = TARGET / whole.messages
    hours = whole.cpu * scale / 3600
    print(
        f"{TARGET:,} messages: {hours:.1f} core hours of CPU time, {hours * price:.2f} "
        f"at {price} a core and hour; {whole.seconds * cores * scale / 3600:.1f} on "
        f"the clock; {size * scale / 1e9:,.0f} GB read, "
        f"{whole.written * scale / 1e9:,.0f} GB written"
    )
    rate = (size + whole.written) / whole.cpu / 1e6
    print(f"disk: {rate:.1f} MB for each second of CPU time, read and written")


def report_limits(whole: Run, tiny: Run, shared: Run, giant_bytes: float) -> None:
    """Print what a task, a worker and a giant conversation take."""
    of_messages = whole.cpu / whole.messages * tiny.messages
    task = (tiny.cpu - of_messages) / _SMALL_EXPORTS
    print(f"a task: {task * 1000:.0f} ms of CPU time beside its messages")
    export = shared.cpu / _SMALL_EXPORTS * 1000
    print(f"an export of {_SMALL_EXPORT} messages in a shared task: {export:.1f} ms")
    print(f"a worker: {whole.worker_mb:,.0f} MB of memory")
    print(f"a giant conversation: {giant_bytes / 1000:.1f} kB of memory a message")


if __name__ == "__main__":
    main()
