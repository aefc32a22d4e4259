"""CSV as people have it: delimiters, encodings, columns, damage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.table import TableChatLoader, matches_head
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.tables import (
    conversation_rows,
    interleaved,
    write_csv,
    write_lines,
)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    def from_text(text: str, **options: Any) -> list[str]:
        path = tmp_path / "desk.csv"
        path.write_bytes(text.encode())
        (session,) = TableChatLoader(path, timezone="UTC", **options).load()
        return [str(message.content) for message in session["messages"]]

    return from_text


def skipped(tmp_path: Path, text: str) -> dict[str, int]:
    path = tmp_path / "desk.csv"
    path.write_bytes(text.encode())
    summary = TableChatLoader(path).inspect()
    assert summary.found == summary.kept + sum(summary.skipped.values())
    return dict(summary.skipped)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_each_delimiter_and_encoding_gives_the_same_as_json_lines(
    tmp_path: Path, delimiter: str, encoding: str
) -> None:
    rows = interleaved(conversation_rows("one"), conversation_rows("zwölf"))
    rows[0]["text"] = 'Größe: 5,3; "ja"\t|\nneue Zeile é'
    path = write_csv(
        tmp_path / "desk.csv", rows, delimiter=delimiter, encoding=encoding
    )
    lines = write_lines(tmp_path / "desk.jsonl", rows)
    assert TableChatLoader(path).load() == TableChatLoader(lines).load()
    assert matches_head(path, path.read_bytes())


def test_names_of_columns_may_have_capitals_and_spaces(
    load: Callable[..., Any],
) -> None:
    assert load("Conversation ID;Created At;Text\n1;2024-05-01;Hi\n") == ["Hi"]


@pytest.mark.parametrize("name", ["desk.csv", "desk.txt"])
def test_columns_that_are_not_known_are_asked_for(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("Fall;Inhalt\n1;Hallo\n")
    columns = {"conversation": "Fall", "text": "Inhalt"}
    assert len(TableChatLoader(tmp_path / name, columns=columns).load()) == 1
    if name.endswith(".csv"):
        assert matches_head(tmp_path / name, b"Fall;Inhalt")
        with pytest.raises(
            ExportFormatError,
            match=r"hold text in its first line. Rename it to text.*columns=",
        ):
            TableChatLoader(tmp_path / name).load()


@pytest.mark.parametrize(
    ("row", "count"),
    [
        ("1,Hi,,", {}),  # Excel fills lines up.
        ("1,Hi, there", {"unreadable": 1}),  # A comma without quotes.
        ('1,"a"b', {"unreadable": 1}),
        ("1", {"unreadable": 1}),
        (",Hi", {"orphan": 1}),
        ("1,", {"empty": 1}),
        ("", {}),
        ('1,"' + "x" * 140_000 + '"', {"unreadable": 1}),
    ],
)
def test_a_bad_row_is_counted(tmp_path: Path, row: str, count: dict[str, int]) -> None:
    text = f"chat_id,text\n1,before\n{row}\n1,after\n"
    assert skipped(tmp_path, text) == count


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_quote_that_nothing_closes_costs_its_line(tmp_path: Path, end: str) -> None:
    path = tmp_path / "desk.csv"
    path.write_text(
        f'chat_id,sender,text\n1,Ann,"both\nlines"\n1,Bo,"open\n1,Ann,Bye{end}'
    )
    loader = TableChatLoader(path)
    (session,) = loader.load()
    assert [m.content for m in session["messages"]] == ["both\nlines", "Bye"]
    assert loader.inspect().skipped == {"unreadable": 1}


def test_a_quote_that_nothing_closes_does_not_take_the_rest(tmp_path: Path) -> None:
    rows = "1,some more words\n" * 5_000
    path = tmp_path / "desk.csv"
    path.write_text(f'chat_id,text\n1,"open\n{rows}')
    summary = TableChatLoader(path).inspect()
    assert summary.skipped["unreadable"] == 1
    assert summary.kept == 5_000


@pytest.mark.parametrize(
    "text",
    [
        "chat_id,text\r1,Hi\r1,Ho\r",
        "sep=;\r\nchat_id;text\r\n1;Hi\r\n1;Ho\r\n",
        "\ufeffsep=,\nchat_id,text\n1,Hi\n1,Ho",
        '"chat\nid","text"\n1,Hi\n1,Ho\n',
        '"chat;id",text\n1,Hi\n1,Ho\n',
        "\n \nchat_id;;text;\n1;;Hi;\n1;x;Ho;y\n".replace("y", ""),
    ],
)
def test_odd_beginnings_and_ends_of_lines_are_read(
    load: Callable[..., Any], text: str
) -> None:
    columns = {"conversation": "chat;id"} if "chat;id" in text else {}
    assert load(text, columns=columns) == ["Hi", "Ho"]


def test_a_letter_of_windows_far_down_is_read(tmp_path: Path) -> None:
    """The beginning, in which the encoding was looked for, is plain."""
    path = tmp_path / "desk.csv"
    rows = "1;plain\n" * 10_000
    path.write_bytes(f"chat_id;text\n{rows}1;Grüße\n".encode("cp1252"))
    (session,) = TableChatLoader(path).load()
    assert session["messages"][-1].content == "Grüße"


def test_a_row_that_stands_for_the_header_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "desk.csv"
    path.write_text("Ann;Secret words\nBo;Secret words\n")
    with pytest.raises(ExportFormatError, match="in its first line") as error:
        TableChatLoader(path).load()
    assert "Secret" not in str(error.value)


def test_a_column_that_is_there_twice_is_an_error(load: Callable[..., Any]) -> None:
    text = "chat_id,text,note,note\n1,Hi,a,b\n"
    assert load(text) == ["Hi"]
    with pytest.raises(ExportFormatError, match=r"'note' twice.*Rename"):
        load(text, columns={"text": "note"})
