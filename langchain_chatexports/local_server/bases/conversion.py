"""A child process that converts a base, or downloads it from the hub.

It reads its task as JSON from standard input, and prints one line of JSON.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from langchain_chatexports.local_server.bases.gguf_adapter import NoGGUFError
from langchain_chatexports.local_server.bases.gguf_header import read_header
from langchain_chatexports.local_server.bases.gguf_tokenizer import restore_split
from langchain_chatexports.local_server.bases.safety import missing_parts
from langchain_chatexports.local_server.storage.data_directory import replace

__all__ = ["convert_gguf", "fetch", "main", "write_gguf"]

logger = logging.getLogger(__name__)

# Safetensors weights only: pickle files can run code when they are read.
_PATTERNS = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "LICENSE*")


def main() -> None:
    """Run the task on standard input."""
    task = json.loads(sys.stdin.buffer.read())
    try:
        directory = _run(task)
    except ImportError as error:
        result = {"error": f"{error}. Install the extra 'local'."}
    except Exception as error:  # noqa: BLE001 - reported to the parent process.
        result = {"error": _explain(error, task["source"])}
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
    return fetch(task["source"])


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


def fetch(hub_id: str) -> Path:
    """Return the local copy of a hub model; download it if needed."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    with suppress(LocalEntryNotFoundError):
        found = Path(
            snapshot_download(
                hub_id, allow_patterns=list(_PATTERNS), local_files_only=True
            )
        )
        # An interrupted download is continued below.
        if not missing_parts(found):
            return found
    logger.warning("Downloading %s from huggingface.co", hub_id)
    return Path(snapshot_download(hub_id, allow_patterns=list(_PATTERNS)))


def _explain(error: Exception, source: str) -> str:
    # By name: huggingface_hub may be what could not be imported.
    names = {kind.__name__ for kind in type(error).__mro__}
    if "GatedRepoError" in names:
        return (
            f"its owner requires an agreement. Accept it at https://huggingface.co/"
            f"{source}, and log in with: hf auth login"
        )
    if "RepositoryNotFoundError" in names:
        return "there is no such model on huggingface.co, or it is private."
    if "LocalEntryNotFoundError" in names or "ConnectionError" in names:
        return (
            "it is not on this machine, and huggingface.co cannot be reached. Check "
            "the network, or use the directory of a model on this machine."
        )
    if getattr(error, "errno", None) == errno.ENOSPC:
        return "the disk is full."
    if isinstance(error, NoGGUFError):
        return str(error)
    sentence = (str(error).splitlines() or [""])[0][:300]
    return f"{type(error).__name__}: {sentence}"
