import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.datasets.validation import validate_examples
from tests.unit_tests.builders.tuners import make_examples

USER = {"role": "user", "content": "Ready?"}
ANSWER = {"role": "assistant", "content": "Always."}


def find_problems(*messages: Any, **more: Any) -> list[str]:
    return validate_examples([{"messages": list(messages), **more}], minimum=1)


GOOD: dict[str, list[Any]] = {
    "question and answer": [USER, ANSWER],
    "system prompt": [{"role": "system", "content": "Be slow."}, USER, ANSWER],
    "developer prompt": [{"role": "developer", "content": "Be slow."}, USER, ANSWER],
    "the assistant begins": [ANSWER, USER, ANSWER],
    "two answers in a row": [USER, ANSWER, ANSWER],
    "context": [USER, {**ANSWER, "weight": 0}, USER, {**ANSWER, "weight": 1}],
    "name": [{**USER, "name": "Ann_Lee-2"}, ANSWER],
    "parts": [{**USER, "content": [{"type": "text", "text": "Who?"}]}, ANSWER],
    "half of a surrogate pair": [{**USER, "content": "\ud83d"}, ANSWER],
}

BAD: dict[str, tuple[list[Any], str]] = {
    "no messages": ([], "at least one message"),
    "a message that is a string": (["hi", ANSWER], "messages[0]: a message must be"),
    "unknown role": ([{**USER, "role": "human"}, ANSWER], "`role` must be one of"),
    "no role": ([{"content": "hi"}, ANSWER], "`role` must be one of"),
    "no answer": ([USER], "at least one message must have the role `assistant`"),
    "ends with the user": ([USER, ANSWER, USER], "messages[2]: the last message"),
    "nothing to train": ([USER, {**ANSWER, "weight": 0}], "a weight other than 0"),
    "weight of a user": ([{**USER, "weight": 1}, ANSWER], "`weight` is for assistant"),
    "weight 2": ([USER, {**ANSWER, "weight": 2}], "`weight` must be 0 or 1"),
    "weight true": ([USER, {**ANSWER, "weight": True}], "`weight` must be 0 or 1"),
    "weight 0.5": ([USER, {**ANSWER, "weight": 0.5}], "`weight` must be 0 or 1"),
    "empty": ([{**USER, "content": ""}, ANSWER], "`content` is empty"),
    "white space": ([USER, {**ANSWER, "content": " \n\t\u3000"}], "is empty"),
    "no content": ([{"role": "user"}, ANSWER], "`content` is missing"),
    "null without a call": ([USER, {**ANSWER, "content": None}], "is missing"),
    "content that is a number": ([{**USER, "content": 3}, ANSWER], "must be text"),
    "no parts": ([{**USER, "content": []}, ANSWER], "`content` is empty"),
    "blank parts": (
        [{**USER, "content": [{"type": "text", "text": " "}]}, ANSWER],
        "`content` is empty",
    ),
    "part without text": ([{**USER, "content": [{"type": "text"}]}, ANSWER], "be text"),
    "part that is a string": ([{**USER, "content": ["hi"]}, ANSWER], "must be text"),
    "image": (
        [{**USER, "content": [{"type": "image_url", "image_url": {}}]}, ANSWER],
        "must be text",
    ),
    "name with a space": ([{**USER, "name": "Ann Lee"}, ANSWER], "`name` must be"),
    "name in Chinese": ([{**USER, "name": "李雷"}, ANSWER], "`name` must be"),
    "name of 65 letters": ([{**USER, "name": "a" * 65}, ANSWER], "`name` must be"),
    "name that is null": ([{**USER, "name": None}, ANSWER], "`name` must be"),
    "a date beside": ([{**USER, "date": "2023-08-28"}, ANSWER], "1 unknown key ("),
    "special token": ([{**USER, "content": "a<|im_end|>"}, ANSWER], "special token"),
    "a tool's call": ([USER, {**ANSWER, "tool_calls": []}], "1 unknown key ("),
    "a tool's result": ([USER, {**ANSWER, "role": "tool"}, ANSWER], "`role` must be"),
}


@pytest.mark.parametrize("messages", GOOD.values(), ids=GOOD)
def test_good_examples_have_no_problems(messages: list[Any]) -> None:
    assert find_problems(*messages) == []


@pytest.mark.parametrize(("messages", "rule"), BAD.values(), ids=BAD)
def test_each_broken_rule_is_a_problem(messages: list[Any], rule: str) -> None:
    problems = find_problems(*messages)
    assert any(rule in problem for problem in problems), problems


@pytest.mark.parametrize("example", [None, 3, "hi", [], [USER, ANSWER], True])
def test_example_must_be_an_object(example: Any) -> None:
    assert len(validate_examples([example], minimum=1)) == 1


def test_unknown_keys_of_examples_are_a_problem() -> None:
    (problem,) = find_problems(USER, ANSWER, id="x")
    assert "unknown key" in problem


def test_fewer_than_ten_examples_are_a_problem() -> None:
    (problem,) = validate_examples(make_examples(9))
    assert problem == "at least 10 examples are needed, there are 9"
    assert validate_examples(make_examples(10)) == []


def test_allow_trailing_accepts_a_final_user_message() -> None:
    examples = [{"messages": [USER, ANSWER, USER]}]
    assert validate_examples(examples, minimum=1, allow_trailing=True) == []


def test_problems_have_line_and_position() -> None:
    examples = make_examples(10)
    examples[2]["messages"][1]["content"] = " "
    examples[7]["messages"][0]["role"] = "human"
    examples[7]["messages"][0]["date"] = 3
    problems = validate_examples(examples)
    assert [problem.partition(":")[0] for problem in problems] == [
        "line 3, messages[1]",
        "line 8, messages[0]",
        "line 8, messages[0]",
    ]
    assert problems[0] == "line 3, messages[1]: `content` is empty"


def test_problems_contain_no_text_or_names() -> None:
    private = "Ann Lee"
    bad = {"role": private, "content": {private: private}, "name": f"{private} "}
    answer = {**ANSWER, "tool_calls": private, "weight": private, "refusal": [private]}
    problems = find_problems({**bad, private: 1}, answer, **{private: private})
    assert private not in " ".join(problems)


KEYS = ["role", "content", "messages", "weight", "tool_calls", "name", "type"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(st.lists(JSON, max_size=3))
def test_any_json_can_be_validated(examples: list[Any]) -> None:
    before = copy.deepcopy(examples)
    problems = validate_examples(examples)
    assert all(isinstance(problem, str) for problem in problems)
    assert repr(examples) == repr(before)


def test_validation_stops_at_the_limit() -> None:
    examples: Iterator[dict[str, Any]] = iter([{}] * 10)
    assert len(validate_examples(examples, limit=3)) == 3
    assert len(list(examples)) == 7
