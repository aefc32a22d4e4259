"""Convert conversations from any format to sessions."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import islice
from typing import Any, cast

from langchain_core.messages import BaseMessage, HumanMessage
from typing_extensions import TypedDict

from langchain_chatexports._fast.messages import create_human_message
from langchain_chatexports._fast.strings import format_iso_time
from langchain_chatexports.chat_loaders.counts import Counts, Reading
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.messages import (
    UNKNOWN_SENDER,
    Conversation,
    Message,
)
from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.chat_loaders.people import People
from langchain_chatexports.exceptions import SenderNotFoundError

_MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_TIME = -(2**80)
_HASH_BYTES = 6
_SEPARATOR = "\0"
_KEYS_WITH_SENDERS = ("reactions", "reply_to")
_KINDS_WITHOUT_AUTHOR = frozenset({"system", "bot", "unreadable", "section", "orphan"})
_PAIR_SIZE = 2


class SessionMetadata(TypedDict, total=False):
    """Metadata of a conversation, in JSON types."""

    id: str
    title: str | None
    platform: str
    participants: list[str]
    owner: str | None
    is_group: bool
    services: list[str]
    nicknames: list[str]
    """Other names of the participants, from the table of people."""


class ExportSession(TypedDict, total=False):
    """A `ChatSession` with metadata.

    Repeats the keys of langchain-core's `ChatSession`, which cannot be a base class,
    since pydantic rejects `typing.TypedDict` before Python 3.12.
    """

    messages: Sequence[BaseMessage]
    functions: Sequence[dict[str, Any]]
    metadata: SessionMetadata


@dataclass(frozen=True)
class Selection:
    """The loader options that select messages and conversations."""

    # The owner's id, name or handle, if the user gave one.
    owner: str | None = None
    # Kinds to keep that are skipped by default.
    keep: frozenset[str] = frozenset()
    # Name keys of the conversations to keep; all if empty.
    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    start: datetime | None = None
    end: datetime | None = None


class DisplayNames:
    """Resolves ids to display names, for one conversation at a time."""

    def __init__(self, people: People) -> None:
        # Other names of the participants, from the table of people.
        self.nicknames: dict[str, None] = {}
        self._people = people
        self._handles: Mapping[str, Collection[str]] = {}
        self._names: Mapping[str, str] = {}
        self._names_size = -1
        self._distinct_names: dict[str, str] = {}
        self._ids_by_name: dict[str, list[str]] = {}

    def start(self, conversation: Conversation) -> bool:
        """Switch to a conversation, and make the names of its people distinct.

        Returns whether its list of people differs from the previous conversation's.
        """
        self._members = conversation.members
        self._display_names: dict[str, str] = {}
        self._names_by_nfc: dict[str, str] = {}
        self.nicknames = {}
        names, handles = conversation.names, conversation.handles
        # Many exports have a single list of people for all conversations.
        if (
            names is self._names
            and handles is self._handles
            and len(names) == self._names_size
        ):
            return False
        self._handles, self._ids_by_name = handles, {}
        self._names, self._names_size = names, len(names)
        self._distinct_names = make_names_distinct(names, handles)
        return True

    def display_name(self, person: str) -> str:
        """Return the display name of an id."""
        if person not in self._display_names:
            # Phones use different Unicode forms of a name, so keep the first one.
            name = self._resolve(person)
            nfc = unicodedata.normalize("NFC", name)
            self._display_names[person] = self._names_by_nfc.setdefault(nfc, name)
        return self._display_names[person]

    def all_names(self, person: str) -> Iterator[str]:
        """Yield the id and all names and handles of a person."""
        yield person
        yield self._distinct_names.get(person, person)
        yield self._names.get(person, person)
        yield from self._handles.get(person, ())

    def find_ids(self, name: str) -> list[str]:
        """Return the ids that match an id, handle or name, in this order of precedence.

        Several people can have the same name.
        """
        if name in self._names or name in self._members:
            return [name]
        key = name_key(name)
        if name not in self._ids_by_name:
            handles, names = self._handles, self._distinct_names
            self._ids_by_name[name] = (
                [id_ for id_ in handles if key in map(name_key, handles[id_])]
                or [id_ for id_ in names if key in map(name_key, self.all_names(id_))]
                or [id_ for id_ in handles if key == name_key(id_)]
            )
        return self._ids_by_name[name] or [
            id_ for id_ in self._members if key == name_key(id_)
        ]

    def _resolve(self, person: str) -> str:
        default = self._distinct_names.get(person) or person or UNKNOWN_SENDER
        if not (person and self._people):
            return default
        handles = self._handles.get(person, ())
        name = self._names.get(person, person)
        # Names come last, since several people can have the same name.
        card = (
            self._people.find([person])
            or self._people.find(handles)
            or self._people.find([name])
        )
        if card is None:
            return default
        self.nicknames |= dict.fromkeys(h for h in card.handles if h != card.name)
        if name not in {*card.handles, card.name, person}:
            self.nicknames[name] = None
        # The loader may have named people by the address book, and made names distinct.
        is_named = name == card.name and card not in self._people.rows
        return default if is_named else card.name


def make_names_distinct(
    names: Mapping[str, str], handles: Mapping[str, Collection[str]]
) -> dict[str, str]:
    """Add a handle or id to names that occur more than once: `Ann (ann.two)`."""
    distinct = {person: name for person, name in names.items() if name}
    suffixes = {
        person: next(iter(handles.get(person, ())), person) for person in distinct
    }
    for suffix_by_person in (suffixes, {person: person for person in distinct}):
        counts = Counter(map(name_key, distinct.values()))
        for person, current in distinct.items():
            name, suffix = names[person], suffix_by_person[person]
            if counts[name_key(current)] > 1 and name != suffix:
                distinct[person] = f"{name} ({suffix})"
    return distinct


def to_session(
    conversation: Conversation,
    platform: str,
    selection: Selection,
    names: DisplayNames,
    reading: Reading,
    *,
    files: ExportFiles,
    names_found: set[str] | None,
    is_new: Callable[[str, Message], bool] | None,
) -> ExportSession | None:
    """Convert a conversation to a session, and count its messages in `reading`.

    Args:
        conversation: The conversation, whose messages are read once.
        platform: The platform if the conversation has none.
        selection: The loader's filters.
        names: The display names of the export's people.
        reading: The pass that counts the messages.
        files: The files of the export.
        names_found: A set to which the conversation's names are added.
        is_new: A function that returns whether a message is not in another export.

    Returns:
        The session, or `None` if no message is kept.

    Raises:
        ExportFormatError: If there are implausibly many messages for the export's size.
        SenderNotFoundError: If several people have the owner's name.
    """
    counts = reading.counts
    rows = _drop_duplicates(_read_rows(conversation, files), counts)
    files.check_count(counts.found)
    if not conversation.is_ordered:
        rows.sort(key=lambda row: _NO_TIME if row.time is None else row.time)
    types = [row.extra.get("system") for row in rows if row.kind == "system"]
    if system_counts := Counter(
        str(system_type) for system_type in types if system_type
    ):
        reading.details.setdefault("system", Counter()).update(system_counts)
    names.start(conversation)
    owner, owner_name = _find_owner(conversation, names, selection, reading)
    people = _list_people(conversation, rows, selection.keep)
    participants = list(dict.fromkeys(map(names.display_name, people)))
    aliases = {conversation.id, *conversation.aliases, *participants, *names.nicknames}
    aliases |= {name for person in people for name in names.all_names(person)}
    aliases |= {conversation.title} if conversation.title else set()
    if names_found is not None:
        names_found |= aliases
    if not _is_selected(aliases, selection):
        for row in rows:
            reason = "unreadable" if row.kind == "unreadable" else "excluded"
            _count_skipped(row, reason, counts)
        return None
    _assign_ids(conversation.id, rows)
    if is_new:  # Another loader may have read some messages.
        kinds = {"text", *selection.keep}
        for row in rows:
            if row.kind in kinds and not is_new(conversation.id, row):
                row.kind = "duplicate"
    messages = _build_messages(rows, names, owner, selection, counts)
    if not messages:
        return None
    counts.sessions_kept += 1
    metadata = _build_metadata(conversation, platform, participants, owner_name, names)
    reading.platforms.add(metadata["platform"])
    return ExportSession(messages=messages, metadata=metadata)


def _build_metadata(
    conversation: Conversation,
    platform: str,
    participants: list[str],
    owner_name: str | None,
    names: DisplayNames,
) -> SessionMetadata:
    is_group = conversation.is_group
    metadata: dict[str, Any] = {
        "id": conversation.id,
        "title": conversation.title,
        "platform": conversation.platform or platform,
        "participants": participants,
        "owner": owner_name,
        "is_group": len(participants) > _PAIR_SIZE if is_group is None else is_group,
        **conversation.metadata,
    }
    if names.nicknames:
        metadata["nicknames"] = list(names.nicknames)
    return cast("SessionMetadata", metadata)


def _read_rows(conversation: Conversation, files: ExportFiles) -> list[Message]:
    messages = iter(conversation.messages)
    rows = list(islice(messages, files.max_messages + 1))
    files.check_count(len(rows))
    rows += messages
    for row in rows:
        if row.extra and not row.text.strip() and "attachments" in row.extra:
            # A placeholder, such as `[photo]`.
            types = [attachment["type"] for attachment in row.extra["attachments"]]
            row.text = " ".join(f"[{name}]" for name in types)
            row.kind = "media" if row.kind == "text" else row.kind
    return rows


def _drop_duplicates(rows: list[Message], counts: Counts) -> list[Message]:
    """Count the rows, and drop rows with a repeated id."""
    counts.found += len(rows) - sum([row.is_repeat for row in rows])
    ids = [row.id for row in rows if row.id]
    if len(set(ids)) == len(ids):
        return rows
    seen: set[str] = set()
    kept = []
    for row in rows:
        if row.id and row.id in seen:
            _count_skipped(row, "duplicate", counts)
        else:
            seen.add(row.id)
            kept.append(row)
    return kept


def _find_owner(
    conversation: Conversation,
    names: DisplayNames,
    selection: Selection,
    reading: Reading,
) -> tuple[str | None, str | None]:
    """Return the owner's id and display name, and store the owner in `reading`."""
    person, found_by = conversation.owner, conversation.owner_found_by
    chosen = selection.owner
    if chosen is not None:
        ids = names.find_ids(chosen)
        if len(ids) > 1:
            msg = (
                f"{len(ids)} people have the name given as the owner. Pass one of "
                f"their ids: {', '.join(ids)}."
            )
            raise SenderNotFoundError(msg)
        person, found_by = (ids[0] if ids else chosen), "option"
    name = None if person is None else names.display_name(person)
    # Keep the user's value until a conversation has the owner's display name.
    if name is not None and reading.owner in {None, chosen}:
        reading.owner, reading.owner_found_by = name, found_by
    return person, name


