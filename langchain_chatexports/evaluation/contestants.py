"""The compared models and their prompts, such as the base with few-shot examples."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from langchain_chatexports.datasets.replies import (
    EarlierReply,
    ReplyIndex,
    question_of,
    show_replies,
)
from langchain_chatexports.evaluation.conversations import PERSON
from langchain_chatexports.evaluation.model_server import PromptTooLongError
from langchain_chatexports.evaluation.results import ContestantInfo
from langchain_chatexports.evaluation.text_features import trigrams
from langchain_chatexports.finetuning.model_names import TunedModelName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeVar

    from langchain_chatexports.evaluation.conversations import Dialogue
    from langchain_chatexports.evaluation.held_out import HeldOutTurn
    from langchain_chatexports.evaluation.model_server import Message

    Result = TypeVar("Result")

__all__ = [
    "NEAREST",
    "PLAIN_PROMPT",
    "TITLES",
    "Contestant",
    "Kind",
    "Pair",
    "PairIndex",
    "Prompt",
    "WrongPerson",
    "replies_in",
    "training_pairs",
]

Kind = Literal["base", "few_shot", "persona", "tuned", "hybrid", "wrong_person"]

TITLES: dict[str, str] = {
    "hybrid": "tuned model with replies",
    "tuned": "tuned model",
    "persona": "base as the person",
    "few_shot": "base with examples",
    "base": "base model",
    "wrong_person": "another person's model",
}
"""What people call each kind."""

PLAIN_PROMPT = (
    "You are chatting with people you know, by text message. Answer as yourself: "
    "one short reply, in your own style, with nothing around it."
)
"""System prompt of base and few-shot; the tuned model has that of its examples."""

NEAREST = 8
"""How many pairs of the training half the few-shot prompt shows."""

_MAX_PAIRS = 20_000


@dataclass(frozen=True)
class WrongPerson:
    """A control: a model that learned another person's words in the same chats.

    Attributes:
        model: Its name on the server.
        name: Who that is, where system prompts say who the person is.
        person: The person whom the prompts name. Both change places in them, so that
            nobody chats with themselves.
    """

    model: str
    name: str = field(default="", repr=False)
    person: str = field(default="", repr=False)

    def prompt(self, system: str) -> str:
        """Return a system prompt as that person's."""
        if not (self.person and self.name):
            return system
        places = {self.person: self.name, self.name: self.person}
        # The longer first: one name can be the beginning of the other.
        names = "|".join(map(re.escape, sorted(places, key=len, reverse=True)))
        whole = rf"(?<!\w)(?:{names})(?!\w)"
        return re.sub(whole, lambda found: places[found[0]], system)


@dataclass(frozen=True)
class Contestant:
    """A model, and how it is asked.

    Attributes:
        name: Its name in the results.
        kind: Which prompt it has.
        model: Its name on the server.
        temperature: The sampling temperature; the loss does not depend on it.
        wrong_person: Whose model it is, if not the person's.
        replies: How many earlier replies of the person its system prompt shows: as its
            training examples do, or as chats with it.
    """

    name: str
    kind: Kind
    model: str
    temperature: float = 1.0
    wrong_person: WrongPerson | None = None
    replies: int = 0

    def info(self, max_tokens: int, *, has_system: bool) -> ContestantInfo:
        """Return its entry in the results."""
        own = "as in its examples" if has_system else "none"
        replies = f", {self.replies} nearest replies" if self.replies else ""
        return ContestantInfo(
            name=self.name,
            kind=self.kind,
            model=_without_person(self.model),
            temperature=self.temperature,
            top_p=1.0,
            max_tokens=max_tokens,
            prompt={
                "base": "plain",
                "few_shot": f"plain, {NEAREST} nearest",
                "persona": f"as in the examples, style{replies}",
                "tuned": own,
                "hybrid": f"{own}{replies}",
                "wrong_person": own,
            }[self.kind],
        )


def _without_person(model: str) -> str:
    """Return a model's name for results, which name nobody."""
    name = TunedModelName.parse(model)
    return str(name._replace(suffix="…")) if name and name.suffix else model


class Pair(NamedTuple):
    """A message, and the person's reply to it."""

    message: str
    reply: str


def training_pairs(training: Iterable[Dialogue]) -> list[Pair]:
    """Return the pairs of the training half; the latest ones of very many."""
    pairs = [
        Pair(before.text, line.text)
        for conversation in training
        for before, line in pairwise(conversation.lines)
        if line.speaker == PERSON and not line.is_forwarded
    ]
    return pairs[-_MAX_PAIRS:]


