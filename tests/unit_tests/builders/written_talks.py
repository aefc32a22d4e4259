"""The written talks of `benchmarks/voices`, in which each reply answers its message."""

from pathlib import Path

from langchain_chatexports.evaluation.dialogues import (
    OTHER,
    PERSON,
    Dialogue,
    Utterance,
)
from langchain_chatexports.samples.writing import SceneLine, parse_scenes

SPEAKERS = {"mechanic": "Dee", "uncle": "Heinz"}
"""The person in each file."""

_FOLDER = Path(__file__).parents[3] / "benchmarks" / "voices"


def read_talks(name: str) -> list[list[SceneLine]]:
    """Read the talks of a file."""
    text = (_FOLDER / f"{name}.txt").read_text("utf-8")
    return [*parse_scenes(text).values()]


def written_dialogues(name: str) -> list[Dialogue]:
    """Return the talks of a file as dialogues."""
    return [
        Dialogue.from_lines(
            Utterance(PERSON if line.speaker == SPEAKERS[name] else OTHER, line.text)
            for line in lines
        )
        for lines in read_talks(name)
    ]
