"""Child processes: how they are started, and what they are told.

Settings travel over standard input, never in arguments, which every process of the
machine can read.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = [
    "apply_thread_settings",
    "child_command",
    "child_environment",
    "default_threads",
    "detached_flags",
]

# `-m` and a script's path would both put a directory first on the path whose files
# (`queue.py`, say) hide the standard library's.
_START = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; "
    "sys.path.append(sys.argv[1]); "
    "from importlib import import_module; import_module(sys.argv[2]).main()"
)

# A server's key and the owner's accounts are nothing that a trainer needs.
_SECRET_WORDS = ("API_KEY", "TOKEN", "SECRET", "PASSWORD")


def child_command(module: str) -> list[str]:
    """Return the command that runs the `main` of one of this package's modules."""
    root = Path(__file__).resolve().parents[2]
    return [sys.executable, "-c", _START, str(root), module]


def default_threads() -> int:
    """Return the number of threads that leaves one core to everything else."""
    return max(1, (os.cpu_count() or 1) - 1)


def child_environment(
    *, threads: int, offline: bool, temporary: Path | None = None
) -> dict[str, str]:
    """Return the environment of a child: threads that sleep, no keys, maybe no network.

    Args:
        threads: How many threads its mathematics may use.
        offline: Whether Hugging Face's libraries must not reach the network.
        temporary: Its folder for temporary files.
    """
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
    """Set this process's threads; it must not have imported torch yet."""
    os.environ.update(_thread_settings(threads))


def _thread_settings(threads: int) -> dict[str, str]:
    return {
        # Without it waiting threads spin, and two on a busy machine take five times
        # the CPU time of one. It is read when torch is loaded.
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }


def detached_flags() -> dict[str, Any]:
    """Give `Popen`'s arguments that keep Ctrl-C in a terminal from the child."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
