"""Validate examples against the rules of OpenAI's training files.

It imports the standard library only, since the local server uses it as well.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from typing_extensions import Self

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_MESSAGE_KEYS = frozenset(
    {
        "role",
        "content",
        "name",
        "weight",
        "tool_calls",
        "function_call",
        "tool_call_id",
        "refusal",
    }
)
_ASSISTANT_KEYS = ("weight", "tool_calls", "function_call", "refusal")
_EXAMPLE_KEYS = frozenset({"messages", "tools", "parallel_tool_calls", "functions"})

# Stricter than chat completions, so that all servers accept it.
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

# Any of these in a text fails the whole job: "message contains an invalid token".
_SPECIAL_TOKEN = re.compile(
    r"<\|(?:endoftext|startoftext|endofprompt|im_start|im_end|im_sep|"
    r"fim_prefix|fim_middle|fim_suffix|start|end|message|channel|return|call)\|>"
)

_UNKNOWN_CALL = (
    "`tool_call_id` must be the id of a tool call in an earlier assistant message"
)


class TrainingProblem(str):
    """A broken rule, as a sentence that quotes no text of the example.

    Attributes:
        line: The example's number, from 1; `None` for a rule about the whole set.
        where: The position in the example, such as `messages[2]`.
        rule: The broken rule.
    """

    __slots__ = ("line", "rule", "where")

    line: int | None
    where: str
    rule: str

    def __new__(cls, rule: str, *, line: int | None = None, where: str = "") -> Self:
        """Build the sentence from the rule and its position."""
        place = f"line {line}" if line is not None else ""
        if where:
            place = f"{place}, {where}" if place else where
        problem = super().__new__(cls, f"{place}: {rule}" if place else rule)
        problem.line = line
        problem.where = where
        problem.rule = rule
        return problem


def validate_examples(
    examples: Iterable[Any],
    *,
    minimum: int = 10,
    allow_trailing: bool = False,
    limit: int | None = None,
) -> list[TrainingProblem]:
    """Check training examples against the rules of OpenAI's format.

    Args:
        examples: The examples, as in the lines of a training file.
        minimum: The minimum number of examples.
        allow_trailing: Accept examples that do not end with the assistant, as the local
            server does, unlike OpenAI.
        limit: Stop at this number of problems.

    Returns:
        The problems in order. They name lines, positions and rules, never text.
    """
    problems: list[TrainingProblem] = []
    count = 0
    for count, example in enumerate(examples, 1):
        found = (
            TrainingProblem(rule, line=count, where=where)
            for where, rule in _check_example(example, allow_trailing=allow_trailing)
        )
        problems.extend(
            found if limit is None else islice(found, limit - len(problems))
        )
        if len(problems) == limit:
            return problems
    if count < minimum:
        rule = f"at least {minimum} examples are needed, there are {count}"
        problems.append(TrainingProblem(rule))
    return problems


def _check_example(
    example: object, *, allow_trailing: bool
) -> Iterator[tuple[str, str]]:
    """Yield the position and the rule of each problem."""
    if not isinstance(example, Mapping):
        yield "", "an example must be an object with `messages`"
        return
    for rule in _unknown_keys(example, _EXAMPLE_KEYS):
        yield "", rule
    for key in ("tools", "functions"):
        listed = example.get(key, [])
        if not isinstance(listed, list) or not all(map(_is_object, listed)):
            yield key, "it must be a list of objects"
    if not isinstance(example.get("parallel_tool_calls", True), bool):
        yield "parallel_tool_calls", "it must be true or false"
    messages = example.get("messages")
    if not isinstance(messages, list) or not messages:
        yield "", "`messages` must be a list with at least one message"
        return
    yield from _check_messages(messages)
    roles = [one.get("role") if _is_object(one) else None for one in messages]
    weights = [
        _weight(one)
        for one, role in zip(messages, roles, strict=True)
        if role == "assistant"
    ]
    if not weights:
        yield "", "at least one message must be the assistant's"
    elif not any(weight != 0 for weight in weights):
        yield "", "at least one assistant message must have a weight other than 0"
    if weights and not allow_trailing and roles[-1] != "assistant":
        where = f"messages[{len(messages) - 1}]"
        yield where, "the last message must be the assistant's"


def _unknown_keys(item: Mapping[Any, Any], known: frozenset[str]) -> Iterator[str]:
    # Keys may contain private text, so only count them.
    if unknown := sum(key not in known for key in item):
        listed = ", ".join(sorted(known))
        yield f"{unknown} unknown key{'s' * (unknown > 1)} (known: {listed})"


def _check_messages(messages: list[Any]) -> Iterator[tuple[str, str]]:
    called: set[str] = set()
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not _is_object(message):
            yield where, "a message must be an object with `role` and `content`"
            continue
        for rule in _check_message(message):
            yield where, rule
        role, answered = message.get("role"), message.get("tool_call_id")
        if role == "tool" and not (isinstance(answered, str) and answered in called):
            yield where, _UNKNOWN_CALL
        calls = message.get("tool_calls")
        if role == "assistant" and isinstance(calls, list):
            ids = (call.get("id") for call in calls if _is_object(call))
            called.update(name for name in ids if isinstance(name, str))


def _check_message(message: Mapping[Any, Any]) -> Iterator[str]:
    yield from _unknown_keys(message, _MESSAGE_KEYS)
    role = message.get("role")
    if role not in _ROLES:
        yield f"`role` must be one of {', '.join(_ROLES)}"
    yield from _check_content(message)
    yield from _check_name(message)
    if role != "assistant":
        for key in _ASSISTANT_KEYS:
            if key in message:
                yield f"`{key}` is for assistant messages only"
    if role != "tool" and "tool_call_id" in message:
        yield "`tool_call_id` is for tool messages only"
    if "weight" in message and _weight(message) is None:
        yield "`weight` must be 0 or 1"
    yield from _check_calls(message)
    if any(_SPECIAL_TOKEN.search(text) for text in _texts(message)):
        yield "the text contains a special token such as <|endoftext|>"


def _check_content(message: Mapping[Any, Any]) -> Iterator[str]:
    content = message.get("content")
    can_be_empty = message.get("role") == "assistant" and any(
        message.get(key) for key in ("tool_calls", "function_call", "refusal")
    )
    if isinstance(content, list):
        for part in content:
            yield from _check_part(part)
        is_empty = all(map(_is_blank, content))
    elif isinstance(content, str):
        is_empty = not content.strip()
    elif content is None:
        if not can_be_empty:
            yield "`content` is missing"
        return
    else:
        yield "`content` must be a string or a list of parts"
        return
    if is_empty and not can_be_empty:
        yield "`content` is empty"


def _check_part(part: Any) -> Iterator[str]:
    kind = part.get("type") if _is_object(part) else None
    if kind == "text":
        if not isinstance(part.get("text"), str):
            yield "a text part must have `text`, a string"
    else:
        yield "a content part must be text: images and sounds are not supported"


def _check_name(message: Mapping[Any, Any]) -> Iterator[str]:
    name = message.get("name")
    if name is None:
        if message.get("role") == "function":
            yield "a function message must have `name`"
        elif "name" in message:
            yield "`name` must not be null"
    elif not isinstance(name, str) or not _NAME.fullmatch(name):
        yield "`name` must be 1 to 64 of the characters a-z, A-Z, 0-9, _ and -"


def _check_calls(message: Mapping[Any, Any]) -> Iterator[str]:
    calls = message.get("tool_calls")
    if "tool_calls" in message and (not isinstance(calls, list) or not calls):
        yield "`tool_calls` must be a list with at least one call"
    for call in calls if isinstance(calls, list) else []:
        if (
            not _is_object(call)
            or not isinstance(call.get("id"), str)
            or call.get("type") != "function"
            or not _is_function_call(call.get("function"))
        ):
            yield (
                "a tool call must have `id`, `type` 'function' and `function` with "
                "`name` and `arguments`, strings"
            )
    if "function_call" in message and not _is_function_call(message["function_call"]):
        yield "`function_call` must have `name` and `arguments`, strings"
    if not isinstance(message.get("refusal", ""), (str, type(None))):
        yield "`refusal` must be a string"


def _is_function_call(call: Any) -> bool:
    return _is_object(call) and all(
        isinstance(call.get(key), str) for key in ("name", "arguments")
    )


def _texts(message: Mapping[Any, Any]) -> Iterator[str]:
    # All strings that become tokens of the example.
    values = [value for key, value in message.items() if key != "role"]
    while values:
        value = values.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            values.extend(value.values())
        elif isinstance(value, list):
            values.extend(value)


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def _weight(message: Mapping[Any, Any]) -> int | None:
    """Return 0 or 1; `None` for any other value."""
    weight = message.get("weight", 1)
    # The server accepts neither `True`, which equals 1, nor 0.5.
    return weight if type(weight) is int and weight in {0, 1} else None


def _is_blank(part: Any) -> bool:
    is_text = _is_object(part) and part.get("type") == "text"
    return is_text and not str(part.get("text", "")).strip()
