"""Pure functions that compute metrics of a model's replies in a talk.

```python
from langchain_chatexports.evaluation.talk_measures import TalkReply, measure_talk

figures = measure_talk([TalkReply("Haha ok!")], language="English")
```

They use no model as a judge, and no metric contains text.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from statistics import fmean
from typing import TypeAlias

from langchain_chatexports._languages import detect_language
from langchain_chatexports.personas.repetition import repetitions, words

_BREAK = re.compile(r"\s*\n\s*")
_LOOP_TIMES = 3
_QUOTED_WORDS = 6
_COPIED_WORDS = 4
# Shorter messages are not specific to a person.
_REPEATED_WORDS = 3
_END_MARKS = (".", "!", "?", "…", "\u3002", "\uff01", "\uff1f")
# The markup of templates and prompts before a message.
_ROLE = re.compile(
    r"(?:^|\n)\s*(?:> |(?:user|assistant|system|human|ai|you|me)\s*:)"
    r"|<\|?(?:im_|user|assistant|system|end|eot_id|start_header_id)|\[/?INST\]",
    re.IGNORECASE,
)


Phrase: TypeAlias = tuple[str, ...]
"""Words in a row, in lower case."""


@dataclass(frozen=True)
class TalkReply:
    """A reply with its context."""

    text: str = field(repr=False)
    is_cut: bool = False
    prompt: str = field(default="", repr=False)
    """The system prompt of the talk, if any."""

    names: tuple[str, ...] = field(default=(), repr=False)
    """The names of other speakers."""

    before: tuple[str, ...] = field(default=(), repr=False)
    """The messages before the reply."""


@dataclass(frozen=True)
class TalkFigures:
    """Fractions of the replies, from 0 to 1, and mean message and reply lengths."""

    replies: int
    looping: float
    """Replies in which a phrase of three words or more occurs three times."""

    cut: float
    empty: float
    other_language: float | None
    """Replies in another language than the person's; `None` if it is unknown."""

    quoting: float
    """Replies that quote six words or more from the system prompt."""

    repeating: float
    """Replies of three words or more that repeat an earlier or trained message."""

    reused: float
    """Replies of three words or more that answer several messages."""

    copied: float | None
    """Four words in a row that are also in the training data, of all in the replies;
    `None` if there are none."""

    continuing: float
    """Replies that continue with another person's message."""

    distinct: float
    characters: float
    """Mean number of characters per message."""

    bubbles: float
    """Mean number of messages per reply."""

    several: float
    """Replies of several messages."""

    marks: float
    """Messages that end with a punctuation mark."""


def measure_talk(
    replies: Sequence[TalkReply],
    *,
    language: str | None = None,
    known: Collection[str] = frozenset(),
    trained: Collection[Phrase] = frozenset(),
) -> TalkFigures:
    """Compute quality problems and lengths of replies.

    Args:
        replies: The replies.
        language: The person's language; `None` if it is unknown.
        known: Messages from training or the prompt, as returned by
            `comparable_messages`.
        trained: Phrases from training, as returned by `find_phrases`.
    """

    def fraction(predicate: Callable[[TalkReply], bool]) -> float:
        return fmean(map(predicate, replies))

    messages_by_reply = [split_messages(reply.text) for reply in replies]
    messages = [*chain.from_iterable(messages_by_reply)]
    asked: dict[str, set[str]] = {}
    for reply in replies:
        last = reply.before[-1] if reply.before else ""
        asked.setdefault(_comparable(reply.text), set()).add(last)
    phrases = [p for reply in replies for p in find_phrases([reply.text])]
    return TalkFigures(
        replies=len(replies),
        looping=fraction(lambda reply: is_looping(reply.text)),
        cut=fraction(lambda reply: reply.is_cut),
        empty=fraction(lambda reply: not reply.text.strip()),
        other_language=None
        if language is None
        else fraction(lambda reply: is_in_other_language(reply.text, language)),
        quoting=fraction(lambda reply: is_quoting(reply.text, reply.prompt)),
        repeating=fraction(lambda reply: is_repeating(reply, known)),
        reused=fraction(
            lambda reply: (
                bool(comparable_messages([reply.text]))
                and len(asked[_comparable(reply.text)]) > 1
            )
        ),
        copied=fmean(p in trained for p in phrases) if phrases else None,
        continuing=fraction(lambda reply: is_continuing(reply.text, reply.names)),
        distinct=len(asked) / len(replies),
        characters=fmean(map(len, messages)),
        bubbles=fmean(map(len, messages_by_reply)),
        several=fmean(len(messages) > 1 for messages in messages_by_reply),
        marks=fmean(message.endswith(_END_MARKS) for message in messages),
    )


def split_messages(reply: str) -> list[str]:
    """Return the messages of a reply; an empty message for an empty reply."""
    lines = _BREAK.split(_compose(reply).strip())
    return [line for line in lines if line] or [""]


def _comparable(text: str) -> str:
    return " ".join(words(_compose(text))) or text.strip()


def _compose(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def is_looping(text: str) -> bool:
    """Return whether a phrase of three words or more occurs three times.

    A single repeated word, such as laughter, is not a loop.
    """
    return any(
        repetition.times >= _LOOP_TIMES for repetition in repetitions(_compose(text))
    )


def is_in_other_language(text: str, language: str) -> bool:
    """Return whether text is clearly in another language."""
    return detect_language(text) not in {None, language}


def is_quoting(text: str, prompt: str) -> bool:
    """Return whether text quotes six consecutive words of a system prompt."""
    quotes = find_phrases([text], _QUOTED_WORDS)
    return not quotes.isdisjoint(find_phrases([prompt], _QUOTED_WORDS))


def find_phrases(texts: Iterable[str], size: int = _COPIED_WORDS) -> set[Phrase]:
    """Return the phrases of a number of words in texts."""
    found: set[Phrase] = set()
    for text in texts:
        text_words = words(_compose(text))
        starts = range(len(text_words) - size + 1)
        found.update(tuple(text_words[start : start + size]) for start in starts)
    return found


def comparable_messages(texts: Iterable[str]) -> set[str]:
    """Split texts into messages, as lower-case words; skip short messages."""
    messages = (words(message) for text in texts for message in split_messages(text))
    return {
        " ".join(message) for message in messages if len(message) >= _REPEATED_WORDS
    }


def is_repeating(reply: TalkReply, known: Collection[str] = frozenset()) -> bool:
    """Return whether a reply repeats an earlier or a known message."""
    before = comparable_messages(reply.before)
    messages = comparable_messages([reply.text])
    return any(message in before or message in known for message in messages)


def is_continuing(text: str, names: Sequence[str] = ()) -> bool:
    """Return whether text continues with another person's message.

    A line does so if it begins with a speaker's name, a role, or prompt markup.
    """
    lines = split_messages(text)
    labels = tuple(f"{name.lower()}:" for name in names if name)
    has_label = any(line.lower().startswith(labels) for line in lines)
    return has_label or _ROLE.search(text) is not None
