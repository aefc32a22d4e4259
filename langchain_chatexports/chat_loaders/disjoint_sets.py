"""Disjoint sets, also known as union-find."""

from __future__ import annotations

from collections.abc import Hashable


class DisjointSets:
    """A disjoint-set forest."""

    def __init__(self) -> None:
        self._parents: dict[Hashable, Hashable] = {}

    def join(self, one: Hashable, other: Hashable) -> None:
        """Join the sets of two items."""
        self._parents[self.find(other)] = self.find(one)

    def find(self, one: Hashable) -> Hashable:
        """Return the representative of an item's set."""
        path = []
        while one in self._parents and self._parents[one] != one:
            path.append(one)
            one = self._parents[one]
        for passed in path:
            self._parents[passed] = one
        return one
