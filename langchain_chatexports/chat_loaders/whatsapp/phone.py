"""Learn from the chats of a phone: its owner, date orders and repeated exports."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence

from langchain_chatexports.chat_loaders.date_order import Order
from langchain_chatexports.chat_loaders.disjoint_sets import DisjointSets
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.messages import DetectedOwner
from langchain_chatexports.chat_loaders.whatsapp.chats import Chat, parse_chat
from langchain_chatexports.chat_loaders.whatsapp.files import (
    get_chat_name,
    has_chat_file_name,
)
from langchain_chatexports.chat_loaders.whatsapp.headers import Layout
from langchain_chatexports.chat_loaders.whatsapp.records import (
    Records,
    parse_records,
    split_lines,
)
from langchain_chatexports.chat_loaders.whatsapp.senders import name_words

_HEAD_BYTES = 1 << 15
_MAX_HEADS = 100
_TWO_PEOPLE = 2
_LAYOUT_WORK = 5000  # Microseconds to compile a layout.


class Phone:
    """The phone that exported the chats."""

    def __init__(self, date_order: str | None, spend: Callable[[int], None]) -> None:
        """Initialize the phone; `date_order` is the user's option."""
        self._spend = spend
        self._layouts: set[Layout] = set()
        self._date_order = date_order
        self._known_orders: dict[Layout, str] = {}
        self._owners: Counter[DetectedOwner] = Counter()

    def group_exports(
        self, files: Sequence[ExportFile]
    ) -> Iterable[Sequence[ExportFile]]:
        """Group files that may be exports of the same chat, by name and content.

        The beginning of each file is read: copies begin alike, iPhones write the chat's
        name to the first line, and one-to-one chats show the phone's owner. On either
        phone, a one-to-one chat is named after the other person.
        """
        if len(files) == 1:
            return [files]
        chat_sets = DisjointSets()
        copies: dict[tuple[int, int], list[ExportFile]] = defaultdict(list)
        for index, file in enumerate(files):
            data = file.head(_HEAD_BYTES)
            copies[file.size, hash(data)].append(file)  # A hash saves memory.
            name = get_chat_name(file)
            head = self._learn(data, name) if index < _MAX_HEADS or not name else None
            name = head.title if head else name
            people = frozenset(map(name_words, head.people if head else ()))
            if name:
                if len(people) == _TWO_PEOPLE and name_words(name) in people:
                    chat_sets.join(people, file.label)
                chat_sets.join(name_words(name), file.label)
        for same_files in copies.values():
            original = min(same_files, key=_is_renamed)
            for file in filter(_is_renamed, same_files):
                chat_sets.join(original.label, file.label)
        groups: dict[Hashable, list[ExportFile]] = defaultdict(list)
        for file in files:
            groups[chat_sets.find(file.label)].append(file)
        return groups.values()

    def _learn(self, head: bytes, name: str | None) -> Chat | None:
        """Parse the beginning of a chat and count its owner."""
        lines, _ = split_lines(head, is_cut=True)
        records = self.read(lines)
        if not records.records:
            return None
        chat = parse_chat(records, name)
        if owner := chat.find_owner(is_complete=False):
            self._owners[owner] += 1
        return chat

    def read(self, lines: Sequence[str]) -> Records:
        """Read the records of a chat, with the days of their dates."""
        records = parse_records(lines, self._add_layout)
        return records.dated(self.find_orders(records))

    def _add_layout(self, layout: Layout) -> None:
        if layout not in self._layouts:  # A phone has one, or a few over the years.
            self._spend(_LAYOUT_WORK)
            self._layouts.add(layout)

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
            votes[owner.id] += count
        name, most = next(iter(votes.most_common(1)), ("", 0))
        if name not in people or most * 2 <= votes.total():
            return None
        return next(owner for owner in self._owners if owner.id == name)


def _is_renamed(file: ExportFile) -> bool:
    return not has_chat_file_name(file) or get_chat_name(file) is None
