"""A chat at a terminal: several models side by side, each with its own memory."""

import io
import json
import re
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from unittest.mock import Mock

import pytest
from rich.console import Console

from langchain_chatexports.chat_loaders.pipe import read_loaders
from langchain_chatexports.cli import _replies
from langchain_chatexports.cli._replies import (
    StreamedReply,
    show_replies,
    show_side_by_side,
)
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.datasets.replies import REPLIES
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import Workspace, job_labels
from langchain_chatexports.personas.talk import Talk
from langchain_chatexports.workflows import preparation
from tests.unit_tests.builders.chat_models import Recorder
from tests.unit_tests.builders.local_jobs import serve_locally
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer
from tests.unit_tests.builders.workspaces import add_model
from tests.unit_tests.cli.conftest import Run

# The package has a function with this name.
TALK = import_module("langchain_chatexports.workflows.talk")
_TORTOISE = "You are Tortoise."
_CARD = "You write about 2 words in a message, seldom more than 2."
_ASK_TORTOISE = ("chat", "chat.jsonl", "--ai", "Tortoise")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """A server in place of the local one, with the base `tiny`."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with OpenAIServer(models={"tiny": None}).running() as running:
        serve_locally(running, monkeypatch, base_model="tiny")
        yield running


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "kept")


@pytest.fixture
def export(tmp_path: Path) -> Path:
    rows = [("Hare", "More tea?"), ("Tortoise", "Always tea."), ("Hare", "Good.")] * 12
    keys = ("conversation", "sender", "text", "time")
    lines = [("c", *row, 1_700_000_000 + time) for time, row in enumerate(rows)]
    path = tmp_path / "chat.jsonl"
    write_jsonl([dict(zip(keys, line, strict=True)) for line in lines], path)
    return path


def _prompt(server: OpenAIServer) -> str:
    return str(server.chats[-1]["messages"][0]["content"])


def screen(width: int = 80) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=True, width=width, color_system=None), file


def shown(answers: list[StreamedReply], width: int = 80) -> str:
    console, file = screen(width)
    show_side_by_side(console, answers)
    return last_frame(file.getvalue())


def last_frame(text: str) -> str:
    """Return what remains on the screen: each frame is drawn over the last."""
    return [part for part in CONTROL.split(text) if part.strip()][-1]


@pytest.mark.parametrize("has_bubbles", [False, True])
def test_terminal_codes_in_answers_are_removed(has_bubbles: bool) -> None:
    console, file = screen()
    answer = StreamedReply("x\x1b]0;y\x07", ["\x1b[2Jgone\x1b]0;y\x07"], has_bubbles)
    show_side_by_side(console, [answer])
    assert "\x1b[2J" not in file.getvalue()
    assert "\x1b]" not in file.getvalue()
    assert "gone" in file.getvalue()


def test_server_error_stops_all_answers() -> None:
    is_asked = threading.Event()

    def endless() -> Iterator[str]:
        while True:
            is_asked.set()
            yield "x"

    def failing() -> Iterator[str]:
        yield from ()
        is_asked.wait(60)
        msg = "The server is gone."
        raise ChatExportError(msg)

    with pytest.raises(ChatExportError, match="gone"):
        shown([StreamedReply("x", failing()), StreamedReply("y", endless())])


def test_missing_remote_model_is_named(run: Run, server: OpenAIServer) -> None:
    server.routes_missing = ["POST /chat/completions"]
    done = run("chat", "tiny-2", "--base-url", server.base_url, stdin="Hello\n")
    assert done.status == 1
    assert "has no model tiny-2. Check the name." in done.err


def test_compared_models_get_the_same_prompt(
    run: Run, workspace: Workspace, server: OpenAIServer
) -> None:
    model = add_model(workspace, results={"system_prompt": _TORTOISE})
    server.models[model.name] = None
    lines = "Tea?\nMore tea?\n"
    done = run("chat", "--compare", "--data-dir", "kept", stdin=lines)
    assert done.status == 0, done.err
    prompts: dict[str, list[str]] = {"tiny": [], "ft": []}
    for body in server.chats:
        prompts[body["model"].split(":")[0]].append(body["messages"][0]["content"])
    assert prompts == {"tiny": [_TORTOISE] * 2, "ft": [_TORTOISE] * 2}
    assert done.out.startswith("base model: ")


def test_memory_uses_existing_exports(
    run: Run, workspace: Workspace, server: OpenAIServer, export: Path
) -> None:
    exports = (export, export.with_name("gone.jsonl"))
    labels = job_labels("Tortoise", "", exports)[1]
    server.models[add_model(workspace, metadata=labels).name] = None
    command, line = ("chat", "--data-dir", "kept", "--json"), "Where is the rocket?\n"
    done = run(*command, stdin=line)
    assert json.loads(done.out)["text"] == "I don't know"
    assert server.chats == []
    export.unlink()
    done = run(*command, stdin=line)
    assert len(server.chats) == 1, done.err


@pytest.mark.usefixtures("export")
def test_chat_with_an_export_imitates_the_person(
    run: Run, server: OpenAIServer
) -> None:
    server.words = ["Always\n", "and ever."]
    done = run(*_ASK_TORTOISE, "--json", stdin="Tea?\n")
    assert done.status == 0, done.err
    assert "You are Tortoise. You are chatting with Hare." in _prompt(server)
    assert _CARD in _prompt(server)
    assert f"{REPLIES}\n> " in _prompt(server)
    assert _prompt(server).endswith("> More tea?\nAlways tea.")
    assert server.chats[-1]["model"] == "tiny"
    assert json.loads(done.out)["model"] == "Tortoise"
    assert json.loads(done.out)["bubbles"] == ["Always"]
    assert "imitates Tortoise, using" in done.err
    assert "Base model: SmolLM2-135M-Instruct, a tiny demo model" in done.err
    assert "To train a model of this person in about 1 min:" in done.err
    assert "\n  chatexports finetune chat.jsonl --ai Tortoise\n" in done.err


def test_other_person_of_a_chat_of_two_is_imitated(
    run: Run, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The export is read once, and its owner need not have answers."""
    read = Mock(side_effect=read_loaders)
    monkeypatch.setattr(preparation, "read_loaders", read)
    lines = [
        f"{n + 1}.02.24, 12:10 - {name}: {text} {n}"
        for n in range(20)
        for name, text in (("Bo", "Tea?"), ("Ann", "Yes"))
    ]
    export = "WhatsApp Chat with Ann.txt"
    Path(export).write_text("\n".join(lines), "utf-8")
    done = run("chat", export, "--export-zone", "UTC", stdin="Tea?\n")
    assert done.status == 0, done.err
    assert "You are Ann. You are chatting with Bo." in _prompt(server)
    assert "Imitating Ann, the other person. For another: --ai NAME" in done.err
    assert f"finetune '{export}' --ai Ann --export-zone UTC" in done.err
    assert read.call_count == 1


