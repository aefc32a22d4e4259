"""Grammars for answers in JSON and for tool calls, which llama.cpp keeps to.

xllamacpp builds llama.cpp with llguidance, whose syntax this is
(https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md). llama.cpp
continues without the grammar where it cannot be compiled, or where following it becomes
too expensive in the middle of an answer. So a grammar is compiled here before it is
used, and the answer is compared with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

__all__ = [
    "CALL_END",
    "CALL_START",
    "Grammar",
    "GrammarError",
    "json_grammar",
    "tool_grammar",
]

CALL_START = "<tool_call>"
CALL_END = "</tool_call>"

# A small model repeats a call until it has no tokens left.
_MAX_CALLS = 8

_MAX_SCHEMA_CHARACTERS = 1 << 17
# An array of a million items takes 100 MB for its grammar.
_MAX_REPEATS = 100_000
_REPEATS = frozenset(
    {
        "maxItems",
        "maxLength",
        "maxProperties",
        "minItems",
        "minLength",
        "minProperties",
    }
)
# The automaton of remainders has as many states as their least common multiple, which
# their digits limit: a million took llama.cpp more than a minute without an answer.
_MAX_DIVISOR_DIGITS = 4

# Without this, a small model may write spaces until it has no tokens left.
_JSON_STYLE = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    # Pydantic's form of a union with a discriminator.
    "coerce_one_of": True,
}
_END_OF_TEXT = 256
_COMBINED = frozenset({"$ref", "anyOf", "oneOf"})
_SUBSCHEMAS = frozenset(
    {"additionalProperties", "anyOf", "items", "oneOf", "prefixItems"}
)
_NAMED_SUBSCHEMAS = frozenset({"$defs", "definitions", "properties"})
_OPEN = frozenset(
    {"additionalProperties", "patternProperties", "unevaluatedProperties"}
)


class GrammarError(ValueError):
    """A schema that cannot be turned into a grammar; the text says why."""


@dataclass(frozen=True)
class Grammar:
    """A compiled grammar.

    Attributes:
        text: The grammar, as llama.cpp takes it.
        plain_heads: What calls without their tags begin with, if there may be some.
    """

    text: str
    plain_heads: tuple[str, ...] = ()

    def accepts(self, answer: str, *, is_complete: bool = True) -> bool:
        """Return whether an answer follows the grammar.

        Args:
            answer: The answer.
            is_complete: Whether the answer must be complete, or may be the beginning
                of one that follows it.
        """
        matcher = _matcher(self.text)
        tokens = list(answer.encode("utf-8", "replace"))
        if matcher.try_consume_tokens(tokens) != len(tokens):
            return False
        return not is_complete or matcher.is_accepting()


def json_grammar(schema: Mapping[str, Any]) -> Grammar:
    """Return the grammar of the JSON values that a JSON schema allows.

    Raises:
        GrammarError: If the schema is too large or not supported.
    """
    return _compiled(f"start: {_json_rule(schema)}\n")


def tool_grammar(
    parameters: Mapping[str, Mapping[str, Any]],
    *,
    is_required: bool,
    is_parallel: bool,
    otherwise: Mapping[str, Any] | None = None,
) -> Grammar:
    """Return the grammar of answers that call tools.

    A call is written as Hermes and Qwen write it: `<tool_call>`, a JSON object with
    `name` and `arguments`, `</tool_call>`, each on its own line. Where a call is
    neither required nor an answer in JSON, it may also be the JSON object alone:
    Qwen2.5-Coder leaves the tags out.

    Args:
        parameters: For each tool the JSON schema of its arguments.
        is_required: Whether the answer must be a call.
        is_parallel: Whether it may be several calls.
        otherwise: The schema of an answer without a call; `None` for any text, which
            may also come before the calls.

    Raises:
        GrammarError: If the schemas are too large or not supported.
    """
    end = _literal(f"}}\n{CALL_END}")
    calls = [
        f"call{number}: {_literal(_head(name))} arguments{number} {end}"
        for number, name in enumerate(parameters)
    ]
    arguments = [
        f"arguments{number}: {_json_rule(schema)}"
        for number, schema in enumerate(parameters.values())
    ]
    any_call = " | ".join(f"call{number}" for number in range(len(calls)))
    next_start = _literal(f"\n{CALL_START}")
    more = f"({next_start} call){{0,{_MAX_CALLS - 1}}}"
    rest = f"call {more}" if is_parallel else "call"
    called = f"{_literal(CALL_START)} {rest}"
    rules = []
    heads: tuple[str, ...] = ()
    if is_required:
        rules.append(f"start: {called}")
    elif otherwise is not None:
        rules.append(f"start: {called} | {_json_rule(otherwise)}")
    else:
        heads = tuple(_head(name).lstrip() for name in parameters)
        plain = " | ".join(
            f'{_literal(head)} arguments{number} "}}"'
            for number, head in enumerate(heads)
        )
        rules += [
            f"start: TEXT | text_and_call {rest} | {plain}",
            f"PLAIN: {' | '.join(map(_literal, heads))}",
            "TEXT: /(?s:.*)/ & ~(PLAIN /(?s:.*)/)",
            # Lazy: the first tag ends the text.
            f"text_and_call[lazy]: TEXT {_literal(CALL_START)}",
        ]
    rules += [f"call: {any_call}", *calls, *arguments]
    return replace(_compiled("\n".join(rules) + "\n"), plain_heads=heads)


def _closed(schema: Any) -> Any:
    """Forbid properties beyond the given ones where a schema does not mention them.

    As llama.cpp's own conversion of JSON schemas does: a small model goes on inventing
    properties. A schema that combines others is left as it is.
    """
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "properties" in schema and _COMBINED & schema.keys():
        return schema
    closed = {
        key: _closed(value) if key in _SUBSCHEMAS else value
        for key, value in schema.items()
    }
    for key in _NAMED_SUBSCHEMAS & schema.keys():
        if isinstance(schema[key], Mapping):
            closed[key] = {name: _closed(each) for name, each in schema[key].items()}
    if "properties" in schema and not _OPEN & schema.keys():
        closed["additionalProperties"] = False
    return closed


def _head(name: str) -> str:
    return f'\n{{"name": {json.dumps(name)}, "arguments": '


def _json_rule(schema: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(schema)
        if len(text) > _MAX_SCHEMA_CHARACTERS:
            msg = f"it has more than {_MAX_SCHEMA_CHARACTERS} characters"
            raise GrammarError(msg)
        _check_limits(schema)
        closed = schema if '"allOf"' in text else _closed(schema)
    except RecursionError as error:
        msg = "it is nested too deeply"
        raise GrammarError(msg) from error
    return f"%json {json.dumps({**closed, 'x-guidance': _JSON_STYLE})}"


def _literal(text: str) -> str:
    return json.dumps(text)


def _check_limits(schema: Mapping[str, Any]) -> None:
    divisors = set()
    for key, value in _numbers(schema):
        if key in _REPEATS and value > _MAX_REPEATS:
            msg = f"'{key}' is more than {_MAX_REPEATS}"
            raise GrammarError(msg)
        if key == "multipleOf":
            divisors.add(str(value))
    digits = "".join(text.removeprefix("0").replace(".", "") for text in divisors)
    if len(digits) > _MAX_DIVISOR_DIGITS or not (digits or "1").isdecimal():
        msg = (
            "the values of 'multipleOf' are not positive decimal numbers, or have "
            f"more than {_MAX_DIVISOR_DIGITS} digits together"
        )
        raise GrammarError(msg)


def _numbers(schema: Any) -> Iterator[tuple[str, int | float]]:
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if isinstance(inner, (int, float)):
                    yield key, inner
                else:
                    waiting.append(inner)
        elif isinstance(value, list):
            waiting += value


def _compiled(rules: str) -> Grammar:
    text = f"%llguidance {{}}\n{rules}"
    matcher = _matcher(text)
    if not matcher.is_error():
        matcher.compute_bitmask()
    problem = matcher.get_error()
    if problem.startswith("NoExtension"):
        msg = "no value fits it"
        raise GrammarError(msg)
    if problem:
        # The first line says why; the others repeat the schema.
        reason = problem.splitlines()[0]
        raise GrammarError(reason.partition("compile JSON schema: ")[2] or reason)
    return Grammar(text)


def _matcher(text: str) -> LLMatcher:
    from llguidance import LLMatcher

    return LLMatcher(_byte_tokenizer(), text, log_level=0)


class _Bytes:
    """A tokenizer with a token for each byte: what a grammar allows is the same."""

    eos_token_id = _END_OF_TEXT
    bos_token_id = None
    tokens = (*(bytes([value]) for value in range(_END_OF_TEXT)), b"")
    special_token_ids = (_END_OF_TEXT,)

    def __call__(self, text: str | bytes) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


@cache
def _byte_tokenizer() -> LLTokenizer:
    from llguidance import LLTokenizer, TokenizerWrapper

    return LLTokenizer(TokenizerWrapper(_Bytes()), n_vocab=_END_OF_TEXT + 1)
