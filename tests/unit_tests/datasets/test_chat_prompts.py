from typing import Any

import pytest

from langchain_chatexports.datasets.chat_prompts import ChatPrompt, most_common_prompt

_SLOW = {"role": "system", "content": "Be slow."}
_PARTS = {"role": "developer", "content": [{"type": "text", "text": "Be slow."}]}
_FAST = {"role": "system", "content": "Be fast."}
_HELLO = {"role": "user", "content": "Hello"}


@pytest.mark.parametrize(
    ("first", "prompt"),
    [
        ([_SLOW, _SLOW], "Be slow."),
        ([_SLOW, _PARTS, _FAST], "Be slow."),
        ([_SLOW, _FAST], None),
        ([_SLOW, _HELLO, _HELLO], None),
        ([_HELLO], None),
        ([{"role": "user", "content": []}], None),
        ([], None),
    ],
)
def test_common_prompt_needs_a_majority(first: list[Any], prompt: str | None) -> None:
    found = most_common_prompt({"messages": [one]} for one in first)
    assert found == ChatPrompt(prompt)


def _example(others: str, *texts: str) -> dict[str, Any]:
    prompt = f"You are Ann. You are chatting with {others}."
    user = [{"role": "user", "content": text} for text in texts]
    return {"messages": [{"role": "system", "content": prompt}, *user]}


@pytest.mark.parametrize(
    ("examples", "system", "label"),
    [
        # The most common prompt, although it has no majority.
        (
            [
                *(_example("Ben", "hi"), _example("Ben", "hi")),
                *(_example("Cleo", "hi"), _example("Dan", "Note: hi")),
            ],
            "You are Ann. You are chatting with Ben.",
            None,
        ),
        # In groups, the most frequent sender.
        (
            [
                _example("Ben and Cleo", "Ben: hi"),
                _example("Dan", "Dan: a", "Dan: b"),
                _example("Cleo and Dan", "Dan: c"),
            ],
            "You are Ann. You are chatting with Dan.",
            "Dan",
        ),
    ],
)
def test_common_prompt_names_the_main_chat_partner(
    examples: Any, system: str, label: str | None
) -> None:
    assert most_common_prompt(examples) == ChatPrompt(system, label)


def test_prompt_names_the_new_chat_partner() -> None:
    group = ChatPrompt("You are Ann. You are chatting with Ben and Cleo.", "Ben")
    with_dan = group.with_user("Dan")
    assert with_dan == ChatPrompt("You are Ann. You are chatting with Dan.", "Dan")
    assert with_dan.add_label("hi") == "Dan: hi"
    pair = ChatPrompt("Be slow.")
    assert pair.with_user("Dan") == pair
    assert pair.add_label("hi") == "hi"
