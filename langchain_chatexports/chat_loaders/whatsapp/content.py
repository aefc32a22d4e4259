"""Recognize attachments, notices and other phrases written by the app."""

import re
from collections.abc import Collection
from typing import Any

from langchain_chatexports.chat_loaders.messages import (
    Message,
    attachment,
    placeholder_text,
)
from langchain_chatexports.chat_loaders.schema import Attachment
from langchain_chatexports.chat_loaders.whatsapp import phrases
from langchain_chatexports.chat_loaders.whatsapp.phrases import (
    APP_MARKS,
    phrase_key,
    to_plain_text,
)

_MAX_PHRASE_LENGTH = 250
_MAX_OMITTED_LENGTH = 60
_MAX_OMITTED_WORDS = 6
_MAX_FILE_NAME_LENGTH = 260
_MAX_ATTACHED_LENGTH = 60
_MAX_LOCATION_LENGTH = 500
_MAX_BRACKETS = 8
_VIEW_ONCE = "null"  # Android's text for a view-once picture.
_PHRASES = (
    phrases.DELETED
    | phrases.CALLS
    | phrases.NOTICES
    | frozenset(phrases.OMITTED_TYPES)
    | {_VIEW_ONCE}
)
_PREFIX_LENGTH = 3
_PREFIXES = frozenset(phrase[:_PREFIX_LENGTH] for phrase in _PHRASES)
_SPECIAL_FIRST_CHARACTERS = frozenset((*APP_MARKS, " ", "\t", "\u00a0"))
_ALL_MARKS = "".join(APP_MARKS)

_LOCATION = re.compile(
    r"(?:[^\W\d][^\n:]{0,40}: )?"
    r"(https://maps\.google\.com/\?q=-?[\d.]{1,20},-?[\d.]{1,20})"
    r"|(?s:.+)(https://foursquare\.com/v/[0-9a-f]{8,32})"
)
_POLL = re.compile(r"[^\W\d_]{3,20}: ?\n?")
# Android polls have no mark. They list all options with their votes.
_UNMARKED_POLL = re.compile(
    r"(?P<kind>[^\W\d_]{3,20}): ?\n[^\n]+\n"
    r"(?P<option>[^\W\d_]{3,20}): [^\n]*\(\d+ [^\n()]{1,20}\)"
    r"(?:\n(?P=option): [^\n]*\(\d+ [^\n()]{1,20}\))+"
)
_MENTION = re.compile("@\u2068([^\u2068\u2069\n]{1,100})\u2069")
_WORD = re.compile(r"[^\W\d_]")
_WEB_LINE = re.compile(r"(?P<call>\[Call: [^\n\]]+\])|Poll: [^\n]+(?:\n {4}- [^\n]*)+")
_WEB_PREFIXES = ("<", "[Call: ", "Poll: ")

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")
_LEADING_MARKS = re.compile(f"[{phrases.MARKS}\\s]+")
_PHONE_FILE_NAME = re.compile(
    r"(?:IMG|VID|PTT|AUD|STK|DOC)-\d{8}-WA\d{1,8}\.\w{1,8}", re.ASCII
)


