"""Scores and replies of all contestants for the same held-out turns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from langchain_chatexports._tokens import BYTES_PER_TOKEN, reply_token_limit
from langchain_chatexports.datasets.replies import ReplyIndex
from langchain_chatexports.evaluation.contestants import TITLES, Contestant, Prompt
from langchain_chatexports.evaluation.held_out import Excerpt, HeldOutTurn
from langchain_chatexports.evaluation.model_server import (
    CannotScoreError,
    Message,
    ModelServer,
    Reply,
    ScoredReply,
)
from langchain_chatexports.exceptions import TrainingDataError
from langchain_chatexports.personas.reply_limits import ReplyLimits

Progress = Callable[[str, int, int], None]
"""Called with the stage, its finished turns, and all of its turns."""

_NOT_SCORED = "the replies were not scored"


@dataclass(frozen=True)
class Answers:
    """Scores and replies for the turns that fit into every contestant's context."""

    turns: list[HeldOutTurn]
    """The turns; their conversations are numbered from 0 without gaps."""

    scores: Mapping[str, list[ScoredReply] | str]
    """The scores of each turn, or the reason for none, by kind of contestant."""

    replies: Mapping[str, list[Reply]]
    """The replies to each turn, by kind of contestant."""

    max_tokens: int
    too_long: int
    """Number of skipped turns that are too long for a contestant."""

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
    scores: dict[str, list[ScoredReply | None] | str] = {}
    for each in contestants:
        scores[each.kind] = _NOT_SCORED
        if with_scores:
            prompt = prompts[each.kind]
            scores[each.kind] = _scores(server, each, prompt, excerpts, progress)
    limit = reply_token_limit(_tokens(turns, scores[contestants[0].kind]))
    limits = ReplyLimits.of(pair.reply for pair in earlier)
    replies: dict[str, list[Reply | None]] = {
        each.kind: _replies(
            partial(
                server.reply, each.model, temperature=temperature, max_tokens=limit
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
    results: list[Sequence[object]] = [
        found for found in scores.values() if not isinstance(found, str)
    ]
    results += replies.values()
    fits = [
        at
        for at in range(len(turns))
        if all(found[at] is not None for found in results)
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
        scores={
            kind: found
            if isinstance(found, str)
            else [score for at in fits if (score := found[at]) is not None]
            for kind, found in scores.items()
        },
        replies={
            kind: [reply for at in fits if (reply := found[at]) is not None]
            for kind, found in replies.items()
        },
        max_tokens=limit,
        too_long=len(turns) - len(fits),
    )


def _tokens(
    turns: Sequence[HeldOutTurn], scores: list[ScoredReply | None] | str
) -> list[float]:
    """Return the lengths of the replies in tokens, estimated from bytes if unknown."""
    if not isinstance(scores, str):
        sizes: list[float] = [found.tokens for found in scores if found is not None]
        if sizes:
            return sizes
    bytes_each = [len(turn.reply.encode("utf-8", "replace")) for turn in turns]
    return [size / BYTES_PER_TOKEN for size in bytes_each]


def _scores(
    server: ModelServer,
    contestant: Contestant,
    prompt: Prompt,
    excerpts: Sequence[Excerpt],
    progress: Progress,
) -> list[ScoredReply | None] | str:
    found: list[ScoredReply | None] = []
    total = sum(len(excerpt.turns) for excerpt in excerpts)

    def up_to(excerpt: Excerpt, line: int) -> dict[int, ScoredReply]:
        def use(messages: list[Message]) -> dict[int, ScoredReply]:
            before = len(messages) - line - 1
            scored = server.score(contestant.model, messages)
            return {reply.index - before: reply for reply in scored}

        return prompt.ask(HeldOutTurn(excerpt, line), use, with_reply=True) or {}

    for excerpt in excerpts:
        try:
            # One request scores all turns, unless each has its own earlier replies.
            by_line = up_to(excerpt, excerpt.turns[-1]) if prompt.is_alike else {}
            found += [
                (by_line or up_to(excerpt, line)).get(line) for line in excerpt.turns
            ]
        except CannotScoreError as error:
            return str(error)
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
