"""Do two processes write a set in less time than one?

```
python -m benchmarks.workers /tmp/exports
python -m benchmarks.workers /tmp/exports --messages 100000 --workers 2 4
```

Generates clean exports (once; they stay in the folder), and runs `chatexports prepare`
in turns with one process and with several, which must write the same examples. Wall
times say something on free cores only; the CPU time of all processes together says
what the further ones cost. The peak is that of the largest.

Measured 2026-11-20 on two idle cores; the table is in docs/scale.md.
"""

from __future__ import annotations

import argparse
import os
import platform
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import facebook_messenger, imessage
from benchmarks.harness import Contender, median, turns
from benchmarks.recipes import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CONVERSATIONS = 600


def exports(folder: Path, messages: int) -> Iterator[tuple[Path, Sequence[str]]]:
    """Give each kind of export, with what `prepare` has to be told.

    Args:
        folder: Where they are, or go to.
        messages: How many messages each has.
    """
    database = folder / f"imessage-{messages}.db"
    if not database.exists():
        imessage.generate(database, messages, _CONVERSATIONS, indexes=True)
    yield database, ()
    export = folder / f"messenger-{messages}"
    if not export.exists():
        facebook_messenger.generate(export, messages, _CONVERSATIONS)
    yield export, ("--ai", OWNER)


def contender(path: Path, options: Sequence[str], workers: int) -> Contender:
    """Give the command with so many processes.

    Args:
        path: The export.
        options: What else to say.
        workers: How many processes.
    """
    output = path.parent / f"{path.name}.{workers}.jsonl"
    command = ("-m", "langchain_chatexports.cli", "prepare", str(path), *options)
    wanted = ("--workers", str(workers), "-o", str(output))
    return Contender(str(workers), (*command, *wanted), output)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[2])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    today = datetime.now(timezone.utc).date()
    print(
        f"{today}, CPython {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores, {given.messages:,} messages\n"
    )
    print("| Export | Processes | Wall s | CPU s | Wall of one / wall | Peak MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for path, options in exports(given.folder, given.messages):
        numbers = (1, *given.workers)
        costs = turns([contender(path, options, n) for n in numbers], given.rounds)
        one = median(costs["1"]).wall
        for name, rounds in costs.items():
            cost = median(rounds)
            print(
                f"| {path.name} | {name} | {cost.wall:.1f} | {cost.cpu:.1f} "
                f"| {one / cost.wall:.2f} | {cost.mb:.0f} |"
            )


if __name__ == "__main__":
    main()
