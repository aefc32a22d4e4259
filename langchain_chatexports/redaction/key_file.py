"""The key file of a redaction: a secret key, and the originals of its stand-ins."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from langchain_chatexports._files import write_whole
from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError
from langchain_chatexports.redaction.pseudonyms import in_case_of
from langchain_chatexports.redaction.spans import KINDS

_STAND_IN = re.compile(
    rf"\[(?:{'|'.join(KINDS)})-[0-9a-f]{{10}}\]|\bchat-[0-9a-f]{{10}}\b|[A-Za-z]+"
)


@dataclass(frozen=True)
class RedactionKey:
    """A key and the originals by stand-in, as private as the export.

    The `repr` shows neither.
    """

    key: str = field(repr=False)
    stand_ins: Mapping[str, str] = field(default_factory=dict, repr=False)

    def write(self, path: str | Path) -> None:
        """Write the key file completely or not at all, readable by its owner only.

        Args:
            path: The file to write or replace.
        """
        values = {"key": self.key, "stand_ins": dict(sorted(self.stand_ins.items()))}
        write_whole(path, json.dumps(values, indent=1).encode("ascii") + b"\n")


def read_key_file(path: str | Path) -> RedactionKey:
    """Read a key file.

    Raises:
        ExportFormatError: If it is not a key file.
        ExportNotFoundError: If it does not exist.
    """
    path = Path(path).expanduser()
    try:
        with open_regular_file(path) as file:
            values = json.loads(file.read())
        key, stand_ins = values["key"], dict(values["stand_ins"])
        if key and all(isinstance(text, str) for text in (key, *stand_ins.values())):
            return RedactionKey(key, stand_ins)
    except FileNotFoundError as error:
        msg = f"There is no key file at {path}. Name the one that the redaction wrote."
        raise ExportNotFoundError(msg, path=path) from error
    except (KeyError, TypeError, ValueError, RecursionError, IsADirectoryError):
        pass  # The decoder's errors quote the file.
    msg = f"{path} is not a key file. Name the file that the redaction wrote."
    raise ExportFormatError(msg, path=path)


def restore(text: str, undo_map: Mapping[str, str]) -> str:
    """Restore the originals in a text, such as a model's answer.

    Args:
        text: The text.
        undo_map: The result of `Redact.undo_map`, or the `stand_ins` of a key file.

    Returns:
        The text with the original names and numbers. A number with several spellings
        is restored in the first one.
    """

    def original(match: re.Match[str]) -> str:
        found = match[0]
        if not found.isalpha():
            return undo_map.get(found, found)
        name = undo_map.get(in_case_of("Name", found))
        if name is None:
            return found
        # A capitalized stand-in is restored as written in the export.
        return name if found.istitle() else in_case_of(found, name)

    return _STAND_IN.sub(original, text)
