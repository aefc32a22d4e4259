"""Tools as text in a prompt, and calls in the text of an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.local_server.http.tool_calls import (
    ToolCallParser,
    ToolMessageError,
    as_text_messages,
)

_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object"}},
}
_CALL: dict[str, Any] = {
    "role": "assistant",
    "content": "Let me see.",
    "tool_calls": [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
        }
    ],
}
_HEAD = '<tool_call>\n{"name": "weather", "arguments": '
_END = "}\n</tool_call>"


def _result(text: str, call: str = "call_1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call, "content": text}


def test_tools_stand_in_the_system_message() -> None:
    chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "?"}]
    system, user = as_text_messages(chat, [_TOOL])
    assert system["role"] == "system"
    assert system["content"].startswith("Be kind.\n\n# Tools")
    assert f"<tools>\n{json.dumps(_TOOL)}\n</tools>" in system["content"]
    assert user == chat[1]


def test_tools_are_in_a_system_message_of_their_own_without_one() -> None:
    system, _ = as_text_messages([{"role": "user", "content": "?"}], [_TOOL])
    assert system["content"].startswith("# Tools")


def test_calls_and_results_are_written_as_text() -> None:
    chat = [{"role": "user", "content": "?"}, _CALL, _result("sunny"), _result("21")]
    _, call, results = as_text_messages(chat)
    assert call["content"] == f'Let me see.\n{_HEAD}{{"city": "Rome"}}{_END}'
    assert results == {
        "role": "user",
        "content": "<tool_response>\nsunny\n</tool_response>\n"
        "<tool_response>\n21\n</tool_response>",
    }


@pytest.mark.parametrize("chat", [[_result("x")], [_CALL, _result("x", "call_2")]])
def test_a_result_without_its_call_is_refused(chat: list[dict[str, Any]]) -> None:
    with pytest.raises(ToolMessageError):
        as_text_messages(chat)


def _parsed(
    *pieces: str, heads: tuple[str, ...] = ()
) -> tuple[str, list[tuple[str, str]]]:
    parser = ToolCallParser(heads)
    deltas = [delta for piece in pieces for delta in parser.add(piece)]
    deltas += parser.finish()
    calls: list[tuple[str, str]] = []
    for delta in deltas:
        for call in delta.get("tool_calls", ()):
            function = call["function"]
            if call["index"] == len(calls):
                calls.append((function["name"], ""))
            name, arguments = calls[call["index"]]
            calls[call["index"]] = name, arguments + function["arguments"]
    return "".join(delta.get("content", "") for delta in deltas), calls


def test_text_without_a_call_is_text() -> None:
    assert _parsed("1 < 2 ", "and <tool", "box>\n") == ("1 < 2 and <toolbox>\n", [])


def test_text_before_a_call_ends_before_its_line() -> None:
    assert _parsed(f"I look.\n{_HEAD}{{}}{_END}") == ("I look.", [("weather", "{}")])


def test_a_call_that_is_cut_off_keeps_what_it_has() -> None:
    assert _parsed(f'{_HEAD}{{"city": "Ro') == ("", [("weather", '{"city": "Ro')])


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_call_without_its_tags_is_a_call(size: int) -> None:
    """As Qwen2.5-Coder writes it."""
    heads = ('{"name": "weather", "arguments": ', '{"name": "web", "arguments": ')

    def parsed(answer: str) -> Any:
        pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
        return _parsed(*pieces, heads=heads)

    city = '{"city": "Rome"}'
    assert parsed(f"{heads[0]}{city}}}") == ("", [("weather", city)])
    assert parsed(f"{heads[1]}{city}}}") == ("", [("web", city)])
    for text in (
        '{"name": "we',
        '{"name": "other", "arguments": {}}',
        f"So {heads[0]}",
    ):
        assert parsed(text) == (text, [])
    assert _parsed(f"{heads[0]}{city}}}") == (f"{heads[0]}{city}}}", [])


def test_arguments_arrive_in_pieces() -> None:
    parser = ToolCallParser()
    assert parser.add(_HEAD)
    first, second = parser.add('{"city": '), parser.add('"Rome"}}')
    assert first[0]["tool_calls"][0]["function"]["arguments"] == '{"city": '
    assert second[0]["tool_calls"][0]["function"]["arguments"] == '"Rome"}'


@given(
    values=st.lists(
        st.dictionaries(
            st.text(max_size=5),
            st.recursive(
                st.text(max_size=9) | st.just("}\n</tool_call>") | st.integers(),
                lambda inner: st.lists(inner, max_size=3),
                max_leaves=4,
            ),
            max_size=3,
        ),
        min_size=1,
        max_size=3,
    ),
    size=st.integers(1, 40),
)
def test_calls_are_found_however_the_text_is_cut(
    values: list[dict[str, Any]], size: int
) -> None:
    arguments = [json.dumps(value, ensure_ascii=False) for value in values]
    answer = "So:\n" + "\n".join(f"{_HEAD}{text}{_END}" for text in arguments)
    pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
    assert _parsed(*pieces) == ("So:", [("weather", text) for text in arguments])
