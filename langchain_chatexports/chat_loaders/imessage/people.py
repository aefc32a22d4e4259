"""The people behind handles: one person can have several, on several services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.disjoint_sets import DisjointSets
from langchain_chatexports.chat_loaders.people import address_key

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from langchain_chatexports.chat_loaders.imessage.contacts import Contacts
    from langchain_chatexports.chat_loaders.imessage.rows import Handle

__all__ = ["People"]


class People:
    """The persons behind the handles of a database.

    Handles are one person's if their address is equal, if Messages says so
    (`person_centric_id`), or if the contacts do.
    """

    def __init__(self, handles: Sequence[Handle], contacts: Contacts) -> None:
        self._contacts = contacts
        self._groups = DisjointSets()
        for handle in handles:
            for sign in self._signs(handle):
                self._groups.join(sign, ("handle", handle.row_id))
        members: dict[Hashable, list[Handle]] = {}
        for handle in handles:
            person = self._groups.find(("handle", handle.row_id))
            members.setdefault(person, []).append(handle)
        self._person_of: dict[Any, Hashable] = {}
        self._addresses: dict[Hashable, tuple[str, ...]] = {}
        self.name_of_handle: dict[Any, str] = {}
        """Display name by `handle.ROWID`."""
        for person, theirs in members.items():
            addresses = tuple(dict.fromkeys(handle.address for handle in theirs))
            named = (contacts.name_of(address) for address in addresses)
            name = next((name for name in named if name), addresses[0])
            self._addresses[person] = addresses
            for handle in theirs:
                self._person_of[handle.row_id] = person
                self.name_of_handle[handle.row_id] = name

    def person_of(self, handle_id: Any) -> Hashable | None:
        """Return the key of the person behind a handle, or `None` if unknown."""
        return self._person_of.get(handle_id)

    def person_at(self, address: str) -> Hashable:
        """Return the key of the person behind an address, with or without a handle."""
        card = self._contacts.card_of(address)
        if card is not None:
            return self._groups.find(("card", card))
        return self._groups.find(("address", address.casefold()))

    def name_at(self, address: str) -> str:
        """Return the name of the person behind an address, or the address."""
        return self._contacts.name_of(address) or address

    def addresses_of(self, person: Hashable | None) -> tuple[str, ...]:
        """Return all addresses of a person that have a handle."""
        return self._addresses.get(person, ())

    def handles_named(self, name: str) -> frozenset[Any]:
        """Return the handles of the person with this name or address, in any case."""
        wanted = name.strip().casefold()
        # A phone number is the same in every notation.
        key = address_key(name)
        return frozenset(
            handle_id
            for handle_id, person in self._person_of.items()
            if self.name_of_handle[handle_id].casefold() == wanted
            or any(
                a.casefold() == wanted or (key is not None and address_key(a) == key)
                for a in self._addresses[person]
            )
        )

    def handles(self) -> dict[str, set[str]]:
        """Return all addresses behind each name, also those on cards only."""
        known: dict[str, set[str]] = {}
        for handle_id, name in self.name_of_handle.items():
            addresses = self._addresses[self._person_of[handle_id]]
            theirs = known.setdefault(name, set())
            theirs.update(addresses, *map(self._contacts.addresses_beside, addresses))
        return known

    def names_of(self, handle_ids: Iterable[Any]) -> list[str]:
        """Return the names behind known handles, each once, in order."""
        names = self.name_of_handle
        return list(dict.fromkeys(names[h] for h in handle_ids if h in names))

    def _signs(self, handle: Handle) -> Iterable[Hashable]:
        yield ("address", handle.address.casefold())
        if handle.person:
            yield ("person", handle.person)
        card = self._contacts.card_of(handle.address)
        if card is not None:
            yield ("card", card)
