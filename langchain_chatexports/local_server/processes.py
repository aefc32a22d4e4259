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
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

# `-m` or a script would put a directory first on sys.path, and its files, such as
# `queue.py`, would shadow the standard library.
_BOOTSTRAP = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; "
    "sys.path.append(sys.argv[1]); "
    "from importlib import import_module; import_module(sys.argv[2]).main()"
)

# A trainer does not need the user's keys.
_SECRET_NAME_PARTS = ("API_KEY", "TOKEN", "SECRET", "PASSWORD")
_PACKAGE = __name__.partition(".")[0]
_GC_THRESHOLDS = gc.get_threshold()
_MAX_ERROR_LENGTH = 300
# "max 100000" if there is no limit.
_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")


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
    task = [function.__module__, function.__name__, arguments]
    environment = child_environment(threads=threads, offline=offline)
    # Not detached, so that Ctrl-C also stops the child.
    with start_child(__name__, environment, task, is_detached=False) as child:
        message: dict[str, Any] = {}
        try:
            with kill_after(timeout, child) as timed_out:
                for line in child.stdout or ():
                    message = parse_json_object(line)
                    if "report" in message and on_report is not None:
                        on_report(message["report"])
                code = child.wait()
        finally:
            child.kill()
    if "result" in message:
        return message["result"]
    if timed_out.is_set():
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
    module, function, arguments = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    try:
        _send({"result": getattr(import_module(module), function)(*arguments)})
    except Exception as error:  # noqa: BLE001 - raised in the parent process.
        _send({"error": _error_message(error), "code": error_code(error)})
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
) -> "subprocess.Popen[bytes]":
    """Start a module's `main` in a child process that ends with this one.

    Its standard input is a pipe from here: `read_settings` reads the settings, and ends
    the child when the pipe is closed, which no kill can prevent. Its own files are
    private to the user, and its environment has no keys. Use it as a context manager,
    or close its pipes.

    Args:
        module: The module, which the child runs as `__main__`.
        settings: Values of JSON types.
        threads: The number of threads; by default, the number of physical cores.
        temporary: A folder for temporary files.
    """
    # Ctrl-C reaches all processes of a terminal's group; only the parent may act on it.
    # A thread of the parent cannot set a umask for the child alone.
    options: dict[str, Any] = detached_flags()
    if sys.platform != "win32":
        options["umask"] = 0o077
    child = subprocess.Popen(  # noqa: S603 - this interpreter.
        # `-P`: no file in the working directory shadows a module.
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment(
            threads=threads or physical_cores(), offline=True, temporary=temporary
        ),
        **options,
    )
    send_line(child, json.dumps(settings))
    return child


def read_settings() -> dict[str, Any]:
    """In a child: return its settings, and exit from now on as soon as its parent does.

    Afterwards, end with `os._exit`: the thread that reads standard input would hold up
    a normal exit.
    """
    settings: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    return settings


def physical_cores() -> int:
    """Return the number of physical cores that this process may use."""
    import psutil

    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    return max(1, min(physical, _allowed_cores()))


def _allowed_cores() -> int:
    """Return the limit of cores from the scheduler and, in a container, its group."""
    allowed = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):
        quota, period = _CPU_LIMIT.read_text("ascii").split()
        allowed = min(allowed, math.ceil(int(quota) / int(period)))
    return allowed


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


def start_child(
    module: str,
    environment: Mapping[str, str],
    settings: Any,
    *,
    folder: Path | None = None,
    is_detached: bool = True,
) -> "subprocess.Popen[bytes]":
    """Start a module of this package in a child process, and send its settings."""
    child = subprocess.Popen(  # noqa: S603 - this interpreter, this package.
        child_command(module),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=environment,
        **(detached_flags() if is_detached else {}),
    )
    send_line(child, json.dumps(settings))
    return child


@contextmanager
def kill_after(
    seconds: float | None, child: "subprocess.Popen[bytes]"
) -> Iterator[threading.Event]:
    """Kill a child after a timeout, and set the yielded event."""
    timed_out = threading.Event()

    def kill() -> None:
        timed_out.set()
        child.kill()

    timer = threading.Timer(seconds or threading.TIMEOUT_MAX, kill)
    timer.daemon = True
    timer.start()
    try:
        yield timed_out
    finally:
        timer.cancel()


def send_line(child: "subprocess.Popen[bytes]", line: str) -> None:
    """Write a line to a child, unless it has exited."""
    with suppress(OSError, ValueError):
        if child.stdin is not None:
            child.stdin.write(line.encode("ascii") + b"\n")
            child.stdin.flush()


def child_command(module: str) -> list[str]:
    """Return the command that calls `main` in a module of this package."""
    root = Path(__file__).resolve().parents[2]
    return [sys.executable, "-c", _BOOTSTRAP, str(root), module]


def child_environment(
    *, threads: int, offline: bool, temporary: Path | None = None
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
        # Otherwise waiting threads spin: on a busy machine, two take five times the CPU
        # time of one. Torch reads this when it is loaded.
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


def detached_flags() -> dict[str, Any]:
    """Return `Popen` arguments that protect a child from Ctrl-C in the terminal."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


_output: BinaryIO | None = None


def stack_frames(error: BaseException, count: int | None = None) -> list[str]:
    """Return an error's stack, without its message, which can quote a chat."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{f.filename}:{f.lineno} {f.name}" for f in frames[::-1][:count]]


def _send(message: dict[str, Any]) -> None:
    if _output is not None:
        _output.write(json.dumps(message).encode("ascii") + b"\n")
        _output.flush()


def _exit_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def error_code(error: Exception) -> str | None:
    """Return the code of an error of this package, if it has one."""
    code = getattr(error, "code", None)
    return code if isinstance(code, str) else None


def _error_message(error: Exception) -> str:
    if type(error).__module__.startswith(f"{_PACKAGE}."):
        return str(error)
    if getattr(error, "errno", None) == errno.ENOSPC:
        return "the disk is full."
    message = (str(error).splitlines() or [""])[0][:_MAX_ERROR_LENGTH]
    return f"{type(error).__name__}: {message}"
