"""Read the headers of a message, and find why it is not part of a talk."""

import re
from contextlib import suppress
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import getaddresses, mktime_tz, parsedate_tz
from functools import lru_cache

from langchain_chatexports.chat_loaders.json_data import replace_lone_surrogates
from langchain_chatexports.chat_loaders.legacy_text import LEGACY_FALLBACK
from langchain_chatexports.chat_loaders.times import MICROSECONDS

_MAX_HEADER = 20_000
_FIELD = re.compile(rb"([!-9;-~]+):([^\n]*(?:\n[ \t][^\n]*)*)\n?")
_UNIX_LINE = re.compile(rb"From [^\n]*\n")
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
_BULK = frozenset({"bulk", "list", "junk"})
_PREFIX = re.compile(
    r"(?:(?:re|fwd?|aw|wg|sv|vs|rv|tr|antw|res|enc|回复|返信|转发|答复)(?:\[\d{1,3}\])?\s?[:\uff1a]\s*)+",
    re.IGNORECASE,
)


class Headers:
    """The headers of a message, which are decoded when they are asked for.

    A mail has 10 to 60 headers, of which `email` would decode all, in several steps.
    """

    def __init__(self, content: bytes) -> None:
        self._fields: dict[bytes, bytes] = {}
        start = _UNIX_LINE.match(content)
        at = start.end() if start else 0
        while field := _FIELD.match(content, at):
            self._fields.setdefault(field[1].lower(), field[2])
            at = field.end()
        self._content, self._body_at = content, at

    @property
    def body(self) -> bytes:
        """What follows the headers and the empty line."""
        lines = self._content[self._body_at :]
        first, _, rest = lines.partition(b"\n")
        return lines if first.strip(b"\r") else rest

    def get(self, name: bytes) -> str:
        """Return the first header of a name, which is in lower case, on one line.

        Empty if missing. Without encoding, it is UTF-8 or, from old programs, cp1252.
        """
        value = self._fields.get(name)
        if value is None:
            return ""
        text = value[:_MAX_HEADER].decode("utf-8", LEGACY_FALLBACK)
        return " ".join(text.split())


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
    is_known = charset not in {"utf-8", "cp1252"}
    with suppress(LookupError, ValueError):
        if is_known:
            return data.decode(charset, "replace")
    return data.decode("utf-8", LEGACY_FALLBACK)


def read_addresses(headers: Headers, *names: bytes) -> dict[str, str]:
    """Return the names of people, by address in lower case."""
    found: dict[str, str] = {}
    for value in (headers.get(name) for name in names):
        for address, name in _parse_addresses(value) if value else ():
            found[address] = name or found.get(address, "")
    return found


@lru_cache(maxsize=1024)  # Most mail is between few people.
def _parse_addresses(value: str) -> tuple[tuple[str, str], ...]:
    people = []
    try:
        pairs = getaddresses([value])
    except RecursionError:  # Of many parentheses.
        return ()
    for name, address in pairs:
        key = address.strip().lower()
        if "@" in key:
            shown = decode_words(name).strip(" '\"")
            people.append((key, "" if shown.lower() == key else shown))
    return tuple(people)


def read_ids(headers: Headers, name: bytes) -> list[str]:
    """Return the message ids in a header."""
    value = headers.get(name)
    return _MESSAGE_ID.findall(value) or (
        [value] if "@" in value and " " not in value else []
    )


def read_time(headers: Headers, separator_date: str) -> int | None:
    """Return when a message was sent, from the first header with a plausible date."""
    names = (b"date", b"received", b"")
    for name in names:
        value = headers.get(name).rpartition(";")[2] if name else separator_date
        try:
            parsed = parsedate_tz(value[:200])
            seconds = mktime_tz(parsed) if parsed else 0
        except (ValueError, OverflowError, IndexError, TypeError):
            continue
        if _MIN_TIME < seconds < _MAX_TIME:
            return seconds * MICROSECONDS
    return None


def read_roles(headers: Headers, *folders: str) -> set[str]:
    """Return the roles of a message by labels, flags and folders, such as `sent`."""
    labels = decode_words(headers.get(b"x-gmail-labels")).split(",")
    words = (label.strip(' "').casefold() for label in (*labels, *folders))
    roles = {_ROLES[word] for word in words if word in _ROLES}
    status = headers.get(b"x-mozilla-status")
    if re.fullmatch("[0-9a-fA-F]{4}", status) and int(status, 16) & _EXPUNGED:
        roles.add("deleted")
    return roles


def read_flags(file_name: str) -> set[str]:
    """Return the roles of a message by the flags in a Maildir's file name."""
    match = _FLAGS.search(file_name)
    flags = match[1] if match else ""
    return {_FLAG_ROLES[flag] for flag in flags if flag in _FLAG_ROLES}


def find_reason(headers: Headers, roles: set[str], sender: str) -> str:
    """Return why a message is skipped: a role, or `bulk`; empty if it is not."""
    for role in REASONS:
        if role in roles:
            return role
    automatic = headers.get(b"auto-submitted").lower()
    is_bulk = (
        headers.get(b"list-id")
        or headers.get(b"list-unsubscribe")
        or headers.get(b"precedence").lower() in _BULK
        or (automatic and automatic != "no")
        or headers.get(b"return-path") == "<>"
        or _AUTOMATIC.match(sender)
    )
    return "bulk" if is_bulk and "sent" not in roles else ""


def clean_subject(subject: str) -> str:
    """Return a subject without `Re:`, in several languages."""
    return _PREFIX.sub("", subject.strip(), count=1).strip()
