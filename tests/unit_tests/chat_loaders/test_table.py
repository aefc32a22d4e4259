"""Tables: columns, order and damaged rows."""

import json
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.schema import metadata_of
from langchain_chatexports.chat_loaders.table import (
    TableChatLoader,
    matches_head,
)
from langchain_chatexports.chat_loaders.table.database import open_database
from langchain_chatexports.exceptions import ExportFormatError, MissingExtraError
from tests.unit_tests.builders.sessions import all_texts
from tests.unit_tests.builders.tables import (
    START,
    conversation_rows,
    interleaved,
    write_csv,
    write_lines,
    write_parquet,
)

ROW = {"conversation_id": "a", "text": "Hello", "sender": "Cleo", "time": START}
MIXED = interleaved(conversation_rows("one", 60), conversation_rows("zwölf", 50))


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    def from_rows(*rows: Any, **options: Any) -> list[Any]:
        path = write_lines(tmp_path / "desk.jsonl", rows)
        return TableChatLoader(path, **options).load()

    return from_rows


def test_message_has_columns_of_its_row(load: Callable[..., Any]) -> None:
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


def test_columns_can_be_named(load: Callable[..., Any]) -> None:
    row = {"Fall": 12, "Inhalt": "Hallo", "wer": "Cleo", "wann": "2024-05-01T12:00:00Z"}
    columns = {"conversation": "Fall", "text": "Inhalt", "sender": "wer"}
    columns["time"] = "wann"
    (session,) = load(row, columns=columns)
    assert metadata_of(session)["id"] == "12"
    assert session["messages"][0].additional_kwargs["message_time"] == 1_714_564_800
    with pytest.raises(ValueError, match="speaker"):
        TableChatLoader("x", columns={"speaker": "who"})


def test_column_may_start_in_a_later_line(load: Callable[..., Any]) -> None:
    (session,) = load(ROW, {**ROW, "role": "agent"})
    roles = [m.additional_kwargs.get("role") for m in session["messages"]]
    assert roles == [None, "agent"]


def test_role_is_the_default_sender(load: Callable[..., Any]) -> None:
    (session,) = load({"Conversation ID": 1, "Body": "Hi", "role": "agent"})
    assert session["messages"][0].additional_kwargs["sender"] == "agent"


def test_given_owner_overrides_role(load: Callable[..., Any]) -> None:
    rows = [{**ROW, "sender": "Hare", "role": "me"}, {**ROW, "sender": "Fox"}]
    for owner, expected in ((None, [True, False]), ("Fox", [False, True])):
        (session,) = load(*rows, owner=owner)
        mine = [m.additional_kwargs["is_from_me"] for m in session["messages"]]
        assert mine == expected


@pytest.mark.parametrize("sender", ["author", "from", "name", "Sender"])
def test_conversation_column_is_optional(tmp_path: Path, sender: str) -> None:
    rows = [{sender: name, "date": START, "message": "Hi"} for name in ("Ann", "Bo")]
    path = write_csv(tmp_path / "Ann and Bo.csv", rows)
    assert matches_head(path, path.read_bytes())
    (session,) = TableChatLoader(path).load()
    assert metadata_of(session)["id"] == "Ann and Bo"
    assert metadata_of(session)["participants"] == ["Ann", "Bo"]


def test_non_unique_id_column_is_ignored(load: Callable[..., Any]) -> None:
    """It has the ids of conversations or people."""
    rows = [{"chat_id": 1, "id": 7, "text": text} for text in ("Hi", "Ho", "Hi")]
    (session,) = load(*rows)
    assert [message.text for message in session["messages"]] == ["Hi", "Ho", "Hi"]
    assert "7" not in {message.id for message in session["messages"]}


