"""A base model's chat template: token ids of chats, and which of them are learned.

Only the assistant's messages carry loss, with the token that ends their turn. They are
located by rendering prefixes of a chat, which works for every template that renders a
prefix of a chat as a prefix of the whole. Messages that a template refuses (a system
message, an assistant message at the start) are rewritten, in training and in chats.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports.local_server.bases.rendering import (
    RefusedError,
    RenderingError,
    render_chat,
)
from langchain_chatexports.local_server.bases.template_messages import (
    MessageError,
    TemplateMessage,
    fold_system_messages,
    merge_repeated_roles,
    to_template_messages,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "IGNORED",
    "AnswerSpan",
    "ChatTemplate",
    "LabeledExample",
    "TemplateError",
    "TooLongError",
]

IGNORED = -100
"""The label of a token that carries no loss."""

# A tokenizer takes about 200 bytes of memory per byte of text, so a longer text is
# counted in chunks first. A chunk border may split tokens.
_CHUNK_CHARACTERS = 1 << 16
_MAX_SPLIT_TOKENS = 64
# The longest token of a chat model is 128 spaces (Llama 3, Qwen 2.5).
_MAX_TOKEN_CHARACTERS = 256

# A tokenizer may merge the last characters of a prefix with the first ones after it
# (two line breaks, for example), so this many tokens may differ at its end.
_BORDER_TOKENS = 3


class TemplateError(ValueError):
    """The model's chat template cannot be used; the text says why."""


class TooLongError(ValueError):
    """A chat has more tokens than the model can read; its length is not known."""


class AnswerSpan(NamedTuple):
    """The tokens of an assistant message."""

    number: int
    """The index of the message, from 0."""

    start: int
    end: int
    """The token after its text: the one that ends its turn, if there is one."""

    has_end: bool
    """Whether a token ends its turn."""

    size_bytes: int


@dataclass(frozen=True)
class LabeledExample:
    """The token ids and labels of a chat."""

    input_ids: list[int]
    labels: list[int]
    is_cut: bool
    """Whether learned tokens beyond the maximum length were left out."""

    dropped_openers: int
    """Assistant messages at the start that the template refuses."""

    @property
    def learned_tokens(self) -> int:
        """How many tokens carry loss."""
        return sum(label != IGNORED for label in self.labels)


