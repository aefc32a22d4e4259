"""Replace what is private in texts, names, ids and whatever else a message carries."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from langchain_chatexports.redaction.common_words import LABELS
from langchain_chatexports.redaction.gazetteer import (
    Gazetteer,
    bare_handle,
    is_handle,
    is_number,
    name_words,
)
from langchain_chatexports.redaction.patterns import find_patterns
from langchain_chatexports.redaction.presidio import presidio_detector
from langchain_chatexports.redaction.pseudonyms import Pseudonyms, folded, in_case_of
from langchain_chatexports.redaction.spans import Span, without_overlap

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping

__all__ = ["Redactor"]

_WORD = re.compile(r"[^\W_]+")
_PART_OF_ID = re.compile(r"(?:#\d+)+\Z")

# Of what additional_kwargs and metadata hold: names, ids, and what is no text.
_NAME_KEYS = frozenset(
    {"sender", "actor", "owner", "participants", "nicknames", "nickname", "handles"}
    | {"handle", "members", "contacts"}
)
_ID_KEYS = frozenset({"thread_id"})
_KEPT_KEYS = frozenset(
    {"id", "message_ids", "message_time", "events", "is_from_me", "weight", "role"}
    | {"platform", "is_group", "type", "reaction"}
)


class Redactor:
    """Replaces what is private, always in the same way.

    Attributes:
        record: Where to note what each stand-in stands for, if anywhere.
        notes: Where to count what is replaced in texts, by kind, if anywhere.
    """

    def __init__(
        self, key: str, names: Iterable[str] = (), presidio: str | None = None
    ) -> None:
        """Index the names.

        Args:
            key: The key of the pseudonyms.
            names: The names to find in texts.
            presidio: The spaCy pipeline for Presidio as a second detector.
        """
        self.pseudonyms = Pseudonyms(key)
        self.gazetteer = Gazetteer(names)
        self.record: dict[str, str] | None = None
        self.notes: Counter[str] | None = None
        self._presidio = presidio_detector(presidio) if presidio else None
        # Senders repeat with each message.
        self.name = lru_cache(maxsize=4096)(self._name)

    def spans(self, text: str) -> list[Span]:
        """Find what is private in a text, each character at most once."""
        found = [*find_patterns(text), *self.gazetteer.find(text)]
        if self._presidio is not None:
            found += self._presidio(text)
        return without_overlap(found) if found else found

    def text(self, text: str) -> str:
        """Replace what is private in a text."""
        spans = self.spans(text)
        if not spans:
            return text
        if self.notes is not None:
            self.notes.update(span.kind for span in spans)
        return self._replaced(text, spans)

    def identifier(self, text: str) -> str:
        """Replace a session's id; the number of a part stays."""
        part = _PART_OF_ID.search(text)
        end = part.start() if part else len(text)
        stand_in = self.pseudonyms.identifier(text[:end])
        self._note(stand_in, text[:end])
        return f"{stand_in}{text[end:]}"

    def metadata(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Replace what is private in a session's metadata."""
        redacted = {key: self.value(value, key) for key, value in metadata.items()}
        if isinstance(metadata.get("id"), str):
            redacted["id"] = self.identifier(metadata["id"])
        title = metadata.get("title")
        if isinstance(title, str) and not metadata.get("is_group"):
            redacted["title"] = self.name(title)  # The other person's name.
        return redacted

    def value(self, value: Any, key: str = "") -> Any:
        """Replace what is private in a JSON value, by the key that it stands under."""
        if key in _KEPT_KEYS:
            return value
        if isinstance(value, str):
            return self._string(value, key)
        if isinstance(value, list):
            return [self.value(item, key) for item in value]
        if not isinstance(value, dict):
            return value
        if key in _NAME_KEYS:  # A nickname by name, say.
            return {self.name(str(k)): self.value(v, key) for k, v in value.items()}
        return {k: self.value(v, k) for k, v in value.items()}

    def names_of_stand_ins(self) -> dict[str, str]:
        """Give the gazetteer's single words and handles by their stand-ins."""
        return {
            in_case_of("Name", self.pseudonyms.name(surface)): surface
            for surface in self.gazetteer.surfaces.values()
        }

    def _string(self, value: str, key: str) -> str:
        if key in _NAME_KEYS:
            return self.name(value)
        if key in _ID_KEYS:
            return self.identifier(value)
        # A reply may be linked by a bare id.
        return value if key == "reply_to" else self.text(value)

    def _name(self, name: str) -> str:
        if not name.strip() or name.strip().casefold() in LABELS:
            return name
        if is_number(name):
            return self._stand_in(name.strip(), "phone")
        spans = find_patterns(name)
        if not spans and is_handle(name):
            handle = bare_handle(name)
            return name.replace(handle, self._stand_in(handle, "handle"))
        telling = set(name_words(name))
        spans += [
            Span(*match.span(), "name")
            for match in _WORD.finditer(name)
            if match[0] in telling
        ]
        return self._replaced(name, without_overlap(spans))

    def _replaced(self, text: str, spans: Iterable[Span]) -> str:
        pieces, end = [], 0
        for span in spans:
            pieces.append(text[end : span.start])
            pieces.append(self._stand_in(text[span.start : span.end], span.kind))
            end = span.end
        pieces.append(text[end:])
        return "".join(pieces)

    def _stand_in(self, text: str, kind: str) -> str:
        if kind == "name":
            return _WORD.sub(lambda match: self._named(match[0]), text)
        if kind == "handle":
            return self._named(text)
        stand_in = self.pseudonyms.placeholder(kind, text)
        self._note(stand_in, text)
        return stand_in

    def _named(self, word: str) -> str:
        known = self.gazetteer.aliases.get(folded(word), word)
        stand_in = in_case_of(word, self.pseudonyms.name(known))
        self._note(in_case_of("Name", stand_in), word)
        return stand_in

    def _note(self, stand_in: str, original: str) -> None:
        if self.record is not None:
            self.record.setdefault(stand_in, original)
