"""One chat: its entries, its people and whose export it is."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_chatexports.chat_loaders.whatsapp.content import (
    APP_MARKS,
    Content,
    ContentReader,
)
from langchain_chatexports.chat_loaders.whatsapp.headers import plain_text
from langchain_chatexports.chat_loaders.whatsapp.owner import find_owner
from langchain_chatexports.chat_loaders.whatsapp.senders import (
    NameSplitter,
    ShownNames,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_chatexports.chat_loaders.whatsapp.owner import FoundOwner
    from langchain_chatexports.chat_loaders.whatsapp.records import RawChat, Record

__all__ = ["Chat", "Entry"]

# A record with its parts told apart. A plain tuple, as a record is. Its fields:
#   place    which of the file's dates
#   seconds  since midnight
#   name     the sender as it stands in the line; None for a system line
#   text     the text
#   kind     why nobody typed it, see `Content`
#   extra    `attachments` and `edited`, as they will be in the message
Entry: TypeAlias = tuple[
    int, int, "str | None", str, "str | None", "dict[str, Any] | None"
]

_PAIR = 2
_QUOTES = frozenset('"\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d')
_WEB_SYSTEM = "- "
# The notice about encryption stands in chats of two, too.
_MAX_NOTICES_OF_PAIR = 1
_MAX_RECORDS_FOR_FORM = 20_000
# Of a chat with hardly a message, the app wrote most.
_MIN_RECORDS_FOR_MARKS = 10


class Chat:
    """What one file says."""

    def __init__(self, raw: RawChat, name: str | None) -> None:
        """Initialize the chat; the records of `raw` are used up.

        Args:
            raw: The records.
            name: The chat's name in the file's name, if it is there.
        """
        self.name = name
        self.form = _form_of(raw)
        self.inner_name: str | None = None
        """The sender of an iPhone's first line: the chat's name."""

        self.took_back: Counter[str] = Counter()
        self._said: dict[str, bool] = {}
        self._notices = 0
        self._is_group_said = False
        self.entries = list(self._read(raw.records))
        if self.form == "ios":
            self._find_inner_name()
        self.names = ShownNames(self._said)
        self.people = self._real_people()

    def add_people(self, older: Chat) -> None:
        """Add who wrote in an older export of the chat, and what it says of it.

        Its entries have to be among this one's already.
        """
        for name, has_said in self._said.items():
            older._said[name] = older._said.get(name, False) or has_said
        self._said = older._said
        self.took_back |= older.took_back
        self.inner_name = self.inner_name or older.inner_name
        self._is_group_said = self._is_group_said or older._is_group_said
        self._notices = sum(entry[4] == "notice" for entry in self.entries)
        # Not anew: `~ Ann` and `Ann` of two exports are one, who came to be known.
        for name, shown in older.names.items():
            self.names.setdefault(name, shown)
        self.people = self._real_people()

    @property
    def title(self) -> str | None:
        """What the chat is called."""
        return self.name or self.inner_name

    @property
    def is_group(self) -> bool:
        """Whether it is a group, as far as the chat says."""
        if len(self.people) > _PAIR or self._is_group_said:
            return True
        inner = self.inner_name
        is_silent = inner is not None and inner not in self.people
        return is_silent and len(self.people) == _PAIR

    def owner(self, *, is_whole: bool = True) -> FoundOwner | None:
        """Return whose export it is, if the chat says so.

        Args:
            is_whole: Whether all of the chat was read, and not its beginning.
        """
        is_alone = (
            is_whole and not self.is_group and self._notices <= _MAX_NOTICES_OF_PAIR
        )
        shown = Counter[str]()
        for name, count in self.took_back.items():
            shown[self.names[name]] += count
        return find_owner(
            self.people,
            took_back=shown,
            chat_names=(self.name, self.inner_name),
            is_web=self.form == "web",
            is_alone_in_pair=is_alone,
        )

    def _read(self, records: list[Record]) -> Iterator[Entry]:
        names = NameSplitter(records)
        split, odd = names.split, names.odd
        is_web, has_marks = self.form == "web", self.form == "ios"
        reader = ContentReader(
            has_marks=has_marks,
            is_mark_typed=has_marks and _is_mark_typed(records),
            is_web=is_web,
        )
        read, said = reader.read, self._said
        records.reverse()
        while records:
            place, seconds, head, tail = records.pop()
            name: str | None
            name, colon, text = head.partition(": ")
            if not colon or name in odd:
                name, text = split(head)
            if name is None or (is_web and head.startswith(_WEB_SYSTEM)):
                notice = head.removeprefix(_WEB_SYSTEM) if is_web else head
                yield self._notice(place, seconds, notice, tail)
                continue
            if tail is not None:
                text = f"{text}\n{tail}" if text else tail
            content = read(text)
            if content is None:
                said[name] = True
                yield place, seconds, name, text, None, None
            else:
                self._note(name, content)
                yield place, seconds, name, content.text, content.kind, content.extra

    def _notice(self, place: int, seconds: int, head: str, tail: str | None) -> Entry:
        text = f"{head}\n{tail}" if tail else head
        self._count_notice(text)
        return place, seconds, None, plain_text(text).strip(), "notice", None

    def _note(self, name: str, content: Content) -> None:
        kind = content.kind
        is_of_person = kind not in {"notice", "poll"}
        self._said[name] = self._said.get(name, False) or is_of_person
        if kind == "deleted_by_owner":
            self.took_back[name] += 1
        elif kind == "notice":
            self._count_notice(content.text)

    def _count_notice(self, text: str) -> None:
        self._notices += 1
        # Groups are named in quotation marks, in every language.
        quotes = sum(mark in _QUOTES for mark in text)
        self._is_group_said = self._is_group_said or quotes >= _PAIR

    def _real_people(self) -> list[str]:
        real = [name for name, has_said in self._said.items() if has_said]
        shown = dict.fromkeys(self.names[name] for name in real)
        return [name for name in shown if name]

    def _find_inner_name(self) -> None:
        first = next(iter(self.entries), None)
        if first is not None and first[2] is not None and first[4] == "notice":
            self.inner_name = ShownNames([first[2]])[first[2]]


def _form_of(raw: RawChat) -> str:
    """Return which exporter wrote a file: `ios`, `android` or `web`."""
    frame = raw.learned.layouts[0].frame
    if frame != "[":
        return "android" if frame == "-" else "ios"
    heads = [head for _, _, head, _ in islice(raw.records, _MAX_RECORDS_FOR_FORM)]
    if any(f": {mark}" in head for head in heads for mark in APP_MARKS):
        return "ios"
    is_web = any(head.startswith(_WEB_SYSTEM) for head in heads)
    return "web" if is_web or raw.leading else "ios"


def _is_mark_typed(records: Sequence[Record]) -> bool:
    """Return whether most texts begin with the mark of right-to-left writing.

    Then the phone's keyboard writes it, and not the app alone.
    """
    if len(records) < _MIN_RECORDS_FOR_MARKS:
        return False
    with_mark = sum(": \u200f" in head for _, _, head, _ in records)
    return with_mark * 2 > len(records)
