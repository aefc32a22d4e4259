"""A process of its own that converts a GGUF file, or fetches a model from the hub.

It reads its order as JSON from standard input and answers with one line of JSON.
"""

from __future__ import annotations

import errno
import json
import logging
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from langchain_chatexports.local_server.bases.sources import missing_parts
from langchain_chatexports.local_server.storage.data_directory import replace

__all__ = ["convert_gguf", "fetch", "main"]

logger = logging.getLogger(__name__)

# Weights in safetensors only: pickle files run code when they are read.
_PATTERNS = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "LICENSE*")


def main() -> None:
    """Do what standard input asks for."""
    order = json.loads(sys.stdin.buffer.read())
    try:
        if order["kind"] == "gguf":
            directory = convert_gguf(Path(order["source"]), Path(order["target"]))
        else:
            directory = fetch(order["source"])
    except ImportError as error:
        answer = {"error": f"{error}. Install the extra 'local'."}
    except Exception as error:  # noqa: BLE001 - told to the parent, in one sentence.
        answer = {"error": _explain(error, order["source"])}
    else:
        answer = {"directory": str(directory)}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")


def convert_gguf(source: Path, target: Path) -> Path:
    """Convert a `.gguf` file to a directory in transformers' format.

    Args:
        source: The file.
        target: The directory, which appears whole or not at all.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder, name = str(source.parent), source.name
    tokenizer = AutoTokenizer.from_pretrained(
        folder, gguf_file=name, trust_remote_code=False
    )
    # Without `dequantize` the model loads, and cannot be saved.
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


def fetch(hub_id: str) -> Path:
    """Return the local copy of a hub model, fetched if it is not there yet."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    with suppress(LocalEntryNotFoundError):
        found = Path(
            snapshot_download(
                hub_id, allow_patterns=list(_PATTERNS), local_files_only=True
            )
        )
        # A fetch that was cut off leaves a part, and this one goes on with it.
        if not missing_parts(found):
            return found
    logger.warning("Fetching %s from huggingface.co", hub_id)
    return Path(snapshot_download(hub_id, allow_patterns=list(_PATTERNS)))


def _explain(error: Exception, source: str) -> str:
    # By name: huggingface_hub may be what could not be imported.
    names = {kind.__name__ for kind in type(error).__mro__}
    if "GatedRepoError" in names:
        return (
            f"its owner asks for an agreement. Accept it at https://huggingface.co/"
            f"{source}, and log in with: hf auth login"
        )
    if "RepositoryNotFoundError" in names:
        return "there is no such model on huggingface.co, or it is a private one."
    if "LocalEntryNotFoundError" in names or "ConnectionError" in names:
        return (
            "it is not on this machine, and huggingface.co cannot be reached. Check "
            "the network, or give the directory of a model that is here."
        )
    if getattr(error, "errno", None) == errno.ENOSPC:
        return "the disk is full."
    sentence = (str(error).splitlines() or [""])[0][:300]
    return f"{type(error).__name__}: {sentence}"
