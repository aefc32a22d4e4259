"""The trained detector, on synthetic people, whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from langchain_chatexports.evaluation.detector import detect
from langchain_chatexports.evaluation.results import Detector
from langchain_chatexports.evaluation.style_scores import StyleSamples
from tests.unit_tests.builders.voices import (
    CLOSE,
    DISTINCT,
    conversations,
    half_right,
)

MIA, OSKAR, RITA, _ = DISTINCT


@pytest.fixture(scope="module")
def samples() -> StyleSamples:
    held_out, oskar = conversations(MIA, 30, 2), conversations(OSKAR, 30, 6)
    return StyleSamples(
        training=conversations(MIA, 60, 1),
        held_out=held_out,
        contestants={
            "herself": conversations(MIA, 30, 5),
            "half": half_right(conversations(MIA, 30, 5), oskar, 0.5, 1),
            "oskar": oskar,
        },
        others={"p1": conversations(OSKAR, 30, 3), "p2": conversations(RITA, 30, 4)},
    )


@pytest.fixture(scope="module")
def found(samples: StyleSamples) -> Detector:
    result = detect(samples, rounds=100)
    assert isinstance(result, Detector)
    return result


def test_the_person_is_not_told_from_herself(found: Detector) -> None:
    herself = found.contestants[0]
    # Not quite by chance: habits drift from conversation to conversation.
    assert herself.told_apart < 0.65
    assert found.ceiling < 0.65


def test_somebody_else_is_told_nearly_always(found: Detector) -> None:
    assert found.contestants[2].told_apart > 0.95
    assert found.floor is not None
    assert found.floor > 0.9
    assert found.floor_each.keys() == {"p1", "p2"}


def test_half_of_each_is_told_half_of_the_time(found: Detector) -> None:
    herself, half, oskar = (each.told_apart for each in found.contestants)
    assert herself + 0.1 < half < oskar - 0.1
    assert half == pytest.approx(0.75, abs=0.1)


def test_people_who_are_much_alike_are_told_less(found: Detector) -> None:
    one, other = CLOSE
    held_out = conversations(one, 30, 2)
    close = detect(
        StyleSamples(
            conversations(one, 60, 1), held_out, {}, {"p1": conversations(other, 30, 3)}
        ),
        rounds=5,
    )
    assert isinstance(close, Detector)
    assert close.floor is not None
    assert found.floor is not None
    assert 0.5 < close.floor < found.floor


def test_conversations_are_held_out_whole(samples: StyleSamples) -> None:
    """What a model says in one conversation only does not give it away in others."""

    def marked(letter: str) -> list[list[str]]:
        return [
            [f"{turn} {letter * (number + 1)}" for turn in turns]
            for number, turns in enumerate(samples.held_out)
        ]

    found = detect(
        replace(
            samples, held_out=marked("\u00e4"), contestants={"o": marked("\u00f6")}
        ),
        rounds=5,
    )
    assert isinstance(found, Detector)
    assert found.contestants[0].told_apart > 0.9
    rows = [
        [f"{turn} {chr(0x4E00 + n)}" for turn in turns]
        for n, turns in enumerate(samples.held_out)
    ]
    other = [
        [f"{turn} {chr(0x5E00 + n)}" for turn in turns]
        for n, turns in enumerate(samples.held_out)
    ]
    alone = detect(replace(samples, held_out=rows, contestants={"o": other}), rounds=5)
    assert isinstance(alone, Detector)
    assert alone.contestants[0].told_apart == pytest.approx(0.5, abs=0.1)


def test_the_same_texts_are_a_coin_toss(samples: StyleSamples) -> None:
    same = detect(replace(samples, contestants={"same": samples.held_out}), rounds=20)
    assert isinstance(same, Detector)
    assert same.contestants[0].told_apart == pytest.approx(0.5, abs=0.05)


def test_few_turns_are_a_reason_and_no_number(samples: StyleSamples) -> None:
    few = detect(replace(samples, held_out=[["hi"]] * 19, contestants={}))
    assert few == "it takes 20 held-out turns, there are 19"


def test_a_bystander_with_few_turns_is_left_out(samples: StyleSamples) -> None:
    bystander = {"p3": conversations(RITA, 2, 4)}
    more = detect(
        replace(samples, contestants={}, others={**samples.others, **bystander}),
        rounds=5,
    )
    assert isinstance(more, Detector)
    assert more.floor_each.keys() == {"p1", "p2"}


def test_the_same_seed_gives_the_same_figures(samples: StyleSamples) -> None:
    first, again = (detect(samples, rounds=10) for _ in range(2))
    assert first == again


def test_without_others_there_is_no_floor(samples: StyleSamples) -> None:
    alone = detect(replace(samples, others={}, contestants={}), rounds=5)
    assert isinstance(alone, Detector)
    assert (alone.floor, alone.floor_each) == (None, {})
    assert alone.reason == "nobody else has enough turns to compare with"
