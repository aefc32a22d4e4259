"""`chatexports serve`: the local server in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["serve"]


def serve(
    *,
    base: str | None,
    port: int,
    data_dir: Path | None,
    alias: list[str] | None,
    api_key: str | None,
) -> None:
    """Run the server until Ctrl-C."""
