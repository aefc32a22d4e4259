"""The session of a thread, built from the records of all its files."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.base import (
    UNKNOWN_SENDER,
)
from langchain_chatexports.chat_loaders.facebook_messenger.messages import (
    MessageBuilder,
    find_placeholders,
)
from langchain_chatexports.chat_loaders.facebook_messenger.records import (
    is_deleted_account,
    read_records,
)
from langchain_chatexports.chat_loaders.facebook_messenger.system_lines import (
    LineReader,
)
from langchain_chatexports.chat_loaders.message_ids import MessageIds

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Iterable

    from langchain_chatexports.chat_loaders.base import (
        ChatExportLoader,
        ExportSession,
    )
    from langchain_chatexports.chat_loaders.facebook_messenger.json_files import (
        ThreadDocument,
    )
    from langchain_chatexports.chat_loaders.facebook_messenger.records import Record

__all__ = ["SessionBuilder", "merged", "without_duplicates"]

_STAMP, _SENDER, _FILE = itemgetter(0), itemgetter(1), itemgetter(5)  # Of a record.
_NO_TIME = -(10**15)  # Before every time: messages without one stand first.


class SessionBuilder:
    """Builds the session of one thread; its files are added one by one."""

    def __init__(self) -> None:
        self.found = 0
        self.title: str | None = None
        self.left_out: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()
        self._listed: list[str] = []
        self._is_group_sign: bool | None = None
        self._files: list[list[Record]] = []
        self._newest: int | None = None

    def add(self, document: ThreadDocument) -> None:
        """Add a file's messages; the document is not needed afterwards.

        Numbered files come with the highest number, which is the oldest, first.
        """
        records = list(read_records(document, len(self._files), self.left_out))
        self.found += len(document.messages)
        self._files.append(records)
        newest = max(map(_sort_key, records), default=_NO_TIME - 1)
        # The title and the members of today stand in the file of the newest message.
        if self._newest is None or newest > self._newest:
            self._newest = newest
            self.title = document.title or self.title
            self._listed = document.participants or self._listed
            if document.is_group is not None:
                self._is_group_sign = document.is_group
        else:
            # Unless that one does not say.
            self.title = self.title or document.title
            self._listed = self._listed or document.participants
            if self._is_group_sign is None:
                self._is_group_sign = document.is_group

    def session(
        self,
        loader: ChatExportLoader,
        *,
        thread_id: str,
        platform: str,
        owner: str | None,
        patterns: Collection[re.Pattern[str]] = (),
    ) -> ExportSession | None:
        """Return the conversation as a session and count what is left out.

        Args:
            loader: Whose options say what to keep.
            thread_id: The session's id.
            platform: The session's platform.
            owner: Name of who exported, if known.
            patterns: Further sentences that nobody typed.

        Returns:
            The session, or `None` if nothing of it is kept.
        """
        records = merged(self._files)
        self._files = []
        people = self._people(records)
        if not loader.keeps_conversation(thread_id, self.title, people):
            self.left_out["excluded"] += len(records)
            return None
        remaining = without_duplicates(records, self.left_out)
        if remaining is not records:
            records.clear()
        builder = MessageBuilder(
            loader,
            LineReader(people, owner, patterns),
            owner=owner,
            ids=MessageIds(thread_id),
            placeholders=find_placeholders(remaining),
        )
        messages = list(builder.messages(remaining))
        self.left_out += builder.left_out
        self.kinds, self.languages = builder.kinds, builder.languages
        if not messages:
            return None
        return {
            "messages": messages,
            "metadata": {
                "id": thread_id,
                "title": self.title,
                "platform": platform,
                "participants": people,
                "owner": owner,
                "is_group": self._is_group(people),
            },
        }

    def _people(self, records: Iterable[Record]) -> list[str]:
        # Who has left is missing from the list, though the messages stay.
        senders = dict.fromkeys(map(_SENDER, records))
        listed = [name for name in self._listed if not is_deleted_account(name)]
        return [
            name
            for name in dict.fromkeys([*listed, *senders])
            if name != UNKNOWN_SENDER
        ]

    def _is_group(self, people: Collection[str]) -> bool:
        if self._is_group_sign is not None:
            return self._is_group_sign
        return max(len(people), len(self._listed)) > 2  # noqa: PLR2004 (more than two)


def merged(files: list[list[Record]]) -> list[Record]:
    """Join the records of a thread's files, oldest first.

    Equal times keep the order of their file, from its oldest end on. Records without a
    time stand first, in the order of their file: which end of it is theirs is unknown.
    """
    directions = [_is_newest_first(records) for records in files]
    usual = next((d for d in directions if d is not None), None)
    if usual is None:
        # Each file is of one moment: by the order of their numbers then.
        usual = _is_newest_first([r for records in reversed(files) for r in records])
    timeless = [record for records in files for record in records if record[0] is None]
    joined: list[Record] = []
    for records, direction in zip(files, directions, strict=True):
        if usual if direction is None else direction:
            records.reverse()
        joined += records
    if timeless:
        joined = [record for record in joined if record[0] is not None]
    joined.sort(key=_STAMP)
    return timeless + joined if timeless else joined


def without_duplicates(records: list[Record], left_out: Counter[str]) -> list[Record]:
    """Leave out what another file has already, and count it.

    The same sender, time, text and attachments make a duplicate, but only between
    files: within one file a person did write the same thing twice.

    Args:
        records: All records of a thread, oldest first.
        left_out: Where to count them, as `duplicate`.

    Returns:
        The records that remain.
    """
    if len(set(map(_FILE, records))) < 2:  # noqa: PLR2004 (between files)
        return records
    remaining: list[Record] = []
    for _, group in groupby(_without_coarse(records), key=_sort_key):
        remaining += _distinct(list(group))
    left_out["duplicate"] += len(records) - len(remaining)
    return remaining


def _sort_key(record: Record) -> int:
    stamp = record[0]
    return _NO_TIME if stamp is None else stamp


def _is_newest_first(records: list[Record]) -> bool | None:
    first = next((stamp for stamp in map(_STAMP, records) if stamp is not None), None)
    last = next((s for s in map(_STAMP, reversed(records)) if s is not None), None)
    if first is None or last is None or first == last:
        return None
    return bool(first > last)


def _distinct(records: list[Record]) -> list[Record]:
    # Records of one moment. The n-th of a kind in a file is the n-th in each file.
    if len(records) == 1:
        return records
    kept: list[Record] = []
    places: defaultdict[object, list[int]] = defaultdict(list)
    seen: Counter[tuple[int, object]] = Counter()
    for record in records:
        content, (*_, file, _) = _content(record), record
        nth = seen[file, content]
        seen[file, content] += 1
        if nth == len(places[content]):
            places[content].append(len(kept))
            kept.append(record)
        elif _knowledge(record) > _knowledge(kept[places[content][nth]]):
            kept[places[content][nth]] = record
    return kept


def _without_coarse(records: list[Record]) -> list[Record]:
    # The exports of 2018 round to seconds what later ones give in milliseconds.
    if not any(is_coarse for *_, is_coarse in records):
        return records
    exact = {
        (_sort_key(record) // 1000, _content(record))
        for record in records
        if not record[-1]
    }
    return [
        record
        for record in records
        if not (record[-1] and (_sort_key(record) // 1000, _content(record)) in exact)
    ]


def _content(record: Record) -> tuple[object, ...]:
    _, sender, text, extra, *_ = record
    attachments = tuple(map(_told_apart_by, (extra or {}).get("attachments", ())))
    return sender, text, attachments


def _told_apart_by(attachment: dict[str, str]) -> tuple[str, ...]:
    kind, uri = attachment["type"], attachment.get("uri", "")
    if kind != "link":
        # The folders in front of a file change from one kind of export to the next.
        uri = uri.rpartition("/")[2]
    return kind, uri, attachment.get("text", "")


def _knowledge(record: Record) -> tuple[bool, int]:
    """Rank the same message of two exports by what they know of it.

    A later one knows what was taken back and more reactions; an older one has signs of
    system lines that were given up.
    """
    _, _, _, extra, kind, *_ = record
    return kind is not None, len((extra or {}).get("reactions", ()))
