"""The compared models and their prompts, such as the base with few-shot examples."""

import re
from dataclasses import dataclass, field
from typing import Literal

from langchain_chatexports.datasets.replies import ReplyIndex, reply_query
from langchain_chatexports.evaluation.dialogues import PERSON
from langchain_chatexports.evaluation.held_out import HeldOutTurn
from langchain_chatexports.evaluation.model_server import Message

Kind = Literal["base", "few_shot", "tuned", "wrong_person"]

TITLES: dict[str, str] = {
    "tuned": "tuned model",
    "few_shot": "base with examples",
    "base": "base model",
    "wrong_person": "another person's model",
}

PLAIN_PROMPT = (
    "You are chatting with people you know, by text message. Answer as yourself: "
    "one short reply, in your own style, with nothing around it."
)
"""System prompt of the base; the tuned model gets the prompt of its examples."""

NEAREST = 8


@dataclass(frozen=True)
class WrongPerson:
    """A control: a model of another person."""

    model: str
    """Its name on the server."""

    name: str = field(default="", repr=False)
    """That person's name, for system prompts."""

    person: str = field(default="", repr=False)
    """The person in the prompts. The prompts swap both names, so that the other person
    does not chat with themselves."""

    def swap_names(self, system: str) -> str:
        """Return a system prompt with the names swapped."""
        if not (self.person and self.name):
            return system
        replacements = {self.person: self.name, self.name: self.person}
        # The longer name first, because it can begin with the other one.
        names = "|".join(map(re.escape, sorted(replacements, key=len, reverse=True)))
        pattern = rf"(?<!\w)(?:{names})(?!\w)"
        return re.sub(pattern, lambda match: replacements[match[0]], system)


@dataclass(frozen=True)
class Contestant:
    """A model and its prompt."""

    kind: Kind
    model: str
    wrong_person: WrongPerson | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is a base model with the plain prompt."""
        return self.kind in {"base", "few_shot"}


def build_contestants(
    tuned: str, base: str | None, wrong_person: WrongPerson | None = None
) -> list[Contestant]:
    """Return the contestants: the tuned model, its base twice, and the control."""
    contestants = [Contestant("tuned", tuned)]
    if base is not None:
        contestants += (Contestant("few_shot", base), Contestant("base", base))
    if wrong_person is not None:
        control = Contestant("wrong_person", wrong_person.model, wrong_person)
        contestants.append(control)
    return contestants


def build_prompt(
    contestant: Contestant, turn: HeldOutTurn, earlier: ReplyIndex, count: int
) -> list[Message]:
    """Return a contestant's prompt for a turn, with some earlier replies."""
    system = PLAIN_PROMPT if contestant.is_plain else turn.system
    if system and contestant.wrong_person is not None:
        system = contestant.wrong_person.swap_names(system)
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
