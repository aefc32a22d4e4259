"""Who could be one person in several exports: a proposal with its evidence."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports.chat_loaders.base import UNKNOWN_SENDER
from langchain_chatexports.chat_loaders.disjoint_sets import DisjointSets
from langchain_chatexports.chat_loaders.people import (
    comparable_number,
    name_key,
    table_line,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from langchain_core.chat_sessions import ChatSession

    from langchain_chatexports.chat_loaders.recognition import Export

__all__ = ["PeopleProposal", "ProposedPerson", "propose_people"]


# Ids and user names say little to a reader, unless they are the evidence.
_LISTED = ("number", "e-mail address")


class ProposedPerson(NamedTuple):
    """Names and handles that could be one person's.

    Attributes:
        names: The names and handles, the most complete name first.
        evidence: Why, and in which exports.
    """

    names: tuple[str, ...]
    evidence: str


class PeopleProposal(NamedTuple):
    """Who could be one person; nothing is merged by it.

    Attributes:
        people: Those with equal numbers, e-mail addresses, handles or names.
        hints: Those of whom less is equal: the first name, or that both are owners.
    """

    people: tuple[ProposedPerson, ...]
    hints: tuple[ProposedPerson, ...]

    def __str__(self) -> str:
        """Return the table's text, in which hints are comments."""
        lines = [
            "# One person a line: the name to show, then other names and handles.",
            "# Check each line, and take out what is wrong.",
            *(table_line(one.names, one.evidence) for one in self.people),
        ]
        if self.hints:
            lines.append("# Perhaps one person: where it is so, remove the first #.")
            lines += [f"# {table_line(one.names, one.evidence)}" for one in self.hints]
        return "".join(f"{line}\n" for line in lines)


class _Sender(NamedTuple):
    place: str
    name: str
    is_label: bool
    """Whether the loader made the name up, such as `Me`."""

    signs: Mapping[tuple[str, str], str]
    """What others may have as well, as it is written, by its kind and key."""


def propose_people(
    exports: Sequence[tuple[Export, Iterable[ChatSession]]],
) -> PeopleProposal:
    """Propose who is one person in exports.

    Args:
        exports: Each export with its sessions, which are read once, for names only.

    Returns:
        The proposal.

    Raises:
        ChatExportError: If an export cannot be read.
    """
    counts = Counter(export.path.name for export, _ in exports)
    senders: list[_Sender] = []
    owners: list[_Sender] = []
    for export, sessions in exports:
        is_alone = counts[export.path.name] == 1
        place = export.path.name if is_alone else str(export.path)
        names, found = _names_in(sessions)
        handles = export.loader.handles()
        for name in sorted(names):
            is_label = name in found and name == export.loader.owner
            sender = _Sender(
                place, name, is_label, _signs(name, handles.get(name, ()), is_label)
            )
            senders.append(sender)
            if name in found:
                owners.append(sender)
    groups = _groups(senders)
    people = [_proposed(group) for group in groups if _has_several_names(group)]
    hints = [*_owner_hints(owners, groups), *_first_name_hints(groups)]
    return PeopleProposal(tuple(_without_shared(people)), tuple(hints))


def _names_in(sessions: Iterable[ChatSession]) -> tuple[set[str], set[str]]:
    """Return the people in sessions, and the owners among them."""
    names: set[str] = set()
    owners: set[str] = set()
    for session in sessions:
        metadata = dict(session).get("metadata")
        if isinstance(metadata, dict):
            names.update(metadata.get("participants") or ())
            owners.update(filter(None, [metadata.get("owner")]))
        extras = (message.additional_kwargs for message in session["messages"])
        names.update(str(extra.get("sender", UNKNOWN_SENDER)) for extra in extras)
        del session
    names.discard(UNKNOWN_SENDER)
    return names, owners & names


def _signs(
    name: str, handles: Iterable[str], is_label: bool
) -> dict[tuple[str, str], str]:
    signs = {} if is_label else {_sign(name, "name"): name}
    for handle in sorted(handles):
        signs.setdefault(_sign(handle, "handle"), handle)
    # A handle that is the name itself is the same sign.
    return {
        sign: written
        for sign, written in signs.items()
        if sign[0] != "handle" or ("name", sign[1]) not in signs
    }


def _sign(written: str, kind: str) -> tuple[str, str]:
    key = name_key(written)
    if number := comparable_number(key):
        return "number", number
    if key.isdecimal():
        return "id", key
    return ("e-mail address" if "@" in key else kind), key


