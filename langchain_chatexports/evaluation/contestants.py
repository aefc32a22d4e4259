"""Who is compared: the base, the base with examples in its prompt, the tuned model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from langchain_chatexports.evaluation.held_out import PERSON
from langchain_chatexports.evaluation.replies import TooLongError
from langchain_chatexports.evaluation.results import ContestantInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from langchain_chatexports.evaluation.few_shot import PairIndex
    from langchain_chatexports.evaluation.held_out import Line, Piece
    from langchain_chatexports.evaluation.replies import Message

    Answer = TypeVar("Answer")

__all__ = ["NEAREST", "PLAIN_PROMPT", "Contestant", "Kind", "Prompt"]

Kind = Literal["base", "few_shot", "tuned"]

PLAIN_PROMPT = (
    "You are chatting with people you know, by text message. Answer as yourself: "
    "one short reply, in your own style, with nothing around it."
)
"""What base and few-shot are told; the tuned model is told what its examples were."""

NEAREST = 8
"""How many pairs of the training half few-shot sees."""


@dataclass(frozen=True)
class Contestant:
    """A model, and how it is asked.

    Attributes:
        name: What it is called in the figures.
        kind: What it is told: nothing, a plain prompt, or examples too.
        model: Its name on the server.
        temperature: How freely it writes; its loss does not depend on it.
    """

    name: str
    kind: Kind
    model: str
    temperature: float = 1.0

    def info(self, max_tokens: int, *, has_system: bool) -> ContestantInfo:
        """Say what it is, for the results.

        Args:
            max_tokens: The longest reply that it was asked for.
            has_system: Whether the examples begin with a system prompt.
        """
        return ContestantInfo(
            name=self.name,
            kind=self.kind,
            model=self.model,
            temperature=self.temperature,
            top_p=1.0,
            max_tokens=max_tokens,
            prompt={
                "base": "plain",
                "few_shot": f"plain, {NEAREST} nearest",
                "tuned": "as in its examples" if has_system else "none",
            }[self.kind],
        )


class Prompt:
    """What a kind of contestant is given to read before a reply."""

    def __init__(self, kind: Kind, index: PairIndex) -> None:
        """Choose the kind; the index has pairs of the training half only."""
        self.kind = kind
        self._index = index
        self.shortened = 0
        """How many prompts had to do with fewer examples than `NEAREST`."""

    @property
    def is_per_turn(self) -> bool:
        """Whether what comes before a piece depends on the turn."""
        return self.kind == "few_shot"

    def ask(
        self,
        piece: Piece,
        line: int,
        use: Callable[[list[Message]], Answer],
        *,
        with_reply: bool = False,
    ) -> Answer | None:
        """Ask with what comes before a line, with fewer examples if it is too long.

        Args:
            piece: The stretch of talk.
            line: Up to which of its lines the model reads.
            use: Asks the server.
            with_reply: Whether the line itself belongs to it.

        Returns:
            What `use` gave, or `None` if the talk alone is too long.
        """
        count = NEAREST if self.kind == "few_shot" else 0
        said = piece.lines[: line + with_reply]
        while True:
            try:
                answer = use(self._messages(piece, said, line, count))
            except TooLongError:
                if not count:
                    return None
                count //= 2
                continue
            self.shortened += self.kind == "few_shot" and count < NEAREST
            return answer

    def _messages(
        self, piece: Piece, said: Sequence[Line], line: int, count: int
    ) -> list[Message]:
        system = piece.system if self.kind == "tuned" else PLAIN_PROMPT
        messages = [] if system is None else [{"role": "system", "content": system}]
        if count:
            for pair in self._index.nearest(piece.lines[line - 1].text, count):
                messages.append({"role": "user", "content": pair.message})
                messages.append({"role": "assistant", "content": pair.reply})
        messages += [
            {
                "role": "assistant" if found.speaker == PERSON else "user",
                "content": found.text,
            }
            for found in said
        ]
        return messages
