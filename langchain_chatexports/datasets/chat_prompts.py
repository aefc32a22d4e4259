"""The chat prompt that examples, talks and evaluation share."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

PROMPT_ROLES = frozenset({"system", "developer"})
"""Roles of messages that do not belong to the chat itself."""

PERSONA_REPLIES = 8
"""The number of earlier replies in the prompt of an untuned model."""

_MAX_OTHERS = 8
_OTHERS_PREFIX = "You are chatting with "
# Labels added by `LabelSpeakers`; a longer prefix is not a name.
_LABEL = re.compile(r"([^\n:]{1,64}): ")


def message_text(message: Mapping[str, Any]) -> str:
    """Return the text of a message, whose content may be a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content)
    return content or ""


def participants_sentence(others: Sequence[str]) -> str:
    """Return a sentence that names up to eight other people in a chat."""
    names = [*others[:_MAX_OTHERS]]
    if len(others) > len(names):
        names.append("others")
    *leading, last = names
    listing = f"{', '.join(leading)} and {last}" if leading else last
    return f"{_OTHERS_PREFIX}{listing}."


class ChatPrompt(NamedTuple):
    """The prompt for a chat, as in the model's training examples."""

    system: str | None
    """The system message."""

    label: str | None = None
    """The label of the user's messages; `None` if the examples have no labels."""

    def with_user(self, name: str) -> "ChatPrompt":
        """Return the prompt for a chat with another person."""
        prefix, separator, _ = (self.system or "").partition(_OTHERS_PREFIX)
        system = (
            f"{prefix}{participants_sentence([name])}" if separator else self.system
        )
        return ChatPrompt(system, name if self.label else None)

    def add_label(self, line: str) -> str:
        """Prefix a user message with the label, if the examples have labels."""
        return f"{self.label}: {line}" if self.label else line


def most_common_prompt(examples: Iterable[Mapping[str, Any]]) -> ChatPrompt:
    """Return the most common prompt in examples, for chats with the model.

    The prompt has the system message that more than half of the examples share. If the
    system messages differ in the people they name, it has the most common one; if most
    messages have labels, that message names the most frequent sender instead.
    """
    prompts: Counter[str | None] = Counter()
    labels: Counter[str | None] = Counter()
    for example in examples:
        messages = example["messages"]
        has_prompt = messages and messages[0].get("role") in PROMPT_ROLES
        prompts[message_text(messages[0]) or None if has_prompt else None] += 1
        labels.update(
            speaker_label(message_text(message))
            for message in messages
            if message.get("role") == "user"
        )
    label = _most_common(labels)
    for system, count in prompts.most_common(1):
        if 2 * count > prompts.total():
            return ChatPrompt(system, label)
    with_names = Counter(
        {p: count for p, count in prompts.items() if p and _OTHERS_PREFIX in p}
    )
    if 2 * with_names.total() <= prompts.total():
        return ChatPrompt(None, label)
    prompt = ChatPrompt(with_names.most_common(1)[0][0], label)
    return prompt.with_user(label) if label else prompt


def speaker_label(text: str) -> str | None:
    """Return the sender label at the start of a message, if any."""
    match = _LABEL.match(text)
    return match[1] if match else None


def _most_common(labels: Counter[str | None]) -> str | None:
    """Return the most common label, if most messages have one."""
    unlabeled = labels.pop(None, 0)
    if labels.total() <= unlabeled:
        return None
    ((label, _),) = labels.most_common(1)
    return label
