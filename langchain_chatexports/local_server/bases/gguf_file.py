"""The GGUF file of a base, for llama.cpp."""

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.description import BaseDescription
from langchain_chatexports.local_server.bases.download import download_gguf
from langchain_chatexports.local_server.bases.gguf_adapter import (
    GGUFNotSupportedError,
    Matrix,
    write_gguf_adapter,
)
from langchain_chatexports.local_server.bases.gguf_header import (
    GGUFFileError,
    GGUFHeader,
    read_header,
    rewrite,
)
from langchain_chatexports.local_server.bases.preparation import (
    complete_base,
    file_key,
)
from langchain_chatexports.local_server.processes import (
    ChildProcessFailedError,
    call_in_child,
)
from langchain_chatexports.local_server.storage.data_directory import (
    read_json,
    replace,
    user_cache_dir,
    write_json,
)

# Change this when more is compared.
_CHECK = "tokens, chats, weights and answers"
_ENGINE = "xllamacpp"
# With these types, llama.cpp processes prompts half as fast as with Q8_0.
_SLOW_TYPES = {"Q4_1", "Q5_0", "Q5_1"}
# Larger models are bound by the size of their 8-bit weights.
_MAX_REWRITTEN_BYTES = 500_000_000


@dataclass(frozen=True)
class BaseGGUF:
    """A base's GGUF file with its trained matrices.

    `find_matrices` compares the file with the trained weights, and returns them.
    """

    file: Path
    find_matrices: Callable[[], Mapping[str, Matrix]]

    def write_adapter(self, folder: Path) -> Path:
        """Write the GGUF file of an adapter, and return its path.

        It is rewritten at each use, because the row order depends on the base's file.
        Raises a `GGUFNotSupportedError` if it cannot be written.
        """
        try:
            return write_gguf_adapter(
                folder, _read_file_header(self.file), self.find_matrices()
            )
        except OSError as error:
            msg = f"{folder} cannot be written ({type(error).__name__})"
            raise GGUFNotSupportedError(msg) from error


def find_gguf(description: BaseDescription, directory: Path) -> BaseGGUF:
    """Return the GGUF file of a base, downloading it if needed.

    This is the base itself, a `.gguf` file in its directory, or the file of a hub
    model's publisher. Before an adapter is used, a child process compares the file with
    the trained weights, once, and caches the result. A file next to the weights is
    compared immediately. Raises a `GGUFNotSupportedError` if llama.cpp's outputs would
    differ from transformers'.
    """
    if find_spec(_ENGINE) is None:
        msg = f"{_ENGINE} is not installed; there are wheels for most systems"
        raise GGUFNotSupportedError(msg)
    cache = user_cache_dir() / "bases"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_gguf = description.kind in {"wheel", "gguf"}
    # The directory of a .gguf file is named after the file's key, and files are added.
    name = f"{description.name}-{_directory_key(directory)}"
    verdict_file = cache / f"{directory.name if is_gguf else name}.gguf.json"
    file = _choose_file(description, directory, verdict_file)
    header = _read_file_header(file)
    model_type = header.fields.get("general.type", "model")
    if model_type != "model" or not header.dimension("block_count"):
        msg = f"{file} is not a language model"
        raise GGUFNotSupportedError(msg)
    if is_gguf and _is_slow(header):
        source = file
        file = cache / f"{file.stem}-{file_key(file)}-q8_0.gguf"
        if not file.exists():
            _run_in_child(_rewrite, source, file)
    find_matrices = partial(_load_checked_matrices, file, directory, verdict_file)
    if description.kind == "directory":
        find_matrices()
    return BaseGGUF(file, find_matrices)


def _load_checked_matrices(
    file: Path, directory: Path, verdict_file: Path
) -> dict[str, Matrix]:
    current = {
        "file": str(file),
        "key": file_key(file),
        "engine": metadata.version(_ENGINE),
        "check": _CHECK,
    }
    verdict: dict[str, Any] = read_json(verdict_file) or {}
    if any(verdict.get(name) != value for name, value in current.items()):
        try:
            complete_base(directory, weights=True)
        except LocalServerError as error:
            raise GGUFNotSupportedError(str(error)) from error
        verdict = {**current, **_run_in_child(_check, file, directory)}
        write_json(verdict_file, verdict)
    if "error" in verdict:
        raise GGUFNotSupportedError(verdict["error"])
    return {name: Matrix(*fields) for name, fields in verdict["matrices"].items()}


def _run_in_child(function: Callable[..., Any], *paths: Path) -> Any:
    """Call a function in a child process, because damaged files crash llama.cpp."""
    try:
        return call_in_child(function, *map(str, paths), threads=os.cpu_count() or 1)
    except ChildProcessFailedError as error:
        raise GGUFNotSupportedError(str(error)) from error


def _check(file: str, directory: str) -> dict[str, Any]:
    from langchain_chatexports.local_server.bases.gguf_check import check_gguf

    try:
        return {"matrices": check_gguf(Path(file), Path(directory))}
    except GGUFNotSupportedError as error:
        return {"error": str(error)}


def _rewrite(source: str, target: str) -> None:
    """Rewrite a `.gguf` file with 8-bit quantized matrices."""
    destination = Path(target)
    # Another process may write the same file.
    temporary = destination.with_name(f".{destination.name}.{secrets.token_hex(4)}")
    temporary.touch(mode=0o600)
    try:
        rewrite(read_header(Path(source)), temporary)
        replace(temporary, destination)
    finally:
        temporary.unlink(missing_ok=True)


def _choose_file(
    description: BaseDescription, directory: Path, verdict_file: Path
) -> Path:
    if description.kind in {"wheel", "gguf"}:
        return Path(description.source)
    gguf_files = sorted(directory.glob("*.gguf"))
    if len(gguf_files) == 1:
        return gguf_files[0]
    if description.kind == "directory":
        msg = f"{directory} has {len(gguf_files)} .gguf files instead of one"
        raise GGUFNotSupportedError(msg)
    verdict = read_json(verdict_file) or {}
    if Path(verdict.get("file", "")).is_file():
        return Path(verdict["file"])
    try:
        downloaded = download_gguf(description.source)
    except LocalServerError as error:
        raise GGUFNotSupportedError(str(error)) from error
    if downloaded is None:
        msg = f"the hub has no .gguf file for {description.source}"
        raise GGUFNotSupportedError(msg)
    write_json(verdict_file, {**verdict, "file": str(downloaded)})
    return downloaded


def _is_slow(header: GGUFHeader) -> bool:
    types = {tensor.kind.name for tensor in header.tensors.values()}
    size = header.path.stat().st_size
    return bool(types & _SLOW_TYPES) and size <= _MAX_REWRITTEN_BYTES


def _directory_key(directory: Path) -> str:
    files = sorted(path for path in directory.iterdir() if path.is_file())
    text = "\n".join(map(file_key, files))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]


def _read_file_header(file: Path) -> GGUFHeader:
    try:
        return read_header(file)
    except GGUFFileError as error:
        msg = f"{file} could not be read: {error}"
        raise GGUFNotSupportedError(msg) from error
