"""List the files of an export in a folder."""

import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from langchain_chatexports._regular_files import (
    MAX_FOLDER_DEPTH,
    access_error,
    open_regular_file,
)
from langchain_chatexports._terminal import escaped, listing, plural
from langchain_chatexports.chat_loaders.export_file import (
    REMEDY,
    TOO_LARGE,
    ExportFile,
    has_suffix,
    is_system_file,
    is_too_large,
    refusal_error,
)
from langchain_chatexports.chat_loaders.zip_files import is_zip_name
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

OUTSIDE_EXPORT = "it is not a regular file inside the export"
_CONTEXT_FOLDERS = 5  # Between the root of an export and a conversation's folder.
# Folders for sent files, in exports of several apps.
_SENT_FILES_FOLDER = re.compile(
    r"(?:.*_)?(?:files|attachments|uploads|media)", re.IGNORECASE
)


def list_folder(
    root: Path,
    part: int,
    suffixes: tuple[str, ...],
    skip: Callable[[ChatExportError], None],
    warn: Callable[[str], None],
) -> Iterator[ExportFile]:
    """Yield the files of a folder with a suffix, and warn about zips deep in it."""
    real_root = realpath(root)
    zips = []
    for path in walk_files(root, skip):
        if is_zip_name(path) and path.parent != root:
            zips.append(path.relative_to(root))
        elif has_suffix(path, suffixes, os.path.exists):
            try:
                # Links may point outside the export, and pipes never end.
                if not realpath(path).is_relative_to(real_root) or not path.is_file():
                    raise refusal_error(path, OUTSIDE_EXPORT)
                yield make_disk_file(path, root, real_root, part, root.name)
            except ExportFormatError as error:
                skip(error)
    # Ignore zips that were sent in chats.
    zips = [
        zip_path
        for zip_path in zips
        if not any(map(_SENT_FILES_FOLDER.fullmatch, zip_path.parts))
    ]
    if zips:
        warn(
            f"{root} has {plural(len(zips), 'zip')} in its subfolders, which are not "
            f"read: {listing([*map(str, zips)])}. If they are parts of the export, "
            "pass their paths or move them to the top of the folder."
        )


def make_disk_file(
    path: Path, root: Path, real_root: Path, part: int, part_name: str
) -> ExportFile:
    """Describe a file in a folder, which is not opened."""
    context = real_root.parts[1:][-_CONTEXT_FOLDERS:]
    size = path.stat().st_size
    if is_too_large(path.name, size):
        raise refusal_error(path, TOO_LARGE)
    return ExportFile(
        folders=tuple(
            map(
                _replace_invalid_unicode, (*context, *path.relative_to(root).parts[:-1])
            )
        ),
        name=_replace_invalid_unicode(path.name),
        given_depth=len(context),
        part=part,
        part_name=part_name,
        size=size,
        compressed_size=size,
        path=path,
        label=escaped(str(path)),
        opener=partial(open_regular_file, path),
    )


def walk_files(root: Path, skip: Callable[[ChatExportError], None]) -> Iterator[Path]:
    """Yield the files in a folder and its subfolders, except hidden ones from macOS.

    Args:
        root: The folder.
        skip: Called with an error for each unreadable or too deeply nested folder.

    Raises:
        ExportAccessError: If access is denied.
    """

    def on_error(error: OSError) -> None:
        if isinstance(error, PermissionError):
            raise access_error(error.filename, Path(error.filename), REMEDY) from error
        skip(refusal_error(error.filename, f"the system says {error.strerror}"))

    for folder, folders, names in os.walk(root, onerror=on_error):
        if len(Path(folder).relative_to(root).parts) >= MAX_FOLDER_DEPTH and folders:
            folders.clear()
            skip(refusal_error(folder, "it is nested too deeply"))
        folders[:] = sorted(name for name in folders if not is_system_file(name))
        yield from (
            Path(folder, name) for name in sorted(names) if not is_system_file(name)
        )


def realpath(path: Path) -> Path:
    """Return a path without links."""
    # Before Python 3.13, `Path.resolve` raises a RuntimeError for circular links.
    return Path(os.path.realpath(path))


def _replace_invalid_unicode(name: str) -> str:
    # Bytes that are not UTF-8 become surrogates, which are invalid in JSON.
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "replace")
