"""One person, many names: a table of people, and one name for each in sessions."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_chatexports._regular_files import cannot_read, open_regular_file
from langchain_chatexports.exceptions import (
    ExportAccessError,
    ExportFormatError,
    ExportNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from langchain_core.messages import BaseMessage

__all__ = [
    "PeopleSource",
    "PeopleTable",
    "SharedNames",
    "address_key",
    "comparable_number",
    "name_key",
    "people_table",
    "table_line",
]

_MAX_BYTES = 16 * 1024 * 1024
_MIN_DIGITS = 7
_NATIONAL_DIGITS = 10
_MAX_DIGITS = 15  # ITU-T E.164; longer ones are ids, such as Discord's.
_COMMENT = "#"
_DELIMITERS = ";\t,"
_QUOTED = re.compile(r'"[^"]*"')
_COMMENT_CELL = re.compile(r"(?<=[;\t,])\s*#.*")
# A spreadsheet takes these for the beginning of a formula, and we for a comment.
_NOT_AT_BEGINNING = ("=", "-", "@", _COMMENT)
_PROTECTION = "'"
_NAMED_IN_LISTS = ("reactions", "reply_to")


class PeopleTable:
    """Who has which names and handles: a row a person, the name to show first.

    Names are compared without regard to case, e-mail addresses too, and phone numbers
    by their digits: all of them first, then the last ten, if these are one person's.
    """

    def __init__(
        self,
        rows: Iterable[Sequence[str]],
        *,
        path: Path | None = None,
        lines: Sequence[int] = (),
    ) -> None:
        """Initialize the table.

        Args:
            rows: The names and handles of each person.
            path: The file that they were read from, for errors.
            lines: The line of each row in the file.

        Raises:
            ExportFormatError: If two rows have a name or handle in common, or if there
                is no row.
        """
        listed = [tuple(filter(None, map(str.strip, row))) for row in rows]
        self.rows = tuple(row for row in listed if row)
        if not self.rows:
            msg = (
                f"{path or 'The table of people'} names nobody. Write a line for each "
                "person: the name to show, then other names and handles, with "
                "semicolons between them."
            )
            raise ExportFormatError(msg, path=path)
        self._row_of: dict[str, int] = {}
        for position, row in enumerate(self.rows):
            for key in map(name_key, row):
                other = self._row_of.setdefault(key, position)
                if other != position:
                    raise _claimed_twice(path, lines, (other, position))
        self._national: dict[str, int | None] = {}
        for key, position in self._row_of.items():
            if number := comparable_number(key):
                is_one = self._national.setdefault(number, position) == position
                self._national[number] = position if is_one else None

    def row_of(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the names of the one person that has any of some names and handles.

        Returns:
            The person's row; empty if nobody has one of them, or several people have.
        """
        positions = {self._find(name_key(name)) for name in names} - {None}
        if len(positions) != 1:
            return ()
        return self.rows[positions.pop() or 0]

    def _find(self, key: str) -> int | None:
        found = self._row_of.get(key)
        return self._national.get(comparable_number(key)) if found is None else found


PeopleSource: TypeAlias = (
    "PeopleTable | Mapping[str, str | Collection[str]] | str | Path"
)
"""A table of people, its file, or the other names and handles by the name to show."""


def people_table(given: PeopleSource | Iterable[Sequence[str]]) -> PeopleTable:
    """Return a table of people from any form of it.

    Args:
        given: A table, the path of its file, a mapping from the name to show to other
            names and handles, or rows.

    Raises:
        ExportNotFoundError: If there is no such file.
        ExportAccessError: If the system refuses to read it.
        ExportFormatError: If it cannot be read, names nobody, or gives two people one
            name.
    """
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


class SharedNames:
    """The names of the senders of one export, one for each person of a table."""

    def __init__(
        self, people: PeopleTable, handles: Mapping[str, Collection[str]] | None = None
    ) -> None:
        """Initialize the names.

        Args:
            people: The table.
            handles: The handles behind each name in the export. They count first: a
                name can be several people's.
        """
        self._people = people
        self._rows = {
            name: people.row_of(theirs) or people.row_of([name])
            for name, theirs in (handles or {}).items()
        }

    def row_of(self, name: str) -> tuple[str, ...]:
        """Return all names of the person behind a name; empty if nobody has it."""
        if name not in self._rows:
            self._rows[name] = self._people.row_of([name])
        return self._rows[name]

    def of(self, name: str) -> str:
        """Return the name to show for a name: itself if nobody in the table has it."""
        row = self.row_of(name)
        return row[0] if row else name

    def rename(self, messages: Iterable[BaseMessage], metadata: dict[str, Any]) -> None:
        """Replace the names in a session that a loader has just built.

        Args:
            messages: The session's messages.
            metadata: Its metadata; the other names of people who take part, which texts
                may use, are noted as `nicknames`.
        """
        replaced: dict[str, None] = {}
        owner = metadata.get("owner")
        if isinstance(owner, str):
            metadata["owner"] = self._noting(owner, replaced)
        if listed := metadata.get("participants"):
            names = [self._noting(name, replaced) for name in listed]
            metadata["participants"] = list(dict.fromkeys(names))
        for message in messages:
            extra = message.additional_kwargs
            sender = extra.get("sender")
            if isinstance(sender, str):
                shown = extra["sender"] = self._noting(sender, replaced)
                # The owner's own messages under another name of theirs.
                is_own = shown == metadata.get("owner") and bool(self.row_of(sender))
                if is_own and "is_from_me" in extra:
                    extra["is_from_me"] = True
            for key in _NAMED_IN_LISTS:
                found = extra.get(key)
                for item in found if isinstance(found, list) else (found,):
                    if isinstance(item, dict) and isinstance(item.get("sender"), str):
                        item["sender"] = self._noting(item["sender"], replaced)
        if replaced:
            metadata["nicknames"] = list(replaced)

    def _noting(self, name: str, replaced: dict[str, None]) -> str:
        row = self.row_of(name)
        if not row:
            return name
        replaced |= dict.fromkeys(row[1:])
        if name not in row:
            replaced[name] = None
        return row[0]