@pytest.mark.usefixtures("export")
def test_sending_exports_needs_consent(run: Run, server: OpenAIServer) -> None:
    command = (*_ASK_TORTOISE, "--base", BASE_MODEL)
    refused = run(*command, "--base-url", "https://example.com/v1", stdin="Tea?")
    assert refused.status == 1
    assert "exports to example.com. Nothing was sent." in refused.err
    done = run(*command, "--base-url", server.base_url, stdin="Tea?\n")
    assert done.status == 0, done.err
    assert "Always tea." in _prompt(server)


@pytest.mark.usefixtures("export")
def test_server_on_this_machine_needs_no_key(
    run: Run, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setattr("tests.unit_tests.builders.openai_server.KEY", "none")
    monkeypatch.setattr(TALK, "OLLAMA_URL", server.base_url)
    for base in ("ollama:tiny", server.base_url):
        done = run(*_ASK_TORTOISE, "--base", base, stdin="Tea?\n")
        assert done.status == 0, done.err
        assert server.chats[-1]["model"] == "tiny"
        assert "You are Tortoise. You are chatting with Hare." in _prompt(server)
    trained = run("finetune", "chat.jsonl", "--base", "ollama:tiny")
    assert "not a model on another server" in " ".join(trained.err.split())


def test_model_name_precedes_path(
    run: Run, workspace: Workspace, export: Path, server: OpenAIServer
) -> None:
    model_name = add_model(workspace).name
    server.models[model_name] = None
    name = model_name.rpartition(":")[2]
    export.rename(export.with_name(name))
    model = run("chat", name, "--data-dir", "kept", stdin="Tea?\n")
    options = ("--data-dir", "kept", "--ai", "Tortoise")
    other = run("chat", name, *options, stdin="Tea?\n")
    assert (model.status, other.status) == (0, 0), (model.err, other.err)
    assert [chat["model"][:3] for chat in server.chats] == ["ft:", "tin"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("x", "--base-url", "http://x", "--ai", "A"),
            "--base-url with exports needs --base",
        ),
        (("ft:x", "--base", "y"), "--base is only for exports"),
        (("--base-url", "http://x"), "--base-url needs the name of a model"),
        (("ft:x", "--base-url", "http://x", "--compare"), "--compare works only"),
    ],
)
def test_conflicting_options_are_usage_errors(
    run: Run, arguments: tuple[str, ...], message: str
) -> None:
    done = run("chat", *arguments)
    assert done.status == 2
    assert message in " ".join(done.err.split())


def test_newest_model_answers(
    run: Run, workspace: Workspace, server: OpenAIServer
) -> None:
    labels = job_labels("Jonas", "")[1]
    _, newest = [add_model(workspace, mark=mark, metadata=labels) for mark in "12"]
    server.models[newest.name] = None
    done = run("chat", "jonas", "--data-dir", "kept", stdin="Hi\n")
    assert done.status == 0, done.err
    assert server.chats[-1]["model"] == newest.name
    assert "Using the newest model named jonas; 1 older model" in done.err


def test_messages_appear_one_after_another() -> None:
    answer = StreamedReply(
        "x", ["How ", "are\nyou ", "today?"], has_bubbles=True, is_paced=True
    )
    started = time.time()
    assert "today?" in shown([answer])
    first, second = answer.times
    assert 0.3 <= second - first <= 2
    assert second >= started + 0.3
    at_once = StreamedReply("x", ["How are\n", "you today?"], has_bubbles=True)
    shown([at_once])
    assert at_once.times[1] - at_once.times[0] < 0.3


def test_talk_continues_from_the_messages_that_were_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Recorder(responses=["Hello\n" + "you " * 40], asked=[])
    talk = Talk("Tortoise", model, has_bubbles=True)
    talk.add_line("Hi")

    def stop(_console: Console, replies: list[StreamedReply]) -> None:
        reply = replies[0]
        reply.read(threading.Event())
        assert not reply.reveal()
        raise KeyboardInterrupt

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_MOTION", raising=False)
    monkeypatch.setattr(_replies, "show_side_by_side", stop)
    with pytest.raises(KeyboardInterrupt):
        show_replies([talk])
    (turn,) = talk.turns
    assert turn.answer == "Hello"
    assert len(turn.sent) == len(turn.received) == 1
