"""Headers from phones in all languages, and header-like lines."""

import time
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from babel import Locale, localedata
from babel.dates import format_date, format_time, get_datetime_format

from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
from langchain_chatexports.chat_loaders.whatsapp.headers import (
    parse_header,
    seconds_of_day,
)
from tests.unit_tests.builders.whatsapp import LRM, RLM

NNBSP, NBSP, THIN = "\u202f", "\u00a0", "\u2009"


class Headers(NamedTuple):
    """A phone's headers for 18 March 2022, 14:56:01, and for the next day."""

    first: str
    second: str
    has_seconds: bool = True


def ios(pattern: str, clock: str = "14:56:01", *, has_seconds: bool = True) -> Headers:
    """Replace `D` by the days 18 and 19, and `T` by the time."""
    first, second = (
        pattern.replace("D", day).replace("T", clock) for day in ("18", "19")
    )
    return Headers(first, second, has_seconds)


def android(pattern: str, clock: str = "14:56") -> Headers:
    return ios(f"{pattern} - ", clock, has_seconds=False)


MARCH = {
    "German": ios("[D.03.22, T] "),
    "English, month first": ios("[3/D/22, T] ", f"2:56:01{NNBSP}PM"),
    "Czech in the US region": ios("[3/D/22 T] "),
    "French": ios("[D/03/2022 T] "),
    "Finnish": ios("[D.3.2022 klo T] ", "14.56.01"),
    "Indonesian": ios("[D/03/22 T] ", "14.56.01"),
    "Hungarian": ios("[2022. 03. D. T] "),
    "Croatian": ios("[D. 03. 2022. T] "),
    "Slovenian": ios("[D. 3. 22, T] "),
    "Korean": ios("[2022. 3. D. 오후 2:56:01] "),
    "Korean, short year": ios("[22. 3. D. 오후 2:56:01] "),
    "Chinese": ios("[2022/3/D 下午2:56:01] "),
    "Japanese": ios("[2022/03/D T] "),
    "Japanese, 12 hours": ios("[2022/03/D 午後2:56:01] "),
    "Bulgarian": ios(f"[D.03.22{NNBSP}г., T] "),
    "Arabic": ios(f"[{RLM}D{RLM}/3{RLM}/2022، T] ", "2:56:01 م"),
    "marks everywhere": ios(
        f"[{RLM}D{LRM}/{RLM}03/{RLM}22{RLM}, {RLM}2{RLM}:{LRM}56:{RLM}01 {RLM}PM{RLM}] "
    ),
    "Arabic digits": ios(f"[{RLM}D{RLM}/٣{RLM}/٢٠٢٢، ٢:٥٦:٠١ م] "),
    "Persian digits": ios("[۲۰۲۲/۳/D،\u200f ۱۴:۵۶:۰۱] "),
    "Devanagari digits": ios("[D/३/२२, २:५६:०१ PM] "),
    "Vietnamese, time first": ios("[T, D/3/22] "),
    "Buddhist": ios("[3/D/2565 BE, T] "),
    "Buddhist, short year": ios("[D/3/65 T] "),
    "Reiwa": ios("[3/D/R4, T] "),
    "Reiwa in characters": ios("[令和4/3/D T] "),
    "Basque": ios("[22/3/D (T)] "),
    "Canadian French": ios("[2022-03-D T] ", "14 h 56 min 01 s"),
    "Spanish": ios("[D/3/22, T] ", "2:56:01 p. m."),
    "Swedish": ios("[2022-03-D T] ", "2:56:01 em"),
    "Spanish, words": ios("[D/3/22, T] ", "2:56:01 de la tarde"),
    "no-break space": ios("[3/D/22, T] ", f"2:56:01{NBSP}PM"),
    "thin space": ios("[3/D/22, T] ", f"2:56:01{THIN}PM"),
    "underscore": ios("[3/D/22, T] ", "2:56:01_PM"),
    "lower case": ios("[3/D/22, T] ", "2:56:01 pm"),
    "mark before the bracket": ios(f"{LRM}[D/03/2022, T] "),
    "Android, English": android("D/03/2022, T"),
    "Android, Czech": android("D.03.22 T"),
    "Android, Russian": android("D.03.2022, T"),
    "Android, 12 hours": android("3/D/22, T", f"2:56{NNBSP}PM"),
    "Android, Korean": android("22/03/D PM 2:56"),
    "Android, Wolof": android("D-03-2022 - T"),
    "Android, Canadian French": android("2022-03-D T", "14 h 56"),
    "Android, Turkish": android("D.03.2022 ÖS 2:56"),
    "Android, Greek": android("D/3/22, T", "2:56 μ.μ."),
    "Android, Taiwan": android("2022/3/D 下午2:56"),
    "Android, Ewe": android("D/3/22 ɣetrɔ ga 2:56"),
    "old iPhone": ios("D.03.22 T: ", "14.56.01"),
    "web": ios("[3/D/22, T] ", "2:56:01 PM"),
}


@pytest.mark.parametrize("headers", MARCH.values(), ids=MARCH.keys())
def test_header_is_read(headers: Headers, tmp_path: Path) -> None:
    path = tmp_path / "WhatsApp Chat with Ann.txt"
    text = f"{headers.first}Ann: Hi!\n{headers.second}Bob: Yes?\n"
    path.write_text(text, encoding="utf-8")
    (session,) = WhatsAppChatLoader(path, timezone="UTC").load()
    read = [
        (m.additional_kwargs["sender"], m.content, m.additional_kwargs["message_time"])
        for m in session["messages"]
    ]
    at = 1_647_615_360 + headers.has_seconds
    assert read == [("Ann", "Hi!", at), ("Bob", "Yes?", at + 86_400)]


