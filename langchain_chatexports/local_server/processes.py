"""Child processes: commands, environments, and function calls.

Settings are passed over standard input, because all users of the machine can read
arguments.
"""

import errno
import gc
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

# A trainer does not need the user's keys.
_SECRET_NAME_PARTS = ("API_KEY", "TOKEN", "SECRET", "PASSWORD")
_PACKAGE = __name__.partition(".")[0]
_GC_THRESHOLDS = gc.get_threshold()
_MAX_ERROR_LENGTH = 300
_CPUS = Path("/sys/devices/system/cpu")
_CGROUPS = Path("/sys/fs/cgroup")
_output: BinaryIO | None = None


class ChildProcessFailedError(Exception):
    """A call in a child process failed; the message has the reason."""

    def __init__(self, message: str, code: str | None = None) -> None:
        """Initialize the error with the code of the child's error, if it has one."""
        super().__init__(message)
        self.code = code


def call_in_child(
    function: Callable[..., Any],
    *arguments: Any,
    threads: int = 1,
    offline: bool = True,
    timeout: float | None = None,
    on_report: Callable[[Any], None] | None = None,
) -> Any:
    """Call one of this package's functions in a child process.

    The child's memory is freed afterwards, and it exits with this process. Arguments,
    the result, and values for `report` have JSON types.
    """
    settings = {
        "module": function.__module__,
        "function": function.__name__,
        "arguments": arguments,
    }
    # Not detached, so that Ctrl-C also stops the child.
    with start(
        __name__, settings, threads=threads, offline=offline, is_detached=False
    ) as child:
        timer = threading.Timer(timeout or threading.TIMEOUT_MAX, child.kill)
        timer.daemon = True
        began = time.monotonic()
        timer.start()
        message: dict[str, Any] = {}
        try:
            for line in child.stdout or ():
                message = parse_json_object(line)
                if "report" in message and on_report is not None:
                    on_report(message["report"])
            code = child.wait()
        finally:
            timer.cancel()
            child.kill()
    if "result" in message:
        return message["result"]
    if timeout is not None and time.monotonic() - began > timeout:
        msg = f"it took more than {timeout:g} seconds"
        raise ChildProcessFailedError(msg)
    reason = f"its process exited with code {code}; it may have run out of memory"
    raise ChildProcessFailedError(message.get("error") or reason, message.get("code"))


def report(value: Any) -> None:
    """Send a value to the calling process."""
    _send({"report": value})


def main() -> None:
    """Call the function specified on standard input."""
    global _output  # noqa: PLW0603 - for `report`, which any function may call.
    _output = claim_stdout()
    postpone_garbage_collection()
    settings = read_settings()
    try:
        function = getattr(import_module(settings["module"]), settings["function"])
        _send({"result": function(*settings["arguments"])})
    except Exception as error:  # noqa: BLE001 - raised in the parent process.
        _send({"error": error_message(error), "code": error_code(error)})
    # Do not return: the thread that reads standard input would block the exit.
    os._exit(0)


def postpone_garbage_collection() -> None:
    """Collect garbage rarely in this child process, which imports torch.

    The imports create a million objects and hardly any garbage: looking for it takes a
    sixth of their time.
    """
    gc.set_threshold(100_000, 20, 100)


def resume_garbage_collection() -> None:
    """Collect garbage as usual, except in what was imported."""
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def start(
    module: str,
    settings: Mapping[str, Any],
    *,
    threads: int | None = None,
    temporary: Path | None = None,
    offline: bool = True,
    is_detached: bool = True,
) -> "subprocess.Popen[bytes]":
    """Start a module's `main` in a child process that ends with this one.

    Its standard input is a pipe from here: `read_settings` reads the settings and ends
    the child when the pipe is closed, which no kill can prevent. Use it as a context
    manager, or close its pipes.

    Args:
        module: The module, which the child runs as `__main__`.
        settings: Values of JSON types.
        threads: The number of threads; by default, that of `thread_count`.
        temporary: A folder for temporary files.
        offline: Whether the child works offline, without the user's keys. Its files are
            then private to the user; those of the hub's cache are not.
        is_detached: Whether Ctrl-C in the terminal reaches only this process.
    """
    options: dict[str, Any] = {}
    if is_detached and sys.platform == "win32":
        options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
    elif is_detached:
        options["start_new_session"] = True
    if offline and sys.platform != "win32":
        # A thread of the parent cannot set a umask for the child alone.
        options["umask"] = 0o077
    child = subprocess.Popen(  # noqa: S603 - this interpreter.
        # `-P`: no file in the working directory shadows a module.
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment(threads or thread_count(), temporary, offline=offline),
        **options,
    )
    with suppress(OSError, ValueError):  # It has exited.
        if child.stdin is not None:
            child.stdin.write(json.dumps(settings).encode("ascii") + b"\n")
            child.stdin.flush()
    return child


