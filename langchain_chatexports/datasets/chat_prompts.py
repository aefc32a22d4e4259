"""The prompt of a chat: the same in examples, talks with a model and evaluation."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

PROMPT_ROLES = frozenset({"system", "developer"})
"""The roles of messages that are not part of the chat itself."""

PERSONA_REPLIES = 8
"""The number of earlier replies in the prompt of an untuned model."""

_MAX_OTHERS = 8
_OTHERS = "You are chatting with "
# The labels of `LabelSpeakers`; longer ones are not names.
_LABEL = re.compile(r"([^\n:]{1,64}): ")


def message_text(message: Mapping[str, Any]) -> str:
    """Return the text of a message, whose content may be a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content)
    return content or ""


def chatting_with(others: Sequence[str]) -> str:
    """Return a sentence that names the other people in a chat, eight at most."""
    named = [*others[:_MAX_OTHERS]]
    if len(others) > len(named):
        named.append("others")
    *first, last = named
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"{_OTHERS}{listed}."


class ChatPrompt(NamedTuple):
    """The prompt of a chat, in the form of the model's training examples."""

    system: str | None
    """The system message."""

    label: str | None = None
    """The label of the user's messages; `None` if the examples have none."""

    def with_user(self, name: str) -> "ChatPrompt":
        """Return the prompt for a chat with another person."""
        who, with_others, _ = (self.system or "").partition(_OTHERS)
        system = f"{who}{chatting_with([name])}" if with_others else self.system
        return ChatPrompt(system, name if self.label else None)

    def labeled(self, line: str) -> str:
        """Return a user's message with its label, if the examples have labels."""
        return f"{self.label}: {line}" if self.label else line


def common_prompt(examples: Iterable[Mapping[str, Any]]) -> ChatPrompt:
    """Return the most common prompt of examples, for chats with the model.

    The system message is the one at the beginning of more than half of the examples. If
    system messages name different people whom the person chats with, it is the most
    common one, with the most frequent sender if most messages have labels.
    """
    prompts: Counter[str | None] = Counter()
    labels: Counter[str | None] = Counter()
    for example in examples:
        messages = example["messages"]
        has_prompt = messages and messages[0].get("role") in PROMPT_ROLES
        prompts[message_text(messages[0]) or None if has_prompt else None] += 1
        labels.update(
            label_of(message_text(message))
            for message in messages
            if message.get("role") == "user"
        )
    label = _most_common(labels)
    for common, count in prompts.most_common(1):
        if 2 * count > prompts.total():
            return ChatPrompt(common, label)
    named = {one: n for one, n in prompts.items() if _OTHERS in (one or "")}
    if 2 * sum(named.values()) <= prompts.total():
        return ChatPrompt(None, label)
    prompt = ChatPrompt(max(named, key=lambda one: named[one]), label)
    return prompt.with_user(label) if label else prompt


def label_of(text: str) -> str | None:
    """Return the name before a text, if it begins with one."""
    found = _LABEL.match(text)
    return found[1] if found else None


def _most_common(labels: Counter[str | None]) -> str | None:
    """Return the most common label, if most messages have one."""
    unlabeled = labels.pop(None, 0)
    if labels.total() <= unlabeled:
        return None
    ((label, _),) = labels.most_common(1)
    return label
