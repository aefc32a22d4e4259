"""Scores and replies of all contestants for the same held-out turns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from langchain_chatexports.datasets.replies import ReplyIndex
from langchain_chatexports.evaluation.contestants import TITLES, Contestant, Prompt
from langchain_chatexports.evaluation.held_out import Excerpt, HeldOutTurn
from langchain_chatexports.evaluation.model_server import (
    Message,
    ModelServer,
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
        turns: The turns; their conversations are numbered from 0 without gaps.
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
        """The conversation of each turn."""
        return [turn.conversation for turn in self.turns]

    @property
    def person(self) -> list[str]:
        """The person's replies."""
        return [turn.reply for turn in self.turns]


def collect_answers(
    excerpts: Sequence[Excerpt],
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
    turns = [HeldOutTurn(excerpt, at) for excerpt in excerpts for at in excerpt.turns]
    prompts = {each.kind: Prompt(each, earlier) for each in contestants}
    scores = {
        each.kind: _scores(server, each, prompts[each.kind], excerpts, progress)
        for each in contestants
        if with_scores
    }
    limits = ReplyLimits.of(pair.reply for pair in earlier)
    max_tokens = limits.tokens or MAX_TOKENS
    replies = {
        each.kind: _replies(
            partial(
                server.reply,
                each.model,
                temperature=temperature,
                max_tokens=max_tokens,
            ),
            prompts[each.kind],
            turns,
            # A talk ends the replies of a persona, too.
            limits=None if each.is_plain else limits,
            seed=seed,
            progress=partial(progress, f"answering: {TITLES[each.kind]}"),
        )
        for each in contestants
    }
    found: list[Sequence[object]] = [*scores.values(), *replies.values()]
    fits = [
        at for at in range(len(turns)) if all(each[at] is not None for each in found)
    ]
    if not fits:
        msg = "No held-out turn fits into the model's context. Use a larger base model."
        raise TrainingDataError(msg)
    numbers: dict[int, int] = {}
    answered = []
    for turn in (turns[at] for at in fits):
        number = numbers.setdefault(turn.conversation, len(numbers))
        excerpt = replace(turn.excerpt, conversation=number)
        answered.append(HeldOutTurn(excerpt, turn.line))
    return Answers(
        turns=answered,
        scores={kind: _at(fits, each) for kind, each in scores.items()},
        replies={kind: _at(fits, each) for kind, each in replies.items()},
        max_tokens=max_tokens,
    )


def _at(places: Sequence[int], found: Sequence[_Found | None]) -> list[_Found]:
    return [each for at in places if (each := found[at]) is not None]


def _scores(
    server: ModelServer,
    contestant: Contestant,
    prompt: Prompt,
    excerpts: Sequence[Excerpt],
    progress: Progress,
) -> list[ScoredReply | None]:
    found: list[ScoredReply | None] = []
    total = sum(len(excerpt.turns) for excerpt in excerpts)

    def up_to(excerpt: Excerpt, line: int) -> dict[int, ScoredReply]:
        def use(messages: list[Message]) -> dict[int, ScoredReply]:
            before = len(messages) - line - 1
            scored = server.score(contestant.model, messages)
            return {reply.index - before: reply for reply in scored}

        return prompt.ask(HeldOutTurn(excerpt, line), use, with_reply=True) or {}

    for excerpt in excerpts:
        # One request scores all turns, unless each has its own earlier replies.
        by_line = up_to(excerpt, excerpt.turns[-1]) if prompt.is_alike else {}
        found += [(by_line or up_to(excerpt, line)).get(line) for line in excerpt.turns]
        progress(f"scoring: {TITLES[contestant.kind]}", len(found), total)
    return found


def _replies(
    answer: Callable[..., Reply],
    prompt: Prompt,
    turns: Sequence[HeldOutTurn],
    *,
    limits: ReplyLimits | None,
    seed: int,
    progress: Callable[[int, int], None],
) -> list[Reply | None]:
    found: list[Reply | None] = []
    for number, turn in enumerate(turns):
        reply = prompt.ask(turn, partial(answer, seed=seed + number))
        if reply and limits and (text := limits.beginning(reply.text)) != reply.text:
            reply = Reply(text, is_cut=False)
        found.append(reply)
        progress(number + 1, len(turns))
    return found
