"""The content of a message: typed text, or a sentence of the app."""

import re
from typing import Any, NamedTuple

from langchain_chatexports.chat_loaders.whatsapp import phrases
from langchain_chatexports.chat_loaders.whatsapp.phrases import (
    APP_MARKS,
    phrase_key,
    plain_text,
)

_MAX_PHRASE = 250
_MAX_OMITTED = 60
_MAX_OMITTED_WORDS = 6
_MAX_FILE_NAME = 260
_MAX_ATTACHED = 60
_MAX_PLACE = 500
_MAX_BRACKETS = 8
_VIEW_ONCE = "null"  # On Android, for a view-once picture.
_PHRASES = (
    phrases.DELETED
    | phrases.CALLS
    | phrases.NOTICES
    | frozenset(phrases.OMITTED_TYPES)
    | {_VIEW_ONCE}
)
_FIRST = 3
_STARTS = frozenset(phrase[:_FIRST] for phrase in _PHRASES)
_NOTABLE_FIRST = frozenset((*APP_MARKS, " ", "\t", "\u00a0"))
_ALL_MARKS = "".join(APP_MARKS)

_LOCATION = re.compile(
    r"(?:[^\W\d][^\n:]{0,40}: )?"
    r"(https://maps\.google\.com/\?q=-?[\d.]{1,20},-?[\d.]{1,20})"
    r"|(?s:.+)(https://foursquare\.com/v/[0-9a-f]{8,32})"
)
_POLL = re.compile(r"[^\W\d_]{3,20}: ?\n?")
# On Android, polls have no mark; they list all options with their votes.
_UNMARKED_POLL = re.compile(
    r"(?P<kind>[^\W\d_]{3,20}): ?\n[^\n]+\n"
    r"(?P<option>[^\W\d_]{3,20}): [^\n]*\(\d+ [^\n()]{1,20}\)"
    r"(?:\n(?P=option): [^\n]*\(\d+ [^\n()]{1,20}\))+"
)
_MENTION = re.compile("@\u2068([^\u2068\u2069\n]{1,100})\u2069")
_WORD = re.compile(r"[^\W\d_]")
_WEB_LINE = re.compile(r"(?P<call>\[Call: [^\n\]]+\])|Poll: [^\n]+(?:\n {4}- [^\n]*)+")
_WEB_STARTS = ("<", "[Call: ", "Poll: ")

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")
_LEADING_MARKS = re.compile(f"[{phrases.MARKS}\\s]+")
_NAME_OF_PHONE = re.compile(
    r"(?:IMG|VID|PTT|AUD|STK|DOC)-\d{8}-WA\d{1,8}\.\w{1,8}", re.ASCII
)


class Content(NamedTuple):
    """The content of a message."""

    kind: str  # The kind, as in `Message`.
    text: str
    # `attachments`, `edited`, and for the app's own lines `system`: `notice`, `call` or
    # `poll`.
    extra: dict[str, Any] | None = None


