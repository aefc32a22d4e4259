"""The directory of a base in transformers' format, and its conversion.

The tokenizer and configuration of a `.gguf` file are converted when a chat is counted,
scored or trained, and its weights when they are trained or transformers answers.
llama.cpp needs none of them. Conversions run in child processes, to free their memory
afterwards.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from langchain_chatexports._locks import ProcessLock
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.description import (
    BaseDescription,
    describe_base,
)
from langchain_chatexports.local_server.bases.download import (
    download_model,
    missing_parts,
)
from langchain_chatexports.local_server.bases.gguf_header import (
    STRING,
    GGUFFileError,
    GGUFHeader,
    GGUFList,
    read_header,
)
from langchain_chatexports.local_server.processes import ChildError, call_in_child
from langchain_chatexports.local_server.storage.data_directory import (
    read_json,
    replace,
    user_cache_dir,
    write_json,
)

# How long to wait for another process that converts the same base.
_WAIT_SECONDS = 900.0

# Increment it if the conversion changes.
_FORM = 3
_DIMENSIONS = ("block_count", "context_length", "embedding_length")
_SOURCE_FILE = "chatexports-source.json"
# The expressions of Qwen2 and Llama 3 differ in how many digits stay together.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPLITS = {"qwen2": _WORDS % "", "llama-bpe": _WORDS % "{1,3}"}


def base_directory(description: BaseDescription) -> Path:
    """Return the directory of a base, without converting it; download it if needed.

    The directory of a `.gguf` file is in the user's cache; `complete_base` converts its
    missing files. A `LocalServerError` has the reason if a
    base cannot be used.
    """
    if description.kind == "directory":
        return Path(description.source)
    if description.kind == "hub":
        found = download_model(description.source)
        describe_base(found)
        return found
    file = Path(description.source)
    key = file_key(file)
    _read_header(file)
    target = user_cache_dir() / "bases" / f"{description.name}-{key}-{_FORM}"
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (target / _SOURCE_FILE).exists():
        write_json(target / _SOURCE_FILE, {"file": str(file.absolute())})
    return target


def prepare_base(description: BaseDescription) -> Path:
    """Return the directory of a base with all of its files, ready to load."""
    directory = base_directory(description)
    complete_base(directory, weights=True)
    return directory


def gguf_header_of(directory: Path) -> GGUFHeader | None:
    """Return the header of the `.gguf` file from which a directory was converted."""
    source = read_json(directory / _SOURCE_FILE)
    return None if source is None else _read_header(Path(str(source.get("file"))))


def complete_base(directory: Path, *, weights: bool = False) -> None:
    """Convert the missing files of a base: its tokenizer, or also its weights."""
    source = read_json(directory / _SOURCE_FILE)
    if source is None or is_complete(directory, weights=weights):
        return
    with ProcessLock(directory.with_suffix(".lock")) as lock:
        if not lock.acquire(timeout=_WAIT_SECONDS):
            msg = f"Another process has been converting {source['file']} for too long."
            raise LocalServerError(msg)
        if is_complete(directory, weights=weights):
            return
        task = (source["file"], str(directory), weights)
        try:
            call_in_child(_convert, *task, threads=os.cpu_count() or 1)
        except ChildError as error:
            msg = f"transformers cannot read {source['file']}: {error}"
            raise LocalServerError(msg) from error


def file_key(file: Path) -> str:
    """Return a short key that changes with a file's path, size or modification time."""
    found = file.stat()
    text = f"{file.resolve()}\n{found.st_size}\n{found.st_mtime_ns}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def is_complete(directory: Path, *, weights: bool = False) -> bool:
    """Return whether the conversion is complete."""
    if weights:
        return not missing_parts(directory)
    return (directory / "config.json").exists()


def _read_header(file: Path) -> GGUFHeader:
    try:
        header = read_header(file)
    except GGUFFileError as error:
        msg = f"The base model {file} cannot be used: {error}."
        raise LocalServerError(msg) from error
    tokens = header.fields.get("tokenizer.ggml.tokens")
    has_tokens = isinstance(tokens, GGUFList) and tokens.kind == STRING
    if not has_tokens or not all(map(header.dimension, _DIMENSIONS)):
        msg = f"The base model {file} is not a complete language model."
        raise LocalServerError(msg)
    return header


def _convert(file: str, directory: str, weights: bool) -> None:
    """Convert a `.gguf` file to transformers' format."""
    import numpy as np
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source, target = Path(file), Path(directory)
    memmap: Any = np.memmap
    # The package `gguf` makes an array of each token, which is four times as fast with
    # plain arrays.
    np.memmap = lambda *given, **more: np.asarray(memmap(*given, **more))  # type: ignore[assignment,misc]
    given: dict[str, Any] = {"gguf_file": source.name, "trust_remote_code": False}
    folder = str(source.parent)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=target) as temporary:
        if weights:
            # Without `dequantize` the model loads but cannot be saved.
            model = AutoModelForCausalLM.from_pretrained(
                folder,
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.bfloat16,
                **given,
            )
            model.save_pretrained(temporary)
        else:
            AutoConfig.from_pretrained(folder, **given).save_pretrained(temporary)
        if not is_complete(target):
            tokenizer = AutoTokenizer.from_pretrained(folder, **given)
            _restore_split(tokenizer, read_header(source))
            tokenizer.save_pretrained(temporary)
        # The index of several weight files is first, and shows missing ones; the
        # configuration is last.
        written = sorted(Path(temporary).iterdir(), key=_order_of_file)
        for each in written:
            replace(each, target / each.name)


def _order_of_file(file: Path) -> int:
    return (file.name == "config.json") - file.name.endswith(".index.json")


def _restore_split(tokenizer: Any, header: GGUFHeader) -> None:
    """Let a tokenizer from a GGUF file split texts as the file specifies.

    transformers ignores `tokenizer.ggml.pre` of most architectures, and may then, for
    example, join a space and a digit, which the model's training always split.
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
