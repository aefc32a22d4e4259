"""LoRA adapters for a GGUF file that others have converted.

A converter may have changed the order of a matrix's rows or columns, as Llama's rotary
embeddings and Qwen3.5's linear attention want it. The order is found by comparing the
file's weights with the trained ones, which also shows that they are the same; nothing
here depends on a model's family. The adapter's file has, for each matrix, two tensors
with the name that the base's file has for it (llama.cpp's `convert_lora_to_gguf.py`).
"""

import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
    import numpy as np

ADAPTER_FILE = "adapter.gguf"
"""The file's name, beside PEFT's own."""

_BASE_KEY = "chatexports.base"
_WEIGHTS = "adapter_model.safetensors"
# The largest adapters of open models have less than 2 GB.
_MAX_BYTES = 8_000_000_000
_FORMS = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_KEY = re.compile(r"base_model\.model\.(?P<name>.+)\.lora_(?P<side>[AB])\.weight")
_BLOCK = re.compile(r"(?:.*\.)?(layers\.\d+\..+?)(?:\.weight)?")
# Rows that are compared with all others at the same time.
_ROWS = 1024
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


class Matrix(NamedTuple):
    """A trained matrix in a base's GGUF file."""

    name: str
    """Its name in the file, without `.weight`."""

    rows: list[int] | None = None
    """Which trained row each of the file's rows is; `None` in the same order."""

    columns: list[int] | None = None


def match_matrices(directory: Path, header: GGUFHeader) -> dict[str, Matrix]:
    """Find the matrices of a base's layers in a GGUF file, by name and by weights.

    Args:
        directory: The base in transformers' format.
        header: The file's header.

    Returns:
        The matrices by their names from `layers.` on; what has no name in GGUF, or
        another shape there, is left out.

    Raises:
        NoGGUFError: If the file has other weights.
    """
    from safetensors import safe_open

    found: dict[str, Matrix] = {}
    others: set[str] = set()
    name_of = _names_in_gguf(header)
    for path in sorted(directory.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for key in sorted(file.keys()):
                name = name_of(key)
                tensor = header.tensors.get(f"{name}.weight")
                if name is None or tensor is None:
                    continue
                shape = tuple(file.get_slice(key).get_shape())
                if len(shape) != 2 or shape != tensor.shape:  # noqa: PLR2004
                    continue
                trained = file.get_tensor(key).float().numpy()
                bits = 8 * tensor.size_bytes / trained.size
                order = _order(trained, header.read(f"{name}.weight"), bits)
                if order is None:
                    others.add(name)
                else:
                    found[module_of(key)] = Matrix(name, *order)
    # A vision tower may have layers of the same names.
    others -= {matrix.name for matrix in found.values()}
    if others or not found:
        msg = f"{header.path.name} has other weights than the trained model"
        raise NoGGUFError(msg)
    return found


def write_gguf_adapter(
    folder: Path, header: GGUFHeader, matrices: Mapping[str, Matrix], key: str
) -> Path:
    """Write an adapter's GGUF file beside its own, with mode 0600.

    Args:
        folder: The folder with the adapter in PEFT's format.
        header: The header of the base's GGUF file.
        matrices: The base's matrices in that file.
        key: What names that file.

    Returns:
        The file. The same adapter gives the same bytes.

    Raises:
        NoGGUFError: If the adapter has no such form; nothing is written.
        OSError: If it cannot be written.
    """
    settings = _plain_settings(folder)
    tensors = list(_tensors(folder, matrices))
    target = folder / ADAPTER_FILE
    temporary = target.with_name(f".{ADAPTER_FILE}.{secrets.token_hex(4)}")
    # The writer opens what is there, and leaves its mode.
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        alpha = float(settings["lora_alpha"])
        _write(temporary, header.architecture, key, alpha, tensors)
        check_gguf_adapter(temporary, header, key)
        replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def check_gguf_adapter(adapter: Path, base: GGUFHeader, key: str) -> None:
    """Refuse an adapter's GGUF file that is damaged, or of another base's file.

    Args:
        adapter: The file.
        base: The header of the base's GGUF file.
        key: What names the base's file.

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
        "general.architecture": base.architecture,
        _BASE_KEY: key,
    }
    differing = [name for name in expected if header.fields.get(name) != expected[name]]
    names = {name.rpartition(".lora_")[0] for name in header.tensors}
    differing += sorted(name for name in names if not _fits(name, header, base))
    if differing or not names:
        what = (differing or ["no tensors"])[0][:80]
        msg = f"{adapter} does not fit the base: {what}"
        raise NoGGUFError(msg)


def _fits(name: str, header: GGUFHeader, base: GGUFHeader) -> bool:
    try:
        rows, columns = base.tensors[name].shape
        rank, width = header.tensors[f"{name}.lora_a"].shape
        return (width, header.tensors[f"{name}.lora_b"].shape) == (
            columns,
            (rows, rank),
        )
    except (KeyError, ValueError):
        return False


def _names_in_gguf(header: GGUFHeader) -> Callable[[str], str | None]:
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    kinds = {name: kind for kind, name in MODEL_ARCH_NAMES.items()}
    if header.architecture not in kinds:
        msg = f"the package gguf does not know models of {header.architecture[:80]!r}"
        raise NoGGUFError(msg)
    names = get_tensor_name_map(kinds[header.architecture], header.blocks)

    def name_of(key: str) -> str | None:
        found: str | None = names.get_name(f"model.{module_of(key)}")
        return found

    return name_of


def module_of(key: str) -> str:
    """Return a tensor's name from its layer on: wrappers put more before it."""
    found = _BLOCK.fullmatch(key)
    return found[1] if found else key.removesuffix(".weight").rpartition("model.")[2]


def _order(
    trained: "np.ndarray", stored: "np.ndarray", bits: float
) -> tuple[list[int] | None, list[int] | None] | None:
    """Return the order of the stored rows and columns; `None` for other weights."""
    import numpy as np

    def is_same(ordered: "np.ndarray") -> bool:
        # Blocks are rounded by their largest value.
        error = np.sqrt(np.mean((ordered - stored) ** 2, axis=1))
        largest = np.abs(stored).max(axis=1)
        return bool((error <= max(0.002, 2.0 ** (1 - bits)) * largest + 1e-6).all())

    if is_same(trained):
        return None, None
    rows = _nearest_rows(trained, stored)
    if is_same(trained[rows]):
        return rows.tolist(), None
    columns = _nearest_rows(trained.T, stored.T)
    if is_same(trained[:, columns]):
        return None, columns.tolist()
    return None


def _nearest_rows(trained: "np.ndarray", stored: "np.ndarray") -> "np.ndarray":
    import numpy as np

    trained = trained / (np.linalg.norm(trained, axis=1, keepdims=True) + 1e-12)
    return np.concatenate(
        [
            np.argmax(stored[start : start + _ROWS] @ trained.T, axis=1)
            for start in range(0, len(stored), _ROWS)
        ]
    )


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
    folder: Path, matrices: Mapping[str, Matrix]
) -> Iterator[tuple[str, "np.ndarray"]]:
    pairs: dict[str, dict[str, np.ndarray]] = {}
    for key, values in _read_weights(folder / _WEIGHTS):
        found = _KEY.fullmatch(key)
        if found is None:
            msg = f"the adapter has the tensor {key[:80]!r}, which is not plain LoRA's"
            raise NoGGUFError(msg)
        pairs.setdefault(module_of(found["name"]), {})[found["side"]] = values
    for module, pair in pairs.items():
        matrix = matrices.get(module)
        if matrix is None:
            msg = f"the adapter's matrix {module[:80]!r} has no form in GGUF"
            raise NoGGUFError(msg)
        try:
            down, up = pair["A"], pair["B"]
            down = down if matrix.columns is None else down[:, matrix.columns]
            up = up if matrix.rows is None else up[matrix.rows]
        except (KeyError, IndexError) as error:
            msg = f"the adapter's matrix {module[:80]!r} is damaged"
            raise NoGGUFError(msg) from error
        yield f"{matrix.name}.weight.lora_a", down
        yield f"{matrix.name}.weight.lora_b", up


