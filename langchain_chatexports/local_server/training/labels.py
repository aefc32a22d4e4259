"""From messages to token ids, and to the labels that say which tokens are learned.

Loss falls on the assistant's messages only, with their end-of-turn token. That is done
by rendering prefixes of a dialogue with the model's own chat template, so it works for
every template whose rendering of a prefix is a prefix of the whole, and each message
can be weighted. What a template refuses (a system message, an assistant who speaks
first) is rewritten, in training and in chats alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from langchain_chatexports.local_server.bases.rendering import (
    RefusedError,
    RenderingError,
    render_chat,
)

__all__ = [
    "IGNORED",
    "Answer",
    "ChatTemplate",
    "LabelledExample",
    "MessageError",
    "TemplateError",
    "TooLongError",
    "Turn",
    "read_turns",
]

IGNORED = -100
"""The label of a token that carries no loss."""

# A tokenizer takes some two hundred bytes of memory for each byte of a text. A longer
# text is counted in pieces first; where it is cut, tokens may be torn in two.
_PIECE_CHARACTERS = 1 << 16
_TORN_TOKENS = 64
# The longest token of a chat model is 128 spaces (Llama 3, Qwen 2.5).
_MAX_TOKEN_CHARACTERS = 256

# A tokenizer may join the last characters of one part with the first of the next
# (two line breaks, say): so many tokens may differ where a prefix ends.
_BORDER_TOKENS = 3
_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


class TemplateError(ValueError):
    """The model's chat template cannot be used; the text says why."""


class MessageError(ValueError):
    """A message is of a kind that a text model cannot read; no text is shown."""


class TooLongError(ValueError):
    """A chat has more tokens than the model reads; it was not counted to its end."""


class Turn(NamedTuple):
    """A message, reduced to what a template renders and the trainer needs."""

    role: str
    text: str
    is_learned: bool
    number: int = 0
    """Which message it is, from 0; the first one where several were joined."""


class Answer(NamedTuple):
    """Where an answer lies in a dialogue's tokens."""

    number: int
    """Which message it is, from 0."""

    start: int
    end: int
    """The token after its text: the one that ends its turn, if there is one."""

    has_end: bool
    """Whether a token ends its turn."""

    size_bytes: int


@dataclass(frozen=True)
class LabelledExample:
    """A dialogue as the trainer reads it."""

    input_ids: list[int]
    labels: list[int]
    is_cut: bool
    """Whether tokens beyond the longest length were left out."""

    dropped_openers: int
    """Assistant messages at the start that the template refuses."""

    @property
    def learned_tokens(self) -> int:
        """How many tokens carry loss."""
        return sum(label != IGNORED for label in self.labels)


def read_turns(messages: Sequence[Mapping[str, Any]]) -> list[Turn]:
    """Reduce OpenAI's messages to turns of text.

    Args:
        messages: Messages with `role` and `content`, a string or a list of text parts.

    Returns:
        The turns; `developer` counts as `system`, `weight` 0 as not learned, and a
        refusal as the text that it is.

    Raises:
        MessageError: At a message with a tool, an image or no text.
    """
    turns = []
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
        turns.append(Turn(role, text, is_learned, index))
    return turns


def _text_of(content: Any, index: int) -> str:
    if isinstance(content, str):
        # Half of a surrogate pair is no character, and tokenizers refuse it.
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


