"""What a message says: typed text, or what the app wrote in its place."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from langchain_chatexports.chat_loaders.whatsapp.headers import plain_text
from langchain_chatexports.chat_loaders.whatsapp.media import (
    attached_file,
    attachment,
    file_in_note,
)
from langchain_chatexports.chat_loaders.whatsapp.phrases import (
    ATTACHED_WITHOUT_BRACKETS,
    CALLS,
    DELETED,
    DELETED_BY_ADMIN,
    DELETED_BY_OWNER,
    EDITED,
    LIVE_LOCATION,
    NOTICES,
    OMITTED,
    OMITTED_ENDS,
    OMITTED_KINDS,
    phrase_key,
)

__all__ = ["APP_MARKS", "REASONS", "Content", "ContentReader"]

APP_MARKS = ("\u200e", "\u200f")
"""What the texts that an iPhone writes itself begin with."""

REASONS = {
    "attachment": "media",
    "view_once": "media",
    "location": "media",
    "deleted": "unsent",
    "deleted_by_owner": "unsent",
    "empty": "empty",
}
"""What `skipped` calls the kinds of content; the others are `system`."""

_MAX_PHRASE_LENGTH = 250
_MAX_OMITTED_LENGTH = 60
_MAX_OMITTED_WORDS = 6
_VIEW_ONCE = "null"  # Of Android, for a picture that could be seen once.
_SELF_DESTROYED = "."  # Of old versions, behind the colon.
_PHRASES = (
    DELETED | CALLS | NOTICES | frozenset(OMITTED_KINDS) | {_VIEW_ONCE, _SELF_DESTROYED}
)
_STARTS = frozenset(phrase[:3] for phrase in _PHRASES)
_FIRST = 3
_NOTABLE_FIRST = frozenset((*APP_MARKS, " ", "\t", "\u00a0"))

_LOCATION = re.compile(
    r"(?:[^\W\d][^\n:]{0,40}: )?"
    r"(?P<uri>https://maps\.google\.com/\?q=-?[\d.]{1,20},-?[\d.]{1,20})"
)
_PLACE = re.compile(r"https://foursquare\.com/v/[0-9a-f]{8,32}")
_MAX_PLACE_LENGTH = 500
_POLL = re.compile(r"[^\W\d_]{3,20}: ?\n?")
# Of Android, which puts no mark before it: all options are there with their votes.
_UNMARKED_POLL = re.compile(
    r"(?P<kind>[^\W\d_]{3,20}): ?\n[^\n]+\n"
    r"(?P<option>[^\W\d_]{3,20}): [^\n]*\(\d+ [^\n()]{1,20}\)"
    r"(?:\n(?P=option): [^\n]*\(\d+ [^\n()]{1,20}\))+"
)
_MENTION = re.compile("@\u2068([^\u2068\u2069\n]{1,100})\u2069")
_WORD = re.compile(r"[^\W\d_]")
_WEB_CALL = re.compile(r"\[Call: [^\n\]]+\]")
_WEB_POLL = re.compile(r"Poll: [^\n]+(?:\n {4}- [^\n]*)+")
_WEB_STARTS = ("<", "[Call: ", "Poll: ")


class Content(NamedTuple):
    """What a message says."""

    kind: str | None
    """Why nobody typed it: a key of `REASONS`, `call`, `poll` or `notice`."""

    text: str
    extra: dict[str, Any] | None = None
    """`attachments` and `edited`, as they will be in the message."""


class ContentReader:
    """Reads the texts of one chat: what was typed, and what the app wrote."""

    def __init__(
        self, *, has_marks: bool, is_mark_typed: bool, is_web: bool = False
    ) -> None:
        """Initialize the reader.

        Args:
            has_marks: Whether a mark at the beginning says that the app wrote a text,
                as on an iPhone.
            is_mark_typed: Whether people's own texts begin with the mark of
                right-to-left writing, too.
            is_web: Whether WhatsApp Web made the export, which puts captions behind
                what stands for the attachment.
        """
        self._is_web = is_web
        self._has_marks = has_marks
        self._marks = APP_MARKS[:1] if is_mark_typed else APP_MARKS

    def read(self, text: str) -> Content | None:
        """Return what a text is; `None` for a plain one, which is most of them."""
        if not text:
            return Content("empty", "")
        if (
            text[:_FIRST].casefold() not in _STARTS
            and text[-1] not in ">)"
            and text[0] not in _NOTABLE_FIRST
            and not ("\n" in text and _has_notable_head(text))
            and "://" not in text
            and (text.isascii() or not _is_notable(text))
            and not (self._is_web and (") " in text or text.startswith(_WEB_STARTS)))
            and (
                not self._has_marks
                or text.isascii()
                or not any(mark in text for mark in APP_MARKS)
            )
        ):
            return None
        return self._read(text)

    def _read(self, text: str) -> Content | None:
        if text[0] in _NOTABLE_FIRST and not plain_text(text).strip():
            return Content("empty", "")
        forms = (
            *(self._with_note, self._of_phone, self._whole),
            *(_attached, _location, _poll),
        )
        for form in forms:
            content = form(text)
            if content is not None:
                return content._replace(text=_without_mention_marks(content.text))
        if self._has_marks and text.startswith(self._marks):
            return self._by_app(text)
        shown = _without_mention_marks(text)
        return None if shown == text else Content(None, shown)

    def _of_phone(self, text: str) -> Content | None:
        """Read a form that only an iPhone or only the web has."""
        if self._has_marks and not text.startswith(APP_MARKS):
            return _omitted_at_end(text)
        if self._is_web and _WEB_CALL.fullmatch(text):
            return Content("call", text)
        if self._is_web and _WEB_POLL.fullmatch(text):
            return Content("poll", text)
        return None

    def _whole(self, text: str) -> Content | None:  # noqa: PLR0911 - one a kind
        """Read a text that is one sentence of the app."""
        head, tail = self._head_and_tail(text)
        if len(head) > _MAX_PHRASE_LENGTH:
            return None
        bare = plain_text(head).strip()
        key = phrase_key(head)
        is_bracketed = bare.startswith("<") and bare.endswith(">")
        if is_bracketed and _is_omitted(key, bare):
            extra = _omitted(key)
            return (
                Content(None, tail, extra) if tail else Content("attachment", "", extra)
            )
        if not tail and key.startswith(DELETED_BY_ADMIN):
            return Content("deleted", bare)
        if tail or is_bracketed or key not in _PHRASES:
            return None
        if key in DELETED:
            return Content(
                "deleted_by_owner" if key in DELETED_BY_OWNER else "deleted", bare
            )
        if key in OMITTED_KINDS:
            is_typed = not (
                self._has_marks or text.startswith(APP_MARKS) or key == LIVE_LOCATION
            )
            return None if is_typed else Content("attachment", "", _omitted(key))
        if text == _VIEW_ONCE:
            return None if self._has_marks else Content("view_once", "")
        if text == _SELF_DESTROYED:
            return None
        if key in CALLS:
            return Content("call", bare)
        return Content("notice", bare) if key in NOTICES else None

    def _head_and_tail(self, text: str) -> tuple[str, str]:
        head, _, tail = text.partition("\n")
        marker, _, caption = head.partition("> ")
        if (
            self._is_web
            and caption
            and marker.startswith("<")
            and phrase_key(marker) in OMITTED | OMITTED_KINDS.keys()
        ):
            return f"{marker}>", "\n".join(filter(None, (caption, tail)))
        return head, tail

    def _with_note(self, text: str) -> Content | None:
        """Read a text that ends in an attachment or an edited note, in brackets."""
        if not text.endswith(">"):
            return None
        at = text.rfind("<")
        if at < 0 or len(text) - at > _MAX_PHRASE_LENGTH:
            return None
        note, before = text[at + 1 : -1], text[:at]
        is_marked = before.endswith(APP_MARKS)
        file = file_in_note(note) if is_marked else None
        if file is not None:
            # Before it stands a caption, or what the app says of a document.
            caption = before.rstrip(f" \n{''.join(APP_MARKS)}")
            is_of_app = any(mark in caption for mark in APP_MARKS)
            return _media(file, "" if is_of_app else caption)
        if phrase_key(note) in EDITED or (
            is_marked and self._has_marks and before[:-1]
        ):
            said = before.rstrip(f" {''.join(APP_MARKS)}")
            inner = self.read(said) if said else Content("empty", "")
            if inner is None:
                return Content(None, said, {"edited": True})
            return inner._replace(extra={**(inner.extra or {}), "edited": True})
        return None

    def _by_app(self, text: str) -> Content:
        said = plain_text(text).strip()
        first, _, rest = said.partition("\n")
        if not rest and _ends_as_omitted(first):
            return Content("attachment", "", None)
        if rest and _POLL.match(first) and first.partition(":")[0].isupper():
            return Content("poll", said)
        if not rest and any(f", {mark}" in text for mark in APP_MARKS):
            return Content("call", said)
        return Content("call" if phrase_key(said) in CALLS else "notice", said)


def _without_mention_marks(text: str) -> str:
    return _MENTION.sub(r"@\1", text)


def _is_notable(text: str) -> bool:
    return "\u2068" in text or text.endswith(ATTACHED_WITHOUT_BRACKETS)


def _has_notable_head(text: str) -> bool:
    # A caption follows what stands for the attachment.
    head = text.partition("\n")[0].rstrip()
    return head.endswith((">", ")", *ATTACHED_WITHOUT_BRACKETS))


def _is_omitted(key: str, bare: str) -> bool:
    if key in OMITTED or key in OMITTED_KINDS:
        return True
    # Of a language that is not in the table: a short text in brackets. People type
    # <sigh>, too, but no language of the app writes it as one word of ASCII.
    inner = bare[1:-1].strip()
    return (
        0 < len(inner) <= _MAX_OMITTED_LENGTH
        and "<" not in inner
        and ">" not in inner
        and _WORD.search(inner) is not None
        and not (inner.isascii() and " " not in inner)
    )


def _omitted_at_end(text: str) -> Content | None:
    """Read a text that ends in an iPhone's mark and sentence for what it left out."""
    at = max(text.rfind(mark) for mark in APP_MARKS)
    said = text[at + 1 :]
    if at < 0 or len(said) > _MAX_PHRASE_LENGTH or "\n" in said:
        return None
    key = phrase_key(said)
    if key not in OMITTED_KINDS and not _ends_as_omitted(said):
        return None
    before = text[:at].strip()
    # Of a document: `talk.pdf • LRM2 pages LRMdocument omitted`.
    name, bullet, pages = before.partition(" • ")
    if bullet and pages.startswith(APP_MARKS):
        return _media(name, "")
    return Content(None, before, _omitted(key))


