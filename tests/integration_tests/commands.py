"""The command `chatexports` in a process."""

import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "langchain_chatexports.cli")


def chatexports(
    folder: Path, *words: object, stdin: str = "", **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run `chatexports WORDS` in a folder, and wait for its end."""
    return subprocess.run(  # noqa: S603 - our own command
        [*COMMAND, *map(str, words)],
        cwd=folder,
        input=stdin,
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
        **options,
    )
