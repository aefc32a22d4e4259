"""Validate text chats against the rules for OpenAI's training files.

Imports only the standard library, since the local server uses it as well.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

_ROLES = ("system", "developer", "user", "assistant")
_MESSAGE_KEYS = frozenset({"role", "content", "name", "weight"})

# Stricter than OpenAI's chat completions, so that all servers accept the names.
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

# Text containing any of these fails the job: "message contains an invalid token".
_SPECIAL_TOKEN = re.compile(
    r"<\|(?:endoftext|startoftext|endofprompt|im_start|im_end|im_sep|"
    r"fim_prefix|fim_middle|fim_suffix|start|end|message|channel|return|call)\|>"
)


def validate_examples(
    examples: Iterable[Any],
    *,
    minimum: int = 10,
    allow_trailing: bool = False,
    limit: int | None = None,
) -> list[str]:
    """Check training examples against the rules of OpenAI's format.

    Only text is supported: tools, images and audio are also reported as problems.

    Args:
        examples: The examples, as in a training file.
        minimum: The minimum number of examples.
        allow_trailing: Whether to accept examples that do not end with an assistant
            message. The local server accepts them, but OpenAI does not.
        limit: Stop after this number of problems.

    Returns:
        The problems in order. Each states the line, position and violated rule, but no
        message content.
    """
    problems: list[str] = []
    count = 0
    for count, example in enumerate(examples, 1):
        example_problems = (
            f"line {count}{position}: {rule}"
            for position, rule in _check_example(example, allow_trailing=allow_trailing)
        )
        remaining = None if limit is None else limit - len(problems)
        problems.extend(islice(example_problems, remaining))
        if len(problems) == limit:
            return problems
    if count < minimum:
        problems.append(f"at least {minimum} examples are needed, there are {count}")
    return problems


def _check_example(
    example: object, *, allow_trailing: bool
) -> Iterator[tuple[str, str]]:
    """Yield the position and the violated rule of each problem."""
    if not isinstance(example, Mapping):
        yield "", "an example must be an object with `messages`"
        return
    for rule in _check_keys(example, frozenset({"messages"})):
        yield "", rule
    messages = example.get("messages")
    if not isinstance(messages, list) or not messages:
        yield "", "`messages` must be a list with at least one message"
        return
    for index, message in enumerate(messages):
        position = f", messages[{index}]"
        if not isinstance(message, Mapping):
            yield position, "a message must be an object with `role` and `content`"
            continue
        for rule in _check_message(message):
            yield position, rule
    objects = [m if isinstance(m, Mapping) else {} for m in messages]
    weights = [_read_weight(m) for m in objects if m.get("role") == "assistant"]
    if not weights:
        yield "", "at least one message must have the role `assistant`"
    elif all(weight == 0 for weight in weights):
        yield "", "at least one assistant message must have a weight other than 0"
    if weights and not allow_trailing and objects[-1].get("role") != "assistant":
        position = f", messages[{len(messages) - 1}]"
        yield position, "the last message must have the role `assistant`"


def _check_keys(item: Mapping[Any, Any], known: frozenset[str]) -> Iterator[str]:
    # Keys may contain private text, so only report their number.
    if unknown := sum(key not in known for key in item):
        known_keys = ", ".join(sorted(known))
        yield f"{unknown} unknown key{'s' * (unknown > 1)} (known: {known_keys})"


def _check_message(message: Mapping[Any, Any]) -> Iterator[str]:
    yield from _check_keys(message, _MESSAGE_KEYS)
    role, name = message.get("role"), message.get("name", "-")
    if role not in _ROLES:
        yield f"`role` must be one of {', '.join(_ROLES)}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield "`name` must be 1 to 64 of the characters a-z, A-Z, 0-9, _ and -"
    if "weight" in message and role != "assistant":
        yield "`weight` is for assistant messages only"
    if "weight" in message and _read_weight(message) is None:
        yield "`weight` must be 0 or 1"
    content = message.get("content")
    texts = _extract_texts(content)
    if content is None:
        yield "`content` is missing"
    elif texts is None:
        yield "`content` must be text: a string, or a list of parts of the type text"
    elif not any(text.strip() for text in texts):
        yield "`content` is empty"
    elif any(map(_SPECIAL_TOKEN.search, texts)):
        yield "the text contains a special token such as <|endoftext|>"


def _extract_texts(content: object) -> list[str] | None:
    """Return the text parts of a message's content; `None` if it is not text."""
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return None
    parts = (part for part in content if isinstance(part, Mapping))
    values = [part.get("text") for part in parts if part.get("type") == "text"]
    texts = [value for value in values if isinstance(value, str)]
    return texts if len(texts) == len(content) else None


def _read_weight(message: Mapping[Any, Any]) -> int | None:
    """Return 0 or 1; `None` for any other value."""
    weight = message.get("weight", 1)
    # Servers accept neither `True`, which equals 1, nor 0.5.
    return weight if type(weight) is int and weight in {0, 1} else None
