"""The chat loader for backups of SMS, MMS and RCS."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Unpack

from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.legacy_text import LEGACY_NAME
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    DetectedOwner,
    Message,
    Person,
)
from langchain_chatexports.chat_loaders.sms.elements import (
    Root,
    find_root,
    read_elements,
)
from langchain_chatexports.chat_loaders.sms.messages import (
    OWNER,
    Mms,
    convert_mms,
    convert_sms,
    value_of,
)
from langchain_chatexports.chat_loaders.tapbacks import apply_text_reactions
from langchain_chatexports.chat_loaders.times import MICROSECONDS, sort_key
from langchain_chatexports.exceptions import DamagedExportError, ExportFormatError

_UNKNOWN_NAMES = frozenset({"", "(unknown)"})
_MIN_DIGITS = 7
_MIN_NATIONAL_DIGITS = 9
_MAX_DIGITS = 20  # With a country code, at most 15.

# A file, and whether the messages are MMS.
_Source = tuple[int, bool]


class SmsChatLoader(ChatExportLoader):
    """Load the messages that SMS Backup & Restore saved: SMS, MMS and RCS.

    Reads any number of overlapping backups (`sms-….xml`) of any size, and each message
    once. Other programs write the same format. A person's SMS and MMS form one session.
    The backup states who sent a message, but not the owner's name.
    """

    platform = "sms"
    label = "SMS backup"
    suffixes = (".xml",)
    has_parts = True
    owner_is_label = True

    def __init__(
        self,
        path: str | Path | Iterable[str | Path],
        **options: Unpack[LoaderOptions],
    ) -> None:
        """Initialize the loader.

        Args:
            path: A backup, a zip of it, or a folder of backups.
            **options: The options of every loader; see `ChatExportLoader`. `owner` is
                the owner's display name, `Me` by default. Kinds to `keep` are `media`,
                `draft`, `failed` (never sent) and `reaction`.
        """
        paths = path if isinstance(path, (str, Path)) else list(path)
        super().__init__(paths, **options)
        self.owner = self.owner or "Me"

    @classmethod
    def matches(cls, files: ExportFiles) -> bool:
        """Return whether a file's root element is `smses`, or `calls`."""
        return any(map(_is_xml_backup, files))

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield each chat, combined from all backups, most recently active first.

        Raises:
            ExportFormatError: If there are no messages, or a file declares entities.
        """
        backups = [file for file in files if find_root(file) == "smses"]
        if others := sum(map(_is_xml_backup, files)) - len(backups):
            files.details["call_logs"] = others
        if not backups:
            msg = (
                f"{files.path} contains no messages of SMS Backup & Restore"
                f"{', only a call log' if others else ''}. In the app, back up the "
                "messages, and pass sms-….xml or its folder."
            )
            raise ExportFormatError(msg, path=files.path)
        chats = _Chats()
        for number, file in enumerate(backups):
            _read_backup(file, number, chats, files)
        yield from chats.conversations(self.owner or "")


def _is_xml_backup(file: ExportFile) -> bool:
    return file.name.lower().endswith(".xml") and find_root(file) in {"smses", "calls"}


def _read_backup(
    file: ExportFile, number: int, chats: "_Chats", files: ExportFiles
) -> None:
    """Add the messages of a file, and warn if it is cut or lacks some."""
    root = Root()
    count = 0
    try:
        with file.open() as stream:
            for element in read_elements(file, stream, root):
                count += 1
                if element.is_mms:
                    chats.add_mms(number, convert_mms(element), element.attributes)
                else:
                    chats.add_sms(number, convert_sms(element), element.attributes)
    except DamagedExportError as error:
        if not count:
            files.skip(error, file)
            return
        files.unreadable += 1
        files.warn(str(error))
        return
    except ExportFormatError as error:
        files.skip(error, file)
        return
    if root.is_legacy:
        files.report_encoding(file, LEGACY_NAME)
    stated = root.attributes.get("count", "")
    if stated.isascii() and stated.isdecimal() and stated.lstrip("0") != str(count):
        files.details["other_count"] = files.details.get("other_count", 0) + 1
        files.warn(
            f"{file.label} states another number of messages than the {count:,} it "
            "has. It was edited, combined or cut."
        )


class _Chats:
    """The messages of all backups by address, and the names of people."""

    def __init__(self) -> None:
        self._sms: dict[str, dict[_Source, list[Message]]] = {}
        self._mms: list[tuple[_Source, Mms, str]] = []
        self._names: dict[str, str] = {}

    def add_sms(
        self, number: int, message: Message, attributes: Mapping[str, str]
    ) -> None:
        address = value_of(attributes, "address")
        self._add_name(address, attributes)
        rows = self._sms.setdefault(address, {})
        rows.setdefault((number, False), []).append(message)

    def add_mms(self, number: int, mms: Mms, attributes: Mapping[str, str]) -> None:
        name = value_of(attributes, "contact_name")
        if len({*mms.numbers}) == 1 and not mms.group_id:
            self._add_name(mms.address, attributes)
        self._mms.append(((number, True), mms, name))

    def conversations(self, owner_name: str) -> Iterator[Conversation]:
        """Yield the chats, most recently active first, and free their messages."""
        ids = _find_ids(
            address
            for numbers in (self._sms, *(mms.numbers for _, mms, _ in self._mms))
            for address in numbers
        )
        chats, titles, members = self._group(ids)
        people = {OWNER: Person(owner_name)}
        for address, id_ in ids.items():
            name = self._names.get(address) or people.get(id_, Person()).name
            people[id_] = Person(name or id_, (id_,))
        ordered = {chat: _mark_duplicates(sources) for chat, sources in chats.items()}
        chats.clear()
        for chat in sorted(ordered, key=lambda c: -sort_key(ordered[c][-1].time)):
            messages = ordered.pop(chat)
            apply_text_reactions(messages)
            is_group = chat in members
            yield Conversation(
                id=chat or "unknown",
                messages=messages,
                title=titles.get(chat),
                members=(*members.get(chat, filter(None, [chat])), OWNER),
                people=people,
                is_group=is_group,
                owner=DetectedOwner(OWNER, "sent messages"),
                is_ordered=True,
            )

    def _add_name(self, address: str, attributes: Mapping[str, str]) -> None:
        name = value_of(attributes, "contact_name")
        if name.casefold() not in _UNKNOWN_NAMES:
            self._names[address] = name

    def _group(
        self, ids: Mapping[str, str]
    ) -> tuple[
        dict[str, dict[_Source, list[Message]]], dict[str, str], dict[str, list[str]]
    ]:
        """Return messages, titles of groups and members of groups, by chat."""
        chats: dict[str, dict[_Source, list[Message]]] = defaultdict(dict)
        titles: dict[str, str] = {}
        members: dict[str, dict[str, None]] = defaultdict(dict)
        for address, sources in self._sms.items():
            for source, messages in sources.items():
                for message in messages:
                    message.sender = ids.get(message.sender, message.sender)
                chats[ids[address]].setdefault(source, []).extend(messages)
        self._sms.clear()
        own = _find_own_number(self._mms, ids)
        for source, mms, title in self._mms:
            numbers = dict.fromkeys(ids[number] for number in mms.numbers)
            others = [number for number in numbers if number != own] or [*numbers]
            chat = mms.group_id or "~".join(sorted(others))
            if mms.group_id or len(others) > 1:
                members[chat] |= dict.fromkeys(others)
                if title.casefold() not in _UNKNOWN_NAMES:
                    titles[chat] = title
            if not mms.is_sent:
                senders = [ids[sender] for sender in mms.senders]
                senders = [sender for sender in senders if sender in others] or others
                mms.message.sender = senders[0] if len({*senders}) == 1 else ""
            chats[chat].setdefault(source, []).append(mms.message)
        self._mms.clear()
        return chats, titles, {chat: [*group] for chat, group in members.items()}


def _find_own_number(
    messages: Iterable[tuple[_Source, Mms, str]], ids: Mapping[str, str]
) -> str:
    """Return the owner's number, to remove it from groups; empty if unknown."""
    senders: Counter[str] = Counter()
    recipients: Counter[str] = Counter()
    for _, mms, _ in messages:
        if mms.is_sent:
            senders.update(ids[sender] for sender in mms.senders)
        elif len(mms.recipients) == 1:
            recipients.update(ids[number] for number in mms.recipients)
    best = (senders or recipients).most_common(1)
    return best[0][0] if best else ""


