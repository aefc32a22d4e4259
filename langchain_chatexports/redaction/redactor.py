"""Replace private data in texts, names, ids and other fields of a session."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import BaseMessage

from langchain_chatexports.redaction.detector import find_patterns
from langchain_chatexports.redaction.gazetteer import (
    Gazetteer,
    bare_handle,
    is_handle,
    is_number,
    name_words,
)
from langchain_chatexports.redaction.normalization import comparable, folded, words_of
from langchain_chatexports.redaction.phones import check_extra, home_regions
from langchain_chatexports.redaction.pseudonyms import Pseudonyms, in_case_of
from langchain_chatexports.redaction.spans import Span, without_overlap
from langchain_chatexports.redaction.words import LABELS

_PART_OF_ID = re.compile(r"(?:#\d{1,9}){1,4}\Z")
_SUFFIX = re.compile(r"\.[A-Za-z\d]{1,8}\Z")
_IS_LINK = re.compile(r"(?:https?|mailto|tel):", re.IGNORECASE)
# Ids without names: hexadecimal digits and hyphens, as in a UUID.
_PLAIN_ID = re.compile(r"[\dA-Fa-f-]*")
_MIN_PRIVATE_NUMBER = 10**6
_MAX_IN_DIGITS = 10**40

# The contents of `additional_kwargs` and metadata, by key; other keys are unknown.
_KEYS_BY_FIELD = {
    "name": (
        "sender actor owner author participants members contacts handle handles "
        "nickname nicknames username display_name"
    ),
    "session id": "thread_id conversation_id chat_id",
    # `reply_to` may be a plain id.
    "message id": "id message_id message_ids reply_to",
    "path": (
        "attachments path file filename file_name folder source thumbnail "
        "uri url link href image_url"
    ),
    "fixed": (
        "message_time is_from_me weight role platform is_group type mime_type part "
        "edited unsent"
    ),
    "text": "text content title site subject edits events reactions reaction",
}
_FIELDS = {key: field for field, keys in _KEYS_BY_FIELD.items() for key in keys.split()}


class Redactor:
    """Replaces private data consistently."""

    record: dict[str, str] | None = None
    """If set, collects the original of each stand-in."""

    def __init__(self, key: str, names: Iterable[str] = ()) -> None:
        """Initialize with the key of the stand-ins and the names to find in texts."""
        check_extra()
        names = tuple(names)
        self.pseudonyms = Pseudonyms(key)
        self.gazetteer = Gazetteer(names)
        self._home = home_regions(name for name in names if name.startswith("+"))
        # Senders repeat with each message.
        self.name = lru_cache(maxsize=4096)(self._name)
        self._by_field: dict[str, Callable[[str], str]] = {
            "name": self.name,
            "session id": self.identifier,
            "message id": self.message_id,
            "path": self._path,
            "fixed": str,
            "text": self.text,
        }

    def spans(self, text: str) -> list[Span]:
        """Find private data in a text, as spans without overlap."""
        found = find_patterns(text, self._home) + self.gazetteer.find(text)
        return without_overlap(found)

    def text(self, text: str) -> str:
        """Replace private data in a text."""
        spans = self.spans(text)
        if not spans:
            return text
        return self._replaced(text, spans)

    def session(self, session: ChatSession) -> ChatSession:
        """Replace private data in a session."""
        redacted: dict[str, Any] = {"messages": []}
        for key, value in cast("Mapping[str, Any]", session).items():
            if key == "messages":
                redacted[key] = [self._message(message) for message in value]
            elif key == "metadata" and isinstance(value, dict):
                redacted[key] = self._metadata(value)
            elif key == "functions":  # Not written by a person.
                redacted[key] = value
            else:
                redacted[key] = self.value(value, key)
        return cast("ChatSession", redacted)

    def identifier(self, text: str) -> str:
        """Replace a session's id; the number of a part is kept."""
        part = _PART_OF_ID.search(text)
        end = part.start() if part else len(text)
        stand_in = self.pseudonyms.identifier(text[:end])
        self._note(stand_in, text[:end])
        return f"{stand_in}{text[end:]}"

    def message_id(self, text: str) -> str:
        """Replace a message's id if it contains private data."""
        if _PLAIN_ID.fullmatch(text) or not self.spans(text):
            return text
        return self.identifier(text)

    def value(self, value: Any, key: str = "") -> Any:
        """Replace private data in a JSON value, depending on its key.

        A string with an unknown key is redacted as text, or as a path if it looks like
        one. Values that are not JSON become `None`.
        """
        if isinstance(value, str):
            field = _FIELDS.get(key) or ("path" if _looks_like_path(value) else "text")
            return self._by_field[field](value)
        if isinstance(value, dict):
            return self._fields(value, key)
        if isinstance(value, (list, tuple)):
            return [self.value(item, key) for item in value]
        if isinstance(value, int) and key not in _FIELDS:
            return self._number(value)
        if value is None or isinstance(value, (int, float)):
            return value
        return None

    def names_of_stand_ins(self) -> dict[str, str]:
        """Return the gazetteer's words and handles by stand-in."""
        return {
            in_case_of("Name", self.pseudonyms.name(surface)): surface
            for surface in self.gazetteer.surfaces.values()
        }

    def _message(self, message: BaseMessage) -> BaseMessage:
        update: dict[str, Any] = {
            "content": self.value(message.content, "content"),
            "additional_kwargs": self.value(message.additional_kwargs),
        }
        if message.response_metadata:
            update["response_metadata"] = self.value(message.response_metadata)
        if message.name:
            update["name"] = self.name(message.name)
        if message.id:
            update["id"] = self.message_id(message.id)
        return message.model_copy(update=update)

    def _metadata(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        redacted = self._fields(metadata)
        if metadata.get("id") is not None:
            redacted["id"] = self.identifier(str(metadata["id"]))
        title = metadata.get("title")
        if isinstance(title, str) and not metadata.get("is_group"):
            redacted["title"] = self.name(title)  # The other person's name.
        return redacted

    def _fields(self, fields: Mapping[Any, Any], key: str = "") -> dict[Any, Any]:
        is_by_name = _FIELDS.get(key) == "name"  # A nickname by name, for example.
        redacted = {}
        for k, v in fields.items():
            field = _FIELDS.get(k)
            if is_by_name:
                redacted[k if field else self.name(str(k))] = self.value(v, key)
            elif field == "fixed" and isinstance(v, (str, int)):
                redacted[k] = v
            else:
                redacted[k if field else self.text(str(k))] = self.value(v, str(k))
        return redacted

    def _path(self, value: str) -> str:
        # File names in exports contain names of people in many forms.
        if not value.strip():
            return value
        if _IS_LINK.match(value):
            return self.text(value)
        suffix = _SUFFIX.search(value)
        end = suffix.start() if suffix else len(value)
        return f"{self._stand_in(value[:end], 'path')}{value[end:]}"

    def _number(self, value: int) -> int | str:
        # It may be a telephone number or an id; sizes and durations are smaller.
        if abs(value) < _MIN_PRIVATE_NUMBER:
            return value
        # Python refuses to convert larger numbers to decimal.
        text = str(value) if abs(value) < _MAX_IN_DIGITS else hex(value)
        return self._stand_in(text, "account")

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
            Span(word.start, word.end, "name")
            for word in words_of(name)
            if word.word in telling
        ]
        return self._replaced(name, without_overlap(spans))

    def _replaced(self, text: str, spans: Iterable[Span]) -> str:
        return _with_stand_ins(
            text,
            [
                (start, end, self._stand_in(text[start:end], kind))
                for start, end, kind in spans
            ],
        )

    def _stand_in(self, text: str, kind: str) -> str:
        if kind == "name":
            words = words_of(text)
            return _with_stand_ins(
                text,
                [
                    (start, end, self._named(word, text[start:end]))
                    for word, start, end in words
                ],
            )
        if kind == "handle":
            return self._named(comparable(text).text, text)
        stand_in = self.pseudonyms.placeholder(kind, text)
        self._note(stand_in, text)
        return stand_in

    def _named(self, word: str, original: str) -> str:
        known = self.gazetteer.aliases.get(folded(word), word)
        stand_in = in_case_of(word, self.pseudonyms.name(known))
        self._note(in_case_of("Name", stand_in), original)
        return stand_in

    def _note(self, stand_in: str, original: str) -> None:
        if self.record is not None:
            self.record.setdefault(stand_in, original)


