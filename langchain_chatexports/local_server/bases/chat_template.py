"""Token ids and labels of a base model's chats.

Only the assistant's messages have loss, with the token that ends their turn.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from typing_extensions import Self

from langchain_chatexports.local_server.bases.derived_template import (
    TemplateError,
    derive_template,
)

IGNORED = -100
"""The label of a token without loss."""

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


class MessageError(ValueError):
    """A message that a text model cannot read. The error has no message text."""


class TemplateMessage(NamedTuple):
    """The role and text of a message, and whether it is learned."""

    role: str
    text: str
    is_learned: bool
    number: int = 0
    """Its index in the chat, from 0."""


class AnswerSpan(NamedTuple):
    """The tokens of an assistant message."""

    number: int
    """The index of the message, from 0."""

    start: int
    end: int
    """The token after its text, which ends its turn."""

    size_bytes: int


@dataclass(frozen=True)
class LabeledExample:
    """The token ids and labels of a chat."""

    input_ids: list[int]
    labels: list[int]
    is_cut: bool
    """Whether learned tokens beyond the maximum length were skipped."""

    @property
    def learned_tokens(self) -> int:
        """The number of tokens with loss."""
        return sum(label != IGNORED for label in self.labels)

    def reply_sizes(self) -> list[int]:
        """Return the number of tokens of each learned reply, its end included."""
        runs = groupby(self.labels, key=lambda label: label != IGNORED)
        return [len(list(labels)) for is_learned, labels in runs if is_learned]


class Vocabulary(NamedTuple):
    """The parts of a tokenizer from which a chat template is derived."""

    template: Any
    """The base's own template, in Jinja; not a string if there is none."""

    special_tokens: Mapping[str, Any]
    control_tokens: Sequence[str]

    @classmethod
    def of(cls, tokenizer: Any) -> Self:
        """Return the vocabulary of a transformers tokenizer."""
        template = getattr(tokenizer, "chat_template", None)
        if isinstance(template, dict):
            template = template.get("default")
        added = tokenizer.added_tokens_decoder.values()
        control = {token.content for token in added if token.special}
        return cls(
            template=template,
            special_tokens=tokenizer.special_tokens_map,
            control_tokens=sorted({*control, *tokenizer.all_special_tokens} - {""}),
        )


