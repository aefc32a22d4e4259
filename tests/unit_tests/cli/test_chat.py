"""A chat at a terminal: several models side by side, each with its own memory."""

import io
import json
import re
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from langchain_chatexports.cli._answers import Answer, show_side_by_side
from langchain_chatexports.datasets.replies import REPLIES
from langchain_chatexports.exceptions import ChatExportError
from tests.unit_tests.builders.kept_models import keep_model
from tests.unit_tests.builders.local_jobs import serve_locally
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer
from tests.unit_tests.cli.conftest import Command

# Packages have functions of these names.
TALK: Any = import_module("langchain_chatexports.workflows.talk")
CHAT: Any = import_module("langchain_chatexports.cli.chat")


_TORTOISE = "You are Tortoise."
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def screen(width: int = 80) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=True, width=width, color_system=None), file


def shown(answers: list[Answer], width: int = 80) -> str:
    console, file = screen(width)
    show_side_by_side(console, answers)
    return last_frame(file.getvalue())


def last_frame(text: str) -> str:
    """What stays on the screen: each frame is drawn over the one before."""
    return [part for part in CONTROL.split(text) if part.strip()][-1]


@pytest.mark.parametrize("has_bubbles", [False, True])
def test_what_a_model_says_is_no_terminal_code(has_bubbles: bool) -> None:
    console, file = screen()
    answer = Answer("x\x1b]0;y\x07", ["\x1b[2Jgone\x1b]0;y\x07"], has_bubbles)
    show_side_by_side(console, [answer])
    assert "\x1b[2J" not in file.getvalue()
    assert "\x1b]" not in file.getvalue()
    assert "gone" in file.getvalue()


def test_a_server_that_goes_ends_all_answers() -> None:
    is_asked = threading.Event()

    def endless() -> Iterator[str]:
        while True:
            is_asked.set()
            yield "x"

    def gone() -> Iterator[str]:
        yield from ()
        is_asked.wait(60)
        msg = "The server is gone."
        raise ChatExportError(msg)

    with pytest.raises(ChatExportError, match="gone"):
        shown([Answer("x", gone()), Answer("y", endless())])


