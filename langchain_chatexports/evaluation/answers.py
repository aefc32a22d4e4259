"""Let all contestants price and answer the same held-out turns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langchain_chatexports._tokens import BYTES_PER_TOKEN
from langchain_chatexports.evaluation.contestants import Prompt
from langchain_chatexports.evaluation.controls import foreign_pieces
from langchain_chatexports.evaluation.few_shot import PairIndex, training_pairs
from langchain_chatexports.evaluation.loss import TurnPrice
from langchain_chatexports.evaluation.replies import CannotScoreError, Reply
from langchain_chatexports.exceptions import TrainingDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from langchain_chatexports.evaluation.contestants import Contestant
    from langchain_chatexports.evaluation.held_out import Conversation, Piece, Turn
    from langchain_chatexports.evaluation.replies import Message, ModelServer, Price

    Progress = Callable[[str, int, int], None]

__all__ = ["Gathered", "HeldOutTurn", "gather", "longest_answer"]

_SHORTEST_LIMIT, _LONGEST_LIMIT = 16, 256
_NEARLY_ALL = 0.99


@dataclass(frozen=True)
class HeldOutTurn:
    """A turn of the person in a piece of a held-out conversation."""

    piece: Piece
    turn: Turn
    number: int

    @property
    def context(self) -> str:
        """What was said before it."""
        return "\n".join(line.text for line in self.piece.lines[: self.turn.line])


@dataclass(frozen=True)
class Gathered:
    """What all contestants made of the turns that each of them can read.

    Attributes:
        turns: The turns.
        prices: By model's kind, a price a turn, or why there is none.
        foreign: The same behind another conversation's history, without few-shot, whose
            examples would change with the history.
        replies: By contestant, a reply a turn.
        max_tokens: The longest reply that was asked for.
        too_long: How many turns were left out as somebody could not read them.
        shortened: How many few-shot prompts hold fewer examples than they should.
    """

    turns: list[HeldOutTurn]
    prices: Mapping[str, list[TurnPrice] | str]
    foreign: Mapping[str, list[TurnPrice | None] | str]
    replies: Mapping[str, list[Reply]]
    max_tokens: int
    too_long: int
    shortened: int

    @property
    def conversations(self) -> int:
        """How many conversations the turns are of."""
        return len(self._order())

    @property
    def person(self) -> list[str]:
        """What the person replied."""
        return [found.turn.reply for found in self.turns]

    def texts(self, contestant: str) -> list[str]:
        """Return what a contestant replied."""
        return [reply.text for reply in self.replies[contestant]]

    def by_conversation(self, texts: Sequence[str]) -> list[list[str]]:
        """Return texts, one a turn, as a list for each conversation."""
        order = self._order()
        grouped: list[list[str]] = [[] for _ in order]
        for found, text in zip(self.turns, texts, strict=True):
            grouped[order[found.piece.conversation]].append(text)
        return grouped

    def prices_by_order(self) -> dict[str, list[TurnPrice] | str]:
        """Return the prices with conversations numbered from 0 without gaps."""
        order = self._order()
        return {
            kind: found
            if isinstance(found, str)
            else [TurnPrice(order[each.conversation], each.price) for each in found]
            for kind, found in self.prices.items()
        }

    def foreign_by_order(self) -> dict[str, list[TurnPrice | None] | str]:
        """Return the prices behind foreign histories, numbered alike."""
        order = self._order()
        return {
            kind: found
            if isinstance(found, str)
            else [
                each and TurnPrice(order[each.conversation], each.price)
                for each in found
            ]
            for kind, found in self.foreign.items()
        }

    def _order(self) -> dict[int, int]:
        numbers = dict.fromkeys(found.piece.conversation for found in self.turns)
        return {old: new for new, old in enumerate(numbers)}


def gather(
    pieces: Sequence[Piece],
    training: Sequence[Conversation],
    server: ModelServer,
    contestants: Sequence[Contestant],
    *,
    seed: int,
    progress: Progress,
) -> Gathered:
    """Price the turns, once a model and prompt, and let every contestant answer.

    Args:
        pieces: The held-out stretches with their turns.
        training: Where few-shot takes its examples from.
        server: Who has the models.
        contestants: Who answers.
        seed: Where chance begins.
        progress: Is told what is done, how much of it, and how much there is.

    Returns:
        Prices and replies for the same turns.

    Raises:
        TrainingDataError: If no turn can be read by all.
        ChatExportError: If the server cannot be asked.
    """
    places = [(piece, turn) for piece in pieces for turn in piece.turns]
    turns = [HeldOutTurn(*place, number) for number, place in enumerate(places)]
    run = _Run(server, PairIndex(training_pairs(training)), pieces, turns, progress)
    once = _once_a_kind(contestants)
    priced = {each.kind: run.priced(each) for each in once}
    foreign = {
        each.kind: found
        if isinstance(found := priced[each.kind], str)
        else run.priced_elsewhere(each, seed)
        for each in once
        if each.kind != "few_shot"
    }
    limit = longest_answer(_sizes(turns, priced["tuned"]))
    answered = {each.name: run.answered(each, limit, seed) for each in contestants}
    kept = [found for found in turns if found.number not in run.too_long]
    if not kept:
        msg = "No held-out turn fits into the model's memory. Use a larger base model."
        raise TrainingDataError(msg)
    return Gathered(
        turns=kept,
        prices={
            kind: found if isinstance(found, str) else [found[t.number] for t in kept]
            for kind, found in priced.items()
        },
        foreign={
            kind: found
            if isinstance(found, str)
            else [found.get(turn.number) for turn in kept]
            for kind, found in foreign.items()
        },
        replies={
            name: [found[turn.number] for turn in kept]
            for name, found in answered.items()
        },
        max_tokens=limit,
        too_long=len(run.too_long),
        shortened=run.shortened,
    )


def longest_answer(tokens: Iterable[float]) -> int:
    """Return the limit of an answer in tokens: twice what 99 % of the person's have."""
    sizes = sorted(tokens)
    size = sizes[math.ceil(_NEARLY_ALL * len(sizes)) - 1]
    return max(_SHORTEST_LIMIT, min(_LONGEST_LIMIT, 2 * math.ceil(size)))


