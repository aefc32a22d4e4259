"""Child processes: commands, environments, and function calls.

Settings are passed over standard input, because all users of the machine can read
arguments.
"""

import errno
import json
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

# `-m` and a script's path would put a directory first on sys.path whose files, such as
# `queue.py`, hide the standard library's.
_START = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; "
    "sys.path.append(sys.argv[1]); "
    "from importlib import import_module; import_module(sys.argv[2]).main()"
)

# A trainer does not need the user's keys.
_SECRET_WORDS = ("API_KEY", "TOKEN", "SECRET", "PASSWORD")
_PACKAGE = __name__.partition(".")[0]
_MAX_SENTENCE = 300


class ChildError(Exception):
    """A call in a child process failed; the message has the reason."""


def call_in_child(
    function: Callable[..., Any],
    *arguments: Any,
    threads: int = 1,
    offline: bool = True,
    timeout: float | None = None,
    on_report: Callable[[Any], None] | None = None,
) -> Any:
    """Call one of this package's functions in a child process.

    Its memory is free afterwards, and it ends with this process. Arguments, the result,
    and values for `report` have JSON types.
    """
    task = [function.__module__, function.__name__, arguments]
    environment = child_environment(threads=threads, offline=offline)
    # Ctrl-C ends it with this process.
    with start_child(__name__, environment, task, is_detached=False) as child:
        answer: dict[str, Any] = {}
        try:
            with killed_after(timeout, child) as is_late:
                for line in child.stdout or ():
                    answer = json_object(line)
                    if "report" in answer and on_report is not None:
                        on_report(answer["report"])
                code = child.wait()
        finally:
            child.kill()
    if "result" in answer:
        return answer["result"]
    if is_late.is_set():
        msg = f"it takes more than {timeout:g} seconds"
        raise ChildError(msg)
    ended = f"its process ended with {code}; memory may not be enough"
    raise ChildError(answer.get("error") or ended)


def report(value: Any) -> None:
    """Send a value to the process that called this one."""
    _answer({"report": value})


def main() -> None:
    """Call the function from standard input."""
    global _output  # noqa: PLW0603 - for `report`, which any function may call.
    _output = take_output()
    module, function, arguments = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _answer({"result": getattr(import_module(module), function)(*arguments)})
    except Exception as error:  # noqa: BLE001 - raised in the parent process.
        _answer({"error": _error_message(error)})
    # Do not return: the thread that reads standard input would block the exit.
    os._exit(0)


def take_output() -> BinaryIO:
    """Return the standard output, and discard what libraries print."""
    sys.stdout.flush()
    output = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.close(nothing)
    return output


def limit_memory(more_bytes: int) -> None:
    """Limit the additional memory of this process; only Linux enforces it."""
    if sys.platform == "linux":
        import resource

        import psutil

        most = psutil.Process().memory_info().vms + more_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def start_child(
    module: str,
    environment: Mapping[str, str],
    settings: Any,
    *,
    folder: Path | None = None,
    is_detached: bool = True,
) -> "subprocess.Popen[bytes]":
    """Start one of this package's modules, and write its settings to it."""
    child = subprocess.Popen(  # noqa: S603 - our own interpreter, our own module.
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
def killed_after(
    seconds: float | None, child: "subprocess.Popen[bytes]"
) -> Iterator[threading.Event]:
    """Kill a child after some time, and set the event then."""
    is_late = threading.Event()

    def kill() -> None:
        is_late.set()
        child.kill()

    timer = threading.Timer(seconds or threading.TIMEOUT_MAX, kill)
    timer.daemon = True
    timer.start()
    try:
        yield is_late
    finally:
        timer.cancel()


def send_line(child: "subprocess.Popen[bytes]", line: str) -> None:
    """Write a line to a child; errors of an ended child are ignored."""
    with suppress(OSError, ValueError):
        if child.stdin is not None:
            child.stdin.write(line.encode("ascii") + b"\n")
            child.stdin.flush()


def child_command(module: str) -> list[str]:
    """Return the command that runs the `main` of one of this package's modules."""
    root = Path(__file__).resolve().parents[2]
    return [sys.executable, "-c", _START, str(root), module]


def default_threads() -> int:
    """Return the number of cores minus one, which is left for other programs."""
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
        # But threads sleep after some microseconds, not immediately: waking up takes
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


_output: BinaryIO | None = None


def frames_of(error: BaseException, count: int | None = None) -> list[str]:
    """Return where an error was raised, without its text, which can quote a chat."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{f.filename}:{f.lineno} {f.name}" for f in frames[::-1][:count]]


def _answer(answer: dict[str, Any]) -> None:
    if _output is not None:
        _output.write(json.dumps(answer).encode("ascii") + b"\n")
        _output.flush()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _error_message(error: Exception) -> str:
    if type(error).__module__.startswith(f"{_PACKAGE}."):
        return str(error)
    if getattr(error, "errno", None) == errno.ENOSPC:
        return "the disk is full."
    sentence = (str(error).splitlines() or [""])[0][:_MAX_SENTENCE]
    return f"{type(error).__name__}: {sentence}"
