"""Scores and replies of all contestants for the same held-out turns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from langchain_chatexports._tokens import BYTES_PER_TOKEN
from langchain_chatexports.evaluation.contestants import (
    TITLES,
    PairIndex,
    Prompt,
    replies_in,
    training_pairs,
)
from langchain_chatexports.evaluation.held_out import HeldOutTurn
from langchain_chatexports.evaluation.loss import ScoredTurn, foreign_excerpts
from langchain_chatexports.evaluation.model_server import CannotScoreError, Reply
from langchain_chatexports.exceptions import TrainingDataError
from langchain_chatexports.personas import style_card

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from langchain_chatexports.datasets.replies import ReplyIndex
    from langchain_chatexports.evaluation.contestants import Contestant
    from langchain_chatexports.evaluation.conversations import Dialogue
    from langchain_chatexports.evaluation.held_out import Excerpt
    from langchain_chatexports.evaluation.model_server import (
        Message,
        ModelServer,
        ScoredReply,
    )

    Progress = Callable[[str, int, int], None]
    Scores = dict[int, ScoredReply] | str

__all__ = ["SCORED_TWICE", "CollectedAnswers", "collect_answers", "reply_token_limit"]

SCORED_TWICE = frozenset({"base", "tuned", "wrong_person"})
"""Who is scored after another conversation, too."""

_MIN_LIMIT, _MAX_LIMIT = 16, 256
_NEARLY_ALL = 0.99
_NOT_SCORED = "the replies were not scored"


@dataclass(frozen=True)
class CollectedAnswers:
    """Scores and replies for the turns that fit into every contestant's context.

    Attributes:
        turns: The turns; their conversations are numbered from 0 without gaps.
        scores: By kind of contestant, a score a turn, or why there is none.
        foreign: The same with another conversation's history. Not of those whose
            examples, or replies, would change with the history.
        replies: By contestant, a reply a turn.
        max_tokens: The token limit of a reply.
        too_long: How many turns were left out, as they did not fit for somebody.
        shortened: How many prompts have fewer examples, or replies, than planned.
    """

    turns: list[HeldOutTurn]
    scores: Mapping[str, list[ScoredTurn] | str]
    foreign: Mapping[str, list[ScoredTurn | None] | str]
    replies: Mapping[str, list[Reply]]
    max_tokens: int
    too_long: int
    shortened: int

    @property
    def conversations(self) -> int:
        """How many conversations the turns are of."""
        return len({turn.excerpt.conversation for turn in self.turns})

    @property
    def person(self) -> list[str]:
        """What the person replied."""
        return [turn.reply for turn in self.turns]

    def texts(self, contestant: str) -> list[str]:
        """Return what a contestant replied."""
        return [reply.text for reply in self.replies[contestant]]

    def by_conversation(self, texts: Sequence[str]) -> list[list[str]]:
        """Return texts, one a turn, as a list for each conversation."""
        grouped: list[list[str]] = [[] for _ in range(self.conversations)]
        for turn, text in zip(self.turns, texts, strict=True):
            grouped[turn.excerpt.conversation].append(text)
        return grouped


def collect_answers(
    excerpts: Sequence[Excerpt],
    training: Sequence[Dialogue],
    server: ModelServer,
    contestants: Sequence[Contestant],
    *,
    seed: int,
    progress: Progress,
    with_scores: bool = True,
) -> CollectedAnswers:
    """Score the turns once for each kind of contestant, and let each one answer.

    Args:
        excerpts: The excerpts whose turns are answered.
        training: The training half, for the few-shot examples.
        server: The server that has the models.
        contestants: Who answers.
        seed: The random seed.
        progress: Called with what is done, how much of it, and how much there is.
        with_scores: Whether to score at all; a blind test needs the replies only.

    Returns:
        Scores and replies for the same turns.

    Raises:
        TrainingDataError: If no turn fits into the context of all contestants.
        ChatExportError: If the server cannot be asked.
    """
    turns = [HeldOutTurn(excerpt, at) for excerpt in excerpts for at in excerpt.turns]
    run = _Run(
        server,
        PairIndex(training_pairs(training)),
        replies_in(training),
        style_card(text for found in training for text in found.replies()),
        excerpts,
        turns,
        progress,
    )
    # The loss does not depend on the temperature.
    kinds = {each.kind: each for each in contestants}
    scores = {
        kind: run.scores(each) if with_scores else _NOT_SCORED
        for kind, each in kinds.items()
    }
    foreign: dict[str, Scores] = {
        kind: found
        if isinstance(found := scores[kind], str)
        else run.foreign_scores(each, seed)
        for kind, each in kinds.items()
        if kind in SCORED_TWICE
    }
    limit = reply_token_limit(_sizes(turns, scores["tuned"]))
    replies = {each.name: run.replies(each, limit, seed) for each in contestants}
    kept = [at for at in range(len(turns)) if at not in run.too_long]
    if not kept:
        msg = "No held-out turn fits into the model's context. Use a larger base model."
        raise TrainingDataError(msg)
    order = dict.fromkeys(turns[at].excerpt.conversation for at in kept)
    numbers = {old: new for new, old in enumerate(order)}
    excerpt_of = {
        at: replace(excerpt, conversation=numbers[excerpt.conversation])
        for at in kept
        for excerpt in (turns[at].excerpt,)
    }

    def scored(at: int, reply: ScoredReply) -> ScoredTurn:
        return ScoredTurn(excerpt_of[at].conversation, reply)

    return CollectedAnswers(
        turns=[
            HeldOutTurn(excerpt, turns[at].line) for at, excerpt in excerpt_of.items()
        ],
        scores={
            kind: found
            if isinstance(found, str)
            else [scored(at, found[at]) for at in kept]
            for kind, found in scores.items()
        },
        foreign={
            kind: found
            if isinstance(found, str)
            else [scored(at, found[at]) if at in found else None for at in kept]
            for kind, found in foreign.items()
        },
        replies={name: [found[at] for at in kept] for name, found in replies.items()},
        max_tokens=limit,
        too_long=len(run.too_long),
        shortened=run.shortened,
    )


def reply_token_limit(tokens: Iterable[float]) -> int:
    """Return twice the tokens that 99 % of the person's replies have at most."""
    sizes = sorted(tokens)
    size = sizes[math.ceil(_NEARLY_ALL * len(sizes)) - 1]
    return max(_MIN_LIMIT, min(_MAX_LIMIT, 2 * math.ceil(size)))


