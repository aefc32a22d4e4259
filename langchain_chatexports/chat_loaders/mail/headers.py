"""Read the headers of a message, and find why it is not part of a talk."""

import csv
import re
from binascii import a2b_base64, a2b_qp
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message as Parameters
from email.utils import getaddresses, mktime_tz, parsedate_tz
from functools import cached_property, lru_cache

from langchain_chatexports.chat_loaders.json_data import replace_lone_surrogates
from langchain_chatexports.chat_loaders.legacy_text import LEGACY_FALLBACK
from langchain_chatexports.chat_loaders.times import MICROSECONDS

_MAX_HEADER = 20_000
_MAX_PARAMETERS = 4_000  # `email` parses them in quadratic time.
_HEAD = re.compile(
    rb"(?:From [^\n]*\n)?(?:[!-9;-~]++:[^\n]*+(?:\n[ \t][^\n]*+)*+\n?)*+"
)
_FIELD = re.compile(rb"^([!-9;-~]+):([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,500})>")
_MIN_TIME, _MAX_TIME = 315_532_800, 4_102_444_800  # 1980 to 2100
_CHARSETS = {"ks_c_5601-1987": "cp949", "gb2312": "gb18030", "iso-8859-1": "cp1252"}
_CHARSETS |= {"us-ascii": "utf-8", "utf8": "utf-8"}
_LABELS = {
    "sent": "sent gesendet envoyés enviados inviati sendt skickat verzonden 送信済み",
    "spam": "spam junk 迷惑メール",
    "deleted": "trash papierkorb corbeille papelera lixeira cestino ゴミ箱 papirkurv",
    "draft": "drafts entwürfe brouillons borradores rascunhos bozze 下書き utkast",
    "section": "chat chats",
}
_ROLES = {word: role for role, words in _LABELS.items() for word in words.split()}
_ROLES |= dict.fromkeys(("sent mail", "sent messages", "sent items"), "sent")
_ROLES |= {"messages envoyés": "sent", "posta inviata": "sent"}
REASONS = ("spam", "deleted", "draft", "section")
"""The kinds of messages that are skipped because of where they are."""

_EXPUNGED = 0x0008
# Of Maildir, whose `:` other systems replace.
_FLAGS = re.compile(r"[:;!_-]2,([A-Za-z]*)$")
_FLAG_ROLES = {"T": "deleted", "D": "draft"}
_AUTOMATIC = re.compile(
    r"(?:no[-_.]?reply|do[-_.]?not[-_.]?reply|mailer-daemon|postmaster|notifications?)@"
)
_BULK_SIGNS = {
    b"list-id": re.compile(".+"),
    b"list-unsubscribe": re.compile(".+"),
    b"precedence": re.compile("bulk|list|junk"),
    b"auto-submitted": re.compile("(?!no$).+"),
    b"return-path": re.compile("<>"),
}
_PREFIX = re.compile(
    r"(?:(?:re|fwd?|aw|wg|sv|vs|rv|tr|antw|res|enc|回复|返信|转发|答复)(?:\[\d{1,3}\])?\s?[:\uff1a]\s*)+",
    re.IGNORECASE,
)


class Part:
    """A message or a part of one, whose headers are decoded when they are asked for.

    `email` decodes all headers, in several steps, and the data of attachments.
    """

    def __init__(self, content: bytes) -> None:
        head = _HEAD.match(content)
        self._body_at = head.end() if head else 0
        self._content = content
        fields = _FIELD.findall(content, 0, self._body_at)
        self.fields = {name.lower(): value for name, value in reversed(fields)}
        """The first header of each name in lower case, as written."""

    @property
    def body(self) -> bytes:
        """What follows the headers and the empty line."""
        lines = self._content[self._body_at :]
        first, _, rest = lines.partition(b"\n")
        return lines if first.strip(b"\r") else rest

    @cached_property
    def parameters(self) -> Parameters:
        """The type and disposition, whose parameters `email` reads."""
        parameters = Parameters()
        for name in (b"content-type", b"content-disposition"):
            if value := self.fields.get(name):
                text = value[:_MAX_PARAMETERS].decode("utf-8", LEGACY_FALLBACK)
                parameters[name.decode()] = "".join(text.splitlines()).strip()
        return parameters

    @property
    def parts(self) -> "Iterator[Part]":
        """The parts of a multipart message."""
        boundary = (self.parameters.get_boundary() or "").encode()
        mark = re.compile(rb"\n--%b(--)?[ \t\r]*(?=\n|\Z)" % re.escape(boundary))
        body = b"\n" + self.body
        begin = None
        for found in mark.finditer(body) if boundary else ():
            if begin is not None:
                yield Part(body[begin : found.start()].removesuffix(b"\r"))
            begin = found.end() + 1
            if found[1]:
                return
        if begin is not None:
            yield Part(body[begin:])

    def get(self, name: bytes) -> str:
        """Return a header on one line; empty if it is missing."""
        value = self.fields.get(name)
        return "" if value is None else _on_one_line(value)

    def decode(self, charset: str) -> str:
        """Return the text of the body."""
        data, encoding = self.body, self.get(b"content-transfer-encoding").lower()
        if encoding == "quoted-printable":
            data = a2b_qp(data)
        elif encoding == "base64":
            data = _NOT_BASE64.sub(b"", data)
            # Of a text that was cut, half a byte may remain.
            data = data[:-1] if len(data) % 4 == 1 else data
            data = a2b_base64(data + b"=" * (-len(data) % 4))
        text = replace_lone_surrogates(decode_bytes(data, charset))
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
        return text.replace("\u00a0", " ")