def _read_weights(path: Path) -> Iterator[tuple[str, "np.ndarray"]]:
    """Yield the tensors of a safetensors file, without torch."""
    import numpy as np
    from safetensors import SafetensorError, deserialize

    try:
        if path.stat().st_size > _MAX_BYTES:
            msg = "the adapter is larger than any known one"
            raise NoGGUFError(msg)
        described = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except (OSError, SafetensorError) as error:
        msg = f"the adapter's weights cannot be read ({type(error).__name__})"
        raise NoGGUFError(msg) from error
    # The order in a safetensors file differs from run to run.
    for name, tensor in sorted(described):
        form = _FORMS.get(tensor["dtype"])
        if form is None:
            msg = f"the adapter has weights of the type {tensor['dtype']}"
            raise NoGGUFError(msg)
        values = np.frombuffer(tensor["data"], form).reshape(tensor["shape"])
        if form == _FORMS["BF16"]:
            # The upper half of a float32.
            values = (values.astype("<u4") << 16).view("<f4")
        if not np.isfinite(values).all():
            msg = f"the adapter's tensor {name[:80]!r} has values that are no numbers"
            raise NoGGUFError(msg)
        yield name, values.astype("<f4")


def _write(
    path: Path,
    architecture: str,
    key: str,
    alpha: float,
    tensors: list[tuple[str, "np.ndarray"]],
) -> None:
    import numpy as np
    from gguf import GGUFWriter, LlamaFileType
    from gguf.constants import GGUFType, Keys

    writer = GGUFWriter(path, architecture)
    try:
        writer.add_type(GGUFType.ADAPTER)
        writer.add_file_type(LlamaFileType.ALL_F32)
        writer.add_string(Keys.Adapter.TYPE, "lora")
        writer.add_string(_BASE_KEY, key)
        writer.add_float32(Keys.Adapter.LORA_ALPHA, alpha)
        for name, values in tensors:
            writer.add_tensor(name, np.ascontiguousarray(values))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
