"""The detector of a model's replies."""

from langchain_chatexports.evaluation.detector import detector_score
from tests.unit_tests.builders.voices import DISTINCT, Voice, conversations

MIA, OSKAR, *_ = DISTINCT


TALKS = conversations(MIA, 40, 1)
REAL = [text for talk in TALKS for text in talk]
GROUPS = [number for number, talk in enumerate(TALKS) for _ in talk]


def replies(voice: Voice, seed: int) -> list[str]:
    texts = [text for talk in conversations(voice, 90, seed) for text in talk]
    return texts[: len(REAL)]


def test_other_person_is_detected() -> None:
    found = detector_score(REAL, replies(OSKAR, 2), GROUPS, rounds=50)
    assert found.value > 0.9
    low, high = found.interval
    assert low <= found.value <= high


def test_same_person_is_hardly_detected() -> None:
    found = detector_score(REAL, replies(MIA, 3), GROUPS, rounds=50)
    assert 0.35 < found.value < 0.65


def test_identical_replies_are_chance() -> None:
    found = detector_score(REAL, REAL, GROUPS, rounds=50)
    assert abs(found.value - 0.5) < 0.01
