"""An evaluation as a whole, with voices in place of models."""

from itertools import pairwise
from typing import Any, cast

import pytest

from langchain_chatexports.evaluation import (
    Evaluation,
    EvaluationSettings,
    HeldOutData,
    ModelServer,
    evaluate,
)
from langchain_chatexports.evaluation.blind_test import BlindGuess, blind_result
from langchain_chatexports.evaluation.comparison import pairs_for_blind_test
from langchain_chatexports.exceptions import TrainingDataError
from tests.unit_tests.builders.voice_server import Voices, talks
from tests.unit_tests.builders.voices import DISTINCT

DATA = HeldOutData(talks(80, 1), talks(30, 2))


MANY = EvaluationSettings(80, 30, rounds=50)
FEW = EvaluationSettings(20, 10, rounds=2)


def voices() -> Voices:
    """A tuned model that speaks as the person, and a base that does not."""
    return Voices({"tuned": DISTINCT[0], "base": DISTINCT[2]})


def run(
    server: Voices,
    *,
    data: HeldOutData = DATA,
    settings: EvaluationSettings = MANY,
    **options: Any,
) -> Evaluation:
    options = {"tuned": "tuned", "base": "base", **options}
    return evaluate(data, cast("ModelServer", server), settings=settings, **options)


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return run(voices())


def test_the_person_is_the_last_row_and_the_ceiling(found: Evaluation) -> None:
    told: dict[str, Any] = {each.kind: each.told_apart for each in found.figures}
    assert told["person"].value < 0.75
    assert told["tuned"].value < told["base"].value
    assert told["base"].value > 0.85
    assert found.figures[-1].bits_per_byte is None
    assert found.figures[-1].model is None


def test_the_tuned_models_loss_is_lower(found: Evaluation) -> None:
    losses: dict[str, Any] = {each.kind: each.bits_per_byte for each in found.figures}
    assert losses["tuned"].value < losses["base"].value
    pairs = {(each.a, each.b): each.value for each in found.loss_differences}
    assert pairs[("tuned", "base")] < 0


def test_talk_is_measured_of_all(found: Evaluation) -> None:
    for each in found.figures:
        assert each.talk.replies == found.data.heldout_turns
        assert each.talk.cut > 0 or each.kind == "person"
        assert each.talk.characters > 5


def test_the_language_is_the_persons(found: Evaluation) -> None:
    assert found.data.language == "English"


def test_results_hold_no_text_and_survive_json(found: Evaluation) -> None:
    text = found.model_dump_json()
    assert Evaluation.model_validate_json(text).data == found.data
    for dialogue in DATA.held_out:
        for line in dialogue.lines:
            assert len(line.text) < 8 or line.text not in text


def test_it_is_the_same_again(found: Evaluation) -> None:
    again = run(voices())
    assert again.model_copy(update={"created": found.created}) == found


def test_few_conversations_have_no_detector() -> None:
    result = run(voices(), data=HeldOutData(DATA.training, DATA.held_out[:5]))
    assert all(each.told_apart is None for each in result.figures)
    assert "there are 5" in result.reasons["told_apart"]


def test_a_person_who_said_little_before_has_no_ceiling() -> None:
    result = run(voices(), data=HeldOutData(DATA.training[:3], DATA.held_out))
    has_value = {each.kind: each.told_apart is not None for each in result.figures}
    assert has_value == {"tuned": True, "few_shot": True, "base": True, "person": False}
    assert "told_apart" not in result.reasons


def test_turns_that_are_too_long_for_one_are_left_out_for_all() -> None:
    server = voices()
    server.longest = 6
    result = run(server)
    assert {each.talk.replies for each in result.figures} == {result.data.heldout_turns}
    assert result.data.heldout_turns < run(voices()).data.heldout_turns


def test_where_no_turn_fits_it_is_an_error() -> None:
    server = voices()
    server.longest = 1
    with pytest.raises(TrainingDataError, match="No held-out turn fits"):
        run(server)


def test_progress_goes_up_in_each_stage() -> None:
    seen: dict[str, list[int]] = {}
    run(
        voices(),
        settings=FEW,
        progress=lambda what, done, _: seen.setdefault(what, []).append(done),
    )
    assert list(seen) == [
        *(f"scoring: {who}" for who in ("tuned model", "base with examples")),
        "scoring: base model",
        *(f"answering: {who}" for who in ("tuned model", "base with examples")),
        "answering: base model",
        "comparing",
    ]
    assert all(a <= b for done in seen.values() for a, b in pairwise(done))


def test_a_blind_test_is_in_the_results() -> None:
    result = run(
        voices(),
        settings=FEW,
        blind=lambda pairs: blind_result([BlindGuess(True, 9)] * len(pairs)),
    )
    assert result.blind is not None
    assert result.blind.right == result.blind.pairs


def test_pairs_for_a_blind_test_need_no_scores() -> None:
    server = voices()
    server.score = None  # type: ignore[assignment, method-assign] # not called
    pairs = pairs_for_blind_test(
        DATA, cast("ModelServer", server), tuned="tuned", pairs=7
    )
    assert 4 < len(pairs) <= 7
    assert {model for model, *_ in server.asked} == {"tuned"}


def test_a_model_is_named_without_its_person() -> None:
    name = "ft:tiny:local:mia:0123"
    own = Voices({name: DISTINCT[0]})
    result = run(own, settings=FEW, tuned=name, base=None)
    assert result.figures[0].model == "ft:tiny:local:…:0123"
