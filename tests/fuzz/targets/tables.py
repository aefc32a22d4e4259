"""Tables of messages: JSON lines, CSV and Parquet, a file or a folder of parts."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timezone
from importlib.util import find_spec
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.recognition import open_export
from langchain_chatexports.chat_loaders.table import TableChatLoader
from tests.fuzz.case import MARK, NAME
from tests.fuzz.mutations import hostile, json_bytes, mutated, mutated_json
from tests.fuzz.reading import read_somehow
from tests.unit_tests.builders.tables import conversation_rows

if TYPE_CHECKING:
    from random import Random

    from tests.fuzz.case import Case

_DATES = ("%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%d/%m/%y", "%Y/%m/%d %H.%M")
_COLUMNS = ("conversation_id", "sender", "role", "time", "text", "message_id", "title")


def attack(case: Case, _: None) -> None:
    """Read a table that somebody has spoiled."""
    random = case.random
    for number in range(random.choice((1, 1, 3))):
        rows = [
            {**row, "text": f"{MARK} {row['text']}", "sender": row["sender"] + NAME}
            for name in ("a", "b")
            for row in conversation_rows(f"{name}{number}")
        ]
        kind = random.random()
        if kind < 0.3:
            (case.export / f"part{number}.csv").write_bytes(_csv(random, rows))
        elif kind < 0.6 and find_spec("pyarrow"):
            (case.export / f"part{number}.parquet").write_bytes(_parquet(random, rows))
        else:
            (case.export / f"part{number}.jsonl").write_bytes(_lines(random, rows))
    files = sorted(case.export.iterdir())
    path = files[0] if random.random() < 0.5 else case.export
    with case.judged():
        if random.random() < 0.3:
            loader: Any = open_export(path).loader
        else:
            loader = TableChatLoader(
                path,
                grouped=random.random() < 0.3,
                date_order=random.choice((None, "dmy", "mdy")),
                timezone=random.choice((None, "UTC", "Europe/Berlin")),
            )
        read_somehow(random, loader)


def _csv(random: Random, rows: list[dict[str, Any]]) -> bytes:
    form = random.choice((*_DATES, "%Y-%m-%d %H:%M", None))
    text = StringIO(newline="")
    if random.random() < 0.1:
        text.write(f"sep={random.choice(';,x')}\r\n")
    writer = csv.writer(
        text,
        delimiter=random.choice(",;\t|"),
        lineterminator=random.choice(("\n", "\r\n", "\r")),
    )
    header = [*rows[0]]
    if random.random() < 0.2:
        header[random.randrange(len(header))] = random.choice(("", "text", "9", "Body"))
    if random.random() < 0.9:
        writer.writerow(header)
    for row in rows:
        moment = datetime.fromtimestamp(row["time"], timezone.utc)
        cells = [*(row | ({"time": moment.strftime(form)} if form else {})).values()]
        while random.random() < 0.3:
            cells[random.randrange(len(cells))] = str(hostile(random)).replace("\0", "")
        writer.writerow(cells[: random.choice((len(cells), len(cells), 2))])
    encoding = random.choice(("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"))
    data = text.getvalue().encode(encoding, "replace")
    marks = (b'"', b"\n", b"\r", b",", b";", b"\0", b"\xff", b"/2024")
    return mutated(random, data, marks) if random.random() < 0.5 else data


def _lines(random: Random, rows: list[dict[str, Any]]) -> bytes:
    lines = []
    for row in rows:
        changed = dict(row)
        while random.random() < 0.4:
            changed[random.choice(_COLUMNS)] = hostile(random)
        if random.random() < 0.1:
            changed = mutated_json(random, changed)
        lines.append(json_bytes(random, changed))
    data = b"\n".join(lines) + b"\n"
    return (
        mutated(random, data, (b"\n", b"\xef\xbb\xbf", b"\r"))
        if random.random() < 0.3
        else data
    )


def _parquet(random: Random, rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    columns: dict[str, Any] = {
        name: pa.array([row.get(name) for row in rows]) for name in rows[0]
    }
    for name in columns:
        if random.random() < 0.3:
            columns[name] = _odd_column(random, len(rows))
    buffer = BytesIO()
    try:
        parquet.write_table(pa.table(columns), buffer, row_group_size=3)
    except pa.ArrowInvalid:
        return b"PAR1"  # A moment that Parquet has no place for.
    data = buffer.getvalue()
    return mutated(random, data, (b"PAR1",)) if random.random() < 0.5 else data


def _odd_column(random: Random, length: int) -> Any:  # noqa: PLR0911 - one a type
    import pyarrow as pa

    numbers = [random.choice((0, 1, -(2**62), 2**62, None)) for _ in range(length)]
    unit = random.choice(("s", "ms", "us", "ns"))
    zone = random.choice((None, "UTC", "+23:59", "Europe/Berlin", "Mars/Olympus"))
    match random.randrange(8):
        case 0:
            return pa.array(numbers, pa.timestamp(unit, tz=zone))
        case 1:
            return pa.array(numbers, pa.duration(unit))
        case 2:
            return pa.array([n and n % 10**5 for n in numbers], pa.date32())
        case 3:
            return pa.array([[MARK]] * length)
        case 4:
            return pa.array([{"a": MARK}] * length)
        case 5:
            return pa.array([b"\xff\xfe"] * length)
        case 6:
            return pa.array([MARK] * length).dictionary_encode()
        case _:
            return pa.array([json.dumps(MARK), None] * (length // 2))
