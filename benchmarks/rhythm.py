"""Measure on held-out time whether it is known when a person answers in a group.

`python -m benchmarks.rhythm FOLDER` reads clones in FOLDER of four public archives:
marler8997/zig-irc-logs, fluid-project/fluid-irc-logs,
Raku/IRC-logs and selendroid/irc-logs (as `selendroid-irc-logs`). It adds an invented
pair, of which Ada's true probabilities are known and Ben's answers depend on nothing.
The last fifth of each person's time is held out.
"""

from __future__ import annotations

import argparse
import math
import random
import re
import time
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.messages import BaseMessage, HumanMessage

from benchmarks.published_chats import Line, most_active_senders
from langchain_chatexports.personas.occasions import iter_occasions, iter_turns
from langchain_chatexports.personas.rhythm import ReplyRhythm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_chatexports.personas.occasions import Occasion

_DAY, _HOUR = 86_400.0, 3_600.0
_OWN_SHARE = 9  # The index of the feature.
_MIN_MESSAGES = 150
_MIN_OCCASIONS = 500
_BINS = 10
_AWAY = re.compile(r"(\|.*|_+)$")
_CHANNELS = {
    "zig": ("zig-irc-logs/*/*.txt", r"^(\d{10})\n(.+)\n(.+)$"),
    "fluid-work": (
        "fluid-irc-logs/botbot.me/fluid-work/*/*.log",
        r"^(?:b')?(\d{4}-\S+) <([^>]+)> (.*)$",
    ),
    "moarvm": ("IRC-logs/moarvm/*/*", r"^\[(\d\d:\d\d)\] <([^>]+)> (.*)$"),
    "raku-dev": ("IRC-logs/raku-dev/*/*", r"^\[(\d\d:\d\d)\] <([^>]+)> (.*)$"),
    "selendroid": (
        "selendroid-irc-logs/*/*/*.txt",
        r"^\[([-\d]+ [:\d]+)\] (\S+): (.*)$",
    ),
}
"""The files of each channel, and how a message has its time, sender and text."""


class Result(NamedTuple):
    """How well one person's answers are predicted."""

    name: str
    occasions: int
    replies: int
    skill: float
    skill_in_talk: float
    calibration_error: float
    fit_seconds: float
    """CPU seconds per 100,000 messages."""


def main() -> None:
    """Print a table of people, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, default=4, help="per channel")
    arguments = parser.parse_args()
    results = []
    print("| person | occasions (replies) | skill | in talk | calibration | fit |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, messages, person in _published(arguments.folder, arguments.people):
        result = _measure(name, messages, person)
        if result and result.occasions > _MIN_OCCASIONS:
            results.append(result)
            _print(result)
    for label, values in (
        ("skill", [r.skill for r in results]),
        ("skill in talk", [r.skill_in_talk for r in results]),
        ("calibration error", [r.calibration_error for r in results]),
    ):
        if values:
            print(f"median {label}: {median(values):.3f}")
    _measure_invented()


def _published(folder: Path, people: int) -> Iterator[tuple[str, list[Any], str]]:
    for channel, (pattern, form) in _CHANNELS.items():
        lines = [each for path in folder.glob(pattern) for each in _read(path, form)]
        messages = [
            _message(each.sender, float(each.time), each.text) for each in lines
        ]
        messages.sort(key=_time)
        for number, person in enumerate(most_active_senders(lines, people)):
            if sum(each.sender == person for each in lines) >= _MIN_MESSAGES:
                yield f"{channel} {number + 1}", messages, person


def _read(path: Path, form: str) -> Iterator[Line]:
    """Yield the messages of a day's file, which may name the day."""
    for found in re.finditer(form, path.read_text("utf-8", "replace"), re.MULTILINE):
        moment, nick, text = found.groups()
        if not moment.isdecimal():
            day = "" if "-" in moment else f"{path.name} "
            moment = str(datetime.fromisoformat(f"{day}{moment}Z").timestamp())
        # `nick_` and `nick|away` are the same person.
        yield Line(path.parent.name, _AWAY.sub("", nick) or nick, moment, text)


def _message(sender: str, moment: float, text: str) -> BaseMessage:
    keys = {"sender": sender, "message_time": moment}
    return HumanMessage(text, additional_kwargs=keys)


def _time(message: BaseMessage) -> float:
    return float(message.additional_kwargs["message_time"])


def _measure(name: str, messages: list[BaseMessage], person: str) -> Result | None:
    """Fit on four fifths of the time in which the person was there."""
    own = [i for i, m in enumerate(messages) if m.additional_kwargs["sender"] == person]
    messages = sorted(messages[own[0] : own[-1] + 1], key=_time)
    cut = _time(messages[int(0.8 * len(messages))])
    train = [message for message in messages if _time(message) < cut]
    started = time.process_time()
    rhythm = ReplyRhythm.fit([{"messages": train}], person)
    seconds = (time.process_time() - started) / len(train) * 1e5
    turns = [*iter_turns(messages, person, rhythm.gap)]
    found = [
        occasion
        for occasion in iter_occasions(turns, rhythm.rate, rhythm.hours)
        if occasion.time >= cut
    ]
    if not found:
        return None
    in_talk = [occasion for occasion in found if occasion.features[_OWN_SHARE] > 0]
    return Result(
        name,
        len(found),
        sum(occasion.reply for occasion in found),
        _skill(rhythm, found, rhythm.rate),
        _skill(rhythm, in_talk, _rate_in_talk(rhythm, train, person)),
        _calibration_error(rhythm, found),
        seconds,
    )