def _with_stand_ins(text: str, stand_ins: Iterable[tuple[int, int, str]]) -> str:
    pieces: list[str] = []
    rest = 0
    for start, end, stand_in in stand_ins:
        pieces += (text[rest:start], stand_in)
        rest = end
    return "".join((*pieces, text[rest:]))


def names_of_session(session: ChatSession) -> set[str]:
    """Return the names in a session: participants, senders, nicknames, handles."""
    metadata = cast("Mapping[str, Any]", session).get("metadata") or {}
    names = {*_names(metadata)}
    if not metadata.get("is_group") and isinstance(metadata.get("title"), str):
        names.add(metadata["title"])
    for message in session.get("messages", ()):
        names.update(_names(message.additional_kwargs))
        if message.name:
            names.add(message.name)
    return names


def _names(value: Any, *, is_name: bool = False) -> Iterator[str]:
    if isinstance(value, str) and is_name:
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if is_name and key not in _FIELDS:  # A nickname by name, for example.
                yield str(key)
            yield from _names(inner, is_name=is_name or _FIELDS.get(key) == "name")
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _names(item, is_name=is_name)


def _looks_like_path(value: str) -> bool:
    if _IS_LINK.match(value):
        return False
    has_folder = ("/" in value or "\\" in value) and not any(map(str.isspace, value))
    return has_folder or _SUFFIX.search(value) is not None
