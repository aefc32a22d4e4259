"""Token ids and labels of a base model's chats.

Only assistant messages, including the token that ends their turn, have loss.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, Self

from langchain_chatexports.local_server.bases.derived_template import (
    TemplateError,
    derive_template,
)
from langchain_chatexports.local_server.bases.gguf_header import GGUFHeader
from langchain_chatexports.local_server.bases.preparation import (
    load_tokenizer as load_tokenizer,  # noqa: PLC0414 - for its old users.
)
from langchain_chatexports.local_server.bases.preparation import (
    read_source_header,
)

IGNORED = -100
"""The label of a token without loss."""

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
# llama.cpp's type of control tokens.
_CONTROL_TYPE = 3

MAX_PROBLEMS = 10
"""Maximum number of problems in an error message."""


class MessageError(ValueError):
    """A message that a text model does not support; the error does not quote it."""


class TemplateMessage(NamedTuple):
    """A message reduced to its role and text."""

    role: str
    text: str
    has_loss: bool
    message_index: int


class ReplySpan(NamedTuple):
    """The token range of an assistant message."""

    message_index: int
    start: int
    end: int
    """The index of the token that ends the turn."""

    size_bytes: int


@dataclass(frozen=True)
class LabeledExample:
    """The token ids and labels of a chat."""

    input_ids: list[int]
    labels: list[int]
    is_truncated: bool
    """Whether tokens with loss were truncated."""

    @property
    def loss_tokens(self) -> int:
        """The number of tokens with loss."""
        return sum(self.reply_sizes())

    def reply_sizes(self) -> list[int]:
        """Return the token count of each reply with loss, including the end token."""
        runs = groupby(self.labels, key=lambda label: label != IGNORED)
        return [len(list(labels)) for has_loss, labels in runs if has_loss]


class Vocabulary(NamedTuple):
    """The parts of a tokenizer that a chat template is derived from."""

    template: Any
    """The base's own template, in Jinja; not a string if missing."""

    special_tokens: Mapping[str, Any]
    control_tokens: Sequence[str]

    @classmethod
    def from_tokenizer(cls, tokenizer: Any) -> Self:
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

    @classmethod
    def from_gguf(cls, header: GGUFHeader) -> Self:
        """Return the vocabulary of a `.gguf` file."""
        tokens = header.read_values("tokenizer.ggml.tokens")
        kinds = header.read_values("tokenizer.ggml.token_type")
        special = {}
        for name, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown")):
            token = header.fields.get(f"tokenizer.ggml.{key}_token_id")
            if isinstance(token, int) and 0 <= token < len(tokens):
                special[f"{name}_token"] = tokens[token]
        control = {
            token
            for token, kind in zip(tokens, kinds, strict=False)
            if kind == _CONTROL_TYPE
        }
        return cls(
            template=header.fields.get("tokenizer.chat_template"),
            special_tokens=special,
            control_tokens=sorted({*control, *special.values()} - {""}),
        )


