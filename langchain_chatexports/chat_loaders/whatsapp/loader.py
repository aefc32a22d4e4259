"""The WhatsApp loader: a chat, or a folder of them."""

import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

from typing_extensions import Unpack

from langchain_chatexports._terminal import escaped
from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.date_order import (
    ORDERS,
    DateOrder,
    Order,
    checked_order,
)
from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.chat_loaders.local_times import find_time_zone, name_of_zone
from langchain_chatexports.chat_loaders.messages import Conversation, Message
from langchain_chatexports.chat_loaders.whatsapp.chats import (
    Chat,
    FoundOwner,
    words_of_name,
)
from langchain_chatexports.chat_loaders.whatsapp.files import (
    SUFFIXES,
    chat_files,
    chat_id,
    chat_name,
    estimate_messages,
    head_lines,
)
from langchain_chatexports.chat_loaders.whatsapp.headers import Layout
from langchain_chatexports.chat_loaders.whatsapp.phrases import YOU
from langchain_chatexports.chat_loaders.whatsapp.records import (
    Records,
    read_lines,
)
from langchain_chatexports.chat_loaders.whatsapp.repeated_exports import merge_exports
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

# Phones keep the newest 40,000 messages without media, 10,000 with, and do not say so.
_LIMITS_OF_PHONES = (range(39_900, 40_001), range(9_900, 10_001))
_LIMITS_OF_WEB = (range(99_900, 100_001),)
_HEAD_BYTES = 1 << 15
_MAX_HEADS = 100
_VOTES = 3
_MAX_SHOWN = 3


@dataclass
class _Phone:
    """What the beginnings of several chats of one phone show."""

    owner: FoundOwner | None = None
    orders: dict[Layout, str] = field(default_factory=dict)
    """The order of dates, by the layout of headers, where it is no guess."""


@dataclass
class _Export:
    """One chat, ready to be a conversation."""

    id: str
    chat: Chat
    duplicates: int = 0
    lost: list[Message] = field(default_factory=list)
    """Lines of no message."""