# Latin has letters for the era, Dzongkha and Kako spaces and words between numbers.
_UNSUPPORTED = {"iphone": {"la", "kkj"}, "android": {"la", "kkj", "dz"}}
_AFTERNOON = datetime(2018, 6, 13, 15, 48, 59)  # noqa: DTZ001 - local


@pytest.mark.parametrize("phone", ["iphone", "android"])
def test_headers_of_all_cldr_locales_are_read(phone: str) -> None:
    names: dict[str, set[str]] = {}
    for name in localedata.locale_identifiers():
        names.setdefault(_line(Locale.parse(name), phone), set()).add(name)
    assert sum(map(len, names.values())) > 1000
    unread = set()
    for line, locales in names.items():
        layout = parse_header(line)
        found = layout and layout.pattern.match(line)
        if not layout or not found or line[found.end() :] != "Ann: Hi!":
            unread |= {name.partition("_")[0] for name in locales}
        else:
            clock = found.group("hour", "minute", "second", "marker")
            seconds = 59 if phone == "iphone" else 0
            assert seconds_of_day(*clock) == 15 * 3600 + 48 * 60 + seconds, line
    assert unread == _UNSUPPORTED[phone]


def _line(locale: Locale, phone: str) -> str:
    length = "medium" if phone == "iphone" else "short"
    day = format_date(_AFTERNOON, "short", locale=locale)
    clock = format_time(_AFTERNOON, length, locale=locale)
    pattern = str(get_datetime_format("short", locale)).replace("'", "")
    stamp = pattern.replace("{0}", clock).replace("{1}", day)
    return f"[{stamp}] Ann: Hi!" if phone == "iphone" else f"{stamp} - Ann: Hi!"


@pytest.mark.parametrize(
    "line",
    [
        "Call me at 030 123 45 67 - or 89 10: soon",
        "[12/5] 3 of 4 done: 5, 6",
        "2022-03-18: the race",
        "1, 2, 3, 4, 5 - once: I caught",
        "99/99/2022, 25:61 - Ann: Hi!",
        "18/03/2022, 25:10 - Ann: Hi!",
        "2022/03/2022, 14:56 - Ann: Hi!",
        "18/03/2022, 14:61 - Ann: Hi!",
        "[18/03/2022, 14:5:1] Ann: Hi!",
        "[" + "1" * 100,
        "",
    ],
)
def test_other_lines_are_not_headers(line: str) -> None:
    assert parse_header(line) is None


ANDROID_PASTE = "3/18/22, 10:00 - Bob: pasted"
ISO_PASTE = "2022-03-18, 10:00 - Cleo: pasted"


@pytest.mark.filterwarnings("ignore:.* layouts")
@pytest.mark.parametrize(
    ("pasted", "found"),
    [
        ([ANDROID_PASTE], 8),
        ([ANDROID_PASTE, ISO_PASTE], 8),
        # The majority, but not the first line: both layouts count.
        ([ANDROID_PASTE] * 100, 108),
        # Three layouts without a majority: a combined file.
        ([ANDROID_PASTE] * 7 + [ISO_PASTE] * 7, 22),
    ],
)
def test_most_frequent_layout_is_learned(
    tmp_path: Path, pasted: list[str], found: int
) -> None:
    own = [f"[{day:02}/03/2022, 10:00:00] Ann: Hi!" for day in range(21, 29)]
    path = tmp_path / "WhatsApp Chat with Ann.txt"
    path.write_text("\n".join([*own, *pasted]))
    assert WhatsAppChatLoader(path, timezone="UTC").inspect().found == found


@pytest.mark.parametrize(
    "line",
    [
        "[" + "1/" * 200_000,
        "1" * 400_000,
        f"[{LRM * 300_000}18/03/2022, 14:56:01] Ann: Hi!",
        "18/03/22, " + "a " * 200_000 + "- Ann: Hi!",
        " - " * 150_000,
    ],
    ids=["slashes", "digits", "marks", "words", "dashes"],
)
def test_long_lines_are_rejected_fast(line: str) -> None:
    layout = parse_header("18/03/22, 2:56 PM - Ann: Hi!")
    assert layout is not None
    pattern = layout.pattern
    start = time.process_time()
    for _ in range(100):
        parse_header(line)
        pattern.match(line)
    assert time.process_time() - start < 1


PM_WORDS = (
    *(" p. m.", "\u202fp.m.", "_pm", "ÖS", "Ö.S.", "م", "ب.ظ.", "μ.μ."),
    *("ip.", "odp.", "du.", "nm.", "PTG", "CH"),
)


@pytest.mark.parametrize(
    ("hour", "marker", "expected"),
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
        *((2, marker, 14) for marker in PM_WORDS),
        (2, "ap.", 2),
        (2, "dop.", 2),
        (14, "PM", 14),
        (24, "PM", None),
        (2, "o'clock", None),
    ],
)
def test_12_hour_clock_is_read(hour: int, marker: str, expected: int | None) -> None:
    seconds = seconds_of_day(str(hour), "00", "00", marker)
    assert seconds == (None if expected is None else expected * 3600)
