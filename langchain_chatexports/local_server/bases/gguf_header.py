"""The header of a GGUF file, its weights, and their conversion to another type.

Every count and size is checked before it is used, because a damaged file can crash
llama.cpp, and the package `gguf` does not limit lists. The format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:  # Installed with the extra.
    import numpy as np
    from gguf import GGMLQuantizationType

STRING = 8
"""GGUF's type code for strings."""

_VERSIONS = (2, 3)
_SCALARS = dict(zip((*range(8), 10, 11, 12), "BbHhIif?Qqd", strict=True))
_ARRAY = 9
_ALIGNMENT = 32
_MAX_DIMENSIONS = 4


class GGUFFileError(ValueError):
    """The file is not a GGUF file, or is damaged; the message has the reason."""


class GGUFList(NamedTuple):
    """Type and length of a list, whose values are skipped."""

    kind: int
    length: int


@dataclass(frozen=True)
class GGUFTensor:
    """Position of a tensor in its file, with its shape in NumPy's order."""

    shape: tuple[int, ...]
    kind: "GGMLQuantizationType"
    start: int
    size_bytes: int


@dataclass(frozen=True)
class GGUFHeader:
    """The header of a GGUF file."""

    path: Path
    fields: dict[str, Any]
    spans: dict[str, tuple[int, int]]
    """The position of each field, including its name."""

    tensors: dict[str, GGUFTensor]

    @property
    def architecture(self) -> str:
        """llama.cpp's name for the model's architecture."""
        return str(self.fields.get("general.architecture"))

    def dimension(self, name: str) -> int:
        """Return a dimension of the model; 0 if it is missing or a list."""
        value = self.fields.get(f"{self.architecture}.{name}")
        return value if isinstance(value, int) else 0

    def read_tensor(self, name: str) -> "np.ndarray":
        """Read a tensor's values as float32."""
        import numpy as np
        from gguf import quants

        tensor = self.tensors[name]
        stored = np.memmap(
            self.path, np.uint8, "r", tensor.start, (tensor.size_bytes,)
        ).reshape(*tensor.shape[:-1], -1)
        values: np.ndarray = quants.dequantize(stored, tensor.kind)
        return values.reshape(tensor.shape)


