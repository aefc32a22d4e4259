"""LoRA adapters for a GGUF file from another converter.

Converters change the order of some rows and columns, for example for Llama's rotary
embeddings and Qwen3.5's linear attention. The order is found by comparing the file's
weights with the trained ones, for any model family; other weights are rejected. An
adapter's file has two tensors per matrix, under its name in the base's file (as in
llama.cpp's `convert_lora_to_gguf.py`).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports.local_server.bases.cache import new_file, read_json
from langchain_chatexports.local_server.bases.gguf_header import GGUFHeader

if TYPE_CHECKING:  # Installed with the extra.
    import numpy as np

ADAPTER_FILE = "adapter.gguf"
"""The file for llama.cpp in an adapter's folder."""

_WEIGHTS = "adapter_model.safetensors"
_KEY = re.compile(r"base_model\.model\.(?P<name>.+)\.lora_(?P<side>[AB])\.weight")
_BLOCK = re.compile(r"(?:.*\.)?(layers\.\d+\..+?)(?:\.weight)?")
# Number of rows to compare with all others at a time.
_CHUNK_ROWS = 1024


class GGUFNotSupportedError(Exception):
    """llama.cpp does not support a base or an adapter; the message has the reason."""


class Matrix(NamedTuple):
    """A trained matrix in a base's GGUF file."""

    name: str
    """Its name in the file, without `.weight`."""

    rows: list[int] | None = None
    """The trained row of each row in the file; `None` if the order is the same."""

    columns: list[int] | None = None


def match_matrices(directory: Path, header: GGUFHeader) -> dict[str, Matrix]:
    """Find the matrices of a base's layers in a GGUF file, by name and by weights.

    Matrices without a GGUF name, or with a different shape in the file, are skipped.
    The keys are module names such as `layers.0.mlp.up_proj`. Raises a
    `GGUFNotSupportedError` if the weights differ.
    """
    from safetensors import safe_open

    matrices: dict[str, Matrix] = {}
    unmatched: set[str] = set()
    find_name = _create_name_lookup(header)
    for path in sorted(directory.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for key in sorted(file.keys()):
                name = find_name(key)
                tensor = header.tensors.get(f"{name}.weight")
                if name is None or tensor is None:
                    continue
                shape = tuple(file.get_slice(key).get_shape())
                if len(shape) != 2 or shape != tensor.shape:  # noqa: PLR2004
                    continue
                trained = file.get_tensor(key).float().numpy()
                bits = 8 * tensor.size_bytes / trained.size
                order = _find_permutation(
                    trained, header.read_tensor(f"{name}.weight"), bits
                )
                if order is None:
                    unmatched.add(name)
                else:
                    matrices[to_module_name(key)] = Matrix(name, *order)
    # A vision tower can have layers with the same names.
    unmatched -= {matrix.name for matrix in matrices.values()}
    if unmatched or not matrices:
        msg = f"{header.path.name} does not have the weights of the trained model"
        raise GGUFNotSupportedError(msg)
    return matrices


def to_module_name(key: str) -> str:
    """Return a tensor's module name without the prefixes of wrappers."""
    match = _BLOCK.fullmatch(key)
    return match[1] if match else key.removesuffix(".weight").rpartition("model.")[2]


def _create_name_lookup(header: GGUFHeader) -> Callable[[str], str | None]:
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    architectures = {name: value for value, name in MODEL_ARCH_NAMES.items()}
    if header.architecture not in architectures:
        msg = f"the package gguf does not support {header.architecture[:80]!r} models"
        raise GGUFNotSupportedError(msg)
    blocks = header.dimension("block_count")
    names = get_tensor_name_map(architectures[header.architecture], blocks)

    def find_name(key: str) -> str | None:
        name: str | None = names.get_name(f"model.{to_module_name(key)}")
        return name

    return find_name


def _find_permutation(
    trained: "np.ndarray", stored: "np.ndarray", bits: float
) -> tuple[list[int] | None, list[int] | None] | None:
    """Return the order of the stored rows and columns; `None` if the weights differ."""
    import numpy as np

    def matches(ordered: "np.ndarray") -> bool:
        # Blocks are rounded by their largest value.
        error = np.sqrt(np.mean((ordered - stored) ** 2, axis=1))
        largest = np.abs(stored).max(axis=1)
        return bool((error <= max(0.002, 2.0 ** (1 - bits)) * largest + 1e-6).all())

    if matches(trained):
        return None, None
    rows = _find_nearest_rows(trained, stored)
    if matches(trained[rows]):
        return rows.tolist(), None
    columns = _find_nearest_rows(trained.T, stored.T)
    if matches(trained[:, columns]):
        return None, columns.tolist()
    return None


def _find_nearest_rows(trained: "np.ndarray", stored: "np.ndarray") -> "np.ndarray":
    import numpy as np

    trained = trained / (np.linalg.norm(trained, axis=1, keepdims=True) + 1e-12)
    starts = range(0, len(stored), _CHUNK_ROWS)
    return np.concatenate(
        [np.argmax(stored[i : i + _CHUNK_ROWS] @ trained.T, axis=1) for i in starts]
    )


def write_gguf_adapter(
    folder: Path, header: GGUFHeader, matrices: Mapping[str, Matrix]
) -> Path:
    """Write the GGUF file of an adapter next to PEFT's own file, with mode 0600.

    `header` and `matrices` describe the base's GGUF file. Raises a
    `GGUFNotSupportedError` if GGUF cannot represent the adapter.
    """
    from safetensors import SafetensorError

    try:
        settings = read_json(folder / "adapter_config.json") or {}
        alpha = float(settings["lora_alpha"])
        tensors = list(_adapter_tensors(folder, matrices))
    except (OSError, SafetensorError, KeyError) as error:
        msg = f"the adapter in {folder} cannot be read ({type(error).__name__})"
        raise GGUFNotSupportedError(msg) from error
    target = folder / ADAPTER_FILE
    # The writer opens the existing file and keeps its mode.
    with new_file(target) as temporary:
        _write(temporary, header.architecture, alpha, tensors)
    return target


def _adapter_tensors(
    folder: Path, matrices: Mapping[str, Matrix]
) -> "Iterator[tuple[str, np.ndarray]]":
    import numpy as np
    from safetensors.numpy import load_file

    pairs: dict[str, dict[str, np.ndarray]] = {}
    for name, values in load_file(folder / _WEIGHTS).items():
        match = _KEY.fullmatch(name)
        if match is None:
            raise KeyError(name)
        pair = pairs.setdefault(to_module_name(match["name"]), {})
        pair[match["side"]] = values.astype(np.float32)
    for module, pair in pairs.items():
        matrix = matrices.get(module)
        if matrix is None:
            msg = f"GGUF cannot represent the adapter's matrix {module[:80]!r}"
            raise GGUFNotSupportedError(msg)
        down, up = pair["A"], pair["B"]
        down = down if matrix.columns is None else down[:, matrix.columns]
        up = up if matrix.rows is None else up[matrix.rows]
        yield f"{matrix.name}.weight.lora_a", down
        yield f"{matrix.name}.weight.lora_b", up


def _write(
    path: Path,
    architecture: str,
    alpha: float,
    tensors: "list[tuple[str, np.ndarray]]",
) -> None:
    import numpy as np
    from gguf import GGUFWriter, LlamaFileType
    from gguf.constants import GGUFType, Keys

    writer = GGUFWriter(path, architecture)
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
