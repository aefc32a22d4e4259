"""The header of a GGUF file, the weights that it describes, and another type of them.

Every count and size is checked against the file before it is used: llama.cpp ends its
process at some of the damage that a file can have, and the package `gguf` reads counts
as they are. The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:  # They come with the extra.
    import numpy as np
    from gguf import GGMLQuantizationType

STRING = 8
"""The type of texts."""

_VERSIONS = (2, 3)
_SCALARS = dict(zip((*range(8), 10, 11, 12), "BbHhIif?Qqd", strict=True))
_ARRAY = 9
_ALIGNMENT = 32
_FIELDS_START = 24
# The largest open models have a few thousand tensors, and a million merges of tokens.
_MAX_FIELDS = 10_000
_MAX_TENSORS = 100_000
_MAX_STRINGS = 4_000_000
_MAX_STRING_BYTES = 1_000_000
_MAX_DIMENSIONS = 4
_MAX_SIZE = 2**63
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


class GGUFFileError(ValueError):
    """Something else than a GGUF file, or a damaged one; the text says what."""


@dataclass(frozen=True)
class GGUFTensor:
    """Where a tensor is in its file."""

    shape: tuple[int, ...]
    """As in NumPy: columns last."""

    kind: "GGMLQuantizationType"
    start: int
    size_bytes: int


@dataclass(frozen=True)
class GGUFHeader:
    """What a GGUF file says about itself."""

    path: Path
    fields: dict[str, Any]
    """The values of the fields; of a list, its type and length."""

    spans: dict[str, tuple[int, int]]
    """Where each field is, name included."""

    tensors: dict[str, GGUFTensor]
    fields_end: int
    """Where the tensors' descriptions begin."""

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the model's architecture."""
        return str(self.fields.get("general.architecture"))

    def dimension(self, name: str) -> int:
        """Return a number of the architecture; 0 if it is missing or a list."""
        value = self.fields.get(f"{self.architecture}.{name}")
        return value if isinstance(value, int) else 0

    def values(self, name: str) -> list[Any]:
        """Return the values of a list; none if there is no such list."""
        if not isinstance(self.fields.get(name), tuple):
            return []
        with (
            self.path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            reader = _Reader(content, self.spans[name][0])
            reader.string()
            reader.number("I")
            return reader.values()

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
    """Read the header of a GGUF file; a `GGUFFileError` says what is wrong with it."""
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
    except (struct.error, ValueError, OverflowError) as error:
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
    tensor_count = reader.count(_MAX_TENSORS, "tensors")
    field_count = reader.count(_MAX_FIELDS, "fields")
    fields: dict[str, Any] = {}
    spans = {}
    for _ in range(field_count):
        start = reader.at
        name = reader.text()
        fields[name] = reader.field()
        spans[name] = (start, reader.at)
    fields_end = reader.at
    described = [_describe_tensor(reader) for _ in range(tensor_count)]
    alignment = fields.get("general.alignment", _ALIGNMENT)
    # ggml asks for a power of two.
    if not isinstance(alignment, int) or alignment < 1 or alignment & alignment - 1:
        msg = "its alignment is not a power of two"
        raise GGUFFileError(msg)
    data = _aligned(reader.at, alignment)
    tensors = {}
    for name, shape, kind, offset in described:
        tensors[name] = _located(name, shape, kind, data + offset)
        if offset % alignment or data + offset > reader.size - tensors[name].size_bytes:
            msg = f"its tensor {name[:80]!r} is not within the file"
            raise GGUFFileError(msg)
    if len(fields) != field_count or len(tensors) != tensor_count:
        msg = "two of its fields or tensors have one name"
        raise GGUFFileError(msg)
    header = GGUFHeader(path, fields, spans, tensors, fields_end)
    _check_dimensions(header)
    return header


def _describe_tensor(reader: "_Reader") -> tuple[str, tuple[int, ...], int, int]:
    name, dimensions = reader.text(), reader.number("I")
    if not 1 <= dimensions <= _MAX_DIMENSIONS:
        msg = f"a tensor has {dimensions} dimensions"
        raise GGUFFileError(msg)
    shape = tuple(reader.number("Q") for _ in range(dimensions))[::-1]
    if not 0 < math.prod(shape) < _MAX_SIZE:
        msg = f"its tensor {name[:80]!r} has an impossible shape"
        raise GGUFFileError(msg)
    return name, shape, reader.number("I"), reader.number("Q")


def _located(name: str, shape: tuple[int, ...], kind: int, start: int) -> GGUFTensor:
    from gguf import GGMLQuantizationType

    try:
        known = GGMLQuantizationType(kind)
        return GGUFTensor(shape, known, start, _size_bytes(shape, known))
    except (ValueError, KeyError) as error:
        msg = f"its tensor {name[:80]!r} has an unknown type or odd rows"
        raise GGUFFileError(msg) from error


def _check_dimensions(header: GGUFHeader) -> None:
    """Refuse dimensions that no model has, or that the file cannot hold."""
    for name, limit in _LIMITS.items():
        value = header.fields.get(f"{header.architecture}.{name}", 0)
        is_list = isinstance(value, tuple)
        if not is_list and (type(value) is not int or not 0 <= value <= limit):
            msg = f"its field {name} is not a number that a model can have"
            raise GGUFFileError(msg)
    width = header.dimension("embedding_length")
    blocks = header.dimension("block_count")
    layers = blocks * width * header.dimension("feed_forward_length")
    needed = max(layers, header.dimension("vocab_size") * width)
    if needed > sum(math.prod(tensor.shape) for tensor in header.tensors.values()):
        msg = "its fields describe a larger model than it holds"
        raise GGUFFileError(msg)


class _Reader:
    """Reads values one after the other, and never beyond the end."""

    def __init__(self, content: mmap.mmap, at: int) -> None:
        self._content = content
        self.size = len(content)
        self.at = at

    def field(self) -> Any:
        """Return a value; of a list, its type and length, and skip its values."""
        kind = self.number("I")
        if kind != _ARRAY:
            return self._value(kind)
        start = self.at
        kind, length = self.number("I"), self.number("Q")
        if kind == STRING:
            self.at = start
            self.values(keep=False)
        else:
            self._check_room(length * self._width(kind))
            self.at += length * self._width(kind)
        return kind, length

    def values(self, *, keep: bool = True) -> list[Any]:
        kind, length = self.number("I"), self.number("Q")
        if kind != STRING:
            form = f"<{length}{_SCALARS[kind]}"
            return list(struct.unpack(form, self.take(length * self._width(kind))))
        if length > _MAX_STRINGS:
            msg = f"it claims to have a list of {length} texts"
            raise GGUFFileError(msg)
        found = []
        for _ in range(length):
            text = self.string()
            if keep:
                found.append(text.decode("utf-8", "replace"))
        return found

    def text(self) -> str:
        return self.string().decode("utf-8", "replace")

    def string(self) -> bytes:
        length = self.number("Q")
        if length > _MAX_STRING_BYTES:
            msg = "it is cut off, or has a text of more than a million bytes"
            raise GGUFFileError(msg)
        return self.take(length)

    def count(self, maximum: int, what: str) -> int:
        count = self.number("Q")
        if count > maximum:
            msg = f"it claims to have {count} {what}"
            raise GGUFFileError(msg)
        return count

    def number(self, form: str) -> int:
        return int(self._scalar(form))

    def take(self, size: int) -> bytes:
        self._check_room(size)
        self.at += size
        return self._content[self.at - size : self.at]

    def _check_room(self, size: int) -> None:
        if size > self.size - self.at:
            msg = "it is cut off"
            raise GGUFFileError(msg)

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self.text()
        self._width(kind)
        return self._scalar(_SCALARS[kind])

    def _scalar(self, form: str) -> Any:
        (value,) = struct.unpack_from(f"<{form}", self._content, self.at)
        self.at += struct.calcsize(f"<{form}")
        return value

    def _width(self, kind: int) -> int:
        if kind not in _SCALARS:
            msg = f"a field has the unknown type {kind}"
            raise GGUFFileError(msg)
        return struct.calcsize(f"<{_SCALARS[kind]}")


def rewrite(
    header: GGUFHeader,
    target: Path,
    *,
    kind: str = "Q8_0",
    template: str | None = None,
    change: "Callable[[str, np.ndarray], np.ndarray] | None" = None,
) -> None:
    """Write a file's model again, tensor by tensor.

    `kind` is `gguf`'s name of the type for what is not in 32 bits, `template` another
    chat template, and `change` returns a tensor's new values.
    """
    import numpy as np
    from gguf import LlamaFileType, quants

    file_type = struct.pack("<II", 4, LlamaFileType[f"MOSTLY_{kind}"])
    changed = {"general.file_type": file_type}
    if template is not None:
        written = struct.pack("<I", STRING) + _text(template)
        changed["tokenizer.chat_template"] = written
    kinds = {name: _kind_of(tensor, kind) for name, tensor in header.tensors.items()}
    kept = header.spans.keys() - changed
    alignment = int(header.fields.get("general.alignment", _ALIGNMENT))
    with header.path.open("rb") as source, target.open("wb") as file:
        file.write(source.read(8))
        file.write(struct.pack("<QQ", len(kinds), len(kept) + len(changed)))
        for name, (start, end) in header.spans.items():
            if name in kept:
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
