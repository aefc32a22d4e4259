"""The key file of a redaction: a secret key and originals by stand-in."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from langchain_chatexports._files import write_atomic
from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError
from langchain_chatexports.redaction.pseudonyms import match_case
from langchain_chatexports.redaction.spans import KINDS

_STAND_IN = re.compile(
    rf"\[(?:{'|'.join(KINDS)})-[0-9a-f]{{10}}\]|\bchat-[0-9a-f]{{10}}\b|[A-Za-z]+"
)


@dataclass(frozen=True)
class RedactionKey:
    """A secret key and what it replaced; guard it like the export.

    The `repr` hides both.
    """

    key: str = field(repr=False)
    stand_ins: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Maps stand-ins to originals."""

    def write(self, path: str | Path) -> None:
        """Write the key file atomically, readable only by its owner.

        Args:
            path: The file to write or replace.
        """
        values = {"key": self.key, "stand_ins": dict(sorted(self.stand_ins.items()))}
        write_atomic(path, json.dumps(values, indent=1).encode("ascii") + b"\n")


def read_key_file(path: str | Path) -> RedactionKey:
    """Read a key file.

    Raises:
        ExportFormatError: If the file is not a key file.
        ExportNotFoundError: If the file does not exist.
    """
    path = Path(path).expanduser()
    try:
        with open_regular_file(path) as file:
            values = json.loads(file.read())
        key, stand_ins = values["key"], dict(values["stand_ins"])
        if key and all(isinstance(text, str) for text in (key, *stand_ins.values())):
            return RedactionKey(key, stand_ins)
    except FileNotFoundError as error:
        msg = f"{path} does not exist. Pass the key file written by the redaction."
        raise ExportNotFoundError(msg, path=path) from error
    except (KeyError, TypeError, ValueError, RecursionError, IsADirectoryError):
        pass  # The decoder's errors quote the file.
    msg = f"{path} is not a key file. Pass the one written by the redaction."
    raise ExportFormatError(msg, path=path)


def restore(text: str, undo_map: Mapping[str, str]) -> str:
    """Restore the originals in text, such as a model's answer.

    Args:
        text: Text with stand-ins.
        undo_map: The result of `Redact.undo_map`, or the `stand_ins` of a key file.

    Returns:
        The text with the original names and numbers. A number written in several ways
        is restored as first written.
    """

    def find_original(match: re.Match[str]) -> str:
        stand_in = match[0]
        if not stand_in.isalpha():
            return undo_map.get(stand_in, stand_in)
        name = undo_map.get(match_case("Name", stand_in))
        if name is None:
            return stand_in
        # Restore a capitalized stand-in as written in the export.
        return name if stand_in.istitle() else match_case(stand_in, name)

    return _STAND_IN.sub(find_original, text)
