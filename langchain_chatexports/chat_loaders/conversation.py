"""From a conversation of an export to a session: the same for every format."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from hashlib import blake2b
from itertools import islice
from typing import Any, cast

from langchain_core.messages import BaseMessage, HumanMessage
from typing_extensions import TypedDict

from langchain_chatexports._fast.messages import plain_human_message
from langchain_chatexports._fast.strings import iso_time
from langchain_chatexports.chat_loaders.counts import Counts, Reading
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.messages import (
    UNKNOWN_SENDER,
    Conversation,
    Message,
)
from langchain_chatexports.chat_loaders.people import PeopleTable, name_key
from langchain_chatexports.exceptions import SenderNotFoundError

_MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_NO_TIME = -(2**80)
_HASH_BYTES = 6
_ZERO = "\0"
_MENTIONS = ("reactions", "reply_to")
_NOT_WRITTEN = frozenset({"system", "bot", "unreadable", "section", "orphan"})
_TWO_PEOPLE = 2


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

    It repeats the keys of langchain-core's `ChatSession`, which cannot be a base class:
    pydantic refuses a `typing.TypedDict` before Python 3.12.
    """

    messages: Sequence[BaseMessage]
    functions: Sequence[dict[str, Any]]
    metadata: SessionMetadata


@dataclass(frozen=True)
class Selection:
    """Which messages and conversations to keep, from the options of every loader."""

    # The id, name or handle of the owner, if the user gave one.
    owner: str | None = None
    # Kinds that are skipped by default and kept here.
    keep: frozenset[str] = frozenset()
    # Keys of the conversations to keep; all if empty.
    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    start: datetime | None = None
    end: datetime | None = None


class Names:
    """The display names of an export's people, in one conversation at a time."""

    def __init__(self, people: PeopleTable | None = None) -> None:
        # Other names of this conversation's people, from the table of people.
        self.nicknames: dict[str, None] = {}
        self._people = people
        self._handles: Mapping[str, Collection[str]] = {}
        self._names: Mapping[str, str] = {}
        self._names_size = -1
        self._distinct: dict[str, str] = {}
        self._found: dict[str, list[str]] = {}

    def enter(self, conversation: Conversation) -> bool:
        """Start a conversation, and tell namesakes apart by handles or ids.

        Returns whether its people differ from those of the previous conversation.
        """
        self._members = conversation.members
        self._shown: dict[str, str] = {}
        self._forms: dict[str, str] = {}
        self.nicknames = {}
        names, handles = conversation.names, conversation.handles
        # Many exports have one list for all conversations.
        if (
            names is self._names
            and handles is self._handles
            and len(names) == self._names_size
        ):
            return False
        self._handles, self._found = handles, {}
        self._names, self._names_size = names, len(names)
        self._distinct = distinct_names(names, handles)
        return True

    def of(self, person: str) -> str:
        """Return the display name of an id."""
        shown = self._shown.get(person)
        if shown is None:
            # Phones write one name in several Unicode forms.
            found = self._find(person)
            shown = self._forms.setdefault(unicodedata.normalize("NFC", found), found)
            self._shown[person] = shown
        return shown

    def all_of(self, person: str) -> Iterator[str]:
        """Yield every id, name and handle of a person."""
        yield person
        yield self._distinct.get(person, person)
        yield self._names.get(person, person)
        yield from self._handles.get(person, ())

    def ids_of(self, given: str) -> list[str]:
        """Return the ids that an id, handle or name belongs to, in this precedence.

        Several people can have one name.
        """
        if given in self._names or given in self._members:
            return [given]
        key = name_key(given)
        if given not in self._found:
            handles, names = self._handles, self._distinct
            self._found[given] = (
                [who for who in handles if key in map(name_key, handles[who])]
                or [who for who in names if key in map(name_key, self.all_of(who))]
                or [who for who in handles if key == name_key(who)]
            )
        return self._found[given] or [
            who for who in self._members if key == name_key(who)
        ]

    def _find(self, person: str) -> str:
        shown = self._distinct.get(person) or person or UNKNOWN_SENDER
        if self._people is None or not person:
            return shown
        handles = self._handles.get(person, ())
        name = self._names.get(person, person)
        # Ids and handles first: several people can have one name.
        by_id = self._people.row_of([person])
        row = by_id or self._people.row_of(handles) or self._people.row_of([name])
        if not row:
            return shown
        self.nicknames |= dict.fromkeys(row[1:])
        if name not in row and name != person:
            self.nicknames[name] = None
        return row[0]


def distinct_names(
    names: Mapping[str, str], handles: Mapping[str, Collection[str]]
) -> dict[str, str]:
    """Return a distinct name for each id, such as `Ann (ann.two)`."""
    distinct = {person: name for person, name in names.items() if name}
    signs = {person: next(iter(handles.get(person, ())), person) for person in distinct}
    for shown_signs in (signs, {person: person for person in distinct}):
        counts = Counter(map(name_key, distinct.values()))
        for person, shown in distinct.items():
            name, sign = names[person], shown_signs[person]
            if counts[name_key(shown)] > 1 and name != sign:
                distinct[person] = f"{name} ({sign})"
    return distinct


