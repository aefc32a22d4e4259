"""Load a base's text model and find its layers for adapters."""

import re
import shutil
import warnings
from pathlib import Path
from typing import Any

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.base import check_safe
from langchain_chatexports.local_server.bases.devices import choose_dtype
from langchain_chatexports.local_server.bases.preparation import complete_base

_FILES_ONLY: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def load_base(directory: Path, device: str, dtype: str | None = None) -> Any:
    """Load a base's text model from safetensors to a device."""
    complete_base(directory, weights=True)
    check_safe(directory)
    import torch

    precision = getattr(torch, dtype or choose_dtype(device))
    _, model_class = config_and_class(directory)
    model = model_class.from_pretrained(
        directory, dtype=precision, use_safetensors=True, **_FILES_ONLY
    )
    _remove_other_parts(model)
    return model.to(device)


def save_adapter(model: Any, folder: Path) -> None:
    """Save a PEFT adapter as safetensors, without PEFT's model card."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)


def is_adapter(folder: Path) -> bool:
    """Return whether a folder contains a safetensors adapter."""
    return all(
        (folder / name).is_file()
        for name in ("adapter_config.json", "adapter_model.safetensors")
    )


def find_adapted_layers(model: Any) -> list[str] | str:
    """Return a model's linear layers for an adapter, as PEFT's `target_modules`.

    These are the linear layers in the numbered blocks of the text decoder, except for
    those that PEFT rejects. Heads, projectors, and vision and audio towers are
    excluded. The result is a list of name suffixes, or a regular expression if these
    would match other layers.
    """
    from torch.nn import Linear

    decoder = model.get_decoder()
    prefix = next(name for name, part in model.named_modules() if part is decoder)
    in_block = re.compile(rf"{re.escape(prefix)}(?:\.\w+)*?\.\d+\..+")
    linear = [name for name, part in model.named_modules() if isinstance(part, Linear)]
    block_layers = [name for name in linear if in_block.fullmatch(name)]
    leaves = {name.rpartition(".")[2] for name in block_layers}
    adapted = sorted(leaves)
    if not _accepts_adapters(model, adapted):
        adapted = [leaf for leaf in adapted if _accepts_adapters(model, [leaf])]
    if not adapted:
        msg = "it has no linear layers in numbered blocks"
        raise LocalServerError(msg)
    others = {name.rpartition(".")[2] for name in set(linear) - set(block_layers)}
    if decoder is model.base_model and others.isdisjoint(adapted):
        return adapted
    return rf"{re.escape(prefix)}\.(?:\w+\.)*\d+\.(?:\w+\.)*(?:{'|'.join(adapted)})"


def config_and_class(directory: Path) -> tuple[Any, Any]:
    """Return a base's configuration and its class in transformers."""
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
    )

    config = AutoConfig.from_pretrained(directory, **_FILES_ONLY)
    for model_class in (AutoModelForCausalLM, AutoModelForImageTextToText):
        if type(config) in model_class._model_mapping:  # noqa: SLF001 - no public API
            return config, model_class
    msg = f"transformers has no text model of type {config.model_type}"
    raise LocalServerError(msg)


def _remove_other_parts(model: Any) -> None:
    """Remove the vision and audio towers of a multimodal model."""
    inner, decoder = model.base_model, model.get_decoder()
    if any(part is decoder for part in inner.children()):
        for name, part in list(inner.named_children()):
            if part is not decoder:
                setattr(inner, name, None)


def _accepts_adapters(model: Any, layers: list[str]) -> bool:
    import torch
    from peft import LoraConfig, get_peft_model

    with torch.device("meta"):
        empty_model = type(model)(model.config)
    _remove_other_parts(empty_model)
    # PEFT draws random weights: the state of the generator, which the seed of a job
    # has set, is restored for its adapter.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # PEFT uses an attribute that transformers deprecates.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            get_peft_model(empty_model, LoraConfig(target_modules=layers))
        except ValueError:
            return False
    return True
