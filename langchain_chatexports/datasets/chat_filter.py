"""Filter the chats in exports by person, title, group and date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from langchain_chatexports.chat_loaders.base import LoaderOptions
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.suggestions import did_you_mean
from langchain_chatexports.exceptions import SenderNotFoundError


@dataclass(frozen=True)
class ChatFilter:
    """Selects chats by title, participant, id or date (UTC); all by default."""

    without_groups: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    start: date | None = None
    end: date | None = None

    @property
    def includes_all(self) -> bool:
        """Whether all chats are selected."""
        return self == ChatFilter()

    def loader_options(self) -> LoaderOptions:
        """Return the loader options for this filter."""
        return {
            "include": self.include,
            "exclude": self.exclude,
            "groups": not self.without_groups,
            "start": self.start,
            "end": self.end,
        }

    def check_names(self, readings: Sequence[Reading]) -> None:
        """Raise an error for names that the exports do not have."""
        known_names = {name for reading in readings for name in reading.names.found}
        for option, unknown in self._unknown(readings):
            between = " between these dates" if self.start or self.end else ""
            msg = (
                f"No conversation{between} matches {option}."
                f"{did_you_mean(unknown, known_names)}"
            )
            raise SenderNotFoundError(msg)

    def has_unknown_names(self, readings: Sequence[Reading]) -> bool:
        """Return whether `check_names` raises an error."""
        return any(self._unknown(readings))

    def _unknown(self, readings: Sequence[Reading]) -> Iterator[tuple[str, list[str]]]:
        for option, names in (("--with", self.include), ("--exclude", self.exclude)):
            unknown = [
                name
                for name in names
                if not any(_has_name(reading, name) for reading in readings)
            ]
            if unknown:
                yield option, unknown


def _has_name(reading: Reading, name: str) -> bool:
    known_names = {known_name.casefold() for known_name in reading.names.found}
    names = {name, *reading.names.names_of(name)}
    return not known_names.isdisjoint(map(str.casefold, names))
