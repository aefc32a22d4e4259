"""Choose the chats of exports by person, title, group and date."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.recognition import Export
from langchain_chatexports.chat_loaders.suggestions import did_you_mean
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.steps import SelectSessions


@dataclass(frozen=True)
class ChatChoice:
    """The choice of chats in exports; by default all of them.

    Conversations are named by title, participant or id; days are in UTC.
    """

    without_groups: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    start: date | None = None
    end: date | None = None

    @property
    def is_everything(self) -> bool:
        """Whether all chats are read."""
        return self == ChatChoice()

    def loader_options(self) -> LoaderOptions:
        """Return the part of the choice that loaders apply, as their options."""
        return {
            "include": self.include,
            "exclude": self.exclude,
            "start": self.start,
            "end": self.end,
        }

    def selected(self, exports: Iterable[Export]) -> list[Export]:
        """Apply the rest of the choice to exports opened with `loader_options`."""
        if not self.without_groups:
            return [*exports]
        step = SelectSessions(is_group=False)
        return [
            replace(export, loader=export.loader.selecting(step)) for export in exports
        ]

    def check_names(self, exports: Sequence[Export]) -> None:
        """Raise an error for unknown names, after the exports were read."""
        known = {name for export in exports for name in export.loader.names_found}
        for option, unknown in self._unknown(exports):
            between = " between these dates" if self.start or self.end else ""
            msg = (
                f"There is no conversation{between} for a name given with {option}."
                f"{did_you_mean(unknown, known)}"
            )
            raise SenderNotFoundError(msg)

    def has_unknown_names(self, exports: Sequence[Export]) -> bool:
        """Return whether `check_names` raises an error."""
        return any(self._unknown(exports))

    def _unknown(self, exports: Sequence[Export]) -> Iterator[tuple[str, list[str]]]:
        for option, names in (("--with", self.include), ("--exclude", self.exclude)):
            unknown = [
                n for n in names if not any(_has_name(e.loader, n) for e in exports)
            ]
            if unknown:
                yield option, unknown


def _has_name(loader: ChatExportLoader, asked: str) -> bool:
    known = {name.casefold() for name in loader.names_found}
    names = {asked, *loader.names_of(asked)}
    return not known.isdisjoint(name.casefold() for name in names)
