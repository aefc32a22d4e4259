"""A child process that converts a base.

It reads its task as JSON from standard input, and prints one line of JSON.
"""

import errno
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from langchain_chatexports.local_server.bases.gguf_adapter import NoGGUFError
from langchain_chatexports.local_server.bases.gguf_header import (
    read_header,
    rewrite,
)
from langchain_chatexports.local_server.storage.data_directory import (
    replace,
    write_json,
)

# The expressions of Qwen2 and Llama 3 differ in how many digits stay together.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPLITS = {"qwen2": _WORDS % "", "llama-bpe": _WORDS % "{1,3}"}


def main() -> None:
    """Run the task on standard input."""
    task = json.loads(sys.stdin.buffer.read())
    try:
        directory = _run(task)
    except ImportError as error:
        result = {"error": f"{error}. Install the extra 'local'."}
    except Exception as error:  # noqa: BLE001 - reported to the parent process.
        result = {"error": _explain(error)}
    else:
        result = {"directory": str(directory)}
    sys.stdout.write(f"\n{json.dumps(result)}\n")


def _run(task: dict[str, str]) -> Path:
    source = Path(task["source"])
    if task["kind"] == "gguf":
        return convert_gguf(source, Path(task["target"]))
    if task["kind"] == "rewrite":
        return rewrite_gguf(source, Path(task["target"]))
    if task["kind"] == "check":
        return _check(source, Path(task["directory"]), Path(task["target"]))
    msg = f"unknown task {task['kind']}"
    raise ValueError(msg)


def _check(file: Path, directory: Path, outcome: Path) -> Path:
    from langchain_chatexports.local_server.bases.gguf_check import check_gguf

    try:
        write_json(outcome, {"matrices": check_gguf(file, directory)})
    except NoGGUFError as error:
        write_json(outcome, {"error": str(error)})
    return outcome


def convert_gguf(source: Path, target: Path) -> Path:
    """Convert a `.gguf` file to a directory in transformers' format.

    Args:
        source: The file.
        target: The directory, which is renamed into place when it is complete.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # Before anything is built of it: counts beyond any model are refused.
    split = read_header(source).fields.get("tokenizer.ggml.pre")
    folder, name = str(source.parent), source.name
    tokenizer = AutoTokenizer.from_pretrained(
        folder, gguf_file=name, trust_remote_code=False
    )
    _restore_split(tokenizer, str(split))
    # Without `dequantize` the model loads but cannot be saved.
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=name,
        trust_remote_code=False,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    beside = target.with_name(f".{target.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700, parents=True)
    model.save_pretrained(beside)
    tokenizer.save_pretrained(beside)
    shutil.rmtree(target, ignore_errors=True)
    replace(beside, target)
    return target


def rewrite_gguf(source: Path, target: Path) -> Path:
    """Write a `.gguf` file again, with its quantized matrices in 8 bits.

    Args:
        source: The file.
        target: The new file, which is renamed into place when it is complete.
    """
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    beside.touch(mode=0o600)
    try:
        rewrite(read_header(source), beside)
        replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return target


def _restore_split(tokenizer: Any, name: str) -> None:
    """Let a tokenizer that transformers read from a GGUF file split texts as it says.

    transformers ignores `tokenizer.ggml.pre` of most architectures, and then, for
    example, leaves a space and a digit together that the model never saw together.

    Args:
        tokenizer: The tokenizer, which is changed.
        name: The value of `tokenizer.ggml.pre`; an unknown one changes nothing.
    """
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split

    first: Any = None
    if name in _SPLITS:
        first = Split(Regex(_SPLITS[name]), behavior="isolated")
    elif name == "smollm":
        first = Digits(individual_digits=True)
    if first is not None:
        bytes_ = ByteLevel(add_prefix_space=False, use_regex=name == "smollm")
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence([first, bytes_])


def _explain(error: Exception) -> str:
    if getattr(error, "errno", None) == errno.ENOSPC:
        return "the disk is full."
    if isinstance(error, NoGGUFError):
        return str(error)
    sentence = (str(error).splitlines() or [""])[0][:300]
    return f"{type(error).__name__}: {sentence}"