@pytest.mark.parametrize("name", ["desk.csv", "desk.txt"])
def test_unknown_columns_error_has_remedy(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("Fall;Inhalt\n1;Secret\n")
    columns = {"conversation": "Fall", "text": "Inhalt"}
    assert len(TableChatLoader(tmp_path / name, columns=columns).load()) == 1
    if name.endswith(".csv"):
        assert matches_head(tmp_path / name, b"Fall;Inhalt")
        with pytest.raises(ExportFormatError, match=r"in its first line.*columns="):
            TableChatLoader(tmp_path / name).load()


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
def test_other_files_are_not_tables(head: str) -> None:
    assert not matches_head(Path("desk.txt"), head.encode())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_csv_variants_are_read(tmp_path: Path, delimiter: str, encoding: str) -> None:
    rows = [{**MIXED[0], "text": 'Größe: 5,3; "ja"\t|\nneue Zeile é'}, *MIXED[1:]]
    form = {"delimiter": delimiter, "encoding": encoding}
    path = write_csv(tmp_path / "desk.csv", rows, **form)
    lines = write_lines(tmp_path / "desk.jsonl", rows)
    assert TableChatLoader(path).load() == TableChatLoader(lines).load()
    assert matches_head(path, path.read_bytes())


def test_parquet_equals_json_lines(tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "desk.jsonl", MIXED)
    parquet = write_parquet(tmp_path / "s3[1]*.parquet", MIXED)
    assert TableChatLoader(parquet).load() == TableChatLoader(lines).load()


def test_files_of_a_folder_are_one_table(tmp_path: Path) -> None:
    rows = conversation_rows("a", 6)
    write_lines(tmp_path / "parts" / "b.jsonl", rows[3:])
    write_parquet(tmp_path / "parts" / "a.parquet", rows[:3])
    write_lines(tmp_path / "parts" / "_SUCCESS", [])
    (session,) = TableChatLoader(tmp_path / "parts").load()
    assert [m.id for m in session["messages"]] == [row["message_id"] for row in rows]


def test_parquet_times_have_any_unit_and_zone(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
    path = tmp_path / "desk.parquet"
    for kind in pa.timestamp("ns"), pa.timestamp("s", tz="Asia/Tokyo"):
        times = pa.array([moment if kind.tz else moment.replace(tzinfo=None)], kind)
        columns = {"conversation": ["a"], "text": ["Hi"], "time": times}
        parquet.write_table(pa.table(columns), path)
        message = TableChatLoader(path, timezone="UTC").load()[0]["messages"][0]
        assert message.additional_kwargs["message_time"] == int(moment.timestamp())


def test_parquet_ids_become_text(tmp_path: Path) -> None:
    row = {"chat_id": 7.0, "text": "Hi", "sender": float("nan"), "role": b"x"}
    path = write_parquet(tmp_path / "desk.parquet", [row, {**row, "chat_id": None}])
    (session,) = TableChatLoader(path).load()
    assert metadata_of(session)["id"] == "7"
    assert session["messages"][0].additional_kwargs["sender"] == "unknown"


@pytest.mark.parametrize("write", [write_lines, write_csv, write_parquet])
def test_missing_extra_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., Path]
) -> None:
    path = write(tmp_path / "desk.table", [ROW])
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingExtraError, match=r"langchain-chatexports\[table\]"):
        TableChatLoader(path).load()
    with pytest.raises(MissingExtraError, match="table"):
        matches_head(path, path.read_bytes())