def read_header(path: Path) -> GGUFHeader:
    """Read the header of a GGUF file; raise a `GGUFFileError` if it is damaged."""
    try:
        with (
            open_regular_file(path) as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return _read(path, _Reader(content, 0))
    except GGUFFileError:
        raise
    except (OSError, ChatExportError) as error:
        msg = f"it cannot be read ({type(error).__name__})"
        raise GGUFFileError(msg) from error
    except (struct.error, ArithmeticError, KeyError, TypeError, ValueError) as error:
        msg = "it is truncated or damaged"
        raise GGUFFileError(msg) from error


def _read(path: Path, reader: "_Reader") -> GGUFHeader:
    if reader.read_bytes(4) != b"GGUF":
        msg = "it is not a GGUF file"
        raise GGUFFileError(msg)
    version = reader.read_number("I")
    if version not in _VERSIONS:
        msg = f"its format version {version} is not supported, only 2 and 3"
        raise GGUFFileError(msg)
    tensor_count, field_count = reader.read_number("Q"), reader.read_number("Q")
    fields: dict[str, Any] = {}
    spans = {}
    for _ in range(field_count):
        start = reader.position
        name = reader.read_text()
        fields[name] = reader.read_value(reader.read_number("I"))
        spans[name] = (start, reader.position)
    descriptions = [_describe_tensor(reader) for _ in range(tensor_count)]
    alignment = fields.get("general.alignment", _ALIGNMENT)
    data = _align(reader.position, alignment)
    tensors = {}
    for name, shape, kind, offset in descriptions:
        tensors[name] = _locate_tensor(shape, kind, data + offset)
        if offset % alignment or data + offset > reader.size - tensors[name].size_bytes:
            msg = f"its tensor {name[:80]!r} is not within the file"
            raise GGUFFileError(msg)
    if len(fields) != field_count or len(tensors) != tensor_count:
        msg = "two of its fields or tensors have the same name"
        raise GGUFFileError(msg)
    return GGUFHeader(path, fields, spans, tensors)


def _describe_tensor(reader: "_Reader") -> tuple[str, tuple[int, ...], int, int]:
    name, dimensions = reader.read_text(), reader.read_number("I")
    if not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise ValueError
    shape = tuple(reader.read_number("Q") for _ in range(dimensions))[::-1]
    return name, shape, reader.read_number("I"), reader.read_number("Q")


def _locate_tensor(shape: tuple[int, ...], kind: int, start: int) -> GGUFTensor:
    from gguf import GGMLQuantizationType

    tensor_type = GGMLQuantizationType(kind)
    return GGUFTensor(shape, tensor_type, start, _size_bytes(shape, tensor_type))


class _Reader:
    """Reads consecutive values, but never beyond the end."""

    def __init__(self, content: mmap.mmap, position: int) -> None:
        self._content = content
        self.size = len(content)
        self.position = position

    def read_bytes(self, size: int) -> bytes:
        self.skip(size)
        return self._content[self.position - size : self.position]

    def skip(self, size: int) -> None:
        self.position += size
        if self.position > self.size:
            msg = "it is truncated"
            raise GGUFFileError(msg)

    def read_number(self, layout: str) -> Any:
        (value,) = struct.unpack(
            f"<{layout}", self.read_bytes(struct.calcsize(f"<{layout}"))
        )
        return value

    def read_text(self) -> str:
        return self.read_bytes(self.read_number("Q")).decode("utf-8", "replace")

    def read_value(self, kind: int) -> Any:
        """Read a value; the values of a list are skipped."""
        if kind == STRING:
            return self.read_text()
        if kind != _ARRAY:
            return self.read_number(_SCALARS[kind])
        kind, length = self.read_number("I"), self.read_number("Q")
        skipped = GGUFList(kind, length)
        if skipped.kind == STRING:
            for _ in range(skipped.length):
                self.skip(self.read_number("Q"))
        else:
            self.skip(skipped.length * struct.calcsize(f"<{_SCALARS[skipped.kind]}"))
        return skipped


def rewrite(
    header: GGUFHeader,
    target: Path,
    *,
    kind: str = "Q8_0",
    template: str | None = None,
    change: "Callable[[str, np.ndarray], np.ndarray] | None" = None,
) -> None:
    """Rewrite a model file with other types or weights, or another chat template.

    `kind` is `gguf`'s name of the new type; 32-bit tensors are not converted.
    `change` receives a tensor's name and values, and returns new values.
    """
    import numpy as np
    from gguf import LlamaFileType, quants

    file_type = struct.pack("<II", 4, LlamaFileType[f"MOSTLY_{kind}"])
    changed = {"general.file_type": file_type}
    if template is not None:
        value = struct.pack("<I", STRING) + _pack_text(template)
        changed["tokenizer.chat_template"] = value
    kinds = {
        name: _target_type(tensor, kind) for name, tensor in header.tensors.items()
    }
    unchanged = header.spans.keys() - changed
    alignment = int(header.fields.get("general.alignment", _ALIGNMENT))
    with header.path.open("rb") as source, target.open("wb") as file:
        file.write(source.read(8))
        file.write(struct.pack("<QQ", len(kinds), len(unchanged) + len(changed)))
        for name, (start, end) in header.spans.items():
            if name in unchanged:
                source.seek(start)
                file.write(source.read(end - start))
        for name, value in changed.items():
            file.write(_pack_text(name) + value)
        offset = 0
        for name, tensor in header.tensors.items():
            shape = tensor.shape[::-1]
            layout = f"<I{len(shape)}QIQ"
            description = struct.pack(layout, len(shape), *shape, kinds[name], offset)
            file.write(_pack_text(name) + description)
            offset += _align(_size_bytes(tensor.shape, kinds[name]), alignment)
        for name, target_type in kinds.items():
            file.write(bytes(-file.tell() % alignment))
            values = header.read_tensor(name)
            values = values if change is None else change(name, values)
            stored = quants.quantize(values, target_type)
            file.write(np.ascontiguousarray(stored).view(np.uint8).data)
        file.write(bytes(-file.tell() % alignment))


def _target_type(tensor: GGUFTensor, kind: str) -> "GGMLQuantizationType":
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    target_type = GGMLQuantizationType[kind]
    if tensor.kind == GGMLQuantizationType.F32:
        return tensor.kind
    fits = tensor.shape[-1] % GGML_QUANT_SIZES[target_type][0] == 0
    return target_type if fits else GGMLQuantizationType.F16


def _size_bytes(shape: tuple[int, ...], kind: "GGMLQuantizationType") -> int:
    from gguf import GGML_QUANT_SIZES

    block, size = GGML_QUANT_SIZES[kind]
    if shape[-1] % block:
        raise ValueError
    return int(math.prod(shape) // block * size)


def _pack_text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _align(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment
