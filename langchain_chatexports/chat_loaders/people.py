"""A table of people with their names and handles."""

import csv
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from langchain_chatexports._regular_files import open_regular_file, translate_os_errors
from langchain_chatexports.exceptions import ExportFormatError

_MAX_BYTES = 16 * 1024 * 1024
_MIN_DIGITS = 7
_NATIONAL_DIGITS = 10
_MAX_DIGITS = 15  # ITU-T E.164; longer numbers are ids, such as Discord's.
_COMMENT = "#"
_DELIMITERS = ";\t,"


class PeopleTable:
    """The names and handles of people: one row per person, the display name first.

    Names match regardless of case. Phone numbers match on all digits, or on the last
    ten if these are unique.
    """

    def __init__(
        self, rows: Iterable[Sequence[str]], *, path: Path | None = None
    ) -> None:
        """Initialize the table; `path` is only used in errors."""
        stripped = [tuple(filter(None, map(str.strip, row))) for row in rows]
        self.rows = tuple(row for row in stripped if row)
        if not self.rows:
            msg = (
                f"{path or 'The table of people'} is empty. Write one line per "
                "person: the display name, then other names and handles, separated by "
                "semicolons."
            )
            raise ExportFormatError(msg, path=path)
        self._indexes: dict[str, int] = {}
        for index, row in enumerate(self.rows):
            for key in map(name_key, row):
                other = self._indexes.setdefault(key, index)
                if other != index:
                    msg = (
                        f"Entries {other + 1} and {index + 1} of "
                        f"{path or 'the table of people'} have a name or handle in "
                        "common. Remove it from one of them, or merge the entries."
                    )
                    raise ExportFormatError(msg, path=path)
        self._by_national_number: dict[str, int | None] = {}
        for key, index in self._indexes.items():
            if number := national_number(key):
                is_unique = self._by_national_number.setdefault(number, index) == index
                self._by_national_number[number] = index if is_unique else None

    def find_row(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the row of the person with one of these names or handles.

        Empty if no row or more than one matches.
        """
        indexes = {self._find(name_key(name)) for name in names} - {None}
        if len(indexes) != 1:
            return ()
        return self.rows[indexes.pop() or 0]

    def _find(self, key: str) -> int | None:
        index = self._indexes.get(key)
        if index is None:
            return self._by_national_number.get(national_number(key))
        return index


PeopleSource: TypeAlias = PeopleTable | Mapping[str, str | Collection[str]] | str | Path
"""A table of people, a path to one, or a mapping of display names to other names."""


def to_people_table(source: PeopleSource | Iterable[Sequence[str]]) -> PeopleTable:
    """Convert a path, a mapping or rows to a table of people."""
    if isinstance(source, PeopleTable):
        return source
    if isinstance(source, (str, Path)):
        return _read(Path(source).expanduser())
    if isinstance(source, Mapping):
        return PeopleTable(
            (name, *((others,) if isinstance(others, str) else others))
            for name, others in source.items()
        )
    return PeopleTable(source)


def name_key(name: str) -> str:
    """Return the key for comparing names and handles."""
    plain = " ".join(unicodedata.normalize("NFC", name).split()).removeprefix("@")
    return address_key(plain) or plain.casefold()


def address_key(address: str) -> str | None:
    """Return the key for comparing addresses; `None` if it is not an address."""
    address = address.strip().strip("<>").casefold()
    address = address.removeprefix("mailto:").removeprefix("tel:")
    if not address or address.startswith("urn:"):
        return None
    if any(character.isalpha() for character in address):
        return address
    digits = "".join(filter(str.isdecimal, address))
    # Country codes alone must not match.
    return digits if len(digits) >= _MIN_DIGITS else None


def national_number(key: str) -> str:
    """Return the last ten digits of a phone number's `name_key`, or an empty string."""
    is_number = key.isdecimal() and _MIN_DIGITS <= len(key) <= _MAX_DIGITS
    return key[-_NATIONAL_DIGITS:] if is_number else ""


def _read(path: Path) -> PeopleTable:
    remedy = "Change its permissions, or copy it elsewhere."
    with translate_os_errors(path, remedy), open_regular_file(path) as file:
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
    # The delimiter that spreadsheets use depends on the country.
    delimiters = (d for d in _DELIMITERS if any(d in line for line in lines))
    delimiter = next(delimiters, ";")
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        return PeopleTable(list(rows), path=path)
    except csv.Error as error:
        msg = f"{path} cannot be parsed ({error}). Close or remove the quotation marks."
        raise ExportFormatError(msg, path=path) from None
