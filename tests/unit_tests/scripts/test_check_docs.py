"""The check of the site knows all rooms that have public names."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import langchain_chatexports

SCRIPT = Path(__file__).parents[3] / "scripts" / "check_docs.py"
# It has commands, which are on a page of their own.
NOT_IN_THE_REFERENCE = {"cli", "page"}


def test_every_room_is_in_the_api_reference() -> None:
    spec = importlib.util.spec_from_file_location("check_docs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    package = Path(langchain_chatexports.__file__).parent
    rooms = {path.parent.name for path in package.glob("[!_]*/__init__.py")}
    rooms |= {path.stem for path in package.glob("[!_]*.py")} - {"exceptions"}
    known = {room.split(".")[1] for room in script.ROOMS if "." in room}
    assert rooms - NOT_IN_THE_REFERENCE == known - {"exceptions"}
