"""The compared models and their prompts, such as the base with few-shot examples."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from langchain_chatexports.datasets.replies import ReplyIndex, question_of
from langchain_chatexports.evaluation.conversations import PERSON
from langchain_chatexports.evaluation.held_out import HeldOutTurn
from langchain_chatexports.evaluation.model_server import Message, PromptTooLongError

_Result = TypeVar("_Result")

Kind = Literal["base", "few_shot", "tuned", "wrong_person"]

TITLES: dict[str, str] = {
    "tuned": "tuned model",
    "few_shot": "base with examples",
    "base": "base model",
    "wrong_person": "another's model",
}
"""The title of each kind, in the order of the tables."""

PLAIN_PROMPT = (
    "You are chatting with people you know, by text message. Answer as yourself: "
    "one short reply, in your own style, with nothing around it."
)
"""System prompt of base and few-shot; the tuned model uses that of its examples."""

NEAREST = 8
"""Number of earlier replies in the few-shot prompt, as turns."""


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


class Prompt:
    """The messages that a contestant reads before it replies."""

    def __init__(self, contestant: Contestant, earlier: ReplyIndex) -> None:
        self._contestant = contestant
        self._earlier = earlier
        self._planned = NEAREST if contestant.kind == "few_shot" else 0

    @property
    def is_alike(self) -> bool:
        """Whether the prompt is the same for all turns of an excerpt."""
        return not self._planned

    def ask(
        self,
        turn: HeldOutTurn,
        use: Callable[[list[Message]], _Result],
        *,
        with_reply: bool = False,
    ) -> _Result | None:
        """Call a function with the prompt; shorten it if it is too long."""
        count = self._planned
        while True:
            with suppress(PromptTooLongError):
                return use(self.messages(turn, count, with_reply=with_reply))
            if not count:
                return None
            count //= 2

    def messages(
        self, turn: HeldOutTurn, count: int, *, with_reply: bool = False
    ) -> list[Message]:
        """Return the prompt with a number of earlier replies."""
        is_plain = self._contestant.is_plain
        system = PLAIN_PROMPT if is_plain else turn.excerpt.system
        if system and self._contestant.wrong_person is not None:
            system = self._contestant.wrong_person.prompt(system)
        chat: list[Message] = [
            {
                "role": "assistant" if line.speaker == PERSON else "user",
                "content": line.text,
            }
            for line in turn.excerpt.lines[: turn.line + with_reply]
        ]
        question = question_of(chat[: turn.line])
        nearest = self._earlier.nearest(question, count) if count else []
        shown: list[Message] = []
        for pair in nearest:
            shown.append({"role": "user", "content": pair.message})
            shown.append({"role": "assistant", "content": pair.reply})
        first = [] if system is None else [{"role": "system", "content": system}]
        return [*first, *shown, *chat]
