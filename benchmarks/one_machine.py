"""Speed and memory of `chatexports prepare`, langchain-community and a lower bound.

```
python -m benchmarks.one_machine /tmp/exports
python -m benchmarks.one_machine /tmp/exports --messages 10000 100000 --rounds 1
```

Generates clean exports of two sizes (once; they stay in the folder), then runs the
contenders in turn, each in a new process: langchain-community's recipe, the lower bound
(see `floors`), the library's pipeline, the same with rare garbage collections, and the
command. All must write the same examples. Prints the tables of docs/scale.md.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.floors import repair_text
from benchmarks.harness import ROOT, Contender, measure_in_turns, median
from benchmarks.recipes import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.harness import Cost

_CONVERSATIONS = 600
# As in `chatexports prepare`, with the options of the recipe.
_PREPARE_SCRIPT = """
import gc, sys
gc.set_threshold(100_000, 20, 100)
from langchain_chatexports.workflows import PrepareOptions, write_examples
gc.set_threshold(1_000_000, 20, 100)
path, *ai, output = sys.argv[1:]
options = PrepareOptions(
    ai=tuple(ai), gap=None, keep_trailing=True, system=None
)
write_examples(path, output, options)
"""
_COMMUNITY, _FLOOR, _LIBRARY, _PREPARE = "community", "floor", "library", "prepare"
_RARE = "library, rare collections"
_KINDS = ("imessage", "messenger folder", "messenger zip")


@dataclass(frozen=True)
class Measured:
    """The costs of all contenders on one export."""

    kind: str
    messages: int
    costs: dict[str, list[Cost]]

    def ratios(self, name: str, other: str) -> list[float]:
        """Return the ratio of two contenders' CPU times in each round."""
        pairs = zip(self.costs[name], self.costs[other], strict=True)
        return [a.cpu / b.cpu for a, b in pairs]


def measure(folder: Path, kind: str, messages: int, rounds: int) -> Measured:
    """Run all contenders on one export.

    Args:
        folder: The folder of exports and outputs.
        kind: The kind of export.
        messages: The number of messages.
        rounds: The number of runs of each contender.
    """
    format_name = kind.partition(" ")[0]
    path = _export(folder, kind, messages)
    outputs = {
        name: folder / f"{path.name}.{name}.jsonl"
        for name in (_COMMUNITY, _FLOOR, _LIBRARY, _RARE, _PREPARE)
    }
    speaker = (OWNER,) if format_name == "messenger" else ()
    recipe = ("-m", "benchmarks.recipes")
    arguments = {
        _COMMUNITY: (*recipe, "community", format_name, str(path)),
        _FLOOR: ("-m", "benchmarks.floors", f"--owner={OWNER}", format_name, str(path)),
        _LIBRARY: (*recipe, "library", format_name, str(path)),
        _RARE: (*recipe, "--rare-gc", "library", format_name, str(path)),
        _PREPARE: (*("-c", _PREPARE_SCRIPT, str(path), *speaker),),
    }
    contenders = [
        Contender(
            name,
            (*command, str(outputs[name])),
            outputs[name],
            # langchain-community does not decode Meta's texts.
            repair_text if (name, format_name) == (_COMMUNITY, "messenger") else str,
        )
        for name, command in arguments.items()
    ]
    print(f"{kind}, {messages:,} messages", file=sys.stderr)
    return Measured(kind, messages, measure_in_turns(contenders, rounds))


def _export(folder: Path, kind: str, messages: int) -> Path:
    name, app, suffix = "messenger", "facebook_messenger", ""
    if kind == "imessage":
        name, app, suffix = "imessage", "imessage", ".db"
    export = folder / f"{name}-{messages}{suffix}"
    if not export.exists():
        # Use a new process, since Linux counts the peak memory of this process as that
        # of its child processes.
        arguments = ("-m", "benchmarks.loaders", "generate", app, str(export))
        sizes = (f"--messages={messages}", f"--conversations={_CONVERSATIONS}")
        subprocess.run([sys.executable, *arguments, *sizes], check=True, cwd=ROOT)  # noqa: S603 - our own file
    return Path(f"{export}.zip") if kind.endswith("zip") else export


def tables(found: Sequence[Measured]) -> Iterator[str]:
    """Yield the tables, in Markdown."""
    yield "| Export | Messages | Contender | CPU s | µs per message | Peak MB |"
    yield "|---|---:|---|---:|---:|---:|"
    for export in found:
        for name, costs in export.costs.items():
            cost = median(costs)
            each = 1e6 * cost.cpu / export.messages
            yield (
                f"| {export.kind} | {export.messages:,} | {name} | {cost.cpu:.1f} | "
                f"{each:.1f} | {cost.mb:.0f} |"
            )
    yield ""
    yield (
        "| Export | Messages | community / prepare | community / library | "
        "community / library, rare collections | prepare / floor |"
    )
    yield "|---|---:|---|---|---|---|"
    for export in found:
        cells = [
            ", ".join(f"{ratio:.2f}" for ratio in export.ratios(*pair))
            for pair in (
                (_COMMUNITY, _PREPARE),
                (_COMMUNITY, _LIBRARY),
                (_COMMUNITY, _RARE),
                (_PREPARE, _FLOOR),
            )
        ]
        yield f"| {export.kind} | {export.messages:,} | {' | '.join(cells)} |"
    yield ""
    yield "| Export | Contender | µs per added message | MB per added 100,000 |"
    yield "|---|---|---:|---:|"
    for kind in _KINDS:
        sizes = sorted((m for m in found if m.kind == kind), key=lambda m: m.messages)
        if len(sizes) > 1:
            yield from _growth(sizes[0], sizes[-1])


def _growth(small: Measured, large: Measured) -> Iterator[str]:
    added = large.messages - small.messages
    for name in small.costs:
        first, last = median(small.costs[name]), median(large.costs[name])
        each = 1e6 * (last.cpu - first.cpu) / added
        growth = 100_000 * (last.mb - first.mb) / added
        yield f"| {small.kind} | {name} | {each:.1f} | {growth:.1f} |"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--messages", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=_KINDS, default=_KINDS)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    found = [
        measure(given.folder, kind, messages, given.rounds)
        for kind in given.kinds
        for messages in given.messages
    ]
    today = datetime.now(UTC).date()
    print(
        f"{today}, CPython {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, rounds: {given.rounds}\n"
    )
    print("\n".join(tables(found)))


if __name__ == "__main__":
    main()
