"""LoRA adapters as GGUF files, which llama.cpp applies to a base without merging.

The file has the fields `adapter.type` and `adapter.lora.alpha`, and for each matrix two
tensors with the name that the base's GGUF file has for it
(llama.cpp's `convert_lora_to_gguf.py`).
"""

from __future__ import annotations

import os
import re
import secrets
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.bases.gguf_architectures import (
    Architecture,
    find_architecture,
    permute_heads,
)
from langchain_chatexports.local_server.bases.gguf_header import (
    GGUFFileError,
    GGUFHeader,
    read_header,
)
from langchain_chatexports.local_server.storage.data_directory import (
    read_json,
    replace,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np

__all__ = [
    "ADAPTER_FILE",
    "NoGGUFError",
    "by_layer",
    "check_gguf_adapter",
    "write_gguf_adapter",
]

ADAPTER_FILE = "adapter.gguf"
"""The file's name, beside PEFT's own."""

_WEIGHTS = "adapter_model.safetensors"
# The largest adapters of open models have less than 2 GB.
_MAX_BYTES = 8_000_000_000
_KEY = re.compile(r"base_model\.model\.(?P<name>.+)\.lora_(?P<side>[AB])\.weight")
# Of PEFT's settings, those that the two matrices and alpha express completely, and
# those that only matter in training. Any other one that is set changes the model.
_PLAIN = frozenset(
    {
        "auto_mapping",
        "base_model_name_or_path",
        "exclude_modules",
        "inference_mode",
        "init_lora_weights",
        "layers_pattern",
        "layers_to_transform",
        "lora_alpha",
        "lora_dropout",
        "megatron_core",
        "peft_type",
        "peft_version",
        "qalora_group_size",
        "r",
        "revision",
        "runtime_config",
        "target_modules",
        "task_type",
    }
)
# PEFT initializes with these otherwise, and changes the base's weights to fit.
_PLAIN_STARTS = (True, False, None, "gaussian")


class NoGGUFError(Exception):
    """A base or an adapter that llama.cpp cannot read; the text says why."""


def by_layer(name: str) -> list[tuple[int, str]]:
    """Return the key that sorts names of tensors, with layer 2 before layer 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in name.split(".")
    ]


def write_gguf_adapter(folder: Path, base_directory: Path) -> Path:
    """Write an adapter's GGUF file beside its own, with mode 0600.

    Args:
        folder: The folder with the adapter in PEFT's format.
        base_directory: Its base in transformers' format.

    Returns:
        The file. The same adapter gives the same bytes.

    Raises:
        NoGGUFError: If the adapter or its base has no such form; nothing is written.
        OSError: If it cannot be written.
    """
    settings = _plain_settings(folder)
    config = read_json(base_directory / "config.json") or {}
    architecture = find_architecture(str(config.get("model_type")))
    if architecture is None:
        msg = f"models of the kind {config.get('model_type')!r} are not written as GGUF"
        raise NoGGUFError(msg)
    tensors = list(_tensors(folder, architecture, config))
    target = folder / ADAPTER_FILE
    temporary = target.with_name(f".{ADAPTER_FILE}.{secrets.token_hex(4)}")
    # The writer opens what is there, and leaves its mode.
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        _write(temporary, architecture, float(settings["lora_alpha"]), tensors)
        replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return target


def check_gguf_adapter(adapter: Path, base: GGUFHeader) -> None:
    """Refuse an adapter that is damaged or does not fit a base.

    Args:
        adapter: The adapter's GGUF file.
        base: The header of the base's GGUF file.

    Raises:
        NoGGUFError: If it is.
    """
    try:
        header = read_header(adapter)
    except GGUFFileError as error:
        msg = f"{adapter} is not usable: {error}"
        raise NoGGUFError(msg) from error
    expected = {
        "general.type": "adapter",
        "adapter.type": "lora",
        "general.architecture": base.fields.get("general.architecture"),
    }
    differing = [
        key for key, value in expected.items() if header.fields.get(key) != value
    ]
    names = {name.rpartition(".lora_")[0] for name in header.shapes}
    differing += sorted(name for name in names if not _fits(name, header, base))
    if differing or not names:
        what = (differing or ["no tensors"])[0][:80]
        msg = f"{adapter} does not fit the base: {what}"
        raise NoGGUFError(msg)


def _fits(name: str, header: GGUFHeader, base: GGUFHeader) -> bool:
    matrix = base.shapes.get(name, ())
    down = header.shapes.get(f"{name}.lora_a", ())
    up = header.shapes.get(f"{name}.lora_b", ())
    if not len(matrix) == len(down) == len(up) == 2:  # noqa: PLR2004 - matrices.
        return False
    return (up[0], down[1]) == matrix and up[1] == down[0]


def _plain_settings(folder: Path) -> dict[str, Any]:
    settings = read_json(folder / "adapter_config.json")
    if settings is None or settings.get("peft_type") != "LORA":
        msg = f"{folder} has no LoRA adapter"
        raise NoGGUFError(msg)
    changed = sorted(
        key
        for key, value in settings.items()
        if value and key not in _PLAIN and (key, value) != ("bias", "none")
    )
    if settings.get("init_lora_weights", True) not in _PLAIN_STARTS:
        changed.append("init_lora_weights")
    if changed:
        msg = f"the adapter is not plain LoRA, because of its {', '.join(changed)[:80]}"
        raise NoGGUFError(msg)
    alpha = settings.get("lora_alpha")
    if not isinstance(alpha, (int, float)) or isinstance(alpha, bool):
        msg = "the adapter's lora_alpha is no number"
        raise NoGGUFError(msg)
    return settings


def _tensors(
    folder: Path, architecture: Architecture, config: Mapping[str, Any]
) -> Iterator[tuple[str, np.ndarray]]:
    from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, get_tensor_name_map

    kinds = {name: kind for kind, name in MODEL_ARCH_NAMES.items()}
    kind: MODEL_ARCH = kinds[architecture.name]
    names = get_tensor_name_map(kind, int(config["num_hidden_layers"]))
    pairs: dict[str, dict[str, np.ndarray]] = {}
    for key, values in _read_weights(folder / _WEIGHTS):
        found = _KEY.fullmatch(key)
        if found is None:
            msg = f"the adapter has the tensor {key[:80]!r}, which is not plain LoRA's"
            raise NoGGUFError(msg)
        pairs.setdefault(found["name"], {})[found["side"]] = values
    if not pairs:
        msg = "the adapter has no tensors"
        raise NoGGUFError(msg)
    for name, pair in pairs.items():
        written = names.get_name(name)
        if written is None or set(pair) != {"A", "B"}:
            msg = f"the adapter's matrix {name[:80]!r} has no form in GGUF"
            raise NoGGUFError(msg)
        heads = architecture.heads_of(name, config)
        down, up = pair["A"], pair["B"]
        if down.ndim != 2 or up.ndim != 2 or len(down) != up.shape[1]:  # noqa: PLR2004
            msg = f"the adapter's matrix {name[:80]!r} is damaged"
            raise NoGGUFError(msg)
        if heads is not None:
            if len(up) % (2 * heads):
                msg = f"the adapter's matrix {name[:80]!r} does not fit {heads} heads"
                raise NoGGUFError(msg)
            up = permute_heads(up, heads)
        yield f"{written}.weight.lora_a", down
        yield f"{written}.weight.lora_b", up


def _read_weights(path: Path) -> list[tuple[str, np.ndarray]]:
    import numpy as np
    from safetensors import SafetensorError, deserialize

    forms = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
    try:
        if path.stat().st_size > _MAX_BYTES:
            msg = "the adapter is larger than any known one"
            raise NoGGUFError(msg)
        described = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except (OSError, SafetensorError) as error:
        msg = f"the adapter's weights cannot be read ({type(error).__name__})"
        raise NoGGUFError(msg) from error
    weights = []
    # Sorted: the order in a safetensors file is not that of the model.
    for name, tensor in sorted(described, key=lambda item: by_layer(item[0])):
        form = forms.get(tensor["dtype"])
        if form is None:
            msg = f"the adapter has weights of the type {tensor['dtype']}"
            raise NoGGUFError(msg)
        values = np.frombuffer(tensor["data"], form).reshape(tensor["shape"])
        if tensor["dtype"] == "BF16":
            # The upper half of a float32.
            values = (values.astype("<u4") << 16).view("<f4")
        values = values.astype("<f4")
        if not np.isfinite(values).all():
            msg = f"the adapter's tensor {name[:80]!r} has values that are no numbers"
            raise NoGGUFError(msg)
        weights.append((name, values))
    return weights


def _write(
    path: Path,
    architecture: Architecture,
    alpha: float,
    tensors: list[tuple[str, np.ndarray]],
) -> None:
    import numpy as np
    from gguf import GGUFWriter, LlamaFileType
    from gguf.constants import GGUFType, Keys

    writer = GGUFWriter(path, architecture.name)
    try:
        writer.add_type(GGUFType.ADAPTER)
        writer.add_file_type(LlamaFileType.ALL_F32)
        writer.add_string(Keys.Adapter.TYPE, "lora")
        writer.add_float32(Keys.Adapter.LORA_ALPHA, alpha)
        for name, values in tensors:
            writer.add_tensor(name, np.ascontiguousarray(values))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
