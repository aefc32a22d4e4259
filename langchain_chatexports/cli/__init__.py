"""The `chatexports` command."""

from __future__ import annotations

import gc
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; `cli._exit` documents the exit statuses."""
    # Millions of live messages make the default collector the largest single cost.
    gc.set_threshold(100_000, 20, 100)
    try:
        # Imported only here, so that Ctrl-C during the imports is handled too.
        from langchain_chatexports.exceptions import MissingExtraError

        try:
            from langchain_chatexports.cli.app import run
        except ImportError as error:
            if error.name not in {"typer", "rich", "click"}:
                raise
            missing = MissingExtraError("The chatexports command", "cli")
            sys.exit(f"error: {missing}")
    except KeyboardInterrupt:
        sys.exit(130)
    run()
