"""The WhatsApp loader: a chat, or a folder of them."""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

from langchain_chatexports._terminal import escaped
from langchain_chatexports.chat_loaders.archives import (
    open_parts,
    readable_files,
    single_file,
)
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.date_order import (
    ORDERS,
    checked_order,
    day_of,
)
from langchain_chatexports.chat_loaders.local_times import find_time_zone, name_of_zone
from langchain_chatexports.chat_loaders.whatsapp.chat_names import (
    UNNAMED_FILES,
    chat_name,
)
from langchain_chatexports.chat_loaders.whatsapp.chats import Chat
from langchain_chatexports.chat_loaders.whatsapp.files import (
    SUFFIXES,
    chat_files,
    estimate_records,
)
from langchain_chatexports.chat_loaders.whatsapp.owner import FoundOwner, most_agreed
from langchain_chatexports.chat_loaders.whatsapp.records import read_records
from langchain_chatexports.chat_loaders.whatsapp.repeated_exports import (
    Export,
    merge_exports,
)
from langchain_chatexports.chat_loaders.whatsapp.senders import name_key
from langchain_chatexports.chat_loaders.whatsapp.sessions import SessionBuilder
from langchain_chatexports.chat_loaders.whatsapp.text_lines import (
    decode_head,
    read_lines,
)
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import tzinfo
    from pathlib import Path

    from typing_extensions import Unpack

    from langchain_chatexports.chat_loaders.base import ExportSession
    from langchain_chatexports.chat_loaders.date_order import DateOrder, Order
    from langchain_chatexports.chat_loaders.export_files import ExportFile
    from langchain_chatexports.chat_loaders.ledger import Tally
    from langchain_chatexports.chat_loaders.options import LoaderOptions
    from langchain_chatexports.chat_loaders.whatsapp.headers import Layout
    from langchain_chatexports.chat_loaders.whatsapp.records import RawChat

__all__ = ["WhatsAppChatLoader"]

# Phones keep the newest 40,000 messages without media, 10,000 with, and do not say so.
_PHONES_LIMITS = (range(39_900, 40_001), range(9_900, 10_001))
_WEBS_LIMITS = (range(99_900, 100_001),)
_HEAD_BYTES = 1 << 15
_FIRST_LINE_BYTES = 1 << 12
_MAX_HEADS = 100
_VOTES = 3


@dataclass
class _Seen:
    """What other chats of the same phone say."""

    owner: FoundOwner | None = None
    orders: dict[Layout, str] = field(default_factory=dict)
    """The order of dates, by the layout of headers."""

    def note(self, raw: RawChat, orders: list[Order]) -> None:
        """Note the orders that are no guess."""
        for layout, order in zip(raw.learned.layouts, orders, strict=True):
            if not order.is_guess and order.conflict is None:
                self.orders.setdefault(layout, order.order)


