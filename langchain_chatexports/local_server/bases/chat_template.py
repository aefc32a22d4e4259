"""Token ids and labels of a base model's chats.

Only the assistant's messages have loss, with the token that ends their turn.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import Self

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.derived_template import (
    TemplateError,
    derive_template,
)
from langchain_chatexports.local_server.bases.gguf_header import GGUFHeader
from langchain_chatexports.local_server.bases.preparation import (
    complete_base,
    gguf_header_of,
)

IGNORED = -100
"""The label of a token without loss."""

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_DEFAULT_CONTEXT = 2048
# llama.cpp's type of control tokens.
_CONTROL = 3

MAX_PROBLEMS = 10
"""How many problems of a file an error lists."""


class MessageError(ValueError):
    """A message that a text model cannot read. The error has no message text."""


class TemplateMessage(NamedTuple):
    """The role and text of a message, whether it is learned, and its index."""

    role: str
    text: str
    is_learned: bool
    number: int


class AnswerSpan(NamedTuple):
    """The tokens of an assistant message, and the index of the message."""

    number: int
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
        return sum(self.reply_sizes())

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

    @classmethod
    def of_file(cls, header: GGUFHeader) -> Self:
        """Return the vocabulary of a `.gguf` file."""
        tokens = header.values("tokenizer.ggml.tokens")
        kinds = header.values("tokenizer.ggml.token_type")
        special = {}
        for name, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown")):
            token = header.fields.get(f"tokenizer.ggml.{key}_token_id")
            if isinstance(token, int) and 0 <= token < len(tokens):
                special[f"{name}_token"] = tokens[token]
        control = {
            token
            for token, kind in zip(tokens, kinds, strict=False)
            if kind == _CONTROL
        }
        return cls(
            template=header.fields.get("tokenizer.chat_template"),
            special_tokens=special,
            control_tokens=sorted({*control, *special.values()} - {""}),
        )


class ChatTemplate:
    """The derived chat template of a base.

    Attributes:
        derived: The pieces that chats are joined from.
        publisher: The base's own template, in Jinja.
    """

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary | None = None) -> None:
        """Derive the template; with a vocabulary, `tokenizer` is called to load it."""
        self._load = tokenizer if vocabulary else lambda: tokenizer
        known = vocabulary or Vocabulary.of(tokenizer)
        if not known.template or not isinstance(known.template, str):
            msg = (
                "the base model has no chat template; use an instruction-tuned model "
                "(its name often ends in -Instruct, -Chat or -it)"
            )
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
        text = self.derived.render(chat, add_generation_prompt=True)
        return list(self._load()(text, add_special_tokens=False)["input_ids"])

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
        for before, content, after in self.derived.turns(self._messages(turns)):
            start = len(text) + len(before)
            end = start + len(content) + len(self.derived.learned_end)
            characters.append((start, end))
            text += before + content + after
        encoded = self._load()(
            text, add_special_tokens=False, return_offsets_mapping=True
        )
        begins = [start for start, _ in encoded["offset_mapping"]]
        # A token that overlaps the header belongs to the prompt.
        spans = [
            (bisect_left(begins, start), bisect_left(begins, end))
            for start, end in characters
        ]
        return list(encoded["input_ids"]), spans


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


@dataclass
class LabeledDataset:
    """The labeled examples of a file, and counts of the others."""

    examples: list[LabeledExample] = field(default_factory=list)
    """Examples with learned tokens; empty if only counted."""

    problems: list[str] = field(default_factory=list)
    count: int = 0  # Examples with learned tokens.
    cut: int = 0  # Examples cut at the maximum length.
    without_loss: int = 0  # Examples without learned tokens, which are skipped.
    trailing: int = 0  # Examples that do not end with the assistant.
    leading: int = 0  # Examples that begin with the assistant.


def label_examples(
    examples: Iterable[Mapping[str, Any]],
    template: ChatTemplate,
    *,
    max_length: int,
    keep: bool = True,
) -> LabeledDataset:
    """Label examples, and collect the problems of those that cannot be labeled."""
    dataset = LabeledDataset()
    for number, example in enumerate(examples, 1):
        if len(dataset.problems) >= MAX_PROBLEMS:
            break
        if example.get("tools") or example.get("functions"):
            dataset.problems.append(
                f"line {number}: the local server does not train tools"
            )
            continue
        messages: Sequence[Mapping[str, Any]] = example["messages"]
        try:
            labeled = template.label(messages, max_length=max_length)
        except MessageError as error:
            dataset.problems.append(f"line {number}: {error}")
            continue
        dataset.cut += labeled.is_cut
        dataset.trailing += messages[-1].get("role") != "assistant"
        roles = [m["role"] for m in messages if m.get("role") in {"user", "assistant"}]
        dataset.leading += roles[:1] == ["assistant"]
        if labeled.learned_tokens:
            dataset.count += 1
            if keep:
                dataset.examples.append(labeled)
        else:
            dataset.without_loss += 1
    return dataset


class ChatTokenizer:
    """A base's tokenizer and chat template, loaded on first use.

    The template and context of a `.gguf` file are known without the tokenizer.
    """

    def __init__(self, directory: Path) -> None:
        """Initialize with the base's directory."""
        self._directory = directory
        self._header = gguf_header_of(directory)

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of transformers."""
        return self._loaded[0]

    @property
    def context(self) -> int:
        """The context length in tokens."""
        if self._header is None:
            return self._loaded[1]
        return self._header.dimension("context_length")

    @cached_property
    def template(self) -> ChatTemplate:
        """The base's chat template."""
        if self._header is None:
            return ChatTemplate(self.tokenizer)
        return ChatTemplate(lambda: self.tokenizer, Vocabulary.of_file(self._header))

    @property
    def end_tokens(self) -> set[int]:
        """The tokens that end an answer, from template and tokenizer."""
        end = self.template.derived.end_token
        ends = (self.tokenizer.convert_tokens_to_ids(end), self.tokenizer.eos_token_id)
        return {token for token in ends if token is not None}

    @cached_property
    def _loaded(self) -> tuple[Any, int]:
        return load_tokenizer(self._directory)


def load_tokenizer(directory: Path) -> tuple[Any, int]:
    """Return the tokenizer of a base, and its context length in tokens."""
    complete_base(directory)
    from transformers import AutoConfig, AutoTokenizer

    # By default transformers asks on standard input whether to trust remote code.
    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(directory, **options)
        longest = getattr(config.get_text_config(), "max_position_embeddings", None)
        tokenizer = AutoTokenizer.from_pretrained(directory, **options)
        return tokenizer, int(longest or _DEFAULT_CONTEXT)
    except Exception as error:
        msg = (
            f"The base model in {directory} cannot be used ({type(error).__name__}): "
            "its config.json or tokenizer is damaged or of a kind that transformers "
            "does not know, or needs code of its own, which is never run."
        )
        raise LocalServerError(msg) from error
