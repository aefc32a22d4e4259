"""Tables as people have them: their columns, their order, their damage."""

import json
import os
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.table import TableChatLoader, matches_head
from langchain_chatexports.chat_loaders.table.cells import Database
from langchain_chatexports.exceptions import ExportFormatError, MissingExtraError
from tests.unit_tests.builders.sessions import metadata_of
from tests.unit_tests.builders.tables import (
    START,
    conversation_rows,
    interleaved,
    write_csv,
    write_lines,
    write_parquet,
)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    def from_rows(*rows: Any, **options: Any) -> list[Any]:
        path = write_lines(tmp_path / "desk.jsonl", rows)
        return TableChatLoader(path, **options).load()

    return from_rows


def _texts(sessions: list[Any]) -> list[list[str]]:
    return [[str(m.content) for m in session["messages"]] for session in sessions]


ROW = {"conversation_id": "a", "text": "Hello", "sender": "Cleo", "time": START}


def test_a_message_carries_what_its_row_says(load: Callable[..., Any]) -> None:
    row = {**ROW, "role": "customer", "message_id": 7, "reply_to": 6}
    message = load(row)[0]["messages"][0]
    assert message.id == "7"
    assert message.additional_kwargs == {
        "message_time": START,
        "sender": "Cleo",
        "events": [{"message_time": "2023-11-14T22:13:20+00:00"}],
        "role": "customer",
        "reply_to": {"id": "6"},
    }


def test_columns_of_other_names_are_named(load: Callable[..., Any]) -> None:
    row = {"Fall": 12, "Inhalt": "Hallo", "wer": "Cleo", "wann": "2024-05-01T12:00:00Z"}
    columns = {
        "conversation": "Fall",
        "text": "Inhalt",
        "sender": "wer",
        "time": "wann",
    }
    (session,) = load(row, columns=columns)
    assert metadata_of(session)["id"] == "12"
    assert session["messages"][0].additional_kwargs["message_time"] == 1_714_564_800


def test_a_column_that_a_later_line_brings_is_found(load: Callable[..., Any]) -> None:
    (session,) = load(ROW, {**ROW, "role": "agent"})
    assert [m.additional_kwargs.get("role") for m in session["messages"]] == [
        None,
        "agent",
    ]


def test_a_table_without_senders_names_the_roles(load: Callable[..., Any]) -> None:
    (session,) = load({"conversation": 1, "body": "Hi", "role": "agent"})
    assert session["messages"][0].additional_kwargs["sender"] == "agent"


def test_rows_are_sorted_by_time_and_those_without_come_first(
    load: Callable[..., Any],
) -> None:
    times: list[Any] = [30, None, 10, "x", 10]
    rows = [
        {
            **ROW,
            "text": str(number),
            "time": time and (time if time == "x" else START + time),
        }
        for number, time in enumerate(times)
    ]
    with pytest.warns(UserWarning, match="1 time cannot .* first in row 4"):
        assert _texts(load(*rows)) == [["1", "3", "2", "4", "0"]]


def test_parts_of_a_folder_are_one_table(tmp_path: Path) -> None:
    rows = conversation_rows("a", 6)
    write_lines(tmp_path / "parts" / "b.jsonl", rows[3:])
    write_parquet(tmp_path / "parts" / "a.parquet", rows[:3])
    write_lines(tmp_path / "parts" / "_SUCCESS", [])
    (session,) = TableChatLoader(tmp_path / "parts").load()
    assert [m.id for m in session["messages"]] == [row["message_id"] for row in rows]


def test_parquet_gives_what_lines_give(tmp_path: Path) -> None:
    rows = interleaved(conversation_rows("a", 60), conversation_rows("b", 50))
    lines = write_lines(tmp_path / "desk.jsonl", rows)
    parquet = write_parquet(tmp_path / "desk.parquet", rows)
    assert TableChatLoader(parquet).load() == TableChatLoader(lines).load()


def test_parquet_times_of_any_unit_and_zone(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    moment = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
    for number, kind in enumerate(
        (pa.timestamp("ns"), pa.timestamp("s", tz="Asia/Tokyo"), pa.timestamp("ms"))
    ):
        shown = moment if kind.tz else moment.replace(tzinfo=None)
        table = pa.table(
            {"conversation": ["a"], "text": ["Hi"], "time": pa.array([shown], kind)}
        )
        path = tmp_path / f"{number}.parquet"
        parquet.write_table(table, path)
        message = TableChatLoader(path, timezone="UTC").load()[0]["messages"][0]
        assert message.additional_kwargs["message_time"] == int(moment.timestamp())


@pytest.mark.parametrize("write", [write_lines, write_csv, write_parquet])
def test_a_table_needs_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., Path]
) -> None:
    path = write(tmp_path / "desk.table", [ROW])
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingExtraError, match=r"langchain-chatexports\[table\]"):
        TableChatLoader(path).load()
    with pytest.raises(MissingExtraError, match="table"):
        matches_head(path, path.read_bytes())


