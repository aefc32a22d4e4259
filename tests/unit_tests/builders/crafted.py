"""Large texts for crafted exports."""

import random
import zipfile
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path

SIZE = 1_000_000


def until(size: int, piece: str | Callable[[int], str]) -> str:
    """Repeat a piece up to a size; a function returns the n-th."""
    if isinstance(piece, str):
        return piece * (size // len(piece))
    parts, length, number = [], 0, 0
    while length < size:
        part = piece(number)
        parts.append(part)
        length += len(part)
        number += 1
    return "".join(parts)


def nested(size: int, opening: str, closing: str, depth: int = 400) -> str:
    return until(size, f"{opening * depth}1{closing * depth},")[:-1]


# Text that cannot be compressed hides the ratio of the rest.
PAD = b64encode(random.Random(1).randbytes(SIZE // 2)).decode()


def write_files(files: Mapping[str, str | bytes], folder: Path) -> Path:
    """Write a table or database, or a zip of other files."""
    if len(files) == 1 and (name := next(iter(files))) in {"desk.csv", "chat.db"}:
        content = files[name]
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path
    path = folder / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path
