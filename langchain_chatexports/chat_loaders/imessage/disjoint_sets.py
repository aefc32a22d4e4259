"""Things that belong together, found pair by pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["DisjointSets"]


class DisjointSets:
    """DisjointSets of things (a disjoint-set forest)."""

    def __init__(self) -> None:
        """Begin with everything on its own."""
        self._parents: dict[Hashable, Hashable] = {}

    def join(self, one: Hashable, other: Hashable) -> None:
        """Say that two things belong together."""
        self._parents[self.find(other)] = self.find(one)

    def find(self, one: Hashable) -> Hashable:
        """Return the thing that stands for the group of this one."""
        path = []
        while one in self._parents and self._parents[one] != one:
            path.append(one)
            one = self._parents[one]
        for passed in path:
            self._parents[passed] = one
        return one
