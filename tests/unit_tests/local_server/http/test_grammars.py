"""Grammars of JSON schemas and tools, and schemas that would stop the server."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest

from langchain_chatexports.local_server.http.grammars import (
    GrammarError,
    json_grammar,
    tool_grammar,
)

_CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def _call(name: str, **arguments: Any) -> str:
    call = {"name": name, "arguments": arguments}
    return f"<tool_call>\n{json.dumps(call)}\n</tool_call>"


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}, "required": ["a"]}


def test_an_answer_follows_its_schema_or_not() -> None:
    grammar = json_grammar(_CITY)
    assert grammar.accepts('{"city": "Rome"}')
    assert not grammar.accepts('{"city": 5}')
    assert not grammar.accepts('{"city": "Rome", "more": 1}')
    assert not grammar.accepts('{"city": "Ro')


def test_the_beginning_of_an_answer_follows_its_schema() -> None:
    grammar = json_grammar(_CITY)
    assert grammar.accepts('{"city": "Ro', is_complete=False)
    assert not grammar.accepts("Rome", is_complete=False)


def test_spaces_between_values_are_not_repeated() -> None:
    """A small model writes them until it has no tokens left."""
    assert not json_grammar(_CITY).accepts('{\n\n"city": ', is_complete=False)


def test_a_union_with_a_discriminator_is_a_choice() -> None:
    grammar = json_grammar({"oneOf": [_CITY, _object({"const": 1})]})
    assert grammar.accepts('{"city": "Rome"}')
    assert grammar.accepts('{"a": 1}')


@pytest.mark.parametrize(
    "schema",
    [
        _object({"type": "integer"}),
        {"anyOf": [_object({"type": "integer"})]},
        {"$ref": "#/$defs/a", "$defs": {"a": _object({"type": "integer"})}},
    ],
)
def test_no_properties_are_invented(schema: dict[str, Any]) -> None:
    """As in llama.cpp's own conversion; LangChain's tools do not forbid them."""
    grammar = json_grammar(schema)
    assert grammar.accepts('{"a": 1}')
    assert not grammar.accepts('{"a": 1, "b"', is_complete=False)


def test_properties_are_free_if_the_schema_says_so() -> None:
    schema = {**_object({"type": "integer"}), "additionalProperties": True}
    assert json_grammar(schema).accepts('{"a": 1, "b": 2}')
    assert json_grammar({"type": "object"}).accepts('{"b": 2}')


def test_schemas_that_add_up_stay_open_to_each_other() -> None:
    other = {"type": "object", "properties": {"b": {"const": 2}}, "required": ["b"]}
    both = {"allOf": [{"$ref": "#/$defs/a"}, other]}
    grammar = json_grammar({**both, "$defs": {"a": _object({"const": 1})}})
    assert grammar.accepts('{"a": 1, "b": 2}')


def test_a_recursive_schema_is_followed() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    grammar = json_grammar({"$ref": "#/$defs/node", "$defs": {"node": node}})
    assert grammar.accepts('{"next": {"next": {}}}')


def test_a_free_answer_is_text_then_calls() -> None:
    grammar = tool_grammar(
        {"weather": _CITY, "time": _CITY}, is_required=False, is_parallel=True
    )
    call = _call("weather", city="Rome")
    assert grammar.accepts("It rains <or> not.")
    assert grammar.accepts(call)
    assert grammar.accepts(f"Let me see.\n{call}\n{_call('time', city='Oslo')}")
    assert not grammar.accepts(_call("weather", town="Rome"))
    assert not grammar.accepts(_call("other", city="Rome"))
    assert not grammar.accepts(f"{call} and more")


def test_a_free_answer_may_be_a_call_without_its_tags() -> None:
    """Its arguments follow the tool's parameters, too; in a text they are a text."""
    grammar = tool_grammar(
        {"weather": _CITY, "time": _CITY}, is_required=False, is_parallel=True
    )
    heads = grammar.plain_heads
    assert heads[1] == '{"name": "time", "arguments": '
    for head in heads:
        assert grammar.accepts(f'{head}{{"city": "Rome"}}}}')
        assert not grammar.accepts(f'{head}{{"town": ', is_complete=False)
        assert not grammar.accepts(f'{head}{{"city": "Rome"}}}} I', is_complete=False)
        assert grammar.accepts(f'Write {head}{{"town": 1}}')
    assert grammar.accepts('{"name": "other", "arguments": {"town": 1}}')
    required = tool_grammar({"weather": _CITY}, is_required=True, is_parallel=True)
    assert required.plain_heads == ()


def test_a_required_answer_is_a_call() -> None:
    grammar = tool_grammar({"weather": _CITY}, is_required=True, is_parallel=True)
    assert grammar.accepts(_call("weather", city="Rome"))
    assert not grammar.accepts("It rains.", is_complete=False)


