"""Preparing a base model: its directory, converted or downloaded if needed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.description import (
    BaseDescription,
    describe_base,
)
from langchain_chatexports.local_server.bases.wheel import WHEEL_SHA256, check_wheel
from langchain_chatexports.local_server.processes import (
    child_command,
    child_environment,
)
from langchain_chatexports.local_server.storage.data_directory import user_cache_dir
from langchain_chatexports.local_server.storage.locks import ProcessLock

__all__ = ["prepare_base"]

_CONVERSION_WAIT_SECONDS = 900.0


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
        found = _run_conversion({"kind": "hub", "source": description.source})
        describe_base(Path(found))
        return Path(found)
    source = Path(description.source)
    if description.kind == "wheel":
        check_wheel(source)
        key = WHEEL_SHA256[:12]
    else:
        key = _file_key(source)
    cache = (cache_dir or user_cache_dir()) / "bases"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = cache / f"{description.name}-{key}"
    with ProcessLock(target.with_suffix(".lock")) as lock:
        if not lock.acquire(timeout=_CONVERSION_WAIT_SECONDS):
            msg = f"Another process has been converting {source} for too long."
            raise LocalServerError(msg)
        if not (target / "config.json").exists():
            _run_conversion(
                {"kind": "gguf", "source": str(source), "target": str(target)}
            )
    return target


def _file_key(file: Path) -> str:
    found = file.stat()
    text = f"{file.resolve()}\n{found.st_size}\n{found.st_mtime_ns}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _run_conversion(task: dict[str, str]) -> str:
    finished = subprocess.run(  # noqa: S603 - our own interpreter, our own module.
        child_command("langchain_chatexports.local_server.bases.conversion"),
        input=json.dumps(task).encode("ascii"),
        capture_output=True,
        check=False,
        env=child_environment(threads=os.cpu_count() or 1, offline=False),
    )
    lines = finished.stdout.decode("utf-8", "replace").splitlines()
    result = _last_json(lines)
    if "directory" in result:
        return result["directory"]
    reason = result.get("error") or f"the process ended with {finished.returncode}"
    msg = f"The base model {task['source']} cannot be used: {reason}"
    raise LocalServerError(msg)


def _last_json(lines: list[str]) -> dict[str, str]:
    for line in reversed(lines):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            return value
    return {}
