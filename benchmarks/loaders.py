"""Speed and memory of the loader of each app.

```
python -m benchmarks.loaders compare exports
python -m benchmarks.loaders compare exports telegram discord --shapes 200000x1
python -m benchmarks.loaders generate imessage chat.db --messages 1000000
python -m benchmarks.loaders measure telegram exports/telegram-1000000x600 read inspect
```

`compare` generates clean exports (once; they stay in the folder), then loads each app's
export and Messenger's in turn, each time in a new process, and prints the best round:
CPU time per message, its ratio to Messenger's, peak memory, and CPU time to the first
session. `measure` runs single stages of one app.

CPU time is user and system time, without imports; memory includes them.
`benchmarks.one_machine` measures the whole pipeline from export to examples, and
compares it with langchain-community's; figures are in docs/scale.md.
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

from benchmarks.harness import ROOT, process_cost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REFERENCE = "facebook_messenger"
_OWN_MODULE = (_REFERENCE, "imessage", "whatsapp", "telegram", "discord", "slack")
_MORE = ("sms", "chatlab", "kakaotalk", "line", "skype", "mail")
APPS = (*_OWN_MODULE, *_MORE)
_FIRST, _READ = "first session", "read"
# Many conversations, one conversation, and a tenth of the first: memory must not grow.
_SHAPES = ("1000000x600", "1000000x1", "100000x60")


class App(Protocol):
    """The module of an app's benchmark."""

    STAGES: Mapping[str, tuple[str, str]]
    """Set-up code, which is not measured, and measured code, by stage.

    Both can use `path` and `sys`.
    """

    def generate(self, path: Path, messages: int, conversations: int) -> None:
        """Write a clean export, the same in each run."""


class Figures(NamedTuple):
    """The costs of a stage, in seconds and MB."""

    cpu: float
    wall: float
    mb: float
    import_cpu: float
    import_mb: float


def load_app(name: str) -> App:
    """Import the benchmark of an app."""
    if name in _MORE:
        apps = importlib.import_module("benchmarks.more_apps").APPS
        return cast("App", apps[name])
    return cast("App", importlib.import_module(f"benchmarks.{name}"))


def measure(app: str, path: Path, stage: str) -> Figures:
    """Run a stage in a new process."""
    done = subprocess.run(  # noqa: S603 - our own file
        [sys.executable, "-m", "benchmarks.loaders", "run", app, str(path), stage],
        check=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    return Figures(*json.loads(done.stdout))


def run(app: str, path: Path, stage: str) -> None:
    """Run a stage in this process, and print its costs."""
    setup, body = load_app(app).STAGES[stage]
    scope: dict[str, object] = {"path": str(path), "sys": sys}
    exec(setup, scope)  # noqa: S102 - trusted code
    before, wall = process_cost(), time.perf_counter()
    exec(body, scope)  # noqa: S102 - trusted code
    after, wall = process_cost(), time.perf_counter() - wall
    cpu = after.cpu - before.cpu
    print(json.dumps(Figures(cpu, wall, after.mb, before.cpu, before.mb)))


def compare(folder: Path, apps: Sequence[str], shape: str, rounds: int) -> None:
    """Load the exports of apps and Messenger's in turn, and print a table.

    Args:
        folder: The folder of the exports.
        apps: The apps to compare.
        shape: Numbers of messages and conversations, such as `1000000x600`.
        rounds: The number of times to load each export.
    """
    messages, conversations = map(int, shape.split("x"))
    folder.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys([_REFERENCE, *apps]))
    paths = {name: folder / f"{name}-{shape}" for name in names}
    for name, path in paths.items():
        if not path.exists():
            load_app(name).generate(path, messages, conversations)
    # With one conversation, the first session is the whole export.
    stages = (_FIRST, _READ) if conversations > 1 else (_READ,)
    found: dict[tuple[str, str], list[Figures]] = {}
    for number in range(1, rounds + 1):
        for name, path in paths.items():
            for stage in stages:
                figures = measure(name, path, stage)
                found.setdefault((name, stage), []).append(figures)
                print(f"{number} {name} {stage}: {figures.cpu:.2f} s", file=sys.stderr)
    best = {key: min(figures) for key, figures in found.items()}
    print(f"\n{messages} messages, {conversations} conversations, best of {rounds}\n")
    print("| Export | µs per message | ratio | MB | first session, s |")
    print("|---|---:|---:|---:|---:|")
    for name in names:
        read = best[name, _READ]
        ratio = read.cpu / best[_REFERENCE, _READ].cpu
        first = f"{best[name, _FIRST].cpu:.2f}" if _FIRST in stages else ""
        each = 1e6 * read.cpu / messages
        print(f"| {name} | {each:.1f} | {ratio:.2f} | {read.mb:.0f} | {first} |")


def print_stages(app: str, path: Path, stages: Sequence[str]) -> None:
    """Print the costs of single stages."""
    print(f"{'':22}{'CPU s':>8}{'wall s':>8}{'MB':>7}   imports: CPU s, MB")
    for stage in stages or load_app(app).STAGES:
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
        load_app(given.app).generate(given.path, given.messages, given.conversations)
    elif given.command == "measure":
        print_stages(given.app, given.path, given.stages)
    else:
        run(given.app, given.path, given.stage)


if __name__ == "__main__":
    main()