def to_session(
    conversation: Conversation,
    platform: str,
    selection: Selection,
    names: Names,
    reading: Reading,
    *,
    files: ExportFiles,
    names_found: set[str] | None,
    is_new: Callable[[str, Message], bool] | None,
) -> ExportSession | None:
    """Return a conversation as a session, and count its messages in `reading`.

    `names_found` collects the names by which the conversation can be chosen. `is_new`
    returns whether a message is not in another export. The result is `None` if no
    message is kept.

    Raises:
        ExportFormatError: If it has more messages than is possible at its size.
        SenderNotFoundError: If several people have the owner's name.
    """
    counts = reading.counts
    rows = _without_duplicates(_all_rows(conversation, files), counts)
    files.check_count(counts.found)
    if not conversation.is_ordered:
        rows.sort(key=lambda row: _NO_TIME if row.time is None else row.time)
    written = [row.extra.get("system") for row in rows if row.kind == "system"]
    if by_type := Counter(str(kind) for kind in written if kind):
        reading.details.setdefault("system", Counter()).update(by_type)
    names.enter(conversation)
    owner, owner_name = _owner(conversation, names, selection, reading)
    shown = {
        person: names.of(person)
        for person in _people(conversation, rows, selection.keep)
    }
    participants = list(dict.fromkeys(shown.values()))
    keys = {conversation.id, *conversation.aliases, *participants, *names.nicknames}
    keys |= {key for person in shown for key in names.all_of(person)}
    keys |= {conversation.title} if conversation.title else set()
    if names_found is not None:
        names_found |= keys
    if not _is_selected(keys, selection):
        for row in rows:
            _skip(row, "unreadable" if row.kind == "unreadable" else "excluded", counts)
        return None
    _give_ids(conversation.id, rows)
    if is_new:  # Another loader may have read some messages.
        kinds = {"text", *selection.keep}
        for row in rows:
            if row.kind in kinds and not is_new(conversation.id, row):
                row.kind = "duplicate"
    messages = _messages(rows, names, owner, selection, counts)
    if not messages:
        return None
    counts.sessions_kept += 1
    metadata = _metadata(conversation, platform, participants, owner_name, names)
    reading.platforms.add(metadata["platform"])
    return ExportSession(messages=messages, metadata=metadata)


def _metadata(
    conversation: Conversation,
    platform: str,
    participants: list[str],
    owner_name: str | None,
    names: Names,
) -> SessionMetadata:
    is_group = conversation.is_group
    metadata: dict[str, Any] = {
        "id": conversation.id,
        "title": conversation.title,
        "platform": conversation.platform or platform,
        "participants": participants,
        "owner": owner_name,
        "is_group": len(participants) > _TWO_PEOPLE if is_group is None else is_group,
        **conversation.metadata,
    }
    if names.nicknames:
        metadata["nicknames"] = list(names.nicknames)
    return cast("SessionMetadata", metadata)


def _all_rows(conversation: Conversation, files: ExportFiles) -> list[Message]:
    messages = iter(conversation.messages)
    rows = list(islice(messages, files.max_messages + 1))
    files.check_count(len(rows))
    rows += messages
    for row in rows:
        if row.extra and not row.text.strip() and "attachments" in row.extra:
            # The placeholder of a message without a text.
            row.text = " ".join(f"[{one['type']}]" for one in row.extra["attachments"])
            row.kind = "media" if row.kind == "text" else row.kind
    return rows


def _without_duplicates(rows: list[Message], counts: Counts) -> list[Message]:
    """Count the rows, and return each message once; exports repeat some."""
    counts.found += len(rows) - sum([row.is_repeat for row in rows])
    ids = [row.id for row in rows if row.id]
    if len(set(ids)) == len(ids):
        return rows
    seen: set[str] = set()
    kept = []
    for row in rows:
        if row.id and row.id in seen:
            _skip(row, "duplicate", counts)
        else:
            seen.add(row.id)
            kept.append(row)
    return kept


def _owner(
    conversation: Conversation, names: Names, selection: Selection, reading: Reading
) -> tuple[str | None, str | None]:
    """Return the owner's id and name in a conversation, and note both."""
    person, found_by = conversation.owner, conversation.owner_found_by
    given = selection.owner
    if given is not None:
        ids = names.ids_of(given)
        if len(ids) > 1:
            msg = (
                f"{len(ids)} people have the name of the given owner. Give one of "
                "their ids: "
                f"{', '.join(ids)}."
            )
            raise SenderNotFoundError(msg)
        person, found_by = (ids[0] if ids else given), "option"
    name = None if person is None else names.of(person)
    # Without a message by the owner, only the given name is known.
    if name is not None and reading.owner in {None, given}:
        reading.owner, reading.owner_found_by = name, found_by
    return person, name


