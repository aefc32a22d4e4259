"""The child processes of a test."""

from contextlib import suppress

import psutil


def children(part: str = "") -> list[psutil.Process]:
    """Return the child processes whose command line has a part.

    A process that has used `multiprocessing` keeps its resource tracker.
    """
    return [
        child
        for child in psutil.Process().children()
        if part in (line := _command_line(child)) and "resource_tracker" not in line
    ]


def _command_line(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return " ".join(process.cmdline())
    return "resource_tracker"
