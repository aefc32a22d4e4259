"""The header of a GGUF file, its weights, and their conversion to another type.

Every count and size is checked against the file before it is used: a damaged file can
end the process of llama.cpp, and the package `gguf` does not limit lists. The format:
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

if TYPE_CHECKING:  # A part of the extra.
    import numpy as np
    from gguf import GGMLQuantizationType

STRING = 8
"""The type of texts."""

_VERSIONS = (2, 3)
_SCALARS = dict(zip((*range(8), 10, 11, 12), "BbHhIif?Qqd", strict=True))
_ARRAY = 9
_ALIGNMENT = 32
_MAX_DIMENSIONS = 4


class GGUFFileError(ValueError):
    """Not a GGUF file, or a damaged one; the message has the reason."""


class GGUFList(NamedTuple):
    """The type, length and position of a list, which is not read yet."""

    kind: int
    length: int
    start: int


@dataclass(frozen=True)
class GGUFTensor:
    """The position of a tensor in its file; its shape is as in NumPy."""

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
    """The position of each field, name included."""

    tensors: dict[str, GGUFTensor]

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the model's architecture."""
        return str(self.fields.get("general.architecture"))

    def dimension(self, name: str) -> int:
        """Return a number of the architecture; 0 if it is missing or a list."""
        value = self.fields.get(f"{self.architecture}.{name}")
        return value if isinstance(value, int) else 0

    def values(self, name: str) -> list[Any]:
        """Return the values of a list; empty if there is no such list."""
        found = self.fields.get(name)
        if not isinstance(found, GGUFList):
            return []
        with (
            self.path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            reader = _Reader(content, found.start)
            return [reader.value(found.kind) for _ in range(found.length)]

    def read(self, name: str) -> "np.ndarray":
        """Return a tensor's values in float32."""
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
        msg = "it is cut off or damaged"
        raise GGUFFileError(msg) from error


def _read(path: Path, reader: "_Reader") -> GGUFHeader:
    if reader.take(4) != b"GGUF":
        msg = "it is not a GGUF file"
        raise GGUFFileError(msg)
    version = reader.number("I")
    if version not in _VERSIONS:
        msg = f"it has version {version} of the format, and 2 and 3 are known"
        raise GGUFFileError(msg)
    tensor_count, field_count = reader.number("Q"), reader.number("Q")
    fields: dict[str, Any] = {}
    spans = {}
    for _ in range(field_count):
        start = reader.at
        name = reader.text()
        fields[name] = reader.value(reader.number("I"))
        spans[name] = (start, reader.at)
    described = [_describe_tensor(reader) for _ in range(tensor_count)]
    alignment = fields.get("general.alignment", _ALIGNMENT)
    data = _aligned(reader.at, alignment)
    tensors = {}
    for name, shape, kind, offset in described:
        tensors[name] = _located(shape, kind, data + offset)
        if offset % alignment or data + offset > reader.size - tensors[name].size_bytes:
            msg = f"its tensor {name[:80]!r} is not within the file"
            raise GGUFFileError(msg)
    if len(fields) != field_count or len(tensors) != tensor_count:
        msg = "two of its fields or tensors have one name"
        raise GGUFFileError(msg)
    return GGUFHeader(path, fields, spans, tensors)


def _describe_tensor(reader: "_Reader") -> tuple[str, tuple[int, ...], int, int]:
    name, dimensions = reader.text(), reader.number("I")
    if not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise ValueError
    shape = tuple(reader.number("Q") for _ in range(dimensions))[::-1]
    return name, shape, reader.number("I"), reader.number("Q")


def _located(shape: tuple[int, ...], kind: int, start: int) -> GGUFTensor:
    from gguf import GGMLQuantizationType

    known = GGMLQuantizationType(kind)
    return GGUFTensor(shape, known, start, _size_bytes(shape, known))


class _Reader:
    """Reads values in order, and never beyond the end."""

    def __init__(self, content: mmap.mmap, at: int) -> None:
        self._content = content
        self.size = len(content)
        self.at = at

    def take(self, size: int) -> bytes:
        self.skip(size)
        return self._content[self.at - size : self.at]

    def skip(self, size: int) -> None:
        self.at += size
        if self.at > self.size:
            msg = "it is cut off"
            raise GGUFFileError(msg)

    def number(self, form: str) -> Any:
        (value,) = struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))
        return value

    def text(self) -> str:
        return self.take(self.number("Q")).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        """Return a value of a type; the values of a list are skipped."""
        if kind == STRING:
            return self.text()
        if kind != _ARRAY:
            return self.number(_SCALARS[kind])
        kind, length = self.number("I"), self.number("Q")
        found = GGUFList(kind, length, self.at)
        if found.kind == STRING:
            for _ in range(found.length):
                self.skip(self.number("Q"))
        else:
            self.skip(found.length * struct.calcsize(f"<{_SCALARS[found.kind]}"))
        return found


def rewrite(
    header: GGUFHeader,
    target: Path,
    *,
    kind: str = "Q8_0",
    template: str | None = None,
    change: "Callable[[str, np.ndarray], np.ndarray] | None" = None,
) -> None:
    """Rewrite a model file, tensor by tensor.

    `kind` is `gguf`'s name of the type for tensors that are not in 32 bits, `template`
    another chat template, and `change` returns a tensor's new values.
    """
    import numpy as np
    from gguf import LlamaFileType, quants

    file_type = struct.pack("<II", 4, LlamaFileType[f"MOSTLY_{kind}"])
    changed = {"general.file_type": file_type}
    if template is not None:
        written = struct.pack("<I", STRING) + _text(template)
        changed["tokenizer.chat_template"] = written
    kinds = {name: _kind_of(tensor, kind) for name, tensor in header.tensors.items()}
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
            file.write(_text(name) + value)
        offset = 0
        for name, tensor in header.tensors.items():
            shape = tensor.shape[::-1]
            form = f"<I{len(shape)}QIQ"
            described = struct.pack(form, len(shape), *shape, kinds[name], offset)
            file.write(_text(name) + described)
            offset += _aligned(_size_bytes(tensor.shape, kinds[name]), alignment)
        for name, chosen in kinds.items():
            file.write(bytes(-file.tell() % alignment))
            values = header.read(name)
            values = values if change is None else change(name, values)
            stored = quants.quantize(values, chosen)
            file.write(np.ascontiguousarray(stored).view(np.uint8).data)
        file.write(bytes(-file.tell() % alignment))


def _kind_of(tensor: GGUFTensor, kind: str) -> "GGMLQuantizationType":
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    chosen = GGMLQuantizationType[kind]
    if tensor.kind == GGMLQuantizationType.F32:
        return tensor.kind
    fits = tensor.shape[-1] % GGML_QUANT_SIZES[chosen][0] == 0
    return chosen if fits else GGMLQuantizationType.F16


def _size_bytes(shape: tuple[int, ...], kind: "GGMLQuantizationType") -> int:
    from gguf import GGML_QUANT_SIZES

    block, size = GGML_QUANT_SIZES[kind]
    if shape[-1] % block:
        raise ValueError
    return int(math.prod(shape) // block * size)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _aligned(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment
