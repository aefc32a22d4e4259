"""The exports that a command is given, and where it may not write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.recognition import (
    Export,
    is_examples_file,
    open_export,
    open_exports,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "Export",
    "is_examples_file",
    "open_export",
    "open_exports",
    "refuse_to_overwrite",
]


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
