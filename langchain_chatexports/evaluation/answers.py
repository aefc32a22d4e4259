"""Scores and replies of all contestants for the same held-out turns."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from langchain_chatexports.datasets.replies import ReplyIndex
from langchain_chatexports.evaluation.contestants import (
    NEAREST,
    TITLES,
    Contestant,
    prompt_of,
)
from langchain_chatexports.evaluation.held_out import HeldOutTurn
from langchain_chatexports.evaluation.model_server import (
    Message,
    ModelServer,
    PromptTooLongError,
    Reply,
    ScoredReply,
)
from langchain_chatexports.exceptions import TrainingDataError
from langchain_chatexports.personas.reply_limits import ReplyLimits
from langchain_chatexports.personas.talk import MAX_TOKENS

_Found = TypeVar("_Found")

Progress = Callable[[str, int, int], None]
"""Called with the stage, its finished turns, and all of its turns."""


@dataclass(frozen=True)
class Answers:
    """Scores and replies for the turns that fit into every contestant's context.

    Attributes:
        scores: The scores of each turn, by kind of contestant.
        replies: The replies to each turn, by kind of contestant.
        max_tokens: The token limit of the replies.
    """

    turns: list[HeldOutTurn]
    scores: Mapping[str, list[ScoredReply]]
    replies: Mapping[str, list[Reply]]
    max_tokens: int

    @property
    def groups(self) -> list[int]:
        """The conversation of each turn, numbered from 0 without gaps."""
        numbers: dict[int, int] = {}
        return [
            numbers.setdefault(turn.conversation, len(numbers)) for turn in self.turns
        ]

    @property
    def person(self) -> list[str]:
        """The person's replies."""
        return [turn.reply for turn in self.turns]


def collect_answers(
    turns: Sequence[HeldOutTurn],
    earlier: ReplyIndex,
    server: ModelServer,
    contestants: Sequence[Contestant],
    *,
    seed: int,
    temperature: float,
    progress: Progress,
    with_scores: bool = True,
) -> Answers:
    """Score the turns for each contestant, and let each one answer."""
    limits = ReplyLimits.of(pair.reply for pair in earlier)
    max_tokens = limits.tokens or MAX_TOKENS

    def score(each: Contestant, number: int, prompt: list[Message]) -> ScoredReply:
        reply = {"role": "assistant", "content": turns[number].reply}
        return server.score(each.model, [*prompt, reply])[-1]

    def answer(each: Contestant, number: int, prompt: list[Message]) -> Reply:
        found = server.reply(
            each.model,
            prompt,
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed + number,
        )
        # A talk ends the replies of a persona, too.
        text = found.text if each.is_plain else limits.beginning(found.text)
        return found if text == found.text else Reply(text, is_cut=False)

    def collect(
        what: str, ask: Callable[[Contestant, int, list[Message]], _Found]
    ) -> dict[str, list[_Found | None]]:
        found: dict[str, list[_Found | None]] = {}
        for each in contestants:
            listed = found[each.kind] = []
            for number, turn in enumerate(turns):
                listed.append(_asked(each, turn, earlier, partial(ask, each, number)))
                progress(f"{what}: {TITLES[each.kind]}", len(listed), len(turns))
        return found

    scores = collect("scoring", score) if with_scores else {}
    replies = collect("answering", answer)
    found: list[Sequence[object]] = [*scores.values(), *replies.values()]
    fits = [
        at for at in range(len(turns)) if all(each[at] is not None for each in found)
    ]
    if not fits:
        msg = "No held-out turn fits into the model's context. Use a larger base model."
        raise TrainingDataError(msg)
    return Answers(
        turns=[turns[at] for at in fits],
        scores={kind: _found_at(fits, each) for kind, each in scores.items()},
        replies={kind: _found_at(fits, each) for kind, each in replies.items()},
        max_tokens=max_tokens,
    )


def _asked(
    contestant: Contestant,
    turn: HeldOutTurn,
    earlier: ReplyIndex,
    use: Callable[[list[Message]], _Found],
) -> _Found | None:
    """Call a function with a prompt, with fewer earlier replies if it is too long."""
    count = NEAREST if contestant.kind == "few_shot" else 0
    while True:
        with suppress(PromptTooLongError):
            return use(prompt_of(contestant, turn, earlier, count))
        if not count:
            return None
        count //= 2


def _found_at(places: Sequence[int], found: Sequence[_Found | None]) -> list[_Found]:
    return [each for at in places if (each := found[at]) is not None]
