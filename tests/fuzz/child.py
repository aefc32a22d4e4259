"""Run cases of one target, within limits; `runner` starts it."""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from tests.fuzz.case import Case, FindError

if TYPE_CHECKING:
    from types import ModuleType
    from typing import IO

__all__ = ["run_cases"]

_MEMORY = 2**30
_OURS = str(Path("langchain_chatexports", ""))


def run_cases(order: dict[str, Any]) -> None:
    """Run cases until their number or the time is used up.

    Args:
        order: What `runner` wants: the target's module, the seed, the first case, the
            number of cases, the seconds, the limit of each case, and a folder.
    """
    folder = Path(order["folder"])
    target = import_module(order["module"])
    prepared = (
        target.prepare(folder / "prepared") if hasattr(target, "prepare") else None
    )
    _limit_memory(getattr(target, "MEMORY", _MEMORY))
    end = time.monotonic() + order["seconds"]
    with (folder / "progress.jsonl").open("a") as progress:
        for number in range(order["first"], order["first"] + order["cases"]):
            if time.monotonic() >= end:
                break
            _note(progress, case=number)
            # It works while C code runs and holds Python's lock.
            faulthandler.dump_traceback_later(order["limit"], exit=True)
            found = _try(target, prepared, f"{order['seed']}/{number}", folder / "case")
            faulthandler.cancel_dump_traceback_later()
            os.chdir(folder)
            if found is not None:
                _note(progress, case=number, **found)
                _keep(folder, order["keep"], number)


def _try(
    target: ModuleType, prepared: Any, seed: str, root: Path
) -> dict[str, str] | None:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    case = Case(Random(seed), root)
    try:
        target.attack(case, prepared)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - or Rust's
        return {"what": _signature(error), "traceback": traceback.format_exc()}
    return None


def _signature(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _OURS in frame.filename]
    where = ""
    if ours:
        path = ours[-1].filename.rpartition(_OURS)[2].lstrip(os.sep)
        where = f" in {path}, {ours[-1].name}"
    said = str(error) if isinstance(error, FindError) else ""
    return f"{type(error).__name__}{where}{': ' if said else ''}{said}"


def _keep(folder: Path, places: str, number: int) -> None:
    place = Path(places.format(number))
    if not place.exists():
        # Moved and not copied: it may hold pipes.
        (folder / "case").rename(place)


def _note(progress: IO[str], **facts: Any) -> None:
    progress.write(json.dumps(facts) + "\n")
    progress.flush()


def _limit_memory(size: int) -> None:
    try:
        import resource
    except ImportError:
        return  # Windows.
    status = Path("/proc/self/statm")
    if status.exists():  # Elsewhere the system does not hold such a limit.
        pages = int(status.read_text().split()[0])
        limit = pages * resource.getpagesize() + size
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    run_cases(json.loads(sys.argv[1]))
