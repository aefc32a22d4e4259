"""A complete evaluation, with synthetic voices instead of models."""

from itertools import pairwise
from typing import Any

import pytest

from langchain_chatexports.evaluation import Evaluation, EvaluationSettings, HeldOutData
from langchain_chatexports.evaluation.blind_test import BlindGuess, blind_result
from langchain_chatexports.evaluation.comparison import create_blind_pairs
from langchain_chatexports.evaluation.detector import MIN_DIALOGUES
from langchain_chatexports.exceptions import TrainingDataError
from tests.unit_tests.builders.voice_server import Voices, evaluate_voices, talks
from tests.unit_tests.builders.voices import DISTINCT

DATA = HeldOutData(talks(80, 1), talks(30, 2))
MANY = EvaluationSettings(80, 30, rounds=50)
FEW = EvaluationSettings(20, 10, rounds=2)


def run(max_messages: float = 99, data: HeldOutData = DATA, **options: Any) -> Any:
    """Evaluate a model with the person's voice, and a base with another one."""
    server = Voices(tuned=DISTINCT[0], base=DISTINCT[2])
    server.max_messages = max_messages
    return evaluate_voices(server, data, **{"settings": MANY, **options})


@pytest.fixture(scope="module")
def found() -> Any:
    return run()


def test_person_is_last_and_the_ceiling(found: Any) -> None:
    scores = {figures.kind: figures.told_apart for figures in found.figures}
    assert scores["person"].value < 0.75
    assert scores["tuned"].value < scores["base"].value
    assert scores["base"].value > 0.85
    assert found.figures[-1].bits_per_byte is None
    assert found.figures[-1].model is None


def test_tuned_model_has_lower_loss(found: Any) -> None:
    assert (
        found.get("tuned").bits_per_byte.value < found.get("base").bits_per_byte.value
    )
    losses = {(loss.a, loss.b): loss.value for loss in found.loss_differences}
    assert losses[("tuned", "base")] < 0


def test_all_replies_are_measured(found: Any) -> None:
    assert found.data.language == "English"
    for figures in found.figures:
        assert figures.talk.replies == found.data.heldout_turns
        assert figures.talk.cut > 0 or figures.kind == "person"
        assert figures.talk.characters > 5


def test_results_have_no_text_and_round_trip(found: Any) -> None:
    text = found.model_dump_json()
    assert Evaluation.model_validate_json(text).data == found.data
    for dialogue in DATA.held_out:
        for line in dialogue.lines:
            assert len(line.text) < 8 or line.text not in text


def test_evaluation_is_reproducible(found: Any) -> None:
    assert run().model_copy(update={"created": found.created}) == found


def test_few_conversations_have_no_detector() -> None:
    result = run(data=HeldOutData(DATA.training, DATA.held_out[:5]))
    assert all(figures.told_apart is None for figures in result.figures)
    assert (
        result.reasons["told_apart"]
        == f"fewer than {MIN_DIALOGUES} dialogues are held out"
    )


def test_few_earlier_replies_give_no_ceiling() -> None:
    result = run(data=HeldOutData(DATA.training[:3], DATA.held_out))
    unmeasured = [each.kind for each in result.figures if each.told_apart is None]
    assert unmeasured == ["person"]
    assert "told_apart" not in result.reasons


def test_too_long_turns_are_skipped_for_all() -> None:
    found = run(settings=FEW)
    result = run(settings=FEW, max_messages=6)
    turns = result.data.heldout_turns
    assert {figures.talk.replies for figures in result.figures} == {turns}
    assert turns < found.data.heldout_turns


def test_no_fitting_turn_is_an_error() -> None:
    with pytest.raises(TrainingDataError, match="No held-out turn fits"):
        run(settings=FEW, max_messages=1)


def test_progress_increases_in_each_stage() -> None:
    stages: dict[str, list[int]] = {}

    def progress(stage: str, done: int, _total: int) -> None:
        stages.setdefault(stage, []).append(done)

    run(settings=FEW, progress=progress)
    titles = ("tuned model", "base with examples", "base model")
    names = [
        f"{name}: {title}" for name in ("scoring", "answering") for title in titles
    ]
    names += ["matching: the person", "matching: tuned model"]
    assert list(stages) == [*names, "comparing"]
    assert all(a <= b for done in stages.values() for a, b in pairwise(done))


def test_blind_test_is_in_results() -> None:
    result = run(
        settings=FEW,
        blind=lambda pairs: blind_result([BlindGuess(True, 9)] * len(pairs)),
    )
    assert result.blind.right == result.blind.pairs > 0


def test_blind_pairs_need_no_scores() -> None:
    server = Voices(tuned=DISTINCT[0])
    server.score = None  # type: ignore[assignment, method-assign] # not called
    pairs = create_blind_pairs(DATA, server, tuned="tuned", pairs=7)
    assert 4 < len(pairs) <= 7
    assert {model for model, _ in server.requests} == {"tuned"}


def test_model_name_omits_person() -> None:
    name = "ft:tiny:local:mia:0123"
    server = Voices(**{name: DISTINCT[0]})
    result = evaluate_voices(server, DATA, settings=FEW, tuned=name, base=None)
    assert result.figures[0].model == "ft:tiny:local:…:0123"
