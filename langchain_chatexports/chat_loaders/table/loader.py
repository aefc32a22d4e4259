"""The chat loader for tables."""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import closing
from datetime import timezone as fixed_zone
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.base import (
    UNKNOWN_SENDER,
    ChatExportLoader,
    ExportSession,
    export_message,
    message_time,
)
from langchain_chatexports.chat_loaders.date_order import ORDERS, checked_order
from langchain_chatexports.chat_loaders.local_times import find_time_zone, name_of_zone
from langchain_chatexports.chat_loaders.table.columns import checked_columns
from langchain_chatexports.chat_loaders.table.date_orders import find_date_order
from langchain_chatexports.chat_loaders.table.row_count import count_rows
from langchain_chatexports.chat_loaders.table.rows import (
    Row,
    read_cells,
    read_rows,
    table_files,
)
from langchain_chatexports.chat_loaders.table.session_rows import OWNER_ROLE
from langchain_chatexports.chat_loaders.table.values import TimeReader, text_of
from langchain_chatexports.exceptions import ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from datetime import tzinfo
    from pathlib import Path

    from langchain_core.messages import BaseMessage
    from typing_extensions import Unpack

    from langchain_chatexports.chat_loaders.date_order import DateOrder
    from langchain_chatexports.chat_loaders.ledger import Tally
    from langchain_chatexports.chat_loaders.options import LoaderOptions

__all__ = ["TableChatLoader"]

_GROUP_SIZE = 3

_Place: TypeAlias = tuple["Path", int]


