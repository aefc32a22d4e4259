"""The chat loader for WhatsApp exports."""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Unpack

from langchain_chatexports._terminal import escaped
from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.date_order import (
    ORDERS,
    DateOrder,
    Order,
    validate_order,
)
from langchain_chatexports.chat_loaders.disjoint_sets import DisjointSets
from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.chat_loaders.local_times import (
    find_time_zone,
    warn_about_local_times,
    zone_name,
)
from langchain_chatexports.chat_loaders.messages import Conversation, Person
from langchain_chatexports.chat_loaders.whatsapp.chats import (
    Chat,
    DetectedOwner,
    name_words,
)
from langchain_chatexports.chat_loaders.whatsapp.files import (
    SUFFIXES,
    estimate_messages,
    find_chat_files,
    get_chat_id,
    get_chat_name,
    has_chat_file_name,
    is_whatsapp,
    read_head_lines,
)
from langchain_chatexports.chat_loaders.whatsapp.headers import Layout
from langchain_chatexports.chat_loaders.whatsapp.records import (
    Records,
    read_lines,
)
from langchain_chatexports.chat_loaders.whatsapp.repeated_exports import merge_exports
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

# Phones silently export only the newest 40,000 messages, or 10,000 with media.
_PHONE_LIMITS = (range(39_900, 40_001), range(9_900, 10_001))
_WEB_LIMITS = (range(99_900, 100_001),)
_HEAD_BYTES = 1 << 15
_MAX_HEADS = 100
_TWO_PEOPLE = 2
_MAX_SHOWN_FILES = 3


