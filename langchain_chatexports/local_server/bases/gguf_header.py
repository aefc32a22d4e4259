"""The header of a GGUF file: its fields and the shapes of its tensors.

Every count and size is checked against the file before it is used, because llama.cpp
ends the whole process at some of the damage that a file can have, and because the
package `gguf` reads counts as they are. The format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["GGUFFileError", "GGUFHeader", "read_header"]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9
_ALIGNMENT = 32
_MAX_FIELDS = 10_000
# The largest open models have a few thousand.
_MAX_TENSORS = 100_000
# Models are built from these before their weights are looked for.
_LIMITS = {
    "attention.head_count": 10_000,
    "attention.head_count_kv": 10_000,
    "block_count": 1_000,
    "context_length": 1 << 30,
    "embedding_length": 1_000_000,
    "expert_count": 10_000,
    "feed_forward_length": 10_000_000,
    "vocab_size": 10_000_000,
}
_MAX_NAME_BYTES = 65_535
_MAX_DIMENSIONS = 4
_MAX_SIZE = 2**63

Scalar = int | float | bool | str


class GGUFFileError(ValueError):
    """Something else than a GGUF file, or a damaged one; the text says what."""


@dataclass(frozen=True)
class GGUFHeader:
    """What a GGUF file says about itself."""

    fields: dict[str, Scalar]
    """The fields that are not lists."""

    lists: dict[str, int]
    """The lengths of the fields that are lists."""

    shapes: dict[str, tuple[int, ...]]
    """The shape of each tensor, as in NumPy: columns last."""


def read_header(path: Path) -> GGUFHeader:
    """Read the header of a GGUF file.

    Args:
        path: The file.

    Raises:
        GGUFFileError: If it is damaged, or cannot be read.
    """
    try:
        with (
            open_regular_file(path) as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return _Reader(content).read()
    except (OSError, ChatExportError) as error:
        msg = f"it cannot be read ({type(error).__name__})"
        raise GGUFFileError(msg) from error
    except (struct.error, ValueError, OverflowError) as error:
        if isinstance(error, GGUFFileError):
            raise
        msg = "it is cut off or damaged"
        raise GGUFFileError(msg) from error


class _Reader:
    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._size = len(content)
        self._at = 0

    def read(self) -> GGUFHeader:
        if self._take(4) != _MAGIC:
            msg = "it is not a GGUF file"
            raise GGUFFileError(msg)
        version = self._number("<I")
        if version not in _VERSIONS:
            msg = f"it has version {version} of the format, and 2 and 3 are known"
            raise GGUFFileError(msg)
        tensors = self._count(_MAX_TENSORS, "tensors")
        fields: dict[str, Scalar] = {}
        lists: dict[str, int] = {}
        for _ in range(self._count(_MAX_FIELDS, "fields")):
            name, kind = self._name(), self._number("<I")
            if kind == _ARRAY:
                lists[name] = self._skip_list()
            else:
                fields[name] = self._scalar(kind)
        _check_limits(fields)
        described = [self._tensor() for _ in range(tensors)]
        self._check_extents(described, fields.get("general.alignment", _ALIGNMENT))
        shapes = {name: shape for name, shape, _, _ in described}
        if len(shapes) != len(described):
            msg = "two tensors have one name"
            raise GGUFFileError(msg)
        _check_products(fields, sum(map(math.prod, shapes.values())))
        return GGUFHeader(fields, lists, shapes)

    def _check_extents(
        self, described: list[tuple[str, tuple[int, ...], int, int]], alignment: Scalar
    ) -> None:
        # ggml asks for a power of two.
        if not isinstance(alignment, int) or alignment < 1 or alignment & alignment - 1:
            msg = "its alignment is no power of two"
            raise GGUFFileError(msg)
        start = -(-self._at // alignment) * alignment
        for name, shape, kind, offset in described:
            end = start + offset + _size_bytes(name, shape, kind)
            if offset % alignment or end > self._size:
                msg = f"its tensor {name[:80]!r} is not within the file"
                raise GGUFFileError(msg)

    def _tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        name, dimensions = self._name(), self._number("<I")
        if not 1 <= dimensions <= _MAX_DIMENSIONS:
            msg = f"a tensor has {dimensions} dimensions"
            raise GGUFFileError(msg)
        shape = tuple(self._number("<Q") for _ in range(dimensions))[::-1]
        if not 0 < math.prod(shape) < _MAX_SIZE:
            msg = f"its tensor {name[:80]!r} has an impossible shape"
            raise GGUFFileError(msg)
        return name, shape, self._number("<I"), self._number("<Q")

    def _scalar(self, kind: int) -> Scalar:
        if kind == _STRING:
            return self._string().decode("utf-8", "replace")
        if kind not in _SCALARS:
            msg = f"a field has the unknown type {kind}"
            raise GGUFFileError(msg)
        value: int | float | bool = self._unpack(_SCALARS[kind])[0]
        return value

    def _skip_list(self) -> int:
        kind, length = self._number("<I"), self._number("<Q")
        if kind == _STRING:
            # Each has its length in eight bytes.
            self._check_room(8 * length)
            for _ in range(length):
                self._string()
        elif kind in _SCALARS:
            self._take(length * struct.calcsize(_SCALARS[kind]))
        else:
            msg = f"a list has the unknown type {kind}"
            raise GGUFFileError(msg)
        return length

    def _name(self) -> str:
        name = self._string()
        if len(name) > _MAX_NAME_BYTES:
            msg = "a name is too long"
            raise GGUFFileError(msg)
        return name.decode("utf-8", "replace")

    def _string(self) -> bytes:
        return self._take(self._number("<Q"))

    def _count(self, maximum: int, what: str) -> int:
        count = self._number("<Q")
        if count > maximum:
            msg = f"it claims to have {count} {what}"
            raise GGUFFileError(msg)
        return count

    def _number(self, form: str) -> int:
        (value,) = self._unpack(form)
        return int(value)

    def _unpack(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(form, self._content, self._at)
        self._at += struct.calcsize(form)
        return values

    def _take(self, size: int) -> bytes:
        self._check_room(size)
        start, self._at = self._at, self._at + size
        return self._content[start : self._at]

    def _check_room(self, size: int) -> None:
        if size > self._size - self._at:
            msg = "it is cut off"
            raise GGUFFileError(msg)


def _check_limits(fields: dict[str, Scalar]) -> None:
    architecture = fields.get("general.architecture")
    for name, limit in _LIMITS.items():
        value = fields.get(f"{architecture}.{name}", 0)
        if not isinstance(value, int) or not 0 <= value <= limit:
            msg = f"its field {name} is more than any model has, or no number"
            raise GGUFFileError(msg)


def _check_products(fields: dict[str, Scalar], weights: int) -> None:
    """Refuse a file whose model would have more weights than the file holds."""

    def product(*names: str) -> int:
        architecture = fields.get("general.architecture")
        return math.prod(int(fields.get(f"{architecture}.{n}", 0)) for n in names)

    layers = product("block_count", "embedding_length", "feed_forward_length")
    if max(layers, product("vocab_size", "embedding_length")) > weights:
        msg = "its fields describe a larger model than it holds"
        raise GGUFFileError(msg)


def _size_bytes(name: str, shape: tuple[int, ...], kind: int) -> int:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    except (ValueError, KeyError) as error:
        msg = f"its tensor {name[:80]!r} has the unknown type {kind}"
        raise GGUFFileError(msg) from error
    if shape[-1] % block:
        msg = f"its tensor {name[:80]!r} has rows of {shape[-1]} values"
        raise GGUFFileError(msg)
    return int(math.prod(shape) // block * size)