class ChatTemplate:
    """A tokenizer's chat template, and what it accepts."""

    def __init__(self, tokenizer: Any) -> None:
        """Probe the template of a tokenizer.

        Raises:
            TemplateError: If there is no template, or it renders no plain dialogue.
        """
        self._tokenizer = tokenizer
        self._template = _template_of(tokenizer)
        if not self._template:
            msg = (
                "the base model has no chat template; use an instruction-tuned model "
                "(its name often ends in -Instruct, -Chat or -it)"
            )
            raise TemplateError(msg)
        self._specials = _special_texts(tokenizer)
        self._token_characters = _longest_token(tokenizer)
        user, assistant = Turn("user", "one", False), Turn("assistant", "two", True)
        if not self._renders([user, assistant, user]):
            msg = "the base model's chat template does not render a plain dialogue"
            raise TemplateError(msg)
        self.takes_system = self._renders([Turn("system", "sys", False), user])
        self.takes_leading_assistant = all(
            self._renders(opening) for opening in ([assistant], [assistant, user])
        )
        self.takes_repeated_roles = self._renders([user, user, assistant, assistant])
        self.end_of_turn = self._find_end_of_turn()

    def prompt_ids(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        max_length: int | None = None,
    ) -> list[int]:
        """Render a chat up to where the assistant's answer begins.

        Args:
            messages: The chat in OpenAI's shape.
            max_length: How many tokens are read at most.

        Raises:
            MessageError: If a message, or their order, cannot be rendered.
            TooLongError: If there are more tokens, as far as that is found out early.
        """
        turns, _ = self._adapted(read_turns(messages))
        if not turns:
            msg = "the model's chat template needs a message by the user"
            raise MessageError(msg)
        self._check_length(turns, max_length)
        return self._encode(turns, for_answer=True)

    def check_trainable(self) -> None:
        """Refuse a template whose prefixes do not stay as they are.

        Raises:
            TemplateError: If answers cannot be told from the rest.
        """
        dialogue = [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
            {"role": "assistant", "content": "four"},
        ]
        self.label(dialogue, max_length=1 << 30)

    def label(
        self, messages: Sequence[Mapping[str, Any]], *, max_length: int
    ) -> LabelledExample:
        """Turn a dialogue into token ids and labels.

        Args:
            messages: The dialogue in OpenAI's shape.
            max_length: Longest example in tokens; the rest is cut off at the end.

        Returns:
            The example; it ends with its last learned token.

        Raises:
            MessageError: If a message, or their order, cannot be rendered.
            TemplateError: If the template is not prefix-preserving.
        """
        turns, dropped = self._adapted(read_turns(messages))
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
        return LabelledExample(full[:end], labels[:end], is_cut, dropped)

    def answers(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        max_length: int | None = None,
    ) -> tuple[list[int], list[Answer]]:
        """Find the assistant's messages in a dialogue's tokens, whatever their weight.

        Args:
            messages: The dialogue in OpenAI's shape.
            max_length: How many tokens are read at most.

        Returns:
            The token ids of the dialogue, and its answers in order.

        Raises:
            MessageError: If a message, or their order, cannot be rendered.
            TooLongError: If there are more tokens.
            TemplateError: If the template is not prefix-preserving.
        """
        turns, _ = self._adapted(read_turns(messages))
        self._check_length(turns, max_length)
        full = self._encode(turns) if turns else []
        if max_length is not None and len(full) > max_length:
            # Each answer below takes another look at all that comes before it.
            raise TooLongError
        found = []
        for number, turn in enumerate(turns):
            if turn.role == "assistant":
                start, end = self._answer_span(turns, number, full)
                has_end = end > start and full[end - 1] == self.end_of_turn
                size = len(turn.text.encode("utf-8"))
                found.append(Answer(turn.number, start, end - has_end, has_end, size))
        return full, found

    def _answer_span(
        self, turns: list[Turn], index: int, full: list[int]
    ) -> tuple[int, int]:
        through = self._encode(turns[: index + 1])
        if index:
            before = self._encode(turns[:index], for_answer=True)
        else:
            # No template renders an empty dialogue: compare two first messages.
            mark = "@" if turns[0].text.startswith("#") else "#"
            other = self._encode([turns[0]._replace(text=mark)])
            before = through[: _common(through, other)]
        start, end = _common(full, before), _common(full, through)
        if len(before) - start > _BORDER_TOKENS or len(through) - end > _BORDER_TOKENS:
            msg = (
                "the base model's chat template rewrites earlier messages (thinking "
                "models do), so its answers cannot be told from the rest; use a model "
                "whose template keeps them, such as SmolLM2, Qwen2.5, Llama 3 or Gemma"
            )
            raise TemplateError(msg)
        # Learn the token that ends the turn, not the line break after it.
        last = end
        while last > start and full[last - 1] != self.end_of_turn:
            last -= 1
        return start, (last if last > start else end)

    def _adapted(self, turns: list[Turn]) -> tuple[list[Turn], int]:
        if not self.takes_system:
            turns = _fold_system(turns)
        if not self.takes_repeated_roles:
            turns = _merge_repeated(turns)
        dropped = 0
        if not self.takes_leading_assistant:
            first = 1 if turns and turns[0].role == "system" else 0
            while len(turns) > first and turns[first].role == "assistant":
                turns = turns[:first] + turns[first + 1 :]
                dropped += 1
            if len(turns) == first:
                turns = []
        return turns, dropped

    def _shortened(self, turns: list[Turn], max_length: int) -> tuple[list[Turn], bool]:
        """Leave out text that lies beyond a number of tokens for certain.

        Returns:
            The turns, and whether one that is learned was left out.
        """
        room = max_length * self._token_characters
        kept = []
        # A template marks each turn with a token at least.
        for turn in turns[: max_length + 1]:
            kept.append(turn._replace(text=turn.text[: max(room, 1)]))
            room -= len(turn.text)
        return kept, any(turn.is_learned for turn in turns[len(kept) :])

    def _check_length(self, turns: list[Turn], max_length: int | None) -> None:
        if max_length is None:
            return
        size = sum(len(turn.text) for turn in turns)
        if len(turns) > max_length or size > max_length * self._token_characters:
            raise TooLongError
        if size <= _PIECE_CHARACTERS:
            return
        count = 0
        for turn in turns:
            for start in range(0, len(turn.text), _PIECE_CHARACTERS):
                piece = turn.text[start : start + _PIECE_CHARACTERS]
                count += max(0, len(self._ids(piece)) - _TORN_TOKENS)
                if count > max_length:
                    raise TooLongError

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _encode(self, turns: Sequence[Turn], *, for_answer: bool = False) -> list[int]:
        rendered = self._render(turns, for_answer=for_answer)
        return self._ids(rendered)

    def _render(self, turns: Sequence[Turn], *, for_answer: bool = False) -> str:
        dialogue = [{"role": t.role, "content": self._harmless(t.text)} for t in turns]
        try:
            return render_chat(
                self._template,
                dialogue,
                for_answer=for_answer,
                special_tokens=self._tokenizer.special_tokens_map,
            )
        except RefusedError as error:
            msg = "the model's chat template refuses the order or kind of the messages"
            raise MessageError(msg) from error
        except RenderingError as error:
            msg = f"the base model's chat template cannot be used: {error}"
            raise TemplateError(msg) from error

    def _renders(self, turns: Sequence[Turn]) -> bool:
        try:
            text = self._render(turns, for_answer=turns[-1].role != "assistant")
        except MessageError:
            return False
        return all(turn.text in text for turn in turns)

    def _harmless(self, text: str) -> str:
        # A control token typed into a message would end its turn, and speak as another.
        for special in self._specials:
            if special in text:
                text = text.replace(special, f"{special[0]} {special[1:]}")
        return text

    def _find_end_of_turn(self) -> int | None:
        asked = [Turn("user", "one", False)]
        answered = [*asked, Turn("assistant", "two", True)]
        start = len(self._encode(asked, for_answer=True))
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
        # Several templates, and none of them is the default.
        return ""
    return template if isinstance(template, str) else ""


