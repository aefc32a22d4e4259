from typing import Any

import pytest

from langchain_chatexports.datasets.replies import (
    REPLIES,
    EarlierReply,
    ReplyIndex,
    append_replies,
    extract_replies,
    reply_query,
)

TEA, RACE = ("more tea?", "always tea"), ("who won the race?", "the tortoise")


def test_nearest_reply_answers_the_most_similar_message() -> None:
    index = ReplyIndex(EarlierReply(*pair) for pair in (TEA, RACE))
    found = index.search("so who won the RACE today", 2)
    assert found[-1].reply == "the tortoise"
    assert index.search("some tea?", 1)[0].reply == "always tea"
    assert index.search("zzz", 5) == []
    assert index.search("tea", 0) == []


def test_only_trained_answers_are_replies() -> None:
    texts = ("hi", "hello", "bye", "see you")
    messages: list[dict[str, Any]] = [{"role": "system", "content": "You are Ann."}]
    for number, text in enumerate(texts):
        messages.append({"role": ("user", "assistant")[number % 2], "content": text})
    messages[2]["weight"] = 0
    found = extract_replies({"messages": messages})
    assert list(found) == [("bye", "see you")]


def test_repeated_replies_are_returned_once() -> None:
    index = ReplyIndex(EarlierReply(f"tea {n}?", "yes") for n in range(5))
    index.add(EarlierReply("tea?", "no"))
    assert sorted(found.reply for found in index.search("tea?", 5)) == [
        "no",
        "yes",
    ]


def test_common_trigrams_are_ignored() -> None:
    index = ReplyIndex(EarlierReply(f"okay {n}", str(n)) for n in range(300))
    index.add(EarlierReply("okay tortoise", "steady"))
    assert [found.reply for found in index.search("okay tortoise", 3)] == ["steady"]


def test_long_messages_are_truncated() -> None:
    long = EarlierReply("start " + "m" * 300, "r" * 300 + " end")
    shown = str(append_replies("You are Ann.", [long]))
    assert len(shown) < 300
    assert "start" not in shown
    assert "end" not in shown


@pytest.mark.parametrize("system", ["You are Ann.", None])
def test_replies_follow_their_messages(system: str | None) -> None:
    pairs = [EarlierReply("a\nb", "c\n\nd"), EarlierReply(*TEA)]
    shown = str(append_replies(system, pairs))
    assert shown.startswith(f"{system or ''}\n\n{REPLIES}\n".lstrip())
    assert append_replies(system, []) == system
    assert "> a b\nc\nd\n> more tea?\nalways tea" in shown


def test_quotations_in_replies_are_escaped() -> None:
    quoting = EarlierReply("tea?", "> tea?\n> or coffee?\nboth")
    prompt = append_replies("You are Ann.", [quoting, EarlierReply("now?", "yes")])
    assert str(prompt).endswith("> tea?\n>tea?\n>or coffee?\nboth\n> now?\nyes")


def test_query_is_the_end_of_the_users_messages() -> None:
    texts = (("user", "x" * 600), ("user", "now?"), ("assistant", "no"))
    query = reply_query({"role": role, "content": text} for role, text in texts)
    assert query.endswith("now?")
    assert len(query) == 500