def _list_people(
    conversation: Conversation, rows: Iterable[Message], keep: Collection[str]
) -> list[str]:
    ignored = _KINDS_WITHOUT_AUTHOR.difference(keep)
    authors = [row.sender for row in rows if row.kind not in ignored]
    return [
        person for person in dict.fromkeys([*conversation.members, *authors]) if person
    ]


def _is_selected(names: Collection[str], selection: Selection) -> bool:
    if not selection.include and not selection.exclude:
        return True
    keys = set(map(name_key, names))
    if selection.include and selection.include.isdisjoint(keys):
        return False
    return selection.exclude.isdisjoint(keys)


def _build_messages(
    rows: list[Message],
    names: DisplayNames,
    owner: str | None,
    selection: Selection,
    counts: Counts,
) -> list[BaseMessage]:
    owner_name = None if owner is None else names.display_name(owner)
    messages: list[BaseMessage] = []
    rows[:] = _select_rows(rows, selection, counts)
    counts.kept += len(rows) - sum([row.is_repeat for row in rows])
    senders: dict[str, tuple[str, bool | None]] = {}
    for sender in {row.sender for row in rows}:
        name = names.display_name(sender)
        # Compare names, since the owner may have several ids in a table of people.
        senders[sender] = name, None if owner is None else name == owner_name
    rows.reverse()
    while rows:  # Free each row once it has been converted.
        row = rows.pop()
        if row.extra:
            _replace_ids(row.extra, names)
        messages.append(build_human_message(row, *senders[row.sender]))
    return messages


