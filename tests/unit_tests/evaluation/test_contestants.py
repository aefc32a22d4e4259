"""The pairs that a prompt shows."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from langchain_chatexports.datasets.chat_prompts import REPLIES
from langchain_chatexports.datasets.replies import EarlierReply, show_replies
from langchain_chatexports.evaluation import EvaluationSettings, HeldOutData, evaluate
from langchain_chatexports.evaluation.contestants import (
    PLAIN_PROMPT,
    Contestant,
    Pair,
    PairIndex,
    replies_in,
    training_pairs,
)
from langchain_chatexports.evaluation.conversations import PERSON, Dialogue, Utterance
from langchain_chatexports.evaluation.model_server import JobFacts
from tests.unit_tests.builders.voice_server import Voices, talks
from tests.unit_tests.builders.voices import DISTINCT

if TYPE_CHECKING:
    from langchain_chatexports.datasets.examples import TrainingExample
    from langchain_chatexports.evaluation import Evaluation
    from langchain_chatexports.evaluation.contestants import Kind
    from langchain_chatexports.evaluation.model_server import Message, ModelServer

PAIRS = [
    Pair("how was the train", "late"),
    Pair("do you like cake", "no"),
    Pair("was the train full today", "yes"),
]


def test_the_nearest_pair_stands_last() -> None:
    found = PairIndex(PAIRS).nearest("How was the train today", 2)
    assert [pair.message for pair in found] == [
        "was the train full today",
        "how was the train",
    ]


def test_as_many_as_asked_for_or_all() -> None:
    assert len(PairIndex(PAIRS).nearest("cake", 9)) == 3


def test_an_unknown_message_has_pairs_too() -> None:
    assert len(PairIndex(PAIRS).nearest("\u4f60\u597d", 2)) == 2


def test_pairs_are_what_was_said_and_the_answer() -> None:
    talk = Dialogue.of(
        [
            Utterance(PERSON, "a"),
            Utterance("p1", "b"),
            Utterance(PERSON, "c"),
            Utterance("p2", "d"),
        ]
    )
    assert training_pairs([talk]) == [("b", "c")]


@pytest.mark.parametrize("shown", [0, 2])
def test_a_model_that_learned_with_earlier_replies_is_asked_with_some(
    shown: int,
) -> None:
    training, held_out = talks(20, 1), talks(20, 2)
    system = show_replies("You are Mia.", [EarlierReply("a", "b")] * shown)
    learned: TrainingExample = {
        "messages": [
            {"role": "system", "content": str(system)},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
        ]
    }
    server = Voices({"tuned": DISTINCT[0], "base": DISTINCT[1]})
    server.job = JobFacts("none", [learned])
    evaluate(
        HeldOutData(training, held_out),
        cast("ModelServer", server),
        tuned="tuned",
        base="base",
        settings=EvaluationSettings((1.0,), 20, 20, rounds=2, loss_rounds=2),
    )
    asked = {"tuned": 0, "base": 0}
    said = {line.text for found in training for line in found.lines}
    for model, messages, _ in server.asked:
        prompt = messages[0]["content"] if messages[0]["role"] == "system" else ""
        _, _, listed = prompt.partition(f"{REPLIES}\n")
        asked[model] += bool(listed)
        for line in listed.splitlines():
            if line.startswith("> ") and not line.startswith("> …"):
                assert any(" ".join(text.split()) == line[2:] for text in said)
    assert asked["base"] == 0
    assert (asked["tuned"] > 0) is bool(shown)


def test_replies_of_the_training_are_those_to_others() -> None:
    lines = [
        Utterance("p1", "more tea?", label="Ben"),
        Utterance(PERSON, "always tea"),
        Utterance("p1", "ok"),
    ]
    (found,) = replies_in([Dialogue.of(lines)]).nearest("tea?", 9)
    assert (found.message, found.reply) == ("Ben: more tea?", "always tea")


def test_results_name_a_model_without_its_person() -> None:
    tuned = Contestant("tuned", "tuned", "ft:tiny:local:mia:0123")
    assert tuned.info(8, has_system=False).model == "ft:tiny:local:…:0123"
    nameless = Contestant("tuned", "tuned", "ft:tiny:local::0123")
    assert nameless.info(8, has_system=False).model == "ft:tiny:local::0123"
    base = Contestant("base", "base", "hub/some:base")
    assert base.info(8, has_system=False).model == "hub/some:base"


def _prompts(
    kinds: tuple[Kind, ...], *, trained: int = 0, longest: float = math.inf
) -> tuple[Evaluation, dict[str, list[list[Message]]]]:
    """Evaluate with some contestants; return what each model was asked."""
    training, held_out = (
        [replace(one, system="You are Mia.") for one in talks(20, seed)]
        for seed in (1, 2)
    )
    server = Voices({"tuned": DISTINCT[0], "base": DISTINCT[1]})
    server.longest_prompt = longest
    system = show_replies("You are Mia.", [EarlierReply("a", "b")] * trained)
    learned: TrainingExample = {
        "messages": [
            {"role": "system", "content": str(system)},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
        ]
    }
    server.job = JobFacts("none", [learned])
    found = evaluate(
        HeldOutData(training, held_out),
        cast("ModelServer", server),
        tuned="tuned",
        base="base",
        settings=EvaluationSettings(
            (1.0,), 20, 20, rounds=2, loss_rounds=2, contestants=kinds
        ),
    )
    asked: dict[str, list[list[Message]]] = {"tuned": [], "base": []}
    for model, messages, _ in server.asked:
        asked[model].append(messages)
    return found, asked


def test_the_hybrid_is_the_tuned_model_that_sees_replies() -> None:
    found, asked = _prompts(("hybrid",))
    assert [each.name for each in found.contestants] == ["tuned", "hybrid"]
    assert found.contestants[1].prompt == "as in its examples, 4 nearest replies"
    assert asked["base"] == []
    turns = found.data.heldout_turns
    alone, hybrid = asked["tuned"][:turns], asked["tuned"][turns:]
    for first, second in zip(alone, hybrid, strict=True):
        assert first[0]["content"] == "You are Mia."
        assert second[0]["content"].startswith(f"You are Mia.\n\n{REPLIES}\n> ")
        assert 1 <= second[0]["content"].count("\n> ") <= 4
        assert first[1:] == second[1:]
    # Its replies would change with the history.
    assert [each.contestant for each in found.relevance] == ["tuned"]
    assert [each.contestant for each in found.loss] == ["tuned", "hybrid"]
    assert found.loss[1].bits_per_byte is not None


def test_a_model_that_was_trained_with_replies_is_the_hybrid() -> None:
    found, asked = _prompts(("hybrid",), trained=2)
    assert [each.name for each in found.contestants] == ["tuned"]
    assert any(REPLIES in messages[0]["content"] for messages in asked["tuned"])


def test_the_base_as_the_person_has_their_style_and_replies() -> None:
    found, asked = _prompts(("persona",))
    assert [each.name for each in found.contestants] == ["persona", "tuned"]
    for messages in asked["base"]:
        system = messages[0]["content"]
        assert system.startswith("You are Mia.\n\nYou write about ")
        assert REPLIES in system
        assert 1 <= system.count("\n> ") <= 8
    assert PLAIN_PROMPT not in str(asked)


def test_replies_that_do_not_fit_are_left_out() -> None:
    found, asked = _prompts(("hybrid",), longest=250)
    shown = [messages[0]["content"].count("\n> ") for messages in asked["tuned"]]
    assert max(shown) < 4
    assert any("fewer examples, or replies, than planned" in n for n in found.notes)
