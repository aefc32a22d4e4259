"""Attack the package with what strangers may send, for as long as one says.

    python -m tests.fuzz [TARGET ...] [--seconds 60] [--seed N] [--finds FOLDER]

Each target runs in a process of its own with limits of time and memory, which is
started again when a case ends it. A seed and a case's number give the same attack
again: `--seed N --case M`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["Result", "fuzz", "main", "target_names"]

LIMIT = 10
"""Seconds that one case may take."""

_ENDLESS = 10**9
_START = 120  # Seconds for imports and what a target prepares, on two slow cores.


@dataclass
class Result:
    """What became of a target: its number of cases, and what was found.

    Attributes:
        cases: How many cases ran.
        finds: For each kind of find the cases that showed it.
    """

    cases: int = 0
    finds: dict[str, list[int]] = field(default_factory=dict)


def target_names() -> list[str]:
    """Return the names of all targets."""
    folder = Path(__file__).parent / "targets"
    return sorted(path.stem for path in folder.glob("*.py"))


def fuzz(
    target: str,
    *,
    seed: int,
    folder: Path,
    seconds: float = 60,
    first: int = 0,
    cases: int = _ENDLESS,
    limit: float = LIMIT,
) -> Result:
    """Run cases of a target until their number or the time is used up.

    Args:
        target: A name of `target_names`, or a module that has `attack`.
        seed: Gives the same attacks again.
        folder: Where finds are kept, each in a folder of its own.
        seconds: How long to go on.
        first: The first case's number.
        cases: How many cases to run.
        limit: Seconds that a case may take.

    Returns:
        What was found.
    """
    module = _module(target)
    result, end, number = Result(), time.monotonic() + seconds, first
    while number < first + cases and (left := end - time.monotonic()) > 0:
        with tempfile.TemporaryDirectory(
            dir=folder, prefix=".running-", ignore_cleanup_errors=True
        ) as work:
            order = {
                "module": module,
                "seed": f"{seed}/{target}",
                "first": number,
                "cases": first + cases - number,
                "seconds": left,
                "limit": limit,
                "folder": work,
                "keep": str(folder / f"{target}-{seed}-{{}}"),
            }
            said = _run(order, left + limit + _START)
            number = _read(Path(work), order, said, result)
    return result


def _module(target: str) -> str:
    return target if "." in target else f"tests.fuzz.targets.{target}"


def _run(order: dict[str, Any], seconds: float) -> str | None:
    """Run a child; return what it said last if it did not end as it should."""
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2", "PYTHONFAULTHANDLER": "1"}
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "tests.fuzz.child", json.dumps(order)],
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "Timeout: the process did not end"
    return None if done.returncode == 0 else f"{done.stderr}\n{done.returncode}"


def _read(work: Path, order: dict[str, Any], said: str | None, result: Result) -> int:
    """Add what a child noted to the result, and return the next case's number."""
    progress = work / "progress.jsonl"
    notes = progress.read_text().splitlines() if progress.exists() else []
    last = order["first"] - 1
    for note in map(json.loads, notes):
        if "what" in note:
            _add(result, order, note["case"], note["what"], note["traceback"])
        else:
            last = note["case"]
            result.cases += 1
    if said is None:
        # Whether the time or the number was used up, there is nothing left.
        return int(order["first"] + order["cases"])
    if last < order["first"]:
        msg = f"{order['module']} does not start:\n{said[-2000:]}"
        raise RuntimeError(msg)
    place = Path(order["keep"].format(last))
    if (work / "case").exists() and not place.exists():
        (work / "case").rename(place)
    kind = "no end" if "Timeout" in said else "the process died"
    _add(result, order, last, f"{kind}{_where(said)}", said[-10_000:])
    return int(last) + 1


def _add(
    result: Result, order: dict[str, Any], case: int, what: str, trace: str
) -> None:
    result.finds.setdefault(what, []).append(case)
    place = Path(order["keep"].format(case))
    place.mkdir(exist_ok=True)
    (place / "find.txt").write_text(f"{what}\n\n{trace}", encoding="utf-8")


def _where(said: str) -> str:
    lines = [line for line in said.splitlines() if "langchain_chatexports" in line]
    if not lines:
        return ""
    path, _, function = lines[0].rpartition(" in ")
    name = path.partition('"')[2].partition('"')[0].rpartition("langchain_chatexports")
    return f" in {name[2].lstrip(os.sep)}, {function}"


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line.

    Returns:
        1 if something was found, else 0.
    """
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help=", ".join(target_names()))
    parser.add_argument(
        "--seconds",
        type=float,
        default=60,
        help="for all together, besides their starts",
    )
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--case", type=int, default=None, help="only this one, again")
    parser.add_argument("--finds", type=Path, default=None, help="where finds are kept")
    given = parser.parse_args(arguments)
    seed = given.seed if given.seed is not None else random.randrange(10**6)
    if given.finds is not None:
        given.finds.mkdir(parents=True, exist_ok=True)
    folder = given.finds or Path(tempfile.mkdtemp(prefix="fuzz-"))
    folder = folder.resolve()
    names = given.targets or target_names()
    print(f"seed {seed}, finds go to {folder}", flush=True)
    found = False
    for name in names:
        share = given.seconds / len(names)
        only = {"first": given.case, "cases": 1} if given.case is not None else {}
        guided = getattr(import_module(_module(name)), "guided", None)
        if guided is not None and given.case is None:
            share /= 2
            found |= guided(share, folder)
        result = fuzz(name, seed=seed, folder=folder, seconds=share, **only)
        print(f"{name}: {result.cases:,} cases, {len(result.finds)} finds", flush=True)
        for what, cases in result.finds.items():
            again = f"python -m tests.fuzz {name} --seed {seed} --case {cases[0]}"
            print(f"  {what} ({len(cases)} times)\n    {again}", flush=True)
        found |= bool(result.finds)
    return int(found)