def _replace_ids(extra: dict[str, Any], names: DisplayNames) -> None:
    """Replace the ids in a message's reactions and reply with names."""
    for key in _KEYS_WITH_SENDERS:
        value = extra.get(key)
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, dict) and isinstance(item.get("sender"), str):
                item["sender"] = names.display_name(item["sender"])


def _select_rows(
    rows: list[Message], selection: Selection, counts: Counts
) -> list[Message]:
    """Return the rows to keep, and count the skipped rows."""
    kinds = {"text", *selection.keep}
    start, end = _to_microseconds(selection.start), _to_microseconds(selection.end)
    is_bounded = start is not None or end is not None
    kept = []
    for row in rows:
        if row.kind not in kinds:
            _count_skipped(row, row.kind, counts)
        elif not row.text or row.text.isspace():
            _count_skipped(row, "empty" if row.kind == "text" else row.kind, counts)
        elif is_bounded and (
            row.time is None
            or format_iso_time(row.time) is None
            or (start is not None and row.time < start)
            or (end is not None and row.time >= end)
        ):
            _count_skipped(row, "excluded", counts)
        else:
            kept.append(row)
    return kept


def build_human_message(
    row: Message, sender: str, is_from_me: bool | None
) -> HumanMessage:
    """Convert a row to a message, with metadata in `additional_kwargs`."""
    kwargs: dict[str, Any] = {}
    time = row.time
    iso = None if time is None else format_iso_time(time)
    if time is not None and iso is not None:
        kwargs["message_time"] = time // _MICROSECONDS
    kwargs["sender"] = sender
    if is_from_me is not None:
        kwargs["is_from_me"] = is_from_me
    if iso is not None:
        kwargs["events"] = [{"message_time": iso}]
    if row.extra:
        kwargs.update(row.extra)
    if row.is_repeat:
        kwargs["weight"] = 0
    return create_human_message(row.text, kwargs, row.id)