class WhatsAppChatLoader(ChatExportLoader):
    """Load chats exported by WhatsApp, one session per chat.

    The path may be `_chat.txt`, `WhatsApp Chat with Ann.txt`, the phone's zip (read in
    place, never unpacked), or a folder of them. Exports from iPhone, Android and
    WhatsApp Web are read in every language, since headers are learned from the file.
    """

    platform = "whatsapp"
    label = "WhatsApp export"
    suffixes = SUFFIXES
    has_parts = True

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
            path: A chat, a zip, or a folder of chats and zips.
            timezone: The time zone of the exporting phone, such as `Europe/Berlin`,
                since exports contain local times. Defaults to this machine's time zone.
            date_order: `dmy`, `mdy` or `ymd`, for chats too short to show which number
                in a date is the day. Ignored for other chats.
            **options: The options of every loader; see `ChatExportLoader`. `owner` is
                the exporting person's name, as written in the chats.

        Raises:
            ValueError: If the time zone or date order is unknown.
        """
        super().__init__(path, **options)
        self.timezone = find_time_zone(timezone)
        self.date_order = validate_order(date_order)

    @classmethod
    def matches(cls, files: ExportFiles) -> bool:
        """Return whether files are a WhatsApp export, by name and first bytes."""
        return is_whatsapp(files)

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the chats by name.

        Raises:
            ExportFormatError: If there is no WhatsApp chat.
        """
        chat_files = self._find_chats(files)
        files.details["time_zone"] = [zone_name(self.timezone)]
        if self.timezone is None and not files.is_quiet:
            warn_about_local_times(self.path)
        if len(chat_files) < len(files.files):
            files.details["other_texts"] = len(files.files) - len(chat_files)
        ids: Counter[str] = Counter()
        phone = _Phone(self.date_order)
        is_only_file = len(chat_files) == 1
        for group in self._group_exports(chat_files, phone):
            chats = [*self._read(group, phone, files, is_only_file=is_only_file)]
            if len(chats) > 1:
                chats = _merge(chats, group, files)
            while chats:
                chat = chats.pop(0)
                ids[chat.id] += 1
                if ids[chat.id] > 1:  # Several paths may have the same file name.
                    chat.id += f" ({ids[chat.id]})"
                yield self._build_conversation(chat, phone)
        if not ids:
            msg = (
                f"{escaped(str(self.path))} contains no WhatsApp chat. Pass the zip or "
                '.txt file from "Export chat" on the phone, or a folder of them.'
            )
            raise ExportFormatError(msg, path=self.path)

    def list_people(self, files: ExportFiles) -> Iterator[Mapping[str, Person]]:
        """Yield nothing, since chats have one name per person."""
        del files
        yield from ()

    def _count_messages(self) -> int:
        with self.open_export(is_quiet=True) as files:
            return sum(map(estimate_messages, self._find_chats(files)))

    def _find_chats(self, files: ExportFiles) -> list[ExportFile]:
        chats = files.files if files.is_single_file else find_chat_files(files)
        return sorted(chats, key=get_chat_id)

    def _group_exports(
        self, files: list[ExportFile], phone: "_Phone"
    ) -> Iterable[list[ExportFile]]:
        """Group files that may be exports of the same chat, by name and content.

        The beginning of some files is read: iPhones write the chat's name to the first
        line, and one-to-one chats show the phone's owner. On either phone, a one-to-one
        chat is named after the other person.
        """
        chat_sets = DisjointSets()
        for index, file in enumerate(files):
            name = get_chat_name(file)
            if len(files) > 1 and not (name and index >= _MAX_HEADS):
                head = phone.read_head(file)
                name = head.title if head else name
                people = frozenset(map(name_words, head.people if head else ()))
                if name and len(people) == _TWO_PEOPLE and name_words(name) in people:
                    chat_sets.join(people, file.label)
            if name:
                chat_sets.join(name_words(name), file.label)
        originals: dict[Hashable, str] = {}
        for file in sorted(files, key=_is_renamed) if len(files) > 1 else ():
            key = file.size, hash(file.head(_HEAD_BYTES))  # A hash saves memory.
            original = originals.setdefault(key, file.label)
            if _is_renamed(file):
                chat_sets.join(original, file.label)
        groups: dict[Hashable, list[ExportFile]] = {}
        for file in files:
            groups.setdefault(chat_sets.find(file.label), []).append(file)
        return groups.values()

    def _read(
        self,
        group: list[ExportFile],
        phone: "_Phone",
        files: ExportFiles,
        *,
        is_only_file: bool,
    ) -> Iterator[Chat]:
        for file in group:
            try:
                with file.open() as stream:
                    records = Records(read_lines(stream), files.check_count)
                orders = phone.find_orders(records)
                _check_records(records, orders, file)
            except ExportFormatError as error:
                if is_only_file:
                    raise
                files.skip(error, file)
                continue
            days = records.days(orders)
            _report_dates(records, orders, days, file, files)
            chat = Chat(
                records,
                days,
                get_chat_name(file),
                zone=self.timezone,
                chat_id=get_chat_id(file),
                owner=self.owner,
            )
            length, is_web = len(chat.messages), chat.exporter == "web"
            limits = _WEB_LIMITS if is_web else _PHONE_LIMITS
            if any(length in limit for limit in limits):
                newest = "100,000" if is_web else "40,000 (10,000 with media)"
                files.warn(
                    f"{file.label} has {length:,} messages. WhatsApp exports only the "
                    f"newest {newest}, so older ones are probably missing."
                )
            yield chat

    def _build_conversation(self, chat: Chat, phone: "_Phone") -> Conversation:
        people = chat.people
        owner = None if self.owner else chat.find_owner() or phone.find_owner(people)
        return Conversation(
            chat.id,
            chat.pop_messages(),
            title=chat.title,
            members=people,
            people={
                name: Person(handles=handles) for name, handles in chat.handles.items()
            },
            is_group=chat.is_group,
            owner=owner and owner.name,
            owner_found_by=owner and owner.found_by,
            is_ordered=True,
        )


