"""A child process that converts or checks the files of a base.

It reads its task as JSON from standard input; why it failed is a line of JSON.
"""

import errno
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from langchain_chatexports.local_server.bases.gguf_adapter import NoGGUFError
from langchain_chatexports.local_server.bases.gguf_check import check_gguf
from langchain_chatexports.local_server.bases.gguf_header import (
    GGUFHeader,
    read_header,
    rewrite,
)
from langchain_chatexports.local_server.bases.preparation import is_complete
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
    source, target = Path(task["source"]), Path(task["target"])
    try:
        if task["kind"] == "rewrite":
            _rewrite(source, target)
        elif task["kind"] == "check":
            write_json(target, _check(source, Path(task["directory"])))
        else:
            _convert(source, target, weights=task["kind"] == "weights")
    except Exception as error:  # noqa: BLE001 - reported to the parent process.
        sys.stdout.write(f"\n{json.dumps({'error': _explain(error)})}\n")
        raise SystemExit(1) from None


def _check(file: Path, directory: Path) -> dict[str, Any]:
    try:
        return {"matrices": check_gguf(file, directory)}
    except NoGGUFError as error:
        return {"error": str(error)}


def _convert(source: Path, target: Path, *, weights: bool) -> None:
    """Convert a `.gguf` file to transformers' format."""
    import numpy as np
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig

    memmap: Any = np.memmap
    # The package `gguf` makes an array of each token: four times as fast if these are
    # plain ones.
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
        # The index of several files of weights comes first, and shows what is missing;
        # the configuration comes last.
        written = sorted(Path(temporary).iterdir(), key=_order_of_file)
        for file in written:
            replace(file, target / file.name)


def _order_of_file(file: Path) -> int:
    return (file.name == "config.json") - file.name.endswith(".index.json")


def _rewrite(source: Path, target: Path) -> None:
    """Write a `.gguf` file again, with its quantized matrices in 8 bits."""
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    beside.touch(mode=0o600)
    try:
        rewrite(read_header(source), beside)
        replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def _restore_split(tokenizer: Any, header: GGUFHeader) -> None:
    """Let a tokenizer that transformers read from a GGUF file split texts as it says.

    transformers ignores `tokenizer.ggml.pre` of most architectures, and then, for
    example, leaves a space and a digit together that the model never saw together.
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


def _explain(error: Exception) -> str:
    if getattr(error, "errno", None) == errno.ENOSPC:
        return "the disk is full."
    sentence = (str(error).splitlines() or [""])[0][:300]
    return f"{type(error).__name__}: {sentence}"
