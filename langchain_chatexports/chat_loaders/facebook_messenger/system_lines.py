"""Sentences that Messenger wrote, not a person.

Since February 2023 most of these lines carry no sign but their sentence, in the
account's language and with first names or nicknames. A sentence is matched as a whole,
and where people write such sentences themselves, only with a name that fits.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports.chat_loaders.base import UNKNOWN_SENDER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

__all__ = ["LineReader", "SystemLine", "is_by_owner"]


class SystemLine(NamedTuple):
    """What a system line is."""

    kind: str
    """`attachment`, `reaction`, `call`, `members`, `look`, `status`, `poll`, `game`, or
    `pattern` for the user's own."""

    language: str
    """ISO 639-1 code of the sentence's language; empty for the user's own patterns."""


# Placeholders: {A} the person who did it: the sender's name, "You", a nickname that the
# chat has set, in a group any nickname. {P} anybody's name in the chat. {Y} a name or
# nickname, not checked beyond "no pronoun" where it begins the sentence. {N} any text,
# {R} any rest, {E} an emoji, {D} a number.
_TEMPLATES: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "attachment": (
            "{Y} sent an attachment.",
            "{Y} sent a link.",
            "{Y} sent a location.",
            "{Y} sent a live location.",
        ),
        "reaction": (
            "Reacted {E} to your message",
            "{Y} reacted {E} to your message",
            "Liked a message",
        ),
        "call": (
            "You called {Y}.",
            "{P} called you.",
            "You missed a call from {Y}.",
            "{P} missed your call.",
            "You missed a video chat with {Y}.",
            "You missed a video call with {Y}.",
            "{P} missed your video chat.",
            "The video chat ended.",
            "The video call ended.",
            "{A} started a call.",
            "{A} started a video chat.",
            "{A} joined the call.",
            "{A} joined the video chat.",
            "{A} started sharing video.",
            "You and {Y} can now see each other.",
        ),
        "members": (
            "{A} added {Y} to the group.",
            "{A} added participants.",
            "{A} removed {Y} from the group.",
            "{A} left the group.",
            "{A} created the group.",
            "{P} is now an admin.",
            "{A} removed {Y} as an admin.",
            "{Y} turned on member approval{R}",
        ),
        "look": (
            "{Y} named the group {N}.",
            "{Y} removed the group name.",
            "{Y} changed the group photo.",
            "{Y} changed the theme to {N}.",
            "{Y} changed the chat theme.",
            "{Y} set the emoji to {E}.",
            "{Y} set the quick reaction to {E}.",
            "{Y} set the nickname for {Y} to {nickname}.",
            "{Y} set your nickname to {nickname}.",
            "{Y} set his own nickname to {nickname}.",
            "{Y} set her own nickname to {nickname}.",
            "{Y} set their own nickname to {nickname}.",
            "{Y} cleared the nickname for {Y}.",
        ),
        "status": (
            "You are now connected on Messenger",
            "You are now connected on Messenger.",
            "Say hi to your new Facebook friend, {Y}.",
            "You can now message and call each other and see info like {R}",
            "{A} waved at you!",
            "{A} is waving at you!",
            "You waved at {Y}!",
            "{Y} pinned a message.",
            "{Y} unpinned a message.",
            "This chat is read-only.",
            "An admin, moderator or host removed {Y}'s message.",
            "{Y} turned on disappearing messages{R}",
        ),
        "poll": (
            "{Y} created a poll: {N}.",
            "{Y} voted for {N} in the poll: {N}.",
            "{Y} changed vote to {N} in the poll: {N}.",
            "{Y} removed vote for {N} in the poll: {N}.",
            "This poll is no longer available.",
            "{A} started a plan.",
            "{Y} named the plan {N}.",
            "{Y} responded Going to {N}.",
            "{Y} responded Can't Go to {N}.",
            "{Y} created the reminder: {N}.",
            "{Y} is happening now.",
        ),
        "game": (
            "{Y} scored {D} points playing {N}.",
            "{Y} challenged you in {N}.",
            "{Y} is now in first place in {N}.",
            "{N}: {P} just played {R}",
        ),
    },
    "hu": {
        "attachment": (
            "{Y} csatolt fájlt küldött.",
            "{Y} hivatkozást küldött.",
            "{Y} elküldött egy helyszínt.",
        ),
        "call": (
            "Hívott fél: {Y}.",
            "Nem fogadott hívás: {Y}",
            "Nem fogadott videohívás: {Y}",
            "{Y} nem fogadta a hívásodat.",
            "{Y} nem fogadta a videochatedet.",
        ),
    },
    "pt": {
        "attachment": (
            "{Y} enviou um anexo.",
            "Enviaste um anexo.",
            "{Y} enviou uma ligação.",
            "{Y} enviou a sua localização atual.",
        ),
        "members": (
            "{Y} adicionou {Y} ao grupo.",
            "{Y} eliminou {Y} do grupo.",
        ),
        "look": ("{Y} alterou o tema da conversa para {N}.",),
        "poll": ("{Y} criou uma sondagem: {N}.",),
    },
    "vi": {
        "attachment": (
            "{Y} đã gửi một file đính kèm.",
            "{Y} đã gửi một liên kết.",
        ),
        "call": (
            "{Y} đã bỏ lỡ lần chat video với bạn.",
            "Bạn đã bỏ lỡ lần chat video với {Y}.",
            "Đoạn chat video này đã kết thúc.",
            "Bạn bỏ lỡ một cuộc gọi của {Y}.",
            "{Y} đã gọi cho bạn.",
        ),
    },
    "de": {"attachment": ("{Y} hat einen Anhang gesendet.",)},
}

