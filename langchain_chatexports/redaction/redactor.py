"""Replace private data in the text, names, ids and other fields of sessions."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import BaseMessage

from langchain_chatexports.chat_loaders.schema import metadata_of
from langchain_chatexports.redaction.detector import find_private_data
from langchain_chatexports.redaction.gazetteer import (
    Gazetteer,
    is_handle,
    is_phone_number,
    name_words,
    strip_handle,
)
from langchain_chatexports.redaction.normalization import find_words, fold, normalize
from langchain_chatexports.redaction.phones import check_extra, find_home_regions
from langchain_chatexports.redaction.pseudonyms import Pseudonyms, match_case
from langchain_chatexports.redaction.spans import Span, merge_spans
from langchain_chatexports.redaction.words import LABELS

_PART_SUFFIX = re.compile(r"(?:#\d{1,9}){1,4}\Z")
_SUFFIX = re.compile(r"\.[A-Za-z\d]{1,8}\Z")
_LINK_SCHEME = re.compile(r"(?:https?|mailto|tel):", re.IGNORECASE)
# Ids that cannot contain names: hexadecimal digits and hyphens, as in a UUID.
_PLAIN_ID = re.compile(r"[\dA-Fa-f-]*")
_MIN_PRIVATE_NUMBER = 10**6
_MAX_DECIMAL = 10**40

# Known keys of `additional_kwargs` and metadata, by type of value.
_KEYS_BY_FIELD = {
    "name": (
        "sender actor owner author participants members contacts handle handles "
        "nickname nicknames username display_name forwarded_from"
    ),
    "session id": "thread_id conversation_id chat_id",
    # `reply_to` may be a plain id.
    "message id": "id message_id message_ids reply_to thread",
    "path": (
        "attachments name path file filename file_name folder source thumbnail "
        "uri url link href image_url"
    ),
    "fixed": (
        "message_time is_from_me weight role platform is_group type mime_type size "
        "part edited unsent forwarded system"
    ),
    "text": "text content title site subject edits events reactions reaction",
}
_FIELDS = {key: field for field, keys in _KEYS_BY_FIELD.items() for key in keys.split()}


class Redactor:
    """Replaces private data with stand-ins."""

    originals: dict[str, str] | None = None
    """Originals by stand-in, if collected."""

    def __init__(self, key: str, names: Iterable[str] = ()) -> None:
        """Initialize with the key for stand-ins and the names to find in text."""
        check_extra()
        names = tuple(names)
        self.pseudonyms = Pseudonyms(key)
        self.gazetteer = Gazetteer(names)
        self._home = find_home_regions(name for name in names if name.startswith("+"))
        # Cached, since each message has a sender.
        self.redact_name = lru_cache(maxsize=4096)(self._redact_name)
        self._by_field: dict[str, Callable[[str], str]] = {
            "name": self.redact_name,
            "session id": self.redact_session_id,
            "message id": self.redact_message_id,
            "path": self._redact_path,
            "fixed": str,
            "text": self.redact_text,
        }

    def find_spans(self, text: str) -> list[Span]:
        """Find private data in text; the spans do not overlap."""
        spans = find_private_data(text, self._home) + self.gazetteer.find(text)
        return merge_spans(spans)

    def redact_text(self, text: str) -> str:
        """Replace private data in text."""
        spans = self.find_spans(text)
        if not spans:
            return text
        return self._replace_spans(text, spans)

    def redact_session(self, session: ChatSession) -> ChatSession:
        """Replace private data in a session."""
        redacted: dict[str, Any] = {"messages": []}
        for key, value in cast("Mapping[str, Any]", session).items():
            if key == "messages":
                redacted[key] = [self._redact_message(message) for message in value]
            elif key == "metadata" and isinstance(value, dict):
                redacted[key] = self._redact_metadata(value)
            elif key == "functions":  # Function schemas contain no private data.
                redacted[key] = value
            else:
                redacted[key] = self.redact_value(value, key)
        return cast("ChatSession", redacted)

    def redact_session_id(self, text: str) -> str:
        """Replace a session id, but keep part suffixes (`#2`)."""
        suffix = _PART_SUFFIX.search(text)
        end = suffix.start() if suffix else len(text)
        stand_in = self.pseudonyms.create_id(text[:end])
        self._record(stand_in, text[:end])
        return f"{stand_in}{text[end:]}"

    def redact_message_id(self, text: str) -> str:
        """Replace a message id if it contains private data."""
        if _PLAIN_ID.fullmatch(text) or not self.find_spans(text):
            return text
        return self.redact_session_id(text)

    def redact_value(self, value: Any, key: str = "") -> Any:
        """Replace private data in a JSON value, depending on its key.

        With an unknown key, a string is redacted as text, or as a path if it looks like
        one. Values of types other than JSON's become `None`.
        """
        if isinstance(value, str):
            field = _FIELDS.get(key) or ("path" if _looks_like_path(value) else "text")
            return self._by_field[field](value)
        if isinstance(value, dict):
            return self._redact_fields(value, key)
        if isinstance(value, (list, tuple)):
            return [self.redact_value(item, key) for item in value]
        if isinstance(value, int) and key not in _FIELDS:
            return self._redact_number(value)
        if value is None or isinstance(value, (int, float)):
            return value
        return None

    def name_stand_ins(self) -> dict[str, str]:
        """Return the gazetteer's words and handles by stand-in."""
        return {
            match_case("Name", self._create_name(word)): word
            for words in (self.gazetteer.original_words, self.gazetteer.namesakes)
            for word in words.values()
        }

    def _redact_message(self, message: BaseMessage) -> BaseMessage:
        update: dict[str, Any] = {
            "content": self.redact_value(message.content, "content"),
            "additional_kwargs": self.redact_value(message.additional_kwargs),
        }
        if message.response_metadata:
            update["response_metadata"] = self.redact_value(message.response_metadata)
        if message.name:
            update["name"] = self.redact_name(message.name)
        if message.id:
            update["id"] = self.redact_message_id(message.id)
        return message.model_copy(update=update)

    def _redact_metadata(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        redacted = self._redact_fields(metadata)
        if metadata.get("id") is not None:
            redacted["id"] = self.redact_session_id(str(metadata["id"]))
        title = metadata.get("title")
        if isinstance(title, str) and not metadata.get("is_group"):
            redacted["title"] = self.redact_name(title)  # The other person's name.
        return redacted

    def _redact_fields(
        self, fields: Mapping[Any, Any], key: str = ""
    ) -> dict[Any, Any]:
        has_name_keys = _FIELDS.get(key) == "name"  # For example, nicknames by name.
        redacted = {}
        for k, v in fields.items():
            field = _FIELDS.get(k)
            if has_name_keys:
                redacted[k if field else self.redact_name(str(k))] = self.redact_value(
                    v, key
                )
            elif field == "fixed" and isinstance(v, (str, int)):
                redacted[k] = v
            else:
                redacted[k if field else self.redact_text(str(k))] = self.redact_value(
                    v, str(k)
                )
        return redacted

    def _redact_path(self, value: str) -> str:
        # File names in exports contain people's names in many forms.
        if not value.strip():
            return value
        if _LINK_SCHEME.match(value):
            return self.redact_text(value)
        suffix = _SUFFIX.search(value)
        end = suffix.start() if suffix else len(value)
        return f"{self._replace(value[:end], 'path')}{value[end:]}"

    def _redact_number(self, value: int) -> int | str:
        # A large number may be a phone number or an id, but not a size or duration.
        if abs(value) < _MIN_PRIVATE_NUMBER:
            return value
        # Python refuses to convert huge numbers to decimal.
        text = str(value) if abs(value) < _MAX_DECIMAL else hex(value)
        return self._replace(text, "account")

    def _redact_name(self, name: str) -> str:
        if not name.strip() or name.strip().casefold() in LABELS:
            return name
        if is_phone_number(name):
            return self._replace(name.strip(), "phone")
        spans = find_private_data(name)
        if not spans and is_handle(name):
            handle = strip_handle(name)
            return name.replace(handle, self._replace(handle, "handle"))
        distinctive_words = set(name_words(name))
        spans += [
            Span(word.start, word.end, "name")
            for word in find_words(name)
            if word.text in distinctive_words
        ]
        return self._replace_spans(name, merge_spans(spans))

    def _replace_spans(self, text: str, spans: Iterable[Span]) -> str:
        return _replace_ranges(
            text,
            [
                (start, end, self._replace(text[start:end], kind))
                for start, end, kind in spans
            ],
        )

    def _replace(self, text: str, kind: str) -> str:
        if kind == "name":
            words = find_words(text)
            return _replace_ranges(
                text,
                [
                    (start, end, self._replace_word(word, text[start:end]))
                    for word, start, end in words
                ],
            )
        if kind == "handle":
            return self._replace_word(normalize(text).text, text)
        stand_in = self.pseudonyms.create_placeholder(kind, text)
        self._record(stand_in, text)
        return stand_in

    def _replace_word(self, word: str, original: str) -> str:
        canonical_word = self.gazetteer.canonical_words.get(fold(word), word)
        stand_in = match_case(word, self._create_name(canonical_word))
        self._record(match_case("Name", stand_in), original)
        return stand_in

    def _create_name(self, word: str) -> str:
        is_namesake = word.casefold() in self.gazetteer.namesakes
        return self.pseudonyms.create_name(word, ignore_accents=not is_namesake)

    def _record(self, stand_in: str, original: str) -> None:
        if self.originals is not None:
            self.originals.setdefault(stand_in, original)


def _replace_ranges(text: str, replacements: Iterable[tuple[int, int, str]]) -> str:
    pieces: list[str] = []
    previous_end = 0
    for start, end, replacement in replacements:
        pieces += (text[previous_end:start], replacement)
        previous_end = end
    return "".join((*pieces, text[previous_end:]))


def session_names(session: ChatSession) -> set[str]:
    """Return the names in a session: participants, senders, nicknames, handles."""
    metadata = metadata_of(session)
    names = {*_iter_names(metadata)}
    if not metadata.get("is_group") and isinstance(title := metadata.get("title"), str):
        names.add(title)
    for message in session.get("messages", ()):
        names.update(_iter_names(message.additional_kwargs))
        if message.name:
            names.add(message.name)
    return names


def _iter_names(value: Any, *, is_name: bool = False) -> Iterator[str]:
    if isinstance(value, str) and is_name:
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if is_name and key not in _FIELDS:  # For example, nicknames by name.
                yield str(key)
            yield from _iter_names(item, is_name=is_name or _FIELDS.get(key) == "name")
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _iter_names(item, is_name=is_name)


def _looks_like_path(value: str) -> bool:
    if _LINK_SCHEME.match(value):
        return False
    has_folder = ("/" in value or "\\" in value) and not any(map(str.isspace, value))
    return has_folder or _SUFFIX.search(value) is not None
