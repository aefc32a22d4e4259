"""How long an answer may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from langchain_chatexports.evaluation import EvaluationSettings, HeldOutData, evaluate
from langchain_chatexports.evaluation.answers import reply_token_limit
from tests.unit_tests.builders.voice_server import Voices, talks
from tests.unit_tests.builders.voices import DISTINCT

if TYPE_CHECKING:
    from langchain_chatexports.evaluation.model_server import ModelServer


@pytest.mark.parametrize(
    ("tokens", "limit"),
    [([1] * 9, 16), ([20] * 99 + [90], 40), ([20] * 9 + [90], 180), ([500], 256)],
)
def test_the_limit_is_twice_what_99_of_100_have(
    tokens: list[float], limit: int
) -> None:
    assert reply_token_limit(tokens) == limit


def limit_of(server: Voices) -> int:
    found = evaluate(
        HeldOutData(talks(20, 1), talks(20, 2)),
        cast("ModelServer", server),
        tuned="tuned",
        settings=EvaluationSettings((1.0,), 60, 20, rounds=2, loss_rounds=2),
    )
    return found.contestants[0].max_tokens


def test_tokens_are_the_models_own_where_it_can_price() -> None:
    """A token of Chinese or of emoji has few bytes; here a token is a word."""
    replies = sorted(
        len(text.split()) for each in talks(20, 2) for text in each.replies()
    )
    found = limit_of(Voices({"tuned": DISTINCT[0]}))
    assert found in {2 * count for count in replies[-4:]}


def test_elsewhere_tokens_are_told_by_bytes() -> None:
    server = Voices({"tuned": DISTINCT[0]})
    server.scores = False
    sizes = sorted(len(t.encode()) for each in talks(20, 2) for t in each.replies())
    found = limit_of(server)
    assert 2 * sizes[-6] / 4 <= found <= 2 * sizes[-1] / 4 + 2
    assert found > limit_of(Voices({"tuned": DISTINCT[0]}))