# Words that begin a sentence about somebody, and no nickname.
_PRONOUNS = frozenset(
    {
        *("i", "he", "she", "they", "we", "who", "it", "this", "that", "what"),
        *("someone", "somebody", "everyone", "everybody", "nobody", "anyone"),
        *("anybody", "nothing", "something", "eu", "ele", "ela", "eles", "elas"),
        *("quem", "ő", "ők", "ki", "ich", "er", "sie", "wer", "wir", "tôi"),
    }
)
_YOU = frozenset({"you", "bạn"})
_ANONYMOUS = "a contact"
_SECOND_PERSON = re.compile(
    r"(?:You (?!missed|can now|are now|and )|Enviaste |Bạn đã gửi ).+", re.DOTALL
)

_PARTS = {
    "{N}": r"[^\n]+",
    "{R}": r"[^\n]*",
    "{E}": r"[^\sA-Za-z]{1,16}",
    "{D}": r"[\d.,]+",
    "{nickname}": r"(?P<nickname>[^\n]+)",
}
_NAME = r"[^\n]{1,100}?"
_LEAD = r"(?P<lead>[^\n?!;]{1,100}?)"
_KEY_LENGTH = 6
_PAIR = 2
# With these end the sentences of `by_middle`; a space may follow in some exports.
_SENTENCE_ENDS = frozenset(".! ")


@dataclass(frozen=True, slots=True)
class _Template:
    line: SystemLine
    pattern: re.Pattern[str]
    lead: str
    """The placeholder whose name must fit, or nothing."""


@dataclass(frozen=True, slots=True)
class _Tables:
    by_end: dict[str, tuple[_Template, ...]]
    by_start: dict[str, tuple[_Template, ...]]
    by_middle: tuple[_Template, ...]
    middle: re.Pattern[str]
    """Finds what some template of `by_middle` has between its placeholders."""


