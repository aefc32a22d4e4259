"""A talk on the page, with a server that answers with fixed texts."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from langchain_chatexports.local_server import Workspace
from langchain_chatexports.page.talk_state import Talk
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, Fault, OpenAIServer
from tests.unit_tests.builders.workspaces import add_model

_SECONDS = 240


@pytest.fixture
def talk(server: OpenAIServer, tmp_path: Path) -> Talk:
    workspace = Workspace(tmp_path / "kept")
    results = {"system_prompt": "Be slow.", "user_label": "Hare"}
    model = add_model(workspace, results=results)
    # Without examples, the length of replies has no limit.
    job = workspace.jobs.get(model.job_id)
    workspace.files.path(job.training_file).unlink()
    local: Any = SimpleNamespace(
        base_url=server.base_url, api_key=KEY, base_model=BASE_MODEL
    )
    talk = Talk(workspace, lambda _: local)
    talk.with_base = True
    talk.choose(replace(model, person="Tortoise"))
    talk.reply_work.join(_SECONDS)
    return talk


def _send(talk: Talk, line: str) -> None:
    assert talk.send(line)
    talk.reply_work.join(_SECONDS)
    assert talk.reply_work.error is None


def test_answer_is_regenerated_and_talk_deleted(
    talk: Talk, server: OpenAIServer
) -> None:
    assert not talk.regenerate()
    could_regenerate = talk.can_regenerate
    _send(talk, "Hello")
    assert (could_regenerate, talk.can_regenerate) == (False, True)
    assert not talk.is_answering
    assert talk.regenerate()
    talk.reply_work.join(_SECONDS)
    assert server.chats[0]["messages"] == server.chats[2]["messages"]
    assert len(talk.lines) == 1
    assert talk.lines[0].answer
    talk.delete()
    assert talk.lines == []
    assert talk.saved() == []


def test_saved_talk_is_continued_and_edited(talk: Talk, server: OpenAIServer) -> None:
    _send(talk, "Hello")
    _send(talk, "And now?")
    assert talk.saved() == []
    talk.open()
    _send(talk, "Another one")
    (earlier,) = talk.saved()
    assert [turn.line for turn in earlier.turns] == ["Hello", "And now?"]
    talk.open(earlier.id)
    assert [turn.line for turn in talk.lines] == ["Hello", "And now?"]
    assert [len(saved.turns) for saved in talk.saved()] == [1]
    assert talk.edit(0, "Good day")
    talk.reply_work.join(_SECONDS)
    assert [turn.line for turn in talk.lines] == ["Good day"]
    # The tuned model answers before the base.
    assert server.chats[-2]["messages"][-1]["content"] == "Hare: Good day"
    assert not talk.edit(5, "Nothing there")


def test_talk_is_saved_unless_disabled(talk: Talk) -> None:
    _send(talk, "Hello")
    model = talk.model
    assert model is not None

    def reopen() -> list[str]:
        talk.choose(model)
        talk.reply_work.join(_SECONDS)
        return [turn.line for turn in talk.lines]

    assert reopen() == ["Hello"]
    _send(talk, "And now?")
    assert reopen() == ["Hello", "And now?"]
    talk.is_saved = False
    talk.save()
    _send(talk, "Hm")
    assert model.folder is not None
    assert not list((model.folder / "talks").iterdir())
    assert reopen() == []


def test_reply_is_split_into_bubbles(talk: Talk, server: OpenAIServer) -> None:
    server.words = ["One.\n\n", "Two.\n", "Three."]
    talk.start(talk.model, lambda: talk._speaker)
    talk.reply_work.join(_SECONDS)
    _send(talk, "Hello")
    assert talk.bubbles(talk.voices[-1], 0) == ["One.", "Two.", "Three."]


def test_talk_continues_after_server_ends(talk: Talk, server: OpenAIServer) -> None:
    server.faults.append(Fault("POST /chat/completions", cut_after=400))
    assert talk.send("Hello")
    talk.reply_work.join(_SECONDS)
    assert "stopped before its reply was complete" in str(talk.reply_work.error)
    partial = talk.voices[-1].last_answer
    assert talk.regenerate()
    talk.reply_work.join(_SECONDS)
    assert talk.reply_work.error is None
    assert talk.bubbles(talk.voices[-1], 0) == ["Slow and steady"]
    assert partial in {"Slow", "Slow and"}
    _send(talk, "And now?")
    assert len(talk.lines) == 2
