"""Options for what an export does not say: its time zone, dates and columns."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.samples import write_imessage
from tests.unit_tests.builders.tables import write_csv, write_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OPTIONS = ["--export-zone", "Europe/Berlin", "--date-order", "mdy", "--column"]


def rows(time: str = "5/6/2024 11:00 PM") -> list[dict[str, Any]]:
    return [
        {"Case": "a", "from": name, "time": time, "Words": f"words {number}"}
        for number in range(6)
        for name in ("Ann", "Bo")
    ]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "desk.csv", rows())


def given() -> list[str]:
    return [*OPTIONS, "text=Words", "--column", "conversation=Case"]


def test_inspect_reads_by_them_and_proposes_a_command_with_them(
    chatexports: Callable[..., Any], desk: Path
) -> None:
    done = chatexports("inspect", desk, *given(), "--json")
    (summary,) = json.loads(done.out)
    # 11 PM in Berlin in summer.
    assert summary["first"] == "2024-05-06T21:00:00+00:00"
    assert summary["details"] == {
        "date_orders": {"month first": 1},
        "time_zone": ["Europe/Berlin"],
    }
    done = chatexports("inspect", desk, *given())
    (line,) = [line for line in done.err.splitlines() if line.startswith("Next: ")]
    words = shlex.split(line.removeprefix("Next: "))
    assert set(given()) <= set(words)
    assert chatexports(*words[1:]).status == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare", "-o", "out.jsonl", "--ai", "Ann", "--whole"],
        ["report", "--ai", "Ann", "-o", "out.html"],
        ["redact", "-o", "out.jsonl"],
    ],
    ids=lambda words: str(words[0]),
)
def test_every_command_that_reads_exports_has_them(
    chatexports: Callable[..., Any], desk: Path, arguments: list[str]
) -> None:
    command, *rest = arguments
    if command == "report":
        pytest.importorskip("jinja2")
    assert chatexports(command, desk, *rest, *given()).status == 0
    failed = chatexports(command, desk, *rest, "--force")
    assert failed.status == 1
    assert "--column text=NAME" in failed.err


def test_json_lines_with_other_names_are_a_table_with_column(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "desk.jsonl", rows())
    assert chatexports("inspect", path).status == 1
    assert chatexports("inspect", path, *given()).status == 0


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--export-zone", "Berlin", "no time zone"),
        ("--date-order", "day", "dmy"),
        ("--column", "Words", "PART=NAME"),
        ("--column", "text=", "PART=NAME"),
        ("--column", "speaker=Body", "a message can have"),
    ],
)
def test_a_value_that_cannot_be_is_a_wrong_option(
    chatexports: Callable[..., Any], desk: Path, option: str, value: str, words: str
) -> None:
    done = chatexports("inspect", desk, option, value)
    assert done.status == 2
    assert words in done.err


@pytest.mark.parametrize("command", ["inspect", "prepare"])
@pytest.mark.parametrize(
    ("option", "value"),
    [("--export-zone", "UTC"), ("--date-order", "dmy"), ("--column", "text=Words")],
)
def test_an_option_that_no_export_can_use_is_refused(
    chatexports: Callable[..., Any],
    tmp_path: Path,
    command: str,
    option: str,
    value: str,
) -> None:
    path = write_imessage(tmp_path / "chat.db")
    output = ["-o", tmp_path / "out.jsonl", "--ai", "Hare"]
    done = chatexports(
        command, path, option, value, *output[: 4 * (command != "inspect")]
    )
    assert done.status == 2
    assert f"{option} is for" in done.err


def test_examples_have_no_use_for_them(
    chatexports: Callable[..., Any], desk: Path, tmp_path: Path
) -> None:
    examples = tmp_path / "examples.jsonl"
    words = ["--ai", "Ann", "--whole"]
    assert chatexports("prepare", desk, "-o", examples, *words, *given()).status == 0
    done = chatexports("prepare", examples, "-o", "again.jsonl", *given())
    assert "--export-zone, --date-order, --column: for exports only" in done.err
