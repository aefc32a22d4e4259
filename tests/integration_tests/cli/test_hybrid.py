"""From an export to an answer whose prompt has the person's earlier replies in it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import openai
import pytest

from langchain_chatexports.cli.app import run
from langchain_chatexports.datasets.chat_prompts import REPLIES, without_replies
from langchain_chatexports.local_server import list_models
from langchain_chatexports.workflows import PrepareOptions, prepare, train

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.training,
    # langchain-openai leaves its connections to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

_DAY = 86_400
_LONG = "with a great many words about leaves and rivers and the long way home"
_TALKS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hybrid")
    lines = [
        {"conversation": f"c{n}", "sender": who, "text": text, "time": n * _DAY + at}
        for n in range(1, _TALKS + 1)
        for at, (who, text) in enumerate(
            [("Hare", f"tea number {n}?"), ("Tortoise", f"cup {n} {_LONG}")]
        )
    ]
    talks = "".join(f"{json.dumps(line)}\n" for line in lines)
    (folder / "talks.jsonl").write_text(talks, encoding="utf-8")
    return folder


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Any], int]]:
    """The messages of each chat that is sent, and the status of its answer."""
    found = []
    send = openai.DefaultHttpxClient.send

    def look(client: Any, request: Any, **options: Any) -> Any:
        response = send(client, request, **options)
        if request.url.path.endswith("/chat/completions"):
            messages = json.loads(request.content)["messages"]
            found.append((messages, response.status_code))
        return response

    monkeypatch.setattr(openai.DefaultHttpxClient, "send", look)
    return found


def _shown(messages: list[dict[str, Any]]) -> int:
    first = messages[0]
    return without_replies(first["content"])[1] if first["role"] == "system" else 0


def test_the_prompt_of_an_answer_has_the_replies_of_the_training(
    folder: Path,
    tiny_base: Path,
    sent: list[tuple[list[Any], int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)

    def chatexports(*arguments: str, stdin: str = "") -> str:
        monkeypatch.setattr("sys.argv", ["chatexports", *arguments])
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            run()
        told = capsys.readouterr()
        assert not ended.value.code, told.err
        return told.out

    where = ("--data-dir", "data")
    options = PrepareOptions(ai=("Tortoise",))
    train(
        prepare("talks.jsonl", options, validation=None),
        str(tiny_base),
        data_dir=where[1],
    )
    model = list_models(where[1])[0]
    asked = ("chat", *where, "--max-tokens", "4", "--temperature", "0")
    out = chatexports(*asked, "--json", stdin="tea number 7?\n")
    assert json.loads(out)["model"] == model.name
    ((messages, status),) = sent
    assert (status, _shown(messages)) == (200, 4)
    system, line = (message["content"] for message in messages)
    assert line == "tea number 7?"
    assert system.startswith("You are Tortoise. You are chatting with Hare.")
    # The nearest one stands last.
    _, _, listed = system.partition(f"{REPLIES}\n")
    assert listed.endswith(f"> tea number 7?\ncup 7 {_LONG}")
    # The tiny base reads 512 tokens: of twelve replies, fewer are shown.
    chatexports(*asked, "--replies", "20", stdin="tea number 7?\n")
    tried = [(_shown(messages), status) for messages, status in sent[1:]]
    assert tried[0] == (_TALKS, 400)
    assert tried[-1][1] == 200
    assert 1 <= tried[-1][0] < _TALKS
