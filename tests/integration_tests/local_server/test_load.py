"""Everything at once for some seconds; ten minutes are a benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.server_load import JUDGED_FOR, TOKENS, Load, Sample, growth

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.training
@pytest.mark.release
def test_chats_jobs_cancels_and_a_kill_at_once_lose_nothing(
    tiny_base: Path, tmp_path: Path
) -> None:
    load = Load(
        tiny_base,
        tmp_path / "data",
        seconds=10,
        chats=3,
        times_started=2,
        waiting_jobs=2,
    )
    load.run()
    assert not load.wrong
    assert load.counts["server killed"] == 1
    assert load.counts["jobs succeeded in the end"]


@pytest.mark.parametrize(
    ("late", "words"),
    [
        (Sample(200_000_000, 12), "memory"),
        (Sample(100_000_000, 40), "open files"),
    ],
)
def test_what_grows_in_a_life_is_told(late: Sample, words: str) -> None:
    early = [Sample(100_000_000, 12)] * JUDGED_FOR
    assert growth(early + early) == []
    (told,) = growth(early + [late] * JUDGED_FOR)
    assert words in told


@pytest.mark.parametrize(
    ("text", "end", "tokens"),
    [
        ("other", "length", TOKENS),
        ("said", "length", TOKENS - 1),
        ("said", "stop", TOKENS),
        ("said", None, 3),
        ("said", "stop", None),
        ("said", "stop", 0),
    ],
)
def test_an_answer_that_cannot_be_is_told(
    tiny_base: Path, tmp_path: Path, text: str, end: Any, tokens: Any
) -> None:
    load = Load(tiny_base, tmp_path / "data", seconds=1)
    asked = {"model": "tiny", "temperature": 0}
    load._check_answer(asked, 0, "said", "length", TOKENS)
    assert not load.wrong
    load._check_answer(asked, 0, text, end, tokens)
    assert load.wrong