# --- what is skipped


def _inspected(tmp_path: Path, *rows: Any, **options: Any) -> Any:
    path = write_lines(tmp_path / "desk.jsonl", rows)
    return TableChatLoader(path, **options).inspect()


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    rows = [
        ROW,
        {**ROW, "text": None},
        {**ROW, "text": " \n"},
        {**ROW, "text": {"parts": []}},
        {**ROW, "conversation_id": None},
        '{"conversation_id": "a", "text": "cut o',
        "",
        '["no", "object"]',
    ]
    summary = _inspected(tmp_path, *rows)
    assert (summary.found, summary.kept) == (7, 1)
    assert summary.skipped == {"empty": 2, "orphan": 1, "unreadable": 3}


# --- errors


def test_an_unknown_part_of_a_message_is_refused() -> None:
    with pytest.raises(ValueError, match="speaker"):
        TableChatLoader("x", columns={"speaker": "who"})


def test_duckdb_s_error_about_a_damaged_file_is_not_shown(tmp_path: Path) -> None:
    """It quotes the file."""
    path = write_parquet(tmp_path / "desk.parquet", [ROW])
    data = bytearray(path.read_bytes())
    data[4] = 0xFF  # In the header of the first page.
    path.write_bytes(data)
    with pytest.raises(ExportFormatError, match="damaged Parquet file") as caught:
        TableChatLoader(path).load()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "desk.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"conversation": 1, "text": "Hi"}\n')
    assert _texts(TableChatLoader(path).load()) == [["Hi"]]


def test_times_that_cannot_be_read_in_several_parts_are_one_warning(
    tmp_path: Path,
) -> None:
    for part in ("a", "b"):
        rows = [ROW, {**ROW, "time": "10 o'clock"}]
        write_lines(tmp_path / f"{part}.jsonl", rows)
    with pytest.warns(UserWarning, match=r"2 times .* row 2 of .*a\.jsonl") as warned:
        TableChatLoader(tmp_path).load()
    assert len(warned) == 1


@pytest.mark.parametrize("line", ["[" * 100_000 + "]" * 100_000, "9" * 5_000])
def test_a_line_that_python_refuses_to_read_is_one_row(
    tmp_path: Path, line: str
) -> None:
    path = write_lines(tmp_path / "desk.jsonl", [ROW])
    with path.open("a") as file:
        file.write(f"{line}\n")
    summary = TableChatLoader(path).inspect()
    assert (summary.kept, summary.skipped) == (1, {"unreadable": 1})


