"""Scores of synthetic people, whose answers are known."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from langchain_chatexports.evaluation.intervals import centered, percentiles, resampled
from langchain_chatexports.evaluation.style_scores import (
    Styles,
    StyleSamples,
    compare_styles,
)
from tests.unit_tests.builders.voices import (
    CLOSE,
    DISTINCT,
    conversations,
    drawn,
    half_right,
    turns_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_chatexports.evaluation.results import Summary

Talk = list[list[str]]

MIA, OSKAR, RITA, YUN = DISTINCT
STOCK = ("omg ok \U0001f602", "haha yes!!", "no way", "u there", "omg so funny")


@pytest.fixture(scope="module")
def samples() -> StyleSamples:
    held_out = conversations(MIA, 40, 2)
    training = conversations(MIA, 150, 1)
    return StyleSamples(
        training=training,
        held_out=held_out,
        contestants={
            "herself": drawn(held_out, turns_of(conversations(MIA, 60, 5)), 1),
            "oskar": drawn(held_out, turns_of(conversations(OSKAR, 60, 6)), 1),
            "half": half_right(held_out, conversations(OSKAR, 60, 6), 0.5, 1),
            "parrot": drawn(held_out, turns_of(training), 1),
            "collapsed": drawn(held_out, STOCK, 1),
            "silent": [["" for _ in turns] for turns in held_out],
        },
        others={"p1": conversations(OSKAR, 40, 3)},
    )


@pytest.fixture(scope="module")
def styles(samples: StyleSamples) -> Styles:
    return compare_styles(samples, rounds=80, subsamples=20)


def scores(styles: Styles, name: str) -> dict[str, float]:
    found = {
        measure.name: contestant.score
        for measure in styles.measures
        for contestant in measure.contestants
        if contestant.name == name
    }
    known = {measure: score for measure, score in found.items() if score is not None}
    assert known.keys() == found.keys()
    return known


def median(styles: Styles, name: str) -> Summary:
    return next(each for each in styles.summary if each.contestant == name)


def test_the_same_person_scores_about_1(styles: Styles) -> None:
    assert median(styles, "herself").median_score == pytest.approx(1, abs=0.1)
    assert all(0.8 < score < 1.2 for score in scores(styles, "herself").values())


def test_the_other_person_scores_about_0(styles: Styles) -> None:
    assert median(styles, "oskar").median_score == pytest.approx(0, abs=0.1)
    assert all(abs(score) < 0.2 for score in scores(styles, "oskar").values())


def test_half_of_each_lies_between(styles: Styles) -> None:
    half = median(styles, "half").median_score
    assert half is not None
    assert 0.4 < half < 0.9


def test_style_cannot_see_a_parrot(styles: Styles) -> None:
    """Copies are there for that."""
    assert all(score > 0.9 for score in scores(styles, "parrot").values())


def test_a_collapsed_model_is_far_in_char3(styles: Styles) -> None:
    assert scores(styles, "collapsed")["char3"] < -1


def test_a_silent_model_has_no_score_where_there_are_no_words(styles: Styles) -> None:
    measure = next(each for each in styles.measures if each.name == "frame")
    silent = next(each for each in measure.contestants if each.name == "silent")
    # Each empty bubble still has its two edges, and nothing between them.
    assert silent.score is None or silent.score < 0


def test_all_seven_measures_separate_far_people(styles: Styles) -> None:
    assert [measure.separates for measure in styles.measures] == [True] * 7
    assert median(styles, "half").measures_used == 7


def test_points_lie_in_their_intervals(styles: Styles) -> None:
    for measure in styles.measures:
        for point, interval in (
            (measure.ceiling, measure.ceiling_interval),
            (measure.floor, measure.floor_interval),
        ):
            assert point is not None
            assert interval is not None
            assert interval[0] <= point <= interval[1]


def test_the_summary_is_the_median_and_no_mean(styles: Styles) -> None:
    for name in ("half", "collapsed"):
        every = list(scores(styles, name).values())
        assert median(styles, name).median_score == pytest.approx(np.median(every))
        assert np.mean(every) != pytest.approx(np.median(every), abs=0.01)


def test_the_summarys_interval_is_of_the_median_too(styles: Styles) -> None:
    """One measure that explodes rules a mean, and its interval."""
    found = median(styles, "collapsed")
    assert found.interval is not None
    assert found.median_score is not None
    low, high = found.interval
    mean = np.mean(list(scores(styles, "collapsed").values()))
    assert low <= found.median_score <= high
    assert not low <= mean <= high


def test_within_ceiling_needs_a_lower_end_above_a_half(styles: Styles) -> None:
    for measure in styles.measures:
        for found in measure.contestants:
            if found.score_interval is not None:
                low, high = found.score_interval
                assert found.within_ceiling == (low > 0.5 and low <= 1 <= high)


def test_the_difference_of_medians_is_paired(styles: Styles) -> None:
    found = next(d for d in styles.differences if (d.a, d.b) == ("oskar", "herself"))
    assert found.value == pytest.approx(-1, abs=0.15)
    assert found.interval[1] < -0.7


def test_contestants_are_drawn_together_with_the_person(
    samples: StyleSamples,
) -> None:
    """Who says the very same has a score of 1 in every round."""
    # The others have most text, so that nothing of hers is cut off by chance.
    same = replace(
        samples,
        contestants={"same": samples.held_out},
        others={"p1": conversations(OSKAR, 150, 3, mean_turns=12)},
    )
    found = compare_styles(same, rounds=20, subsamples=2)
    for measure in found.measures:
        (one,) = measure.contestants
        assert one.score == pytest.approx(1)
        assert one.score_interval == pytest.approx((1, 1))


def test_the_same_seed_gives_the_same_figures(samples: StyleSamples) -> None:
    few = replace(samples, contestants={"half": samples.contestants["half"]})
    first, again = (compare_styles(few, rounds=20, subsamples=5) for _ in range(2))
    assert again == first


def test_another_seed_gives_nearly_the_same(
    samples: StyleSamples, styles: Styles
) -> None:
    other = compare_styles(samples, rounds=80, subsamples=20, seed=1)
    assert other.measures != styles.measures
    for name in ("herself", "half"):
        assert median(other, name).median_score == pytest.approx(
            median(styles, name).median_score, abs=0.1
        )


def test_without_others_there_are_distances_and_no_scores(
    samples: StyleSamples,
) -> None:
    found = compare_styles(replace(samples, others={}), rounds=20, subsamples=2)
    marks = found.measures[2]
    assert (marks.floor, marks.separates) == (None, None)
    value = marks.contestants[0].value
    assert value is not None
    assert value > 0
    assert marks.contestants[0].score is None
    assert median(found, "half").median_score is None
    assert found.differences == []


def test_people_who_do_not_differ_give_no_score(samples: StyleSamples) -> None:
    twin = {"p1": conversations(MIA, 40, 8)}
    found = compare_styles(replace(samples, others=twin), rounds=40, subsamples=2)
    assert not any(measure.separates for measure in found.measures[:4])
    assert found.measures[0].contestants[0].score is None


def test_a_terse_person_is_near_to_herself() -> None:
    """Equal units: a terse sample holds few 3-grams, and would look far from hers."""
    terse = replace(CLOSE[0], longer=0.0, more=0.0)
    wordy = replace(CLOSE[1], longer=0.7, more=0.5)
    held_out = conversations(terse, 25, 2, mean_turns=3)
    training = conversations(terse, 60, 1, mean_turns=3)
    found = compare_styles(
        StyleSamples(
            training=training,
            held_out=held_out,
            contestants={"herself": drawn(held_out, turns_of(training), 1)},
            others={"p1": conversations(wordy, 25, 3, mean_turns=3)},
        ),
        rounds=30,
        subsamples=10,
    )
    by_name = {measure.name: measure for measure in found.measures}
    for name in ("char3", "frame"):
        measure = by_name[name]
        assert measure.ceiling is not None
        assert measure.floor is not None
        assert measure.ceiling < measure.floor


def test_a_language_without_spaces_has_no_frames_and_openings() -> None:
    rng = random.Random(0)

    def talk(letters: str) -> Talk:
        return [
            ["".join(rng.choices(letters, k=9)) for _ in range(3)] for _ in range(20)
        ]

    found = compare_styles(
        StyleSamples(
            training=talk("\u4f60\u597d\u5417\u6211"),
            held_out=talk("\u4f60\u597d\u5417\u6211"),
            contestants={"model": talk("\u4f60\u597d\u5417\u6211")},
            others={"p1": talk("\u4ed6\u5011\u4e86\u7684")},
        ),
        rounds=20,
        subsamples=2,
    )
    reasons = {m.name: m.reason for m in found.measures if m.separates is None}
    assert reasons.keys() == {"burst", "frame", "opening"}
    assert "spaces" in str(reasons["frame"])
    assert next(m for m in found.measures if m.name == "char3").separates


def test_joined_runs_have_no_bursts_and_that_is_said(samples: StyleSamples) -> None:
    def joined(talk: Sequence[Sequence[str]]) -> Talk:
        return [[turn.replace("\n\n", " ") for turn in turns] for turns in talk]

    found = compare_styles(
        StyleSamples(
            joined(samples.training),
            joined(samples.held_out),
            {"half": samples.contestants["half"]},
            {"p1": joined(samples.others["p1"])},
        ),
        rounds=20,
        subsamples=2,
    )
    (burst,) = (each for each in found.measures if each.name == "burst")
    assert burst.separates is None
    assert "no turn has several messages" in str(burst.reason)
    assert found.summary[0].measures_used <= 6


def test_centered_intervals_hold_their_point() -> None:
    """A plain percentile interval missed its own point: .063, and [.072, .107]."""
    values = np.linspace(0.07, 0.11, 1000)
    low, high = centered(0.063, values)
    assert low < 0.063 < high
    assert percentiles(values)[0] > 0.063


def test_resampling_draws_as_many_conversations_as_there_are() -> None:
    weights = resampled(7, 50, np.random.default_rng(0))
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()


def test_intervals_cover_the_known_answer() -> None:
    """The person's own new talk scores 1; a larger simulation is a benchmark."""
    covered = []
    for number in range(8):
        held_out = conversations(RITA, 25, 100 + number)
        found = compare_styles(
            StyleSamples(
                training=conversations(RITA, 60, 200 + number),
                held_out=held_out,
                contestants={
                    "herself": drawn(
                        held_out, turns_of(conversations(RITA, 80, 300 + number)), 1
                    )
                },
                others={"p1": conversations(YUN, 25, 400 + number)},
            ),
            rounds=60,
            subsamples=5,
            seed=number,
        )
        for measure in found.measures:
            if measure.separates:
                interval = measure.contestants[0].score_interval
                assert interval is not None
                low, high = interval
                covered.append(low <= 1 <= high)
    assert len(covered) > 40
    assert np.mean(covered) >= 0.9


def test_a_bystander_does_not_make_all_samples_small(samples: StyleSamples) -> None:
    """Everybody is cut to the smallest: then nothing separates in a real group."""
    usual = {"herself": samples.contestants["herself"]}
    alone = replace(samples, contestants=usual)
    bystander = {**samples.others, "p2": conversations(YUN, 40, 9)[:4]}
    found = compare_styles(replace(alone, others=bystander), rounds=5, subsamples=2)
    expected = compare_styles(alone, rounds=5, subsamples=2)
    for measure, before in zip(found.measures, expected.measures, strict=True):
        assert measure.units_each == before.units_each
        assert measure.floor_each.keys() == {"p1"}


def test_who_wrote_most_is_compared_however_little_it_is(samples: StyleSamples) -> None:
    usual = {"herself": samples.contestants["herself"]}
    talk = conversations(OSKAR, 40, 9)
    few = {"a": talk[:1], "b": talk[1:12]}
    found = compare_styles(
        replace(samples, contestants=usual, others=few), rounds=5, subsamples=2
    )
    assert all(list(measure.floor_each) == ["b"] for measure in found.measures)
