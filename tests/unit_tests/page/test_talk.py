"""A talk on the page, with a server that answers with fixed texts."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from langchain_chatexports.local_server import list_models
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.page.talk_state import Talk
from tests.unit_tests.builders.kept_models import keep_adapter
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, Fault, OpenAIServer

_SECONDS = 30


@pytest.fixture
def talk(server: OpenAIServer, tmp_path: Path) -> Talk:
    data = DataDirectory(tmp_path / "kept")
    data.prepare()
    record = {"system_prompt": "Be slow.", "user_label": "Hare"}
    keep_adapter(data, "1" * 12, job_id="ftjob-1", **record)
    (model,) = list_models(data.root)
    where: Any = SimpleNamespace(
        base_url=server.base_url, api_key=KEY, base_model=BASE_MODEL
    )
    talk = Talk(lambda _: where)
    talk.with_base = True
    talk.choose(replace(model, person="Tortoise"))
    talk.answering.join(_SECONDS)
    return talk


def _say(talk: Talk, line: str) -> None:
    assert talk.say(line)
    talk.answering.join(_SECONDS)
    assert talk.answering.error is None


def test_an_answer_can_be_asked_for_again_and_a_talk_begun_anew(
    talk: Talk, server: OpenAIServer
) -> None:
    assert not talk.again()
    can_before = talk.can_answer_again
    _say(talk, "Hello")
    assert (can_before, talk.can_answer_again) == (False, True)
    assert not talk.is_answering
    assert talk.again()
    talk.answering.join(_SECONDS)
    assert server.chats[0]["messages"] == server.chats[2]["messages"]
    assert len(talk.lines) == 1
    assert talk.lines[0].answer
    talk.delete()
    assert talk.lines == []
    assert talk.saved() == []


def test_an_earlier_talk_is_listed_and_continued_and_a_line_can_be_edited(
    talk: Talk, server: OpenAIServer
) -> None:
    _say(talk, "Hello")
    _say(talk, "And now?")
    assert talk.saved() == []
    talk.open()
    _say(talk, "Another one")
    (earlier,) = talk.saved()
    assert [turn.line for turn in earlier.turns] == ["Hello", "And now?"]
    talk.open(earlier.id)
    assert [turn.line for turn in talk.lines] == ["Hello", "And now?"]
    assert [len(one.turns) for one in talk.saved()] == [1]
    assert talk.edit(0, "Good day")
    talk.answering.join(_SECONDS)
    assert [turn.line for turn in talk.lines] == ["Good day"]
    # It is the tuned model's, which is asked first.
    assert server.chats[-2]["messages"][-1]["content"] == "Hare: Good day"
    assert not talk.edit(5, "Nothing there")


def test_a_talk_is_continued_unless_nothing_is_to_be_kept(talk: Talk) -> None:
    _say(talk, "Hello")
    model = talk.model
    assert model is not None

    def meet_again() -> list[str]:
        talk.choose(model)
        talk.answering.join(_SECONDS)
        return [turn.line for turn in talk.lines]

    assert meet_again() == ["Hello"]
    _say(talk, "And now?")
    assert meet_again() == ["Hello", "And now?"]
    talk.is_saved = False
    talk.save()
    _say(talk, "Hm")
    assert not list((model.path / "talks").iterdir())
    assert meet_again() == []


def test_a_reply_of_several_messages_is_several_bubbles(
    talk: Talk, server: OpenAIServer
) -> None:
    server.words = ["One.\n\n", "Two.\n", "Three."]
    talk.begin(talk.model, lambda: talk._speaker)
    talk.answering.join(_SECONDS)
    _say(talk, "Hello")
    assert talk.bubbles(talk.voices[-1], 0) == ["One.", "Two.", "Three."]


def test_a_server_that_ends_in_the_middle_of_an_answer_is_said_and_the_talk_goes_on(
    talk: Talk, server: OpenAIServer
) -> None:
    server.faults.append(Fault("POST /chat/completions", cut_after=400))
    assert talk.say("Hello")
    talk.answering.join(_SECONDS)
    assert "ended before the answer was complete" in str(talk.answering.error)
    arrived = talk.voices[-1].last
    assert talk.again()
    talk.answering.join(_SECONDS)
    assert talk.answering.error is None
    assert talk.bubbles(talk.voices[-1], 0) == ["Slow and steady"]
    assert "Slow and steady".startswith(arrived)
    assert arrived in {"Slow", "Slow and"}
    _say(talk, "And now?")
    assert len(talk.lines) == 2