class ChatTemplate:
    """The chat template of a tokenizer.

    Attributes:
        end_of_turn: The token that ends a turn; `None` if the template has none.
    """

    def __init__(self, tokenizer: Any) -> None:
        """Initialize the template, and test which messages it accepts.

        Raises:
            TemplateError: If there is no template, or it cannot render a simple chat.
        """
        self._tokenizer = tokenizer
        self._template = _template_of(tokenizer)
        if not self._template:
            msg = (
                "the base model has no chat template; use an instruction-tuned model "
                "(its name often ends in -Instruct, -Chat or -it)"
            )
            raise TemplateError(msg)
        self._special_tokens = _special_tokens(tokenizer)
        self._token_characters = _longest_token(tokenizer)
        user = TemplateMessage("user", "one", False)
        assistant = TemplateMessage("assistant", "two", True)
        system = TemplateMessage("system", "sys", False)
        if not self._renders([user, assistant, user]):
            msg = "the base model's chat template cannot render a simple chat"
            raise TemplateError(msg)
        self._accepts_system = self._renders([system, user])
        self._accepts_leading_assistant = all(
            self._renders(opening) for opening in ([assistant], [assistant, user])
        )
        self._accepts_repeated_roles = self._renders([user, user, assistant, assistant])
        self.end_of_turn = self._find_end_of_turn()

    def prompt_ids(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        max_length: int | None = None,
    ) -> list[int]:
        """Return the token ids of a chat, up to where the assistant's answer begins.

        Args:
            messages: The chat in OpenAI's shape.
            max_length: The maximum number of tokens.

        Raises:
            MessageError: If a message, or their order, cannot be rendered.
            TooLongError: If there are clearly more tokens.
        """
        turns, _ = self._adapted(to_template_messages(messages))
        if not turns:
            msg = "the model's chat template needs a user message"
            raise MessageError(msg)
        self._check_length(turns, max_length)
        return self._encode(turns, for_answer=True)

    @property
    def source(self) -> str:
        """The template, in Jinja."""
        return self._template

    @property
    def has_tools(self) -> bool:
        """Whether it renders tools and their calls."""
        return re.search(r"\btools\b", self._template) is not None

    def as_rendered(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        max_length: int | None = None,
    ) -> list[dict[str, str]]:
        """Return a chat as the template gets it, in training and for answers.

        Args:
            messages: The chat in OpenAI's shape.
            max_length: The maximum number of tokens.

        Returns:
            Messages with role and text, rewritten where the template refuses them, and
            without control tokens.

        Raises:
            MessageError: If a message, or their order, cannot be rendered.
            TooLongError: If there are clearly more tokens.
        """
        turns, _ = self._adapted(to_template_messages(messages))
        if not turns:
            msg = "the model's chat template needs a user message"
            raise MessageError(msg)
        self._check_length(turns, max_length)
        return self._messages(turns)

    def check_trainable(self) -> None:
        """Refuse a template that does not keep earlier messages as they were.

        Raises:
            TemplateError: If assistant messages cannot be located.
        """
        chat = [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
            {"role": "assistant", "content": "four"},
        ]
        self.label(chat, max_length=1 << 30)

    def label(
        self, messages: Sequence[Mapping[str, Any]], *, max_length: int
    ) -> LabeledExample:
        """Return the token ids and labels of a chat.

        Args:
            messages: The chat in OpenAI's shape.
            max_length: The maximum number of tokens; the rest is cut off.

        Returns:
            The example, which ends with its last learned token.

        Raises:
            MessageError: If a message, or their order, cannot be rendered.
            TemplateError: If the template does not keep earlier messages as they were.
        """
        turns, dropped = self._adapted(to_template_messages(messages))
        turns, left_out = self._shortened(turns, max_length)
        full = self._encode(turns) if turns else []
        labels = [IGNORED] * len(full)
        for index, turn in enumerate(turns):
            if not turn.is_learned:
                continue
            start, end = self._answer_span(turns, index, full)
            labels[start:end] = full[start:end]
            if end > max_length:
                break
        is_cut = left_out or any(label != IGNORED for label in labels[max_length:])
        learned = [i for i, x in enumerate(labels[:max_length]) if x != IGNORED]
        end = learned[-1] + 1 if learned else 0
        return LabeledExample(full[:end], labels[:end], is_cut, dropped)

    def answer_spans(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        max_length: int | None = None,
    ) -> tuple[list[int], list[AnswerSpan]]:
        """Locate all of the assistant's messages in the tokens of a chat.

        Args:
            messages: The chat in OpenAI's shape.
            max_length: The maximum number of tokens.

        Returns:
            The token ids of the chat, and the spans in order.

        Raises:
            MessageError: If a message, or their order, cannot be rendered.
            TooLongError: If there are more tokens.
            TemplateError: If the template does not keep earlier messages as they were.
        """
        turns, _ = self._adapted(to_template_messages(messages))
        self._check_length(turns, max_length)
        full = self._encode(turns) if turns else []
        if max_length is not None and len(full) > max_length:
            # Locating an answer renders all messages before it again.
            raise TooLongError
        found = []
        for index, turn in enumerate(turns):
            if turn.role == "assistant":
                start, end = self._answer_span(turns, index, full)
                has_end = end > start and full[end - 1] == self.end_of_turn
                size = len(turn.text.encode("utf-8"))
                found.append(
                    AnswerSpan(turn.number, start, end - has_end, has_end, size)
                )
        return full, found

    def _answer_span(
        self, turns: list[TemplateMessage], index: int, full: list[int]
    ) -> tuple[int, int]:
        through = self._encode(turns[: index + 1])
        if index:
            before = self._encode(turns[:index], for_answer=True)
        else:
            # No template renders an empty chat: compare two first messages.
            mark = "@" if turns[0].text.startswith("#") else "#"
            other = self._encode([turns[0]._replace(text=mark)])
            before = through[: _common_length(through, other)]
        start, end = _common_length(full, before), _common_length(full, through)
        if len(before) - start > _BORDER_TOKENS or len(through) - end > _BORDER_TOKENS:
            msg = (
                "the base model's chat template rewrites earlier messages (thinking "
                "models do), so its answers cannot be located; use a model "
                "whose template keeps them, such as SmolLM2, Qwen2.5, Llama 3 or Gemma"
            )
            raise TemplateError(msg)
        # Learn the token that ends the turn, not the line break after it.
        last = end
        while last > start and full[last - 1] != self.end_of_turn:
            last -= 1
        return start, (last if last > start else end)

    def _adapted(
        self, turns: list[TemplateMessage]
    ) -> tuple[list[TemplateMessage], int]:
        if not self._accepts_system:
            turns = fold_system_messages(turns)
        if not self._accepts_repeated_roles:
            turns = merge_repeated_roles(turns)
        dropped = 0
        if not self._accepts_leading_assistant:
            first = 1 if turns and turns[0].role == "system" else 0
            while len(turns) > first and turns[first].role == "assistant":
                turns = turns[:first] + turns[first + 1 :]
                dropped += 1
            if len(turns) == first:
                turns = []
        return turns, dropped

    def _shortened(
        self, turns: list[TemplateMessage], max_length: int
    ) -> tuple[list[TemplateMessage], bool]:
        """Leave out text that is certainly beyond the maximum number of tokens.

        Returns:
            The messages, and whether a learned one was left out.
        """
        room = max_length * self._token_characters
        kept = []
        # A template adds at least one token to each message.
        for turn in turns[: max_length + 1]:
            kept.append(turn._replace(text=turn.text[: max(room, 1)]))
            room -= len(turn.text)
        return kept, any(turn.is_learned for turn in turns[len(kept) :])

    def _check_length(
        self, turns: list[TemplateMessage], max_length: int | None
    ) -> None:
        if max_length is None:
            return
        size = sum(len(turn.text) for turn in turns)
        if len(turns) > max_length or size > max_length * self._token_characters:
            raise TooLongError
        if size <= _CHUNK_CHARACTERS:
            return
        count = 0
        for turn in turns:
            for start in range(0, len(turn.text), _CHUNK_CHARACTERS):
                chunk = turn.text[start : start + _CHUNK_CHARACTERS]
                count += max(0, len(self._ids(chunk)) - _MAX_SPLIT_TOKENS)
                if count > max_length:
                    raise TooLongError

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _encode(
        self, turns: Sequence[TemplateMessage], *, for_answer: bool = False
    ) -> list[int]:
        return self._ids(self._render(turns, for_answer=for_answer))

    def _render(
        self, turns: Sequence[TemplateMessage], *, for_answer: bool = False
    ) -> str:
        try:
            return render_chat(
                self._template,
                self._messages(turns),
                for_answer=for_answer,
                special_tokens=self._tokenizer.special_tokens_map,
            )
        except RefusedError as error:
            msg = "the model's chat template refuses the order or kind of the messages"
            raise MessageError(msg) from error
        except RenderingError as error:
            msg = f"the base model's chat template cannot be used: {error}"
            raise TemplateError(msg) from error

    def _messages(self, turns: Sequence[TemplateMessage]) -> list[dict[str, str]]:
        return [
            {"role": turn.role, "content": self.without_control_tokens(turn.text)}
            for turn in turns
        ]

    def _renders(self, turns: Sequence[TemplateMessage]) -> bool:
        try:
            text = self._render(turns, for_answer=turns[-1].role != "assistant")
        except MessageError:
            return False
        return all(turn.text in text for turn in turns)

    def without_control_tokens(self, text: str) -> str:
        """Return a text whose control tokens are split by a space.

        A control token in a message would end its turn and start another role's.
        """
        for special in self._special_tokens:
            if special in text:
                text = text.replace(special, f"{special[0]} {special[1:]}")
        return text

    def _find_end_of_turn(self) -> int | None:
        prompt = [TemplateMessage("user", "one", False)]
        answered = [*prompt, TemplateMessage("assistant", "two", True)]
        start = len(self._encode(prompt, for_answer=True))
        specials = set(self._tokenizer.all_special_ids)
        for token in self._encode(answered)[start:]:
            if token in specials:
                return int(token)
        return None


def _template_of(tokenizer: Any) -> str:
    if not getattr(tokenizer, "chat_template", None):
        return ""
    try:
        template = tokenizer.get_chat_template()
    except (ValueError, TypeError):
        # There are several templates, and no default.
        return ""
    return template if isinstance(template, str) else ""


def _longest_token(tokenizer: Any) -> int:
    # Characters, not bytes: a byte-level token has one character per byte, and a text
    # has at least as many bytes as characters.
    longest = max(map(len, tokenizer.get_vocab()), default=1)
    return min(longest, _MAX_TOKEN_CHARACTERS)


def _special_tokens(tokenizer: Any) -> list[str]:
    added = tokenizer.added_tokens_decoder.values()
    texts = {token.content for token in added if token.special}
    return sorted(text for text in texts | set(tokenizer.all_special_tokens) if text)


def _common_length(first: list[int], second: list[int]) -> int:
    length = min(len(first), len(second))
    for index in range(length):
        if first[index] != second[index]:
            return index
    return length
