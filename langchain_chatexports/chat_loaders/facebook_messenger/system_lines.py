"""System lines: sentences that Messenger wrote, not a person.

Since February 2023 most of them can be recognized by their sentence only, in the
account's language and with first names or nicknames. A sentence is matched as a whole,
and where people write such sentences themselves, only with a name that fits. What a
field of the JSON shows is in `record_kinds.py`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

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


# Placeholders. Names, from strict to loose: {A} who did it, which is the sender (or
# "You", by the owner), {C} the sender as well, but never "You", {K} somebody of the
# chat, {P} the same or "You", {Y} whatever can be a name. A person's own sentence can
# begin with a name, so {Y} begins only those that nobody types. {S} a plan or reminder
# that an earlier line has, {plan} its name there. {N} any text, {R} any rest, {E} an
# emoji, {D} a number.
_TEMPLATES: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "attachment": (
            "{Y} sent an attachment.",
            "{P} sent a link.",
            "{P} sent a location.",
            "{P} sent a live location.",
        ),
        "reaction": (
            "Reacted {E} to your message",
            "{Y} reacted {E} to your message",
            "Liked a message",
        ),
        "call": (
            "You called {K}.",
            "{A} called you.",
            "You missed a call from {C}.",
            "{P} missed your call.",
            "You missed a video chat with {C}.",
            "You missed a video call with {C}.",
            "{P} missed your video chat.",
            "The video chat ended.",
            "The video call ended.",
            "{A} started a call.",
            "{A} started a video chat.",
            "{A} joined the call.",
            "{A} joined the video chat.",
            "{A} started sharing video.",
            "You and {K} can now see each other.",
        ),
        "members": (
            "{A} added {Y} to the group.",
            "{A} added participants.",
            "{A} removed {Y} from the group.",
            "{A} left the group.",
            "{A} created the group.",
            "{P} is now an admin.",
            "{A} removed {Y} as an admin.",
            "{P} turned on member approval{R}",
        ),
        "look": (
            "{P} named the group {N}.",
            "{P} removed the group name.",
            "{P} changed the group photo.",
            "{P} changed the theme to {N}.",
            "{P} changed the chat theme.",
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
            "You waved at {K}!",
            "{P} pinned a message.",
            "{P} unpinned a message.",
            "This chat is read-only.",
            "An admin, moderator or host removed {Y}'s message.",
            "{P} turned on disappearing messages{R}",
        ),
        "poll": (
            "{P} created a poll: {N}.",
            "{Y} voted for {N} in the poll: {N}.",
            "{Y} changed vote to {N} in the poll: {N}.",
            "{Y} removed vote for {N} in the poll: {N}.",
            "This poll is no longer available.",
            "{A} started a plan.",
            "{P} named the plan {plan}.",
            "{P} responded Going to {plan}.",
            "{P} responded Can't Go to {plan}.",
            "{P} created the reminder: {plan}.",
            "{S} is happening now.",
        ),
        "game": (
            "{P} scored {D} points playing {N}.",
            "{P} challenged you in {N}.",
            "{P} is now in first place in {N}.",
            "{N}: {P} just played {R}",
        ),
    },
    "hu": {
        "attachment": (
            "{Y} csatolt fájlt küldött.",
            "{P} hivatkozást küldött.",
            "{P} elküldött egy helyszínt.",
        ),
        "call": (
            "Hívott fél: {Y}.",
            "Nem fogadott hívás: {Y}",
            "Nem fogadott videohívás: {Y}",
            "{P} nem fogadta a hívásodat.",
            "{P} nem fogadta a videochatedet.",
        ),
    },
    "pt": {
        "attachment": (
            "{Y} enviou um anexo.",
            "Enviaste um anexo.",
            "{P} enviou uma ligação.",
            "{P} enviou a sua localização atual.",
        ),
        "members": (
            "{P} adicionou {Y} ao grupo.",
            "{P} eliminou {Y} do grupo.",
        ),
        "look": ("{P} alterou o tema da conversa para {N}.",),
        "poll": ("{P} criou uma sondagem: {N}.",),
    },
    "vi": {
        "attachment": (
            "{Y} đã gửi một file đính kèm.",
            "{P} đã gửi một liên kết.",
        ),
        "call": (
            "{P} đã bỏ lỡ lần chat video với bạn.",
            "Bạn đã bỏ lỡ lần chat video với {C}.",
            "Đoạn chat video này đã kết thúc.",
            "Bạn bỏ lỡ một cuộc gọi của {C}.",
            "{A} đã gọi cho bạn.",
        ),
    },
    "de": {"attachment": ("{Y} hat einen Anhang gesendet.",)},
}

# Words that begin a sentence about somebody, and no nickname.
_PRONOUNS = frozenset(
    {
        *("i", "he", "she", "they", "we", "who", "it", "this", "that", "what"),
        *("me", "him", "her", "us", "them", "myself", "yourself", "himself", "herself"),
        *("someone", "somebody", "everyone", "everybody", "nobody", "anyone"),
        *("anybody", "nothing", "something", "eu", "ele", "ela", "eles", "elas"),
        *("quem", "ő", "ők", "ki", "ich", "er", "sie", "wer", "wir", "tôi"),
    }
)
# Words that begin what somebody calls a person who is not in the chat.
_NO_NAMES = _PRONOUNS | {
    *("my", "your", "his", "its", "our", "their", "the", "a", "an", "these", "those"),
    *("some", "any", "every", "no", "all", "both", "one", "another", "mom", "mum"),
    *("mommy", "mummy", "mama", "dad", "daddy", "papa", "grandma", "grandpa", "granny"),
    *("aunt", "uncle", "mein", "meine", "dein", "deine", "unser", "unsere", "der"),
    *("die", "das", "ein", "eine", "mutti", "vati", "oma", "opa", "meu", "minha"),
    *("teu", "tua", "seu", "sua", "o", "os", "as", "um", "uma", "mãe", "pai", "az"),
    *("egy", "anyu", "apu", "anya", "apa", "mẹ", "bố", "má", "ba"),
}
_YOU = frozenset({"You", "Bạn"})
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
    "{plan}": r"(?P<plan>[^\n]+)",
}
_NAMES = frozenset({"{A}", "{C}", "{K}", "{P}", "{S}", "{Y}"})
_NAME = r"\S[^\n]{0,99}?"
_NAME_IN_FRONT = r"[^\s?!;][^\n?!;]{0,99}?"
_KEY_LENGTH = 6
# With these end the sentences of `by_middle`; a space may follow in some exports.
_SENTENCE_ENDS = frozenset(".! ")


@dataclass(frozen=True, slots=True)
class _Template:
    line: SystemLine
    pattern: re.Pattern[str]
    names: tuple[str, ...]
    """The placeholders whose names must fit: the pattern's first groups, `name0` on."""


