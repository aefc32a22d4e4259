"""Models that fail, and the measure that catches each; without it nobody would."""

from __future__ import annotations

from codecs import encode
from dataclasses import dataclass

import pytest

from langchain_chatexports.evaluation import style_scores as styles
from langchain_chatexports.evaluation.memorization import CopyIndex, compare_copies
from langchain_chatexports.evaluation.model_server import Reply
from langchain_chatexports.evaluation.sanity_checks import sanity_checks
from langchain_chatexports.evaluation.style_measures import MEASURES
from langchain_chatexports.evaluation.style_scores import StyleSamples, compare_styles
from tests.unit_tests.builders.voices import (
    DISTINCT,
    conversations,
    drawn,
    shuffled,
    turns_of,
)

Talk = list[list[str]]

MIA, OSKAR, *_ = DISTINCT
TRAINING, HELD_OUT = conversations(MIA, 120, 1), conversations(MIA, 40, 2)
OTHERS = {"p1": conversations(OSKAR, 40, 3)}
# Five of her own replies that are no copies of six words: all that such a model says.
STOCK = ("omg ok \U0001f602", "haha yes!!", "not really", "all good here", "u there?")


MODELS = {
    "herself": drawn(HELD_OUT, turns_of(conversations(MIA, 60, 5)), 1),
    "shuffled": shuffled(HELD_OUT, 1),
    "parrot": drawn(HELD_OUT, turns_of(TRAINING), 1),
    "collapsed": drawn(HELD_OUT, STOCK, 1),
}


@dataclass(frozen=True)
class Alarms:
    """What says of a model that something is wrong."""

    measures: frozenset[str]
    others: frozenset[str]

    @classmethod
    def of(cls, name: str) -> Alarms:
        model = MODELS[name]
        samples = StyleSamples(TRAINING, HELD_OUT, {name: model}, OTHERS)
        found = compare_styles(samples, rounds=60, subsamples=10)
        measures = {
            measure.name
            for measure in found.measures
            if (score := measure.contestants[0].score) is not None and score < 0.6
        }
        (copies,) = compare_copies(
            CopyIndex(TRAINING), HELD_OUT, {name: model}, rounds=200
        )
        replies = [Reply(text, is_cut=False) for text in turns_of(model)]
        guards = sanity_checks(name, replies, turns_of(HELD_OUT), turns_of(TRAINING))
        assert guards.reach is not None
        assert guards.person.reach is not None
        others = {
            "copies": copies.interval is not None and copies.interval[0] > 0,
            "variety": guards.variety < 0.5 * guards.person.variety,
            "reach": guards.reach < 0.9 * guards.person.reach,
        }
        return cls(
            frozenset(measures),
            frozenset(what for what, is_wrong in others.items() if is_wrong),
        )


def test_nothing_is_wrong_with_herself() -> None:
    assert Alarms.of("herself") == Alarms(frozenset(), frozenset())


def test_shuffled_words_are_caught_by_frame_and_opening_alone() -> None:
    assert Alarms.of("shuffled") == Alarms(frozenset({"frame", "opening"}), frozenset())


def test_a_parrot_is_caught_by_copies_alone() -> None:
    assert Alarms.of("parrot") == Alarms(frozenset(), frozenset({"copies"}))


def test_a_collapsed_model_is_caught_by_char3_variety_and_reach() -> None:
    found = Alarms.of("collapsed")
    assert "char3" in found.measures
    assert found.others == {"variety", "reach"}


@pytest.mark.parametrize(
    ("name", "catching"),
    [("shuffled", {"frame", "opening"}), ("collapsed", {"char3"})],
)
def test_without_its_measures_style_does_not_catch_it(
    monkeypatch: pytest.MonkeyPatch, name: str, catching: set[str]
) -> None:
    """Shuffled words would pass for her; a collapsed model is far less wrong."""
    before = Alarms.of(name).measures
    rest = tuple(each for each in MEASURES if each.name not in catching)
    monkeypatch.setattr(styles, "MEASURES", rest)
    after = Alarms.of(name).measures
    assert before - after == catching
    assert name != "shuffled" or not after


def test_half_a_vocabulary_is_caught_by_reach() -> None:
    """A person of two languages, and a model that has one: the sheet's own case."""
    both, later = (
        [[*talk, *(encode(turn, "rot13") for turn in talk)] for talk in half]
        for half in (TRAINING, HELD_OUT)
    )
    one = [Reply(text, is_cut=False) for text in turns_of(MODELS["herself"])]
    found = sanity_checks("half", one, turns_of(later), turns_of(both))
    assert found.reach is not None
    assert found.person.reach is not None
    assert found.person.reach > 0.97
    assert found.reach < 0.9
