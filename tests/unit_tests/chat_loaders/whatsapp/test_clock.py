"""The parts of a time in a header."""

from __future__ import annotations

import pytest

from langchain_chatexports.chat_loaders.whatsapp.clock import HourSeconds, PartSeconds
from langchain_chatexports.chat_loaders.whatsapp.day_periods import add_to_hour


@pytest.mark.parametrize(
    ("hour", "word", "expected"),
    [
        (12, "AM", 0),
        (12, "PM", 12),
        (1, "下午", 13),
        (12, "오후 ", 12),
        (12, "凌晨", 0),
        (12, "中午", 12),
        (7, "晚上", 19),
        (6, "清晨", 6),
        (8, "早上", 8),
        (2, " p. m.", 14),
        (2, "\u202fp.m.", 14),
        (2, "_pm", 14),
        (2, "ÖS", 14),
        (2, "Ö.S.", 14),
        (2, "م", 14),
        (2, "ب.ظ.", 14),
        (2, "μ.μ.", 14),
        (2, "ap.", 2),
        (2, "ip.", 14),
        (2, "dop.", 2),
        (2, "odp.", 14),
        (2, "du.", 14),
        (2, "nm.", 14),
        (2, "PTG", 14),
        (2, "CH", 14),
        (14, "PM", 14),
        (24, "PM", None),
        (2, "o'clock", None),
    ],
)
def test_words_of_the_12_hour_clock(hour: int, word: str, expected: int | None) -> None:
    assert add_to_hour(hour, word) == expected


def test_parts_of_a_time() -> None:
    hours, minutes = HourSeconds(has_period=False), PartSeconds(60)
    assert hours["23"] + minutes["59"] == 86_340
    assert hours["٩"] + minutes["٠٥"] == 9 * 3600 + 300
    assert hours["24"] == 0  # Some locales begin the day with it.
    assert hours["25"] + minutes["59"] < 0
    assert hours["0"] + minutes["60"] < 0
    assert HourSeconds(has_period=True)["2"] < 0
