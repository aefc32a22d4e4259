"""The names of people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["NoContacts"]


class NoContacts:
    """Names nobody: a sender is then called by the handle as it stands."""

    def __init__(self) -> None:
        """Begin without names."""
        self._names: dict[str, str] = {}

    def card_of(self, address: str) -> Hashable | None:
        """Give no card."""
        return self._names.get(address)

    def name_of(self, address: str) -> str | None:
        """Give no name."""
        return self._names.get(address)
