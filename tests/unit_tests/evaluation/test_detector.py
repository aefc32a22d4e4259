"""What a trained detector can tell apart."""

from langchain_chatexports.evaluation.detector import told_apart
from tests.unit_tests.builders.voices import DISTINCT, conversations

MIA, OSKAR, *_ = DISTINCT


def replies(voice: object, seed: int) -> tuple[list[str], list[int]]:
    talks = conversations(voice, 40, seed)  # type: ignore[arg-type]
    groups = [number for number, talk in enumerate(talks) for _ in talk]
    return [text for talk in talks for text in talk], groups


REAL, GROUPS = replies(MIA, 1)


def other(voice: object, seed: int) -> list[str]:
    texts = [*replies(voice, seed)[0], *replies(voice, seed + 50)[0]]
    return texts[: len(REAL)]


def test_another_person_is_told_apart() -> None:
    found = told_apart(REAL, other(OSKAR, 2), GROUPS, rounds=50)
    assert found.value > 0.9
    low, high = found.interval
    assert low <= found.value <= high


def test_a_person_is_hardly_told_from_herself() -> None:
    found = told_apart(REAL, other(MIA, 3), GROUPS, rounds=50)
    assert 0.35 < found.value < 0.65


def test_the_same_replies_again_are_chance() -> None:
    found = told_apart(REAL, REAL, GROUPS, rounds=50)
    assert abs(found.value - 0.5) < 0.01


def test_it_is_the_same_again() -> None:
    texts = other(OSKAR, 2)
    first = told_apart(REAL, texts, GROUPS, rounds=50)
    assert told_apart(REAL, texts, GROUPS, rounds=50) == first
