"""Convert conversations from any format to sessions."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, cast

from langchain_core.messages import BaseMessage, HumanMessage

from langchain_chatexports._fast.messages import create_human_message
from langchain_chatexports._fast.strings import format_iso_time
from langchain_chatexports.chat_loaders.display_names import DisplayNames
from langchain_chatexports.chat_loaders.duplicates import Originals
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    Message,
    placeholder_text,
)
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.schema import (
    UNKNOWN_SENDER,
    ExportSession,
    SessionMetadata,
)
from langchain_chatexports.chat_loaders.times import (
    MICROSECONDS,
    sort_key,
    to_microseconds,
)

_HASH_BYTES = 6
_SEPARATOR = "\0"
_KEYS_WITH_SENDERS = ("reactions", "reply_to")
_KINDS_WITHOUT_AUTHOR = frozenset({"system", "bot", "unreadable", "section", "orphan"})
_PAIR_SIZE = 2


def to_session(conversation: Conversation, reading: Reading) -> ExportSession | None:
    """Convert a conversation to a session; see `stream_session`."""
    session = stream_session(conversation, reading)
    return session and {**session, "messages": list(session["messages"])}


def stream_session(
    conversation: Conversation, reading: Reading
) -> ExportSession | None:
    """Convert a conversation to a session, and count its messages in the reading.

    Returns:
        The session, whose messages are an iterator, or `None` if no message is kept.

    Raises:
        ExportFormatError: If there are implausibly many messages for the export's size.
        SenderNotFoundError: If several people have the owner's name.
    """
    rows = _read_rows(conversation, reading)
    people = _list_people(conversation, rows, reading.selection.keep)
    names = reading.names.open(conversation, people)
    owner = _find_owner(conversation, names, reading)
    metadata = _build_metadata(conversation, people, owner, names, reading)
    aliases = _list_aliases(conversation, people, metadata, names)
    reading.names.found |= aliases
    if not reading.selection.has_conversation(aliases, is_group=metadata["is_group"]):
        for row in rows:
            reason = "unreadable" if row.kind == "unreadable" else "excluded"
            reading.skip(row, reason)
        return None
    _assign_ids(conversation.id, rows)
    rows = _select_rows(conversation.id, rows, reading)
    if not rows:
        return None
    reading.counts.kept += len(rows) - sum([row.is_repeat for row in rows])
    reading.counts.sessions_kept += 1
    reading.platforms.add(metadata["platform"])
    messages = _stream_messages(rows, owner, names)
    if names.nicknames:
        metadata["nicknames"] = list(names.nicknames)
    return {"messages": cast("Sequence[BaseMessage]", messages), "metadata": metadata}


def _read_rows(conversation: Conversation, reading: Reading) -> list[Message]:
    """Return the distinct messages, oldest first, and count all of them."""
    rows = list(reading.files.collect(conversation.messages))
    for row in rows:
        if row.extra and not row.text.strip() and "attachments" in row.extra:
            row.text = placeholder_text(row.extra["attachments"])
            row.kind = "media" if row.kind == "text" else row.kind
    reading.counts.found += len(rows) - sum([row.is_repeat for row in rows])
    rows = _drop_duplicates(rows, reading)
    reading.files.check_count(reading.messages_read)
    if not conversation.is_ordered:
        rows.sort(key=lambda row: sort_key(row.time))
    types = [row.extra.get("system") for row in rows if row.kind == "system"]
    reading.system_types.update(str(name) for name in types if name)
    return rows


def _drop_duplicates(rows: list[Message], reading: Reading) -> list[Message]:
    """Drop proven copies; a different message with the same id gets a new one."""
    ids = [row.id for row in rows if row.id]
    if len(set(ids)) == len(ids):
        return rows
    originals, seen = Originals(), set[str]()
    kept = []
    for row in rows:
        if row.id and originals.is_copy("", row):
            reading.skip(row, "duplicate")
            continue
        row.id = "" if row.id in seen else row.id
        seen.add(row.id)
        kept.append(row)
    return kept


def _find_owner(
    conversation: Conversation, names: DisplayNames, reading: Reading
) -> str | None:
    """Return the owner's id, and store the owner in the reading."""
    person, found_by, _ = conversation.owner or (None, None, "")
    chosen = reading.selection.owner
    if chosen is not None:
        person, found_by = reading.names.find_owner(chosen), "option"
        if not names.has_person(person):
            person = chosen  # Do not depend on the conversations read before.
    # Keep the user's value until a conversation has the owner's display name.
    if person is not None and reading.owner in {None, chosen}:
        reading.owner, reading.owner_found_by = names.display_name(person), found_by
    return person


