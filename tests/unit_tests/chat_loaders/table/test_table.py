"""Tables as people have them: their columns, their order, their damage."""

from __future__ import annotations

import os
import sys
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.chat_loaders.table import TableChatLoader
from langchain_chatexports.exceptions import (
    ExportFormatError,
    ExportNotFoundError,
    MissingExtraError,
)
from langchain_chatexports.steps import MapAIMessages
from tests.unit_tests.builders.tables import (
    START,
    conversation_rows,
    interleaved,
    write_lines,
    write_parquet,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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


def test_a_session_carries_its_id_and_participants(load: Callable[..., Any]) -> None:
    rows = [{**row, "subject": "Broken"} for row in conversation_rows("case")]
    assert load(*rows, owner="Agent 7")[0]["metadata"] == {
        "id": "case",
        "title": "Broken",
        "platform": "table",
        "participants": ["Cleo", "Agent 7"],
        "owner": "Agent 7",
        "is_group": False,
    }


def test_the_owner_is_a_sender(load: Callable[..., Any]) -> None:
    session = load(*conversation_rows("case"), owner="Agent 7")[0]
    mine = [m.additional_kwargs["is_from_me"] for m in session["messages"]]
    assert mine == [False, True, False, True]


def test_columns_of_other_names_are_named(load: Callable[..., Any]) -> None:
    row = {"Fall": 12, "Inhalt": "Hallo", "wer": "Cleo", "wann": "2024-05-01T12:00:00Z"}
    columns = {
        "conversation": "Fall",
        "text": "Inhalt",
        "sender": "wer",
        "time": "wann",
    }
    (session,) = load(row, columns=columns)
    assert session["metadata"]["id"] == "12"
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


def test_a_table_without_either_says_unknown(load: Callable[..., Any]) -> None:
    (session,) = load({"conversation": 1, "body": "Hi"})
    assert session["messages"][0].additional_kwargs["sender"] == "unknown"


def test_roles_are_what_the_ai_can_be_mapped_by(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "desk.jsonl", conversation_rows("case"))
    (session,) = (TableChatLoader(path) | MapAIMessages(role="agent")).load()
    assert [m.type for m in session["messages"]] == ["human", "ai", "human", "ai"]


def test_messages_without_a_time_come_first_also_before_1970(
    load: Callable[..., Any],
) -> None:
    old = {"conversation": 1, "body": "old", "time": "1960-01-01T00:00:00Z"}
    (session,) = load(old, {"conversation": 1, "body": "whenever"})
    assert [message.text for message in session["messages"]] == ["whenever", "old"]


def test_rows_that_lie_apart_are_one_session_each(load: Callable[..., Any]) -> None:
    rows = interleaved(conversation_rows("a"), conversation_rows("b", start=START + 7))
    sessions = load(*rows)
    assert [session["metadata"]["id"] for session in sessions] == ["a", "b"]
    assert [len(session["messages"]) for session in sessions] == [4, 4]


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


def test_grouped_gives_the_same_for_a_grouped_file(load: Callable[..., Any]) -> None:
    rows = [row for name in "abc" for row in conversation_rows(name)]
    assert load(*rows, grouped=True) == load(*rows)


def test_grouped_refuses_a_file_that_is_not(load: Callable[..., Any]) -> None:
    rows = interleaved(conversation_rows("a"), conversation_rows("b"))
    with pytest.raises(ExportFormatError, match="Leave out grouped=True"):
        load(*rows, grouped=True)


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
            {
                "conversation": ["a"],
                "text": ["Hi"],
                "time": pa.array([shown], kind),
            }
        )
        path = tmp_path / f"{number}.parquet"
        parquet.write_table(table, path)
        message = TableChatLoader(path).load()[0]["messages"][0]
        assert message.additional_kwargs["message_time"] == int(moment.timestamp())


def test_parquet_needs_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_parquet(tmp_path / "desk.parquet", [ROW])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="parquet"):
        TableChatLoader(path).load()


# --- what is left out


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


def test_include_and_exclude_take_participants_and_ids(tmp_path: Path) -> None:
    rows = [*conversation_rows("a"), {**ROW, "conversation_id": "b", "sender": "Dan"}]
    assert _inspected(tmp_path, *rows, include="DAN").skipped == {"excluded": 4}
    assert _inspected(tmp_path, *rows, exclude="a").kept == 1


def test_start_and_end_bound_the_messages(tmp_path: Path) -> None:
    rows = conversation_rows("a", 5)
    start = datetime.fromtimestamp(START + 120, timezone.utc)
    assert _inspected(tmp_path, *rows, start=start).kept == 3
    assert _inspected(tmp_path, *rows, end=date(2023, 11, 13)).sessions == 0


# --- errors


