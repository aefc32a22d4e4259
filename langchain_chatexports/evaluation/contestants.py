"""The compared models and their prompts, such as the base with few-shot examples."""

import re
from dataclasses import dataclass, field
from typing import Literal

from langchain_chatexports.datasets.replies import ReplyIndex, question_of
from langchain_chatexports.evaluation.conversations import PERSON
from langchain_chatexports.evaluation.held_out import HeldOutTurn
from langchain_chatexports.evaluation.model_server import Message

Kind = Literal["base", "few_shot", "tuned", "wrong_person"]

TITLES: dict[str, str] = {
    "tuned": "tuned model",
    "few_shot": "base with examples",
    "base": "base model",
    "wrong_person": "another's model",
}

PLAIN_PROMPT = (
    "You are chatting with people you know, by text message. Answer as yourself: "
    "one short reply, in your own style, with nothing around it."
)
"""System prompt of base and few-shot; the tuned model uses that of its examples."""

NEAREST = 8


@dataclass(frozen=True)
class WrongPerson:
    """A control: a model of another person.

    Attributes:
        model: Its name on the server.
        name: That person's name, for system prompts.
        person: The person in the prompts. Both names are swapped in them, so that
            nobody chats with themselves.
    """

    model: str
    name: str = field(default="", repr=False)
    person: str = field(default="", repr=False)

    def prompt(self, system: str) -> str:
        """Return a system prompt with the names swapped."""
        if not (self.person and self.name):
            return system
        swapped = {self.person: self.name, self.name: self.person}
        # The longer one first: one name can be the beginning of the other.
        names = "|".join(map(re.escape, sorted(swapped, key=len, reverse=True)))
        whole = rf"(?<!\w)(?:{names})(?!\w)"
        return re.sub(whole, lambda found: swapped[found[0]], system)


@dataclass(frozen=True)
class Contestant:
    """A model and its prompt."""

    kind: Kind
    model: str
    wrong_person: WrongPerson | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is a base model without a prompt of its own."""
        return self.kind in {"base", "few_shot"}


def contestants_for(
    tuned: str, base: str | None, wrong_person: WrongPerson | None = None
) -> list[Contestant]:
    """Return the contestants: the tuned model, its base twice, and the control."""
    found = [Contestant("tuned", tuned)]
    if base is not None:
        found += (Contestant("few_shot", base), Contestant("base", base))
    if wrong_person is not None:
        found.append(Contestant("wrong_person", wrong_person.model, wrong_person))
    return found


def prompt_of(
    contestant: Contestant, turn: HeldOutTurn, earlier: ReplyIndex, count: int
) -> list[Message]:
    """Return the messages, with some earlier replies, that a contestant reads."""
    system = PLAIN_PROMPT if contestant.is_plain else turn.system
    if system and contestant.wrong_person is not None:
        system = contestant.wrong_person.prompt(system)
    chat: list[Message] = [
        {
            "role": "assistant" if line.speaker == PERSON else "user",
            "content": line.text,
        }
        for line in turn.history
    ]
    shown: list[Message] = []
    for pair in earlier.nearest(question_of(chat), count) if count else ():
        shown.append({"role": "user", "content": pair.message})
        shown.append({"role": "assistant", "content": pair.reply})
    first = [] if system is None else [{"role": "system", "content": system}]
    return [*first, *shown, *chat]
