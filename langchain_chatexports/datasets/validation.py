"""Validate examples against the rules of OpenAI's training files, for chats in text.

It imports the standard library only, since the local server uses it as well.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

_ROLES = ("system", "developer", "user", "assistant")
_MESSAGE_KEYS = frozenset({"role", "content", "name", "weight"})

# Stricter than chat completions, so that all servers accept it.
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

# Any of these in a text fails the whole job: "message contains an invalid token".
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

    Examples are chats in text: tools, images and sounds are problems, too.

    Args:
        examples: The examples, as in the lines of a training file.
        minimum: The minimum number of examples.
        allow_trailing: Accept examples that do not end with the assistant, as the local
            server does, unlike OpenAI.
        limit: Stop at this number of problems.

    Returns:
        The problems in order, as sentences. They name lines, positions and rules, never
        text.
    """
    problems: list[str] = []
    count = 0
    for count, example in enumerate(examples, 1):
        found = (
            f"line {count}{where}: {rule}"
            for where, rule in _check_example(example, allow_trailing=allow_trailing)
        )
        problems.extend(
            found if limit is None else islice(found, limit - len(problems))
        )
        if len(problems) == limit:
            return problems
    if count < minimum:
        problems.append(f"at least {minimum} examples are needed, there are {count}")
    return problems


def _check_example(
    example: object, *, allow_trailing: bool
) -> Iterator[tuple[str, str]]:
    """Yield the position and the rule of each problem."""
    if not isinstance(example, Mapping):
        yield "", "an example must be an object with `messages`"
        return
    for rule in _unknown_keys(example, frozenset({"messages"})):
        yield "", rule
    messages = example.get("messages")
    if not isinstance(messages, list) or not messages:
        yield "", "`messages` must be a list with at least one message"
        return
    for index, message in enumerate(messages):
        where = f", messages[{index}]"
        if not isinstance(message, Mapping):
            yield where, "a message must be an object with `role` and `content`"
            continue
        for rule in _check_message(message):
            yield where, rule
    known = [one if isinstance(one, Mapping) else {} for one in messages]
    weights = [_weight(one) for one in known if one.get("role") == "assistant"]
    if not weights:
        yield "", "at least one message must be the assistant's"
    elif all(weight == 0 for weight in weights):
        yield "", "at least one assistant message must have a weight other than 0"
    if weights and not allow_trailing and known[-1].get("role") != "assistant":
        where = f", messages[{len(messages) - 1}]"
        yield where, "the last message must be the assistant's"


def _unknown_keys(item: Mapping[Any, Any], known: frozenset[str]) -> Iterator[str]:
    # Keys may contain private text, so only count them.
    if unknown := sum(key not in known for key in item):
        listed = ", ".join(sorted(known))
        yield f"{unknown} unknown key{'s' * (unknown > 1)} (known: {listed})"


def _check_message(message: Mapping[Any, Any]) -> Iterator[str]:
    yield from _unknown_keys(message, _MESSAGE_KEYS)
    role, name = message.get("role"), message.get("name", "-")
    if role not in _ROLES:
        yield f"`role` must be one of {', '.join(_ROLES)}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield "`name` must be 1 to 64 of the characters a-z, A-Z, 0-9, _ and -"
    if "weight" in message and role != "assistant":
        yield "`weight` is for assistant messages only"
    if "weight" in message and _weight(message) is None:
        yield "`weight` must be 0 or 1"
    content = message.get("content")
    texts = _texts_of(content)
    if content is None:
        yield "`content` is missing"
    elif texts is None:
        yield "`content` must be text: a string, or a list of parts of the type text"
    elif not any(text.strip() for text in texts):
        yield "`content` is empty"
    elif any(map(_SPECIAL_TOKEN.search, texts)):
        yield "the text contains a special token such as <|endoftext|>"


def _texts_of(content: object) -> list[str] | None:
    """Return the texts of a message's content; `None` if it is not text."""
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return None
    found = (part for part in content if isinstance(part, Mapping))
    parts = [part.get("text") for part in found if part.get("type") == "text"]
    texts = [text for text in parts if isinstance(text, str)]
    return texts if len(texts) == len(content) else None


def _weight(message: Mapping[Any, Any]) -> int | None:
    """Return 0 or 1; `None` for any other value."""
    weight = message.get("weight", 1)
    # The server accepts neither `True`, which equals 1, nor 0.5.
    return weight if type(weight) is int and weight in {0, 1} else None
