"""Speed and memory of reading the export of each app.

```
python -m benchmarks.loaders compare exports
python -m benchmarks.loaders compare exports telegram discord --shapes 200000x1
python -m benchmarks.loaders generate imessage chat.db --messages 1000000
python -m benchmarks.loaders measure telegram exports/telegram-1000000x600 read inspect
```

`compare` generates clean exports (once; they stay in the folder), then reads each app's
in turns with Messenger's, each time in a process of its own, and prints the best round:
CPU time a message, as a ratio to Messenger's, peak memory, and CPU time to the first
session. `measure` runs single stages of one app.

CPU time is user and system time, without imports; memory includes them. The whole way
from export to examples, beside langchain-community's recipe, is what
`benchmarks.one_machine` measures; figures are in docs/scale.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from benchmarks.harness import ROOT, own_cost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REFERENCE = "facebook_messenger"
APPS = (_REFERENCE, "imessage", "whatsapp", "telegram", "discord", "slack")
_FIRST, _READ = "first session", "read"
# Many conversations, one, and a tenth of the first: memory must not grow with it.
_SHAPES = ("1000000x600", "1000000x1", "100000x60")


class App(Protocol):
    """What the benchmark of an app has."""

    STAGES: Mapping[str, tuple[str, str]]
    """By name: what is imported or made before the clock starts, and what is measured.

    Both find `path` and `sys`.
    """

    def generate(self, path: Path, messages: int, conversations: int) -> None:
        """Write a clean export, the same each time."""


class Figures(NamedTuple):
    """What a stage took, in seconds and MB."""

    cpu: float
    wall: float
    mb: float
    import_cpu: float
    import_mb: float


def app_named(name: str) -> App:
    """Return the benchmark of an app."""
    return cast("App", importlib.import_module(f"benchmarks.{name}"))


def measure(app: str, path: Path, stage: str) -> Figures:
    """Run a stage in a process of its own."""
    done = subprocess.run(  # noqa: S603 - our own file
        [sys.executable, "-m", "benchmarks.loaders", "run", app, str(path), stage],
        check=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    return Figures(*json.loads(done.stdout))


def run(app: str, path: Path, stage: str) -> None:
    """Run a stage in this process and print its figures."""
    setup, body = app_named(app).STAGES[stage]
    scope: dict[str, object] = {"path": str(path), "sys": sys}
    exec(setup, scope)  # noqa: S102 - our own code
    before, wall = own_cost(), time.perf_counter()
    exec(body, scope)  # noqa: S102 - our own code
    after, wall = own_cost(), time.perf_counter() - wall
    cpu = after.cpu - before.cpu
    print(json.dumps(Figures(cpu, wall, after.mb, before.cpu, before.mb)))


def compare(folder: Path, apps: Sequence[str], shape: str, rounds: int) -> None:
    """Read the exports of some apps in turns with Messenger's, and print a table.

    Args:
        folder: Where exports are, or will be.
        apps: Which apps.
        shape: Messages and conversations, such as `1000000x600`.
        rounds: How often each export is read.
    """
    messages, conversations = map(int, shape.split("x"))
    names = list(dict.fromkeys([_REFERENCE, *apps]))
    paths = {name: folder / f"{name}-{shape}" for name in names}
    for name, path in paths.items():
        if not path.exists():
            app_named(name).generate(path, messages, conversations)
    # The first session of one conversation is all of it.
    stages = (_FIRST, _READ) if conversations > 1 else (_READ,)
    found: dict[tuple[str, str], list[Figures]] = {}
    for number in range(1, rounds + 1):
        for name, path in paths.items():
            for stage in stages:
                figures = measure(name, path, stage)
                found.setdefault((name, stage), []).append(figures)
                print(f"{number} {name} {stage}: {figures.cpu:.2f} s", file=sys.stderr)
    best = {key: min(all_of_it) for key, all_of_it in found.items()}
    print(f"\n{messages} messages, {conversations} conversations, best of {rounds}\n")
    print("| Export | µs a message | ratio | MB | first session, s |")
    print("|---|---:|---:|---:|---:|")
    for name in names:
        read = best[name, _READ]
        ratio = read.cpu / best[_REFERENCE, _READ].cpu
        first = f"{best[name, _FIRST].cpu:.2f}" if _FIRST in stages else ""
        each = 1e6 * read.cpu / messages
        print(f"| {name} | {each:.1f} | {ratio:.2f} | {read.mb:.0f} | {first} |")


def print_stages(app: str, path: Path, stages: Sequence[str]) -> None:
    """Print what single stages cost."""
    print(f"{'':22}{'CPU s':>8}{'wall s':>8}{'MB':>7}   imports: CPU s, MB")
    for stage in stages or app_named(app).STAGES:
        found = measure(app, path, stage)
        print(
            f"{stage:22}{found.cpu:>8.2f}{found.wall:>8.2f}{found.mb:>7.0f}"
            f"   {found.import_cpu:.2f}, {found.import_mb:.0f}",
            flush=True,
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    comparing = commands.add_parser("compare")
    comparing.add_argument("folder", type=Path)
    comparing.add_argument("apps", nargs="*", metavar="APP", default=APPS)
    comparing.add_argument("--shapes", nargs="+", default=_SHAPES)
    comparing.add_argument("--rounds", type=int, default=3)
    generating, measuring, running = map(
        commands.add_parser, ("generate", "measure", "run")
    )
    for command in (generating, measuring, running):
        command.add_argument("app", choices=APPS)
        command.add_argument("path", type=Path)
    generating.add_argument("--messages", type=int, default=1_000_000)
    generating.add_argument("--conversations", type=int, default=600)
    measuring.add_argument("stages", nargs="*")
    running.add_argument("stage")
    given = parser.parse_args()
    if given.command == "compare":
        for shape in given.shapes:
            compare(given.folder, given.apps, shape, given.rounds)
    elif given.command == "generate":
        app_named(given.app).generate(given.path, given.messages, given.conversations)
    elif given.command == "measure":
        print_stages(given.app, given.path, given.stages)
    else:
        run(given.app, given.path, given.stage)


if __name__ == "__main__":
    main()