@dataclass(frozen=True, slots=True)
class _Tables:
    by_end: dict[str, tuple[_Template, ...]]
    by_start: dict[str, tuple[_Template, ...]]
    by_middle: tuple[_Template, ...]
    middle: re.Pattern[str]
    """Finds what some template of `by_middle` has between its placeholders."""


class LineReader:
    """Recognizes the system lines of one thread.

    Pass it the messages oldest first: it learns nicknames from them.
    """

    def __init__(
        self,
        people: Iterable[str] = (),
        owner: str | None = None,
        patterns: Collection[re.Pattern[str]] = (),
    ) -> None:
        """Initialize the reader for one thread.

        Args:
            people: Names of the participants and senders.
            owner: Name of the owner, if known.
            patterns: Further sentences that nobody typed.
        """
        self._people = [_words(name) for name in people]
        self._owner = None if owner is None else owner.casefold().strip()
        self._patterns = patterns
        self._nicknames: set[str] = set()
        self._plans: set[str] = set()
        self._tables = _tables()

    def read(
        self, text: str, sender: str, extra: dict[str, Any] | None = None
    ) -> SystemLine | None:
        """Return the system line that a text is, or `None` if a person wrote it.

        Args:
            text: The text.
            sender: Who sent it.
            extra: Attachments and reactions of the message: a sentence about an
                attachment that is there needs no known name.

        Returns:
            The line's kind and language.
        """
        tables = self._tables
        end = text[-_KEY_LENGTH:]
        if (
            end not in tables.by_end
            and text[:_KEY_LENGTH] not in tables.by_start
            and end[-1:] not in _SENTENCE_ENDS
            and not self._patterns
        ):
            return None  # Nearly every message, so this must be fast.
        text = text.strip()
        for template in self._candidates(text):
            if self._matches(template, text, sender, extra):
                return template.line
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

    def _matches(
        self, template: _Template, text: str, sender: str, extra: dict[str, Any] | None
    ) -> bool:
        match = template.pattern.fullmatch(text.replace("’", "'"))  # noqa: RUF001 (typed)
        if match is None:
            return False
        if template.names and is_by_owner(text) and not self._can_be_owner(sender):
            return False
        has_proof = template.line.kind == "attachment" and "attachments" in (
            extra or {}
        )
        for index, placeholder in enumerate(template.names):
            name = match[f"name{index}"]
            if not self._fits("{Y}" if has_proof else placeholder, name, sender):
                return False
        self._learn(match.groupdict())
        return True

    def _learn(self, found: dict[str, str]) -> None:
        if plan := found.get("plan"):
            self._plans.add(plan.casefold())
        nickname = found.get("nickname", "").casefold()
        if nickname and nickname not in _PRONOUNS:
            self._nicknames.add(nickname)

    def _can_be_owner(self, sender: str) -> bool:
        return self._owner is None or self._owner == sender.casefold().strip()

    def _fits(self, placeholder: str, name: str, sender: str) -> bool:
        folded = name.casefold()
        if placeholder == "{S}":
            return folded in self._plans
        if folded in self._nicknames or folded == _ANONYMOUS:
            return True
        if name in _YOU or folded in _PRONOUNS:
            return name in _YOU and placeholder not in {"{C}", "{K}"}
        words = _words(name)
        if placeholder in {"{A}", "{C}"} and sender != UNKNOWN_SENDER:
            return words <= _words(sender)
        if any(words <= person for person in self._people):
            return True
        # Of a deleted account the sentence still has the name.
        is_loose = placeholder in {"{A}", "{C}", "{Y}"}
        return is_loose and folded.split()[0] not in _NO_NAMES


def is_by_owner(text: str) -> bool:
    """Return whether a system line says "You did", so that its sender is the owner."""
    return _SECOND_PERSON.fullmatch(text) is not None


def _words(name: str) -> frozenset[str]:
    return frozenset(name.casefold().replace("’", "'").split())  # noqa: RUF001 (typed)


def _compiled(line: SystemLine, sentence: str) -> _Template:
    parts = re.split(r"(\{\w+\})", sentence)
    pattern = ""
    names: list[str] = []
    for index, part in enumerate(parts):
        if part in _NAMES:
            is_in_front = index == 1 and not parts[0]
            name = _NAME_IN_FRONT if is_in_front or part == "{P}" else _NAME
            pattern += f"(?P<name{len(names)}>{name})"
            names.append(part)
        else:
            pattern += _PARTS.get(part, re.escape(part))
    return _Template(line, re.compile(pattern), tuple(names))


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
