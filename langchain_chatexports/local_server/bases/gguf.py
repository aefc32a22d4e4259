"""The GGUF file of a base, for llama.cpp, and adapters for it.

A child process reads the file, so that this one imports neither NumPy nor torch. Before
an adapter is used, another one compares the file with the trained weights, once. The
results are cached.
"""

import hashlib
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.base import Base, find_base
from langchain_chatexports.local_server.bases.cache import (
    cache_folder,
    new_file,
    read_json,
    write_json,
)
from langchain_chatexports.local_server.bases.download import download_gguf
from langchain_chatexports.local_server.bases.gguf_adapter import (
    ADAPTER_FILE,
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
    find_directory,
)
from langchain_chatexports.local_server.processes import (
    ChildProcessFailedError,
    call_in_child,
    thread_count,
)

# Change this when more is compared.
_CHECK = "weights, chats and tokens"
_ENGINE = "xllamacpp"
# With these types, llama.cpp processes prompts half as fast as with Q8_0.
_SLOW_TYPES = {"Q4_1", "Q5_0", "Q5_1"}
# Larger models are bound by the size of their 8-bit weights.
_MAX_REWRITTEN_BYTES = 500_000_000


class GGUFFile(NamedTuple):
    """A base's file for llama.cpp."""

    path: Path
    bytes_per_token: int
    """The size of a token's keys and values."""

    record: Path
    """The cached results, which change when the file does."""


def find_gguf(base: Base) -> GGUFFile:
    """Return the GGUF file of a base, downloading it if needed.

    This is the base itself, a `.gguf` file in its directory, or the file of a hub
    model's publisher. A file next to the weights is compared with them immediately.
    Raises a `GGUFNotSupportedError` if llama.cpp cannot run the base.
    """
    if find_spec(_ENGINE) is None:
        msg = f"{_ENGINE} is not installed; there are wheels for most systems"
        raise GGUFNotSupportedError(msg)
    directory = find_directory(base)
    path = _record_path(base, directory)
    source = _choose_source(base, directory, path)
    current = {"source": str(source), "key": file_key(source)}
    record = read_json(path) or {}
    if any(record.get(name) != value for name, value in current.items()) or (
        not Path(record["file"]).is_file()
    ):
        is_own = base.kind in {"wheel", "gguf"}
        target = path.with_name(f"{source.stem}-{current['key']}-q8_0.gguf")
        task = (str(source), str(target) if is_own else None)
        record = {**current, **_run_in_child(_read_file, *task)}
        write_json(path, record)
    if base.kind == "directory":
        load_matrices(base)
    return GGUFFile(Path(record["file"]), record["bytes_per_token"], path)


def load_matrices(base: Base) -> dict[str, Matrix]:
    """Return a base's matrices in its GGUF file, compared with the trained weights.

    Raises a `GGUFNotSupportedError` if chats or weights differ.
    """
    directory = find_directory(base)
    path = _record_path(base, directory)
    record: dict[str, Any] = read_json(path) or {}
    if "file" not in record:
        msg = "its file has not been read"
        raise GGUFNotSupportedError(msg)
    check = [_CHECK, metadata.version(_ENGINE)]
    if record.get("check") != check:
        try:
            complete_base(directory, weights=True)
        except LocalServerError as error:
            raise GGUFNotSupportedError(str(error)) from error
        result = _run_in_child(_check, record["file"], str(directory))
        record = {**record, "error": None, **result, "check": check}
        write_json(path, record)
    if record["error"]:
        raise GGUFNotSupportedError(record["error"])
    return {name: Matrix(*fields) for name, fields in record["matrices"].items()}


def has_current_adapter(folder: Path, file: GGUFFile) -> bool:
    """Return whether an adapter's GGUF file has been written for this file."""
    try:
        written_at = (folder / ADAPTER_FILE).stat().st_mtime_ns
        return written_at >= file.record.stat().st_mtime_ns
    except FileNotFoundError:
        return False


