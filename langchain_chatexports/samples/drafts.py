"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["draft_of"]


@contextmanager
def draft_of(target: Path) -> Iterator[Path]:
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
