"""The chat loader for backups of SMS, MMS and RCS."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import attrgetter

import msgspec

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.legacy_text import LEGACY_NAME
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    DetectedOwner,
    Message,
    Person,
)
from langchain_chatexports.chat_loaders.names import address_key
from langchain_chatexports.chat_loaders.sms.backup import Backup, find_root
from langchain_chatexports.chat_loaders.sms.messages import OWNER, Record
from langchain_chatexports.chat_loaders.tapbacks import apply_text_reactions
from langchain_chatexports.chat_loaders.times import MICROSECONDS, sort_key
from langchain_chatexports.exceptions import DamagedExportError, ExportFormatError

_MIN_NATIONAL_DIGITS = 9
_MAX_DIGITS = 20  # With a country code, at most 15.


class SmsChatLoader(ChatExportLoader):
    """Load the messages that SMS Backup & Restore saved: SMS, MMS and RCS.

    Reads any number of overlapping backups (`sms-….xml`) of any size, and each message
    once. Other programs write the same format. A person's SMS and MMS form one session.
    The backup states who sent a message, but not the owner's name: `owner` is the one
    to show, `Me` by default.
    """

    platform = "sms"
    label = "SMS backup"
    suffixes = (".xml",)
    has_parts = True
    owner_is_label = True

    @classmethod
    def is_export(cls, file: ExportFile) -> bool:
        """Return whether a file's root element is `smses`, or `calls`."""
        is_xml = file.name.lower().endswith(".xml")
        return is_xml and find_root(file) in {"smses", "calls"}

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield each chat, combined from all backups, most recently active first.

        Raises:
            ExportFormatError: If there are no messages, or a file declares entities.
        """
        backups = [file for file in files if find_root(file) == "smses"]
        if others := sum(map(self.is_export, files)) - len(backups):
            files.details["call_logs"] = others
        if not backups:
            msg = (
                f"{files.path} contains no messages of SMS Backup & Restore"
                f"{', only a call log' if others else ''}. In the app, back up the "
                "messages, and pass sms-….xml or its folder."
            )
            raise ExportFormatError(msg, path=files.path)
        records: list[Record] = []
        for _ in files.read_each(backups, partial(_read_backup, records, files)):
            pass
        yield from _build_conversations(records, Person(self.owner or "Me"))


def _read_backup(records: list[Record], files: ExportFiles, file: ExportFile) -> None:
    """Add the messages of a file, and warn if it is cut or lacks some."""
    before = len(records)
    backup = Backup(file, before)
    try:
        with file.open() as stream:
            records.extend(backup.read(stream))
    except DamagedExportError as error:
        if len(records) == before:
            raise
        files.unreadable += 1
        files.warn(str(error))
        return
    if backup.is_legacy:
        files.report_encoding(file, LEGACY_NAME)
    count, stated = len(records) - before, backup.root.get("count", "")
    if stated.isascii() and stated.isdecimal() and int(stated[:99]) != count:
        files.details["other_count"] = files.details.get("other_count", 0) + 1
        files.warn(
            f"{file.label} states another number of messages than the {count:,} it "
            "has. It was edited, combined or cut."
        )


class _Chat(msgspec.Struct):
    """The messages of a chat, and of a group the title and members."""

    records: list[Record] = []
    title: str | None = None
    members: dict[str, None] = {}


def _build_conversations(
    records: list[Record], owner: Person
) -> Iterator[Conversation]:
    """Yield the chats, most recently active first, and free their messages."""
    ids = _find_ids(number for record in records for number in record.numbers)
    people = {OWNER: owner}
    names = {
        record.numbers[0]: record.name
        for record in records
        if record.name and len({*record.numbers}) == 1 and not record.group_id
    }
    for address, id_ in ids.items():
        name = names.get(address) or people.get(id_, Person()).name
        people[id_] = Person(name or id_, (id_,))
    chats = _group(records, ids)
    records.clear()
    ordered = {
        id_: (chat, _mark_duplicates(chat.records)) for id_, chat in chats.items()
    }
    chats.clear()
    for id_ in sorted(ordered, key=lambda id_: -sort_key(ordered[id_][1][-1].time)):
        chat, messages = ordered.pop(id_)
        apply_text_reactions(messages)
        yield Conversation(
            id=id_ or "unknown",
            messages=messages,
            title=chat.title,
            members=(*(chat.members or filter(None, [id_])), OWNER),
            people=people,
            is_group=bool(chat.members),
            owner=DetectedOwner(OWNER, "sent messages"),
            is_ordered=True,
        )


def _group(records: list[Record], ids: Mapping[str, str]) -> dict[str, _Chat]:
    """Return the chats by id, and set the senders of received messages."""
    chats: dict[str, _Chat] = defaultdict(_Chat)
    own = _find_own_number(records, ids)
    for record in sorted(records, key=attrgetter("is_mms")):
        numbers = dict.fromkeys(ids[number] for number in record.numbers)
        others = [number for number in numbers if number != own] or [*numbers]
        chat = chats[record.group_id or "~".join(sorted(others))]
        chat.records.append(record)
        if record.group_id or len(others) > 1:
            chat.members |= dict.fromkeys(others)
            chat.title = record.name or chat.title
        if record.message.sender != OWNER:
            senders = [ids[sender] for sender in record.senders]
            senders = [sender for sender in senders if sender in others] or others
            record.message.sender = senders[0] if len({*senders}) == 1 else ""
    return chats


def _find_own_number(records: Iterable[Record], ids: Mapping[str, str]) -> str:
    """Return the owner's number, to remove it from groups; empty if unknown."""
    senders: Counter[str] = Counter()
    recipients: Counter[str] = Counter()
    for record in records:
        if record.message.sender == OWNER:
            senders.update(ids[sender] for sender in record.senders)
        elif len(record.recipients) == 1:
            recipients.update(ids[number] for number in record.recipients)
    best = (senders or recipients).most_common(1)
    return best[0][0] if best else ""


