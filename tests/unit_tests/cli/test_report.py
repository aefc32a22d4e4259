"""`chatexports report`: the page, and what is said beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.samples import write_imessage, write_messenger


def test_report_writes_a_page(chatexports: Callable[..., Any], tmp_path: Path) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    done = chatexports("report", threads)
    assert done.status == 0, done.err
    assert "663 messages by 10 people, 97 conversations, 87 examples" in done.err
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Harry Potter" in page
    assert "Draco Malfoy" in page


def test_report_can_be_anonymous(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    done = chatexports("report", threads, "--anonymous", "--json", "-o", "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    for name in ("Harry", "Potter", "Draco", "hogwarts"):
        assert name not in page + done.out
    assert json.loads(done.out)["people"][0]["name"] == "Person 1"


def test_report_tells_the_time_of_a_zone(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    options = ("--json", "--time-zone")
    figures = [
        json.loads(chatexports("report", chats, *options, zone).out)
        for zone in ("UTC", "Asia/Tokyo")
    ]
    utc, tokyo = (item["time"]["by_hour"] for item in figures)
    assert tokyo == utc[-9:] + utc[:-9]


@pytest.mark.parametrize("arguments", [["--time-zone", "Mars"], ["-o", "chat.db"]])
def test_what_cannot_be_is_a_usage_error(
    chatexports: Callable[..., Any], tmp_path: Path, arguments: list[str]
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    before = chats.read_bytes()
    done = chatexports("report", chats, *arguments)
    assert done.status == 2
    assert chats.read_bytes() == before
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("typed", ["tort", "TORTOISE"])
def test_the_beginning_of_a_name_is_enough(
    chatexports: Callable[..., Any], tmp_path: Path, typed: str
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    people = json.loads(chatexports("report", chats, "--ai", typed, "--json").out)
    speakers = {one["name"] for one in people["people"] if one["is_ai"]}
    assert speakers == {"Tortoise"}


@pytest.mark.parametrize("command", ["report", "prepare"])
@pytest.mark.parametrize("typed", ["Tortise", "tort0ise"])
def test_an_unknown_person_gets_the_nearest_name(
    chatexports: Callable[..., Any], tmp_path: Path, command: str, typed: str
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    done = chatexports(command, chats, "--ai", typed, "-o", "out")
    assert done.status == 1
    assert "Did you mean 'Tortoise'?" in done.err
    assert not (tmp_path / "out").exists()


def test_an_anonymous_report_names_nobody_in_its_error(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    done = chatexports("report", chats, "--ai", "Tortise", "--anonymous")
    assert done.status == 1
    assert "Tortoise" not in done.err
    assert "Hare" not in done.err
