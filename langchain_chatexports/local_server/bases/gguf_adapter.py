"""LoRA adapters for a GGUF file from another converter.

A converter may have changed the order of a matrix's rows or columns, as required by
Llama's rotary embeddings and Qwen3.5's linear attention. The order is found by
comparing the file's weights with the trained ones, which also proves that they are the
same. Nothing here depends on a model's family. For each matrix, the adapter's file has
two tensors with the matrix's name in the base's file (as in llama.cpp's
`convert_lora_to_gguf.py`).
"""

import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports.local_server.bases.gguf_header import GGUFHeader
from langchain_chatexports.local_server.storage.data_directory import read_json, replace

if TYPE_CHECKING:  # It comes with the extra.
    import numpy as np

_ADAPTER_FILE = "adapter.gguf"
_WEIGHTS = "adapter_model.safetensors"
_KEY = re.compile(r"base_model\.model\.(?P<name>.+)\.lora_(?P<side>[AB])\.weight")
_BLOCK = re.compile(r"(?:.*\.)?(layers\.\d+\..+?)(?:\.weight)?")
# Number of rows to compare with all others at a time.
_ROWS = 1024


class NoGGUFError(Exception):
    """A base or an adapter that llama.cpp cannot read; the message has the reason."""


class Matrix(NamedTuple):
    """A trained matrix in a base's GGUF file."""

    name: str
    """Its name in the file, without `.weight`."""

    rows: list[int] | None = None
    """The index of the trained row for each of the file's rows; `None` if the same."""

    columns: list[int] | None = None


def match_matrices(directory: Path, header: GGUFHeader) -> dict[str, Matrix]:
    """Find the matrices of a base's layers in a GGUF file, by name and by weights.

    Matrices without a name in GGUF, or with another shape there, are skipped. The keys
    are their names starting with `layers.`. Other weights raise a `NoGGUFError`.
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
        msg = f"{header.path.name} does not have the weights of the trained model"
        raise NoGGUFError(msg)
    return found


def module_of(key: str) -> str:
    """Return a tensor's name from its layer on, without prefixes of wrappers."""
    found = _BLOCK.fullmatch(key)
    return found[1] if found else key.removesuffix(".weight").rpartition("model.")[2]


def _names_in_gguf(header: GGUFHeader) -> Callable[[str], str | None]:
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    kinds = {name: kind for kind, name in MODEL_ARCH_NAMES.items()}
    if header.architecture not in kinds:
        msg = f"the package gguf does not know models of {header.architecture[:80]!r}"
        raise NoGGUFError(msg)
    blocks = header.dimension("block_count")
    names = get_tensor_name_map(kinds[header.architecture], blocks)

    def name_of(key: str) -> str | None:
        found: str | None = names.get_name(f"model.{module_of(key)}")
        return found

    return name_of


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
    parts = range(0, len(stored), _ROWS)
    return np.concatenate(
        [np.argmax(stored[at : at + _ROWS] @ trained.T, axis=1) for at in parts]
    )


def write_gguf_adapter(
    folder: Path, header: GGUFHeader, matrices: Mapping[str, Matrix]
) -> Path:
    """Write the GGUF file of an adapter beside PEFT's own file, with mode 0600.

    `header` and `matrices` are those of the base's GGUF file. An adapter without a form
    in GGUF raises a `NoGGUFError`.
    """
    from safetensors import SafetensorError

    try:
        settings = read_json(folder / "adapter_config.json") or {}
        alpha = float(settings["lora_alpha"])
        tensors = list(_tensors(folder, matrices))
    except (OSError, SafetensorError, KeyError) as error:
        msg = f"the adapter in {folder} cannot be read ({type(error).__name__})"
        raise NoGGUFError(msg) from error
    target = folder / _ADAPTER_FILE
    temporary = target.with_name(f".{_ADAPTER_FILE}.{secrets.token_hex(4)}")
    # The writer opens an existing file and does not change its mode.
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        _write(temporary, header.architecture, alpha, tensors)
        replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _tensors(
    folder: Path, matrices: Mapping[str, Matrix]
) -> "Iterator[tuple[str, np.ndarray]]":
    import numpy as np
    from safetensors.numpy import load_file

    pairs: dict[str, dict[str, np.ndarray]] = {}
    for name, values in load_file(folder / _WEIGHTS).items():
        found = _KEY.fullmatch(name)
        if found is None:
            raise KeyError(name)
        side = pairs.setdefault(module_of(found["name"]), {})
        side[found["side"]] = values.astype(np.float32)
    for module, pair in pairs.items():
        matrix = matrices.get(module)
        if matrix is None:
            msg = f"the adapter's matrix {module[:80]!r} has no form in GGUF"
            raise NoGGUFError(msg)
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