@pytest.mark.parametrize(
    ("row", "skipped"),
    [
        ({**ROW, "text": None}, {"empty": 1}),
        ({**ROW, "text": " \n"}, {"empty": 1}),
        ({**ROW, "text": {"parts": []}}, {"unreadable": 1}),
        ({**ROW, "conversation_id": None}, {"orphan": 1}),
        ('{"conversation_id": "a", "text": "cut o', {"unreadable": 1}),
        ("", {}),
        ('["no", "object"]', {"unreadable": 1}),
        ("[" * 100_000 + "]" * 100_000, {"unreadable": 1}),
        ("9" * 5_000, {"unreadable": 1}),
        ('{"conversation_id": 1, "text": ' + "9" * 5_000 + "}", {"unreadable": 1}),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_json_lines_are_counted(
    tmp_path: Path, row: Any, skipped: dict[str, int]
) -> None:
    path = write_lines(tmp_path / "desk.jsonl", [ROW, row])
    summary = TableChatLoader(path).inspect()
    assert summary.skipped == skipped
    assert summary.found == summary.kept + sum(skipped.values())


@pytest.mark.parametrize(
    ("row", "skipped"),
    [
        ("1,Hi,,", {}),  # Excel pads rows.
        ("1,Hi, there", {"unreadable": 1}),  # A comma without quotes.
        ('1,"a"b', {"unreadable": 1}),
        ("1", {"unreadable": 1}),
        (",Hi", {"orphan": 1}),
        ("1,", {"empty": 1}),
        ("", {}),
        ('1,"' + "x" * 140_000 + '"', {"unreadable": 1}),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_csv_rows_are_counted(
    tmp_path: Path, row: str, skipped: dict[str, int]
) -> None:
    path = tmp_path / "desk.csv"
    path.write_text(f"chat_id,text\n1,before\n{row}\n1,after\n")
    summary = TableChatLoader(path).inspect()
    assert summary.skipped == skipped
    assert summary.found == summary.kept + sum(skipped.values())


def test_unclosed_quote_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "desk.csv"
    path.write_text('chat_id,sender,text\n1,Ann,Hi\n1,Bo,"open\n1,Ann,Bye\n')
    with pytest.raises(ExportFormatError, match="never closed"):
        TableChatLoader(path).load()


def test_rows_are_sorted_by_time(tmp_path: Path) -> None:
    late, early = START + 30, START + 10
    for name, times in (("a", (late, None, early)), ("b", ("x", early))):
        texts = [f"{name}{number}" for number in range(len(times))]
        pairs = zip(texts, times, strict=True)
        rows = [{**ROW, "text": text, "time": time} for text, time in pairs]
        write_lines(tmp_path / f"{name}.jsonl", rows)
    with pytest.warns(UserWarning, match=r"1 time cannot .* row 1 of .*b\.jsonl"):
        texts = all_texts(TableChatLoader(tmp_path))
    assert texts == ["a1", "b0", "a2", "b1", "a0"]


def test_lone_surrogates_are_replaced_in_table(tmp_path: Path) -> None:
    path = tmp_path / "desk.jsonl"
    path.write_text(r'{"chat_id": 1, "sender": "Bo \ud83d", "text": "Hi \ud83d"}')
    (session,) = TableChatLoader(path).load()
    (message,) = session["messages"]
    assert message.additional_kwargs["sender"] == "Bo \ufffd"
    assert "Hi \ufffd" in message.model_dump_json()


@pytest.mark.parametrize(
    ("times", "first", "order"),
    [
        (["01.05.2024 10:00", "13.05.2024 10:00"], "2024-05-01", "day first"),
        (["5/1/2024 10:00 PM", "5/13/2024 9:00 AM"], "2024-05-01", "month first"),
        (["1.5.2024"], "2024-05-01", "day first (a guess)"),
    ],
)
@pytest.mark.filterwarnings("ignore:The dates of")
def test_date_order_is_detected(
    tmp_path: Path, times: list[str], first: str, order: str
) -> None:
    rows = [{**ROW, "time": time} for time in times]
    loader = TableChatLoader(write_csv(tmp_path / "desk.csv", rows), timezone="UTC")
    (session,) = loader.load()
    (event,) = session["messages"][0].additional_kwargs["events"]
    assert event["message_time"][:10] == first
    assert loader.inspect().details["date_orders"] == {order: 1}


@pytest.mark.parametrize(
    ("time", "order", "day"),
    [
        ("5/1/2024", "dmy", "2024-01-05"),
        ("5/1/2024", "mdy", "2024-05-01"),
        ("24/05/01", "ymd", "2024-05-01"),
    ],
)
def test_ambiguous_date_order_can_be_given(
    load: Callable[..., Any], time: str, order: str, day: str
) -> None:
    row = {**ROW, "time": time}
    with pytest.warns(UserWarning, match="which number is the day.*date_order"):
        load({**ROW, "time": "5/1/2024"}, timezone="UTC")
    (session,) = load(row, timezone="UTC", date_order=order)
    (event,) = session["messages"][0].additional_kwargs["events"]
    assert event["message_time"][:10] == day


def test_mixed_date_orders_are_an_error(load: Callable[..., Any]) -> None:
    rows = [{**ROW, "time": time} for time in ("13/05/2024", "05/14/2024")]
    with pytest.raises(ExportFormatError, match=r"two date orders.*such as 2024-05-31"):
        load(*rows)


def test_duckdb_error_is_not_shown(tmp_path: Path) -> None:
    """DuckDB's errors quote the file."""
    path = write_parquet(tmp_path / "desk.parquet", [ROW])
    data = bytearray(path.read_bytes())
    data[4] = 0xFF  # In the header of the first page.
    path.write_bytes(data)
    with pytest.raises(ExportFormatError, match="unsupported Parquet file") as caught:
        TableChatLoader(path).load()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("count", "text"), [(400_000, "x"), (2_000, "x" * 10**5), (1, "x" * 10**8)]
)
def test_parquet_bomb_is_refused(tmp_path: Path, count: int, text: str) -> None:
    """Very many equal values, many long ones, and one of 100 MB."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pa.table({"chat_id": ["a"] * count, "text": [text] * count})
    path = tmp_path / "desk.parquet"
    parquet.write_table(table, path, compression="zstd", use_dictionary=count > 1)
    del table
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ExportFormatError, match=r"to far more|not plausible"):
        TableChatLoader(path).load()
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert used < 400_000 * (1024 if sys.platform == "darwin" else 1)


def test_duckdb_only_accesses_private_folder(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    other = write_parquet(tmp_path / "other.parquet", [ROW])
    (tmp_path / "private").mkdir()
    with open_database(tmp_path / "private") as database, closing(database):
        for sql in (
            f"SELECT * FROM read_parquet('{other}')",
            f"SELECT * FROM read_text('{other}')",
            "COPY (SELECT 1) TO 'x.csv'",
            "INSTALL httpfs",
            "SET enable_external_access = true",
        ):
            with pytest.raises(duckdb.Error):
                database.execute(sql)
