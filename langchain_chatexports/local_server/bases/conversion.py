"""A child process that converts a GGUF file, or downloads a model from the hub.

It reads its task as JSON from standard input, and prints one line of JSON.
"""

from __future__ import annotations

import errno
import json
import logging
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from langchain_chatexports.local_server.bases.safety import missing_parts
from langchain_chatexports.local_server.storage.data_directory import replace

__all__ = ["convert_gguf", "fetch", "main"]

logger = logging.getLogger(__name__)

# Safetensors weights only: pickle files can run code when they are read.
_PATTERNS = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "LICENSE*")


def main() -> None:
    """Run the task on standard input."""
    task = json.loads(sys.stdin.buffer.read())
    try:
        if task["kind"] == "gguf":
            directory = convert_gguf(Path(task["source"]), Path(task["target"]))
        else:
            directory = fetch(task["source"])
    except ImportError as error:
        result = {"error": f"{error}. Install the extra 'local'."}
    except Exception as error:  # noqa: BLE001 - reported to the parent process.
        result = {"error": _explain(error, task["source"])}
    else:
        result = {"directory": str(directory)}
    sys.stdout.write(f"\n{json.dumps(result)}\n")


def convert_gguf(source: Path, target: Path) -> Path:
    """Convert a `.gguf` file to a directory in transformers' format.

    Args:
        source: The file.
        target: The directory, which is renamed into place when it is complete.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder, name = str(source.parent), source.name
    tokenizer = AutoTokenizer.from_pretrained(
        folder, gguf_file=name, trust_remote_code=False
    )
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
    sentence = (str(error).splitlines() or [""])[0][:300]
    return f"{type(error).__name__}: {sentence}"