class TableChatLoader(ChatExportLoader):
    """Load conversations from Parquet, JSON lines or CSV: a row a message.

    For support desks and other logs. The path is a file, or a folder of parts, which
    are read in the order of their names. Sessions come in the order in which their last
    rows stand; the rows of a conversation may lie apart, and only the conversations
    that are open at a place are held in memory. For that the column of conversations is
    read twice; `grouped=True` says that it need not be.
    """

    platform = "table"

    def __init__(
        self,
        path: str | Path,
        *,
        columns: Mapping[str, str] | None = None,
        grouped: bool = False,
        timezone: str | tzinfo | None = None,
        date_order: DateOrder | None = None,
        **options: Unpack[LoaderOptions],
    ) -> None:
        """Initialize the loader.

        Args:
            path: A Parquet file (with the extra `parquet`), a file of JSON lines or
                CSV, or a folder of these.
            columns: The column by what it holds: `conversation` and `text` (needed),
                `sender`, `time`, `role`, `id`, `reply_to`, `title`. What is not named
                is looked for under the names in `COLUMNS`.
            grouped: Whether each conversation's rows stand together.
            timezone: The zone of times that name none, such as `Europe/Berlin`;
                without it, UTC.
            date_order: `dmy` or `mdy`, for dates such as `01/05/2024` where no row
                says what is the day; `ymd` for `24/05/01`.
            **options: The options that every loader has, see `ChatExportLoader`.
                `owner` is a sender; without it, the sender of the rows with the role
                `me`, if there are any. Reactions, calls and media are not told from
                other rows here.

        Raises:
            ValueError: If `columns` names what a message cannot have, or if there is no
                such time zone or order.
        """
        super().__init__(path, **options)
        self.columns = checked_columns(columns)
        self.grouped = grouped
        self.timezone = find_time_zone(timezone)
        self.date_order = checked_order(date_order)

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        """Read the table.

        Args:
            tally: Where to count what is found and what is left out.

        Yields:
            One session a conversation.

        Raises:
            ChatExportError: If there is no table, or a column is missing.
        """
        if self.owner:
            tally.owner, tally.owner_found_by = self.owner, "option"
        files = table_files(self.path)
        last_rows = None if self.grouped else self._last_rows(files, tally)
        readers = self._time_readers(files, tally)
        read = self._conversations(readers, last_rows, tally)
        with closing(read) as conversations:
            for conversation, rows in conversations:
                session = self._session(conversation, rows, tally)
                if session is not None:
                    yield session
                del rows, session
        if any(reader.used_zone for reader in readers.values()):
            zone = name_of_zone(self.timezone or fixed_zone.utc)
            tally.details["time_zone"] = [zone]
        self._warn_of_unread_times(readers)

    def _count_messages(self) -> int:
        return sum(map(count_rows, table_files(self.path)))

    def _conversations(
        self,
        readers: Mapping[Path, TimeReader],
        last_rows: dict[str, _Place] | None,
        tally: Tally,
    ) -> Generator[tuple[str, list[Row]], None, None]:
        is_open: dict[str, list[Row]] = {}
        closed: set[int] = set()
        with closing(self._rows(readers, tally)) as placed:
            for place, row in placed:
                conversation = row.conversation
                if conversation is None:
                    tally.skip("orphan")
                    continue
                if last_rows is None:
                    yield from self._ended(is_open, conversation, closed)
                is_open.setdefault(conversation, []).append(row)
                if last_rows is not None and last_rows.get(conversation) == place:
                    yield conversation, is_open.pop(conversation)
        while is_open:
            # The last one of a grouped file; those of a file that ends too early.
            yield is_open.popitem()

    def _ended(
        self, is_open: dict[str, list[Row]], conversation: str, closed: set[int]
    ) -> Iterator[tuple[str, list[Row]]]:
        if conversation in is_open:
            return
        if hash(conversation) in closed:
            msg = (
                f"{self.path} is not grouped: a conversation goes on after another one "
                "began. Leave out grouped=True."
            )
            raise ExportFormatError(msg, path=self.path)
        closed.add(hash(conversation))
        while is_open:
            yield is_open.popitem()

    def _rows(
        self, readers: Mapping[Path, TimeReader], tally: Tally
    ) -> Generator[tuple[_Place, Row], None, None]:
        for path, times in readers.items():
            number = 0
            try:
                with closing(read_rows(path, self.columns, times)) as rows:
                    for row in rows:
                        number += 1
                        tally.found += 1
                        if times.unread and not times.first_unread:
                            times.first_unread = number
                        if row is None:
                            tally.skip("unreadable")
                        else:
                            yield (path, number), row
            except ExportFormatError as error:
                self._leave_out(error, tally)

    def _last_rows(self, files: list[Path], tally: Tally) -> dict[str, _Place]:
        """Find where each conversation ends; files that are no table leave the list."""
        last_rows: dict[str, _Place] = {}
        for path in list(files):
            try:
                rows = read_cells(path, self.columns, part="conversation")
                with closing(rows):
                    ends = {
                        conversation: (path, number)
                        for number, cells in enumerate(rows, start=1)
                        if cells is not None
                        and (conversation := text_of(cells.get("conversation")))
                    }
            except ExportFormatError as error:
                self._leave_out(error, tally)
                files.remove(path)
                continue
            last_rows.update(ends)
        return last_rows

    def _time_readers(self, files: list[Path], tally: Tally) -> dict[Path, TimeReader]:
        """Return what reads the times of each file; files without leave the list."""
        readers: dict[Path, TimeReader] = {}
        orders: Counter[str] = Counter()
        for path in files:
            try:
                order = find_date_order(path, self.columns, self.date_order)
            except ExportFormatError as error:
                self._leave_out(error, tally)
                continue
            chosen = order.order if order else self.date_order
            readers[path] = TimeReader(self.timezone, chosen)
            if order is not None:
                guess = " (a guess)" if order.is_guess else ""
                orders[f"{ORDERS[order.order]}{guess}"] += 1
                if order.is_guess:
                    warnings.warn(
                        f"The dates of {path} do not say which number is the day; they "
                        f"are read with the {ORDERS[order.order]}. If that is wrong, "
                        "give date_order (--date-order).",
                        stacklevel=3,
                    )
        if orders:
            tally.details["date_orders"] = dict(sorted(orders.items()))
        return readers

    def _warn_of_unread_times(self, readers: Mapping[Path, TimeReader]) -> None:
        unread = {path: reader for path, reader in readers.items() if reader.unread}
        if not unread:
            return
        total = sum(reader.unread for reader in unread.values())
        path, first = next(iter(unread.items()))
        msg = (
            f"{plural(total, 'time')} cannot be read, the first in row "
            f"{first.first_unread:,} of {path}: these messages have no time, and come "
            "first. Write times such as 2024-05-31 14:30."
        )
        warnings.warn(msg, stacklevel=3)

    def _leave_out(self, error: ExportFormatError, tally: Tally) -> None:
        if not self.path.is_dir():
            raise error
        warnings.warn(f"Left out: {error}", stacklevel=2)
        tally.found += 1
        tally.skip("unreadable")

    def _session(
        self, conversation: str, rows: list[Row], tally: Tally
    ) -> ExportSession | None:
        title = next((row.title for row in rows if row.title), None)
        participants = list(dict.fromkeys(map(_sender, rows)))
        if not self.keeps_conversation(conversation, title, participants):
            tally.skip("excluded", len(rows))
            return None
        # A stable sort: rows of one moment, and those without a time, stay in order.
        rows.sort(key=lambda row: (row.microseconds is not None, row.microseconds or 0))
        owner = self.owner or _owner_by_role(rows)
        if owner and not tally.owner:
            tally.owner, tally.owner_found_by = owner, "role"
        messages = [
            message
            for row in rows
            if (message := self._message(row, owner, tally)) is not None
        ]
        if not messages:
            return None
        return {
            "messages": messages,
            "metadata": {
                "id": conversation,
                "title": title,
                "platform": self.platform,
                "participants": participants,
                "owner": owner,
                "is_group": len(participants) >= _GROUP_SIZE,
            },
        }

    def _message(self, row: Row, owner: str | None, tally: Tally) -> BaseMessage | None:
        if not row.text or row.text.isspace():
            tally.skip("empty")
            return None
        moment = None if row.microseconds is None else message_time(row.microseconds)
        if not self.keeps_time(moment):
            tally.skip("excluded")
            return None
        extra: dict[str, Any] = {}
        if row.role:
            extra["role"] = row.role
        if row.reply_to:
            extra["reply_to"] = {"id": row.reply_to}
        sender = _sender(row)
        return export_message(
            row.text,
            sender=sender,
            moment=moment,
            is_from_me=sender == owner if owner else None,
            message_id=row.id,
            extra=extra,
        )


def _owner_by_role(rows: Iterable[Row]) -> str | None:
    return next((_sender(row) for row in rows if row.role == OWNER_ROLE), None)


def _sender(row: Row) -> str:
    # Some tables tell customers from agents only.
    return row.sender or row.role or UNKNOWN_SENDER
