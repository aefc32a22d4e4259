"""`chatexports prepare`: examples, sets, and the speaker."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.samples import write_whatsapp
from tests.unit_tests.cli.conftest import Run


@pytest.mark.filterwarnings("default:Times in")
def test_local_time_zone_is_reported(run: Run, tmp_path: Path) -> None:
    path = write_whatsapp(tmp_path / "whatsapp")
    done = run("prepare", path, "-o", "out.jsonl")
    assert done.err.count("have no time zone, and are read as this machine's (") == 1
    assert "\nzone      this machine's (" in run("inspect", path).out


def test_prepare_asks_for_the_speaker(
    run: Run, tmp_path: Path, chats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "langchain_chatexports.cli._console.stdin_is_terminal", lambda: True
    )
    done = run("prepare", chats, "-o", "out.jsonl", "--whole", stdin="9\n2\n")
    assert done.status == 0
    first = json.loads((tmp_path / "out.jsonl").read_bytes().split(b"\n")[0])
    answer = {"role": "assistant", "content": "Slow and steady, that's my motto."}
    assert first["messages"][1] == answer


def test_no_examples_are_an_error(run: Run, tmp_path: Path, chats: Path) -> None:
    arguments = ("--ai", "Tortoise", "--size", "40", "--gap", "none")
    done = run("prepare", chats, *arguments, "-o", "out.jsonl")
    assert done.status == 1
    assert "Use --keep-tail, a smaller --size, --whole, or a longer --gap." in done.err
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.filterwarnings("default::UserWarning")
def test_messages_name_the_options(run: Run, chats: Path) -> None:
    """The library names parameters; `include` is the option `--with`."""
    assert run("prepare", chats, "--ai", "Tortoise", "-o", "first").status == 0
    done = run("prepare", "first", "--with", "Hare", "--no-groups", "-o", "next")
    assert (done.status, "Options: --no-groups, --with." in done.err) == (1, True)
    done = run("prepare", "first", "--keep-trailing", "-o", "next")
    assert done.status == 0
    assert "--keep-trailing ignored: applies only to exports." in done.err
    done = run("prepare", chats, "--ai", "Hare", "--with", "Nobody", "-o", "none")
    assert "No conversation matches --with." in done.err


@pytest.mark.parametrize("command", ["prepare", "report"])
@pytest.mark.parametrize("target", ["chat.db", "hogwarts/out.jsonl"])
def test_output_in_an_export_is_refused(
    run: Run, threads: Path, chats: Path, command: str, target: str
) -> None:
    before = chats.read_bytes()
    assert run(command, chats, threads, "-o", target).status == 2
    assert chats.read_bytes() == before
    assert not (threads / "out.jsonl").exists()


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != "hogwarts"}


SUMMARY = (
    "100 examples from 663 messages, 9 dialogues; skipped: 64 after the last "
    "answer, 29 left over at the end."
)


def test_set_has_card_and_trace(run: Run, tmp_path: Path, threads: Path) -> None:
    arguments = ("--format", "openai", "--gap", "none", "-o", "out.jsonl")
    done = run("prepare", threads, *arguments)
    assert done.status == 0
    assert _names(tmp_path) == {
        "out.jsonl",
        "out.jsonl.card.md",
        "out.jsonl.trace.jsonl",
    }
    assert done.err.splitlines() == [
        "hogwarts: imitating its owner, Harry Potter",
        SUMMARY,
        "Wrote out.jsonl",
        "Data card: out.jsonl.card.md; trace: out.jsonl.trace.jsonl",
        "Next: chatexports finetune out.jsonl",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes")
def test_pipe_gets_examples_only(run: Run, tmp_path: Path, threads: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = run("prepare", threads, "--limit", 3, "-o", "pipe")
        first = os.read(reader, 1 << 16).split(b"\n")[0]
    finally:
        os.close(reader)
    assert done.status == 0, done.err
    assert "no data card and trace" in done.err
    assert json.loads(first)["messages"]
    assert [path.name for path in tmp_path.glob("pipe*")] == ["pipe"]
    refused = run("prepare", threads, "--format", "trl-prompt-completion", "-o", "pipe")
    assert refused.status == 1


def test_key_is_written_with_the_redacted_set(
    run: Run, tmp_path: Path, chats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop between the two would leave a set without its key."""
    order: list[str] = []
    real = IMessageChatLoader.conversations
    real_replace = type(tmp_path).replace

    def read(loader: IMessageChatLoader, files: Any) -> Any:
        order.append("read")
        yield from real(loader, files)

    def replace(path: Path, target: str | Path) -> Path:
        order.append(type(path)(target).name)
        return real_replace(path, target)

    monkeypatch.setattr(IMessageChatLoader, "conversations", read)
    monkeypatch.setattr(type(tmp_path), "replace", replace)
    done = run("prepare", chats, "--redact", "--ai", "Hare", "-o", "red.jsonl")
    assert done.status == 0, done.err
    assert order.index("red.jsonl") > len(order) - 1 - order[::-1].index("read")
    assert order.count("red.jsonl.key") == 1
    text = (tmp_path / "red.jsonl").read_text(encoding="utf-8")
    assert not any(name in text for name in ("Tortoise", "Hare"))
