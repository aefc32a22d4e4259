"""The chat loader for WhatsApp exports."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Unpack

from langchain_chatexports._terminal import escaped, plural
from langchain_chatexports._translation import Sentence
from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.date_order import (
    ORDERS,
    DateOrder,
    other_order,
    validate_order,
)
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.local_times import (
    find_time_zone,
    report_local_times,
)
from langchain_chatexports.chat_loaders.messages import Conversation, Person
from langchain_chatexports.chat_loaders.whatsapp.chats import Chat, parse_chat
from langchain_chatexports.chat_loaders.whatsapp.files import (
    SUFFIXES,
    estimate_messages,
    find_chat_files,
    get_chat_id,
    get_chat_name,
    is_whatsapp,
)
from langchain_chatexports.chat_loaders.whatsapp.phone import Phone
from langchain_chatexports.chat_loaders.whatsapp.records import Records, split_lines
from langchain_chatexports.chat_loaders.whatsapp.repeated_exports import merge_exports
from langchain_chatexports.exceptions import ExportFormatError, ExportWarning

# Phones silently export only the newest 40,000 messages, or 10,000 with media.
_PHONE_LIMITS = (range(39_900, 40_001), range(9_900, 10_001))
_WEB_LIMITS = (range(99_900, 100_001),)
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
    remedy = (
        'Pass the zip or .txt file from "Export chat" on the phone, or a folder of '
        "them."
    )
    has_parts = True
    has_ids = False

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
        """Yield the chats by name."""
        chat_files = self._find_chats(files)
        if len(chat_files) < len(files.files):
            files.details["other_texts"] = len(files.files) - len(chat_files)
        ids: Counter[str] = Counter()
        phone = Phone(self.date_order, files.spend)
        read = partial(self._read_chat, phone=phone, files=files)
        for group in phone.group_exports(chat_files) if chat_files else ():
            chats = [chat for _, chat in files.read_each(group, read)]
            if chats and not ids:
                report_local_times(self.timezone, files)
            if len(chats) > 1:
                chats = _merge(chats, group, files)
            while chats:
                ids[chats[0].id] += 1
                # Do not keep a reference to the chat, which can be large.
                yield self._build_conversation(chats.pop(0), phone, ids)

    def _count_messages(self) -> int:
        with self.open_export(is_quiet=True) as files:
            return sum(map(estimate_messages, self._find_chats(files)))

    def _find_chats(self, files: ExportFiles) -> list[ExportFile]:
        chats = files.files if files.is_single_file else find_chat_files(files)
        return sorted(chats, key=get_chat_id)

    def _read_chat(self, file: ExportFile, phone: Phone, files: ExportFiles) -> Chat:
        lines, encoding = split_lines(file.read())
        records = phone.read(lines)
        del lines
        files.check_count(len(records.records))
        _check_records(records, file)
        if encoding:
            files.report_encoding(file, encoding)
        _report_dates(records, file, files)
        _report_pasted(records, file, files)
        chat = parse_chat(
            records,
            get_chat_name(file),
            zone=self.timezone,
            chat_id=get_chat_id(file),
            owner=self.owner,
        )
        is_web = chat.exporter == "web"
        count = len(chat.messages)
        if any(count in limit for limit in (_WEB_LIMITS if is_web else _PHONE_LIMITS)):
            newest = "100,000" if is_web else "40,000 (10,000 with media)"
            files.warn(
                f"{file.label} has {count:,} messages. WhatsApp exports only the "
                f"newest {newest}, so older ones are probably missing."
            )
        return chat

    def _build_conversation(
        self, chat: Chat, phone: Phone, ids: Counter[str]
    ) -> Conversation:
        people = chat.people
        owner = None if self.owner else chat.find_owner() or phone.find_owner(people)
        number = ids[chat.id]
        return Conversation(
            # Several paths may have the same file name.
            f"{chat.id} ({number})" if number > 1 else chat.id,
            chat.iter_messages(),
            title=chat.title,
            members=people,
            people={
                name: Person(handles=handles) for name, handles in chat.handles.items()
            },
            is_group=chat.is_group,
            owner=owner,
            is_ordered=True,
        )


def _check_records(records: Records, file: ExportFile) -> None:
    """Raise an error if a file is not a chat, or mixes chats from several phones."""
    for order in records.date_orders:
        if order.conflict is not None:
            first, second = sorted(order.conflict)
            msg = (
                f"{file.label} uses two date orders (lines {first:,} and "
                f"{second:,}). It was probably combined from several "
                "phones. Pass the export from each phone instead."
            )
            raise ExportFormatError(msg, path=file.path)
    if not records.records:
        msg = (
            f"{file.label} is not a WhatsApp chat, since no line begins with a date "
            "and a time. Export the chat again on the phone."
        )
        raise ExportFormatError(msg, path=file.path)


def _report_pasted(records: Records, file: ExportFile, files: ExportFiles) -> None:
    """Count headers that are text, and warn about those that may be."""
    if records.pasted:
        count = files.details.get("pasted_headers", 0) + records.pasted
        files.details["pasted_headers"] = count
    if records.pasted_days:
        files.warn(
            f"{file.label} has {plural(records.pasted_days, 'line')} with a date days "
            "away from the messages around. They are read as pasted into a message. If "
            "the file was joined from several exports, pass the exports themselves."
        )
    if records.doubtful:
        files.warn(
            f"{file.label} has {plural(records.doubtful, 'message')} that are days "
            "away from the ones around them. They were pasted into a message, or the "
            "file was joined from several exports. Pass the exports themselves instead."
        )


def _merge(
    chats: list[Chat], group: Sequence[ExportFile], files: ExportFiles
) -> list[Chat]:
    """Merge exports of the same chat, and warn about different chats of one name."""
    merged = merge_exports(chats, files.spend)
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


def _report_dates(records: Records, file: ExportFile, files: ExportFiles) -> None:
    """Add the date order to the details, and warn about problems with dates."""
    orders = records.date_orders
    labels = [
        f"{ORDERS[order.order]}{' (a guess)' if order.is_guess else ''}"
        for order in orders
    ]
    counts = Counter(files.details.get("date_orders", {}))
    counts.update(labels)
    files.details["date_orders"] = dict(sorted(counts.items()))
    if any(records.days[record.date] is None for record in records.records):
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
    if guesses := [order.order for order in orders if order.is_guess]:
        msg = Sentence(
            "The dates of {path} do not show which number is the day, so they "
            "are read with the {order}. A longer chat from the same "
            "phone in the folder would show it.",
            path=file.label,
            order=ORDERS[guesses[0]],
        )
        guess = ("date_order", other_order(guesses[0]))
        files.warn(ExportWarning(msg, guess=guess))
