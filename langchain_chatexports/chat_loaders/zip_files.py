"""List and open the files of an export in a zip, in place.

Names that point outside the zip, links, and files that unpack to far more than a chat
are skipped.
"""

import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports._terminal import escaped
from langchain_chatexports._translation import Sentence
from langchain_chatexports.chat_loaders.export_file import (
    TOO_LARGE,
    UNPACKS_TOO_FAR,
    ZIP_ERRORS,
    ExportFile,
    has_suffix,
    is_system_file,
    is_too_large,
    max_unpacked_bytes,
    refusal_error,
)
from langchain_chatexports.exceptions import (
    ChatExportError,
    DamagedExportError,
    EncryptedExportError,
    ExportFormatError,
)

_ENCRYPTED_FLAG = 0x1
_DRIVE = re.compile("[A-Za-z]:")
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
# For bzip2 and LZMA, Python unpacks entire blocks even to read a few bytes.
_COMPRESSION_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


def is_zip_name(path: Path) -> bool:
    """Return whether a file is a zip, by its name."""
    return path.suffix.lower() == ".zip" and not is_system_file(path.name)


def is_zip(path: Path) -> bool:
    """Return whether a file is a zip, by its name or first bytes.

    `zipfile.is_zipfile` checks the end of the file, which truncated zips lack.
    """
    if path.suffix.lower() == ".zip":
        return True
    with open_regular_file(path) as file:
        return file.read(4) in _ZIP_MAGICS


def open_zip(path: Path, zips: ExitStack) -> zipfile.ZipFile:
    """Open a zip until `zips` is closed."""
    file = zips.enter_context(open_regular_file(path))
    try:
        return zips.enter_context(zipfile.ZipFile(file))
    except ZIP_ERRORS as error:
        msg = Sentence(
            "{path} is not a complete zip file ({reason}); its download was probably "
            "interrupted. Download it again.",
            path=path,
            reason=str(error),
        )
        raise DamagedExportError(msg, path=path) from error


def list_zip(
    path: Path,
    archive: zipfile.ZipFile,
    part: int,
    suffixes: tuple[str, ...],
    skip: Callable[[ChatExportError], None],
) -> Iterator[ExportFile]:
    """Yield the files of a zip with a suffix."""
    entries = []
    # Some programs use backslashes.
    infos = [
        (PurePosixPath(info.filename.replace("\\", "/")), info)
        for info in archive.infolist()
    ]
    known = {name for name, _ in infos}
    for name, info in infos:
        is_listed = not info.is_dir() and has_suffix(name, suffixes, known.__contains__)
        if not is_listed or any(map(is_system_file, name.parts)):
            continue
        if reason := _find_refusal_reason(name, info):
            skip(refusal_error(f"{path}/{name}", reason))
        else:
            entries.append((name, info))
    _check_zip(path, [info for _, info in entries])
    entries.sort(key=lambda entry: (str(entry[0]), entry[1].header_offset))
    for name, info in entries:
        yield ExportFile(
            folders=name.parts[:-1],
            name=name.name,
            given_depth=0,
            part=part,
            part_name=path.name,
            size=info.file_size,
            compressed_size=info.compress_size,
            path=path,
            label=escaped(f"{path}/{name}"),
            opener=partial(_open_entry, archive, info),
        )


def _open_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    if info.compress_type not in _COMPRESSION_METHODS:
        msg = f"compression method {info.compress_type} is not supported"
        raise NotImplementedError(msg)
    return archive.open(info)


def _find_refusal_reason(name: PurePosixPath, info: zipfile.ZipInfo) -> str | None:
    if name.is_absolute() or ".." in name.parts or _DRIVE.match(name.parts[0]):
        return "its name points outside the archive"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "it is a link"
    if is_too_large(name.name, info.file_size):
        return TOO_LARGE
    if info.file_size > max_unpacked_bytes(info.compress_size):
        return UNPACKS_TOO_FAR
    return None


def _check_zip(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    if any(info.flag_bits & _ENCRYPTED_FLAG for info in infos):
        msg: str = Sentence(
            "{path} is protected by a password, unlike exports. Unpack it and pass "
            "the folder.",
            path=path,
        )
        raise EncryptedExportError(msg, path=path)
    total = sum(info.file_size for info in infos)
    # Ignore media files. The size of the zip counts if entries share data.
    packed = min(path.stat().st_size, sum(info.compress_size for info in infos))
    if total > max_unpacked_bytes(packed):
        msg = (
            f"The chats in {path} would unpack from {packed:,} to {total:,} bytes, "
            "which suggests a zip bomb. Download the export again. If you made the zip "
            "yourself, unpack it and pass the folder."
        )
        raise ExportFormatError(msg, path=path)
