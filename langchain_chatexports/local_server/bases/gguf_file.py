"""The GGUF file of a base, which llama.cpp answers from."""

import hashlib
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from langchain_chatexports._locks import ProcessLock
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.description import BaseDescription
from langchain_chatexports.local_server.bases.download import download_gguf
from langchain_chatexports.local_server.bases.gguf_adapter import (
    ADAPTER_FILE,
    Matrix,
    NoGGUFError,
    check_gguf_adapter,
    write_gguf_adapter,
)
from langchain_chatexports.local_server.bases.gguf_header import (
    GGUFFileError,
    GGUFHeader,
    read_header,
)
from langchain_chatexports.local_server.bases.preparation import (
    CONVERSION_WAIT_SECONDS,
    file_key,
    run_conversion,
)
from langchain_chatexports.local_server.storage.data_directory import (
    read_json,
    user_cache_dir,
    write_json,
)

# Another one if more is compared.
_CHECK = "tokens, chats, weights and answers"
_ENGINE = "xllamacpp"
# llama.cpp reads a prompt in these types half as fast as in Q8_0.
_SLOW_TYPES = {"Q4_1", "Q5_0", "Q5_1"}
# A larger model would be slowed down by the size of its weights in 8 bits.
_MAX_REWRITTEN_BYTES = 500_000_000


@dataclass(frozen=True)
class BaseGGUF:
    """A base's GGUF file, and where its trained matrices are in it."""

    file: Path
    key: str
    """What names the file, and changes with it."""

    matrices: dict[str, Matrix]

    def adapter_file(self, folder: Path) -> Path:
        """Return the GGUF file of an adapter; write it if needed.

        Args:
            folder: The folder of a tuned model or checkpoint, in PEFT's format.

        Raises:
            NoGGUFError: If the adapter has no such form, is damaged or of another base.
        """
        header = _header(self.file)
        written = folder / ADAPTER_FILE
        if written.exists():
            try:
                check_gguf_adapter(written, header, self.key)
            except NoGGUFError:
                pass  # Of another file, or damaged: it is written again.
            else:
                return written
        try:
            return write_gguf_adapter(folder, header, self.matrices, self.key)
        except OSError as error:
            msg = f"{written} cannot be written ({type(error).__name__})"
            raise NoGGUFError(msg) from error


def gguf_of_base(
    description: BaseDescription, directory: Path, *, cache_dir: Path | None = None
) -> BaseGGUF:
    """Return the GGUF file of a base; download it if needed.

    It is the `.gguf` file that the base is or that is in its directory, or the one that
    the publisher of a hub model offers. It is compared with the trained weights once,
    in a child process, and the outcome is kept in the user's cache.

    Args:
        description: The base.
        directory: The same base in transformers' format, as `prepare_base` returns it.
        cache_dir: Where to keep files, instead of the user's cache.

    Raises:
        NoGGUFError: If there is none from which llama.cpp answers as transformers does.
    """
    if find_spec(_ENGINE) is None:
        msg = f"{_ENGINE} is not installed"
        raise NoGGUFError(msg)
    cache = (cache_dir or user_cache_dir()) / "bases"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    record = cache / f"{description.name}-{_directory_key(directory)}.gguf.json"
    lock = ProcessLock(record.with_suffix(".lock"))
    if not lock.acquire(timeout=CONVERSION_WAIT_SECONDS):
        msg = f"another process has been checking {description.name} for too long"
        raise NoGGUFError(msg)
    with lock:
        return _find_and_check(description, directory, record)


def _find_and_check(
    description: BaseDescription, directory: Path, record: Path
) -> BaseGGUF:
    kept: dict[str, Any] = read_json(record) or {}
    file = _file_of(description, directory, kept)
    header = _header(file)
    if header.fields.get("general.type", "model") != "model" or not header.blocks:
        msg = f"{file} is not a language model"
        raise NoGGUFError(msg)
    if description.kind in {"wheel", "gguf"} and _is_slow(header):
        file = record.with_name(f"{file.stem}-{file_key(file)}-q8_0.gguf")
        if not file.exists():
            _run({"kind": "rewrite", "source": str(header.path), "target": str(file)})
    verdict = {
        "file": str(file),
        "key": file_key(file),
        "engine": metadata.version(_ENGINE),
        "check": _CHECK,
    }
    if any(kept.get(name) != value for name, value in verdict.items()):
        found = record.with_suffix(".new")
        task = {"source": str(file), "directory": str(directory), "target": str(found)}
        _run({"kind": "check", **task})
        kept = {**verdict, **(read_json(found) or {})}
        write_json(record, kept)
        found.unlink()
    if "error" in kept:
        raise NoGGUFError(kept["error"])
    matrices = {name: Matrix(*found) for name, found in kept["matrices"].items()}
    return BaseGGUF(file, verdict["key"], matrices)


def _file_of(
    description: BaseDescription, directory: Path, kept: dict[str, Any]
) -> Path:
    if description.kind in {"wheel", "gguf"}:
        return Path(description.source)
    own = sorted(directory.glob("*.gguf"))
    if len(own) == 1:
        return own[0]
    if description.kind == "directory":
        msg = f"there are {len(own)} .gguf files in {directory}, and it needs one"
        raise NoGGUFError(msg)
    if Path(kept.get("file", "")).is_file():
        return Path(kept["file"])
    try:
        found = download_gguf(description.source)
    except LocalServerError as error:
        raise NoGGUFError(str(error)) from error
    if found is None:
        msg = f"the publisher of {description.source} offers no .gguf file of it"
        raise NoGGUFError(msg)
    return found


def _is_slow(header: GGUFHeader) -> bool:
    kinds = {tensor.kind.name for tensor in header.tensors.values()}
    size = header.path.stat().st_size
    return bool(kinds & _SLOW_TYPES) and size <= _MAX_REWRITTEN_BYTES


def _run(task: dict[str, str]) -> None:
    result = run_conversion(task)
    if "error" in result:
        raise NoGGUFError(result["error"])


def _directory_key(directory: Path) -> str:
    files = sorted(path for path in directory.iterdir() if path.is_file())
    text = "\n".join(map(file_key, files))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]


def _header(file: Path) -> GGUFHeader:
    try:
        return read_header(file)
    except (GGUFFileError, OSError) as error:
        msg = f"{file} is not usable: {error}"
        raise NoGGUFError(msg) from error