class ContentReader:
    """Reads the texts of one chat."""

    def __init__(self, form: str, *, is_mark_typed: bool = False) -> None:
        """Initialize the reader for an exporter: `ios`, `android` or `web`.

        Texts by an iPhone itself begin with a mark. With `is_mark_typed`, texts of
        people may begin with a right-to-left mark as well.
        """
        self._is_ios, self._is_web = form == "ios", form == "web"
        self._marks = APP_MARKS[:1] if is_mark_typed else APP_MARKS

    def read(self, text: str, *, is_edited: bool = False) -> Content | None:
        """Return the content of a text; `None` for plain text, the usual case.

        `is_edited` is set for the inner text of an edited message.
        """
        if not text:
            return Content("empty", "")
        if (
            text[:_FIRST].casefold() not in _STARTS
            and text[-1] not in ">)"
            and text[0] not in _NOTABLE_FIRST
            and not ("\n" in text and _has_notable_head(text))
            and "://" not in text
            and not (self._is_web and (") " in text or text.startswith(_WEB_STARTS)))
            and (text.isascii() or not self._is_notable(text))
        ):
            return None
        return self._read(text, is_edited=is_edited)

    def _is_notable(self, text: str) -> bool:
        if "\u2068" in text or text.endswith(phrases.ATTACHED_WITHOUT_BRACKETS):
            return True
        return self._is_ios and any(mark in text for mark in APP_MARKS)

    def _read(self, text: str, *, is_edited: bool) -> Content | None:
        if text[0] in _NOTABLE_FIRST and not plain_text(text).strip():
            return Content("empty", "")
        content = (
            self._with_note(text, is_edited=is_edited)
            or self._of_one_form(text)
            or self._sentence(text)
            or _attached(text)
            or _location(text)
            or _poll(text)
        )
        if content is None and self._is_ios and text.startswith(self._marks):
            return _by_iphone(text)
        shown = _MENTION.sub(r"@\1", content.text if content else text)
        if content:
            return content._replace(text=shown)
        return None if shown == text else Content("text", shown)

    def _with_note(self, text: str, *, is_edited: bool) -> Content | None:
        """Read a text that ends in an attachment or an edited note, in brackets."""
        if not text.endswith(">"):
            return None
        at = text.rfind("<")
        if at < 0 or len(text) - at > _MAX_PHRASE:
            return None
        note, before = text[at + 1 : -1], text[:at]
        is_marked = before.endswith(APP_MARKS)
        if is_marked and (name := _file_in_note(note)) is not None:
            # A caption precedes it, or the app's description of a document.
            caption = before.rstrip(f" \n{_ALL_MARKS}")
            is_of_app = any(mark in caption for mark in APP_MARKS)
            return _media(name, "" if is_of_app else caption)
        is_note = phrase_key(note) in phrases.EDITED or (
            is_marked and self._is_ios and before[:-1]
        )
        if is_note and not is_edited:
            inner_text = before.rstrip(f" {_ALL_MARKS}")
            inner = self.read(inner_text, is_edited=True) or Content("text", inner_text)
            return inner._replace(extra={**(inner.extra or {}), "edited": True})
        return None

    def _of_one_form(self, text: str) -> Content | None:
        if self._is_ios and not text.startswith(APP_MARKS):
            return _omitted_at_end(text)
        if self._is_web and (found := _WEB_LINE.fullmatch(text)):
            return _by_app("call" if found["call"] else "poll", text)
        return None

    def _sentence(self, text: str) -> Content | None:  # noqa: PLR0911 - one a kind
        """Read a text that is one sentence of the app, perhaps with a caption."""
        head, caption = self._head_and_caption(text)
        if len(head) > _MAX_PHRASE:
            return None
        bare, key = plain_text(head).strip(), phrase_key(head)
        if bare.startswith("<") and bare.endswith(">"):
            return _omitted(key, caption) if _is_omitted(key, bare) else None
        if caption:
            return None
        if key in phrases.DELETED or key.startswith(phrases.DELETED_BY_ADMIN):
            return Content("unsent", bare)
        if key in phrases.OMITTED_TYPES:
            has_mark = self._is_ios or text.startswith(APP_MARKS)
            return _omitted(key) if has_mark or key == phrases.LIVE_LOCATION else None
        if text == _VIEW_ONCE:
            return None if self._is_ios else _omitted()
        if key in phrases.CALLS:
            return _by_app("call", bare)
        return _by_app("notice", bare) if key in phrases.NOTICES else None

    def _head_and_caption(self, text: str) -> tuple[str, str]:
        head, _, tail = text.partition("\n")
        marker, _, caption = head.partition("> ")
        if (
            self._is_web
            and caption
            and marker.startswith("<")
            and phrase_key(marker) in phrases.OMITTED | phrases.OMITTED_TYPES.keys()
        ):
            return f"{marker}>", "\n".join(filter(None, (caption, tail)))
        return head, tail


def attachment(name: str) -> dict[str, str]:
    """Return type and name of an attached file."""
    *parts, suffix = re.split("[-.]", name)
    known = map(phrases.TYPES_BY_NAME.get, (*parts[:2], suffix.lower()))
    return {"type": next(filter(None, known), "file"), "uri": name}


def _media(name: str, caption: str) -> Content:
    return _with_caption(attachment(name), caption.strip())


def _omitted(key: str = "", caption: str = "") -> Content:
    """Return the content of an attachment that was not exported."""
    kind = phrases.OMITTED_TYPES.get(key)
    return _with_caption({"type": kind} if kind else None, caption)


def _with_caption(attached: dict[str, str] | None, caption: str = "") -> Content:
    extra = {"attachments": [attached]} if attached else None
    if caption:
        return Content("text", caption, extra)
    return Content(
        "media", f"[{attached['type'] if attached else 'attachment'}]", extra
    )


def _by_app(what: str, text: str) -> Content:
    return Content("system", text, {"system": what})


def _by_iphone(text: str) -> Content:
    """Read a text that begins with the mark of the iPhone itself."""
    plain = plain_text(text).strip()
    first, _, rest = plain.partition("\n")
    if not rest and _ends_as_omitted(first):
        return _omitted()
    if rest and _POLL.match(first) and first.partition(":")[0].isupper():
        return _by_app("poll", plain)
    has_inner_mark = not rest and any(f", {mark}" in text for mark in APP_MARKS)
    is_call = has_inner_mark or phrase_key(plain) in phrases.CALLS
    return _by_app("call" if is_call else "notice", plain)


