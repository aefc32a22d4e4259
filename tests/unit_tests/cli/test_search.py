"""`chatexports search`."""

import json
import os
import sqlite3
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from langchain_chatexports.samples import write_imessage
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.cli.conftest import Run
from tests.unit_tests.retrieval.test_lines import BREAKS

INDEXES = "user data/search-indexes"
LONG_AGO = 1_600_000_000
NEW_YEAR = 1_704_067_200  # 2024-01-01


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """An export that has not changed for years."""
    path = write_imessage(tmp_path / "chat.db")
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def lines(done: Any) -> list[str]:
    return done.out.splitlines()[1:]  # type: ignore[no-any-return]


def test_line_has_time_sender_and_message(run: Run, sample: Path) -> None:
    done = run("search", '"first apple"', sample, "--with", "Hare")
    assert done.status == 0, done.err
    assert done.out == (
        "time (UTC)        who       message\n"
        "2023-08-03 12:39  Tortoise  Thirty years to the first apple.\n"
    )


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("when is the carrots", "a carrot appeared"),
        ("CÁRROT", "a carrot appeared"),
        ("café", "cafe\u0301"),
        ('"天气好吗"', "天气好吗"),
        ('"the carrot"', "the carrot"),
    ],
)
def test_excerpt_contains_the_match(
    run: Run, tmp_path: Path, query: str, text: str
) -> None:
    with ChatDb(tmp_path / "chat.db") as database:
        database.chat("Hare").message(f"{'the car is here when I hop ' * 9}and {text}")
    (line,) = lines(run("search", query, "chat.db"))
    assert line.count("hop") == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no tzset")
def test_table_has_local_times(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChatDb(tmp_path / "chat.db") as database:
        for text, at in (("a carrot", NEW_YEAR), ("two carrots", NEW_YEAR + 15768000)):
            database.chat(text).message(text, at=at)
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        done = run("search", "carrot", "chat.db")
        found = json.loads(run("search", "carrot", "chat.db", "--json").out)
    time.tzset()
    head, *rows = done.out.splitlines()
    assert head.startswith("time (CEST/CET)")
    assert sorted(row[:16] for row in rows) == ["2024-01-01 01:00", "2024-07-01 14:00"]
    assert min(hit["time"] for hit in found) == "2024-01-01T00:00:00+00:00"


def test_json_has_ids_of_the_export(run: Run, sample: Path) -> None:
    done = run("search", "apple", sample, "--json", "--limit", 1)
    (hit,) = json.loads(done.out)
    assert hit["sender"] == "Tortoise"
    assert hit["id"] in hit["message_ids"]
    assert hit["text"] in hit["context"]
    database = sqlite3.connect(sample)
    found = database.execute("SELECT count(*) FROM message WHERE guid = ?", [hit["id"]])
    assert found.fetchone() == (1,)
    database.close()


def test_question_is_followed_by_its_answer(run: Run, tmp_path: Path) -> None:
    with ChatDb(tmp_path / "chat.db") as database:
        chat = database.chat("Mum")
        for text, mine in (
            *[("When do we have cake?", True), ("Tea?", True), ("On Sunday.", False)],
            *[("Great", True), ("A cake with apples", False)],
        ):
            chat.message(text, mine=mine)
    done = run("search", "When do we have cake?", "chat.db")
    found = [line.rpartition("  ")[2] for line in lines(done)]
    assert found == ["When do we have cake?", "On Sunday.", "A cake with apples"]
    assert lines(run("search", "cake", "chat.db", "--from", "Mum")) == [
        line for line in lines(done) if "apples" in line
    ]


def test_from_selects_messages_by_author(run: Run, sample: Path) -> None:
    done = run("search", "race", sample, "--from", "hare")
    assert lines(done)
    assert all("  Hare  " in line and "ace" in line for line in lines(done))


def test_since_and_exclude_select_messages(run: Run, sample: Path) -> None:
    done = run("search", "race", sample, "--since", "2023-08-28")
    assert lines(done)
    assert all(line.startswith("2023-08-28") for line in lines(done))
    done = run("search", "race", sample, "--exclude", "The race tomorrow")
    assert lines(done)
    assert not any(line.startswith("2023-08-28") for line in lines(done))


@pytest.mark.parametrize("end", BREAKS)
def test_names_fit_their_column(run: Run, tmp_path: Path, end: str) -> None:
    with ChatDb(tmp_path / "chat.db") as database:
        for name in ("H" * 100, f"Evil{end}Name", "小明"):
            database.chat(name).message(f"carrot of {name[:4]}{end}2020 Hare lost")
    head, *rows = run("search", "carrot", "chat.db").out.splitlines()
    assert len(rows) == 3
    places = {cell_len(row[: row.index("carrot")]) for row in rows}
    assert places == {head.index("message")} == {44}


def test_swapped_arguments_get_the_command(run: Run, sample: Path) -> None:
    done = run("search", sample.name, "first", "apple")
    assert done.status == 2
    assert "chatexports search 'first apple' chat.db" in done.err


class TestIndex:
    def test_index_is_private(self, run: Run, sample: Path, tmp_path: Path) -> None:
        done = run("search", "race", sample)
        assert "readable only by you" in done.err
        (file,) = (tmp_path / INDEXES).iterdir()
        if os.name != "nt":
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert {path.name for path in tmp_path.iterdir()} == {"chat.db", "user data"}

    def test_unchanged_export_is_not_read_again(self, run: Run, sample: Path) -> None:
        first = run("search", "race", sample)
        again = run("search", "race", sample)
        assert "Read: 223 messages" in first.err
        assert again.err == ""
        assert again.out == first.out

    def test_deletion_is_offered_for_the_chosen_folder(
        self, run: Run, sample: Path, tmp_path: Path
    ) -> None:
        done = run("search", "race", sample, "--index-dir", tmp_path / "mine")
        assert f"search --delete-indexes --index-dir {tmp_path / 'mine'}" in done.err

    def test_only_indexes_are_deleted(
        self, run: Run, sample: Path, tmp_path: Path
    ) -> None:
        run("search", "race", sample)
        (index,) = (tmp_path / INDEXES).iterdir()
        (tmp_path / INDEXES / "notes.chatindex").write_text("not an index")
        # SQLite leaves a journal with texts if it is killed.
        index.with_name(f"{index.name}-journal").write_text("a race")
        done = run("search", "--delete-indexes")
        assert done.err == "Deleted: 1 search index\n"
        assert [path.name for path in (tmp_path / INDEXES).iterdir()] == [
            "notes.chatindex"
        ]


class TestForget:
    @pytest.mark.parametrize("option", ["--person", "--conversation"])
    def test_unknown_name_is_an_error(
        self, run: Run, sample: Path, tmp_path: Path, option: str
    ) -> None:
        """A misspelled name."""
        run("search", "race", sample)
        done = run("forget", option, "Hara", "--person", "Tortoise")
        assert done.status == 1
        assert "No search index contains 'Hara', so nothing was deleted." in done.err
        assert "Did you mean 'Hare'?" in done.err
        assert len([*(tmp_path / INDEXES).iterdir()]) == 1
