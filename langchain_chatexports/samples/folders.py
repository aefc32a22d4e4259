"""Samples that are folders of text files, known by their `README.txt`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from langchain_chatexports._files import explained_writing
from langchain_chatexports.exceptions import ExportFormatError
from langchain_chatexports.samples.drafts import draft_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["write_folder"]

_MARK = "Sample export written by langchain_chatexports.samples."
_END = "A file of the sample is replaced when it is written again."


def write_folder(folder: str | Path, about: str, files: Mapping[str, str]) -> Path:
    """Write a sample into a folder.

    Args:
        folder: Where to write it; missing folders are made. The files of an earlier
            sample in this folder are replaced, others in it are left alone.
        about: What the sample is, for its `README.txt`.
        files: The text of each file, by its path in the folder.

    Returns:
        The folder.

    Raises:
        ExportAccessError: If the system refuses to write there.
        ExportFormatError: If there is a file of this name, or a folder that is not
            empty and holds no sample. Nothing is overwritten then.
    """
    target = Path(folder).expanduser()
    # The mark comes first: what an interrupted call leaves is known as a sample.
    everything = {"README.txt": f"{_MARK}\n\n{about}\n{_END}\n", **files}
    with explained_writing(target):
        if target.exists():
            _check_writable(target)
            _write_files(target, everything)
        else:
            with draft_of(target) as draft:
                _write_files(draft, everything)
    return target


def _check_writable(target: Path) -> None:
    if target.is_dir():
        readme = target / "README.txt"
        if readme.is_file() and readme.read_bytes().startswith(_MARK.encode()):
            return
        if not any(target.iterdir()):
            return
    msg = (
        f"{target} is there already and is no sample of this package, so nothing was "
        "written. Give another folder, or move it away."
    )
    raise ExportFormatError(msg, path=target)


def _write_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        with draft_of(folder / name) as draft:
            draft.write_bytes(text.encode())