def _has_notable_head(text: str) -> bool:
    # A caption follows the placeholder of an attachment.
    head = text.partition("\n")[0].rstrip()
    return head.endswith((">", ")", phrases.ATTACHED_WITHOUT_BRACKETS))


def _is_omitted(key: str, bare: str) -> bool:
    if key in phrases.OMITTED or key in phrases.OMITTED_TYPES:
        return True
    # In other languages: a short text in brackets. People also type <sigh>, but the app
    # writes a single ASCII word in no language.
    inner = bare[1:-1].strip()
    return (
        0 < len(inner) <= _MAX_OMITTED
        and "<" not in inner
        and ">" not in inner
        and _WORD.search(inner) is not None
        and not (inner.isascii() and " " not in inner)
    )


def _omitted_at_end(text: str) -> Content | None:
    """Read a text that ends with an iPhone's placeholder for an attachment."""
    at = max(map(text.rfind, APP_MARKS))
    sentence = text[at + 1 :]
    if at < 0 or len(sentence) > _MAX_PHRASE or "\n" in sentence:
        return None
    key = phrase_key(sentence)
    if key not in phrases.OMITTED_TYPES and not _ends_as_omitted(sentence):
        return None
    before = text[:at].strip()
    # A document is written as `talk.pdf • LRM2 pages LRMdocument omitted`.
    name, bullet, pages = before.partition(" • ")
    if bullet and pages.startswith(APP_MARKS):
        return _media(name, "")
    return _omitted(key, before)


def _ends_as_omitted(sentence: str) -> bool:
    words = phrase_key(sentence).split()
    if not 0 < len(words) <= _MAX_OMITTED_WORDS or any(map(str.isdecimal, sentence)):
        return False
    last = words[-1]
    return (
        last in phrases.OMITTED_ENDS
        if last.isascii()
        else last.endswith(phrases.OMITTED_ENDS)
    )


def _attached(text: str) -> Content | None:
    """Read an attachment in Android's form.

    `IMG-20220327-WA0001.jpg (file attached)`, with the caption on the next lines, or on
    the same line in WhatsApp Web. In Persian there are no brackets.
    """
    head, _, tail = text.partition("\n")
    start = _LEADING_MARKS.match(head)
    line = head[start.end() :] if start else head
    name = line.rstrip().removesuffix(phrases.ATTACHED_WITHOUT_BRACKETS).strip()
    if len(name) < len(line.strip()) and _ends_in_suffix(name):
        return _media(name, tail)
    # Names may contain brackets, so try each closing bracket from the left.
    at = -1
    for _ in range(_MAX_BRACKETS):
        at = line.find(" (", at + 1, _MAX_FILE_NAME)
        if at < 0:
            return None
        end = line.find(")", at, at + _MAX_ATTACHED)
        name, words = line[:at], line[at + 2 : end]
        if end < 0 or not _ends_in_suffix(name):
            continue
        behind = line[end + 1 :].strip()
        is_sure = start is not None or _NAME_OF_PHONE.fullmatch(name) is not None
        if words.strip().casefold() in phrases.ATTACHED or (is_sure and not behind):
            return _media(name, "\n".join(filter(None, (behind, tail))))
    return None


def _file_in_note(note: str) -> str | None:
    """Return the file name in an iPhone's note without angle brackets.

    Notes are `attached: F`, `附件：F` and Turkish `F eklendi`.
    """
    cleaned = _LEADING_MARKS.sub(" ", note).strip()
    for colon in (": ", "：", ":"):
        _, found, name = cleaned.partition(colon)
        if found and _ends_in_suffix(name.strip()):
            return name.strip()
    name, _, word = cleaned.rpartition(" ")
    return name if word.isalpha() and _ends_in_suffix(name) else None


def _ends_in_suffix(name: str) -> bool:
    dot = name.rfind(".")
    return dot > 0 and _SUFFIX.fullmatch(name, dot) is not None


def _poll(text: str) -> Content | None:
    found = _UNMARKED_POLL.fullmatch(text) if text.endswith(")") else None
    is_of_app = found and found["kind"] == found["kind"].upper()
    return _by_app("poll", text) if is_of_app else None


def _location(text: str) -> Content | None:
    if len(text) > _MAX_PLACE or "://" not in text:
        return None
    found = _LOCATION.fullmatch(plain_text(text).strip())
    uri = found and (found[1] or found[2])
    return _with_caption({"type": "location", "uri": uri}) if uri else None