class ChatTemplate:
    """The derived chat template of a base.

    Attributes:
        derived: The pieces that chats are joined from.
        publisher: The base's own template, in Jinja.
    """

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary | None = None) -> None:
        """Derive the template; with a vocabulary, `tokenizer` is called to load it."""
        self._tokenizer = tokenizer
        self._loads_tokenizer = vocabulary is not None
        known = vocabulary or Vocabulary.of(tokenizer)
        if not known.template or not isinstance(known.template, str):
            msg = (
                "the base model has no chat template; use an instruction-tuned model "
                "(its name often ends in -Instruct, -Chat or -it)"
            )
            raise TemplateError(msg)
        if vocabulary is None and not tokenizer.is_fast:
            msg = "the base model's tokenizer has no tokenizer.json"
            raise TemplateError(msg)
        self.publisher = known.template
        self._control_tokens = known.control_tokens
        self.derived = derive_template(
            self.publisher, known.special_tokens, known.control_tokens
        )

    @property
    def has_tools(self) -> bool:
        """Whether the base's own template renders tools and their calls."""
        return re.search(r"\btools\b", self.publisher) is not None

    @property
    def source(self) -> str:
        """The template for llama.cpp, in Jinja."""
        return self.derived.to_jinja(
            with_tools=self.publisher if self.has_tools else None
        )

    def as_rendered(
        self, messages: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, str]]:
        """Return a chat as the template renders it, in training and for answers."""
        return self._messages(to_template_messages(messages))

    def prompt_ids(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return the token ids of a chat up to the assistant's answer."""
        chat = self.as_rendered(messages)
        return self._ids(self.derived.render(chat, add_generation_prompt=True))

    def label(
        self, messages: Sequence[Mapping[str, Any]], *, max_length: int
    ) -> LabeledExample:
        """Return the token ids and labels of a chat."""
        turns = to_template_messages(messages)
        full, spans = self._encode(turns)
        labels = [IGNORED] * len(full)
        for turn, (start, end) in zip(turns, spans, strict=True):
            if turn.is_learned:
                labels[start:end] = full[start:end]
        is_cut = any(label != IGNORED for label in labels[max_length:])
        learned = [i for i, x in enumerate(labels[:max_length]) if x != IGNORED]
        end = learned[-1] + 1 if learned else 0
        return LabeledExample(full[:end], labels[:end], is_cut)

    def answer_spans(
        self, messages: Sequence[Mapping[str, Any]]
    ) -> tuple[list[int], list[AnswerSpan]]:
        """Locate all of the assistant's messages in the tokens of a chat."""
        turns = to_template_messages(messages)
        full, spans = self._encode(turns)
        return full, [
            AnswerSpan(turn.number, start, end - 1, len(turn.text.encode("utf-8")))
            for turn, (start, end) in zip(turns, spans, strict=True)
            if turn.role == "assistant"
        ]

    def without_control_tokens(self, text: str) -> str:
        """Return a text with a space in each control token.

        A control token in a message would end its turn and start another role's.
        """
        for token in self._control_tokens:
            if token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def _messages(self, turns: Sequence[TemplateMessage]) -> list[dict[str, str]]:
        return [
            {"role": turn.role, "content": self.without_control_tokens(turn.text)}
            for turn in turns
        ]

    def _encode(
        self, turns: Sequence[TemplateMessage]
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the token ids of a chat, and the range of each message."""
        text = ""
        characters = []
        for written in self.derived.turns(self._messages(turns)):
            start = len(text) + len(written.before)
            end = start + len(written.text) + len(self.derived.learned_end)
            characters.append((start, end))
            text += "".join(written)
        encoded = self._loaded_tokenizer()(
            text, add_special_tokens=False, return_offsets_mapping=True
        )
        begins = [start for start, _ in encoded["offset_mapping"]]
        # A token that overlaps the header belongs to the prompt.
        spans = [
            (bisect_left(begins, start), bisect_left(begins, end))
            for start, end in characters
        ]
        return list(encoded["input_ids"]), spans

    def _ids(self, text: str) -> list[int]:
        tokenizer = self._loaded_tokenizer()
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def _loaded_tokenizer(self) -> Any:
        return self._tokenizer() if self._loads_tokenizer else self._tokenizer


def to_template_messages(
    messages: Sequence[Mapping[str, Any]],
) -> list[TemplateMessage]:
    """Reduce OpenAI's messages to roles and text.

    `developer` counts as `system`, `weight` 0 as not learned, and a refusal as its
    text. Several system messages at the start become one.
    """
    reduced: list[TemplateMessage] = []
    for index, message in enumerate(messages):
        role = _ROLES.get(str(message.get("role")))
        if role is None or message.get("tool_calls") or message.get("function_call"):
            msg = f"message {index}: the local server reads text only, no tool calls"
            raise MessageError(msg)
        content = message.get("content")
        if not content and message.get("refusal"):
            content = message["refusal"]
        text = _text_of(content, index)
        is_learned = role == "assistant" and message.get("weight", 1) != 0
        if role == "system" and len(reduced) == 1 and reduced[0].role == "system":
            reduced[0] = reduced[0]._replace(text=f"{reduced[0].text}\n\n{text}")
        else:
            reduced.append(TemplateMessage(role, text, is_learned, index))
    return reduced


def _text_of(content: Any, index: int) -> str:
    if isinstance(content, str):
        # Tokenizers refuse a lone surrogate.
        return content.encode("utf-8", "replace").decode("utf-8")
    if isinstance(content, list) and content:
        parts = [
            part.get("text", part.get("refusal"))
            for part in content
            if isinstance(part, Mapping)
        ]
        texts = [text for text in parts if isinstance(text, str)]
        if len(texts) == len(content):
            return "".join(_text_of(text, index) for text in texts)
    msg = f"message {index}: the content is not text"
    raise MessageError(msg)