def test_an_unknown_part_of_a_message_is_refused() -> None:
    with pytest.raises(ValueError, match="speaker"):
        TableChatLoader("x", columns={"speaker": "who"})


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "desk.parquet", [ROW])
    with pytest.raises(ExportFormatError, match=r"'who'.*conversation_id"):
        TableChatLoader(path, columns={"sender": "who"}).load()


def test_a_table_without_texts_says_what_to_name(load: Callable[..., Any]) -> None:
    with pytest.raises(ExportFormatError, match=r"hold text.*columns="):
        load({"conversation": 1, "words": "Hi"})


def test_a_damaged_name_of_a_column_is_a_damaged_file(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "desk.parquet", [ROW])
    path.write_bytes(
        path.read_bytes().replace(b"conversation_id", b"\x98onversation_id")
    )

    with pytest.raises(ExportFormatError, match="damaged Parquet file"):
        TableChatLoader(path).load()


def test_what_pyarrow_says_of_a_damaged_file_is_not_shown(tmp_path: Path) -> None:
    """Its errors quote the file, and some are an `OSError` without a number."""
    path = write_parquet(tmp_path / "desk.parquet", [ROW])
    data = bytearray(path.read_bytes())
    data[4] = 0xFF  # In the header of the first page.
    path.write_bytes(data)
    with pytest.raises(ExportFormatError, match="damaged Parquet file") as caught:
        TableChatLoader(path).load()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("content", ["plain text\n", "[1, 2]\n3\n"])
def test_what_is_no_table_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "desk.jsonl"
    path.write_text(content)
    with pytest.raises(ExportFormatError, match="no table"):
        TableChatLoader(path).load()


def test_an_empty_file_has_no_sessions(tmp_path: Path) -> None:
    path = tmp_path / "desk.jsonl"
    path.touch()
    assert TableChatLoader(path).load() == []


def test_a_folder_without_tables_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExportNotFoundError, match="folder without"):
        TableChatLoader(tmp_path).load()


def test_a_bad_file_among_good_ones_is_a_warning_that_names_it(tmp_path: Path) -> None:
    write_lines(tmp_path / "parts" / "a.jsonl", [ROW])
    bad = write_parquet(tmp_path / "parts" / "b.parquet", [ROW])
    bad.write_bytes(bad.read_bytes()[:-9])
    loader = TableChatLoader(tmp_path / "parts")
    with pytest.warns(UserWarning, match=r"b\.parquet"):
        summary = loader.inspect()
    assert (summary.found, summary.kept, summary.skipped) == (2, 1, {"unreadable": 1})


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


@pytest.mark.parametrize("time", [10**400, "9" * 5_000, "2024-01-01T00:00:00+99:99"])
def test_a_row_with_an_absurd_time_stays_without_one(
    load: Callable[..., Any], time: Any
) -> None:
    with pytest.warns(UserWarning, match="1 time cannot .* first in row 1"):
        (session,) = load({**ROW, "time": time}, ROW)
    assert [m.content for m in session["messages"]] == ["Hello", "Hello"]
    assert "message_time" not in session["messages"][0].additional_kwargs


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
    texts = pa.Array.from_buffers(
        pa.string(), 2, pa.array([b"hi", b"\xff"], pa.binary()).buffers()
    )
    ids = pa.array(["a", "a"])
    path = tmp_path / "desk.parquet"
    table = pa.table({"conversation_id": ids, "text": texts, "time": days})
    parquet.write_table(table, path)
    summary = TableChatLoader(path).inspect()
    assert (summary.kept, summary.skipped) == (1, {"unreadable": 1})


@pytest.mark.skipif(sys.platform == "win32", reason="needs links and pipes")
@pytest.mark.parametrize("kind", ["pipe", "loop", "folder"])
def test_what_is_no_file_among_the_parts_is_left_out(tmp_path: Path, kind: str) -> None:
    write_lines(tmp_path / "a.jsonl", [ROW])
    part = tmp_path / "b.jsonl"
    if kind == "pipe":
        os.mkfifo(part)
    elif kind == "loop":
        part.symlink_to(part.name)
    else:
        part.mkdir()
    with pytest.warns(UserWarning, match=r"Left out: .*b\.jsonl"):
        summary = TableChatLoader(tmp_path).inspect()
    assert (summary.kept, summary.skipped) == (1, {"unreadable": 1})


def test_half_an_emoji_can_be_written_again(tmp_path: Path) -> None:
    path = tmp_path / "desk.jsonl"
    path.write_text(r'{"chat_id": 1, "sender": "Bo \ud83d", "text": "Hi \ud83d"}')
    (session,) = TableChatLoader(path).load()
    (message,) = session["messages"]
    assert message.additional_kwargs["sender"] == "Bo \ufffd"
    assert "Hi \ufffd" in message.model_dump_json()
