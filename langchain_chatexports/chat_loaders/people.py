"""The table of people: the names and handles of each person."""

import csv
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from langchain_chatexports._regular_files import open_regular_file, system_errors
from langchain_chatexports.exceptions import ExportFormatError

_MAX_BYTES = 16 * 1024 * 1024
_MIN_DIGITS = 7
_NATIONAL_DIGITS = 10
_MAX_DIGITS = 15  # ITU-T E.164; longer ones are ids, such as Discord's.
_COMMENT = "#"
_DELIMITERS = ";\t,"


class PeopleTable:
    """The names and handles of people: one row per person, the display name first.

    Case does not matter. Phone numbers are compared by all of their digits first, then
    by the last ten if only one person has them.
    """

    def __init__(
        self, rows: Iterable[Sequence[str]], *, path: Path | None = None
    ) -> None:
        """Initialize the table; errors name `path`."""
        listed = [tuple(filter(None, map(str.strip, row))) for row in rows]
        self.rows = tuple(row for row in listed if row)
        if not self.rows:
            msg = (
                f"{path or 'The table of people'} is empty. Write one line per "
                "person: the display name, then other names and handles, separated by "
                "semicolons."
            )
            raise ExportFormatError(msg, path=path)
        self._row_of: dict[str, int] = {}
        for position, row in enumerate(self.rows):
            for key in map(name_key, row):
                other = self._row_of.setdefault(key, position)
                if other != position:
                    msg = (
                        f"Entries {other + 1} and {position + 1} of "
                        f"{path or 'the table of people'} have a name or handle in "
                        "common. Remove it from one of them, or merge the two."
                    )
                    raise ExportFormatError(msg, path=path)
        self._national: dict[str, int | None] = {}
        for key, position in self._row_of.items():
            if number := comparable_number(key):
                is_one = self._national.setdefault(number, position) == position
                self._national[number] = position if is_one else None

    def row_of(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the row of the person who has one of these names and handles.

        Empty if nobody has one, or if they belong to several people.
        """
        positions = {self._find(name_key(name)) for name in names} - {None}
        if len(positions) != 1:
            return ()
        return self.rows[positions.pop() or 0]

    def _find(self, key: str) -> int | None:
        found = self._row_of.get(key)
        return self._national.get(comparable_number(key)) if found is None else found


PeopleSource: TypeAlias = PeopleTable | Mapping[str, str | Collection[str]] | str | Path
"""A table of people, its file, or other names and handles by display name."""


def people_table(given: PeopleSource | Iterable[Sequence[str]]) -> PeopleTable:
    """Return a table of people from a path, a mapping or rows."""
    if isinstance(given, PeopleTable):
        return given
    if isinstance(given, (str, Path)):
        return _read(Path(given).expanduser())
    if isinstance(given, Mapping):
        return PeopleTable(
            (name, *((others,) if isinstance(others, str) else others))
            for name, others in given.items()
        )
    return PeopleTable(given)


def name_key(name: str) -> str:
    """Return the form in which names and handles are compared."""
    plain = " ".join(unicodedata.normalize("NFC", name).split()).removeprefix("@")
    return address_key(plain) or plain.casefold()


def address_key(address: str) -> str | None:
    """Return the form in which addresses are compared; `None` for anything else."""
    bare = address.strip().strip("<>").casefold()
    bare = bare.removeprefix("mailto:").removeprefix("tel:")
    if not bare or bare.startswith("urn:"):
        return None
    if any(character.isalpha() for character in bare):
        return bare
    digits = "".join(filter(str.isdecimal, bare))
    # A bare country code must not match.
    return digits if len(digits) >= _MIN_DIGITS else None


def comparable_number(key: str) -> str:
    """Return the last ten digits of a phone number's `name_key`, or an empty string."""
    is_number = key.isdecimal() and _MIN_DIGITS <= len(key) <= _MAX_DIGITS
    return key[-_NATIONAL_DIGITS:] if is_number else ""


def _read(path: Path) -> PeopleTable:
    remedy = "Change its permissions, or copy it elsewhere."
    with system_errors(path, remedy), open_regular_file(path) as file:
        data = file.read(_MAX_BYTES + 1)
    text = None
    with suppress(UnicodeDecodeError):
        text = data.decode("utf-8-sig")
    if text is None or "\0" in text or len(data) > _MAX_BYTES:
        msg = (
            f"{path} is not a table of people in UTF-8. Save it as text (in a "
            "spreadsheet as CSV UTF-8) with one line per person."
        )
        raise ExportFormatError(msg, path=path)
    lines = [line for line in text.splitlines() if not line.startswith(_COMMENT)]
    # Spreadsheets use the delimiter of their user's country.
    used = (one for one in _DELIMITERS if any(one in line for line in lines))
    delimiter = next(used, ";")
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        return PeopleTable(list(rows), path=path)
    except csv.Error as error:
        msg = f"{path} cannot be read ({error}). Close or remove the quotation marks."
        raise ExportFormatError(msg, path=path) from None
