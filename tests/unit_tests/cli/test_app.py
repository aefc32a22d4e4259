"""What a person who types the commands gets."""

from __future__ import annotations

import json
import os
import shlex
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports import IMessageChatLoader, __version__
from langchain_chatexports.cli.finetune import chat_command
from langchain_chatexports.samples import write_imessage, write_messenger
from tests.unit_tests.builders.chat_db import ChatDb

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def test_version_is_the_packages(chatexports: Callable[..., Any]) -> None:
    assert chatexports("--version").out.strip() == __version__


def test_inspect_counts_and_says_the_next_command(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    done = chatexports("inspect", write_imessage(tmp_path / "chat.db"))
    assert done.status == 0
    assert "iMessage database" in done.out
    assert "Tortoise" in done.out
    assert "chatexports prepare" in done.err


def test_inspect_as_json_is_one_object_an_export(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    threads = write_messenger(tmp_path / "hogwarts")
    first, second = json.loads(chatexports("inspect", "--json", chats, threads).out)
    assert (first["platform"], first["sessions"]) == ("imessage", 10)
    assert (second["platform"], second["sessions"]) == ("facebook_messenger", 9)
    assert second["owner"] == "Harry Potter"


def test_prepare_writes_the_tutorials_windows(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    done = chatexports("prepare", threads, "--ai", "Harry Potter", "-o", "out.jsonl")
    assert done.status == 0
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert len(lines) == 100
    assert "100 examples written" in done.err


def test_prepare_without_a_name_lets_the_owner_speak_and_says_so(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    done = chatexports("prepare", threads, "-o", "out.jsonl")
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
    assert first["messages"][0] == answer


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
        chatexports(
            "prepare", chats, "--ai", "Tortoise", *options, "-o", "o.jsonl", "--size", 7
        )
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


def test_too_few_examples_are_refused_before_anything_starts(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    done = chatexports("finetune", chats, "--ai", "Tortoise", "--size", "22")
    assert done.status == 1
    assert "examples are too few" in done.err
    assert "--size" in done.err
    assert done.out == ""


def test_an_upload_needs_to_be_agreed_to(
    chatexports: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    chats = write_imessage(tmp_path / "chat.db")
    done = chatexports(
        *("finetune", chats, "--ai", "Tortoise", "--model", "m"),
        *("--base-url", "http://192.0.2.1:9/v1"),
    )
    assert done.status == 1
    assert "192.0.2.1:9" in done.err
    assert "--yes" in done.err
    assert "nothing was sent" in done.err


def test_examples_and_exports_are_not_mixed(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    chatexports("prepare", chats, "--ai", "Tortoise", "-o", "out.jsonl")
    done = chatexports("finetune", chats, "out.jsonl", "--ai", "Tortoise")
    assert done.status == 1
    assert "holds examples" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare", "x", "-o", "y", "--size", "2", "--overlap", "2"],
        ["finetune", "x", "--model", "m"],
        ["chat", "--base-url", "http://127.0.0.1:1/v1"],
    ],
)
def test_options_that_do_not_fit_are_a_usage_error(
    chatexports: Callable[..., Any], tmp_path: Path, arguments: list[str]
) -> None:
    given: list[Any] = [*arguments]
    if given[1] == "x":
        given[1] = write_imessage(tmp_path / "chat.db")
        given += ["--ai", "Tortoise"]
    assert chatexports(*given).status == 2


def test_an_error_is_a_line_and_no_traceback(chatexports: Callable[..., Any]) -> None:
    done = chatexports("inspect", "nope")
    assert done.status == 1
    assert done.err.startswith("error: There is nothing at nope")
    assert "Traceback" not in done.err


def test_debug_shows_the_traceback(chatexports: Callable[..., Any]) -> None:
    with pytest.raises(Exception, match="nope"):
        chatexports("--debug", "inspect", "nope")


def test_without_the_extra_the_command_says_which_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from langchain_chatexports import cli

    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "langchain_chatexports.cli.app", raising=False)
    with pytest.raises(SystemExit, match=r"langchain-chatexports\[cli\]"):
        cli.main()


def test_no_example_at_all_is_an_error_and_no_file(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    arguments = ("--ai", "Tortoise", "--size", "40", "-o", "out.jsonl")
    done = chatexports("prepare", chats, *arguments)
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


@pytest.mark.parametrize("command", ["inspect", "prepare", "finetune"])
def test_a_refusal_of_the_system_names_the_remedy(
    chatexports: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    real: Any = os.open

    def refuse(path: Any, *args: Any, **kwargs: Any) -> Any:
        if Path(path).name == "chat.db":
            raise PermissionError(1, "Operation not permitted", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    arguments = ("--ai", "x", "-o", "o.jsonl") if command == "prepare" else ()
    done = chatexports(command, chats, *arguments)
    assert done.status == 1
    assert "Full Disk Access" in done.err
    assert "chat.db-wal" in done.err


def test_a_server_that_is_not_there_is_a_line(
    chatexports: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    url = "http://127.0.0.1:9/v1"
    done = chatexports("chat", "ft:x", "--base-url", url, stdin="Hello\n")
    assert done.status == 1
    assert f"error: {url} does not answer" in done.err
    assert "Traceback" not in done.err


def test_a_missing_key_is_a_line(chatexports: Callable[..., Any]) -> None:
    url = "http://127.0.0.1:9/v1"
    done = chatexports("chat", "ft:x", "--base-url", url, stdin="Hello\n")
    assert done.status == 1
    assert "OPENAI_API_KEY" in done.err


def test_the_chat_command_works_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = chat_command("ft:x", data_dir=Path("my models"))
    expected = str(tmp_path / "my models")
    assert shlex.split(command)[2:] == ["--data-dir", expected, "ft:x"]
    assert chat_command("ft:x:local::1") == "chatexports chat ft:x:local::1"


def test_a_suffix_that_is_too_long_is_a_usage_error(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    done = chatexports("finetune", chats, "--ai", "Tortoise", "--suffix", "x" * 65)
    assert done.status == 2
