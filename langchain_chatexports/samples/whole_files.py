"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from langchain_chatexports._files import cannot_write
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["appearing_whole", "explaining", "write_whole"]


@contextmanager
def explaining(target: Path) -> Iterator[None]:
    """Turn what the system says while a sample is written into our errors.

    Args:
        target: What the user asked for.

    Raises:
        ExportAccessError: If the system refuses to write there.
        ExportFormatError: If nothing can be written there for another reason.
    """
    try:
        yield
    except ChatExportError:
        raise
    except OSError as error:
        raise cannot_write(target, error) from error


@contextmanager
def appearing_whole(target: Path) -> Iterator[Path]:
    """Provide a path beside the target to write to, and move it there at the end.

    After an error the target is as it was before, and nothing is left beside it.

    Args:
        target: A file, or a folder that is not there yet.

    Yields:
        The path to write a file to, or to make a folder at.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".chatexports-{secrets.token_hex(4)}.tmp")
    try:
        yield draft
        draft.replace(target)
    finally:
        if draft.is_dir():
            shutil.rmtree(draft)
        draft.unlink(missing_ok=True)


def write_whole(target: Path, content: bytes) -> None:
    """Write a file so that it is never there half-written.

    Args:
        target: The file; one that is there is replaced.
        content: Its bytes.
    """
    with appearing_whole(target) as draft:
        draft.write_bytes(content)
