"""Earlier replies in prompts: which ones, of whom, and how they are shown."""

from typing import Any

import pytest

from langchain_chatexports.datasets.replies import (
    REPLIES,
    EarlierReply,
    ReplyIndex,
    question_of,
    replies_of,
    show_replies,
)

TEA, RACE = ("more tea?", "always tea"), ("who won the race?", "the tortoise")


def test_the_nearest_reply_is_that_to_the_message_most_alike() -> None:
    index = ReplyIndex(EarlierReply(*pair) for pair in (TEA, RACE))
    found = index.nearest("so who won the RACE today", 2)
    assert found[-1].reply == "the tortoise"
    assert index.nearest("some tea?", 1)[0].reply == "always tea"
    assert index.nearest("zzz", 5) == []
    assert index.nearest("tea", 0) == []


def test_only_learned_answers_to_somebody_are_replies() -> None:
    texts = ("hi", "hello", "bye", "see you")
    messages: list[dict[str, Any]] = [{"role": "system", "content": "You are Ann."}]
    for number, text in enumerate(texts):
        messages.append({"role": ("user", "assistant")[number % 2], "content": text})
    messages[2]["weight"] = 0
    found = replies_of({"messages": messages})
    assert [(one.message, one.reply) for one in found] == [("bye", "see you")]


def test_a_reply_that_was_given_often_is_shown_once() -> None:
    index = ReplyIndex(EarlierReply(f"tea {n}?", "yes") for n in range(5))
    index.add(EarlierReply("tea?", "no"))
    assert sorted(found.reply for found in index.nearest("tea?", 5)) == ["no", "yes"]


def test_what_most_replies_have_decides_nothing() -> None:
    index = ReplyIndex(EarlierReply(f"okay {n}", str(n)) for n in range(300))
    index.add(EarlierReply("okay tortoise", "steady"))
    assert [one.reply for one in index.nearest("okay tortoise", 3)] == ["steady"]


def test_long_messages_are_cut() -> None:
    long = EarlierReply("start " + "m" * 300, "r" * 300 + " end")
    shown = str(show_replies("You are Ann.", [long]))
    assert len(shown) < 300
    assert "start" not in shown
    assert "end" not in shown


@pytest.mark.parametrize("system", ["You are Ann.", None])
def test_replies_stand_behind_what_they_answered(system: str | None) -> None:
    pairs = [EarlierReply("a\nb", "c\n\nd"), EarlierReply(*TEA)]
    shown = str(show_replies(system, pairs))
    assert shown.startswith(f"{system or ''}\n\n{REPLIES}\n".lstrip())
    assert show_replies(system, []) == system
    assert "> a b\nc\nd\n> more tea?\nalways tea" in shown


def test_a_quotation_in_a_reply_is_no_reply() -> None:
    quoting = EarlierReply("tea?", "> tea?\n> or coffee?\nboth")
    prompt = show_replies("You are Ann.", [quoting, EarlierReply("now?", "yes")])
    assert str(prompt).endswith("> tea?\n>tea?\n>or coffee?\nboth\n> now?\nyes")


def test_the_question_is_what_others_said_last() -> None:
    said = [{"role": "user", "content": "x" * 600}, {"role": "user", "content": "now?"}]
    question = question_of([*said, {"role": "assistant", "content": "no"}])
    assert question.endswith("now?")
    assert len(question) == 500