def read_settings() -> dict[str, Any]:
    """In a child: return its settings and exit from now on as soon as its parent does.

    Afterwards, end with `os._exit`: the thread that reads standard input would hold up
    a normal exit.
    """
    settings: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    return settings


def thread_count() -> int:
    """Return the number of threads to compute with: of physical cores, by default.

    The user's `OMP_NUM_THREADS` takes precedence.
    """
    with suppress(ValueError):
        if (given := int(os.environ.get("OMP_NUM_THREADS", ""))) > 0:
            return given
    return physical_cores()


def physical_cores() -> int:
    """Return the number of physical cores that this process may use."""
    import psutil

    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # Linux.
        allowed = os.sched_getaffinity(0)
        physical = min(physical, len(allowed))
        with suppress(OSError):
            physical = len({_core_of(number) for number in allowed})
    return max(1, math.ceil(min(physical, _cpu_quota())))


def _core_of(number: int) -> str:
    """Return the logical CPUs that share a physical core with one."""
    return (_CPUS / f"cpu{number}/topology/thread_siblings_list").read_text("ascii")


def _cpu_quota() -> float:
    """Return the cores that a container allows, in either version of its files."""
    with suppress(OSError, ValueError):
        quota, period = (_CGROUPS / "cpu.max").read_text("ascii").split()
        return int(quota) / int(period)  # "max" if there is no limit.
    with suppress(OSError, ValueError):
        quota, period = (
            (_CGROUPS / f"cpu/cpu.cfs_{name}_us").read_text("ascii")
            for name in ("quota", "period")
        )
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    return math.inf


def claim_stdout() -> BinaryIO:
    """Return standard output, and redirect the output of libraries to nowhere."""
    sys.stdout.flush()
    output = os.fdopen(os.dup(1), "wb")
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    os.close(devnull)
    return output


def limit_memory(extra_bytes: int) -> None:
    """Limit the additional memory of this process, on Linux only."""
    if sys.platform == "linux":
        import resource

        import psutil

        limit = psutil.Process().memory_info().vms + extra_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def child_environment(
    threads: int, temporary: Path | None = None, *, offline: bool = True
) -> dict[str, str]:
    """Return the environment of a child process."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not offline or not any(word in name.upper() for word in _SECRET_NAME_PARTS)
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


def _thread_settings(threads: int) -> dict[str, str]:
    return {
        # If waiting threads spun, two would take five times the CPU time of one on a
        # busy machine. Torch reads this when it is loaded.
        "OMP_WAIT_POLICY": "PASSIVE",
        # Threads spin for some microseconds before they sleep, because waking up takes
        # longer than most steps of generation (`benchmarks/engine.py`).
        "GOMP_SPINCOUNT": "1000",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }


def parse_json_object(line: bytes) -> dict[str, Any]:
    """Parse a child's output line; return an empty dict if it is not a JSON object."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def write_message(output: BinaryIO, message: dict[str, Any]) -> None:
    """In a child: write a line for `parse_json_object`."""
    output.write(json.dumps(message).encode("ascii") + b"\n")
    output.flush()


def _send(message: dict[str, Any]) -> None:
    if _output is not None:
        write_message(_output, message)


def _exit_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def error_code(error: Exception) -> str | None:
    """Return the code of an error of this package, if it has one."""
    code = getattr(error, "code", None)
    return code if isinstance(code, str) else None


def error_message(error: Exception) -> str:
    """Return an error's message in one line; that of another package has its class."""
    if type(error).__module__.startswith(f"{_PACKAGE}."):
        return str(error)
    if getattr(error, "errno", None) == errno.ENOSPC:
        return "the disk is full. Free some space, and try again."
    message = (str(error).splitlines() or [""])[0][:_MAX_ERROR_LENGTH]
    return f"{type(error).__name__}: {message}"


if __name__ == "__main__":
    # The function calls `report` in the module of this name.
    import_module("langchain_chatexports.local_server.processes").main()