def _sizes(
    turns: Sequence[HeldOutTurn], prices: dict[int, TurnPrice] | str
) -> list[float]:
    """Return the replies' tokens: the tuned model's own, or else by their bytes."""
    if isinstance(prices, dict) and prices:
        return [found.price.tokens for found in prices.values()]
    bytes_each = [len(turn.turn.reply.encode("utf-8", "replace")) for turn in turns]
    return [size / BYTES_PER_TOKEN for size in bytes_each]


def _once_a_kind(contestants: Sequence[Contestant]) -> list[Contestant]:
    # The loss is a model's own: it does not depend on the temperature.
    return list({each.kind: each for each in reversed(contestants)}.values())[::-1]


@dataclass
class _Run:
    server: ModelServer
    index: PairIndex
    pieces: Sequence[Piece]
    turns: Sequence[HeldOutTurn]
    progress: Progress
    too_long: set[int] = field(default_factory=set)
    shortened: int = 0

    def priced(self, contestant: Contestant) -> dict[int, TurnPrice] | str:
        prompt = Prompt(contestant.kind, self.index)
        found: dict[int, TurnPrice] = {}
        number = 0
        for piece in self.pieces:
            try:
                prices = self._prices(prompt, piece, contestant.model)
            except CannotScoreError as error:
                return str(error)
            for turn in piece.turns:
                price = prices.get(turn.line)
                if price is None:
                    self.too_long.add(number)
                else:
                    found[number] = TurnPrice(piece.conversation, price)
                number += 1
            self.progress(f"pricing, {contestant.kind}", number, len(self.turns))
        self.shortened += prompt.shortened
        return found

    def _prices(self, prompt: Prompt, piece: Piece, model: str) -> dict[int, Price]:
        def up_to(line: int) -> dict[int, Price]:
            def use(messages: list[Message]) -> dict[int, Price]:
                before = len(messages) - line - 1
                priced = self.server.prices(model, messages)
                return {price.line - before: price for price in priced}

            return prompt.ask(piece, line, use, with_reply=True) or {}

        # One reading prices all turns of a piece, if what comes before is the same.
        if not prompt.is_per_turn and (whole := up_to(piece.turns[-1].line)):
            return whole
        found = {turn.line: up_to(turn.line).get(turn.line) for turn in piece.turns}
        return {line: price for line, price in found.items() if price is not None}

    def priced_elsewhere(
        self, contestant: Contestant, seed: int
    ) -> dict[int, TurnPrice]:
        """Price each turn behind the history of a turn of another conversation."""
        prompt = Prompt(contestant.kind, self.index)
        places = [(found.piece, found.turn) for found in self.turns]
        found: dict[int, TurnPrice] = {}
        for number, piece in enumerate(foreign_pieces(places, seed=seed)):
            if piece is not None and number not in self.too_long:
                prices = self._prices(prompt, piece, contestant.model)
                if price := prices.get(piece.turns[0].line):
                    found[number] = TurnPrice(piece.conversation, price)
            done = number + 1
            what = f"pricing elsewhere, {contestant.kind}"
            self.progress(what, done, len(self.turns))
        return found

    def answered(
        self, contestant: Contestant, limit: int, seed: int
    ) -> dict[int, Reply]:
        prompt = Prompt(contestant.kind, self.index)
        found: dict[int, Reply] = {}
        for place in self.turns:

            def use(messages: list[Message], number: int = place.number) -> Reply:
                return self.server.reply(
                    contestant.model,
                    messages,
                    temperature=contestant.temperature,
                    max_tokens=limit,
                    seed=seed + number,
                )

            if place.number not in self.too_long:
                answer = prompt.ask(place.piece, place.turn.line, use)
                if answer is None:
                    self.too_long.add(place.number)
                else:
                    found[place.number] = answer
            done = place.number + 1
            self.progress(f"answering, {contestant.name}", done, len(self.turns))
        self.shortened += prompt.shortened
        return found