def replies_in(training: Iterable[Dialogue]) -> ReplyIndex:
    """Return the person's replies in the training half, as training shows them."""
    pairs = (
        EarlierReply(before.as_read, line.text)
        for conversation in training
        for before, line in pairwise(conversation.lines)
        if line.speaker == PERSON
    )
    return ReplyIndex(pairs)


class PairIndex:
    """Finds the pairs whose message is most similar to another one.

    The similarity is the cosine of TF-IDF vectors of character 3-grams.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = pairs
        held: Counter[str] = Counter()
        grams = [Counter(trigrams(pair.message.lower())) for pair in pairs]
        for counted in grams:
            held.update(counted.keys())
        self._idf = {
            gram: math.log((1 + len(pairs)) / (1 + count)) + 1
            for gram, count in held.items()
        }
        places: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for place, counted in enumerate(grams):
            for gram, weight in self._weights(counted).items():
                places[gram].append((place, weight))
        self._places = {
            gram: (np.array([p for p, _ in found]), np.array([w for _, w in found]))
            for gram, found in places.items()
        }

    def nearest(
        self, message: str, count: int, *, first: int | None = None
    ) -> list[Pair]:
        """Return the nearest pairs, the nearest one last, next to the message.

        Args:
            message: The message.
            count: How many pairs, at most.
            first: Only the first of the pairs are searched, this many; `None` for all.
        """
        similarity = np.zeros(len(self._pairs))
        for gram, weight in self._weights(Counter(trigrams(message.lower()))).items():
            if gram in self._places:
                places, weights = self._places[gram]
                similarity[places] += weight * weights
        best = np.argsort(-similarity[:first], kind="stable")[:count]
        return [self._pairs[place] for place in reversed(best.tolist())]

    def _weights(self, counted: Counter[str]) -> dict[str, float]:
        weights = {
            gram: count * self._idf.get(gram, 1.0) for gram, count in counted.items()
        }
        norm = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        return {gram: weight / norm for gram, weight in weights.items()}


class Prompt:
    """The messages that a contestant reads before it replies.

    Attributes:
        shortened: How many prompts have fewer examples, or replies, than planned.
        replies: How many earlier replies each of them shows; they differ from turn to
            turn.
    """

    def __init__(
        self,
        contestant: Contestant,
        index: PairIndex,
        replies: ReplyIndex,
        style: str | None = None,
    ) -> None:
        self.kind: Kind = contestant.kind
        self.replies = contestant.replies
        self._replies = replies
        self._wrong_person = contestant.wrong_person
        self.shortened = 0
        self._index = index
        self._style = style if contestant.kind == "persona" else None

    def ask(
        self,
        turn: HeldOutTurn,
        use: Callable[[list[Message]], Result],
        *,
        with_reply: bool = False,
    ) -> Result | None:
        """Call a function with the prompt, a shorter one if it is too long.

        Args:
            turn: The turn to reply to.
            use: Asks the server.
            with_reply: Whether the person's own reply is the last message.

        Returns:
            What `use` returned, or `None` if even the conversation alone is too long.
        """
        planned = count = NEAREST if self.kind == "few_shot" else self.replies
        while True:
            try:
                result = use(self._messages(turn, count, with_reply=with_reply))
            except PromptTooLongError:
                if not count:
                    return None
                count //= 2
                continue
            self.shortened += count < planned
            return result

    def _messages(
        self, turn: HeldOutTurn, count: int, *, with_reply: bool
    ) -> list[Message]:
        is_plain = self.kind in {"base", "few_shot"}
        system = PLAIN_PROMPT if is_plain else turn.excerpt.system
        if system and self._wrong_person is not None:
            system = self._wrong_person.prompt(system)
        chat: list[Message] = [
            {
                "role": "assistant" if line.speaker == PERSON else "user",
                "content": line.as_read,
            }
            for line in turn.excerpt.lines[: turn.line + with_reply]
        ]
        if self._style:
            system = f"{system}\n\n{self._style}" if system else self._style
        if self.replies and count:
            question = question_of(chat[: turn.line])
            system = show_replies(system, self._replies.nearest(question, count))
        messages: list[Message] = []
        if system is not None:
            messages.append({"role": "system", "content": system})
        if self.kind == "few_shot" and count:
            for pair in self._index.nearest(turn.history[-1].text, count):
                messages.append({"role": "user", "content": pair.message})
                messages.append({"role": "assistant", "content": pair.reply})
        return [*messages, *chat]
