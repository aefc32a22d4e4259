"""Recognize system lines, which are written by Messenger instead of a person.

Since February 2023, most can only be recognized by their text, which is in the
account's language and contains first names or nicknames. A sentence in
`system_lines.json` must match the entire text. If people could also type it, its names
must be plausible, too. The placeholders, with names from strict to loose:

- `{A}`: the sender (or "You" for the owner)
- `{C}`: the sender, but never "You"
- `{K}`: a person in the chat
- `{P}`: a person in the chat, or "You"
- `{Y}`: any name, at the beginning of sentences that people never type
- `{S}`: a plan or reminder named in an earlier line with `{plan}`
- `{nickname}`: a name that may occur in later lines
- `{N}` any text, `{T}` text without a colon, `{R}` the remaining text, `{E}` an emoji,
  `{D}` a number
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import msgspec

from langchain_chatexports.chat_loaders.names import name_key

_PARTS = {
    "{N}": r"[^\n]+",
    "{T}": r"[^\n:]+",
    "{R}": r"[^\n]*",
    "{E}": r"[^\sA-Za-z]{1,16}",
    "{D}": r"[\d.,]+",
    "{nickname}": r"(?P<nickname>[^\n]+)",
    "{plan}": r"(?P<plan>[^\n]+)",
}
_NAMES = frozenset({"{A}", "{C}", "{K}", "{P}", "{S}", "{Y}"})
_NAME = r"\S[^\n]{0,99}?"
_LEADING_NAME = r"[^\s?!;][^\n?!;]{0,99}?"
_KEY_LENGTH = 6
# Sentences in `by_middle` end with these; some exports append a space.
_SENTENCE_ENDS = frozenset(".! ")
_YOU = frozenset({"You", "Bạn"})
_ANONYMOUS = "a contact"
_BY_OWNER = re.compile(
    r"(?:You (?!missed|can now|are now|and )|Enviaste |Bạn đã gửi ).+", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class _Template:
    kind: str
    pattern: re.Pattern[str]
    end: str
    # Placeholders of the groups `name0`, `name1`, ….
    placeholders: tuple[str, ...]


class _Data(msgspec.Struct):
    """The content of `system_lines.json`."""

    sentences: dict[str, dict[str, list[str]]]  # By language and kind.
    # Words in place of a name at the beginning of sentences, but not nicknames.
    pronouns: str
    not_names: str  # First words of phrases for people outside the chat.
    deleted_accounts: list[str]  # The names of deleted accounts, in lower case.


class _Tables:
    """The templates, indexed by their literal parts."""

    def __init__(self, data: _Data) -> None:
        self.pronouns = frozenset(data.pronouns.split())
        self.not_names = self.pronouns | set(data.not_names.split())
        self.deleted_accounts = frozenset(["", *data.deleted_accounts])
        self.by_end: dict[str, list[_Template]] = defaultdict(list)
        self.by_start: dict[str, list[_Template]] = defaultdict(list)
        self.by_middle: list[_Template] = []
        middles = []
        for kinds in data.sentences.values():
            for kind, sentences in kinds.items():
                for sentence in sentences:
                    literals = re.split(r"\{\w+\}", sentence)
                    first, last = literals[0], literals[-1]
                    template = _compile(kind, sentence, last)
                    if len(last) >= _KEY_LENGTH:
                        self.by_end[last[-_KEY_LENGTH:]].append(template)
                    elif len(first) >= _KEY_LENGTH:
                        self.by_start[first[:_KEY_LENGTH]].append(template)
                    else:
                        self.by_middle.append(template)
                        middles.append(re.escape(max(literals, key=len).lstrip()))
        # Thanks to the common space, the regex engine only checks the beginnings of
        # words.
        self.middle = re.compile(f" (?:{'|'.join(middles)})")

    def candidates(self, text: str) -> Iterator[_Template]:
        yield from self.by_end.get(text[-_KEY_LENGTH:], ())
        yield from self.by_start.get(text[:_KEY_LENGTH], ())
        if text[-1:] in _SENTENCE_ENDS and self.middle.search(text):
            yield from self.by_middle


class LineReader:
    """Recognizes the system lines of one thread.

    Pass messages oldest first, since later lines repeat nicknames and plans.
    """

    def __init__(self, people: Iterable[str] = (), owner: str | None = None) -> None:
        self._people = [_split_words(name) for name in people]
        self._owner = None if owner is None else name_key(owner)
        self._nicknames: set[str] = set()
        self._plans: set[str] = set()
        self._tables = _tables()

    def classify(
        self, text: str, sender: str, *, has_attachment: bool = False
    ) -> str | None:
        """Return the kind of a system line; `None` if a person wrote the text.

        A sentence about an attachment may have any name if the message has one.
        """
        tables = self._tables
        if (
            text[-1:] not in _SENTENCE_ENDS
            and text[-_KEY_LENGTH:] not in tables.by_end
            and text[:_KEY_LENGTH] not in tables.by_start
        ):
            return None  # Fast path for nearly every message.
        text = text.strip().replace("’", "'")  # noqa: RUF001 (typed)
        if "\n" in text:
            return None
        for template in tables.candidates(text):
            accept_any_name = has_attachment and template.kind == "attachment"
            if self._matches(template, text, sender, accept_any_name=accept_any_name):
                return template.kind
        return None

    def _matches(
        self, template: _Template, text: str, sender: str, *, accept_any_name: bool
    ) -> bool:
        # Check the end first, since patterns are slow to fail there.
        match = text.endswith(template.end) and template.pattern.fullmatch(text)
        if not match:
            return False
        is_owner = self._owner in {None, name_key(sender)}
        if template.placeholders and is_by_owner(text) and not is_owner:
            return False
        for index, placeholder in enumerate(template.placeholders):
            name = match[f"name{index}"]
            if not self._fits("{Y}" if accept_any_name else placeholder, name, sender):
                return False
        groups = match.groupdict()
        if plan := groups.get("plan"):
            self._plans.add(plan.casefold())
        nickname = groups.get("nickname", "").casefold()
        if nickname and nickname not in self._tables.pronouns:
            self._nicknames.add(nickname)
        return True

    def _fits(self, placeholder: str, name: str, sender: str) -> bool:
        folded = name.casefold()
        if placeholder == "{S}":
            return folded in self._plans
        if folded in self._nicknames or folded == _ANONYMOUS:
            return True
        if name in _YOU or folded in self._tables.pronouns:
            return name in _YOU and placeholder not in {"{C}", "{K}"}
        words = _split_words(name)
        if placeholder in {"{A}", "{C}"} and sender:
            return words <= _split_words(sender)
        if any(words <= person for person in self._people):
            return True
        # Sentences can also contain names of deleted accounts.
        is_loose = placeholder in {"{A}", "{C}", "{Y}"}
        return is_loose and folded.split()[0] not in self._tables.not_names


def is_by_owner(text: str) -> bool:
    """Return whether a system line begins with "You" and is thus from the owner."""
    return _BY_OWNER.fullmatch(text) is not None


def is_deleted_account(name: str) -> bool:
    """Return whether a name is empty or the placeholder for deleted accounts."""
    return name.strip().casefold() in _tables().deleted_accounts


def _split_words(name: str) -> frozenset[str]:
    return frozenset(name.casefold().replace("’", "'").split())  # noqa: RUF001 (typed)


def _compile(kind: str, sentence: str, end: str) -> _Template:
    parts = re.split(r"(\{\w+\})", sentence)
    pattern = ""
    names: list[str] = []
    for index, part in enumerate(parts):
        if part in _NAMES:
            is_leading = index == 1 and not parts[0]
            name = _LEADING_NAME if is_leading or part == "{P}" else _NAME
            pattern += f"(?P<name{len(names)}>{name})"
            names.append(part)
        else:
            pattern += _PARTS.get(part, re.escape(part))
    return _Template(kind, re.compile(pattern), end, tuple(names))


@cache
def _tables() -> _Tables:
    data = files(__package__).joinpath("system_lines.json").read_bytes()
    return _Tables(msgspec.json.decode(data, type=_Data))