def _people(
    conversation: Conversation, rows: Iterable[Message], keep: Collection[str]
) -> list[str]:
    unwritten = _NOT_WRITTEN.difference(keep)
    wrote = [row.sender for row in rows if row.kind not in unwritten]
    return [
        person for person in dict.fromkeys([*conversation.members, *wrote]) if person
    ]


def _is_selected(names: Collection[str], selection: Selection) -> bool:
    if not selection.include and not selection.exclude:
        return True
    keys = set(map(name_key, names))
    if selection.include and selection.include.isdisjoint(keys):
        return False
    return selection.exclude.isdisjoint(keys)


def _messages(
    rows: list[Message],
    names: Names,
    owner: str | None,
    selection: Selection,
    counts: Counts,
) -> list[BaseMessage]:
    owner_name = None if owner is None else names.of(owner)
    messages: list[BaseMessage] = []
    rows[:] = _kept(rows, selection, counts)
    counts.kept += len(rows) - sum([row.is_repeat for row in rows])
    shown = {sender: names.of(sender) for sender in {row.sender for row in rows}}
    # Compare names: a table of people may give the owner several ids.
    senders = {
        sender: (name, None if owner is None else name == owner_name)
        for sender, name in shown.items()
    }
    rows.reverse()
    while rows:  # Each row is freed when its message is there.
        row = rows.pop()
        if row.extra:
            _show_names(row.extra, names)
        messages.append(human_message(row, *senders[row.sender]))
    return messages


def _show_names(extra: dict[str, Any], names: Names) -> None:
    """Replace ids by names where a message mentions other people."""
    for key in _MENTIONS:
        found = extra.get(key)
        for item in found if isinstance(found, list) else (found,):
            if isinstance(item, dict) and isinstance(item.get("sender"), str):
                item["sender"] = names.of(item["sender"])


def _kept(rows: list[Message], selection: Selection, counts: Counts) -> list[Message]:
    """Return the rows that become messages, and count the others."""
    kinds = {"text", *selection.keep}
    start, end = _microseconds(selection.start), _microseconds(selection.end)
    is_bounded = start is not None or end is not None
    kept = []
    for row in rows:
        if row.kind not in kinds:
            _skip(row, row.kind, counts)
        elif not row.text or row.text.isspace():
            _skip(row, "empty" if row.kind == "text" else row.kind, counts)
        elif is_bounded and (
            row.time is None
            or iso_time(row.time) is None
            or (start is not None and row.time < start)
            or (end is not None and row.time >= end)
        ):
            _skip(row, "excluded", counts)
        else:
            kept.append(row)
    return kept


def human_message(row: Message, sender: str, is_from_me: bool | None) -> HumanMessage:
    """Build a loader's message, with everything but text and id in its kwargs."""
    kwargs: dict[str, Any] = {}
    time = row.time
    iso = None if time is None else iso_time(time)
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
    return plain_human_message(row.text, kwargs, row.id)


def _skip(row: Message, reason: str, counts: Counts) -> None:
    if not row.is_repeat:  # A repeat is counted where it first occurs.
        counts.skipped[reason] += 1


class MessageIds:
    """Makes ids for the messages of a conversation whose format has none.

    An id depends on the conversation and on the message's time, so the next export
    gives the same id, whatever its files and their order. Messages with the same time,
    or without one, also get a short hash of sender and text, and equal ones a number.
    """

    def __init__(self, conversation_id: str) -> None:
        self.prefix = f"{_digest(conversation_id)}-"
        self._seen: Counter[str] = Counter()

    def by_content(self, moment: int | None, sender: str, text: str) -> str:
        """Return the id of one of several messages at a time."""
        stamp = "" if moment is None else f"{moment:x}"
        message_id = f"{self.prefix}{stamp}-{_digest(f'{sender}{_ZERO}{text}')}"
        count = self._seen[message_id]
        self._seen[message_id] += 1
        return f"{message_id}-{count:x}" if count else message_id


def _give_ids(conversation_id: str, rows: Sequence[Message]) -> None:
    if all(row.id for row in rows):
        return
    ids = MessageIds(conversation_id)
    copies = [row for row in rows if row.kind == "duplicate"]
    originals = [row for row in rows if row.kind != "duplicate"] if copies else rows
    moments = Counter([row.time for row in originals])
    # Include skipped messages, so that options do not change the ids of the others.
    for row in originals:
        if row.id:
            continue
        moment = row.time
        if moment is not None and moments[moment] == 1:
            row.id = f"{ids.prefix}{moment:x}"
        else:
            row.id = ids.by_content(row.time, row.sender, row.text)
    for row in copies:  # Last, so that they do not change the ids of the originals.
        row.id = row.id or ids.by_content(row.time, row.sender, row.text)


def _digest(text: str) -> str:
    # An export may hold lone surrogates.
    encoded = text.encode("utf-8", "surrogatepass")
    return blake2b(encoded, digest_size=_HASH_BYTES).hexdigest()


def _microseconds(bound: datetime | None) -> int | None:
    return None if bound is None else (bound - _EPOCH) // timedelta(microseconds=1)
