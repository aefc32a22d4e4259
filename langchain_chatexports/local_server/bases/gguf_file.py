"""The GGUF form of a base and of an adapter, which llama.cpp reads."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_chatexports._locks import ProcessLock
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.gguf_adapter import (
    ADAPTER_FILE,
    NoGGUFError,
    check_gguf_adapter,
    write_gguf_adapter,
)
from langchain_chatexports.local_server.bases.gguf_conversion import QUANTIZATIONS
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

if TYPE_CHECKING:
    from langchain_chatexports.local_server.bases.description import BaseDescription

__all__ = [
    "DEFAULT_QUANTIZATION",
    "QUANTIZATIONS",
    "NoGGUFError",
    "check_quantization",
    "gguf_of_adapter",
    "gguf_of_base",
]

DEFAULT_QUANTIZATION = "q8_0"
"""What a base is converted to unless another is asked for."""

# Other than of an earlier release if the same base is converted in another way.
_FORM = 1
_ENGINE = "xllamacpp"


def gguf_of_base(
    description: BaseDescription,
    directory: Path,
    *,
    quantization: str | None = None,
    cache_dir: Path | None = None,
) -> Path:
    """Return the GGUF file of a base; convert it if needed.

    A file that is found or made is loaded by llama.cpp once, in a child process, and
    texts in many languages are tokenized there and by transformers. The outcome is
    kept with the converted bases.

    Args:
        description: The base.
        directory: The same base in transformers' format, as `prepare_base` returns it.
        quantization: One of `QUANTIZATIONS` for a base that is converted.
        cache_dir: Where to keep converted bases, instead of the user's cache.

    Returns:
        The `.gguf` file that the base is, or the converted one. The default base is
        converted, too: llama.cpp reads its own type, Q4_1, more slowly.

    Raises:
        NoGGUFError: If there is none that llama.cpp reads as transformers does.
        LocalServerError: If `quantization` has another value, or the base is a `.gguf`
            file, which is served as it is.
    """
    check_quantization(description, quantization)
    if find_spec(_ENGINE) is None:
        msg = f"{_ENGINE} is not installed"
        raise NoGGUFError(msg)
    cache = (cache_dir or user_cache_dir()) / "bases"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    if description.kind == "gguf":
        file = Path(description.source)
        is_new = False
    else:
        chosen = quantization or DEFAULT_QUANTIZATION
        file = cache / f"{description.name}-{_key(directory)}-{chosen}.gguf"
        with _locked(file):
            is_new = not file.exists()
            if is_new:
                # It is checked in the same process: importing takes most of the time.
                task = {"kind": "write", "source": str(directory), "target": str(file)}
                _run({**task, "quantization": chosen})
    _check_header(file)
    _check_once(file, directory, cache, is_checked=is_new)
    return file


def check_quantization(
    description: BaseDescription | None, quantization: str | None
) -> None:
    """Refuse a quantization that a base cannot have.

    Args:
        description: The base; `None` for a merged model, which can have each.
        quantization: What its weights are written in, or `None` for the default.

    Raises:
        LocalServerError: If there is none of this name, or the base is a `.gguf` file.
    """
    if quantization is None:
        return
    if quantization not in QUANTIZATIONS:
        msg = (
            f"There is no quantization {quantization!r}: choose one of "
            f"{', '.join(QUANTIZATIONS)}."
        )
        raise LocalServerError(msg)
    if description is not None and description.kind == "gguf":
        msg = (
            f"{description.name} is a .gguf file, which is served as it is. Leave the "
            "quantization out, or use a base in transformers' format."
        )
        raise LocalServerError(msg)


def gguf_of_adapter(folder: Path, base_directory: Path, base_gguf: Path) -> Path:
    """Return the GGUF file of an adapter, which fits the base; write it if needed.

    Args:
        folder: The folder of a tuned model or checkpoint, in PEFT's format.
        base_directory: Its base in transformers' format.
        base_gguf: The base's GGUF file.

    Raises:
        NoGGUFError: If the adapter has no such form, is damaged or of another base.
    """
    base = _header(base_gguf)
    file = folder / ADAPTER_FILE
    if file.exists():
        with suppress(NoGGUFError):
            check_gguf_adapter(file, base)
            return file
    # Models of earlier releases have none.
    try:
        write_gguf_adapter(folder, base_directory)
    except OSError as error:
        msg = f"{file} cannot be written ({type(error).__name__})"
        raise NoGGUFError(msg) from error
    check_gguf_adapter(file, base)
    return file


def _check_header(file: Path) -> None:
    header = _header(file)
    architecture = header.fields.get("general.architecture")
    layers = header.fields.get(f"{architecture}.block_count")
    if header.fields.get("general.type", "model") != "model" or not layers:
        msg = f"{file} is no language model"
        raise NoGGUFError(msg)


def _check_once(file: Path, directory: Path, cache: Path, *, is_checked: bool) -> None:
    verdict = {"file": file_key(file), "engine": metadata.version(_ENGINE)}
    kept = cache / f"{file.stem[:80]}-{verdict['file']}.checked.json"
    if read_json(kept) == verdict:
        return
    with _locked(kept):
        if not is_checked:
            _run({"kind": "check", "source": str(file), "target": str(directory)})
        write_json(kept, verdict)


def _run(task: dict[str, str]) -> None:
    result = run_conversion(task)
    if "error" in result:
        raise NoGGUFError(result["error"])


def _locked(target: Path) -> ProcessLock:
    lock = ProcessLock(target.with_name(f"{target.name}.lock"))
    if not lock.acquire(timeout=CONVERSION_WAIT_SECONDS):
        msg = f"another process has been converting {target.name} for too long"
        raise NoGGUFError(msg)
    return lock


def _key(directory: Path) -> str:
    files = sorted(path for path in directory.iterdir() if path.is_file())
    text = "\n".join([str(_FORM), *map(file_key, files)])
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]


def _header(file: Path) -> GGUFHeader:
    try:
        found = file.stat()
        return _cached_header(file, found.st_size, found.st_mtime_ns)
    except (GGUFFileError, OSError) as error:
        msg = f"{file} is not usable: {error}"
        raise NoGGUFError(msg) from error


@lru_cache(maxsize=4)
def _cached_header(file: Path, _size: int, _changed: int) -> GGUFHeader:
    return read_header(file)