def write_adapter(base: Base, folder: Path) -> None:
    """Write the GGUF file of an adapter, for the base's GGUF file.

    Raises a `GGUFNotSupportedError` if it cannot be written.
    """
    file = find_gguf(base).path  # The first time, it is read.
    matrices = load_matrices(base)
    try:
        write_gguf_adapter(folder, _read_header(file), matrices)
    except OSError as error:
        msg = f"{folder} cannot be written ({type(error).__name__})"
        raise GGUFNotSupportedError(msg) from error


def write_adapter_in_child(base: Base, folder: Path) -> None:
    """Write the GGUF file of an adapter without importing NumPy in this process."""
    _run_in_child(_write_adapter, base.id, str(folder))


def _write_adapter(base: str, folder: str) -> None:
    write_adapter(find_base(base), Path(folder))


def _record_path(base: Base, directory: Path) -> Path:
    # The directory of a .gguf file is named after the file's key, and files are added.
    name = directory.name
    if base.kind not in {"wheel", "gguf"}:
        files = sorted(path for path in directory.iterdir() if path.is_file())
        text = "\n".join(map(file_key, files))
        name = f"{base.name}-{hashlib.sha256(text.encode('ascii')).hexdigest()[:12]}"
    return cache_folder("bases") / f"{name}.gguf.json"


def _choose_source(base: Base, directory: Path, record: Path) -> Path:
    if base.kind in {"wheel", "gguf"} and base.path is not None:
        return base.path
    gguf_files = sorted(directory.glob("*.gguf"))
    if len(gguf_files) == 1:
        return gguf_files[0]
    if base.kind == "directory":
        msg = f"{directory} has {len(gguf_files)} .gguf files instead of one"
        raise GGUFNotSupportedError(msg)
    known = Path((read_json(record) or {}).get("source", ""))
    if known.is_file():
        return known
    try:
        downloaded = download_gguf(base.id)
    except LocalServerError as error:
        raise GGUFNotSupportedError(str(error)) from error
    if downloaded is None:
        msg = f"the hub has no .gguf file for {base.id}"
        raise GGUFNotSupportedError(msg)
    return downloaded


def _run_in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a child process, because damaged files crash llama.cpp."""
    try:
        return call_in_child(function, *arguments, threads=thread_count())
    except ChildProcessFailedError as error:
        raise GGUFNotSupportedError(str(error)) from error


def _read_file(source: str, target: str | None) -> dict[str, Any]:
    """Read a file's dimensions; write slow types to `target` with 8-bit matrices."""
    header = _read_header(Path(source))
    model_type = header.fields.get("general.type", "model")
    if model_type != "model" or not header.dimension("block_count"):
        msg = f"{source} is not a language model"
        raise GGUFNotSupportedError(msg)
    is_rewritten = target is not None and _is_slow(header)
    if target is not None and is_rewritten:
        # Another process may write the same file.
        with new_file(Path(target)) as temporary:
            rewrite(header, temporary)
    return {
        "file": target if is_rewritten else source,
        "bytes_per_token": _bytes_per_token(header),
    }


def _is_slow(header: GGUFHeader) -> bool:
    types = {tensor.kind.name for tensor in header.tensors.values()}
    size = header.path.stat().st_size
    return bool(types & _SLOW_TYPES) and size <= _MAX_REWRITTEN_BYTES


def _bytes_per_token(header: GGUFHeader) -> int:
    # llama.cpp allocates them at startup, as 16-bit floats.
    heads = header.dimension("attention.head_count") or 1
    default_size = header.dimension("embedding_length") // heads
    key_size = header.dimension("attention.key_length") or default_size
    key_heads = header.dimension("attention.head_count_kv") or heads
    return max(1, 2 * 2 * header.dimension("block_count") * key_heads * key_size)


def _check(file: str, directory: str) -> dict[str, Any]:
    from langchain_chatexports.local_server.bases.gguf_check import check_gguf

    try:
        return {"matrices": check_gguf(Path(file), Path(directory))}
    except GGUFNotSupportedError as error:
        return {"error": str(error)}


def _read_header(file: Path) -> GGUFHeader:
    try:
        return read_header(file)
    except GGUFFileError as error:
        msg = f"{file} could not be read: {error}"
        raise GGUFNotSupportedError(msg) from error