def _on_one_line(value: bytes) -> str:
    """Decode a header, which is UTF-8 or, from old programs, cp1252."""
    return " ".join(value[:_MAX_HEADER].decode("utf-8", LEGACY_FALLBACK).split())


def decode_words(value: str) -> str:
    """Decode the encoded words of a header."""
    if "=?" not in value:
        return value
    try:
        parts = decode_header(value)
    except (ValueError, HeaderParseError):
        return value
    texts = (
        decode_bytes(part, charset or "utf-8") if isinstance(part, bytes) else part
        for part, charset in parts
    )
    return " ".join(replace_lone_surrogates("".join(texts)).split())


def decode_bytes(data: bytes, charset: str) -> str:
    """Decode text; what is not in the stated encoding is UTF-8 or cp1252."""
    charset = charset.strip(" \"'").partition(";")[0].lower()
    charset = _CHARSETS.get(charset, charset)
    if charset.startswith("punycode"):  # Of domains, in quadratic time.
        charset = "utf-8"
    for name in (charset, "utf-8"):
        try:
            return data.decode(name)
        except (LookupError, ValueError):
            continue
    if charset not in {"utf-8", "cp1252"}:
        with suppress(LookupError, ValueError):
            return data.decode(charset, "replace")
    return data.decode("utf-8", LEGACY_FALLBACK)


def read_addresses(part: Part, *names: bytes) -> dict[str, str]:
    """Return the names of people, by address in lower case."""
    found: dict[str, str] = {}
    for value in map(part.fields.get, names):
        if value is not None:
            people = _parse_addresses(value[:_MAX_HEADER])
            found = {**found, **people} if found else people
    return found


@lru_cache(maxsize=1024)  # Most mail is between few people.
def _parse_addresses(value: bytes) -> dict[str, str]:
    people: dict[str, str] = {}
    try:
        pairs = getaddresses([_on_one_line(value)])
    except RecursionError:  # Of many parentheses.
        return people
    for name, address in pairs:
        key = address.strip().lower()
        if "@" in key:
            shown = decode_words(name).strip(" '\"")
            shown = "" if shown.lower() == key else shown
            people[key] = shown or people.get(key, "")
    return people


def read_ids(part: Part, name: bytes) -> list[str]:
    """Return the message ids in a header."""
    value = part.get(name)
    if not value:
        return []
    is_bare = "@" in value and " " not in value
    return _MESSAGE_ID.findall(value) or ([value] if is_bare else [])


def read_time(part: Part, separator_date: str) -> int | None:
    """Return when a message was sent, from the first header with a plausible date."""
    for name in (b"date", b"received", b""):
        value = part.get(name).rpartition(";")[2] if name else separator_date
        seconds = _parse_date(value[:200])
        if _MIN_TIME < seconds < _MAX_TIME:
            return seconds * MICROSECONDS
    return None


def _parse_date(text: str) -> int:
    """Return seconds since 1970; 0 if it is not a date."""
    try:
        parsed = parsedate_tz(text)
        return mktime_tz(parsed) if parsed else 0
    except (ValueError, OverflowError, IndexError, TypeError):
        return 0


def read_roles(part: Part) -> set[str]:
    """Return the roles of a message by labels and flags, such as `sent`."""
    roles = set()
    if labels := decode_words(part.get(b"x-gmail-labels")):
        # Labels with commas are in quotation marks.
        roles = find_roles(next(csv.reader([labels], skipinitialspace=True)))
    if status := part.get(b"x-mozilla-status"):
        is_flag = re.fullmatch("[0-9a-fA-F]{4}", status)
        roles |= {"deleted"} if is_flag and int(status, 16) & _EXPUNGED else set()
    return roles


def find_roles(names: Iterable[str], file_name: str = "") -> set[str]:
    """Return the roles of labels or folders, and of the flags in a Maildir."""
    words = (name.strip(' "').casefold() for name in names)
    flags = _FLAGS.search(file_name)
    roles = {_FLAG_ROLES.get(flag, "") for flag in (flags[1] if flags else "")}
    return (roles | {_ROLES.get(word, "") for word in words}) - {""}


def find_reason(part: Part, roles: Collection[str], sender: str) -> str:
    """Return why a message is skipped: a role, or `bulk`; empty if it is not."""
    if roles:
        reason = next((role for role in REASONS if role in roles), "")
        if reason or "sent" in roles:
            return reason
    is_bulk = _AUTOMATIC.match(sender) or (
        not part.fields.keys().isdisjoint(_BULK_SIGNS)
        and any(s.fullmatch(part.get(n).lower()) for n, s in _BULK_SIGNS.items())
    )
    return "bulk" if is_bulk else ""


def clean_subject(subject: str) -> str:
    """Return a subject without `Re:`, in several languages."""
    return _PREFIX.sub("", subject.strip(), count=1).strip()
