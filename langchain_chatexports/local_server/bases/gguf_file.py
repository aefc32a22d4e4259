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
    Matrix,
    NoGGUFError,
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
from langchain_chatexports.local_server.processes import ChildError, call_in_child
from langchain_chatexports.local_server.storage.data_directory import (
    read_json,
    replace,
    user_cache_dir,
    write_json,
)

# Change it if more is compared.
_CHECK = "tokens, chats, weights and answers"
_ENGINE = "xllamacpp"
# Types with which llama.cpp reads a prompt half as fast as with Q8_0.
_SLOW_TYPES = {"Q4_1", "Q5_0", "Q5_1"}
# The size of weights in 8 bits would slow down a larger model.
_MAX_REWRITTEN_BYTES = 500_000_000


@dataclass(frozen=True)
class BaseGGUF:
    """A base's GGUF file with its trained matrices.

    `find_matrices` returns them after comparing the file with the trained weights.
    """

    file: Path
    find_matrices: Callable[[], Mapping[str, Matrix]]

    def adapter_file(self, folder: Path) -> Path:
        """Write the GGUF file of an adapter's folder, and return its path.

        Raises a `NoGGUFError` if there is none. It is written at each use, because the
        order of rows depends on the base's file.
        """
        try:
            return write_gguf_adapter(folder, _header(self.file), self.find_matrices())
        except OSError as error:
            msg = f"{folder} cannot be written ({type(error).__name__})"
            raise NoGGUFError(msg) from error


def gguf_of_base(description: BaseDescription, directory: Path) -> BaseGGUF:
    """Return the GGUF file of a base; download it if needed.

    This is the base itself, a `.gguf` file in its directory, or the file that the
    publisher of a hub model offers. It is compared with the trained weights once, in a
    child process, before an adapter is used with it, and immediately if a user put it
    beside the weights. The result is stored in the user's cache. A `NoGGUFError` has
    the reason if llama.cpp would not answer like transformers.
    """
    if find_spec(_ENGINE) is None:
        msg = f"{_ENGINE} is not installed; there are wheels for most systems"
        raise NoGGUFError(msg)
    cache = user_cache_dir() / "bases"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_gguf = description.kind in {"wheel", "gguf"}
    # Converted files have the source's key in their names, and grow.
    name = f"{description.name}-{_directory_key(directory)}"
    verdict_file = cache / f"{directory.name if is_gguf else name}.gguf.json"
    file = _file_of(description, directory, verdict_file)
    header = _header(file)
    kind = header.fields.get("general.type", "model")
    if kind != "model" or not header.dimension("block_count"):
        msg = f"{file} is not a language model"
        raise NoGGUFError(msg)
    if is_gguf and _is_slow(header):
        source = file
        file = cache / f"{file.stem}-{file_key(file)}-q8_0.gguf"
        if not file.exists():
            _in_child(_rewrite, source, file)
    find_matrices = partial(_checked_matrices, file, directory, verdict_file)
    if description.kind == "directory":
        find_matrices()
    return BaseGGUF(file, find_matrices)


def _checked_matrices(
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
            raise NoGGUFError(str(error)) from error
        verdict = {**current, **_in_child(_check, file, directory)}
        write_json(verdict_file, verdict)
    if "error" in verdict:
        raise NoGGUFError(verdict["error"])
    return {name: Matrix(*found) for name, found in verdict["matrices"].items()}


def _in_child(function: Callable[..., Any], *paths: Path) -> Any:
    """Run a task in a child process: damaged files can end llama.cpp's process."""
    try:
        return call_in_child(function, *map(str, paths), threads=os.cpu_count() or 1)
    except ChildError as error:
        raise NoGGUFError(str(error)) from error


def _check(file: str, directory: str) -> dict[str, Any]:
    from langchain_chatexports.local_server.bases.gguf_check import check_gguf

    try:
        return {"matrices": check_gguf(Path(file), Path(directory))}
    except NoGGUFError as error:
        return {"error": str(error)}


def _rewrite(source: str, target: str) -> None:
    """Write a `.gguf` file again, with its quantized matrices in 8 bits."""
    written = Path(target)
    # Another process may do the same.
    beside = written.with_name(f".{written.name}.{secrets.token_hex(4)}")
    beside.touch(mode=0o600)
    try:
        rewrite(read_header(Path(source)), beside)
        replace(beside, written)
    finally:
        beside.unlink(missing_ok=True)


def _file_of(description: BaseDescription, directory: Path, verdict_file: Path) -> Path:
    if description.kind in {"wheel", "gguf"}:
        return Path(description.source)
    own = sorted(directory.glob("*.gguf"))
    if len(own) == 1:
        return own[0]
    if description.kind == "directory":
        msg = f"there are {len(own)} .gguf files in {directory}, and it needs one"
        raise NoGGUFError(msg)
    known = read_json(verdict_file) or {}
    if Path(known.get("file", "")).is_file():
        return Path(known["file"])
    try:
        found = download_gguf(description.source)
    except LocalServerError as error:
        raise NoGGUFError(str(error)) from error
    if found is None:
        msg = f"the publisher of {description.source} offers no .gguf file of it"
        raise NoGGUFError(msg)
    write_json(verdict_file, {**known, "file": str(found)})
    return found


def _is_slow(header: GGUFHeader) -> bool:
    kinds = {tensor.kind.name for tensor in header.tensors.values()}
    size = header.path.stat().st_size
    return bool(kinds & _SLOW_TYPES) and size <= _MAX_REWRITTEN_BYTES


def _directory_key(directory: Path) -> str:
    files = sorted(path for path in directory.iterdir() if path.is_file())
    text = "\n".join(map(file_key, files))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]


def _header(file: Path) -> GGUFHeader:
    try:
        return read_header(file)
    except GGUFFileError as error:
        msg = f"{file} is not usable: {error}"
        raise NoGGUFError(msg) from error