def _ends_as_omitted(said: str) -> bool:
    if any(digit.isdecimal() for digit in said):
        return False
    words = phrase_key(said).split()
    if not words or len(words) > _MAX_OMITTED_WORDS:
        return False
    return (
        words[-1].endswith(tuple(OMITTED_ENDS))
        if not words[-1].isascii()
        else (words[-1] in OMITTED_ENDS)
    )


def _omitted(key: str) -> dict[str, Any] | None:
    kind = OMITTED_KINDS.get(key)
    return {"attachments": [{"type": kind}]} if kind else None


def _attached(text: str) -> Content | None:
    found = attached_file(text)
    return None if found is None else _media(*found)


def _media(name: str, caption: str) -> Content:
    extra = {"attachments": [attachment(name)]}
    said = caption.strip()
    return Content(None if said else "attachment", said, extra)


def _poll(text: str) -> Content | None:
    if "\n" not in text or not text.endswith(")"):
        return None
    found = _UNMARKED_POLL.fullmatch(text)
    is_of_app = found and found["kind"] == found["kind"].upper()
    return Content("poll", text) if is_of_app else None


def _location(text: str) -> Content | None:
    if len(text) > _MAX_PLACE_LENGTH or "://" not in text:
        return None
    bare = plain_text(text).strip()
    found = _LOCATION.fullmatch(bare)
    uri = found["uri"] if found else None
    if uri is None:
        *before, last = bare.split("\n")
        start = last.find("https://")
        if start < 0 or not _PLACE.fullmatch(last, start) or not (start or before):
            return None
        uri = last[start:]
    return Content("location", "", {"attachments": [{"type": "location", "uri": uri}]})
