"""Options that commands share: chats, dates, names, and their number."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperOption
from typer.main import get_command

from langchain_chatexports.cli._console import stderr_console
from langchain_chatexports.cli.app import create_app
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.samples import write_imessage
from tests.unit_tests.cli.conftest import Run

COMMANDS: dict[str, Any] = dict(getattr(get_command(create_app()), "commands", {}))
# The senders of each conversation; one message a day from 2024-01-01 12:00 UTC.
CHATS = {
    "pond": ("Hare", "Me") * 5,
    "burrow": ("Fox", "Me") * 5,
    "race": ("Hare", "Fox", "Me", "Owl", "Me") * 2,
}
READING = ("inspect", "prepare")
NOON = int(datetime(2024, 1, 1, 12, tzinfo=UTC).timestamp())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_short(name: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 12 options, or 22 with a choice of chats, on two screens of 80 by 24."""
    monkeypatch.setenv("COLUMNS", "80")
    options = {
        option.name
        for option in COMMANDS[name].params
        if isinstance(option, TyperOption) and not option.hidden
    }
    assert len(options) <= (22 if "with_" in options else 12)
    assert len(run(name, "--help").out.splitlines()) <= 48


def test_zone_and_date_order_apply_to_exports(run: Run, tmp_path: Path) -> None:
    lines = [f"01.02.23, 0{hour}:00 - Ann: Hello!\n" for hour in range(3)]
    (tmp_path / "chat.txt").write_text("".join(lines), encoding="utf-8")
    options = ("--export-zone", "Asia/Tokyo", "--date-order", "mdy")
    done = run("inspect", "chat.txt", *options)
    assert done.status == 0, done.err
    assert "zone      Asia/Tokyo" in done.out
    assert "time      2023-01-01 to 2023-01-01 (UTC)" in done.out
    assert " ".join(options) in done.err.splitlines()[-1]
    for wrong in (("--export-zone", "Mars"), ("--date-order", "ydm")):
        assert run("inspect", "chat.txt", *wrong).status == 2


@pytest.mark.filterwarnings("default")
def test_warnings_name_options_of_the_command(run: Run, tmp_path: Path) -> None:
    (tmp_path / "chat.txt").write_text("01.02.23, 09:00 - Ann: Hello!\n")
    warnings = run("inspect", "chat.txt").err
    assert "If that is wrong, add --export-zone Europe/Berlin" in warnings
    assert "If that is wrong, add --date-order mdy" in warnings
    assert "timezone=" not in warnings


def _use_mac(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    name = "langchain_chatexports.chat_loaders.imessage.sources.default_path"
    monkeypatch.setattr(name, lambda: path)


def test_mac_database_is_the_default_path(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write_imessage(tmp_path / "chat.db")
    _use_mac(monkeypatch, own)
    done = run("inspect")
    assert done.status == 0
    assert f"reading this Mac's Messages database: {own}" in done.err
    assert "Tortoise" in done.out
    _use_mac(monkeypatch, tmp_path / "nowhere.db")
    assert "No such file or folder:" in run("inspect").err


def test_other_systems_need_a_path(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    done = run("inspect")
    assert done.status == 2
    assert "Specify an export" in done.err


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    rows: list[dict[str, Any]] = [
        {
            "conversation_id": name,
            "title": f"The {name}",
            "sender": sender,
            "text": f"{name} {day + 1}",
            "timestamp": NOON + 86_400 * day,
            "role": "me" if sender == "Me" else None,
        }
        for name, senders in CHATS.items()
        for day, sender in enumerate(senders)
    ]
    path = tmp_path / "chats.jsonl"
    write_jsonl(rows, path)
    return path


def _other_options(name: str) -> tuple[str, ...]:
    output = ("--gap", "none", "--whole", "-o", "set.jsonl")
    return (*(output if name == "prepare" else ()), "--json")


def _counts(name: str, out: str) -> tuple[int, int, int]:
    """Return the messages found, kept and skipped."""
    output = json.loads(out)
    (export,) = output["exports"] if name == "prepare" else output
    return export["found"], export["kept"], sum(export["skipped"].values())


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (("--with", "Hare"), 20),
        (("--with", "hare", "--no-groups"), 10),
        (("--with", "Hare", "--with", "Fox"), 30),
        (("--with", "The pond"), 10),
        (("--with", "burr", "--with", "Ow"), 20),
        (("--no-groups",), 20),
        (("--exclude", "ÓWL"), 20),
        (("--since", "2024-01-09"), 6),
        (("--until", "2024-01-02"), 6),
        (("--since", "2024-01-03", "--until", "2024-01-04"), 6),
    ],
)
def test_skipped_messages_are_counted(
    run: Run, chats: Path, name: str, options: tuple[str, ...], kept: int
) -> None:
    done = run(name, chats, *options, *_other_options(name))
    assert done.status == 0, done.err
    assert _counts(name, done.out) == (30, kept, 30 - kept)


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize("option", ["--with", "--exclude"])
def test_unknown_name_gets_suggestion(
    run: Run, chats: Path, tmp_path: Path, name: str, option: str
) -> None:
    needed = () if name == "inspect" else ("-o", "set.jsonl")
    done = run(name, chats, option, "Hair", *needed)
    assert done.status == 1
    assert option in done.err
    assert "Did you mean 'Hare'?" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["chats.jsonl"]


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--since", "yesterday"), 2, "--since must be a date such as 2024-05-31"),
        (("--until", "2024"), 2, "--until must be a date such as 2024-05-31"),
        (("--since", "2024-02-01", "--until", "2024-01-01"), 2, "--since is after"),
        (("--since", "2030-01-01"), 1, "No message in these exports"),
    ],
)
def test_wrong_dates_are_errors(
    run: Run, chats: Path, options: tuple[str, ...], status: int, message: str
) -> None:
    done = run("prepare", chats, *options, "-o", "set.jsonl")
    assert done.status == status
    assert message in " ".join(done.err.split())


def test_next_commands_keep_the_options(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_imessage(tmp_path / "chat.db")
    monkeypatch.chdir(tmp_path)
    done = run("inspect", ".", "--with", "Hare", "--since", "2023-08-01")
    next_lines = [line for line in done.err.splitlines() if " chatexports " in line]
    assert [line.split()[1] for line in next_lines] == ["chat", "finetune"]
    assert all("--with Hare --since 2023-08-01 --ai " in line for line in next_lines)


@pytest.mark.filterwarnings("default")
def test_a_terminal_shows_a_guess_once_for_an_export(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(stderr_console, "_force_terminal", True)
    (tmp_path / "chat.txt").write_text("01.02.23, 09:00 - Ann: Hello!\n")
    shown = [
        "no time zone" in " ".join(run(command, "chat.txt", "--ai", "Ann").err.split())
        for command in ("report", "report")
    ]
    assert shown == [True, False]
