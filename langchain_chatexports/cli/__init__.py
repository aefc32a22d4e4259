"""The `chatexports` command."""

from __future__ import annotations

import gc
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; `cli._exit` documents the exit statuses."""
    # With millions of live messages, garbage collection would be the largest cost.
    gc.set_threshold(100_000, 20, 100)
    try:
        # Imported here, so that Ctrl-C during the imports is handled as well.
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