def _find_ids(addresses: Iterable[str]) -> dict[str, str]:
    """Return the id of each address, the same for one number in several forms.

    A number without a country code is that of the only number that ends with it.
    """
    keys = {}
    for address in {*addresses}:
        key = address_key(address) or address.casefold()
        is_full = key.isdecimal() and address.lstrip().startswith("+")
        keys[address] = f"+{key}" if is_full else key
    international: dict[str, set[str]] = defaultdict(set)
    for key in sorted(keys.values()):
        if key.startswith("+") and len(key) <= _MAX_DIGITS:
            for begin in range(1, len(key) - _MIN_NATIONAL_DIGITS + 1):
                international[key[begin:]].add(key)
    ids = {}
    for address in sorted(keys):
        key = keys[address]
        full = international.get(key.lstrip("0"), ()) if key.isdecimal() else ()
        ids[address] = next(iter(full)) if len(full) == 1 else key
    return ids


def _mark_duplicates(records: Sequence[Record]) -> list[Message]:
    """Return the messages of a chat, oldest first, with copies as `duplicate`.

    Backups overlap, and some round the times to seconds. An SMS may have a copy as MMS.
    """
    known: dict[tuple[object, ...], dict[int, Record]] = {}
    for record in records:
        row = record.message
        if row.time is None:
            continue
        files = tuple(map(str, row.extra.get("attachments", ())))
        second = row.time // MICROSECONDS
        key = (row.kind, row.sender, second, row.text or files)
        group = known.setdefault(key, {})
        time = _find_copy(group, row.time, record)
        if time is None:
            group[row.time] = record
        elif files and "attachments" not in group[time].message.extra:
            group.pop(time).message.kind = "duplicate"
            group[row.time] = record
        else:
            row.kind = "duplicate"
    rows = [record.message for record in records]
    rows.sort(key=lambda row: sort_key(row.time))
    return rows


def _find_copy(group: Mapping[int, Record], time: int, record: Record) -> int | None:
    """Return the time of a copy among equal messages of a second, by their times."""
    if time in group:
        return time
    rounded = time - time % MICROSECONDS
    source = record.file, record.is_mms
    candidates = group if time == rounded else group.keys() & {rounded}
    return next(
        (t for t in candidates if (group[t].file, group[t].is_mms) != source), None
    )
