"""Child processes: their commands and environments.

Settings are passed over standard input, because every process of the machine can read
arguments.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# `-m` and a script's path would put a directory first on sys.path whose files, such as
# `queue.py`, hide the standard library's.
_START = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; "
    "sys.path.append(sys.argv[1]); "
    "from importlib import import_module; import_module(sys.argv[2]).main()"
)

# A trainer needs none of the user's keys.
_SECRET_WORDS = ("API_KEY", "TOKEN", "SECRET", "PASSWORD")


def child_command(module: str) -> list[str]:
    """Return the command that runs the `main` of one of this package's modules."""
    root = Path(__file__).resolve().parents[2]
    return [sys.executable, "-c", _START, str(root), module]


def default_threads() -> int:
    """Return the number of cores but one, for other programs."""
    return max(1, (os.cpu_count() or 1) - 1)


def child_environment(
    *, threads: int, offline: bool, temporary: Path | None = None
) -> dict[str, str]:
    """Return the environment of a child process."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not offline or not any(word in name.upper() for word in _SECRET_WORDS)
    }
    environment.update(_thread_settings(threads))
    environment["PYTHONIOENCODING"] = "utf-8"
    if offline:
        environment.update(
            HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TRANSFORMERS_OFFLINE="1"
        )
    if temporary is not None:
        environment.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)))
    return environment


def apply_thread_settings(threads: int) -> None:
    """Set the threads of this process, before it imports torch."""
    os.environ.update(_thread_settings(threads))


def _thread_settings(threads: int) -> dict[str, str]:
    return {
        # Otherwise waiting threads spin: two on a busy machine take five times the CPU
        # time of one. It is read when torch is loaded.
        "OMP_WAIT_POLICY": "PASSIVE",
        # They sleep after some microseconds, though, not at once: waking up takes
        # longer than most steps of an answer (`benchmarks/engine.py`).
        "GOMP_SPINCOUNT": "1000",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }


def json_object(line: bytes) -> dict[str, Any]:
    """Return the JSON object on a line of a child's output; empty if there is none."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def detached_flags() -> dict[str, Any]:
    """Return arguments of `Popen` that keep Ctrl-C in a terminal from the child."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
