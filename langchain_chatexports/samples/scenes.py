"""The scenes of the samples, from the text files beside this module."""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

__all__ = ["SceneLine", "parse_scenes", "read_scenes"]


class SceneLine(NamedTuple):
    """One message of a scene."""

    speaker: str
    text: str


def read_scenes(file_name: str) -> dict[str, list[SceneLine]]:
    """Read the scenes of a text file.

    Args:
        file_name: A text file of this package's folder.

    Returns:
        The lines of each scene by its heading, in the file's order.
    """
    text = files("langchain_chatexports.samples").joinpath(file_name).read_bytes()
    return parse_scenes(text.decode("utf-8"))


def parse_scenes(text: str) -> dict[str, list[SceneLine]]:
    """Read scenes: a heading (`# The race`) and its lines (`Hare: Speed is key!`).

    Args:
        text: The scenes, with empty lines wherever they please.

    Returns:
        The lines of each scene by its heading, in the text's order.
    """
    scenes: dict[str, list[SceneLine]] = {}
    lines: list[SceneLine] = []
    for row in text.splitlines():
        if row.startswith("# "):
            lines = scenes.setdefault(row.removeprefix("# "), [])
        elif row:
            speaker, _, said = row.partition(": ")
            lines.append(SceneLine(speaker, said))
    return scenes
