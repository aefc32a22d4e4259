"""Scores and replies of all contestants on the same held-out turns."""

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
    build_prompt,
)
from langchain_chatexports.evaluation.held_out import HeldOutTurn
from langchain_chatexports.evaluation.model_server import (
    Message,
    ModelClient,
    PromptTooLongError,
    Reply,
    ScoredReply,
)
from langchain_chatexports.exceptions import TrainingDataError
from langchain_chatexports.personas.reply_limits import ReplyLimits
from langchain_chatexports.personas.talk import MAX_TOKENS

_Result = TypeVar("_Result")

Progress = Callable[[str, int, int], None]
"""Called with the stage, the number of finished turns and their total."""


@dataclass(frozen=True)
class Answers:
    """Scores and replies for the turns that fit in every contestant's context."""

    turns: list[HeldOutTurn]
    scores: Mapping[str, list[ScoredReply]]
    """One score per turn, by contestant."""

    replies: Mapping[str, list[Reply]]
    """One reply per turn, by contestant."""

    max_tokens: int
    """The token limit for replies."""

    @property
    def groups(self) -> list[int]:
        """Each turn's dialogue, as an index without gaps."""
        indexes: dict[int, int] = {}
        return [indexes.setdefault(turn.dialogue, len(indexes)) for turn in self.turns]

    @property
    def person_replies(self) -> list[str]:
        """The person's replies."""
        return [turn.reply for turn in self.turns]


def collect_answers(
    turns: Sequence[HeldOutTurn],
    earlier: ReplyIndex,
    server: ModelClient,
    contestants: Sequence[Contestant],
    *,
    seed: int,
    temperature: float,
    progress: Progress,
    with_scores: bool = True,
) -> Answers:
    """Score the turns with each contestant and generate its replies."""
    limits = ReplyLimits.from_replies(pair.reply for pair in earlier)
    max_tokens = limits.tokens or MAX_TOKENS

    def score(contestant: Contestant, index: int, prompt: list[Message]) -> ScoredReply:
        reply = {"role": "assistant", "content": turns[index].reply}
        return server.score(contestant.model, [*prompt, reply])[-1]

    def generate(contestant: Contestant, index: int, prompt: list[Message]) -> Reply:
        reply = server.reply(
            contestant.model,
            prompt,
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed + index,
        )
        if contestant.is_plain:
            return reply
        # As in a talk with a persona.
        text = limits.truncate(reply.text)
        return reply if text == reply.text else Reply(text, is_cut=False)

    def collect(
        stage: str, request: Callable[[Contestant, int, list[Message]], _Result]
    ) -> dict[str, list[_Result | None]]:
        results: dict[str, list[_Result | None]] = {}
        for contestant in contestants:
            collected = results[contestant.kind] = []
            for index, turn in enumerate(turns):
                call = partial(request, contestant, index)
                collected.append(_with_fitting_prompt(call, contestant, turn, earlier))
                title = f"{stage}: {TITLES[contestant.kind]}"
                progress(title, len(collected), len(turns))
        return results

    scores = collect("scoring", score) if with_scores else {}
    replies = collect("answering", generate)
    results: list[Sequence[object]] = [*scores.values(), *replies.values()]
    complete = [
        index
        for index in range(len(turns))
        if all(result[index] is not None for result in results)
    ]
    if not complete:
        msg = (
            "No held-out turn fits in the model's context. Use a base model with a "
            "longer context."
        )
        raise TrainingDataError(msg)
    return Answers(
        turns=[turns[index] for index in complete],
        scores={kind: _select(values, complete) for kind, values in scores.items()},
        replies={kind: _select(values, complete) for kind, values in replies.items()},
        max_tokens=max_tokens,
    )


def _with_fitting_prompt(
    call: Callable[[list[Message]], _Result],
    contestant: Contestant,
    turn: HeldOutTurn,
    earlier: ReplyIndex,
) -> _Result | None:
    """Call a function with a prompt that has as many earlier replies as fit."""
    count = NEAREST if contestant.kind == "few_shot" else 0
    while True:
        with suppress(PromptTooLongError):
            return call(build_prompt(contestant, turn, earlier, count))
        if not count:
            return None
        count //= 2


def _select(results: Sequence[_Result | None], indexes: Sequence[int]) -> list[_Result]:
    return [result for index in indexes if (result := results[index]) is not None]