def _rate_in_talk(
    rhythm: ReplyRhythm, messages: list[BaseMessage], person: str
) -> float:
    turns = [*iter_turns(messages, person, rhythm.gap)]
    found = iter_occasions(turns, rhythm.rate, rhythm.hours)
    replies = [o.reply for o in found if o.features[_OWN_SHARE] > 0]
    return (sum(replies) + 1) / (len(replies) + 2)


def _bits(probability: float, *, reply: bool) -> float:
    return -math.log2(probability if reply else 1 - probability)


def _skill(rhythm: ReplyRhythm, occasions: list[Occasion], rate: float) -> float:
    base = sum(_bits(rate, reply=o.reply) for o in occasions)
    own = sum(_bits(rhythm.predict(o), reply=o.reply) for o in occasions)
    return 1 - own / base if base else 0.0


def _calibration_error(rhythm: ReplyRhythm, occasions: list[Occasion]) -> float:
    """Return the mean distance of predicted and true shares of replies, by decile."""
    found = [(rhythm.predict(o), o.reply) for o in occasions]
    pairs = sorted(found, key=itemgetter(0))
    size = math.ceil(len(pairs) / _BINS)
    bins = [pairs[i : i + size] for i in range(0, len(pairs), size)]
    errors = (abs(sum(p - y for p, y in part)) for part in bins)
    return sum(errors) / len(pairs)


def _print(result: Result) -> None:
    print(
        f"| {result.name} | {result.occasions:,} ({result.replies:,}) "
        f"| {result.skill:.1%} | {result.skill_in_talk:.1%} "
        f"| {result.calibration_error:.3f} | {result.fit_seconds:.1f} s |",
        flush=True,
    )


def _measure_invented() -> None:
    messages, truth = invent()
    for person in ("Ada", "Ben"):
        if result := _measure(person, messages, person):
            _print(result)
    cut = _time(messages[int(0.8 * len(messages))])
    rhythm = ReplyRhythm.fit(
        [{"messages": [m for m in messages if _time(m) < cut]}], "Ada"
    )
    turns = [*iter_turns(messages, "Ada", rhythm.gap)]
    later = [
        occasion
        for occasion in iter_occasions(turns, rhythm.rate, rhythm.hours)
        if occasion.time >= cut and round(occasion.time, 3) in truth
    ]
    known = sum(_bits(truth[round(o.time, 3)], reply=o.reply) for o in later)
    own = sum(_bits(rhythm.predict(o), reply=o.reply) for o in later)
    print(f"Ada: {(own - known) / len(later):.3f} bits more than the truth")
    started = time.process_time()
    for _ in range(1000):
        rhythm.decide(messages[:20], _time(messages[19]) + 5, "Ada")
    print(f"decide: {time.process_time() - started:.2f} ms")


def invent(  # noqa: C901 - two people who take turns.
    days: int = 800,
) -> tuple[list[BaseMessage], dict[float, float]]:
    """Return a chat of Ada and Ben, and Ada's probabilities by time."""
    rng = random.Random(0)
    messages: list[BaseMessage] = []
    truth: dict[float, float] = {}

    def awake(moment: float) -> float:
        hour = moment % _DAY / _HOUR
        return 1.0 if 8 <= hour < 23.5 else 0.35 if hour >= 7 else 0.02  # noqa: PLR2004

    def write(sender: str, moment: float, asks: bool, count: int) -> float:
        for number in range(count):
            moment += 2 + rng.expovariate(1 / 12) if number else 0
            ending = "?" if asks and number == count - 1 else "."
            text = "hi there " + "x" * rng.randrange(40) + ending
            messages.append(_message(sender, moment, text))
        return moment

    def count_bubbles(p: float) -> int:
        return 1 + int(math.log(rng.random()) / math.log(1 - p))

    now = 1.6e9 // _DAY * _DAY
    end = now + days * _DAY
    while now < end:
        now += rng.expovariate(2.2 / _DAY)
        if rng.random() > awake(now):
            continue
        takes_part, unanswered = False, 0
        asks = rng.random() < 0.35  # noqa: PLR2004
        now = write("Ben", now, asks, count_bubbles(0.6))
        while True:
            z = -0.2 + 1.1 * asks + 2 * takes_part - 0.8 * unanswered
            z += 1.2 * math.log(awake(now))
            truth[round(now, 3)] = 1 / (1 + math.exp(-z))
            unanswered += 1
            if rng.random() > truth[round(now, 3)]:
                if rng.random() < 0.3:  # noqa: PLR2004 - Ben asks again.
                    asks = rng.random() < 0.5  # noqa: PLR2004
                    now = write("Ben", now + rng.uniform(300, 1500), asks, 1)
                    continue
                break
            delay = min(1700, (25 if takes_part else 150) * rng.lognormvariate(0, 0.9))
            now = write("Ada", now + delay, False, count_bubbles(0.42))
            takes_part, unanswered = True, 0
            if rng.random() > 0.72:  # noqa: PLR2004 - Ben does not answer.
                break
            asks = rng.random() < 0.35  # noqa: PLR2004
            delay = 40 * rng.lognormvariate(0, 1)
            now = write("Ben", now + delay, asks, count_bubbles(0.6))
    return messages, truth


if __name__ == "__main__":
    main()
