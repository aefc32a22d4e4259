"""`chatexports report`: the page, and what is said beside it."""

import json
from pathlib import Path

import pytest

from tests.unit_tests.builders.whatsapp import WhatsAppChat
from tests.unit_tests.cli.conftest import Command


def test_report_writes_a_page(
    chatexports: Command, tmp_path: Path, threads: Path
) -> None:
    done = chatexports("report", threads)
    assert done.status == 0, done.err
    assert "663 messages by 10 people, 97 conversations, 87 examples" in done.err
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Harry Potter" in page
    assert "Draco Malfoy" in page


def test_report_can_be_anonymous(
    chatexports: Command, tmp_path: Path, threads: Path
) -> None:
    done = chatexports("report", threads, "--anonymous", "--json", "-o", "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    for name in ("Harry", "Potter", "Draco", "hogwarts"):
        assert name not in page + done.out
    assert json.loads(done.out)["people"][0]["name"] == "Person 1"


def test_a_report_does_not_replace_its_export(
    chatexports: Command, tmp_path: Path, chats: Path
) -> None:
    before = chats.read_bytes()
    done = chatexports("report", chats, "-o", "chat.db")
    assert done.status == 2
    assert chats.read_bytes() == before
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("typed", ["tort", "TORTOISE"])
def test_the_beginning_of_a_name_is_enough(
    chatexports: Command, chats: Path, typed: str
) -> None:
    people = json.loads(chatexports("report", chats, "--ai", typed, "--json").out)
    speakers = {one["name"] for one in people["people"] if one["is_ai"]}
    assert speakers == {"Tortoise"}


def test_the_title_of_a_chat_may_begin_like_a_name(
    chatexports: Command, tmp_path: Path
) -> None:
    chat = WhatsAppChat.ios().says("Mama", "Hello").says("Jonas", "Hi")
    export = chat.says("Papa", "Hm").to_file(
        tmp_path / "WhatsApp Chat - Mama & Papa.txt"
    )
    options = ("--with", "Jonas", "--ai", "mam", "--json")
    done = chatexports("report", export, *options)
    assert done.status == 0, done.err
    people = json.loads(done.out)["people"]
    assert [one["name"] for one in people if one["is_ai"]] == ["Mama"]


@pytest.mark.parametrize("command", ["report", "prepare"])
@pytest.mark.parametrize("typed", ["Tortise", "tort0ise"])
def test_an_unknown_person_gets_the_nearest_name(
    chatexports: Command, tmp_path: Path, chats: Path, command: str, typed: str
) -> None:
    done = chatexports(command, chats, "--ai", typed, "-o", "out")
    assert done.status == 1
    assert "Did you mean 'Tortoise'?" in done.err
    assert not (tmp_path / "out").exists()


def test_an_anonymous_report_names_nobody_in_its_error(
    chatexports: Command, chats: Path
) -> None:
    done = chatexports("report", chats, "--ai", "Tortise", "--anonymous")
    assert done.status == 1
    assert "Tortoise" not in done.err
    assert "Hare" not in done.err