class _Phone:
    """Learns the date orders and owner of a phone from its chats."""

    def __init__(self, date_order: str | None) -> None:
        self._date_order = date_order
        self._known_orders: dict[Layout, str] = {}
        self._owners: Counter[DetectedOwner] = Counter()

    def read_head(self, file: ExportFile) -> Chat | None:
        """Read the beginning of a chat and learn its owner and date order.

        Returns `None` if it is unreadable.
        """
        try:
            records = Records(read_head_lines(file, _HEAD_BYTES))
        except ChatExportError:
            return None
        days = records.days(self.find_orders(records))
        if not records.records:
            return None
        chat = Chat(records, days, get_chat_name(file))
        if owner := chat.find_owner(is_complete=False):
            self._owners[owner] += 1
        return chat

    def find_orders(self, records: Records) -> list[Order]:
        """Return the date orders of a chat, falling back to the phone's other chats."""
        orders = records.orders(self._date_order)
        if any(order.is_guess for order in orders):
            orders = records.orders(self._date_order, self._known_orders)
        for layout, order in zip(records.layouts, orders, strict=True):
            if not order.is_guess and order.conflict is None:
                self._known_orders.setdefault(layout, order.order)
        return orders

    def find_owner(self, people: Collection[str]) -> DetectedOwner | None:
        """Return the owner detected in most chats, if it is one of these people."""
        votes: Counter[str] = Counter()
        for owner, count in self._owners.items():
            votes[owner.name] += count
        name, most = next(iter(votes.most_common(1)), ("", 0))
        if name not in people or most * 2 <= votes.total():
            return None
        return next(owner for owner in self._owners if owner.name == name)


def _is_renamed(file: ExportFile) -> bool:
    return not has_chat_file_name(file) or get_chat_name(file) is None


def _check_records(records: Records, orders: list[Order], file: ExportFile) -> None:
    """Raise an error if a file is not a chat, or mixes chats from several phones."""
    if not records.records:
        msg = (
            f"{file.label} is not a WhatsApp chat, since no line begins with a date "
            "and a time. Export the chat again on the phone."
        )
        raise ExportFormatError(msg, path=file.path)
    for order in orders:
        if order.conflict is not None:
            first, second = sorted(order.conflict)
            msg = (
                f"{file.label} uses two date orders (lines {first:,} and "
                f"{second:,}). It was probably combined from several "
                "phones. Pass the export from each phone instead."
            )
            raise ExportFormatError(msg, path=file.path)


def _merge(
    chats: list[Chat], group: list[ExportFile], files: ExportFiles
) -> list[Chat]:
    """Merge exports of the same chat, and warn about different chats of one name."""
    merged = merge_exports(chats)
    if len(merged) > 1:
        # Show paths, since files in different folders may have the same name.
        labels = " and ".join(escaped(file.label) for file in group[:_MAX_SHOWN_FILES])
        rest = len(group) - _MAX_SHOWN_FILES
        files.warn(
            f"{labels}{f' and {rest:,} more' if rest > 0 else ''} have the same "
            "name, but too few messages in common to be the same chat, so "
            f"they are read as {len(merged)} sessions. If they are the same chat, "
            "pass only the newest export."
        )
    return merged


def _report_dates(
    records: Records,
    orders: list[Order],
    days: list[int | None],
    file: ExportFile,
    files: ExportFiles,
) -> None:
    """Add the date order to the details, and warn about problems with dates."""
    labels = [
        f"{ORDERS[order.order]}{' (a guess)' if order.is_guess else ''}"
        for order in orders
    ]
    counts = Counter(files.details.get("date_orders", {}))
    counts.update(labels)
    files.details["date_orders"] = dict(sorted(counts.items()))
    if any(days[record.date] is None for record in records.records):
        files.warn(
            f"The dates of {file.label} are in the Persian or Islamic calendar, which "
            "is not supported: its messages have no time. Set the phone to the "
            "Gregorian calendar and export the chat again."
        )
    if len(orders) > 1:
        files.warn(
            f"{file.label} has headers in {len(orders)} layouts, so it was probably "
            "combined from several exports. All of them are read."
        )
    if guesses := [ORDERS[order.order] for order in orders if order.is_guess]:
        files.warn(
            f"The dates of {file.label} do not show which number is the day, so they "
            f"are read with the {guesses[0]}. If that is wrong, add a longer chat from "
            "the same phone to the folder, or set date_order (--date-order)."
        )