def _longest_token(tokenizer: Any) -> int:
    # Characters, not bytes: a byte-level token has one for each of its bytes, and a
    # text has at least as many bytes as characters.
    longest = max(map(len, tokenizer.get_vocab()), default=1)
    return min(longest, _MAX_TOKEN_CHARACTERS)


def _special_texts(tokenizer: Any) -> list[str]:
    added = tokenizer.added_tokens_decoder.values()
    texts = {token.content for token in added if token.special}
    return sorted(text for text in texts | set(tokenizer.all_special_tokens) if text)


def _fold_system(turns: list[Turn]) -> list[Turn]:
    folded: list[Turn] = []
    waiting: list[str] = []
    for turn in turns:
        if turn.role == "system":
            waiting.append(turn.text)
        elif turn.role == "user" and waiting:
            folded.append(turn._replace(text="\n\n".join([*waiting, turn.text])))
            waiting = []
        else:
            folded.append(turn)
    return folded


def _merge_repeated(turns: list[Turn]) -> list[Turn]:
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            before = merged.pop()
            # Joined with a message that must not be learned, none of it is.
            is_learned = before.is_learned and turn.is_learned
            text = f"{before.text}\n\n{turn.text}"
            merged.append(Turn(turn.role, text, is_learned, before.number))
        else:
            merged.append(turn)
    return merged


def _common(first: list[int], second: list[int]) -> int:
    length = min(len(first), len(second))
    for index in range(length):
        if first[index] != second[index]:
            return index
    return length