def test_calls_are_not_parallel_if_not_allowed() -> None:
    grammar = tool_grammar({"weather": _CITY}, is_required=True, is_parallel=False)
    call = _call("weather", city="Rome")
    assert grammar.accepts(call)
    assert not grammar.accepts(f"{call}\n", is_complete=False)


def test_calls_end() -> None:
    grammar = tool_grammar({"weather": _CITY}, is_required=True, is_parallel=True)
    call = _call("weather", city="Rome")
    assert grammar.accepts("\n".join([call] * 8))
    assert not grammar.accepts("\n".join([call] * 9), is_complete=False)


def test_an_answer_without_a_call_follows_its_own_schema() -> None:
    grammar = tool_grammar(
        {"weather": _CITY}, is_required=False, is_parallel=True, otherwise=_CITY
    )
    assert grammar.accepts('{"city": "Rome"}')
    assert grammar.accepts(_call("weather", city="Rome"))
    assert not grammar.accepts("It rains.", is_complete=False)


def _nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        schema = _object(schema)
    return schema


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "foo"}, "Invalid type: foo"),
        ({"not": {"type": "string"}}, "not"),
        ({"$ref": "#/$defs/none"}, "does not exist"),
        ({"$ref": "https://example.com/schema.json"}, "retriever"),
        ({"$ref": "#"}, "no value fits"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "no value"),
        (_object({"type": "string", "pattern": "(?=a)b"}), "regex"),
        (_object({"type": "string", "pattern": r"(a)\1"}), "regex"),
        (_object({"type": "string", "pattern": "(" * 9000 + ")" * 9000}), "regex"),
        (_nested(200), "recursion limit"),
        (_nested(5000), "nested|recursion|characters"),
        (_object({"enum": ["x" * 200_000]}), "131072 characters"),
        ({"type": "array", "maxItems": 10**6}, "'maxItems' is more than 100000"),
        (_object({"type": "integer", "multipleOf": 99_991}), "digits"),
        (
            {"allOf": [{"multipleOf": 9973}, {"multipleOf": 9967}]},
            "digits",
        ),
        (
            {"allOf": [{"multipleOf": 0.0001}, {"multipleOf": 9973}]},
            "digits",
        ),
        (_object({"type": "number", "multipleOf": 0}), "invalid multiple of"),
        (
            {
                "allOf": [
                    {"anyOf": [_object({"const": n * m}) for n in range(5)]}
                    for m in range(20)
                ]
            },
            "too large",
        ),
    ],
)
def test_a_schema_that_cannot_be_followed_is_refused_in_time(
    schema: dict[str, Any], reason: str
) -> None:
    began = time.process_time()
    with pytest.raises(GrammarError, match=reason):
        json_grammar(schema)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "schema",
    [
        _object({"type": "string", "pattern": "^(a|b)*a(a|b){20}$"}),
        _object({"type": "string", "pattern": "^((((a{1,99}){1,99}){1,99}){1,99})+$"}),
        _object({"type": "string", "pattern": "^(a*)*b$"}),
        _object({"type": "string", "maxLength": 100_000}),
        {
            "$defs": {
                **{
                    f"d{n}": {
                        "type": "object",
                        "properties": {
                            "a": {"$ref": f"#/$defs/d{n + 1}"},
                            "b": {"$ref": f"#/$defs/d{n + 1}"},
                        },
                    }
                    for n in range(30)
                },
                "d30": {"type": "integer"},
            },
            "$ref": "#/$defs/d0",
        },
        _object({"type": "number", "multipleOf": 0.01}),
    ],
)
def test_a_schema_that_looks_expensive_is_compiled_in_time(
    schema: dict[str, Any],
) -> None:
    began = time.process_time()
    assert json_grammar(schema).accepts("{", is_complete=False)
    assert time.process_time() - began < 5


def test_a_schema_cannot_change_how_json_is_written() -> None:
    grammar = json_grammar({**_CITY, "x-guidance": {"whitespace_flexible": True}})
    assert not grammar.accepts("{  ", is_complete=False)


def test_a_schema_is_limited_before_it_is_looked_at() -> None:
    """Many numbers whose least common multiple is huge: 32 seconds (issue 30)."""
    numbers = [
        n for n in range(2, 60_000) if all(n % d for d in range(2, 250) if d < n)
    ]
    schema = {"allOf": [{"multipleOf": n} for n in numbers * 4]}
    begin = time.process_time()
    with pytest.raises(GrammarError, match="characters"):
        json_grammar(schema)
    with pytest.raises(GrammarError, match="digits"):
        json_grammar({"allOf": schema["allOf"][:5000]})
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("number", [1e-05, 1e300, math.inf, math.nan, True, -7])
def test_a_number_that_is_no_divisor_is_refused(number: float) -> None:
    with pytest.raises(GrammarError, match="multipleOf"):
        json_grammar(_object({"type": "number", "multipleOf": number}))