def _count_skipped(row: Message, reason: str, counts: Counts) -> None:
    if not row.is_repeat:  # Repeated messages are counted in the other conversation.
        counts.skipped[reason] += 1


class MessageIds:
    """Generates ids for the messages of a conversation, for formats without ids.

    Ids are derived from the conversation and the time, so they are stable across
    exports, however these are split into files. If times are missing or not unique, a
    short hash of sender and text is appended, and a counter if the ids are still not
    unique.
    """

    def __init__(self, conversation_id: str) -> None:
        self.prefix = f"{_digest(conversation_id)}-"
        self._seen: Counter[str] = Counter()

    def from_content(self, moment: int | None, sender: str, text: str) -> str:
        """Return the id of a message whose time is missing or not unique."""
        stamp = "" if moment is None else f"{moment:x}"
        message_id = f"{self.prefix}{stamp}-{_digest(f'{sender}{_SEPARATOR}{text}')}"
        count = self._seen[message_id]
        self._seen[message_id] += 1
        return f"{message_id}-{count:x}" if count else message_id


def _assign_ids(conversation_id: str, rows: Sequence[Message]) -> None:
    if all(row.id for row in rows):
        return
    ids = MessageIds(conversation_id)
    copies = [row for row in rows if row.kind == "duplicate"]
    originals = [row for row in rows if row.kind != "duplicate"] if copies else rows
    moments = Counter([row.time for row in originals])
    # Include skipped messages, so that ids do not depend on options.
    for row in originals:
        if row.id:
            continue
        moment = row.time
        if moment is not None and moments[moment] == 1:
            row.id = f"{ids.prefix}{moment:x}"
        else:
            row.id = ids.from_content(row.time, row.sender, row.text)
    for row in copies:  # Last, so that they do not affect the ids of originals.
        row.id = row.id or ids.from_content(row.time, row.sender, row.text)


def _digest(text: str) -> str:
    # Exports can contain lone surrogates.
    encoded = text.encode("utf-8", "surrogatepass")
    return blake2b(encoded, digest_size=_HASH_BYTES).hexdigest()


def _to_microseconds(bound: datetime | None) -> int | None:
    return None if bound is None else (bound - _EPOCH) // timedelta(microseconds=1)
