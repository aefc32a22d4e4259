"""A description of a person's style, in plain sentences, from their messages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median, quantiles

from langchain_chatexports.personas.repetition import is_unspaced, words

_MIN_MESSAGES = 10
_PICTOGRAPH = "[\u2600-\u27bf\U0001f300-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]*"
# A flag is a pair of letters; other emoji can have skin tones and be joined.
_EMOJI = re.compile(
    f"[\U0001f1e6-\U0001f1ff]{{2}}|{_PICTOGRAPH}(?:\u200d{_PICTOGRAPH})*"
)
_ENDINGS = {
    "a period": re.compile(r"(?<!\.)[.\u3002\u0964]\s*\Z"),
    "an exclamation mark": re.compile(r"[!\uff01]\s*\Z"),
    "three dots": re.compile(r"(?:\.\.|\u2026)\s*\Z"),
}
_OFTEN, _RARELY, _NEARLY_NEVER = 0.5, 0.1, 0.02
_NEARLY_ALWAYS = 0.8
_MAX_EMOJIS = 3


def style_card(texts: Iterable[str]) -> str | None:
    """Describe a person's style in sentences for a prompt.

    For example "You write about 5 words in a message, seldom more than 14. You begin
    without a capital letter." Except for lengths, it only mentions unusual habits.

    Args:
        texts: The person's messages; each line counts as one.

    Returns:
        The description; `None` for fewer than ten messages.
    """
    turns = [text for text in map(str.strip, texts) if text]
    stripped = (line.strip() for text in turns for line in text.splitlines())
    lines = [line for line in stripped if line]
    if len(lines) < _MIN_MESSAGES:
        return None
    return " ".join(_sentences(turns, lines))


def _sentences(turns: Sequence[str], lines: Sequence[str]) -> Iterator[str]:
    sizes = [len(words(line)) for line in lines]
    percentile_90 = round(quantiles(sizes, n=10)[-1])
    typical = max(1, round(median(sizes)))
    unit = "character" if is_unspaced("\n".join(lines)) else "word"
    yield (
        f"You write about {typical} {unit}{'s' if typical > 1 else ''} in a message, "
        f"seldom more than {max(percentile_90, typical)}."
    )
    if _fraction(turns, lambda text: len(text.splitlines()) > 1) >= _OFTEN:
        yield "You often send several messages in a row, each on a line of its own."
    yield from _capitals(lines)
    yield from _endings(lines)
    yield from _emojis(lines)


def _capitals(lines: Sequence[str]) -> Iterator[str]:
    cased = [line for line in lines if line[0].lower() != line[0].upper()]
    if len(cased) < _MIN_MESSAGES:
        return
    fraction = _fraction(cased, lambda line: line[0].isupper())
    if fraction <= 1 - _NEARLY_ALWAYS:
        yield "You begin without a capital letter."
    elif fraction >= _NEARLY_ALWAYS:
        yield "You begin with a capital letter."


def _endings(lines: Sequence[str]) -> Iterator[str]:
    often, never = [], []
    for name, pattern in _ENDINGS.items():
        fraction = _fraction(lines, pattern.search)
        if fraction >= 1 - _NEARLY_ALWAYS:
            often.append(name)
        elif fraction <= _NEARLY_NEVER:
            never.append(name)
    if often:
        yield f"You often end with {' or '.join(often)}."
    if never:
        yield f"You almost never end with {' or '.join(never)}."


def _emojis(lines: Sequence[str]) -> Iterator[str]:
    fraction = _fraction(lines, _EMOJI.search)
    if fraction <= _NEARLY_NEVER:
        yield "You use almost no emoji."
        return
    counts = Counter(emoji for line in lines for emoji in _EMOJI.findall(line))
    usual = " ".join(emoji for emoji, _ in counts.most_common(_MAX_EMOJIS))
    frequency = "rarely" if fraction <= _RARELY else "now and then"
    frequency = "often" if fraction >= _OFTEN else frequency
    yield f"You use emoji {frequency}, mostly {usual}."


def _fraction(items: Sequence[str], predicate: Callable[[str], object]) -> float:
    return sum(bool(predicate(item)) for item in items) / len(items)