class ContentReader:
    """Parses the texts of one chat to messages, without time and sender.

    The keys in `extra` are `attachments`, `edited`, and `system` if the app wrote the
    message: `notice`, `call` or `poll`.
    """

    def __init__(
        self,
        exporter: str,
        *,
        keyboard_types_marks: bool = False,
        omitted: Collection[str] = (),
    ) -> None:
        """Initialize the reader for an exporter: `ios`, `android` or `web`.

        Text written by the iPhone app begins with a mark. If `keyboard_types_marks`,
        messages from people may also begin with a right-to-left mark. `omitted` has
        this chat's phrases for attachments, which no table knows.
        """
        self._omitted = omitted
        self._is_ios, self.is_web = exporter == "ios", exporter == "web"
        self._marks = APP_MARKS[:1] if keyboard_types_marks else APP_MARKS

    def read(self, text: str, *, is_edited: bool = False) -> Message | None:
        """Parse a message. Return `None` for plain text, the usual case.

        `is_edited` is true if the note of an edited message was already removed.
        """
        if not text:
            return _create("empty", "")
        if (
            text[:_PREFIX_LENGTH].casefold() not in _PREFIXES
            and text[-1] not in ">)"
            and text[0] not in _SPECIAL_FIRST_CHARACTERS
            and not ("\n" in text and _has_special_head(text))
            and "://" not in text
            and not (self.is_web and (") " in text or text.startswith(_WEB_PREFIXES)))
            and (text.isascii() or not self._is_special(text))
        ):
            return None
        return self._read(text, is_edited=is_edited)

    def _is_special(self, text: str) -> bool:
        if "\u2068" in text or text.endswith(phrases.ATTACHED_WITHOUT_BRACKETS):
            return True
        return self._is_ios and any(mark in text for mark in APP_MARKS)

    def _read(self, text: str, *, is_edited: bool) -> Message | None:
        if text[0] in _SPECIAL_FIRST_CHARACTERS and not to_plain_text(text).strip():
            return _create("empty", "")
        message = (
            self._parse_note(text, is_edited=is_edited)
            or self._parse_by_exporter(text)
            or self._parse_phrase(text)
            or _parse_attachment(text)
            or _parse_location(text)
            or _parse_poll(text)
        )
        if message is None and self._is_ios and text.startswith(self._marks):
            return _parse_iphone_text(text)
        if message is None:
            message = _create("text", text)
        message.text = _MENTION.sub(r"@\1", message.text)
        return message

    def _parse_note(self, text: str, *, is_edited: bool) -> Message | None:
        """Parse text that ends with an attachment or edited note in brackets."""
        if not text.endswith(">"):
            return None
        at = text.rfind("<")
        if at < 0 or len(text) - at > _MAX_PHRASE_LENGTH:
            return None
        note, body = text[at + 1 : -1], text[:at]
        is_marked = body.endswith(APP_MARKS)
        if is_marked and (name := _parse_file_name(note)) is not None:
            # The body is a caption, or the app's description of a document.
            caption = body.rstrip(f" \n{_ALL_MARKS}")
            is_description = any(mark in caption for mark in APP_MARKS)
            return _build_media(name, "" if is_description else caption)
        is_note = phrase_key(note) in phrases.EDITED or (
            is_marked and self._is_ios and body[:-1]
        )
        if is_note and not is_edited:
            inner_text = body.rstrip(f" {_ALL_MARKS}")
            inner = self.read(inner_text, is_edited=True) or _create("text", inner_text)
            inner.extra["edited"] = True
            return inner
        return None

    def _parse_by_exporter(self, text: str) -> Message | None:
        if self._is_ios and not text.startswith(APP_MARKS):
            return _parse_omitted(text)
        if self.is_web and (match := _WEB_LINE.fullmatch(text)):
            return _build_system("call" if match["call"] else "poll", text)
        return None

    def _parse_phrase(self, text: str) -> Message | None:  # noqa: PLR0911 - per kind
        """Parse one of the app's phrases, optionally followed by a caption."""
        head, caption = self._split_caption(text)
        if len(head) > _MAX_PHRASE_LENGTH:
            return None
        phrase, key = to_plain_text(head).strip(), phrase_key(head)
        if phrase.startswith("<") and phrase.endswith(">"):
            is_omitted = key in phrases.OMITTED or key in phrases.OMITTED_TYPES
            is_learned = key in self._omitted and _may_be_omitted(phrase)
            return _build_omitted(key, caption) if is_omitted or is_learned else None
        if caption:
            return None
        if key in phrases.DELETED or key.startswith(phrases.DELETED_BY_ADMIN):
            return _create("unsent", phrase)
        if key in phrases.OMITTED_TYPES:
            has_mark = self._is_ios or text.startswith(APP_MARKS)
            return (
                _build_omitted(key)
                if has_mark or key == phrases.LIVE_LOCATION
                else None
            )
        if text == _VIEW_ONCE:
            return None if self._is_ios else _build_omitted()
        if key in phrases.CALLS:
            return _build_system("call", phrase)
        return _build_system("notice", phrase) if key in phrases.NOTICES else None

    def _split_caption(self, text: str) -> tuple[str, str]:
        head, _, tail = text.partition("\n")
        marker, _, caption = head.partition("> ")
        if (
            self.is_web
            and caption
            and marker.startswith("<")
            and phrase_key(marker) in phrases.OMITTED | phrases.OMITTED_TYPES.keys()
        ):
            return f"{marker}>", "\n".join(filter(None, (caption, tail)))
        return head, tail


def _describe_attachment(name: str) -> Attachment:
    """Return the type and name of an attached file."""
    *parts, suffix = re.split("[-.]", name)
    types = map(phrases.TYPES_BY_NAME.get, (*parts[:2], suffix.lower()))
    return attachment(name, kind=next(filter(None, types), "file"))


def _build_media(name: str, caption: str) -> Message:
    return _add_caption(_describe_attachment(name), caption.strip())


def _build_omitted(key: str = "", caption: str = "") -> Message:
    """Return a message whose attachment was not exported."""
    kind = phrases.OMITTED_TYPES.get(key)
    return _add_caption(attachment(kind=kind) if kind else None, caption)


def _add_caption(attached: Attachment | None, caption: str = "") -> Message:
    attachments = [attached] if attached else []
    extra = {"attachments": attachments} if attachments else {}
    if caption:
        return _create("text", caption, **extra)
    return _create("media", placeholder_text(attachments), **extra)


def _build_system(kind: str, text: str) -> Message:
    return _create("system", text, system=kind)


def _create(kind: str, text: str, **extra: Any) -> Message:
    return Message(None, "", text, kind, extra=extra)


