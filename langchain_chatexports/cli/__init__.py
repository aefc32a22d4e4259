"""The `chatexports` command."""

from __future__ import annotations

import gc
import sys

from langchain_chatexports.exceptions import MissingExtraError

__all__ = ["main"]


def main() -> None:
    """Run the command line; exit status 0, 1 (an error), 2 (usage) or 130 (Ctrl-C)."""
    # Millions of live messages make the default collector the largest single cost.
    gc.set_threshold(100_000, 20, 100)
    try:
        from langchain_chatexports.cli.app import run
    except ImportError as error:
        if error.name not in {"typer", "rich", "click"}:
            raise
        missing = MissingExtraError("The chatexports command", "cli")
        sys.exit(f"error: {missing}")
    run()
