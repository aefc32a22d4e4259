"""Measure contenders in turn, each in its own process.

The system measures CPU time (user and system) and peak memory of the whole process,
including start-up and imports. POSIX only.
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

__all__ = [
    "ROOT",
    "Contender",
    "Cost",
    "indented_items",
    "measure_in_turns",
    "median",
    "process_cost",
]

ROOT = Path(__file__).resolve().parent.parent


class Cost(NamedTuple):
    """The time and memory of a process."""

    cpu: float
    """Seconds, user and system."""

    wall: float
    mb: float
    """Peak memory."""


@dataclass(frozen=True)
class Contender:
    """A command to measure.

    Attributes:
        name: Its name in the tables.
        command: The arguments for the interpreter.
        output: The file of examples that it writes.
        repair: A function that repairs its texts before they are compared.
    """

    name: str
    command: tuple[str, ...]
    output: Path
    repair: Callable[[str], str] = str

    def run(self) -> Cost:
        """Run the command once."""
        begin = time.perf_counter()
        with subprocess.Popen(  # noqa: S603 - trusted commands
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


def measure_in_turns(
    contenders: Sequence[Contender], rounds: int
) -> dict[str, list[Cost]]:
    """Run contenders in turn, so that other load on the machine affects all of them.

    Args:
        contenders: The commands to run.
        rounds: The number of runs of each command.

    Returns:
        The costs of each round by name.

    Raises:
        ValueError: If two contenders wrote different examples.
    """
    costs: dict[str, list[Cost]] = {contender.name: [] for contender in contenders}
    hashes: dict[str, str] = {}
    for number in range(1, rounds + 1):
        for contender in contenders:
            cost = contender.run()
            costs[contender.name].append(cost)
            print(
                f"round {number}: {contender.name:20} {cost.cpu:7.2f} s CPU "
                f"{cost.wall:7.2f} s {cost.mb:6.0f} MB",
                file=sys.stderr,
                flush=True,
            )
            hashes[contender.name] = hash_examples(contender.output, contender.repair)
    if len(set(hashes.values())) > 1:
        msg = f"The outputs differ: {hashes}"
        raise ValueError(msg)
    return costs


def hash_examples(path: Path, repair: Callable[[str], str] = str) -> str:
    """Hash the roles and texts of examples.

    Escapes, spaces and the order may differ: langchain-community reads Messenger's
    threads in the order of the file system.

    Args:
        path: The JSON Lines.
        repair: A function that repairs each text.
    """
    digests: list[bytes] = []
    with path.open("rb") as file:
        for line in file:
            turns = [
                (message["role"], repair(message["content"]))
                for message in json.loads(line)["messages"]
            ]
            digests.append(hashlib.sha256(json.dumps(turns).encode("ascii")).digest())
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def indented_items(
    values: Iterable[object], depth: int, *, indent: int = 2
) -> Iterator[str]:
    """Yield the items of a JSON list, indented as in an app's export.

    Args:
        values: The items; their texts must not have two spaces in a row.
        depth: The level of the items.
        indent: Spaces per level.
    """
    newline = "\n" + " " * indent * depth
    for number, value in enumerate(values):
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        text = text.replace("  ", " " * indent).replace("\n", newline)
        yield f"{',' if number else ''}{newline}{text}"


def median(costs: Sequence[Cost]) -> Cost:
    """Return the median costs of several rounds."""
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def process_cost() -> Cost:
    """Return the costs of this process so far, without wall time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Cost(used.ru_utime + used.ru_stime, 0, _mb(used.ru_maxrss))


def _mb(peak: int) -> float:
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
