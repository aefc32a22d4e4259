"""A child process that converts a base.

It reads its task as JSON from standard input, and prints one line of JSON.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path

from langchain_chatexports.local_server.bases.gguf_adapter import NoGGUFError
from langchain_chatexports.local_server.bases.gguf_header import read_header
from langchain_chatexports.local_server.bases.gguf_tokenizer import restore_split
from langchain_chatexports.local_server.storage.data_directory import replace

__all__ = ["convert_gguf", "main", "write_gguf"]


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
    if task["kind"] == "write":
        written = write_gguf(source, Path(task["target"]), task["quantization"])
        _check(written, source)
        return written
    if task["kind"] == "check":
        _check(source, Path(task["target"]))
        return source
    msg = f"unknown task {task['kind']}"
    raise ValueError(msg)


def _check(file: Path, directory: Path) -> None:
    from langchain_chatexports.local_server.bases.gguf_check import check_gguf

    check_gguf(file, directory)


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
    restore_split(tokenizer, str(split))
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


def write_gguf(source: Path, target: Path, quantization: str) -> Path:
    """Convert a directory in transformers' format to a `.gguf` file.

    Args:
        source: The directory.
        target: The file, which is renamed into place when it is complete.
        quantization: What the weights are written in.
    """
    from langchain_chatexports.local_server.bases.gguf_conversion import (
        write_base_gguf,
    )

    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    # The writer opens what is there, and leaves its mode.
    os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        write_base_gguf(source, beside, quantization)
        replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return target


def _explain(error: Exception) -> str:
    if getattr(error, "errno", None) == errno.ENOSPC:
        return "the disk is full."
    if isinstance(error, NoGGUFError):
        return str(error)
    sentence = (str(error).splitlines() or [""])[0][:300]
    return f"{type(error).__name__}: {sentence}"
