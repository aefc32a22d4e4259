"""The compared models and their prompts, such as the base with few-shot examples."""

from dataclasses import dataclass
from typing import Literal

from langchain_chatexports.datasets.replies import ReplyIndex, reply_query
from langchain_chatexports.evaluation.dialogues import PERSON
from langchain_chatexports.evaluation.held_out import HeldOutTurn
from langchain_chatexports.evaluation.model_server import Message

Kind = Literal["base", "few_shot", "tuned"]

TITLES: dict[str, str] = {
    "tuned": "tuned model",
    "few_shot": "base with examples",
    "base": "base model",
}

PLAIN_PROMPT = (
    "You are chatting with people you know, by text message. Answer as yourself: "
    "one short reply, in your own style, with nothing around it."
)
"""System prompt of the base; the tuned model gets the prompt of its examples."""

NEAREST = 8


@dataclass(frozen=True)
class Contestant:
    """A model and its prompt."""

    kind: Kind
    model: str

    @property
    def is_plain(self) -> bool:
        """Whether it is a base model with the plain prompt."""
        return self.kind in {"base", "few_shot"}


def build_contestants(tuned: str, base: str | None) -> list[Contestant]:
    """Return the contestants: the tuned model, and its base twice."""
    contestants = [Contestant("tuned", tuned)]
    if base is not None:
        contestants += (Contestant("few_shot", base), Contestant("base", base))
    return contestants


def build_prompt(
    contestant: Contestant, turn: HeldOutTurn, earlier: ReplyIndex, count: int
) -> list[Message]:
    """Return a contestant's prompt for a turn, with some earlier replies."""
    system = PLAIN_PROMPT if contestant.is_plain else turn.system
    chat: list[Message] = [
        {
            "role": "assistant" if line.speaker == PERSON else "user",
            "content": line.text,
        }
        for line in turn.history
    ]
    examples: list[Message] = []
    for pair in earlier.search(reply_query(chat), count) if count else ():
        examples.append({"role": "user", "content": pair.message})
        examples.append({"role": "assistant", "content": pair.reply})
    prompt = [] if system is None else [{"role": "system", "content": system}]
    return [*prompt, *examples, *chat]
