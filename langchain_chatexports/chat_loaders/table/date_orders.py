"""Which number is the day in the dates that spreadsheets write."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports.chat_loaders.date_order import find_order
from langchain_chatexports.chat_loaders.table.rows import read_cells
from langchain_chatexports.chat_loaders.table.values import written_date
from langchain_chatexports.exceptions import ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from langchain_chatexports.chat_loaders.date_order import DateStamp, Order

__all__ = ["find_date_order"]

_LOOKED_AT = 1000  # Rows; most tables have Unix times or ISO 8601.
_MAX_DAY = 31


class _Form(NamedTuple):
    """How the dates are written."""

    is_month_first_likely: bool
    year: str | None = "last"
    is_year_first_likely: bool = False


def find_date_order(
    path: Path, columns: Mapping[str, str], chosen: str | None
) -> Order | None:
    """Find the order of day and month in the times of a file.

    Args:
        path: The file.
        columns: The columns that the user named.
        chosen: The order that the user gave.

    Returns:
        The order; `None` where no time needs it.

    Raises:
        ChatExportError: If the file cannot be read, or mixes two orders.
    """
    stamps: list[DateStamp] = []
    places: dict[tuple[int, ...], int] = {}
    runs: list[int] = []
    counts: Counter[int] = Counter()
    has_slashes = False
    with closing(read_cells(path, columns, part="time")) as rows:
        times = (
            (number, cells and cells.get("time"))
            for number, cells in enumerate(rows, 1)
        )
        head = [*islice(times, _LOOKED_AT)]
        if not any(isinstance(t, str) and written_date(t, 0) for _, t in head):
            return None
        for number, time in chain(head, times):
            if not isinstance(time, str):
                continue
            stamp = written_date(time, number, chosen)
            if stamp is None or stamp.first > _MAX_DAY:
                continue
            has_slashes = has_slashes or "/" in time
            place = places.setdefault(stamp[:3], len(stamps))
            if place == len(stamps):
                stamps.append(stamp)
            counts[place] += 1
            if not runs or runs[-1] != place:
                runs.append(place)
    if not stamps:
        return None
    form = _Form(is_month_first_likely=has_slashes)
    order = find_order(stamps, runs, form, counts, chosen, may_descend=True)
    if order.conflict is not None:
        first, second = sorted(order.conflict)
        msg = (
            f"{path} mixes two orders of day and month: see the times in the rows "
            f"{first:,} and {second:,}. Write all in one form, such as 2024-05-31."
        )
        raise ExportFormatError(msg, path=path)
    return order
