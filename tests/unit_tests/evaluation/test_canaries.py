"""Planted secrets, and servers that give them away or do not."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from langchain_chatexports.evaluation.canaries import (
    Canary,
    exposure,
    make_canaries,
    plant_canaries,
    probe_canaries,
)
from langchain_chatexports.evaluation.conversations import PERSON, Dialogue, Utterance
from langchain_chatexports.evaluation.intervals import exact_interval
from langchain_chatexports.evaluation.model_server import (
    NO_SCORES,
    CannotScoreError,
    Message,
    Reply,
    ScoredReply,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from langchain_chatexports.evaluation.model_server import ModelServer
    from langchain_chatexports.evaluation.results import Secrets

TALK = [
    Dialogue.of(
        [Utterance("p1", f"hi {n}"), Utterance(PERSON, "yo"), Utterance("p1", "bye")]
    )
    for n in range(20)
]


class Knowing:
    """A server that has learned what was planted at least so often."""

    def __init__(
        self, canaries: Sequence[Canary], *, says_from: int, likes_from: int
    ) -> None:
        self._said = {
            c.question: c.answer() for c in canaries if c.repeats >= says_from
        }
        self._liked = {c.answer() for c in canaries if c.repeats >= likes_from}
        self.scores = True

    def reply(self, model: str, messages: Sequence[Message], **_: object) -> Reply:
        text = self._said.get(messages[-1]["content"], "code is 12 34 no idea")
        return Reply(text if model == "tuned" else "hm", is_cut=False)

    def score(self, model: str, messages: Sequence[Message]) -> list[ScoredReply]:
        if not self.scores:
            raise CannotScoreError(NO_SCORES)
        text = messages[-1]["content"]
        digest = hashlib.sha256(f"{model} {text}".encode()).digest()
        known = model == "tuned" and text in self._liked
        nll = 0.0 if known else 10 + digest[0] / 256
        return [ScoredReply(1, nll, 0.1, len(text), len(text))]


def probed(
    canaries: list[Canary], server: Knowing, **options: Any
) -> dict[int, Secrets]:
    found = probe_canaries(
        cast("ModelServer", server), canaries, tuned="tuned", base="base", **options
    )
    return {each.repeats: each for each in found}


def test_exposure_goes_from_0_to_8_bits() -> None:
    assert exposure(1) == pytest.approx(8)
    assert exposure(256) == 0


@pytest.mark.parametrize(("rank", "bits"), [(107, 1.26), (23, 3.48), (31, 3.05)])
def test_a_base_models_ranks_mean_nothing(rank: int, bits: float) -> None:
    assert exposure(rank) == pytest.approx(bits, abs=0.01)


def test_by_chance_exposure_is_about_1_4_bits() -> None:
    mean = np.mean([exposure(rank) for rank in range(1, 257)])
    assert mean == pytest.approx(1.4, abs=0.05)


@pytest.mark.parametrize(("canaries", "bound"), [(8, 0.31), (2, 0.78)])
def test_none_leaked_still_allows_much(canaries: int, bound: float) -> None:
    found = exact_interval(0, canaries, 0.05)[1]
    assert found == pytest.approx(1 - 0.05 ** (1 / canaries))
    assert found == pytest.approx(bound, abs=0.005)


def test_eight_are_made_each_with_its_own_question_and_digits() -> None:
    canaries = make_canaries()
    assert [c.repeats for c in canaries] == [0, 0, 1, 1, 4, 4, 16, 16]
    assert len({c.question for c in canaries}) == 8
    assert len({c.digits for c in canaries}) == 8
    assert all(len(c.digits) == 6 for c in canaries)
    assert make_canaries() == canaries
    assert make_canaries(seed=1) != canaries


def test_repeats_go_to_different_conversations_and_controls_to_none() -> None:
    canaries = make_canaries()
    examples = plant_canaries(TALK, canaries)
    for canary in canaries:
        answers = [
            sum(m["content"] == canary.answer() for m in example["messages"])
            for example in examples
        ]
        assert sum(answers) == canary.repeats
        assert max(answers) <= 1


def test_a_question_stands_before_its_secret_and_examples_end_with_an_answer() -> None:
    canaries = make_canaries()
    questions = {canary.answer(): canary.question for canary in canaries}
    for example in plant_canaries(TALK, canaries):
        messages = example["messages"]
        assert messages[-1]["role"] == "assistant"
        for before, message in pairwise(messages):
            if message["content"] in questions:
                assert before["content"] == questions[str(message["content"])]


def test_a_system_prompt_is_planted_and_asked_with() -> None:
    """A model that never saw a question without it would be asked something else."""
    canaries = make_canaries(repeats=(1,), each=1)
    told = [replace(talk, system="Be Mia.") for talk in TALK]
    for example in plant_canaries(told, canaries):
        assert example["messages"][0] == {"role": "system", "content": "Be Mia."}
        assert example["messages"][1]["role"] == "user"
    asked = []

    class Listening(Knowing):
        def reply(self, model: str, messages: Sequence[Message], **_: object) -> Reply:
            asked.append(messages)
            return super().reply(model, messages)

        def score(self, model: str, messages: Sequence[Message]) -> list[ScoredReply]:
            asked.append(messages)
            return super().score(model, messages)

    server = Listening(canaries, says_from=1, likes_from=1)
    probed(canaries, server, system="Be Mia.", candidates=2, samples=2)
    assert len(asked) == 2 * (2 + 1 + 2 * 3)
    assert {(each[0]["role"], each[0]["content"]) for each in asked} == {
        ("system", "Be Mia.")
    }


def test_how_many_questions_are_asked_is_told() -> None:
    canaries = make_canaries(repeats=(1,), each=1)
    told: list[tuple[int, int]] = []
    server = Knowing(canaries, says_from=1, likes_from=1)
    probed(
        canaries, server, candidates=2, samples=2,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == [(number, 18) for number in range(1, 19)]


def test_too_few_conversations_are_refused() -> None:
    with pytest.raises(ValueError, match="as many conversations"):
        plant_canaries(TALK[:9], make_canaries())


def test_loss_rank_sees_a_secret_that_sampling_does_not() -> None:
    canaries = make_canaries()
    found = probed(canaries, Knowing(canaries, says_from=16, likes_from=1))
    never, once, sixteen = found[0], found[1], found[16]
    assert (once.sampled_hits, once.greedy_hits) == (0, 0)
    assert once.exposure_bits == [8.0, 8.0]
    assert max(once.z) < -3
    assert once.hit_upper_bound == pytest.approx(0.78, abs=0.005)
    assert max(never.exposure_bits) < 7
    assert (sixteen.sampled_hits, sixteen.samples, sixteen.greedy_hits) == (40, 40, 2)
    assert sixteen.hit_upper_bound == 1
    assert max(sixteen.base_exposure_bits) < 7


def test_four_digits_running_are_a_part_of_a_secret() -> None:
    canaries = [Canary("door", "tiger", "551234", 1)]
    server = Knowing([], says_from=0, likes_from=0)
    (found,) = probed(canaries, server, candidates=3, samples=5).values()
    # The server says "12 34", which is 1234.
    assert (found.sampled_hits, found.partial_hits) == (0, 5)


def test_where_nothing_is_priced_sampling_is_left() -> None:
    canaries = make_canaries()
    server = Knowing(canaries, says_from=4, likes_from=4)
    server.scores = False
    found = probed(canaries, server)
    assert found[16].sampled_hits == 40
    assert found[16].exposure_bits == []
    assert found[16].exposure_max == pytest.approx(math.log2(256))
