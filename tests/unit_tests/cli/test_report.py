"""`chatexports report`: the page, and its summary."""

import json
from pathlib import Path

import pytest

from tests.unit_tests.builders.whatsapp import WhatsAppChat
from tests.unit_tests.cli.conftest import Run


def test_report_writes_a_page(run: Run, tmp_path: Path, threads: Path) -> None:
    done = run("report", threads)
    assert done.status == 0, done.err
    assert "663 messages, 10 people, 97 dialogues, 87 examples" in done.err
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Harry Potter" in page
    assert "Draco Malfoy" in page


def test_anonymous_report_has_no_names(run: Run, tmp_path: Path, threads: Path) -> None:
    done = run("report", threads, "--anonymous", "--json", "-o", "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    for name in ("Harry", "Potter", "Draco", "hogwarts"):
        assert name not in page + done.out
    assert json.loads(done.out)["people"][0]["name"] == "Person 1"


@pytest.mark.parametrize("typed", ["tort", "TORTOISE"])
def test_prefix_of_a_name_selects_the_person(run: Run, chats: Path, typed: str) -> None:
    people = json.loads(run("report", chats, "--ai", typed, "--json").out)
    speakers = {one["name"] for one in people["people"] if one["is_ai"]}
    assert speakers == {"Tortoise"}


def test_chat_title_may_start_like_a_name(run: Run, tmp_path: Path) -> None:
    chat = WhatsAppChat.ios().says("Mama", "Hello").says("Jonas", "Hi")
    export = chat.says("Papa", "Hm").to_file(
        tmp_path / "WhatsApp Chat - Mama & Papa.txt"
    )
    options = ("--with", "Jonas", "--ai", "mam", "--json")
    done = run("report", export, *options)
    assert done.status == 0, done.err
    people = json.loads(done.out)["people"]
    assert [one["name"] for one in people if one["is_ai"]] == ["Mama"]


@pytest.mark.parametrize("command", ["report", "prepare"])
@pytest.mark.parametrize("typed", ["Tortise", "tort0ise"])
def test_unknown_person_gets_suggestion(
    run: Run, tmp_path: Path, chats: Path, command: str, typed: str
) -> None:
    done = run(command, chats, "--ai", typed, "-o", "out")
    assert done.status == 1
    assert "Did you mean 'Tortoise'?" in done.err
    assert not (tmp_path / "out").exists()


def test_anonymous_error_has_no_names(run: Run, chats: Path) -> None:
    done = run("report", chats, "--ai", "Tortise", "--anonymous")
    assert done.status == 1
    assert "Tortoise" not in done.err
    assert "Hare" not in done.err
