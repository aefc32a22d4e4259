"""Loading of a base's text model, and its layers for adapters."""

import hashlib
import re
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.description import check_safe
from langchain_chatexports.local_server.bases.devices import choose_dtype
from langchain_chatexports.local_server.bases.preparation import complete_base
from langchain_chatexports.local_server.processes import ChildError, call_in_child
from langchain_chatexports.local_server.storage.data_directory import (
    user_cache_dir,
    write_json,
)

_FILES_ONLY: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def load_base(directory: Path, device: str, dtype: str | None = None) -> Any:
    """Load a base's text model from safetensors to a device."""
    complete_base(directory, weights=True)
    check_safe(directory)
    import torch

    precision = getattr(torch, dtype or choose_dtype(device))
    _, kind = config_and_class(directory)
    model = kind.from_pretrained(
        directory, dtype=precision, use_safetensors=True, **_FILES_ONLY
    )
    _remove_other_parts(model)
    return model.to(device)


def check_trainable(directory: Path) -> None:
    """Raise an error for a base without support for adapters.

    A child process builds the model without weights, and an adapter for it. This takes
    four CPU seconds, once for each base and release of the libraries.
    """
    complete_base(directory)
    config = (directory / "config.json").read_bytes()
    versions = [version(name) for name in ("transformers", "peft")]
    key = hashlib.sha256(config + repr(versions).encode("ascii")).hexdigest()[:16]
    folder = user_cache_dir() / "trials"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    cached = folder / f"{key}.json"
    if cached.exists():
        return
    try:
        layers = call_in_child(_find_adapted_layers, str(directory))
    except ChildError as error:
        raise LocalServerError(str(error)) from error
    write_json(cached, {"layers": layers})


def _find_adapted_layers(directory: str) -> list[str] | str:
    return adapted_layers(model_outline(Path(directory)))


def model_outline(directory: Path) -> Any:
    """Return a base's text model without weights, which needs no memory."""
    complete_base(directory)
    check_safe(directory)
    import torch

    config, kind = config_and_class(directory)
    with torch.device("meta"):
        model = kind.from_config(config)
    _remove_other_parts(model)
    return model


def adapted_layers(model: Any) -> list[str] | str:
    """Return the linear layers of a model for an adapter, in PEFT's form.

    These are the ones in the numbered blocks of the text decoder, without those that
    PEFT refuses. Heads, projectors, and vision and audio parts are excluded. The result
    is the last parts of their names, or a regular expression if other layers have the
    same ones.
    """
    from torch.nn import Linear

    decoder = model.get_decoder()
    prefix = next(name for name, part in model.named_modules() if part is decoder)
    in_block = re.compile(rf"{re.escape(prefix)}(?:\.\w+)*?\.\d+\..+")
    linear = [name for name, part in model.named_modules() if isinstance(part, Linear)]
    inside = [name for name in linear if in_block.fullmatch(name)]
    leaves = {name.rpartition(".")[2] for name in inside}
    taken = sorted(leaves)
    if not _takes_adapters(model, taken):
        taken = [leaf for leaf in taken if _takes_adapters(model, [leaf])]
    if not taken:
        msg = "it has no linear layers in numbered blocks"
        raise LocalServerError(msg)
    others = {name.rpartition(".")[2] for name in set(linear) - set(inside)}
    if decoder is model.base_model and others.isdisjoint(taken):
        return taken
    return rf"{re.escape(prefix)}\.(?:\w+\.)*\d+\.(?:\w+\.)*(?:{'|'.join(taken)})"


def config_and_class(directory: Path) -> tuple[Any, Any]:
    """Return a base's configuration and its class in transformers."""
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
    )

    config = AutoConfig.from_pretrained(directory, **_FILES_ONLY)
    for kind in (AutoModelForCausalLM, AutoModelForImageTextToText):
        if type(config) in kind._model_mapping:  # noqa: SLF001 - nothing public has it.
            return config, kind
    msg = f"transformers has no text model of the type {config.model_type}"
    raise LocalServerError(msg)


def _remove_other_parts(model: Any) -> None:
    """Remove vision and audio parts from a model with several parts."""
    inner, decoder = model.base_model, model.get_decoder()
    if any(part is decoder for part in inner.children()):
        for name, part in list(inner.named_children()):
            if part is not decoder:
                setattr(inner, name, None)


def _takes_adapters(model: Any, layers: list[str]) -> bool:
    import torch
    from peft import LoraConfig, get_peft_model

    with torch.device("meta"):
        outline = type(model)(model.config)
    _remove_other_parts(outline)
    # Without this, adapters for training would start with the same random weights.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # PEFT uses an attribute that transformers deprecates.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            get_peft_model(outline, LoraConfig(target_modules=layers))
        except ValueError:
            return False
    return True
