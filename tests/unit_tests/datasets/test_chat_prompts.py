"""How a model is asked in a chat: as its training examples were."""

from typing import Any

import pytest

from langchain_chatexports.datasets.chat_prompts import ChatPrompt, common_prompt

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
def test_a_prompt_is_common_if_most_examples_begin_with_it(
    first: list[dict[str, Any]], prompt: str | None
) -> None:
    found = common_prompt({"messages": [one]} for one in first)
    assert found == ChatPrompt(prompt)


def _asked(prompt: str, *said: str) -> dict[str, Any]:
    user = [{"role": "user", "content": text} for text in said]
    return {"messages": [{"role": "system", "content": prompt}, *user]}


@pytest.mark.parametrize(
    ("examples", "system", "label"),
    [
        # The prompt of most chats, where no two are alike in more than half.
        (
            [
                _asked("You are Ann. You are chatting with Ben.", "hi"),
                _asked("You are Ann. You are chatting with Ben.", "hi"),
                _asked("You are Ann. You are chatting with Cleo.", "hi"),
                _asked("You are Ann. You are chatting with Dan.", "Note: hi"),
            ],
            "You are Ann. You are chatting with Ben.",
            None,
        ),
        # Whoever says most, in groups.
        (
            [
                _asked("You are Ann. You are chatting with Ben and Cleo.", "Ben: hi"),
                _asked("You are Ann. You are chatting with Dan.", "Dan: a", "Dan: b"),
                _asked("You are Ann. You are chatting with Cleo and Dan.", "Dan: c"),
            ],
            "You are Ann. You are chatting with Dan.",
            "Dan",
        ),
    ],
)
def test_of_many_prompts_the_one_about_the_most_common_partner_is_taken(
    examples: list[dict[str, Any]], system: str, label: str | None
) -> None:
    assert common_prompt(examples) == ChatPrompt(system, label)


def test_a_chat_with_somebody_else_names_them() -> None:
    group = ChatPrompt("You are Ann. You are chatting with Ben and Cleo.", "Ben")
    assert group.with_user("Dan") == ChatPrompt(
        "You are Ann. You are chatting with Dan.", "Dan"
    )
    assert group.with_user("Dan").labeled("hi") == "Dan: hi"
    pair = ChatPrompt("Be slow.")
    assert pair.with_user("Dan") == pair
    assert pair.labeled("hi") == "hi"
