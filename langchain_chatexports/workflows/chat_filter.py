"""Filter the chats in exports by person, title, group and date."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from langchain_chatexports.chat_loaders.base import LoaderOptions
from langchain_chatexports.chat_loaders.names import NameIndex, name_key
from langchain_chatexports.chat_loaders.reading import Reading
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

    def used_fields(self) -> tuple[str, ...]:
        """Return the names of the fields that are set."""
        default = ChatFilter()
        return tuple(
            name
            for name, value in vars(self).items()
            if value != getattr(default, name)
        )

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
        for option, unknown in self._unknown(readings):
            between = " between these dates" if self.start or self.end else ""
            subject = f"conversation{between}"
            msg = index_names(readings).problem(unknown, subject, f"`{option}`")
            raise SenderNotFoundError(msg, parameters=(option,))

    def has_unknown_names(self, readings: Sequence[Reading]) -> bool:
        """Return whether `check_names` raises an error."""
        return any(self._unknown(readings))

    def _unknown(self, readings: Sequence[Reading]) -> Iterator[tuple[str, list[str]]]:
        known_keys = {name_key(n) for reading in readings for n in reading.names.found}
        for option, names in (("include", self.include), ("exclude", self.exclude)):
            unknown = [name for name in names if name_key(name) not in known_keys]
            if unknown:
                yield option, unknown


def index_names(
    readings: Iterable[Reading], senders: Collection[str] = ()
) -> NameIndex[frozenset[str]]:
    """Return an index of senders with their other names and handles.

    Without `senders`, of all people and conversations.
    """
    names = {*senders}
    handles: dict[str, set[str]] = {}
    for reading in readings:
        if not senders:
            names |= reading.names.found
        for name, others in reading.names.handles().items():
            if not senders or name in senders:
                handles.setdefault(name, set()).update(others)
    return NameIndex.of(names.difference(*handles.values()), handles)
