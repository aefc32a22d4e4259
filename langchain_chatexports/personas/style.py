"""A description of a person's style, in plain sentences, from their messages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median, quantiles

from langchain_chatexports.personas.repetition import is_unspaced, words

_MIN_MESSAGES = 10
_SIGN = "[\u2600-\u27bf\U0001f300-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]*"
# A flag is a pair of letters; other emoji can have a skin tone, and be joined.
_EMOJI = re.compile(f"[\U0001f1e6-\U0001f1ff]{{2}}|{_SIGN}(?:\u200d{_SIGN})*")
_MARKS = {
    "a period": re.compile(r"(?<!\.)[.\u3002\u0964]\s*\Z"),
    "an exclamation mark": re.compile(r"[!\uff01]\s*\Z"),
    "three dots": re.compile(r"(?:\.\.|\u2026)\s*\Z"),
}
_OFTEN, _RARELY, _NEARLY_NEVER = 0.5, 0.1, 0.02
_NEARLY_ALWAYS = 0.8
_MAX_EMOJIS = 3


def style_card(texts: Iterable[str]) -> str | None:
    """Return a description of a person's style, for a prompt.

    For example "You write about 5 words, seldom more than 14. You begin without a
    capital letter." It has only what is unusual.

    Args:
        texts: The person's texts; each line counts as a message.

    Returns:
        The sentences; `None` for fewer than ten messages, which are too few.
    """
    turns = [text for text in map(str.strip, texts) if text]
    lines = [one for text in turns for one in map(str.strip, text.splitlines()) if one]
    if len(lines) < _MIN_MESSAGES:
        return None
    return " ".join(_sentences(turns, lines))


def _sentences(turns: Sequence[str], lines: Sequence[str]) -> Iterator[str]:
    sizes = [len(words(line)) for line in lines]
    long = round(quantiles(sizes, n=10)[-1])
    typical = max(1, round(median(sizes)))
    unit = "character" if is_unspaced("\n".join(lines)) else "word"
    yield (
        f"You write about {typical} {unit}{'s' if typical > 1 else ''} in a message, "
        f"seldom more than {max(long, typical)}."
    )
    if _share(turns, lambda text: len(text.splitlines()) > 1) >= _OFTEN:
        yield "You often send several messages in a row, each on a line of its own."
    yield from _capitals(lines)
    yield from _endings(lines)
    yield from _emojis(lines)


def _capitals(lines: Sequence[str]) -> Iterator[str]:
    cased = [line for line in lines if line[0].lower() != line[0].upper()]
    if len(cased) < _MIN_MESSAGES:
        return
    share = _share(cased, lambda line: line[0].isupper())
    if share <= 1 - _NEARLY_ALWAYS:
        yield "You begin without a capital letter."
    elif share >= _NEARLY_ALWAYS:
        yield "You begin with a capital letter."


def _endings(lines: Sequence[str]) -> Iterator[str]:
    often, never = [], []
    for name, pattern in _MARKS.items():
        share = _share(lines, pattern.search)
        if share >= 1 - _NEARLY_ALWAYS:
            often.append(name)
        elif share <= _NEARLY_NEVER:
            never.append(name)
    if often:
        yield f"You often end with {' or '.join(often)}."
    if never:
        yield f"You almost never end with {' or '.join(never)}."


def _emojis(lines: Sequence[str]) -> Iterator[str]:
    share = _share(lines, _EMOJI.search)
    if share <= _NEARLY_NEVER:
        yield "You use almost no emoji."
        return
    found = Counter(sign for line in lines for sign in _EMOJI.findall(line))
    usual = " ".join(sign for sign, _ in found.most_common(_MAX_EMOJIS))
    how_often = "rarely" if share <= _RARELY else "now and then"
    how_often = "often" if share >= _OFTEN else how_often
    yield f"You use emoji {how_often}, mostly {usual}."


def _share(items: Sequence[str], fits: Callable[[str], object]) -> float:
    return sum(bool(fits(item)) for item in items) / len(items)
