"""The exports that a command is given, and where it may not write."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders import recognition
from langchain_chatexports.chat_loaders.recognition import (
    Export,
    is_examples_file,
    open_export,
)
from langchain_chatexports.exceptions import ExportNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = [
    "Export",
    "is_examples_file",
    "open_export",
    "open_exports",
    "own_messages_or",
    "refuse_to_overwrite",
]


def open_exports(
    paths: Iterable[Path], *, contacts: Path | None = None
) -> list[Export]:
    """Recognise exports, and put the parts of one together.

    Args:
        paths: Files or folders.
        contacts: Where names of people in iMessage exports come from, if it was said.

    Raises:
        ChatExportError: If one cannot be read, or is no export.
        typer.BadParameter: If contacts are given and none of them is of iMessage.
    """
    exports = recognition.open_exports(paths, contacts=contacts)
    if contacts is not None and all(
        export.loader.platform != "imessage" for export in exports
    ):
        import typer

        msg = "--contacts is for exports of iMessage, and there is none: leave it out."
        raise typer.BadParameter(msg)
    return exports


def own_messages_or(paths: Sequence[Path] | None) -> list[Path]:
    """Return the paths that were named, or on a Mac its own Messages.

    Args:
        paths: What was named.

    Raises:
        typer.BadParameter: If nothing was named, and this is no Mac.
        ExportNotFoundError: If the Mac keeps no Messages.
        ExportAccessError: If the system refuses access to them.
    """
    import typer

    from langchain_chatexports.chat_loaders.imessage.database import path_status
    from langchain_chatexports.chat_loaders.imessage.sources import default_path
    from langchain_chatexports.cli.console import say

    if paths:
        return list(paths)
    if platform.system() != "Darwin":
        msg = "Name an export: a chat.db, a Messenger zip or folder, a table."
        raise typer.BadParameter(msg)
    path = default_path()
    try:
        path_status(path)
    except ExportNotFoundError as error:
        msg = f"There are no Messages of this Mac at {path}. Name an export."
        raise ExportNotFoundError(msg) from error
    say(f"No export was named, so this Mac's own Messages are read: {path}")
    return [path]


def refuse_to_overwrite(output: Path, paths: Iterable[Path]) -> None:
    """Make sure that writing changes no source, also not by a slip of the hand.

    Args:
        output: What will be written.
        paths: The exports.

    Raises:
        typer.BadParameter: If it would be an export, or in one.
    """
    import typer

    target = output.expanduser().resolve()
    for path in paths:
        source = path.expanduser().resolve()
        if target == source or (source.is_dir() and source in target.parents):
            msg = f"-o {output} would write into {path}: name a place outside of it."
            raise typer.BadParameter(msg)
