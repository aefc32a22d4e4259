"""The compared models and their prompts: base, base with few-shot examples, tuned."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from langchain_chatexports.evaluation.conversations import PERSON
from langchain_chatexports.evaluation.model_server import PromptTooLongError
from langchain_chatexports.evaluation.results import ContestantInfo
from langchain_chatexports.evaluation.text_features import trigrams

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
    "training_pairs",
]

Kind = Literal["base", "few_shot", "tuned"]

TITLES: dict[str, str] = {
    "tuned": "tuned model",
    "few_shot": "base with examples",
    "base": "base model",
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
class Contestant:
    """A model, and how it is asked.

    Attributes:
        name: Its name in the results.
        kind: Which prompt it has.
        model: Its name on the server.
        temperature: The sampling temperature; the loss does not depend on it.
    """

    name: str
    kind: Kind
    model: str
    temperature: float = 1.0

    def info(self, max_tokens: int, *, has_system: bool) -> ContestantInfo:
        """Return its entry in the results."""
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

    def nearest(self, message: str, count: int) -> list[Pair]:
        """Return the nearest pairs, the nearest one last, next to the message."""
        similarity = np.zeros(len(self._pairs))
        for gram, weight in self._weights(Counter(trigrams(message.lower()))).items():
            if gram in self._places:
                places, weights = self._places[gram]
                similarity[places] += weight * weights
        best = np.argsort(-similarity, kind="stable")[:count]
        return [self._pairs[place] for place in reversed(best.tolist())]

    def _weights(self, counted: Counter[str]) -> dict[str, float]:
        weights = {
            gram: count * self._idf.get(gram, 1.0) for gram, count in counted.items()
        }
        norm = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        return {gram: weight / norm for gram, weight in weights.items()}


class Prompt:
    """The messages that a kind of contestant reads before it replies.

    Attributes:
        shortened: How many prompts have fewer examples than `NEAREST`.
    """

    def __init__(self, kind: Kind, index: PairIndex) -> None:
        self.kind = kind
        self.shortened = 0
        self._index = index

    def ask(
        self,
        turn: HeldOutTurn,
        use: Callable[[list[Message]], Result],
        *,
        with_reply: bool = False,
    ) -> Result | None:
        """Call a function with the prompt, with fewer examples if it is too long.

        Args:
            turn: The turn to reply to.
            use: Asks the server.
            with_reply: Whether the person's own reply is the last message.

        Returns:
            What `use` returned, or `None` if even the conversation alone is too long.
        """
        count = NEAREST if self.kind == "few_shot" else 0
        while True:
            try:
                result = use(self._messages(turn, count, with_reply=with_reply))
            except PromptTooLongError:
                if not count:
                    return None
                count //= 2
                continue
            self.shortened += self.kind == "few_shot" and count < NEAREST
            return result

    def _messages(
        self, turn: HeldOutTurn, count: int, *, with_reply: bool
    ) -> list[Message]:
        system = turn.excerpt.system if self.kind == "tuned" else PLAIN_PROMPT
        messages = [] if system is None else [{"role": "system", "content": system}]
        if count:
            for pair in self._index.nearest(turn.history[-1].text, count):
                messages.append({"role": "user", "content": pair.message})
                messages.append({"role": "assistant", "content": pair.reply})
        messages += [
            {
                "role": "assistant" if line.speaker == PERSON else "user",
                "content": line.text,
            }
            for line in turn.excerpt.lines[: turn.line + with_reply]
        ]
        return messages