def _groups(senders: Sequence[_Sender]) -> list[list[_Sender]]:
    """Put the senders together that have a sign in common."""
    having: dict[str, list[int]] = {}
    for index, sender in enumerate(senders):
        for key in _keys_of(sender):
            having.setdefault(key, []).append(index)
    sets = DisjointSets()
    for key, indexes in having.items():
        places = {senders[index].place for index in indexes}
        # An app tells namesakes apart by their handles, and knows who has an id.
        is_sure = key.isdecimal() or "@" in key
        if len(places) == len(indexes) or is_sure:
            for index in indexes:
                sets.join(("key", key), ("sender", index))
    groups: dict[Hashable, list[_Sender]] = {}
    for index, sender in enumerate(senders):
        groups.setdefault(sets.find(("sender", index)), []).append(sender)
    return list(groups.values())


def _keys_of(sender: _Sender) -> set[str]:
    return {key for _, key in sender.signs}


def _has_several_names(group: Sequence[_Sender]) -> bool:
    return len({sender.name for sender in group}) > 1


def _proposed(group: Sequence[_Sender]) -> ProposedPerson:
    shared = Counter(chain.from_iterable(map(_keys_of, group)))
    common = [key for key, count in shared.items() if count > 1]
    evidence: dict[str, list[str]] = {}
    for key in sorted(common):
        having = [sender for sender in group if key in _keys_of(sender)]
        kinds = {kind for sender in having for kind, k in sender.signs if k == key}
        kind = "handle" if len(kinds) > 1 else kinds.pop()
        places = evidence.setdefault(f"same {kind}", [])
        places += [sender.place for sender in having]
    signs = chain.from_iterable(sender.signs.items() for sender in group)
    addresses = [
        written for (kind, key), written in signs if kind in _LISTED or key in common
    ]
    return ProposedPerson(
        _cells([*_names(group), *addresses]),
        ", ".join(f"{why} in {_listed(where)}" for why, where in evidence.items()),
    )


def _names(group: Iterable[_Sender]) -> list[str]:
    return [sender.name for sender in group if not sender.is_label]


def _cells(names: Iterable[str]) -> tuple[str, ...]:
    """Return each name once, the most complete first and handles last."""
    cells: dict[str, str] = {}
    for name in sorted(names, key=_order):
        cells.setdefault(name_key(name), name)
    return tuple(cells.values())


def _order(name: str) -> tuple[bool, int, int, bool, str]:
    key = name_key(name)
    is_address = key.isdecimal() or "@" in key
    in_one_case = name.isupper() or name.islower()
    return is_address, -len(name.split()), -len(name), in_one_case, name


def _listed(places: Iterable[str]) -> str:
    *most, last = dict.fromkeys(places)
    return f"{', '.join(most)} and {last}" if most else last


def _owner_hints(
    owners: Sequence[_Sender], groups: Iterable[Sequence[_Sender]]
) -> Iterator[ProposedPerson]:
    """Yield the owners of the exports, who are likely the one who has them all."""
    of_owners = [group for group in groups if any(one in owners for one in group)]
    if len(of_owners) > 1 and len({owner.name for owner in owners}) > 1:
        names = _cells(chain.from_iterable(map(_names, of_owners)))
        labels = dict.fromkeys(owner.name for owner in owners if owner.is_label)
        where = _listed(owner.place for owner in owners)
        yield ProposedPerson((*names, *labels), f"the owners of {where}")


def _first_name_hints(
    groups: Sequence[Sequence[_Sender]],
) -> Iterator[ProposedPerson]:
    full: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        words = (name.split() for name in _names(group))
        for first in {name_key(one[0]) for one in words if len(one) > 1}:
            full.setdefault(first, []).append(index)
    for index, group in enumerate(groups):
        for first in {name_key(name) for name in _names(group)}:
            for other in full.get(first, ()):
                people = [*groups[other], *group]
                places = {s.place for s in groups[other]} ^ {s.place for s in group}
                if other != index and places:
                    where = _listed(sender.place for sender in people)
                    yield ProposedPerson(
                        _cells(_names(people)), f"only the first name is one in {where}"
                    )


def _without_shared(people: Iterable[ProposedPerson]) -> Iterator[ProposedPerson]:
    """Yield the people without what two of them have, which no table may hold."""
    listed = [*people]
    counts = Counter(name_key(name) for one in listed for name in one.names)
    for one in listed:
        names = tuple(name for name in one.names if counts[name_key(name)] == 1)
        if len(names) > 1:
            yield one._replace(names=names)
