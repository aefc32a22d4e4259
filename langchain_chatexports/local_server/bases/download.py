"""Download models from the hub in a child process, with progress."""

import errno
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from langchain_chatexports._translation import Sentence
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.cache import read_json
from langchain_chatexports.local_server.errors import DiskFullError, NoConnectionError
from langchain_chatexports.local_server.processes import (
    ChildProcessFailedError,
    call_in_child,
    report,
)

# Safetensors weights only: pickle files can run code when they are read.
_MODEL_FILES = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "LICENSE*")
_GGUF_TYPES = ("Q8_0", "BF16", "F16")
_SECONDS_BETWEEN_REPORTS = 0.5
# Leave space for other programs.
_MIN_FREE_BYTES = 500_000_000
# Errors of httpx and huggingface_hub, by name: their classes depend on the release.
_NO_CONNECTION = {
    "ConnectError",
    "ConnectionError",
    "LocalEntryNotFoundError",
    "OfflineModeIsEnabled",
    "TimeoutException",
}
_INTERRUPTED = {"NetworkError", "ProtocolError"}
# The classes of a child's errors, by their code.
_ERRORS: dict[str | None, type[LocalServerError]] = {
    error.code: error for error in (DiskFullError, NoConnectionError)
}


def find_missing_parts(directory: Path) -> list[str]:
    """Return descriptions of the missing files of a base."""
    parts = {
        "config.json": "config.json",
        "safetensors weights": "*.safetensors",
        "a tokenizer": "tokenizer*",
    }
    missing = [name for name, files in parts.items() if not any(directory.glob(files))]
    index = directory / "model.safetensors.index.json"
    names = read_indexed_files(index)
    return missing + [name for name in names if not (directory / name).exists()]


def read_indexed_files(index: Path) -> list[str]:
    """Return the file names listed in a weight index."""
    names = (read_json(index) or {}).get("weight_map")
    return sorted(set(map(str, names.values()))) if isinstance(names, dict) else []


def find_local_copy(hub_id: str) -> Path | None:
    """Return the complete local copy of a hub model, if there is one."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        snapshot = snapshot_download(
            hub_id, allow_patterns=list(_MODEL_FILES), local_files_only=True
        )
    except LocalEntryNotFoundError:
        return None
    # A snapshot is incomplete after an interrupted download.
    return None if find_missing_parts(Path(snapshot)) else Path(snapshot)


def download_model(
    hub_id: str, *, on_progress: Callable[[int, int], None] | None = None
) -> Path:
    """Return the local copy of a hub model, downloading missing files.

    `on_progress` is called with the number of downloaded bytes and the total.
    """
    local_copy = find_local_copy(hub_id)
    if local_copy is not None:
        return local_copy
    return download_files(hub_id, _MODEL_FILES, on_progress=on_progress)


def download_files(
    hub_id: str,
    patterns: Sequence[str],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Download a hub model's files that match patterns; return their folder."""
    try:
        folder = call_in_child(
            _download,
            *(hub_id, list(patterns)),
            offline=False,
            on_report=on_progress and (lambda sizes: on_progress(*sizes)),
        )
    except ChildProcessFailedError as error:
        msg = Sentence(
            "The base model {base} could not be downloaded: {reason}",
            base=hub_id,
            reason=Sentence(str(error)),  # Of a child, which sends its words.
        )
        raise _ERRORS.get(error.code, LocalServerError)(msg) from error
    return Path(folder)


