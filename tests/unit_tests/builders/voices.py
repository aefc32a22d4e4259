"""Synthetic people with habits of their own, which drift between conversations.

Their talk is a grammar: easier to tell apart than that of real people.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

_FRAMES = (
    "i think the {n} is {a}",
    "do you want to see the {n}",
    "we could go to the {n} with {p}",
    "it was so {a} that i had to leave",
    "did you hear about {p}",
    "because the {n} was {a}",
    "there is no {n} left",
    "you should have told {p}",
    "i am going to the {n} after work",
    "can we talk about the {n}",
    "that is what {p} said",
    "maybe at the {n} if you like",
    "what about {p} and the {n}",
    "not really",
    "of course i will be there",
    "why would {p} do that",
    "my {n} is {a} again",
    "let me know when you are at the {n}",
    "this {n} makes me {a}",
    "how was the {n}",
    "nothing but {n} all day",
    "they never bring the {n}",
    "he said the {n} looks {a}",
    "all good here",
)
_NOUNS = """
garden kitchen train market movie office party ticket bike coffee dinner weather phone
bread window lesson river concert meeting holiday cake boat piano letter
"""
_ADJECTIVES = """
funny late cold strange lovely tired noisy empty bright slow sweet
"""
_PEOPLE = """
anna ben carla dave elif frank gina hugo
"""
_SPELLINGS = {
    "you": "u",
    "because": "cuz",
    "going to": "gonna",
    "want to": "wanna",
    "i am": "i'm",
    "that is": "that's",
    "is ": "iz ",
}


@dataclass(frozen=True)
class Voice:
    """One person's habits, as chances."""

    name: str
    openers: tuple[str, ...] = ("well", "so", "and")
    opener: float = 0.5
    emoji: tuple[str, ...] = ("🙂",)
    emoji_rate: float = 0.2
    period: float = 0.2
    bang: float = 0.1
    dots: float = 0.1
    capital: float = 0.5
    comma: float = 0.2
    stretch: float = 0.0
    shout: float = 0.0
    spellings: tuple[str, ...] = ()
    more: float = 0.3
    """Chance of one more message in a row."""

    longer: float = 0.3
    """Chance of one more clause in a message."""

    taste: int = 0
    """Which frames are liked."""


DISTINCT = (
    Voice(
        "mia",
        openers=("omg", "haha", "ok so"),
        opener=0.6,
        emoji=("😂", "❤️", "🙈"),
        emoji_rate=0.35,
        bang=0.3,
        period=0.02,
        capital=0.05,
        stretch=0.2,
        spellings=("you", "going to", "want to"),
        more=0.45,
        longer=0.2,
        taste=1,
    ),
    Voice(
        "oskar",
        openers=("well", "actually", "indeed"),
        opener=0.4,
        emoji_rate=0.02,
        period=0.85,
        capital=0.95,
        comma=0.5,
        more=0.05,
        longer=0.55,
        taste=2,
    ),
    Voice(
        "rita",
        openers=("hm", "right", "yeah"),
        emoji=(":)", ";)"),
        emoji_rate=0.3,
        dots=0.5,
        period=0.1,
        capital=0.6,
        spellings=("i am", "that is"),
        more=0.25,
        longer=0.35,
        taste=3,
    ),
    Voice(
        "yun",
        openers=("k", "lol", "bro"),
        opener=0.45,
        emoji=("💀", "🔥"),
        emoji_rate=0.15,
        period=0.0,
        bang=0.05,
        capital=0.0,
        shout=0.12,
        spellings=("you", "because", "going to"),
        more=0.6,
        longer=0.05,
        taste=4,
    ),
)
"""Four people whom everybody tells apart."""


def conversations(
    voice: Voice, count: int, seed: int, *, mean_turns: int = 4
) -> list[list[str]]:
    """Make conversations: a list of turns each, their bubbles parted by empty lines."""
    rng = random.Random(f"{voice.name} {seed}")
    liked = _taste(voice)
    made = []
    for _ in range(count):
        today = _drifted(voice, rng)
        turns = rng.randint(max(1, mean_turns - 2), mean_turns + 2)
        made.append([_turn(today, liked, rng) for _ in range(turns)])
    return made


def _taste(voice: Voice) -> list[float]:
    rng = random.Random(voice.taste)
    return [rng.expovariate(1.0) + 0.05 for _ in _FRAMES]


def _drifted(voice: Voice, rng: random.Random) -> Voice:
    def drift(chance: float) -> float:
        return min(0.9, chance * rng.lognormvariate(0, 0.35))

    names = (
        "opener",
        "emoji_rate",
        "period",
        "bang",
        "dots",
        "comma",
        "more",
        "longer",
    )
    changes: Any = {name: drift(getattr(voice, name)) for name in names}
    return replace(voice, **changes)


def _turn(voice: Voice, liked: list[float], rng: random.Random) -> str:
    found = [_bubble(voice, liked, rng)]
    while rng.random() < voice.more and len(found) < 6:
        found.append(_bubble(voice, liked, rng))
    if rng.random() < voice.opener:
        opener = rng.choice(voice.openers)
        first = found[0]
        if found[0][:1].isupper():
            opener, first = opener.capitalize(), found[0][0].lower() + found[0][1:]
        found[0] = f"{opener} {first}"
    return "\n\n".join(found)


def _bubble(voice: Voice, liked: list[float], rng: random.Random) -> str:
    text = _clause(voice, liked, rng)
    while rng.random() < voice.longer:
        joint = ", " if rng.random() < voice.comma else " and "
        text += joint + _clause(voice, liked, rng)
    if rng.random() < voice.capital:
        text = text[0].upper() + text[1:]
    if rng.random() < voice.shout:
        text = text.upper()
    if rng.random() < voice.stretch:
        text += text[-1] * 3
    if rng.random() < voice.dots:
        text += "..."
    elif rng.random() < voice.period:
        text += "."
    elif rng.random() < voice.bang:
        text += "!" * rng.randint(1, 3)
    if rng.random() < voice.emoji_rate:
        text += " " + rng.choice(voice.emoji)
    return text


def _clause(voice: Voice, liked: list[float], rng: random.Random) -> str:
    (frame,) = rng.choices(_FRAMES, liked)
    text = frame.format(
        n=_word(_NOUNS, rng), a=_word(_ADJECTIVES, rng), p=_word(_PEOPLE, rng)
    )
    for plain in voice.spellings:
        text = text.replace(plain, _SPELLINGS[plain])
    return text


def _word(words: str, rng: random.Random) -> str:
    return rng.choice(words.split())