def name_key(name: str) -> str:
    """Return the form in which names and handles are compared."""
    plain = " ".join(unicodedata.normalize("NFC", name).split()).removeprefix("@")
    return address_key(plain) or plain.casefold()


def address_key(address: str) -> str | None:
    """Return the form in which addresses are compared; `None` if it is not one."""
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
    """Return a phone number's last ten digits, or all if it is short.

    Args:
        key: What `name_key` returns.

    Returns:
        The digits; empty for anything but a phone number.
    """
    is_number = key.isdecimal() and _MIN_DIGITS <= len(key) <= _MAX_DIGITS
    return key[-_NATIONAL_DIGITS:] if is_number else ""


def table_line(names: Iterable[str], evidence: str) -> str:
    """Return a line of the file of a table.

    Args:
        names: The names and handles of a person, the name to show first.
        evidence: A comment.
    """
    cells = [*map(_protected, names), f"{_COMMENT} {evidence}"]
    return ";".join(map(_quoted, cells))


def _read(path: Path) -> PeopleTable:
    try:
        with open_regular_file(path) as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        msg = (
            f"There is no table of people at {path}. Check the path, or let "
            "chatexports people propose one."
        )
        raise ExportNotFoundError(msg, path=path) from error
    except PermissionError as error:
        msg = f"The system refuses to read {path}. Allow it, or copy it elsewhere."
        raise ExportAccessError(msg, path=path) from error
    except OSError as error:
        raise cannot_read(path, error) from error
    text = None
    with suppress(UnicodeDecodeError):
        text = data.decode("utf-8-sig")
    if text is None or "\0" in text or len(data) > _MAX_BYTES:
        msg = (
            f"{path} is not a table of people in UTF-8. Save it as text, in a "
            "spreadsheet as CSV UTF-8, with a line for each person."
        )
        raise ExportFormatError(msg, path=path)
    numbered = list(_rows(text, path))
    return PeopleTable(
        [row for _, row in numbered], path=path, lines=[line for line, _ in numbered]
    )


def _rows(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip(' "').startswith(_COMMENT)
    ]
    # A spreadsheet writes the one that its user's country uses.
    unquoted = [_COMMENT_CELL.sub("", _QUOTED.sub("", line)) for _, line in lines]
    used = (one for one in _DELIMITERS if any(one in line for line in unquoted))
    delimiter = next(used, ";")
    for number, line in lines:
        try:
            (cells,) = csv.reader(
                [line], delimiter=delimiter, skipinitialspace=True, strict=True
            )
        except csv.Error as error:
            msg = (
                f"Line {number} of {path} cannot be read ({error}). Close each "
                "quotation mark, or leave them out."
            )
            raise ExportFormatError(msg, path=path) from None
        comments = [i for i, cell in enumerate(cells) if cell.startswith(_COMMENT)]
        end = comments[0] if comments else len(cells)
        names = [_without_protection(cell) for cell in cells[:end]]
        if any(names):
            yield number, names


def _protected(name: str) -> str:
    # No spreadsheet takes it for a formula: it is somebody else's text.
    plain = " ".join(name.split())
    return f"{_PROTECTION}{plain}" if plain.startswith(_NOT_AT_BEGINNING) else plain


def _quoted(cell: str) -> str:
    if any(character in cell for character in (*_DELIMITERS, '"')):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _without_protection(cell: str) -> str:
    plain = cell.strip()
    bare = plain.removeprefix(_PROTECTION)
    return bare if bare.startswith(_NOT_AT_BEGINNING) else plain


def _claimed_twice(
    path: Path | None, lines: Sequence[int], positions: tuple[int, int]
) -> ExportFormatError:
    first, second = (lines[one] if lines else one + 1 for one in positions)
    where = f"Lines {first} and {second} of {path}" if path else "Two people"
    which = "" if path else f" (the entries {first} and {second})"
    msg = (
        f"{where} have a name or handle in common{which}. Leave it with one of them, "
        "or make one line of both."
    )
    return ExportFormatError(msg, path=path)
