"""`chatexports prepare`: examples, sets, and who speaks."""

from __future__ import annotations

import json
import os
import re
import stat
import zipfile
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.datasets.jsonl import read_jsonl
from langchain_chatexports.datasets.trace_file import read_header
from langchain_chatexports.samples import (
    write_imessage,
    write_messenger,
    write_whatsapp,
)
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.telegram import ANN, BO, Page, TelegramChat, text_block

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any


def test_prepare_writes_the_tutorials_windows(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    arguments = ("--ai", "Harry Potter", "--gap", "none", "-o", "out.jsonl")
    done = chatexports("prepare", threads, *arguments)
    assert done.status == 0
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert len(lines) == 100
    assert "100 examples from 663 messages" in done.err


def test_prepare_without_a_name_lets_the_owner_speak_and_says_so(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    done = chatexports("prepare", threads, "--gap", "none", "-o", "out.jsonl")
    assert "Harry Potter speaks as the AI (the export's owner)" in done.err
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == 100


def test_prepare_without_a_name_or_an_owner_lists_the_senders(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    done = chatexports("prepare", chats, "-o", "out.jsonl")
    assert done.status == 1
    assert "--ai NAME" in done.err
    assert "Hare" in done.err
    assert "Tortoise" in done.err
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.filterwarnings("default:Times in")
def test_prepare_says_in_whose_time_zone_local_times_are_read(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    path = write_whatsapp(tmp_path / "whatsapp")
    done = chatexports("prepare", path, "-o", "out.jsonl")
    assert done.err.count("have no zone, and are read as this machine's (") == 1
    assert "\nzone      this machine's (" in chatexports("inspect", path).out


def test_prepare_asks_at_a_terminal(
    chatexports: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    monkeypatch.setattr(
        "langchain_chatexports.cli.prepare.stdin_is_terminal", lambda: True
    )
    done = chatexports("prepare", chats, "-o", "out.jsonl", "--whole", stdin="9\n2\n")
    assert done.status == 0
    first = json.loads((tmp_path / "out.jsonl").read_bytes().split(b"\n")[0])
    answer = {"role": "assistant", "content": "Slow and steady, that's my motto."}
    assert first["messages"][1] == answer


def test_prepare_with_a_wrong_name_lists_the_senders(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    done = chatexports("prepare", chats, "--ai", "Turtle", "-o", "out.jsonl")
    assert done.status == 1
    assert "Tortoise" in done.err
    assert not (tmp_path / "out.jsonl").exists()


def test_prepare_whole_gives_an_example_a_conversation(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    chatexports("prepare", chats, "--ai", "Tortoise", "--whole", "-o", "out.jsonl")
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == 10


def test_keep_tail_adds_windows_and_keep_trailing_adds_messages(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")

    def prepared(*options: Any) -> tuple[int, int]:
        arguments = (chats, "--ai", "Tortoise", "--gap", "none", "--size", 7)
        chatexports("prepare", *arguments, *options, "-o", "o.jsonl", "--force")
        text = (tmp_path / "o.jsonl").read_text(encoding="utf-8")
        examples = [json.loads(line) for line in text.split("\n") if line]
        return len(examples), sum(len(e["messages"]) for e in examples)

    windows, messages = prepared()
    assert prepared("--keep-tail")[0] > windows
    assert prepared("--keep-trailing")[0] == windows
    assert prepared("--keep-trailing")[1] > messages


def test_prepare_takes_several_exports_and_several_names(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    threads = write_messenger(tmp_path / "hogwarts")
    names = ("--ai", "Tortoise", "--ai", "Harry Potter")
    done = chatexports("prepare", chats, threads, *names, "--json", "-o", "out.jsonl")
    result = json.loads(done.out)
    assert [export["sessions"] for export in result["exports"]] == [10, 9]
    assert result["examples"] > 100
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert len(lines) == result["examples"]


def test_prepare_writes_the_same_bytes_from_folder_and_zip(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for file in sorted(threads.rglob("*.json")):
            archive.write(file, file.relative_to(tmp_path).as_posix())
    for source, target in ((threads, "a"), (tmp_path / "x.zip", "b")):
        chatexports("prepare", source, "--ai", "Harry Potter", "-o", target)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permission bits")
def test_prepared_files_are_the_owners_only(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    chatexports("prepare", chats, "--ai", "Tortoise", "-o", "out.jsonl")
    assert (tmp_path / "out.jsonl").stat().st_mode & 0o777 == 0o600


def test_no_example_at_all_is_an_error_and_no_file(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    arguments = ("--ai", "Tortoise", "--size", "40", "--no-keep-tail")
    done = chatexports("prepare", chats, *arguments, "-o", "out.jsonl")
    assert done.status == 1
    assert "--keep-tail" in done.err
    assert not (tmp_path / "out.jsonl").exists()


def test_a_wrong_name_is_found_also_where_no_window_is_full(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    arguments = ("--ai", "Turtle", "--size", "40", "-o", "out.jsonl")
    done = chatexports("prepare", chats, *arguments)
    assert done.status == 1
    assert "'Tortoise' (108)" in done.err


def test_an_export_without_an_owner_among_others_is_not_dropped(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    threads = write_messenger(tmp_path / "hogwarts")
    done = chatexports("prepare", chats, threads, "-o", "out.jsonl")
    assert done.status == 1
    assert "The owner of" in done.err
    assert "chat.db" in done.err
    assert not (tmp_path / "out.jsonl").exists()


def test_an_export_without_the_named_person_is_said(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    threads = write_messenger(tmp_path / "hogwarts")
    arguments = ("--ai", "Tortoise", "-o", "out.jsonl")
    done = chatexports("prepare", chats, threads, *arguments)
    assert done.status == 0
    assert "warning: nobody in" in done.err
    assert "hogwarts" in done.err


def test_asking_keeps_the_owners_that_are_known(
    chatexports: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    threads = write_messenger(tmp_path / "hogwarts")
    monkeypatch.setattr(
        "langchain_chatexports.cli.prepare.stdin_is_terminal", lambda: True
    )
    done = chatexports(
        "prepare", chats, threads, "--json", "-o", "out.jsonl", stdin="Tortoise\n"
    )
    assert done.status == 0
    alone = chatexports("prepare", threads, "--json", "-o", "alone.jsonl")
    both = json.loads(done.out)["examples"]
    assert both > json.loads(alone.out)["examples"]


def test_a_handle_is_the_person_whom_the_contacts_name(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    address = "+1 (555) 010-1234"
    path = tmp_path / "chat.db"
    with ChatDb(path) as database:
        chat = database.chat("+15550101234")
        for number in range(6):
            chat.message(f"question {number}")
            chat.message(f"answer {number}", mine=True)
    loader = IMessageChatLoader(path, contacts={"+15550101234": "Ann Lee"})
    assert loader.names_of(address) == {"Ann Lee"}
    assert loader.names_of("ann lee") == {"Ann Lee"}
    assert loader.names_of("Bob") == {"Bob"}
    done = chatexports("prepare", path, "--ai", address, "--whole", "-o", "out.jsonl")
    assert done.status == 0, done.err


@pytest.mark.parametrize("target", ["chat.db", "hogwarts/out.jsonl"])
def test_a_source_is_never_written_to(
    chatexports: Callable[..., Any], tmp_path: Path, target: str
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    threads = write_messenger(tmp_path / "hogwarts")
    before = chats.read_bytes()
    done = chatexports(
        *("prepare", chats, threads, "--ai", "Tortoise", "--ai", "Harry Potter"),
        *("-o", target),
    )
    assert done.status == 2
    assert chats.read_bytes() == before
    assert not (threads / "out.jsonl").exists()


SPLIT_FORMATS = ["openai", "trl-prompt-completion", "parquet"]


@pytest.fixture
def threads(tmp_path: Path) -> Path:
    return write_messenger(tmp_path / "hogwarts")


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != "hogwarts"}


def test_prepare_alone_writes_a_file_with_its_card_and_its_trace(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    chatexports("prepare", threads, "--gap", "none", "-o", "out.parquet")
    assert _names(tmp_path) == {
        "out.parquet",
        "out.parquet.card.md",
        "out.parquet.trace.jsonl",
    }
    assert sum(1 for _ in read_jsonl(tmp_path / "out.parquet")) == 100


MADE = (
    "100 examples from 663 messages in 9 conversations; skipped: 64 after the last "
    "answer, 29 left over at the end."
)


def test_a_set_has_its_card_and_its_trace(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    arguments = ("--format", "openai", "--gap", "none", "-o", "out.jsonl")
    done = chatexports("prepare", threads, *arguments)
    assert done.status == 0
    assert _names(tmp_path) == {
        "out.jsonl",
        "out.jsonl.card.md",
        "out.jsonl.trace.jsonl",
    }
    assert done.err.splitlines() == [
        "hogwarts: Harry Potter speaks as the AI (the export's owner)",
        MADE,
        "Written: out.jsonl",
        "Data card: out.jsonl.card.md; trace: out.jsonl.trace.jsonl",
        "Next: chatexports finetune out.jsonl",
    ]


def test_a_set_in_openais_format_has_the_plain_files_bytes(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    chatexports("prepare", threads, "-o", "plain.jsonl")
    chatexports("prepare", threads, "--format", "openai", "-o", "set.jsonl")
    plain = (tmp_path / "plain.jsonl").read_bytes()
    assert (tmp_path / "set.jsonl").read_bytes() == plain


@pytest.mark.parametrize("name", SPLIT_FORMATS)
def test_every_format_can_be_split(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path, name: str
) -> None:
    pytest.importorskip("duckdb")
    done = chatexports(
        "prepare", threads, "--format", name, "--split", "--dedup", "-o", "set"
    )
    assert done.status == 0, done.err
    # The samples repeat themselves, so that a part may lose all of its examples.
    assert len(read_header(tmp_path / "set").files) >= 2
    assert (tmp_path / "set.card.md").is_file()


def test_the_card_accounts_for_the_export(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    chatexports("prepare", threads, "--consent", "All agreed.", "-o", "set")
    facts = read_header(tmp_path / "set").facts
    assert facts.consent == "All agreed."
    assert facts.sources[0].platform == "facebook_messenger"
    assert facts.stages[0].name == "Export (facebook_messenger)"
    assert all(stage.adds_up for stage in facts.stages)
    card = (tmp_path / "set.card.md").read_text(encoding="utf-8")
    assert "Potter" not in card


def test_a_set_as_json(chatexports: Callable[..., Any], threads: Path) -> None:
    arguments = ("--gap", "none", "--json", "-o", "set.jsonl")
    done = chatexports("prepare", threads, *arguments)
    told = json.loads(done.out)
    assert told["files"] == {"set.jsonl": 100}
    assert told["exports"][0]["platform"] == "facebook_messenger"


def test_examples_that_were_prepared_before_can_be_converted(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    chatexports("prepare", threads, "-o", "plain.jsonl")
    done = chatexports(
        *("prepare", "plain.jsonl", "--format", "trl-prompt-completion"),
        *("-o", "rows.jsonl"),
    )
    assert done.status == 0
    first = next(read_jsonl(tmp_path / "rows.jsonl"))
    assert first.keys() == {"prompt", "completion"}


def test_a_format_that_is_not_known_is_a_usage_error(
    chatexports: Callable[..., Any], threads: Path
) -> None:
    done = chatexports("prepare", threads, "--format", "yaml", "-o", "out")
    assert done.status == 2
    assert "trl-prompt-completion" in done.err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_set_is_for_its_owner_only(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    chatexports("prepare", threads, "-o", "set.jsonl")
    for path in tmp_path.glob("set*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_part_of_which_nothing_is_left_is_said(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    """The sample's friends say much the same to Harry, week by week."""
    threads = write_messenger(tmp_path / "hogwarts")
    for options in ([], ["--json"]):
        done = chatexports(
            "prepare", threads, "--split", "-o", "set", "--force", *options
        )
        assert done.status == 0
        (warning,) = [
            line for line in done.err.splitlines() if line.startswith("warning: ")
        ]
        assert warning.startswith("warning: test: no examples are left. 15 newer")
        assert "add conversations" in warning
    assert not (tmp_path / "set" / "test.jsonl").exists()
    assert json.loads(done.out)["files"] == {"train.jsonl": 69, "validation.jsonl": 3}


def test_parts_that_are_there_need_no_warning(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    done = chatexports("prepare", chats, "--ai", "Hare", "--split", "-o", "set")
    assert "warning" not in done.err
    assert (tmp_path / "set" / "test.jsonl").exists()


CLASS_NAME = re.compile(r"\b[A-Z][a-z]+[A-Z]\w+|\w+\(\.*\)")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("-o", "set", "--split"), 1),
        (("-o", "set", "--redact"), 0),
        (("-o", "set", "--format", "trl-prompt-completion"), 0),
        (("-o", "set", "--ai-role", "agent"), 1),
    ],
)
def test_no_class_is_named_at_the_terminal(
    chatexports: Callable[..., Any],
    tmp_path: Path,
    options: tuple[str, ...],
    status: int,
) -> None:
    path = tmp_path / "table.jsonl"
    rows = (f"c{n // 10} {n % 10} {'ab'[n % 2]}".split() for n in range(20))
    path.write_text(
        "".join(
            f'{{"conversation_id": "{talk}", "text": "{n}", "sender": "{who}"}}\n'
            for talk, n, who in rows
        )
    )
    speaker = () if "--ai-role" in options else ("--ai", "a")
    done = chatexports("prepare", path, *speaker, *options)
    assert done.status == status, done.err
    assert not CLASS_NAME.findall(done.err)


def forwards_in_json(path: Path) -> Path:
    chat = TelegramChat()
    chat.says(BO, "One?")
    chat.says(ANN, "own")
    chat.says(ANN, "of Cy", forwarded_from="Cy")
    chat.says(ANN, "of nobody", forwarded_from=None)
    chat.says(ANN, "own, too")
    chat.says(BO, "Two?")
    chat.says(ANN, "saved", saved_from="Cy")
    chat.says(BO, "Three?")
    chat.says(ANN, "end")
    return chat.write(path / "result.json")


def forwards_in_html(path: Path) -> Path:
    def forward(text: str) -> str:
        return (
            '<div class="forwarded body"><div class="from_name">Cy</div>'
            f"{text_block(text)}</div>"
        )

    page = Page()
    bodies: list[tuple[str | None, str]] = [
        ("Bo", text_block("One?")),
        ("Ann", text_block("own")),
        (None, forward("of Cy")),
        (None, forward("of nobody")),
        (None, text_block("own, too")),
        ("Bo", text_block("Two?")),
        ("Ann", forward("saved")),
        ("Bo", text_block("Three?")),
        ("Ann", text_block("end")),
    ]
    for number, (name, body) in enumerate(bodies, 1):
        page.says(name, body, number=number)
    return page.write(path / "messages.html")


@pytest.mark.parametrize("write", [forwards_in_json, forwards_in_html])
def test_what_was_forwarded_in_telegram_is_never_learned(
    chatexports: Callable[..., Any], tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    """It is in the examples as context: apart from own words, with weight 0."""
    path = write(tmp_path / "export")
    zone = ("--export-zone", "Europe/Berlin")
    done = chatexports("prepare", path, *zone, "--gap", "none", "-o", "out.jsonl")
    assert done.status == 0, done.err
    (example,) = read_jsonl(tmp_path / "out.jsonl")
    answers = [m for m in example["messages"] if m["role"] == "assistant"]
    context = [m["content"] for m in answers if m.get("weight") == 0]
    learned = [m["content"] for m in answers if m.get("weight") != 0]
    assert context == ["of Cy\n\nof nobody", "saved"]
    assert learned == ["own", "own, too", "end"]


def test_a_chat_in_which_the_person_only_forwards_gives_no_examples(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chat = TelegramChat()
    for number in range(4):
        chat.says(BO, f"{number}?")
        chat.says(ANN, "passed on", forwarded_from="Cy")
    path = chat.write(tmp_path / "result.json")
    done = chatexports("prepare", path, "--gap", "none", "-o", "out.jsonl")
    assert done.status == 1
    assert "produced no examples" in done.err