def test_a_model_that_another_server_does_not_have_is_named(
    chatexports: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with OpenAIServer(routes_missing=["POST /chat/completions"]).running() as server:
        done = chatexports(
            *("chat", "tiny-2", "--base-url", server.base_url), stdin="Hello\n"
        )
    assert done.status == 1
    assert "has no model tiny-2. Check the name." in done.err


def test_the_base_beside_it_is_asked_alike(
    chatexports: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_model(tmp_path / "kept", "1" * 12, system_prompt=_TORTOISE)
    with OpenAIServer(models={"tiny": None}).running() as server:
        serve_locally(server, monkeypatch, base_model="tiny")
        lines = "Tea?\nMore tea?\n"
        done = chatexports("chat", "--compare", "--data-dir", "kept", stdin=lines)
    assert done.status == 0, done.err
    asked: dict[str, list[str]] = {"tiny": [], "ft": []}
    for body in server.chats:
        asked[body["model"].split(":")[0]].append(body["messages"][0]["content"])
    assert asked == {"tiny": [_TORTOISE] * 2, "ft": [_TORTOISE] * 2}
    assert done.out.startswith("base model: ")


def test_a_tuned_model_remembers_the_exports_that_are_still_there(
    chatexports: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = tmp_path / "chat.jsonl"
    _write_table(export)
    exports = f"{export}\n{tmp_path / 'gone.jsonl'}"
    keep_model(tmp_path / "kept", "1" * 12, person="Tortoise", exports=exports)
    with OpenAIServer().running() as server:
        serve_locally(server, monkeypatch, base_model="tiny")
        done = chatexports(
            *("chat", "--data-dir", "kept", "--json"), stdin="Where is the rocket?\n"
        )
        assert json.loads(done.out)["text"] == "I don't know"
        assert server.chats == []
        export.unlink()
        done = chatexports(
            *("chat", "--data-dir", "kept", "--json"), stdin="Where is the rocket?\n"
        )
    assert len(server.chats) == 1, done.err


def _write_table(path: Path) -> None:
    rows = [("Hare", "More tea?"), ("Tortoise", "Always tea."), ("Hare", "Good.")] * 12
    lines = [
        {"conversation": "c", "sender": who, "text": text, "time": 1_700_000_000 + at}
        for at, (who, text) in enumerate(rows)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


_CARD = "You write about 2 words in a message, seldom more than 2."


def _prompt(server: OpenAIServer) -> str:
    return str(server.chats[-1]["messages"][0]["content"])


def test_the_person_of_an_export_answers_without_a_training(
    chatexports: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_table(tmp_path / "chat.jsonl")
    with OpenAIServer(models={"tiny": None}).running() as server:
        server.words = ["Always\n", "and ever."]
        serve_locally(server, monkeypatch, base_model="tiny")
        arguments = ("chat", "chat.jsonl", "--ai", "Tortoise", "--json")
        done = chatexports(*arguments, stdin="Tea?\n")
    assert done.status == 0, done.err
    assert "You are Tortoise. You are chatting with Hare." in _prompt(server)
    assert _CARD in _prompt(server)
    assert f"{REPLIES}\n> " in _prompt(server)
    assert _prompt(server).endswith("> More tea?\nAlways tea.")
    assert server.chats[-1]["model"] == "tiny"
    assert json.loads(done.out)["model"] == "Tortoise"
    assert json.loads(done.out)["bubbles"] == ["Always"]
    assert "No training: the model answers as Tortoise" in done.err
    assert "Base model: SmolLM2-135M-Instruct, a tiny demo model" in done.err
    assert "To train a model on this voice, in about 1 min:" in done.err
    assert "\n  chatexports finetune chat.jsonl --ai Tortoise\n" in done.err


def test_exports_are_sent_elsewhere_after_asking_only(
    chatexports: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_table(tmp_path / "chat.jsonl")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    asked = ("chat", "chat.jsonl", "--ai", "Tortoise", "--base", BASE_MODEL)
    refused = chatexports(*asked, "--base-url", "https://example.com/v1", stdin="Tea?")
    assert refused.status == 1
    assert "example.com, which needs --yes here" in refused.err
    with OpenAIServer().running() as server:
        done = chatexports(*asked, "--base-url", server.base_url, stdin="Tea?\n")
    assert done.status == 0, done.err
    assert "Always tea." in _prompt(server)


def test_what_runs_on_this_machine_answers_as_the_person_without_a_key(
    chatexports: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_table(tmp_path / "chat.jsonl")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("tests.unit_tests.builders.openai_server.KEY", "none")
    asked = ("chat", "chat.jsonl", "--ai", "Tortoise", "--base")
    with OpenAIServer(models={"llama3.2": None}).running() as server:
        monkeypatch.setattr(TALK, "OLLAMA_URL", server.base_url)
        for base in ("ollama:llama3.2", server.base_url):
            done = chatexports(*asked, base, stdin="Tea?\n")
            assert done.status == 0, done.err
            assert server.chats[-1]["model"] == "llama3.2"
            assert "You are Tortoise. You are chatting with Hare." in _prompt(server)
    trained = chatexports("finetune", "chat.jsonl", "--base", "ollama:llama3.2")
    assert "A model of another program cannot be trained" in " ".join(
        trained.err.split()
    )


def test_a_name_is_a_model_before_it_is_a_path(
    chatexports: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_model(tmp_path / "kept", "1" * 12)
    _write_table(tmp_path / ("1" * 12))
    with OpenAIServer().running() as server:
        serve_locally(server, monkeypatch, base_model="tiny")
        where = ("--data-dir", "kept")
        model = chatexports("chat", "1" * 12, *where, stdin="Tea?\n")
        export = chatexports(
            *("chat", "1" * 12, *where, "--ai", "Tortoise"), stdin="Tea?\n"
        )
    assert (model.status, export.status) == (0, 0), (model.err, export.err)
    assert [chat["model"][:3] for chat in server.chats] == ["ft:", "tin"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("x", "--base-url", "http://x", "--ai", "A"), "--base must name"),
        (("ft:x", "--base", "y"), "--base goes with exports"),
        (("--base-url", "http://x"), "the model must be named"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    chatexports: Command, arguments: tuple[str, ...], told: str
) -> None:
    done = chatexports("chat", *arguments)
    assert done.status == 2
    assert told in " ".join(done.err.split())


def test_of_two_models_of_a_person_the_newest_answers_and_that_is_said(
    chatexports: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_model(tmp_path / "kept", "1" * 12, created_at=1, person="Jonas")
    newest = keep_model(tmp_path / "kept", "2" * 12, created_at=2, person="Jonas")
    with OpenAIServer(models={newest: None}).running() as server:
        serve_locally(server, monkeypatch, base_model="tiny")
        done = chatexports("chat", "jonas", "--data-dir", "kept", stdin="Hi\n")
    assert done.status == 0, done.err
    assert server.chats[-1]["model"] == newest
    assert "Using the newest model named jonas; 1 older model" in done.err