def _sizes(turns: Sequence[HeldOutTurn], scores: Scores) -> list[float]:
    """Return the replies' tokens: the tuned model's own, or else by their bytes."""
    if isinstance(scores, dict) and scores:
        return [found.tokens for found in scores.values()]
    bytes_each = [len(turn.reply.encode("utf-8", "replace")) for turn in turns]
    return [size / BYTES_PER_TOKEN for size in bytes_each]


@dataclass
class _Run:
    """Asks one contestant after the other; turns go by their place in the list."""

    server: ModelServer
    index: PairIndex
    earlier: ReplyIndex
    style: str | None
    excerpts: Sequence[Excerpt]
    turns: Sequence[HeldOutTurn]
    progress: Progress
    too_long: set[int] = field(default_factory=set)
    shortened: int = 0

    def _prompt(self, contestant: Contestant) -> Prompt:
        return Prompt(contestant, self.index, self.earlier, self.style)

    def scores(self, contestant: Contestant) -> Scores:
        prompt = self._prompt(contestant)
        found: dict[int, ScoredReply] = {}
        number = 0
        for excerpt in self.excerpts:
            try:
                by_line = self._score(prompt, excerpt, contestant.model)
            except CannotScoreError as error:
                return str(error)
            for line in excerpt.turns:
                if line in by_line:
                    found[number] = by_line[line]
                else:
                    self.too_long.add(number)
                number += 1
            what = f"scoring replies: {TITLES[contestant.kind]}"
            self.progress(what, number, len(self.turns))
        self.shortened += prompt.shortened
        return found

    def _score(
        self, prompt: Prompt, excerpt: Excerpt, model: str
    ) -> dict[int, ScoredReply]:
        def up_to(line: int) -> dict[int, ScoredReply]:
            def use(messages: list[Message]) -> dict[int, ScoredReply]:
                before = len(messages) - line - 1
                scored = self.server.score(model, messages)
                return {reply.index - before: reply for reply in scored}

            return prompt.ask(HeldOutTurn(excerpt, line), use, with_reply=True) or {}

        # One request scores all turns, unless each has examples or replies of its own.
        is_alike = prompt.kind != "few_shot" and not prompt.replies
        if is_alike and (whole := up_to(excerpt.turns[-1])):
            return whole
        found = {line: up_to(line).get(line) for line in excerpt.turns}
        return {line: reply for line, reply in found.items() if reply is not None}

    def foreign_scores(
        self, contestant: Contestant, seed: int
    ) -> dict[int, ScoredReply]:
        """Score each turn after the history of a turn of another conversation."""
        prompt = self._prompt(contestant)
        found: dict[int, ScoredReply] = {}
        for number, excerpt in enumerate(foreign_excerpts(self.turns, seed=seed)):
            if excerpt is not None and number not in self.too_long:
                (line,) = excerpt.turns
                scored = self._score(prompt, excerpt, contestant.model)
                if reply := scored.get(line):
                    found[number] = reply
            what = "scoring replies after another conversation: "
            what += TITLES[contestant.kind]
            self.progress(what, number + 1, len(self.turns))
        return found

    def replies(
        self, contestant: Contestant, limit: int, seed: int
    ) -> dict[int, Reply]:
        prompt = self._prompt(contestant)
        temperature = contestant.name.partition("@")[2]
        what = f"writing replies: {TITLES[contestant.kind]}"
        what += f", T {temperature}" if temperature else ""
        found: dict[int, Reply] = {}
        for number, turn in enumerate(self.turns):

            def use(messages: list[Message], number: int = number) -> Reply:
                return self.server.reply(
                    contestant.model,
                    messages,
                    temperature=contestant.temperature,
                    max_tokens=limit,
                    seed=seed + number,
                )

            if number not in self.too_long:
                reply = prompt.ask(turn, use)
                if reply is None:
                    self.too_long.add(number)
                else:
                    found[number] = reply
            self.progress(what, number + 1, len(self.turns))
        self.shortened += prompt.shortened
        return found
