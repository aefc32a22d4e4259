"""Measures of a model's replies in a talk, as pure functions.

```python
from langchain_chatexports.evaluation.talk_measures import TalkReply, measure_talk

figures = measure_talk([TalkReply("Haha ok!")], language="English")
```

No model judges another one, and no figure contains text.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from langchain_chatexports._languages import language_of
from langchain_chatexports.personas.repetition import repetitions, words

_BREAK = re.compile(r"\s*\n\s*")
_TIMES = 3
_QUOTED_WORDS = 6
# Shorter messages are not specific to a person.
_REPEATED_WORDS = 3
_END_MARKS = (".", "!", "?", "…", "\u3002", "\uff01", "\uff1f")
# The markup of templates and prompts before a message.
_ROLE = re.compile(
    r"(?:^|\n)\s*(?:> |(?:user|assistant|system|human|ai|you|me)\s*:)"
    r"|<\|?(?:im_|user|assistant|system|end|eot_id|start_header_id)|\[/?INST\]",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TalkReply:
    """A reply with its context."""

    text: str = field(repr=False)
    is_cut: bool = False
    prompt: str = field(default="", repr=False)
    """The system prompt before the talk, if there was one."""

    names: tuple[str, ...] = field(default=(), repr=False)
    before: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class TalkFigures:
    """Shares of the replies, from 0 to 1, and mean sizes of messages and replies."""

    replies: int
    looping: float
    """Replies in which a phrase of three words or more occurs three times."""

    cut: float
    empty: float
    other_language: float | None
    """Replies in another language than the person's; `None` if it is not known."""

    quoting: float
    """Replies with six words or more of the system prompt."""

    repeating: float
    """Replies with a message of three words or more that copies an earlier or known
    one."""

    continuing: float
    """Replies that continue with another person's message."""

    distinct: float
    characters: float
    bubbles: float
    marks: float
    """Messages that end with a mark such as a period."""


def measure_talk(
    replies: Sequence[TalkReply],
    *,
    language: str | None = None,
    known: Collection[str] = frozenset(),
) -> TalkFigures:
    """Measure faults and lengths of replies.

    Args:
        replies: The replies.
        language: The person's language.
        known: Messages of its training or prompt, as returned by `messages_in`.
    """

    def share(holds: Callable[[TalkReply], bool]) -> float:
        return fmean(map(holds, replies))

    parts = [bubbles(reply.text) for reply in replies]
    every = [bubble for bubble_list in parts for bubble in bubble_list]
    same = {
        " ".join(words(_composed(reply.text))) or reply.text.strip()
        for reply in replies
    }
    return TalkFigures(
        replies=len(replies),
        looping=share(lambda reply: is_looping(reply.text)),
        cut=share(lambda reply: reply.is_cut),
        empty=share(lambda reply: not reply.text.strip()),
        other_language=None
        if language is None
        else share(lambda reply: is_in_other_language(reply.text, language)),
        quoting=share(lambda reply: is_quoting(reply.text, reply.prompt)),
        repeating=share(lambda reply: is_repeating(reply, known)),
        continuing=share(lambda reply: is_continuing(reply.text, reply.names)),
        distinct=len(same) / len(replies),
        characters=fmean(map(len, every)),
        bubbles=fmean(map(len, parts)),
        marks=fmean(bubble.endswith(_END_MARKS) for bubble in every),
    )


def bubbles(reply: str) -> list[str]:
    """Return the single messages of a reply; one empty one for an empty reply."""
    lines = _BREAK.split(_composed(reply).strip())
    return [line for line in lines if line] or [""]


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def is_looping(text: str) -> bool:
    """Return whether a phrase of three words or more occurs three times.

    A single repeated word, such as laughter, is not a loop.
    """
    return any(found.times >= _TIMES for found in repetitions(_composed(text)))


def is_in_other_language(text: str, language: str) -> bool:
    """Return whether a text is clearly in another language."""
    return language_of(text) not in {None, language}


def is_quoting(text: str, prompt: str) -> bool:
    """Return whether six words in a row of a system prompt are in a text."""
    spoken, asked = words(_composed(text)), words(_composed(prompt))
    known = {
        tuple(asked[at : at + _QUOTED_WORDS])
        for at in range(len(asked) - _QUOTED_WORDS + 1)
    }
    return any(
        tuple(spoken[at : at + _QUOTED_WORDS]) in known
        for at in range(len(spoken) - _QUOTED_WORDS + 1)
    )


def messages_in(texts: Iterable[str]) -> set[str]:
    """Return the single messages of texts in comparable form, without short ones."""
    spoken = (words(bubble) for text in texts for bubble in bubbles(text))
    return {" ".join(one) for one in spoken if len(one) >= _REPEATED_WORDS}


def is_repeating(reply: TalkReply, known: Collection[str] = frozenset()) -> bool:
    """Return whether a reply repeats an earlier or a known message."""
    before = messages_in(reply.before)
    return any(one in before or one in known for one in messages_in([reply.text]))


def is_continuing(text: str, names: Sequence[str] = ()) -> bool:
    """Return whether a text continues with another person's message.

    Such a text has a line that begins with a speaker's name, a role, or the markup of
    prompts.
    """
    lines = bubbles(text)
    labels = tuple(f"{name.lower()}:" for name in names if name)
    has_label = any(line.lower().startswith(labels) for line in lines)
    return has_label or _ROLE.search(text) is not None
