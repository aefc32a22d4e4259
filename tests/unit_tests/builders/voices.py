"""Synthetic people with habits of their own, easier to tell apart than real people."""

import random
from dataclasses import dataclass

_CLAUSES = (
    "i think the {n} is {a}",
    "do you want to see the {n}",
    "we could go to the {n} with {p}",
    "did you hear about {p}",
    "there is no {n} left",
    "i am going to the {n} after work",
    "that is what {p} said",
    "what about {p} and the {n}",
    "of course i will be there",
    "my {n} is {a} again",
    "let me know when you are at the {n}",
    "how was the {n}",
)
_WORDS = {
    "n": "garden kitchen train market movie office party ticket bike coffee dinner",
    "a": "funny late cold strange lovely tired noisy empty bright slow sweet",
    "p": "anna ben carla dave elif frank gina hugo",
}


@dataclass(frozen=True)
class Voice:
    """One person's habits."""

    name: str
    openers: tuple[str, ...]
    emoji: tuple[str, ...]
    end: str
    """What most messages end with."""

    is_proper: bool = False
    """Whether sentences begin with a capital, and words are spelled out."""

    more: float = 0.3
    """Chance of one more message in a row."""

    longer: float = 0.3
    """Chance of one more clause in a message."""


DISTINCT = (
    Voice("mia", ("omg", "haha", "ok so"), ("😂", "❤️", "🙈"), "!", more=0.45),
    Voice("oskar", ("well", "actually"), ("🙂",), ".", is_proper=True, longer=0.5),
    Voice("rita", ("hm", "right", "yeah"), (":)", ";)"), "...", is_proper=True),
    Voice("yun", ("k", "lol", "bro"), ("💀", "🔥"), "", more=0.6, longer=0.05),
)
"""Four people who are easy to tell apart."""


def conversations(
    voice: Voice, count: int, seed: int, *, mean_turns: int = 4
) -> list[list[str]]:
    """Create conversations as lists of turns, with empty lines between bubbles."""
    rng = random.Random(f"{voice.name} {seed}")
    return [
        [_turn(voice, rng) for _ in range(rng.randint(mean_turns - 2, mean_turns + 2))]
        for _ in range(count)
    ]


def _turn(voice: Voice, rng: random.Random) -> str:
    bubbles = [_bubble(voice, rng)]
    while rng.random() < voice.more and len(bubbles) < 6:
        bubbles.append(_bubble(voice, rng))
    return "\n\n".join(bubbles)


def _bubble(voice: Voice, rng: random.Random) -> str:
    text = _clause(rng)
    while rng.random() < voice.longer:
        text = f"{text} and {_clause(rng)}"
    if rng.random() < 0.4:
        text = f"{rng.choice(voice.openers)} {text}"
    if voice.is_proper:
        text = text[0].upper() + text[1:]
    else:
        text = text.replace("you", "u").replace("going to", "gonna")
    text += voice.end if rng.random() < 0.8 else ""
    return f"{text} {rng.choice(voice.emoji)}" if rng.random() < 0.3 else text


def _clause(rng: random.Random) -> str:
    words = {kind: rng.choice(listed.split()) for kind, listed in _WORDS.items()}
    return rng.choice(_CLAUSES).format(**words)
