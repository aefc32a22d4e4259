"""Measures contenders in turn, each in its own processes.

CPU time (user and system) and peak memory are measured by the system for the whole
process, start-up and imports included. POSIX only.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["ROOT", "Contender", "Cost", "indented", "median", "own_cost", "turns"]

ROOT = Path(__file__).resolve().parent.parent


class Cost(NamedTuple):
    """What a process took."""

    cpu: float
    """Seconds, user and system."""

    wall: float
    mb: float
    """Peak of its memory."""


@dataclass(frozen=True)
class Contender:
    """A command to measure.

    Attributes:
        name: What the tables call it.
        command: Its arguments, behind the interpreter.
        output: The file of examples that it writes.
        repair: What its texts need before they are compared.
    """

    name: str
    command: tuple[str, ...]
    output: Path
    repair: Callable[[str], str] = str

    def run(self) -> Cost:
        """Run it once in a process of its own."""
        begin = time.perf_counter()
        with subprocess.Popen(  # noqa: S603 - our own commands
            [sys.executable, *self.command],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            errors = process.stderr.read() if process.stderr else b""
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - begin
        if status:
            msg = f"{self.name} failed:\n{errors.decode(errors='replace')}"
            raise RuntimeError(msg)
        return Cost(used.ru_utime + used.ru_stime, wall, _mb(used.ru_maxrss))


def turns(contenders: Sequence[Contender], rounds: int) -> dict[str, list[Cost]]:
    """Run contenders in turns, so that what else the machine does meets all of them.

    Args:
        contenders: What to run.
        rounds: How often each one runs.

    Returns:
        The costs by name, one a round.

    Raises:
        ValueError: If two of them wrote different examples.
    """
    costs: dict[str, list[Cost]] = {one.name: [] for one in contenders}
    hashes: dict[str, str] = {}
    for number in range(1, rounds + 1):
        for one in contenders:
            cost = one.run()
            costs[one.name].append(cost)
            print(
                f"round {number}: {one.name:20} {cost.cpu:7.2f} s CPU "
                f"{cost.wall:7.2f} s {cost.mb:6.0f} MB",
                file=sys.stderr,
                flush=True,
            )
            hashes[one.name] = normalized_hash(one.output, one.repair)
    if len(set(hashes.values())) > 1:
        msg = f"The outputs differ: {hashes}"
        raise ValueError(msg)
    return costs


def normalized_hash(path: Path, repair: Callable[[str], str] = str) -> str:
    """Hash examples by what they say.

    Escapes and spaces may differ, and so may the order: langchain-community reads
    Messenger's threads in that of the file system.

    Args:
        path: The JSON lines.
        repair: What to do to each text before.
    """
    digests: list[bytes] = []
    with path.open("rb") as file:
        for line in file:
            said = [
                (message["role"], repair(message["content"]))
                for message in json.loads(line)["messages"]
            ]
            digests.append(hashlib.sha256(json.dumps(said).encode("ascii")).digest())
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def indented(values: Iterable[object], depth: int, *, indent: int = 2) -> Iterator[str]:
    """Write the items of a JSON list as an app's indented file has them, one by one.

    Args:
        values: The items; no text in them has two spaces in a row.
        depth: At which level the items are.
        indent: Spaces a level.
    """
    newline = "\n" + " " * indent * depth
    for number, value in enumerate(values):
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        text = text.replace("  ", " " * indent).replace("\n", newline)
        yield f"{',' if number else ''}{newline}{text}"


def median(costs: Sequence[Cost]) -> Cost:
    """Return the medians of several rounds."""
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def own_cost() -> Cost:
    """Return what this process took so far; its wall time is not known."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Cost(used.ru_utime + used.ru_stime, 0, _mb(used.ru_maxrss))


def _mb(peak: int) -> float:
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