class WhatsAppChatLoader(ChatExportLoader):
    """Load chats that WhatsApp exported, one session a chat.

    The path may be `_chat.txt`, `WhatsApp Chat with Ann.txt`, the zip that the phone
    hands out (read in place, never unpacked), or a folder of them. iPhone, Android and
    WhatsApp Web, in every language: the layout of the headers is learned from the file.
    """

    platform = "whatsapp"

    def __init__(
        self,
        path: str | Path,
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
                not say what is the day. Where they do, this is not needed.
            **options: The options that every loader has, see `ChatExportLoader`.
                `owner` is the name of who exported, as it stands in the chats.

        Raises:
            ValueError: If there is no such time zone or order.
        """
        super().__init__(path, **options)
        self.timezone = find_time_zone(timezone)
        self.date_order = checked_order(date_order)

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        """Read the export, one chat at a time.

        Args:
            tally: Where to count what is found and what is left out.

        Yields:
            One session a chat of which something is kept.

        Raises:
            ExportNotFoundError: If there is nothing at the path.
            ExportAccessError: If the system refuses.
            ExportFormatError: If no chat of WhatsApp is there.
        """
        with ExitStack() as stack:
            files, is_named = self._files(stack, tally)
            tally.details["time_zone"] = [name_of_zone(self.timezone)]
            seen = self._look(files)
            self._name_owner(seen.owner, tally)
            read = 0
            for group in self._groups(files):
                found = [
                    self._export(file, seen, tally, is_named=is_named) for file in group
                ]
                exports = [export for export in found if export]
                del found
                read += len(exports)
                if len(exports) > 1:
                    exports = self._merged(exports, tally)
                while exports:
                    session = self._session(exports.pop(0), seen.owner, tally)
                    if session is not None:
                        held = [session]
                        del session
                        yield held.pop()  # Only the caller keeps it in memory.
            if not read:
                raise self._no_chat()

    def _count_messages(self) -> int:
        with ExitStack() as stack:
            parts = open_parts([self.path], stack, lambda _: None, SUFFIXES)
            files = readable_files(parts, lambda _: None)
            return sum(map(estimate_records, chat_files(files)[0]))

    def _files(self, stack: ExitStack, tally: Tally) -> tuple[list[ExportFile], bool]:
        """Return the chats, and whether the user named the one that there is."""
        parts = open_parts([self.path], stack, tally.leave_out_file, SUFFIXES)
        alone = single_file(parts)
        if alone is not None:
            return [alone], True
        chats, others = chat_files(readable_files(parts, tally.leave_out_file))
        if not chats:
            raise self._no_chat()
        _add(tally, "chats", len(chats))
        if others:
            _add(tally, "other_texts", others)
        return sorted(chats, key=_chat_id), len(chats) == 1 and not self.path.is_dir()

    def _groups(self, files: list[ExportFile]) -> list[list[ExportFile]]:
        """Return the files of each name; only they can be exports of one chat."""
        groups: dict[object, list[ExportFile]] = {}
        for file in files:
            name = chat_name(file)
            if not name and len(files) > 1:
                # An unpacked zip of an iPhone has the name in its first line.
                raw = _head(file, _FIRST_LINE_BYTES)
                name = Chat(raw, None).title if raw else None
            key = name_key(name) if name else file.label
            groups.setdefault(key, []).append(file)
        return list(groups.values())

    def _merged(self, exports: list[Export], tally: Tally) -> list[Export]:
        ids = [export.id for export in exports]
        merged = merge_exports(exports)
        merged.sort(key=attrgetter("id"))
        if len(merged) > 1:
            warnings.warn(
                f"{' and '.join(map(escaped, ids))} have one name, but not enough "
                f"messages in common to be exports of one chat: they are {len(merged)} "
                "sessions. If they are of one chat, keep the newest one.",
                stacklevel=3,
            )
        _add(tally, "merged_exports", sum(export.files - 1 for export in merged))
        return merged

    def _no_chat(self) -> ExportFormatError:
        msg = (
            f"{self.path} holds no WhatsApp chat. Give the zip or the .txt file that "
            'the phone made with "Export chat", or a folder of them.'
        )
        return ExportFormatError(msg, path=self.path)

    def _look(self, files: list[ExportFile]) -> _Seen:
        """Look at the beginnings of several chats, which one phone exported."""
        seen = _Seen()
        found: list[FoundOwner] = []
        for file in islice(files, _MAX_HEADS if len(files) > 1 else 0):
            raw = _head(file, _HEAD_BYTES)
            if raw is None:
                continue
            seen.note(raw, raw.orders(self.date_order))
            if self.owner is None:
                owner = Chat(raw, chat_name(file)).owner(is_whole=False)
                found += filter(None, [owner])
            is_sure = self.owner is not None or _has_votes(found)
            if is_sure and seen.orders:
                break
        seen.owner = most_agreed(found)
        return seen

    def _name_owner(self, found: FoundOwner | None, tally: Tally) -> None:
        if self.owner:
            tally.owner, tally.owner_found_by = self.owner, "option"
        elif found and not tally.owner:
            tally.owner, tally.owner_found_by = found

    def _export(
        self, file: ExportFile, seen: _Seen, tally: Tally, *, is_named: bool
    ) -> Export | None:
        try:
            return self._read(file, seen, tally)
        except ExportFormatError as error:
            if is_named:
                raise
            tally.leave_out_file(error)
            return None

    def _read(self, file: ExportFile, seen: _Seen, tally: Tally) -> Export:
        with file.open() as opened:
            raw = read_records(read_lines(opened))
        if not raw.records:
            msg = (
                f"{file.label} is no chat of WhatsApp: no line begins with a date and "
                "a time. Export the chat again on the phone."
            )
            raise ExportFormatError(msg, path=file.path)
        orders = self._orders(raw, seen, file)
        foreign = {raw.texts[place] for order in orders for place in order.foreign}
        if foreign:
            # Headers that somebody pasted from a phone that writes dates otherwise.
            with file.open() as opened:
                raw = read_records(read_lines(opened), foreign)
            orders = self._orders(raw, seen, file)
        self._tell(orders, file, tally)
        days = [
            day_of(stamp, orders[layout].order)
            for stamp, layout in zip(raw.stamps, raw.layout_of, strict=True)
        ]
        if None in days:
            warnings.warn(
                f"The dates of {file.label} are in the Islamic calendar, which is not "
                "read: its messages have no time. Set the phone's calendar to the "
                "Gregorian one and export the chat again.",
                stacklevel=3,
            )
        # Late messages, and headers that somebody pasted.
        _add(tally, "steps_back", _steps_back(raw, days))
        tally.found += len(raw.records) + raw.lost_lines
        chat = Chat(raw, chat_name(file))
        self._tell_of_limit(chat, file, tally)
        is_notice = chat.form == "web" and raw.lost_lines > 0
        tally.skip("system", is_notice)
        tally.skip("unreadable", raw.lost_lines - is_notice)
        return Export(_chat_id(file), chat, days)

    def _orders(self, raw: RawChat, seen: _Seen, file: ExportFile) -> list[Order]:
        orders = raw.orders(self.date_order)
        if any(order.is_guess for order in orders):
            # Another chat of this phone may say what this one does not.
            orders = raw.orders(self.date_order, seen.orders)
        seen.note(raw, orders)
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

    def _tell(self, orders: list[Order], file: ExportFile, tally: Tally) -> None:
        """Say how dates are read, and where that is a guess."""
        _add_counts(
            tally,
            "date_orders",
            Counter(
                f"{ORDERS[order.order]}{' (a guess)' if order.is_guess else ''}"
                for order in orders
            ),
        )
        if len(orders) > 1:
            warnings.warn(
                f"{file.label} has headers of {len(orders)} layouts and was probably "
                "put together from several exports. All of them are read.",
                stacklevel=3,
            )
        if any(order.is_guess for order in orders):
            shown = ORDERS[next(order.order for order in orders if order.is_guess)]
            warnings.warn(
                f"The dates of {file.label} do not say which number is the day; they "
                f"are read with the {shown}. If that is wrong, give date_order "
                "(--date-order), or put a longer chat of this phone beside it.",
                stacklevel=3,
            )

    def _tell_of_limit(self, chat: Chat, file: ExportFile, tally: Tally) -> None:
        length, is_web = len(chat.entries), chat.form == "web"
        if any(length in one for one in (_WEBS_LIMITS if is_web else _PHONES_LIMITS)):
            _add(tally, "cut_chats", 1)
            newest = "100,000" if is_web else "40,000 (10,000 with media)"
            warnings.warn(
                f"{file.label} has {length:,} messages: WhatsApp exports the newest "
                f"{newest}, so older ones are probably missing.",
                stacklevel=3,
            )

    def _session(
        self, export: Export, common: FoundOwner | None, tally: Tally
    ) -> ExportSession | None:
        chat, owner = export.chat, self.owner
        if not owner:
            found = chat.owner()
            if found is None and common is not None and common.name in chat.people:
                found = common
            self._name_owner(found, tally)
            owner = found.name if found else None
        _add_counts(tally, "forms", Counter([chat.form]))
        builder = SessionBuilder(self, self.timezone)
        session = builder.session(chat, export.days, chat_id=export.id, owner=owner)
        tally.skip("duplicate", export.duplicates)
        for reason, count in builder.left_out.items():
            tally.skip(reason, count)
        _add_counts(tally, "left_out_kinds", builder.kinds)
        return session


def _head(file: ExportFile, limit: int) -> RawChat | None:
    """Return the records that a chat begins with, if it can be read."""
    try:
        raw = read_records([decode_head(file.read(limit))])
    except ChatExportError:
        return None
    return raw if raw.records else None


def _steps_back(raw: RawChat, days: list[int | None]) -> int:
    """Count how often a day is followed by an older one."""
    known = [day for place in raw.runs if (day := days[place]) is not None]
    return sum(day < before for before, day in pairwise(known))


def _has_votes(found: list[FoundOwner]) -> bool:
    return max(Counter(found).values(), default=0) >= _VOTES


def _chat_id(file: ExportFile) -> str:
    """Return a chat's id: its place in the export, whatever the computer."""
    inner = file.folders[file.given :]
    is_in_zip = file.given == 0
    named = (*inner, file.name)
    if is_in_zip:
        is_alone = not inner and file.name.lower() in UNNAMED_FILES
        named = (file.part_name,) if is_alone else (file.part_name, *named)
    return "/".join(named)


def _add(tally: Tally, key: str, count: int) -> None:
    tally.details[key] = tally.details.get(key, 0) + count


def _add_counts(tally: Tally, key: str, counts: Counter[str]) -> None:
    total = Counter(tally.details.get(key, {}))
    total.update(counts)
    tally.details[key] = dict(sorted(total.items()))