class WhatsAppChatLoader(ChatExportLoader):
    """Load chats that WhatsApp exported, one session a chat.

    The path may be `_chat.txt`, `WhatsApp Chat with Ann.txt`, the zip that the phone
    makes (read in place, never unpacked), or a folder of them. iPhone, Android and
    WhatsApp Web, in every language: the layout of the headers is learned from the file.
    """

    platform = "whatsapp"
    suffixes = SUFFIXES

    def __init__(
        self,
        path: str | Path | Collection[str | Path],
        *,
        timezone: str | tzinfo | None = None,
        date_order: DateOrder | None = None,
        **options: Unpack[LoaderOptions],
    ) -> None:
        """Initialize the loader.

        Args:
            path: A chat, a zip, or a folder of them.
            timezone: The zone of the phone that exported, such as `Europe/Berlin`; an
                export has local times without it. Without one, this machine's.
            date_order: `dmy`, `mdy` or `ymd`, for chats so short that their dates do
                not show which number is the day. Where they do, this is not needed.
            **options: The options that every loader has, see `ChatExportLoader`.
                `owner` is the name of who exported, as it stands in the chats.

        Raises:
            ValueError: If there is no such time zone or order.
        """
        super().__init__(path, **options)
        self.timezone = find_time_zone(timezone)
        self.date_order = checked_order(date_order)

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield each chat, in the order of their names.

        Args:
            files: The files of the export.

        Raises:
            ExportFormatError: If no chat of WhatsApp is there.
        """
        chats = files.files if files.is_single_file else chat_files(files)
        files.details["time_zone"] = [name_of_zone(self.timezone)]
        if len(chats) < len(files.files):
            files.details["other_texts"] = len(files.files) - len(chats)
        phone = _Phone()
        has_read = False
        for group in self._groups(sorted(chats, key=chat_id), phone):
            is_alone = len(chats) == 1
            read = [self._read(file, phone, files, is_alone=is_alone) for file in group]
            exports = [export for export in read if export]
            del read
            has_read = has_read or bool(exports)
            if len(exports) > 1:
                exports = _merged(exports, files)
            while exports:
                yield self._conversation(exports.pop(0), phone)
        if not has_read:
            msg = (
                f"{escaped(str(self.path))} holds no WhatsApp chat. Give the zip or the "
                '.txt file that the phone made with "Export chat", or a folder of them.'
            )
            raise ExportFormatError(msg, path=self.path)

    def handles(self) -> Mapping[str, Collection[str]]:
        """Return nothing: a chat has one name for each person."""
        return {}

    def _count_messages(self) -> int:
        with self.open_export(is_quiet=True) as files:
            chats = files.files if files.is_single_file else chat_files(files)
            return sum(map(estimate_messages, chats))

    def _groups(
        self, files: list[ExportFile], phone: _Phone
    ) -> Iterable[list[ExportFile]]:
        """Return the files of each name; only they can be exports of one chat.

        The beginnings of some are read: an unpacked zip of an iPhone has the chat's
        name in its first line, and chats of two show the owner of the phone.
        """
        groups: dict[object, list[ExportFile]] = {}
        owners: Counter[FoundOwner] = Counter()
        for number, file in enumerate(files):
            name = chat_name(file)
            votes = max(owners.values(), default=_VOTES if self.owner else 0)
            is_known = number >= _MAX_HEADS or (phone.orders and votes >= _VOTES)
            if len(files) > 1 and not (name and is_known):
                head = self._head(file, phone)
                owners.update(filter(None, [head and head.owner(is_whole=False)]))
                name = head.title if head else name
            key = words_of_name(name) if name else file.label
            groups.setdefault(key, []).append(file)
        names: Counter[str] = Counter()
        for owner, count in owners.items():
            names[owner.name] += count
        ranked = names.most_common(2)
        if ranked and ranked[0][1] > sum(count for _, count in ranked[1:]):
            phone.owner = next(one for one in owners if one.name == ranked[0][0])
        return groups.values()

    def _head(self, file: ExportFile, phone: _Phone) -> Chat | None:
        """Return the beginning of a chat, if it can be read."""
        try:
            records = Records(head_lines(file, _HEAD_BYTES))
        except ChatExportError:
            return None
        orders = records.orders(self.date_order)
        _note_orders(records, orders, phone)
        days = records.days(orders)
        return Chat(records, days, chat_name(file)) if records.records else None

    def _read(
        self, file: ExportFile, phone: _Phone, files: ExportFiles, *, is_alone: bool
    ) -> _Export | None:
        try:
            with file.open() as opened:
                records = Records(read_lines(opened))
            if not records.records:
                msg = (
                    f"{file.label} is not a WhatsApp chat: no line begins with a date "
                    "and a time. Export the chat again on the phone."
                )
                raise ExportFormatError(msg, path=file.path)
            orders = self._orders(records, phone, file)
        except ExportFormatError as error:
            if is_alone:
                raise
            files.skip(error)
            return None
        days = records.days(orders)
        _warn_of_dates(records, orders, days, file, files)
        # Late messages, and headers that somebody pasted.
        _add(files, "steps_back", records.steps_back(days))
        lost = [Message(None, "", "", "unreadable") for _ in range(records.lost_lines)]
        chat = Chat(records, days, chat_name(file), self.timezone)
        if lost and chat.form == "web":
            lost[0] = Message(None, "", records.leading, "system")
        _warn_of_limit(chat, file, files)
        return _Export(chat_id(file), chat, lost=lost)

    def _orders(self, records: Records, phone: _Phone, file: ExportFile) -> list[Order]:
        orders = records.orders(self.date_order)
        if any(order.is_guess for order in orders):
            # Another chat of this phone may show what this one does not.
            orders = records.orders(self.date_order, phone.orders)
        _note_orders(records, orders, phone)
        for order in orders:
            if order.conflict is not None:
                first, second = sorted(order.conflict)
                msg = (
                    f"{file.label} mixes two orders of day, month and year: see lines "
                    f"{first:,} and {second:,}. It was probably put together from "
                    "several phones; give each one's export."
                )
                raise ExportFormatError(msg, path=file.path)
        return orders

    def _conversation(self, export: _Export, phone: _Phone) -> Conversation:
        chat, people = export.chat, export.chat.people
        owner = names = None
        if self.owner is None:
            owner = chat.owner()
            if owner is None and phone.owner and phone.owner.name in people:
                owner = phone.owner
        elif chat.form == "web":
            names = dict.fromkeys((name for name in people if name in YOU), self.owner)
        for message in chat.messages:
            if message.kind == "system" and message.sender not in people:
                message.sender = ""
        return Conversation(
            export.id,
            _used_up(export),
            title=chat.title,
            members=people,
            names=names or {},
            handles=chat.handles,
            is_group=chat.is_group,
            owner=owner and owner.name,
            owner_found_by=owner and owner.found_by,
            is_ordered=True,
        )


def _used_up(export: _Export) -> Iterator[Message]:
    """Yield the messages; each is held by the caller only."""
    yield from export.lost
    messages = export.chat.messages
    messages.reverse()
    while messages:
        yield messages.pop()
    for _ in range(export.duplicates):
        yield Message(None, "", "", "duplicate")


def _merged(exports: list[_Export], files: ExportFiles) -> list[_Export]:
    """Merge exports of one chat; those of other chats of its name stay."""
    merged = merge_exports((export.id, export.chat) for export in exports)
    if len(merged) > 1:
        shown = " and ".join(escaped(export.id) for export in exports[:_MAX_SHOWN])
        more = len(exports) - _MAX_SHOWN
        warnings.warn(
            f"{shown}{f' and {more:,} more' if more > 0 else ''} have one name, but "
            "not enough messages in common to be exports of one chat: they are "
            f"{len(merged)} sessions. If they are of one chat, keep the newest one.",
            stacklevel=3,
        )
    _add(files, "merged_exports", len(exports) - len(merged))
    found = [_Export(one.id, one.chat, one.duplicates) for one in merged]
    found[0].lost = [line for export in exports for line in export.lost]
    return found


def _note_orders(records: Records, orders: list[Order], phone: _Phone) -> None:
    for layout, order in zip(records.layouts, orders, strict=True):
        if not order.is_guess and order.conflict is None:
            phone.orders.setdefault(layout, order.order)


def _warn_of_dates(
    records: Records,
    orders: list[Order],
    days: list[int | None],
    file: ExportFile,
    files: ExportFiles,
) -> None:
    """Note how dates are read, and warn where that is a guess."""
    shown = [
        f"{ORDERS[order.order]}{' (a guess)' if order.is_guess else ''}"
        for order in orders
    ]
    counts = Counter(files.details.get("date_orders", {}))
    counts.update(shown)
    files.details["date_orders"] = dict(sorted(counts.items()))
    said = []
    if any(days[record.date] is None for record in records.records):
        said.append(
            f"The dates of {file.label} are in the Islamic calendar, which is not "
            "read: its messages have no time. Set the phone's calendar to the "
            "Gregorian one and export the chat again."
        )
    if len(orders) > 1:
        said.append(
            f"{file.label} has headers of {len(orders)} layouts and was probably put "
            "together from several exports. All of them are read."
        )
    if guesses := [ORDERS[order.order] for order in orders if order.is_guess]:
        said.append(
            f"The dates of {file.label} do not show which number is the day; they are "
            f"read with the {guesses[0]}. If that is wrong, give date_order "
            "(--date-order), or put a longer chat of this phone beside it."
        )
    for one in said:
        warnings.warn(one, stacklevel=4)


def _warn_of_limit(chat: Chat, file: ExportFile, files: ExportFiles) -> None:
    length, is_web = len(chat.messages), chat.form == "web"
    if any(length in one for one in (_LIMITS_OF_WEB if is_web else _LIMITS_OF_PHONES)):
        _add(files, "cut_chats", 1)
        newest = "100,000" if is_web else "40,000 (10,000 with media)"
        warnings.warn(
            f"{file.label} has {length:,} messages: WhatsApp exports the newest "
            f"{newest}, so older ones are probably missing.",
            stacklevel=4,
        )


def _add(files: ExportFiles, key: str, count: int) -> None:
    files.details[key] = files.details.get(key, 0) + count
