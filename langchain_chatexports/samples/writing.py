"""Write samples atomically, and never replace a file."""

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from langchain_chatexports._files import translate_write_errors
from langchain_chatexports.exceptions import ExportFormatError


class SceneLine(NamedTuple):
    """A message in a scene."""

    speaker: str
    text: str


def read_scenes(file_name: str) -> dict[str, list[SceneLine]]:
    """Parse the scenes in a file from this package."""
    text = files("langchain_chatexports.samples").joinpath(file_name).read_bytes()
    return parse_scenes(text.decode())


def parse_scenes(text: str) -> dict[str, list[SceneLine]]:
    """Return the lines (`Hare: Speed is key!`) by heading (`# The race`)."""
    scenes: dict[str, list[SceneLine]] = {}
    lines: list[SceneLine] = []
    for line in text.splitlines():
        if line.startswith("# "):
            lines = scenes.setdefault(line.removeprefix("# "), [])
        elif line:
            speaker, _, text = line.partition(": ")
            lines.append(SceneLine(speaker, text))
    return scenes


def write_folder(folder: str | Path, contents: Mapping[str, str]) -> Path:
    """Write files to a folder, unless they already exist."""
    target = Path(folder).expanduser()
    data = {name: text.encode() for name, text in contents.items()}
    with translate_write_errors(target):
        if target.is_dir() and any(target.iterdir()):
            if not all(_has_content(target / name, data[name]) for name in data):
                raise _exists_error(target)
            return target
        if target.exists() and not target.is_dir():
            raise _exists_error(target)
        with stage_output(target) as draft:
            for name, content in data.items():
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                (draft / name).write_bytes(content)
    return target


@contextmanager
def stage_output(target: Path) -> Iterator[Path]:
    """Yield a temporary path next to the target, and move it there at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".chatexports-{secrets.token_hex(4)}.tmp")
    try:
        yield draft
        if draft.is_file() and target.exists():
            if not _has_content(target, draft.read_bytes()):
                raise _exists_error(target)
            return
        if target.is_dir():  # The caller checks that it is empty.
            for child in draft.iterdir():
                child.replace(target / child.name)
        else:
            draft.replace(target)
    finally:
        if draft.is_dir():
            shutil.rmtree(draft)
        draft.unlink(missing_ok=True)


def _has_content(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _exists_error(target: Path) -> ExportFormatError:
    msg = (
        f"{target} already exists and is not this sample, so nothing was written. "
        "Choose another path, or move it away."
    )
    return ExportFormatError(msg, path=target)