def _find_ids(addresses: Iterable[str]) -> dict[str, str]:
    """Return the id of each address, the same for one number in several forms.

    A number without a country code is that of the only number that ends with it.
    """
    keys = {address: _address_key(address) for address in {*addresses}}
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


def _address_key(address: str) -> str:
    digits = "".join(filter(str.isdecimal, address))
    is_number = _MIN_DIGITS <= len(digits) <= _MAX_DIGITS
    if not is_number or any(map(str.isalpha, address)):
        return address.casefold()
    return f"+{digits}" if address.lstrip().startswith("+") else digits


def _mark_duplicates(sources: Mapping[_Source, list[Message]]) -> list[Message]:
    """Return the messages of a chat, oldest first, with copies as `duplicate`.

    Backups overlap, and some round the times to seconds. An SMS may have a copy as MMS.
    """
    known: dict[tuple[object, ...], dict[int, tuple[_Source, Message]]] = {}
    rows: list[Message] = []
    for source, messages in sources.items():
        rows += messages
        for row in messages:
            if row.time is None:
                continue
            files = tuple(map(str, row.extra.get("attachments", ())))
            second = row.time // MICROSECONDS
            key = (row.kind, row.sender, second, row.text or files)
            group = known.setdefault(key, {})
            time = _find_copy(group, row.time, source)
            if time is None:
                group[row.time] = source, row
            elif files and "attachments" not in group[time][1].extra:
                _, other = group.pop(time)
                other.kind = "duplicate"
                group[row.time] = source, row
            else:
                row.kind = "duplicate"
    rows.sort(key=lambda row: sort_key(row.time))
    return rows


def _find_copy(
    group: Mapping[int, tuple[_Source, Message]], time: int, source: _Source
) -> int | None:
    """Return the time of a copy among equal messages of a second, by their times."""
    if time in group:
        return time
    rounded = time - time % MICROSECONDS
    candidates = group if time == rounded else group.keys() & {rounded}
    return next((t for t in candidates if group[t][0] != source), None)