class LineReader:
    """Tells system lines from what people wrote, in one thread.

    Read a thread's messages from the oldest on: nicknames are learned on the way.
    """

    def __init__(
        self,
        people: Iterable[str] = (),
        owner: str | None = None,
        patterns: Collection[re.Pattern[str]] = (),
    ) -> None:
        """Prepare for one thread.

        Args:
            people: Names of who takes part or wrote.
            owner: Name of who exported, if known.
            patterns: Further sentences that nobody typed.
        """
        self._people = [_words(name) for name in people]
        self._owner = owner
        self._patterns = patterns
        self._nicknames: set[str] = set()
        self._tables = _tables()

    def read(self, text: str, sender: str) -> SystemLine | None:
        """Tell what system line a text is, or `None` for a person's own."""
        tables = self._tables
        end = text[-_KEY_LENGTH:]
        if (
            end not in tables.by_end
            and text[:_KEY_LENGTH] not in tables.by_start
            and end[-1:] not in _SENTENCE_ENDS
            and not self._patterns
        ):
            return None  # Nearly every message, so nothing else may cost time.
        text = text.strip()
        for template in self._candidates(text):
            if line := self._match(template, text, sender):
                return line
        for pattern in self._patterns:
            if pattern.fullmatch(text):
                return SystemLine("pattern", "")
        return None

    def _candidates(self, text: str) -> Iterator[_Template]:
        tables = self._tables
        yield from tables.by_end.get(text[-_KEY_LENGTH:], ())
        yield from tables.by_start.get(text[:_KEY_LENGTH], ())
        if text[-1:] in _SENTENCE_ENDS and tables.middle.search(text):
            yield from tables.by_middle

    def _match(self, template: _Template, text: str, sender: str) -> SystemLine | None:
        match = template.pattern.fullmatch(text.replace("’", "'"))  # noqa: RUF001 (typed)
        if match is None:
            return None
        groups = match.groupdict()
        if template.lead and not self._fits(template.lead, groups["lead"], sender):
            return None
        if nickname := groups.get("nickname"):
            self._nicknames.add(nickname.casefold())
        return template.line

    def _fits(self, placeholder: str, lead: str, sender: str) -> bool:
        folded = lead.casefold()
        if folded in self._nicknames or folded == _ANONYMOUS:
            return True
        if folded in _YOU:
            # What "You" did was sent by the owner.
            return placeholder != "{A}" or self._owner in {None, sender}
        words = _words(lead)
        is_known = any(words <= person for person in self._people)
        if placeholder == "{P}":
            return is_known
        if placeholder == "{A}" and sender != UNKNOWN_SENDER:
            if words <= _words(sender):
                return True
            # In a group it is rather a nickname than somebody from elsewhere.
            if is_known or len(self._people) <= _PAIR:
                return False
        return next(iter(folded.split()), "") not in _PRONOUNS


def is_by_owner(text: str) -> bool:
    """Tell whether a system line says "You did", so that its sender is the owner."""
    return _SECOND_PERSON.fullmatch(text) is not None


def _words(name: str) -> frozenset[str]:
    return frozenset(name.casefold().split())


def _compiled(line: SystemLine, sentence: str) -> _Template:
    lead = sentence[:3] if sentence[:3] in {"{A}", "{P}", "{Y}"} else ""
    if "{P}" in sentence[1:]:
        lead = "{P}"  # The only one that a sentence has behind other text.
    parts = re.split(r"(\{\w+\})", sentence)
    pattern = ""
    for index, part in enumerate(parts):
        if part in {"{A}", "{P}"} or (part == "{Y}" and index == 1 and lead):
            pattern += _LEAD
        else:
            pattern += _NAME if part == "{Y}" else _PARTS.get(part, re.escape(part))
    return _Template(line, re.compile(pattern), lead)


@cache
def _tables() -> _Tables:
    by_end, by_start = defaultdict(list), defaultdict(list)
    by_middle, middles = [], []
    for language, kinds in _TEMPLATES.items():
        for kind, sentences in kinds.items():
            for sentence in sentences:
                template = _compiled(SystemLine(kind, language), sentence)
                literals = re.split(r"\{\w+\}", sentence)
                if len(literals[-1]) >= _KEY_LENGTH:
                    by_end[literals[-1][-_KEY_LENGTH:]].append(template)
                elif len(literals[0]) >= _KEY_LENGTH:
                    by_start[literals[0][:_KEY_LENGTH]].append(template)
                else:
                    by_middle.append(template)
                    middles.append(max(literals, key=len))
    return _Tables(
        by_end={key: tuple(found) for key, found in by_end.items()},
        by_start={key: tuple(found) for key, found in by_start.items()},
        by_middle=tuple(by_middle),
        # One space in front of all: the engine then looks at starts of words only.
        middle=re.compile(f" (?:{'|'.join(re.escape(m.lstrip()) for m in middles)})"),
    )
