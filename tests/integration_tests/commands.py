"""Run the command `chatexports` in a separate process."""

import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "langchain_chatexports.cli")


def chatexports(
    folder: Path, *arguments: object, stdin: str = "", **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run `chatexports ARGUMENTS` in a folder, and wait until it exits."""
    return subprocess.run(  # noqa: S603 - our own command
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        input=stdin,
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
        **options,
    )