class ChatTemplate:
    """The derived chat template of a base.

    Attributes:
        derived: The markup from which chats are rendered.
        original: The base's own template, in Jinja.
    """

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary | None = None) -> None:
        """Derive the template.

        With a vocabulary, `tokenizer` is a function that loads the tokenizer.
        """
        self._load_tokenizer = tokenizer if vocabulary else lambda: tokenizer
        parts = vocabulary or Vocabulary.from_tokenizer(tokenizer)
        if not parts.template or not isinstance(parts.template, str):
            msg = (
                "the base model has no chat template; use an instruction-tuned model "
                "(its name often ends in -Instruct, -Chat or -it)"
            )
            raise TemplateError(msg)
        self.original = parts.template
        self._control_tokens = parts.control_tokens
        self.derived = derive_template(
            self.original, parts.special_tokens, parts.control_tokens
        )

    @property
    def has_tools(self) -> bool:
        """Whether the base's own template renders tools and their calls."""
        return re.search(r"\btools\b", self.original) is not None

    @property
    def source(self) -> str:
        """The template for llama.cpp, in Jinja."""
        return self.derived.to_jinja(
            with_tools=self.original if self.has_tools else None
        )

    def prepare_messages(
        self, messages: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, str]]:
        """Return a chat's messages in the format used for training and inference."""
        return self._escape_messages(to_template_messages(messages))

    def prompt_ids(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return the token ids of a chat up to the assistant's reply."""
        chat = self.prepare_messages(messages)
        text = self.derived.render(chat, add_generation_prompt=True)
        return list(self._load_tokenizer()(text, add_special_tokens=False)["input_ids"])

    def label(
        self, messages: Sequence[Mapping[str, Any]], *, max_length: int
    ) -> LabeledExample:
        """Return the token ids and labels of a chat."""
        turns = to_template_messages(messages)
        full, spans = self._encode(turns)
        labels = [IGNORED] * len(full)
        for turn, (start, end) in zip(turns, spans, strict=True):
            if turn.has_loss:
                labels[start:end] = full[start:end]
        is_truncated = any(label != IGNORED for label in labels[max_length:])
        loss_positions = [i for i, x in enumerate(labels[:max_length]) if x != IGNORED]
        end = loss_positions[-1] + 1 if loss_positions else 0
        return LabeledExample(full[:end], labels[:end], is_truncated)

    def reply_spans(
        self, messages: Sequence[Mapping[str, Any]]
    ) -> tuple[list[int], list[ReplySpan]]:
        """Return a chat's tokens, and the token ranges of the assistant's messages."""
        turns = to_template_messages(messages)
        full, spans = self._encode(turns)
        return full, [
            ReplySpan(
                turn.message_index, start, end - 1, len(turn.text.encode("utf-8"))
            )
            for turn, (start, end) in zip(turns, spans, strict=True)
            if turn.role == "assistant"
        ]

    def escape_control_tokens(self, text: str) -> str:
        """Insert a space into each control token in `text`.

        Otherwise a control token could end its message and start another role's.
        """
        for token in self._control_tokens:
            if token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def _escape_messages(
        self, turns: Sequence[TemplateMessage]
    ) -> list[dict[str, str]]:
        return [
            {"role": turn.role, "content": self.escape_control_tokens(turn.text)}
            for turn in turns
        ]

    def _encode(
        self, turns: Sequence[TemplateMessage]
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Return a chat's token ids, and the token range of each message."""
        text = ""
        char_spans = []
        for before, content, after in self.derived.turns(self._escape_messages(turns)):
            start = len(text) + len(before)
            end = start + len(content) + len(self.derived.loss_suffix)
            char_spans.append((start, end))
            text += before + content + after
        encoded = self._load_tokenizer()(
            text, add_special_tokens=False, return_offsets_mapping=True
        )
        begins = [start for start, _ in encoded["offset_mapping"]]
        # A token that overlaps the header belongs to the prompt.
        spans = [
            (bisect_left(begins, start), bisect_left(begins, end))
            for start, end in char_spans
        ]
        return list(encoded["input_ids"]), spans


def to_template_messages(
    messages: Sequence[Mapping[str, Any]],
) -> list[TemplateMessage]:
    """Reduce OpenAI's messages to roles and text.

    `developer` counts as `system`. Messages with `weight` 0 have no loss. A refusal
    counts as text. System messages at the start are joined.
    """
    reduced: list[TemplateMessage] = []
    for index, message in enumerate(messages):
        role = _ROLES.get(str(message.get("role")))
        if role is None or message.get("tool_calls") or message.get("function_call"):
            msg = f"message {index}: the local server only supports text, no tool calls"
            raise MessageError(msg)
        content = message.get("content")
        if not content and message.get("refusal"):
            content = message["refusal"]
        text = _extract_text(content, index)
        has_loss = role == "assistant" and message.get("weight", 1) != 0
        if role == "system" and len(reduced) == 1 and reduced[0].role == "system":
            reduced[0] = reduced[0]._replace(text=f"{reduced[0].text}\n\n{text}")
        else:
            reduced.append(TemplateMessage(role, text, has_loss, index))
    return reduced


def _extract_text(content: Any, index: int) -> str:
    if isinstance(content, str):
        # Tokenizers reject lone surrogates.
        return content.encode("utf-8", "replace").decode("utf-8")
    if isinstance(content, list) and content:
        parts = [
            part.get("text", part.get("refusal"))
            for part in content
            if isinstance(part, Mapping)
        ]
        texts = [text for text in parts if isinstance(text, str)]
        if len(texts) == len(content):
            return "".join(_extract_text(text, index) for text in texts)
    msg = f"message {index}: the content is not text"
    raise MessageError(msg)


@dataclass
class LabeledDataset:
    """The labeled examples of a file, and counts of the others."""

    examples: list[LabeledExample] = field(default_factory=list)
    """Examples with loss; empty if they are only counted."""

    problems: list[str] = field(default_factory=list)
    count: int = 0  # Examples with loss.
    truncated: int = 0  # Examples truncated at the maximum length.
    without_loss: int = 0  # Examples without loss, which are skipped.
    trailing: int = 0  # Examples that do not end with the assistant.
    leading: int = 0  # Examples that begin with the assistant.


def label_examples(
    examples: Iterable[Mapping[str, Any]],
    template: ChatTemplate,
    *,
    max_length: int,
    keep_examples: bool = True,
) -> LabeledDataset:
    """Label examples, and collect the problems in invalid ones."""
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
            labeled = template.label(messages, max_length=max_length)
        except MessageError as error:
            dataset.problems.append(f"line {number}: {error}")
            continue
        dataset.truncated += labeled.is_truncated
        dataset.trailing += messages[-1].get("role") != "assistant"
        roles = [m["role"] for m in messages if m.get("role") in {"user", "assistant"}]
        dataset.leading += roles[:1] == ["assistant"]
        if labeled.loss_tokens:
            dataset.count += 1
            if keep_examples:
                dataset.examples.append(labeled)
        else:
            dataset.without_loss += 1
    return dataset


class ChatTokenizer:
    """A base's tokenizer and chat template, loaded on first use.

    The template and context of a `.gguf` file are read without loading the tokenizer.
    """

    def __init__(self, directory: Path) -> None:
        """Initialize with the base's directory."""
        self._directory = directory
        self._header = read_source_header(directory)

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer."""
        return self._tokenizer_and_context[0]

    @property
    def context(self) -> int:
        """The context length in tokens."""
        if self._header is None:
            return self._tokenizer_and_context[1]
        return self._header.dimension("context_length")

    @cached_property
    def template(self) -> ChatTemplate:
        """The base's chat template."""
        if self._header is None:
            return ChatTemplate(self.tokenizer)
        return ChatTemplate(lambda: self.tokenizer, Vocabulary.from_gguf(self._header))

    @property
    def end_tokens(self) -> set[int]:
        """Token ids that end a reply, from the template and the tokenizer."""
        end = self.template.derived.end_token
        ids = (self.tokenizer.convert_tokens_to_ids(end), self.tokenizer.eos_token_id)
        return {token for token in ids if token is not None}

    @cached_property
    def _tokenizer_and_context(self) -> tuple[Any, int]:
        return load_tokenizer(self._directory)
