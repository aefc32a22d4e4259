"""Checks of a base model's directory: what is missing, and what is unsafe to load."""

import re
from pathlib import Path

from langchain_chatexports._regular_files import check_regular_file
from langchain_chatexports.exceptions import ExportFormatError, LocalServerError
from langchain_chatexports.local_server.storage.data_directory import read_json

_SAFE_NAME = re.compile(r"[^/\\\0]*\.safetensors(?:\.index\.json)?")
# The largest open models have about 130. transformers builds as many as config.json
# claims before it looks at the weights, which could take hours.
_MAX_LAYERS = 1000


def missing_parts(directory: Path) -> list[str]:
    """Return what a directory lacks to be a base, in words."""
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

    transformers loads any file that an index names, by its suffix, an adapter that is
    in the same directory, and the weights that `config.json` names.
    """
    _refuse_pipes(directory)
    named = {
        name
        for index in directory.glob("*.safetensors.index.json")
        for name in _names_in_index(index)
    }
    config = read_json(directory / "config.json") or {}
    if config.get("transformers_weights") is not None:
        named.add(str(config["transformers_weights"]))
    unsafe = sorted(name for name in named if not _SAFE_NAME.fullmatch(name))
    if unsafe:
        msg = (
            f"The base model in {directory} names {unsafe[0][:80]!r} as weights. Only "
            "safetensors files in the directory are read: a pickle file (.bin) can "
            "run code. Save the model again with save_pretrained."
        )
        raise LocalServerError(msg)
    text_config = config.get("text_config")
    for part in (config, text_config if isinstance(text_config, dict) else {}):
        layers = part.get("num_hidden_layers")
        if isinstance(layers, int) and layers > _MAX_LAYERS:
            msg = f"The base model in {directory} claims to have {layers} layers."
            raise LocalServerError(msg)
    refuse_adapter(directory)


def refuse_adapter(directory: Path) -> None:
    """Refuse a directory with an adapter, which transformers would load too."""
    if (directory / "adapter_config.json").exists():
        msg = (
            f"There is an adapter (adapter_config.json) in {directory}, which would be "
            "loaded with the base model. Use a directory with the base alone, or one "
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
            # A dangling link, as an interrupted download leaves.
            continue


def _names_in_index(index: Path) -> list[str]:
    names = (read_json(index) or {}).get("weight_map")
    return (
        sorted({str(name) for name in names.values()})
        if isinstance(names, dict)
        else []
    )
