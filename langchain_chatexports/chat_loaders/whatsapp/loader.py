"""The WhatsApp loader: a chat, or a folder of them."""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
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
from langchain_chatexports.chat_loaders.disjoint_sets import DisjointSets
from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.chat_loaders.local_times import (
    find_time_zone,
    name_of_zone,
    warn_of_local_times,
)
from langchain_chatexports.chat_loaders.messages import Conversation
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
    is_framed,
)
from langchain_chatexports.chat_loaders.whatsapp.headers import Layout
from langchain_chatexports.chat_loaders.whatsapp.records import (
    Records,
    read_lines,
)
from langchain_chatexports.chat_loaders.whatsapp.repeated_exports import merge_exports
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

# Phones silently export the newest 40,000 messages only, 10,000 with media.
_LIMITS_OF_PHONES = (range(39_900, 40_001), range(9_900, 10_001))
_LIMITS_OF_WEB = (range(99_900, 100_001),)
_HEAD_BYTES = 1 << 15
_MAX_HEADS = 100
_TWO = 2
_MAX_SHOWN = 3


class WhatsAppChatLoader(ChatExportLoader):
    """Load chats that WhatsApp exported, one session a chat.

    The path may be `_chat.txt`, `WhatsApp Chat with Ann.txt`, the phone's zip (read in
    place, never unpacked), or a folder of them. Exports of iPhone, Android and WhatsApp
    Web are read in every language: the layout of headers is learned from the file.
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
            timezone: The time zone of the phone that exported, such as
                `Europe/Berlin`, since exports have local times. Defaults to the zone of
                this machine.
            date_order: `dmy`, `mdy` or `ymd`, for chats too short to show which number
                of a date is the day; ignored for other chats.
            **options: The options of every loader, see `ChatExportLoader`. `owner` is
                the name of the person who exported, as written in the chats.

        Raises:
            ValueError: If there is no such time zone or order.
        """
        super().__init__(path, **options)
        self.timezone = find_time_zone(timezone)
        self.date_order = checked_order(date_order)

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield each chat, in the order of their names.

        Raises:
            ExportFormatError: If there is no WhatsApp chat.
        """
        found = self._chats(files)
        files.details["time_zone"] = [name_of_zone(self.timezone)]
        if self.timezone is None and not files.is_quiet:
            warn_of_local_times(self.path)
        if len(found) < len(files.files):
            files.details["other_texts"] = len(files.files) - len(found)
        ids: Counter[str] = Counter()
        phone = _Phone(self.date_order)
        for group in self._groups(found, phone):
            chats = [*self._read(group, phone, files, is_only=len(found) == 1)]
            if len(chats) > 1:
                chats = _merged(chats, group, files)
            while chats:
                chat = chats.pop(0)
                ids[chat.id] += 1
                if ids[chat.id] > 1:  # Several paths may contain the same file name.
                    chat.id += f" ({ids[chat.id]})"
                yield self._conversation(chat, phone)
        if not ids:
            msg = (
                f"{escaped(str(self.path))} holds no WhatsApp chat. Give the zip or "
                'the .txt file that the phone made with "Export chat", or a folder of '
                "them."
            )
            raise ExportFormatError(msg, path=self.path)

    def handles(self) -> Mapping[str, Collection[str]]:
        """Return an empty mapping: a chat has one name for each person."""
        return {}

    def _count_messages(self) -> int:
        with self.open_export(is_quiet=True) as files:
            return sum(map(estimate_messages, self._chats(files)))

    def _chats(self, files: ExportFiles) -> list[ExportFile]:
        chats = files.files if files.is_single_file else chat_files(files)
        return sorted(chats, key=chat_id)

    def _groups(
        self, files: list[ExportFile], phone: "_Phone"
    ) -> Iterable[list[ExportFile]]:
        """Group files with the same name or content, which may be of one chat.

        The beginnings of some files are read: an iPhone writes the chat's name into the
        first line, and chats of two reveal the owner of the phone. Two people have one
        chat, whose name on each phone is the other person's.
        """
        same = DisjointSets()
        for number, file in enumerate(files):
            name = chat_name(file)
            if len(files) > 1 and not (name and number >= _MAX_HEADS):
                head = phone.look_at(file)
                name = head.title if head else name
                people = frozenset(map(words_of_name, head.people if head else ()))
                if name and len(people) == _TWO and words_of_name(name) in people:
                    same.join(people, file.label)
            if name:
                same.join(words_of_name(name), file.label)
        originals: dict[Hashable, str] = {}
        for file in sorted(files, key=_is_renamed) if len(files) > 1 else ():
            sign = file.size, hash(file.head(_HEAD_BYTES))  # Takes less memory.
            original = originals.setdefault(sign, file.label)
            if _is_renamed(file):
                same.join(original, file.label)
        groups: dict[Hashable, list[ExportFile]] = {}
        for file in files:
            groups.setdefault(same.find(file.label), []).append(file)
        return groups.values()

    def _read(
        self,
        group: list[ExportFile],
        phone: "_Phone",
        files: ExportFiles,
        *,
        is_only: bool,
    ) -> Iterator[Chat]:
        for file in group:
            try:
                with file.open() as opened:
                    records = Records(read_lines(opened), files.check_count)
                orders = phone.orders(records)
                _check(records, orders, file)
            except ExportFormatError as error:
                if is_only:
                    raise
                files.skip(error)
                continue
            days = records.days(orders)
            _warn_of_dates(records, orders, days, file, files)
            chat = Chat(
                records,
                days,
                chat_name(file),
                zone=self.timezone,
                chat_id=chat_id(file),
                owner=self.owner,
            )
            length, is_web = len(chat.messages), chat.form == "web"
            limits = _LIMITS_OF_WEB if is_web else _LIMITS_OF_PHONES
            if any(length in one for one in limits):
                newest = "100,000" if is_web else "40,000 (10,000 with media)"
                files.warn(
                    f"{file.label} has {length:,} messages: WhatsApp exports the "
                    f"newest {newest}, so older ones are probably missing."
                )
            yield chat

    def _conversation(self, chat: Chat, phone: "_Phone") -> Conversation:
        people = chat.people
        owner = None if self.owner else chat.owner() or phone.owner_among(people)
        return Conversation(
            chat.id,
            chat.pop_messages(),
            title=chat.title,
            members=people,
            handles=chat.handles,
            is_group=chat.is_group,
            owner=owner and owner.name,
            owner_found_by=owner and owner.found_by,
            is_ordered=True,
        )


class _Phone:
    """Facts about a phone that some of its chats show: date order and owner."""

    def __init__(self, date_order: str | None) -> None:
        self._date_order = date_order
        self._known_orders: dict[Layout, str] = {}
        self._owners: Counter[FoundOwner] = Counter()

    def look_at(self, file: ExportFile) -> Chat | None:
        """Read the beginning of a chat, if possible, and collect its facts."""
        try:
            records = Records(head_lines(file, _HEAD_BYTES))
        except ChatExportError:
            return None
        days = records.days(self.orders(records))
        if not records.records:
            return None
        chat = Chat(records, days, chat_name(file))
        if owner := chat.owner(is_whole=False):
            self._owners[owner] += 1
        return chat

    def orders(self, records: Records) -> list[Order]:
        """Return the date order in a chat, or else that of the phone's other chats."""
        orders = records.orders(self._date_order)
        if any(order.is_guess for order in orders):
            orders = records.orders(self._date_order, self._known_orders)
        for layout, order in zip(records.layouts, orders, strict=True):
            if not order.is_guess and order.conflict is None:
                self._known_orders.setdefault(layout, order.order)
        return orders

    def owner_among(self, people: Collection[str]) -> FoundOwner | None:
        """Return the owner of most chats, if it is one of these people."""
        votes: Counter[str] = Counter()
        for owner, count in self._owners.items():
            votes[owner.name] += count
        name, most = next(iter(votes.most_common(1)), ("", 0))
        if name not in people or most * 2 <= votes.total():
            return None
        return next(owner for owner in self._owners if owner.name == name)


