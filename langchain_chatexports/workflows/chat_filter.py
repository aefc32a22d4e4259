"""Filter the chats in exports by person, title, group and date."""

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
        """Return the loader options for this filter; `apply` excludes groups."""
        return {
            "include": self.include,
            "exclude": self.exclude,
            "start": self.start,
            "end": self.end,
        }

    def apply(self, exports: Iterable[Export]) -> list[Export]:
        """Exclude groups, if requested, from exports opened with `loader_options`."""
        if not self.without_groups:
            return [*exports]
        step = SelectSessions(is_group=False)
        return [
            replace(export, loader=export.loader.with_selection(step))
            for export in exports
        ]

    def check_names(self, exports: Sequence[Export]) -> None:
        """Raise an error for unknown names; call it after reading the exports."""
        known_names = {name for export in exports for name in export.loader.names_found}
        for option, unknown in self._unknown(exports):
            between = " between these dates" if self.start or self.end else ""
            msg = (
                f"No conversation{between} matches `{option}`."
                f"{did_you_mean(unknown, known_names)}"
            )
            raise SenderNotFoundError(msg, parameters=(option,))

    def has_unknown_names(self, exports: Sequence[Export]) -> bool:
        """Return whether `check_names` raises an error."""
        return any(self._unknown(exports))

    def _unknown(self, exports: Sequence[Export]) -> Iterator[tuple[str, list[str]]]:
        for option, names in (("include", self.include), ("exclude", self.exclude)):
            unknown = [
                name
                for name in names
                if not any(_has_name(export.loader, name) for export in exports)
            ]
            if unknown:
                yield option, unknown


def _has_name(loader: ChatExportLoader, name: str) -> bool:
    known_names = {known_name.casefold() for known_name in loader.names_found}
    names = {name, *loader.names_of(name)}
    return not known_names.isdisjoint(map(str.casefold, names))