def _list_people(
    conversation: Conversation, rows: Iterable[Message], keep: Collection[str]
) -> list[str]:
    ignored = _KINDS_WITHOUT_AUTHOR.difference(keep)
    authors = [row.sender for row in rows if row.kind not in ignored]
    return [
        person for person in dict.fromkeys([*conversation.members, *authors]) if person
    ]


def _build_metadata(
    conversation: Conversation,
    people: Iterable[str],
    owner: str | None,
    names: DisplayNames,
    reading: Reading,
) -> SessionMetadata:
    owner_name = None if owner is None else names.display_name(owner)
    participants = list(dict.fromkeys(map(names.display_name, people)))
    title, is_group = conversation.title, conversation.is_group
    if is_group is None:
        is_group = len(participants) > _PAIR_SIZE
    nobody = (owner_name, UNKNOWN_SENDER)
    others = [name for name in participants if name not in nobody]
    if title is None and not is_group and len(others) == 1:
        (title,) = others
    metadata: SessionMetadata = {
        "id": conversation.id,
        "title": title,
        "platform": conversation.platform or reading.platform,
        "participants": participants,
        "owner": owner_name,
        "is_group": is_group,
    }
    metadata.update(conversation.metadata)
    return metadata


def _list_aliases(
    conversation: Conversation,
    people: Iterable[str],
    metadata: SessionMetadata,
    names: DisplayNames,
) -> set[str]:
    """Return the names that include and exclude a conversation."""
    aliases = {conversation.id, *conversation.aliases, *metadata["participants"]}
    aliases |= {name for person in people for name in names.all_names(person)}
    title = metadata["title"]
    return aliases | {*names.nicknames, *([title] if title else [])}


def _select_rows(
    conversation_id: str, rows: Iterable[Message], reading: Reading
) -> list[Message]:
    """Return the rows to keep, and count the skipped rows."""
    selection = reading.selection
    kinds = {"text", *selection.keep}
    start, end = (
        None if bound is None else to_microseconds(bound)
        for bound in (selection.start, selection.end)
    )
    is_bounded = start is not None or end is not None
    kept = []
    for row in rows:
        if row.kind not in kinds:
            reading.skip(row, row.kind)
        elif "duplicate" not in kinds and reading.is_copy(conversation_id, row):
            reading.skip(row, "duplicate")
        elif not row.text or row.text.isspace():
            reading.skip(row, "empty" if row.kind == "text" else row.kind)
        elif is_bounded and (
            row.time is None
            or format_iso_time(row.time) is None
            or (start is not None and row.time < start)
            or (end is not None and row.time >= end)
        ):
            reading.skip(row, "excluded")
        else:
            kept.append(row)
    return kept


def _stream_messages(
    rows: list[Message], owner: str | None, names: DisplayNames
) -> Iterator[BaseMessage]:
    """Return the messages, each of which is created when it is read."""
    owner_name = None if owner is None else names.display_name(owner)
    sender_keys: dict[str, dict[str, Any]] = {}
    for sender in {row.sender for row in rows}:
        name = names.display_name(sender)
        sender_keys[sender] = {"sender": name}
        if owner is not None:
            # Compare names: the owner may have several ids in a table of people.
            sender_keys[sender]["is_from_me"] = name == owner_name
    for row in rows:
        if row.extra:
            _replace_ids(row.extra, names)
    return _convert_rows(rows, sender_keys)


def _convert_rows(
    rows: list[Message], sender_keys: Mapping[str, dict[str, Any]]
) -> Iterator[BaseMessage]:
    rows.reverse()
    while rows:  # Free each row once it has been converted.
        row = rows.pop()
        yield build_human_message(row, sender_keys[row.sender])


def _replace_ids(extra: dict[str, Any], names: DisplayNames) -> None:
    """Replace the ids in a message's reactions and reply with names."""
    for key in _KEYS_WITH_SENDERS:
        value = extra.get(key)
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, dict) and isinstance(item.get("sender"), str):
                item["sender"] = names.display_name(item["sender"])


def build_human_message(row: Message, sender_keys: Mapping[str, Any]) -> HumanMessage:
    """Convert a row to a message, with metadata in `additional_kwargs`."""
    time = row.time
    kwargs: dict[str, Any]
    if time is None or (iso := format_iso_time(time)) is None:
        kwargs = {**sender_keys}
    else:
        kwargs = {
            "message_time": time // MICROSECONDS,
            **sender_keys,
            "events": [{"message_time": iso}],
        }
    if row.extra:
        kwargs.update(row.extra)
    if row.is_repeat:
        kwargs["weight"] = 0
    return create_human_message(row.text, kwargs, row.id)


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