def _is_renamed(file: ExportFile) -> bool:
    return not is_framed(file) or chat_name(file) is None


def _check(records: Records, orders: list[Order], file: ExportFile) -> None:
    """Raise an error for a file that is not a chat, or is of several phones."""
    if not records.records:
        msg = (
            f"{file.label} is not a WhatsApp chat: no line begins with a date and a "
            "time. Export the chat again on the phone."
        )
        raise ExportFormatError(msg, path=file.path)
    for order in orders:
        if order.conflict is not None:
            first, second = sorted(order.conflict)
            msg = (
                f"{file.label} mixes two orders of day, month and year: see lines "
                f"{first:,} and {second:,}. It was probably put together from several "
                "phones; give the export of each."
            )
            raise ExportFormatError(msg, path=file.path)


def _merged(
    chats: list[Chat], group: list[ExportFile], files: ExportFiles
) -> list[Chat]:
    """Merge exports of one chat; other chats with the same name stay separate."""
    merged = merge_exports(chats)
    if len(merged) > 1:
        # Show paths, since files in several folders may have the same name.
        shown = " and ".join(escaped(file.label) for file in group[:_MAX_SHOWN])
        more = len(group) - _MAX_SHOWN
        files.warn(
            f"{shown}{f' and {more:,} more' if more > 0 else ''} have the same "
            "name, but not enough messages in common to be exports of one chat: they "
            f"are read as {len(merged)} sessions. If it is one chat, keep only the "
            "newest export."
        )
    return merged


def _warn_of_dates(
    records: Records,
    orders: list[Order],
    days: list[int | None],
    file: ExportFile,
    files: ExportFiles,
) -> None:
    """Record the date order in the details, and warn if it is a guess."""
    shown = [
        f"{ORDERS[order.order]}{' (a guess)' if order.is_guess else ''}"
        for order in orders
    ]
    counts = Counter(files.details.get("date_orders", {}))
    counts.update(shown)
    files.details["date_orders"] = dict(sorted(counts.items()))
    if any(days[record.date] is None for record in records.records):
        files.warn(
            f"The dates of {file.label} are in the Persian or Islamic calendar, which "
            "is not supported: its messages have no time. Set the phone to the "
            "Gregorian calendar and export the chat again."
        )
    if len(orders) > 1:
        files.warn(
            f"{file.label} has headers of {len(orders)} layouts and was probably put "
            "together from several exports. All of them are read."
        )
    if guesses := [ORDERS[order.order] for order in orders if order.is_guess]:
        files.warn(
            f"The dates of {file.label} do not show which number is the day; they are "
            f"read with the {guesses[0]}. If that is wrong, put a longer "
            "chat from the same phone into the folder, or give date_order "
            "(--date-order)."
        )
