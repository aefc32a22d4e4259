"""The terminal in other languages than English."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from langchain_chatexports import _translation
from langchain_chatexports.cli import _console
from langchain_chatexports.cli._chat_prompt import TerminalChat
from langchain_chatexports.cli.app import CATALOGS
from langchain_chatexports.datasets.replies import EarlierReply
from langchain_chatexports.evaluation import EvaluationSettings, HeldOutData, evaluate
from langchain_chatexports.personas.talk import Talk, Turn
from langchain_chatexports.workflows import evaluate as workflow
from tests.unit_tests.builders.chat_models import Recorder
from tests.unit_tests.builders.local_jobs import count_steps, serve_locally
from tests.unit_tests.builders.openai_server import KEY, OpenAIServer
from tests.unit_tests.builders.voice_server import Voices, talks
from tests.unit_tests.builders.voices import DISTINCT
from tests.unit_tests.cli.conftest import Run
from tests.unit_tests.cli.test_chat_prompt import CTRL_D, ENTER, pipe_input

# The package has a function with this name.
FINETUNE = import_module("langchain_chatexports.cli.finetune")
_ENGLISH = {
    *("the", "of", "and", "to", "is", "are", "from", "with", "these", "it", "messages"),
    *("examples", "model", "answers", "without", "your", "said"),
}

pytestmark = pytest.mark.parametrize(
    "language", ["de_DE", "es_ES", "hi_IN", "ko", "zh"]
)


@pytest.fixture(autouse=True)
def _language(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setattr(_translation, "_active", _translation._ENGLISH)
    monkeypatch.setenv("LC_MESSAGES", f"{language}.UTF-8")


def find_english(text: str) -> set[str]:
    return _ENGLISH.intersection(re.findall(r"[a-z]+", text.lower()))


def test_finetune_is_translated(
    run: Run, chats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_steps(monkeypatch)
    turns = [Turn("Ready?", "Yes.")]
    monkeypatch.setattr(FINETUNE, "stdin_is_terminal", lambda: True)
    monkeypatch.setattr(FINETUNE, "answer_untrained", lambda *_, **__: turns)
    monkeypatch.setattr(FINETUNE, "answer_tuned", lambda *_, **__: turns)
    replies = [EarlierReply("Ready?", "Always.")]
    monkeypatch.setattr(FINETUNE, "sample_replies", lambda _: replies)
    done = run("finetune", chats.name, "--ai", "Tortoise", "--data-dir", "data")
    assert done.status == 0, done.err
    assert "Ready?" in done.err
    assert not find_english(done.err)


def test_chat_is_translated(
    run: Run, chats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with OpenAIServer(models={"tiny": None}).running() as running:
        serve_locally(running, monkeypatch, base_model="tiny")
        done = run("chat", chats.name, "--ai", "Tortoise", stdin="Ready?\n")
    assert done.status == 0, done.err
    assert "Tortoise" in done.err
    assert not find_english(done.err.replace("chatexports finetune", ""))


def test_chat_commands_are_translated_in_80_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _translation.activate(CATALOGS)
    talk = Talk("Tortoise", Recorder(responses=["Slow."], asked=[]))
    commands = ("/help", "/fixes", "/retry", "/strength 2", "/fix", "/unfix", "/hlep")
    with pipe_input() as pipe:
        pipe.send_text("".join([*(f"{each}{ENTER}" for each in commands), CTRL_D]))
        TerminalChat([talk], lambda _: None).run()
    shown = capsys.readouterr().err
    lines = [line for line in shown.split("\n") if "\r" not in line]
    assert len(lines) > len(commands)
    assert max(map(cell_len, lines)) <= 80
    assert not find_english("\n".join(lines))


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("models",),
        ("search", "race", "chat.db"),
        ("search", "--delete-indexes"),
        ("models", "--delete-everything", "--yes"),
        ("report", "chat.db", "--ai", "Tortoise"),
        ("prepare", "chat.db", "--ai", "Tortoise", "-o", "set.jsonl"),
        ("prepare", "chat.db", "--ai", "Tortoise", "--split", "-o", "set"),
    ],
    ids=" ".join,
)
def test_command_is_translated(
    run: Run, chats: Path, arguments: tuple[str, ...]
) -> None:
    assert chats.exists()
    has_data = arguments[0] in {"status", "models"}
    data = ("--data-dir", "data") if has_data else ()
    done = run(*arguments, *data)
    assert done.status == 0, done.err
    assert done.err or done.out
    assert not find_english(re.sub(r"\S*/\S*|chatexports \S+", "", done.err))


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "missing.zip"),
        ("inspect", "picture.png"),
        ("inspect", "cut.zip"),
        ("finetune", "chat.db"),
        ("finetune", "chat.db", "--ai", "Harre"),
        ("finetune", "chat.db", "--with", "Nobody"),
        ("finetune", "short.txt", "--ai", "Ann"),
        ("finetune", "chat.db", "--ai", "Hare", "--base", "nothing"),
        ("chat", "nobody", "--data-dir", "data"),
    ],
    ids=" ".join,
)
def test_error_is_translated(
    run: Run, chats: Path, arguments: tuple[str, ...], language: str
) -> None:
    Path("picture.png").write_bytes(b"\x89PNG")
    Path("cut.zip").write_bytes(b"PK\x03\x04")
    lines = [f"{n + 1}.02.24, 12:10 - {name}: Hm" for n in range(9) for name in "AB"]
    Path("short.txt").write_text("\n".join(lines).replace("A:", "Ann:"), "utf-8")
    assert chats.exists()
    done = run(*arguments)
    assert done.status == 1, done.err
    error = {"de_DE": "Fehler:", "es_ES": "error:", "hi_IN": "त्रुटि:", "ko": "오류:"}
    assert done.err.splitlines()[-1].startswith(error.get(language, "错误："))  # noqa: RUF001
    words = re.sub(r"[(（].*?[)）]|chatexports finetune|\S*[./]\S*|--\w+", "", done.err)  # noqa: RUF001
    assert not find_english(words), words


@pytest.mark.parametrize(
    "arguments",
    [
        ("search",),
        ("search", "chat.db", "race"),
        ("inspect", "chat.db", "--since", "yesterday"),
        ("inspect", "chat.db", "--since", "2024-02-01", "--until", "2024-01-01"),
        ("finetune", "chat.db", "--time", "soon"),
        ("prepare", "chat.db", "-o", "chat.db"),
    ],
    ids=" ".join,
)
def test_usage_error_is_translated(
    run: Run, chats: Path, arguments: tuple[str, ...]
) -> None:
    assert chats.exists()
    done = run(*arguments)
    assert done.status == 2, done.err
    _usage, options, error = done.err.strip().split("\n")
    shown = re.sub(r"chatexports.*|\S*[./]\S*|--\w+", "", f"{options} {error}")
    assert not find_english(shown), shown


def test_evaluation_is_translated(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def evaluate_voices(_model: str | None = None, **options: Any) -> Any:
        options["on_event"](workflow.StageEvent("scoring: tuned model", 1, 9, 60.0))
        return evaluate(
            HeldOutData(talks(40, 1), talks(24, 2)),
            Voices(base=DISTINCT[1], tuned=DISTINCT[0]),
            tuned="tuned",
            base="base",
            settings=EvaluationSettings(30, 24, rounds=5),
        )

    monkeypatch.setattr(workflow, "evaluate_model", evaluate_voices)
    done = run("evaluate", "-o", "page.html")
    assert done.status == 0, done.err
    assert not find_english(done.err + done.out), done.err + done.out
    assert "told apart" in Path("page.html").read_text("utf-8").lower()


def test_json_is_english(run: Run) -> None:
    done = run("status", "--data-dir", "data", "--json")
    assert "converted bases" in done.out


def test_yes_and_no_are_understood(
    monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    _translation.activate(CATALOGS)
    yes = {"de_DE": "J", "es_ES": "sí", "hi_IN": "हाँ", "ko": "예", "zh": "是"}
    answers = iter(["?", yes[language], "n", "y", ""])
    monkeypatch.setattr("typer.prompt", lambda *_, **__: next(answers))
    monkeypatch.setattr(_console, "stdin_is_terminal", lambda: True)
    said = [_console.confirm("?", yes=False, refusal="Refused.") for _ in range(4)]
    assert said == [True, False, True, False]


def test_inspect_is_translated_in_80_columns(run: Run, chats: Path) -> None:
    done = run("inspect", chats.name)
    assert done.status == 0, done.err
    _title, platform, *_between, first_sender, _second = done.out.strip().split("\n")
    starts = platform.index("imessage"), first_sender.index("     115")
    columns = [
        cell_len(line[:start])
        for line, start in zip((platform, first_sender), starts, strict=True)
    ]
    assert columns[0] == columns[1]
    assert max(map(cell_len, done.out.splitlines())) <= 80
    assert not find_english(done.err)


def test_forget_is_translated(run: Run, chats: Path) -> None:
    run("search", "race", chats.name)
    done = run("forget", "--person", "Hare", "--data-dir", "data")
    assert done.status == 0, done.err
    assert not find_english(done.err)
