"""The header of a GGUF file, and the weights that it describes.

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

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGMLQuantizationType

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
_FIELDS_START = 24
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
    fields: dict[str, int | float | bool | str]
    """The fields that are not lists."""

    tensors: dict[str, GGUFTensor]
    spans: dict[str, tuple[int, int]]
    """Where each field is, lists included."""

    fields_end: int
    """Where the tensors' descriptions begin."""

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the model's architecture."""
        return str(self.fields.get("general.architecture"))

    @property
    def blocks(self) -> int:
        """The number of layers; 0 if it does not say."""
        return int(self.fields.get(f"{self.architecture}.block_count") or 0)

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
    """Read the header of a GGUF file.

    Raises:
        GGUFFileError: If it is damaged, or cannot be read.
    """
    try:
        with (
            open_regular_file(path) as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return _Reader(path, content).read()
    except (OSError, ChatExportError) as error:
        msg = f"it cannot be read ({type(error).__name__})"
        raise GGUFFileError(msg) from error
    except GGUFFileError:
        raise
    except (struct.error, ValueError, OverflowError) as error:
        msg = "it is cut off or damaged"
        raise GGUFFileError(msg) from error


def rewrite(
    header: GGUFHeader,
    target: Path,
    *,
    kind: str = "Q8_0",
    template: str | None = None,
    change: "Callable[[str, np.ndarray], np.ndarray] | None" = None,
) -> None:
    """Write a file's model again, tensor by tensor.

    Args:
        header: The file's header.
        target: The file to write.
        kind: `gguf`'s name of the type for what is not in 32 bits.
        template: Another chat template.
        change: Returns a tensor's new values.
    """
    import numpy as np
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType, quants

    def kind_of(tensor: GGUFTensor) -> GGMLQuantizationType:
        if tensor.kind == GGMLQuantizationType.F32:
            return tensor.kind
        chosen = GGMLQuantizationType[kind]
        fits = tensor.shape[-1] % GGML_QUANT_SIZES[chosen][0] == 0
        return chosen if fits else GGMLQuantizationType.F16

    file_type = struct.pack("<II", 4, LlamaFileType[f"MOSTLY_{kind}"])
    changed = {"general.file_type": file_type}
    if template is not None:
        changed["tokenizer.chat_template"] = struct.pack("<I", _STRING) + _text(
            template
        )
    kinds = {name: kind_of(tensor) for name, tensor in header.tensors.items()}
    alignment = int(header.fields.get("general.alignment", _ALIGNMENT))
    with header.path.open("rb") as source, target.open("wb") as file:
        start = _FIELDS_START
        new = [name for name in changed if name not in header.spans]
        file.write(source.read(8))
        file.write(struct.pack("<QQ", len(kinds), len(header.spans) + len(new)))
        for name, (begin, end) in sorted(
            header.spans.items(), key=lambda each: each[1]
        ):
            if name in changed:
                source.seek(start)
                file.write(source.read(begin - start))
                start = end
                file.write(_text(name) + changed[name])
        source.seek(start)
        file.write(source.read(header.fields_end - start))
        for name in new:
            file.write(_text(name) + changed[name])
        offset = 0
        for name, tensor in header.tensors.items():
            shape = tensor.shape[::-1]
            file.write(
                _text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
            )
            file.write(struct.pack("<IQ", kinds[name], offset))
            offset += _aligned(_size_bytes(tensor.shape, kinds[name]), alignment)
        for name, chosen in kinds.items():
            file.write(bytes(-file.tell() % alignment))
            values = header.read(name)
            values = values if change is None else change(name, values)
            stored = quants.quantize(values, chosen)
            file.write(np.ascontiguousarray(stored).view(np.uint8).data)
        file.write(bytes(-file.tell() % alignment))


class _Reader:
    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self._path = path
        self._content = content
        self._at = 0

    def read(self) -> GGUFHeader:
        if self._take(4) != _MAGIC:
            msg = "it is not a GGUF file"
            raise GGUFFileError(msg)
        version = self._number("<I")
        if version not in _VERSIONS:
            msg = f"it has version {version} of the format, and 2 and 3 are known"
            raise GGUFFileError(msg)
        count = self._count(_MAX_TENSORS, "tensors")
        fields: dict[str, int | float | bool | str] = {}
        spans: dict[str, tuple[int, int]] = {}
        for _ in range(self._count(_MAX_FIELDS, "fields")):
            start = self._at
            name, kind = self._name(), self._number("<I")
            if kind == _ARRAY:
                self._skip_list()
            else:
                fields[name] = self._scalar(kind)
            if name in spans:
                msg = "two fields have one name"
                raise GGUFFileError(msg)
            spans[name] = (start, self._at)
        fields_end = self._at
        described = [self._tensor() for _ in range(count)]
        tensors = self._locate(described, fields.get("general.alignment", _ALIGNMENT))
        if len(tensors) != count:
            msg = "two tensors have one name"
            raise GGUFFileError(msg)
        _check_dimensions(fields, sum(math.prod(t.shape) for t in tensors.values()))
        return GGUFHeader(self._path, fields, tensors, spans, fields_end)

    def _locate(
        self, described: list[tuple[str, tuple[int, ...], int, int]], alignment: Any
    ) -> dict[str, GGUFTensor]:
        from gguf import GGMLQuantizationType

        # ggml asks for a power of two.
        if not isinstance(alignment, int) or alignment < 1 or alignment & alignment - 1:
            msg = "its alignment is no power of two"
            raise GGUFFileError(msg)
        data = _aligned(self._at, alignment)
        tensors = {}
        for name, shape, kind, offset in described:
            try:
                known = GGMLQuantizationType(kind)
                size = _size_bytes(shape, known)
            except (ValueError, KeyError) as error:
                msg = f"its tensor {name[:80]!r} has an unknown type or odd rows"
                raise GGUFFileError(msg) from error
            if offset % alignment or data + offset + size > len(self._content):
                msg = f"its tensor {name[:80]!r} is not within the file"
                raise GGUFFileError(msg)
            tensors[name] = GGUFTensor(shape, known, data + offset, size)
        return tensors

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

    def _scalar(self, kind: int) -> int | float | bool | str:
        if kind == _STRING:
            return self._string().decode("utf-8", "replace")
        if kind not in _SCALARS:
            msg = f"a field has the unknown type {kind}"
            raise GGUFFileError(msg)
        value: int | float | bool = self._unpack(_SCALARS[kind])
        return value

    def _skip_list(self) -> None:
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
        return int(self._unpack(form))

    def _unpack(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self._content, self._at)
        self._at += struct.calcsize(form)
        return value

    def _take(self, size: int) -> bytes:
        self._check_room(size)
        start, self._at = self._at, self._at + size
        return self._content[start : self._at]

    def _check_room(self, size: int) -> None:
        if size > len(self._content) - self._at:
            msg = "it is cut off"
            raise GGUFFileError(msg)


def _check_dimensions(fields: dict[str, Any], weights: int) -> None:
    """Refuse fields of a model that nobody has, or that the file cannot hold."""

    def get(name: str) -> Any:
        return fields.get(f"{fields.get('general.architecture')}.{name}", 0)

    for name, limit in _LIMITS.items():
        if not isinstance(get(name), int) or not 0 <= get(name) <= limit:
            msg = f"its field {name} is more than any model has, or no number"
            raise GGUFFileError(msg)
    width = get("embedding_length")
    layers = get("block_count") * width * get("feed_forward_length")
    if max(layers, get("vocab_size") * width) > weights:
        msg = "its fields describe a larger model than it holds"
        raise GGUFFileError(msg)


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
