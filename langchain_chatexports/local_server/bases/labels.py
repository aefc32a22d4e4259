"""Token ids and labels of chats.

Only assistant messages have loss, each with the token that ends it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from langchain_chatexports.local_server.bases.template import (
    ChatTemplate,
    MessageError,
    reduce_messages,
)

IGNORED = -100
"""The label of a token without loss."""

MAX_PROBLEMS = 10
"""Maximum number of problems in an error message."""


class Reply(NamedTuple):
    """The tokens of an assistant message."""

    message_index: int
    start: int
    end: int
    """The index after the token that ends the message."""

    size_bytes: int
    has_loss: bool


@dataclass(frozen=True)
class LabeledExample:
    """The token ids and labels of a chat."""

    input_ids: list[int]
    labels: list[int]
    is_truncated: bool
    """Whether tokens with loss were truncated."""

    def reply_sizes(self) -> list[int]:
        """Return the token count of each reply with loss, including the end token."""
        runs = groupby(self.labels, key=lambda label: label != IGNORED)
        return [len(list(labels)) for has_loss, labels in runs if has_loss]


@dataclass
class LabeledDataset:
    """The labeled examples of a file, and counts of the others."""

    examples: list[LabeledExample] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    truncated: int = 0
    without_loss: int = 0
    """Examples that are skipped, because they have no loss."""

    trailing: int = 0
    """Examples that do not end with the assistant."""


def encode_prompt(
    tokenizer: Any, template: ChatTemplate, messages: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Return the token ids of a chat up to the assistant's next reply."""
    text, _ = _render(template, messages, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def encode_chat(
    tokenizer: Any, template: ChatTemplate, messages: Sequence[Mapping[str, Any]]
) -> tuple[list[int], list[Reply]]:
    """Return the token ids of a chat, and its replies."""
    text, spans = _render(template, messages, add_generation_prompt=False)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    begins = [begin for begin, _ in encoded["offset_mapping"]]
    turns = [turn for turn in reduce_messages(messages) if turn.role == "assistant"]
    return list(encoded["input_ids"]), [
        Reply(
            message_index=turn.message_index,
            # A token that overlaps the header belongs to the header, unlike in the
            # mask of `apply_chat_template`: a prompt ends with it.
            start=bisect_left(begins, start),
            end=bisect_left(begins, end),
            size_bytes=len(turn.text.encode("utf-8")),
            has_loss=turn.has_loss,
        )
        for turn, (start, end) in zip(turns, spans, strict=True)
    ]


def label(
    tokenizer: Any,
    template: ChatTemplate,
    messages: Sequence[Mapping[str, Any]],
    *,
    max_length: int,
) -> LabeledExample:
    """Return the token ids and labels of a chat up to its last reply."""
    tokens, replies = encode_chat(tokenizer, template, messages)
    labels = [IGNORED] * len(tokens)
    for reply in replies:
        if reply.has_loss:
            labels[reply.start : reply.end] = tokens[reply.start : reply.end]
    is_truncated = any(each != IGNORED for each in labels[max_length:])
    with_loss = [i for i, each in enumerate(labels[:max_length]) if each != IGNORED]
    end = with_loss[-1] + 1 if with_loss else 0
    return LabeledExample(tokens[:end], labels[:end], is_truncated)


def label_examples(
    examples: Iterable[Mapping[str, Any]],
    tokenizer: Any,
    template: ChatTemplate,
    *,
    max_length: int,
) -> LabeledDataset:
    """Label examples and collect the problems in invalid ones."""
    dataset = LabeledDataset()
    for number, example in enumerate(examples, 1):
        if len(dataset.problems) >= MAX_PROBLEMS:
            break
        if example.get("tools") or example.get("functions"):
            dataset.problems.append(
                f"line {number}: the local server does not support tools"
            )
            continue
        messages: Sequence[Mapping[str, Any]] = example["messages"]
        try:
            labeled = label(tokenizer, template, messages, max_length=max_length)
        except MessageError as error:
            dataset.problems.append(f"line {number}: {error}")
            continue
        dataset.truncated += labeled.is_truncated
        dataset.trailing += messages[-1].get("role") != "assistant"
        if labeled.labels:
            dataset.examples.append(labeled)
        else:
            dataset.without_loss += 1
    if not dataset.examples and not dataset.problems:
        dataset.problems.append(f"no example has a reply within {max_length} tokens")
    return dataset


def _render(
    template: ChatTemplate,
    messages: Sequence[Mapping[str, Any]],
    *,
    add_generation_prompt: bool,
) -> tuple[str, list[tuple[int, int]]]:
    """Return a chat's text, and where `{% generation %}` marks it."""
    from transformers.utils.chat_template_utils import render_jinja_template

    (text,), (spans,) = render_jinja_template(
        conversations=[template.prepare(messages)],
        chat_template=template.jinja,
        return_assistant_tokens_mask=True,
        add_generation_prompt=add_generation_prompt,
    )
    return text, spans