def download_gguf(
    hub_id: str, *, on_progress: Callable[[int, int], None] | None = None
) -> Path | None:
    """Return a model's `.gguf` file from its publisher or from llama.cpp's team.

    Uses the first available type in `_GGUF_TYPES`; returns `None` if there is none.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    for repository in (f"{hub_id}-GGUF", f"ggml-org/{hub_id.rpartition('/')[2]}-GGUF"):
        try:
            names = HfApi().list_repo_files(repository)
        except RepositoryNotFoundError:
            continue
        except Exception as error:
            explained = _explain(error, repository)
            msg = f"The .gguf file of {hub_id} could not be found: {explained}"
            raise type(explained)(msg) from error
        for kind in _GGUF_TYPES:
            # Other files contain vision towers or draft models.
            pattern = re.compile(rf"(?!mmproj|mtp)[^/]*[.-]{kind}\.gguf", re.IGNORECASE)
            for name in filter(pattern.fullmatch, names):
                folder = download_files(repository, [name], on_progress=on_progress)
                return folder / name
    return None


def _download(hub_id: str, patterns: list[str]) -> str:
    try:
        return _fetch(hub_id, patterns)
    except Exception as error:
        raise _explain(error, hub_id) from error


def _fetch(hub_id: str, patterns: list[str]) -> str:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.utils.tqdm import tqdm

    files: Any = snapshot_download(hub_id, allow_patterns=patterns, dry_run=True)
    total = sum(file.file_size for file in files)
    missing = sum(file.file_size for file in files if file.will_download)
    _check_space(Path(constants.HF_HUB_CACHE), missing)

    class Bar(tqdm):
        """A hidden progress bar that reports its progress."""

        _reported_at = 0.0

        def __init__(self, *args: Any, **options: Any) -> None:
            # The transfer bar counts received bytes before they are written.
            is_transfer_bar = str(options.get("name")).endswith(".transfer")
            self._counts_bytes = options.get("unit") == "B" and not is_transfer_bar
            self._done = total - missing
            options["disable"] = True
            super().__init__(*args, **options)  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            self._done += int(n or 0)
            now = time.monotonic()
            if self._counts_bytes and now > Bar._reported_at + _SECONDS_BETWEEN_REPORTS:
                Bar._reported_at = now
                report((min(self._done, total), total))
            return bool(super().update(n))

    report((total - missing, total))
    folder = snapshot_download(hub_id, allow_patterns=patterns, tqdm_class=Bar)
    report((total, total))
    return folder


def _check_space(cache: Path, needed: int) -> None:
    existing = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if needed and free < needed + _MIN_FREE_BYTES:
        msg = (
            f"the disk with {cache} has {free / 1e9:.1f} GB free, and the download "
            f"needs {(needed + _MIN_FREE_BYTES) / 1e9:.1f} GB. Free some space, or set "
            "HF_HOME to a folder on another disk."
        )
        raise DiskFullError(msg)


def _explain(error: Exception, hub_id: str) -> LocalServerError:
    """Return an error of a download as ours, with a remedy."""
    from huggingface_hub import constants

    cause, site = error.__cause__, constants.ENDPOINT
    kinds = {kind.__name__ for kind in type(error).__mro__}
    name = site.partition("://")[2]
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, LocalServerError):
        return error
    if "DryRunError" in kinds and isinstance(cause, Exception):  # Of listing files.
        return _explain(cause, hub_id)
    if "GatedRepoError" in kinds:
        reason = (
            f"it is gated. Accept the license at {site}/{hub_id}, and log in with: "
            "hf auth login"
        )
    elif "RepositoryNotFoundError" in kinds:
        reason = f"{name} has no such model, or it is private. Check the name."
    elif getattr(error, "errno", None) == errno.ENOSPC:
        reason = Sentence(
            "the disk is full. Free some space and run the same command again."
        )
        return DiskFullError(reason)
    elif kinds & _NO_CONNECTION:
        reason = Sentence(
            "it is not on this machine, and the hub cannot be reached. Check the "
            "network, or use a model on this machine: a folder or a .gguf file."
        )
        return NoConnectionError(reason)
    elif kinds & _INTERRUPTED:
        reason = Sentence(
            "the connection was lost. Run the command again to resume the download."
        )
        return NoConnectionError(reason)
    elif status is not None:
        reason = f"{name} responded with status {status}. Try again later."
    else:
        sentence = (str(error).splitlines() or [""])[0][:300]
        reason = f"{type(error).__name__}: {sentence}"
    return LocalServerError(reason)