def _parse_iphone_text(text: str) -> Message:
    """Parse text that begins with a mark of the iPhone app."""
    plain_text = to_plain_text(text).strip()
    first_line, _, rest = plain_text.partition("\n")
    if not rest and _is_placeholder(first_line):
        return _build_omitted()
    if rest and _POLL.match(first_line) and first_line.partition(":")[0].isupper():
        return _build_system("poll", plain_text)
    has_inner_mark = not rest and any(f", {mark}" in text for mark in APP_MARKS)
    is_call = has_inner_mark or phrase_key(plain_text) in phrases.CALLS
    return _build_system("call" if is_call else "notice", plain_text)


def _has_special_head(text: str) -> bool:
    # A caption follows the placeholder of an attachment.
    head = text.partition("\n")[0].rstrip()
    return head.endswith((">", ")", phrases.ATTACHED_WITHOUT_BRACKETS))


def _may_be_omitted(phrase: str) -> bool:
    # Every language has a short phrase in brackets, but never a single ASCII word.
    inner = phrase[1:-1].strip()
    return (
        0 < len(inner) <= _MAX_OMITTED_LENGTH
        and "<" not in inner
        and ">" not in inner
        and _WORD.search(inner) is not None
        and not (inner.isascii() and " " not in inner)
    )


def _parse_omitted(text: str) -> Message | None:
    """Parse text that ends with an iPhone's placeholder for an attachment."""
    at = max(map(text.rfind, APP_MARKS))
    phrase = text[at + 1 :]
    if at < 0 or len(phrase) > _MAX_PHRASE_LENGTH or "\n" in phrase:
        return None
    key = phrase_key(phrase)
    if key not in phrases.OMITTED_TYPES and not _is_placeholder(phrase):
        return None
    caption = text[:at].strip()
    # Documents look like `talk.pdf • LRM2 pages LRMdocument omitted`.
    name, bullet, pages = caption.partition(" • ")
    if bullet and pages.startswith(APP_MARKS):
        return _build_media(name, "")
    return _build_omitted(key, caption)


def _is_placeholder(phrase: str) -> bool:
    words = phrase_key(phrase).split()
    if not 0 < len(words) <= _MAX_OMITTED_WORDS or any(map(str.isdecimal, phrase)):
        return False
    last = words[-1]
    return (
        last in phrases.OMITTED_SUFFIXES
        if last.isascii()
        else last.endswith(phrases.OMITTED_SUFFIXES)
    )


def _parse_attachment(text: str) -> Message | None:
    """Parse an attachment such as `IMG-20220327-WA0001.jpg (file attached)`.

    Android writes the caption on the next lines, WhatsApp Web on the same line. The
    Persian phrase has no brackets.
    """
    head, _, tail = text.partition("\n")
    start = _LEADING_MARKS.match(head)
    line = head[start.end() :] if start else head
    name = line.rstrip().removesuffix(phrases.ATTACHED_WITHOUT_BRACKETS).strip()
    if len(name) < len(line.strip()) and _has_suffix(name):
        return _build_media(name, tail)
    # File names may contain brackets, so try each bracket from the left.
    at = -1
    for _ in range(_MAX_BRACKETS):
        at = line.find(" (", at + 1, _MAX_FILE_NAME_LENGTH)
        if at < 0:
            return None
        end = line.find(")", at, at + _MAX_ATTACHED_LENGTH)
        name, words = line[:at], line[at + 2 : end]
        if end < 0 or not _has_suffix(name):
            continue
        caption = line[end + 1 :].strip()
        is_certain = start is not None or _PHONE_FILE_NAME.fullmatch(name) is not None
        if words.strip().casefold() in phrases.ATTACHED or (is_certain and not caption):
            return _build_media(name, "\n".join(filter(None, (caption, tail))))
    return None


def _parse_file_name(note: str) -> str | None:
    """Return the file name in an iPhone's note, passed without angle brackets.

    Notes are `attached: F`, `附件：F` and Turkish `F eklendi`.
    """
    note = _LEADING_MARKS.sub(" ", note).strip()
    for colon in (": ", "：", ":"):
        _, separator, name = note.partition(colon)
        if separator and _has_suffix(name.strip()):
            return name.strip()
    name, _, word = note.rpartition(" ")
    return name if word.isalpha() and _has_suffix(name) else None


def _has_suffix(name: str) -> bool:
    dot = name.rfind(".")
    return dot > 0 and _SUFFIX.fullmatch(name, dot) is not None


def _parse_poll(text: str) -> Message | None:
    match = _UNMARKED_POLL.fullmatch(text) if text.endswith(")") else None
    is_poll = match and match["kind"] == match["kind"].upper()
    return _build_system("poll", text) if is_poll else None


def _parse_location(text: str) -> Message | None:
    if len(text) > _MAX_LOCATION_LENGTH or "://" not in text:
        return None
    match = _LOCATION.fullmatch(to_plain_text(text).strip())
    uri = match and (match[1] or match[2])
    return _add_caption({"type": "location", "uri": uri}) if uri else None
