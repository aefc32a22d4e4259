"""Earlier replies in prompts: which ones, of whom, and how they are taken out again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.datasets.chat_prompts import (
    REPLIES,
    ChatPrompt,
    common_prompt,
    without_replies,
)
from langchain_chatexports.datasets.replies import (
    EarlierReply,
    ReplyIndex,
    add_replies,
    question_of,
    replies_of,
    show_replies,
)
from langchain_chatexports.datasets.trace import ExampleOrigin, TracedExample

if TYPE_CHECKING:
    from langchain_chatexports.datasets.examples import TrainingMessage


def _example(session: str, first: int, *texts: str, **origin: Any) -> TracedExample:
    """Return an example whose messages are by a user and the assistant in turn."""
    messages: list[TrainingMessage] = [{"role": "system", "content": "You are Ann."}]
    for number, text in enumerate(texts):
        role = ("user", "assistant")[number % 2]
        messages.append({"role": role, "content": text})
    return TracedExample(
        {"messages": messages},
        ExampleOrigin(session_id=session, first=first, **origin),
    )


def _shown(item: TracedExample) -> str:
    return str(item.example["messages"][0]["content"])


TEA, RACE = ("more tea?", "always tea"), ("who won the race?", "the tortoise")


def test_the_nearest_reply_is_that_to_the_message_most_alike() -> None:
    index = ReplyIndex(EarlierReply(*pair) for pair in (TEA, RACE))
    found = index.nearest("so who won the RACE today", 2)
    assert found[-1].reply == "the tortoise"
    assert index.nearest("some tea?", 1)[0].reply == "always tea"
    assert index.nearest("zzz", 5) == []
    assert index.nearest("tea", 0) == []


def test_a_reply_that_was_given_often_is_shown_once() -> None:
    index = ReplyIndex(EarlierReply(f"tea {n}?", "yes") for n in range(5))
    index.add(EarlierReply("tea?", "no"))
    assert sorted(found.reply for found in index.nearest("tea?", 5)) == ["no", "yes"]


def test_what_most_replies_have_decides_nothing() -> None:
    index = ReplyIndex(EarlierReply(f"okay {n}", str(n)) for n in range(300))
    index.add(EarlierReply("okay tortoise", "steady"))
    assert [one.reply for one in index.nearest("okay tortoise", 3)] == ["steady"]


def test_only_learned_answers_to_somebody_are_replies() -> None:
    example = _example("a", 0, "hi", "hello", "bye", "see you").example
    example["messages"][2]["weight"] = 0
    assert [(r.message, r.reply) for r in replies_of(example)] == [("bye", "see you")]


def test_training_sees_earlier_conversations_only() -> None:
    items = [
        _example("new", 30, "more tea please?", "maybe"),
        _example("old", 10, *TEA),
        _example("same", 20, "tea?", "in the same", "tea again?", "conversation"),
        _example("same", 20, "tea now?", "in a minute"),
    ]
    new, old, same, other = add_replies(items, 8)
    assert _shown(old) == "You are Ann."
    assert REPLIES in _shown(new)
    for text in ("always tea", "conversation", "in a minute"):
        assert text in _shown(new)
    for item in (same, other):
        assert "always tea" in _shown(item)
        assert "in a minute" not in _shown(item)
        assert "conversation" not in _shown(item)
    # Nothing else is changed, and the order stays.
    assert [one.example["messages"][1:] for one in (new, old, same, other)] == [
        item.example["messages"][1:] for item in items
    ]
    assert add_replies(items, 0) == items


def test_what_is_held_out_sees_replies_of_the_training_only() -> None:
    held_out = [_example("h1", 50, *TEA), _example("h2", 60, "tea?", "no tea today")]
    training = [_example("t", 10, "tea or coffee?", "coffee")]
    shown = [_shown(item) for item in add_replies(held_out, 8, training=training)]
    assert all("coffee" in prompt for prompt in shown)
    assert not any("always tea" in prompt or "no tea" in prompt for prompt in shown)


def test_an_answer_is_not_in_its_own_question() -> None:
    item = _example("b", 20, "what is for lunch?", "tea and cake")
    (found,) = add_replies([item], 8, training=[_example("a", 1, "tea cake", "yes")])
    assert _shown(found) == "You are Ann."


def test_the_origin_names_who_is_quoted() -> None:
    old = _example(
        "a#1", 1, *TEA, thread_id="a", senders=("Ben", "Ann"), participants=("Ben",)
    )
    new = _example("b", 9, "tea?", "no", senders=("Cleo", "Ann"))
    origin = add_replies([old, new], 8)[1].origin
    assert origin.quoted_people == ("Ben", "Ann")
    assert origin.quoted_sessions == ("a#1", "a")
    assert "Ben" not in repr(origin)


def test_long_messages_are_cut() -> None:
    long = EarlierReply("start " + "m" * 300, "r" * 300 + " end")
    shown = str(show_replies("You are Ann.", [long]))
    assert len(shown) < 300
    assert "start" not in shown
    assert "end" not in shown


@pytest.mark.parametrize("system", ["You are Ann.", None])
def test_replies_are_taken_out_of_a_prompt_again(system: str | None) -> None:
    pairs = [EarlierReply("a\nb", "c\n\nd"), EarlierReply(*TEA)]
    shown = str(show_replies(system, pairs))
    assert without_replies(shown) == (system, 2)
    assert show_replies(system, []) == system
    assert "> a b\nc\nd\n> more tea?\nalways tea" in shown


def test_the_prompt_of_a_model_says_how_many_replies_it_learned_with() -> None:
    items = [_example(str(n), n, f"tea {n}?", f"yes {n}") for n in range(6)]
    examples = [item.example for item in add_replies(items, 3)]
    assert common_prompt(examples) == ChatPrompt("You are Ann.", None, 3)


def test_a_quotation_in_a_reply_is_no_reply() -> None:
    quoting = EarlierReply("tea?", "> tea?\n> or coffee?\nboth")
    prompt = show_replies("You are Ann.", [quoting, EarlierReply("now?", "yes")])
    assert str(prompt).endswith("> tea?\n>tea?\n>or coffee?\nboth\n> now?\nyes")
    assert without_replies(str(prompt)) == ("You are Ann.", 2)


def test_the_question_is_what_others_said_last() -> None:
    said = [{"role": "user", "content": "x" * 600}, {"role": "user", "content": "now?"}]
    question = question_of([*said, {"role": "assistant", "content": "no"}])
    assert question.endswith("now?")
    assert len(question) == 500
