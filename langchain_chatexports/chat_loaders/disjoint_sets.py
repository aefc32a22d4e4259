"""Disjoint sets, also known as union-find."""

from __future__ import annotations

from collections.abc import Hashable


class DisjointSets:
    """A disjoint-set forest."""

    def __init__(self) -> None:
        self._parents: dict[Hashable, Hashable] = {}

    def join(self, item: Hashable, other: Hashable) -> None:
        """Join the sets of two items."""
        self._parents[self.find(other)] = self.find(item)

    def find(self, item: Hashable) -> Hashable:
        """Return the representative of an item's set."""
        path = []  # Shortened below, to speed up the next call.
        while item in self._parents and self._parents[item] != item:
            path.append(item)
            item = self._parents[item]
        for child in path:
            self._parents[child] = item
        return item