def test_a_cell_that_python_cannot_hold_spoils_no_other_row(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    days = pa.array([0, 2**31 - 1], pa.int32()).view(pa.date32())
    path = tmp_path / "desk.parquet"
    table = pa.table({"conversation_id": ["a"] * 2, "text": ["Hi"] * 2, "time": days})
    parquet.write_table(table, path)
    with pytest.warns(UserWarning, match="1 time cannot .* first in row 2"):
        (session,) = TableChatLoader(path, timezone="UTC").load()
    assert [message.text for message in session["messages"]] == ["Hi", "Hi"]


@pytest.mark.parametrize("text", [b"x", ["x"], {"a": "x"}], ids=type)
def test_texts_that_are_no_texts_are_counted(tmp_path: Path, text: Any) -> None:
    path = write_parquet(tmp_path / "desk.parquet", [{**ROW, "text": text}] * 2)
    assert TableChatLoader(path).inspect().skipped == {"unreadable": 2}


def test_ids_of_parquet_are_texts(tmp_path: Path) -> None:
    row = {"chat_id": 7.0, "text": "Hi", "sender": float("nan"), "role": b"x"}
    path = write_parquet(tmp_path / "desk.parquet", [row, {**row, "chat_id": None}])
    (session,) = TableChatLoader(path).load()
    assert metadata_of(session)["id"] == "7"
    assert session["messages"][0].additional_kwargs["sender"] == "unknown"


@pytest.mark.skipif(sys.platform == "win32", reason="needs links and pipes")
@pytest.mark.parametrize("kind", ["pipe", "loop", "link"])
def test_what_is_no_file_among_the_parts_is_skipped(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "export"
    write_lines(tmp_path / "secret.jsonl", [{**ROW, "conversation_id": "secret"}])
    write_lines(folder / "a.jsonl", [ROW])
    part = folder / "b.jsonl"
    if kind == "pipe":
        os.mkfifo(part)
    elif kind == "loop":
        part.symlink_to(part.name)
    else:
        part.symlink_to(tmp_path / "secret.jsonl")
    with pytest.warns(UserWarning, match=r"Skipped: .*b\.jsonl"):
        summary = TableChatLoader(folder).inspect()
    assert (summary.kept, summary.skipped) == (1, {"unreadable": 1})


def test_half_an_emoji_can_be_written_again(tmp_path: Path) -> None:
    path = tmp_path / "desk.jsonl"
    path.write_text(r'{"chat_id": 1, "sender": "Bo \ud83d", "text": "Hi \ud83d"}')
    (session,) = TableChatLoader(path).load()
    (message,) = session["messages"]
    assert message.additional_kwargs["sender"] == "Bo \ufffd"
    assert "Hi \ufffd" in message.model_dump_json()


@pytest.mark.parametrize("name", ["*.parquet", "a?b.parquet", "{a,b}", "s3[1].parquet"])
@pytest.mark.skipif(sys.platform == "win32", reason="needs such names")
def test_a_name_is_no_pattern(tmp_path: Path, name: str) -> None:
    write_parquet(tmp_path / "other.parquet", [{**ROW, "conversation_id": "other"}])
    path = write_parquet(tmp_path / name, [ROW])
    assert [metadata_of(s)["id"] for s in TableChatLoader(path).load()] == ["a"]


# --- one conversation


@pytest.mark.parametrize("sender", ["author", "from", "name", "Sender"])
def test_a_table_without_a_column_of_conversations_is_one(
    tmp_path: Path, sender: str
) -> None:
    path = write_csv(
        tmp_path / "Ann and Bo.csv",
        [{sender: name, "date": START, "message": "Hi"} for name in ("Ann", "Bo")],
    )
    assert matches_head(path, path.read_bytes())
    (session,) = TableChatLoader(path).load()
    assert metadata_of(session)["id"] == "Ann and Bo"
    assert metadata_of(session)["participants"] == ["Ann", "Bo"]


def test_an_id_of_something_else_than_messages_loses_none(
    load: Callable[..., Any],
) -> None:
    rows = [{"chat_id": 1, "id": 7, "text": text} for text in ("Hi", "Ho", "Hi")]
    (session,) = load(*rows)
    assert [message.text for message in session["messages"]] == ["Hi", "Ho"]
    assert session["messages"][0].id == "7"


@pytest.mark.parametrize(
    "head",
    [
        json.dumps({"messages": [{"role": "user", "content": "Hi"}]}) + "\n",
        json.dumps({"participants": [], "messages": [], "title": "Hare"}) + "\n",
        json.dumps({"id": 1, "text": "no conversation, no sender"}) + "\n",
        json.dumps({"conversation_id": 1, "text": {"nested": 1}}) + "\n",
        '{"conversation_id": 1, "text": "cut o',
        "[1, 2]\n",
        "01.05.24, 10:00 - Ann: conversation, text\n01.05.24, 10:01 - Bo: Hi\n",
        "Dear all,\nthe text of the conversation;\n",
        *("id,text\n1,no conversation\n", "conversation,text", ""),
    ],
)
def test_other_files_are_no_table(head: str) -> None:
    assert not matches_head(Path("desk.txt"), head.encode())


# --- hostile files


@pytest.mark.parametrize("kind", ["rows", "text", "page"])
def test_a_small_parquet_file_does_not_take_the_memory(
    tmp_path: Path, kind: str
) -> None:
    """A value a million times, a long value often, and a page of 100 MB."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    count, text = {"rows": (10**6, "x"), "text": (2_000, "x" * 10**5)}.get(
        kind, (1, "x" * 10**8)
    )
    table = pa.table({"chat_id": ["a"] * count, "text": [text] * count})
    path = tmp_path / "desk.parquet"
    is_page = kind == "page"
    parquet.write_table(table, path, compression="zstd", use_dictionary=not is_page)
    del table
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ExportFormatError, match="unpacks to far more"):
        TableChatLoader(path).load()
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert used < 400_000 * (1024 if sys.platform == "darwin" else 1)


def test_duckdb_reads_nothing_but_the_export(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    other = write_parquet(tmp_path / "other.parquet", [ROW])
    (tmp_path / "private").mkdir()
    with closing(Database(tmp_path / "private", [])) as database:
        for sql in (
            "SELECT * FROM read_parquet(?)",
            "SELECT * FROM read_text(?)",
            "COPY (SELECT 1) TO 'x.csv' -- ?",
            "INSTALL httpfs -- ?",
            "SET enable_external_access = true -- ?",
        ):
            with pytest.raises(duckdb.Error):
                database.run(sql, [str(other)] if "(?)" in sql else [])


def test_a_text_of_true_is_written_as_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"sender": "Cleo", "text": true}\n')
    (session,) = TableChatLoader(path).load()
    assert [message.content for message in session["messages"]] == ["true"]
