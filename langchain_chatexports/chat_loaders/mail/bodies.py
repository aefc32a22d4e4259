"""Find what a person wrote in a message, without quotations and signatures."""

import html
import re
from binascii import a2b_qp
from collections.abc import Collection
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message as Mail

from langchain_chatexports.chat_loaders.json_data import replace_lone_surrogates
from langchain_chatexports.chat_loaders.mail.headers import (
    Headers,
    decode_bytes,
    decode_words,
)
from langchain_chatexports.chat_loaders.messages import attachment
from langchain_chatexports.chat_loaders.schema import Attachment

_MAX_PARTS, _MAX_DEPTH = 1000, 50
_SIGNATURES = frozenset(
    (
        *("application/pgp-signature", "application/pkcs7-signature"),
        "application/x-pkcs7-signature",
    )
)
_ENCRYPTED = (
    "multipart/encrypted",
    "application/pkcs7-mime",
    "application/x-pkcs7-mime",
)
# Most messages, which need no parser.
_PLAIN = re.compile(
    r"""(?:text/plain(?:;\s?charset=["']?([\w.:+-]{1,60})["']?)?)?""", re.IGNORECASE
)
_UNENCODED = frozenset({"", "7bit", "8bit"})
_STUB = re.compile(r".{0,80}\b(?:browser|HTML)\b.{0,300}", re.DOTALL | re.IGNORECASE)

_COMMENT = re.compile(r"<!--(?:[^-]|-(?!->))*(?:-->|$)")
_TAG = re.compile(r"<(/?)([A-Za-z][\w:]*)((?:\s[^<>]*)?)>")
_ATTRIBUTE = re.compile(r"""\b(class|id|type)\s?=\s?["']?([^"'<>]{1,200})""")
_LONG_REFERENCE = re.compile(r"&#[xX]?[0-9a-fA-F]{10,};?")
_HIDDEN = frozenset({"script", "style", "head", "title"})
_VOID = frozenset({"br", "hr", "img", "meta", "link", "input"})
_BLOCKS = frozenset(
    {"br", "p", "div", "li", "tr", "h1", "h2", "h3", "blockquote", "hr"}
)
_QUOTES = frozenset(
    (
        *("gmail_quote", "gmail_quote_container", "gmail_attr", "yahoo_quoted"),
        *("protonmail_quote", "moz-cite-prefix", "gmail_signature", "moz-signature"),
        *("Signature", "cite"),
    )
)
_ENDS = {"appendonsend", "divRplyFwdMsg", "mail-editor-reference-message-container"}

_MAX_INTRODUCTION = 400
_INTRODUCTION_LINES = 3
_MIN_NUMBERS, _MIN_HEADER_LINES = 3, 3
_ADDRESS = re.compile(r"[^\s@<>]{1,100}@[^\s@<>]{1,100}")
_NUMBER = re.compile(r"\d+")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b|\d{4}年")
_HEADER_LINE = re.compile(r"\s?\*?[^\W\d_][^\n:\uff1a]{0,24}\*?\s?[:\uff1a]\*?\s?\S.*")
_RULE = re.compile(r"\s?(?:_{4,}|-{3,}[^-\n]{0,60}-{3,}|-{10,})\s?")
_PHONE = re.compile(
    r"(?:Sent from my|Von meinem|Envoyé de mon|Enviado desde mi|Inviato da"
    r"|Get Outlook for|Sent from (?:Mail|Outlook)|Verzonden vanaf mijn) .{1,80}"
)


@dataclass
class Body:
    """The content of a message."""

    text: str = ""
    kind: str = "text"
    attachments: list[Attachment] = field(default_factory=list)


def read_body(headers: Headers, content: bytes) -> Body:
    """Return the text of a message as written, and its attachments."""
    type_ = _PLAIN.fullmatch(headers.get(b"content-type"))
    encoding = headers.get(b"content-transfer-encoding").lower()
    is_encoded = encoding == "quoted-printable"
    if (
        type_ is None
        or not (is_encoded or encoding in _UNENCODED)
        or headers.get(b"content-disposition")
    ):
        return _read_parts(content)
    data = a2b_qp(headers.body) if is_encoded else headers.body
    return Body(_decode_text(data, type_[1] or "utf-8").strip())


def _read_parts(content: bytes) -> Body:
    try:
        return _read_mail(message_from_bytes(content))
    except (RecursionError, ValueError, LookupError, AttributeError, TypeError):
        return Body(kind="unreadable")  # `email` raises these for damaged parts.


def _read_mail(mail: Mail) -> Body:
    body = Body()
    plain: list[str] = []
    hypertext: list[str] = []
    parts = [(mail, 0)]
    count = 0
    types = set()
    while parts:
        part, depth = parts.pop()
        count += 1
        type_ = part.get_content_type()
        types.add(type_)
        if type_ in _ENCRYPTED:
            return Body(kind="encrypted")
        if count > _MAX_PARTS or depth > _MAX_DEPTH:
            return Body(kind="unreadable")
        # `get_payload` decodes the text of other parts.
        payload = part.get_payload() if part.is_multipart() else None
        if isinstance(payload, list) and type_ != "message/rfc822":
            parts += [(p, depth + 1) for p in reversed(payload) if isinstance(p, Mail)]
        elif item := _find_attachment(part, type_):
            body.attachments.append(item)
        elif type_ == "text/plain":
            plain.append(_read_text(part))
        elif type_ == "text/html":
            hypertext.append(_read_text(part))
    body.text = "\n".join(plain).strip()
    if hypertext and (
        not any(map(str.isalpha, body.text)) or _STUB.fullmatch(body.text)
    ):
        body.text = strip_html("\n".join(hypertext))
    if "text/calendar" in types and not body.text:
        body.kind = "invitation"
    return body


def _find_attachment(part: Mail, type_: str) -> Attachment | None:
    if type_ in _SIGNATURES or type_ == "text/calendar":
        return None
    try:
        name = decode_words(part.get_filename() or "")
    except (ValueError, TypeError, LookupError):
        name = ""
    name = replace_lone_surrogates(name)
    disposition = str(part.get("Content-Disposition") or "").lower()
    is_text = type_ in {"text/plain", "text/html"}
    if disposition.startswith("attachment") or (name and not is_text):
        return attachment(name, type_)
    return attachment(name, type_) if type_ == "message/rfc822" else None


def _read_text(part: Mail) -> str:
    data = part.get_payload(decode=True)
    data = data if isinstance(data, bytes) else b""
    text = _decode_text(data, part.get_content_charset("utf-8"))
    if str(part.get_param("format") or "").lower() == "flowed":
        text = _join_flowed(text, str(part.get_param("delsp") or "").lower() == "yes")
    return text


def _decode_text(data: bytes, charset: str) -> str:
    text = replace_lone_surrogates(decode_bytes(data, charset))
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return text.replace("\u00a0", " ")


def _join_flowed(text: str, delete_space: bool) -> str:
    lines: list[str] = []
    is_open = False
    for line in text.split("\n"):
        if is_open and not line.startswith(">"):
            lines[-1] += line
        else:
            lines.append(line)
        is_open = line.endswith(" ") and line != "-- " and not line.startswith(">")
        if is_open and delete_space:
            lines[-1] = lines[-1][:-1]
    return "\n".join(lines)


def strip_html(source: str) -> str:
    """Return the text of HTML, without quotations and signatures by their classes."""
    source = _COMMENT.sub("", source)
    parts: list[str] = []
    at = depth = 0
    skipped = ""
    for tag in _TAG.finditer(source):
        if not skipped:
            parts.append(" ".join(source[at : tag.start()].split("\n")))
        at = tag.end()
        is_end, name = bool(tag[1]), tag[2].lower()
        if skipped:
            depth += (-1 if is_end else 1) if name == skipped else 0
            skipped = skipped if depth else ""
            continue
        if name in _BLOCKS:
            parts.append("\n")
        names = [word for _, v in _ATTRIBUTE.findall(tag[3]) for word in v.split()]
        if not is_end and not _ENDS.isdisjoint(names):
            skipped = name
            at = len(source)
            break
        is_hidden = name in _HIDDEN or not _QUOTES.isdisjoint(names)
        if is_hidden and not is_end and name not in _VOID and not tag[3].endswith("/"):
            skipped, depth = name, 1
    parts.append("" if skipped else source[at:])
    text = html.unescape(_LONG_REFERENCE.sub("\ufffd", "".join(parts)))
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def strip_quotations(text: str, parent: Collection[str] = ()) -> tuple[str, bool]:
    """Return what the sender wrote, and whether there was a forward or quotation.

    Decides by the shape of lines, in any language. `parent` has the lines of the
    message that this one answers: what ends the text and is in it, is quoted.
    """
    lines = text.split("\n")
    count = len(lines)
    lines = lines[: _find_header_block(lines)]
    signature = next((i for i, x in enumerate(lines) if x in {"-- ", "--"}), len(lines))
    has_cut = len(lines) < count
    lines = _drop_quoted(lines[:signature])
    has_cut = has_cut or len(lines) < signature
    if parent:
        while lines and (not lines[-1].strip() or lines[-1].strip(" >") in parent):
            lines.pop()
    while lines and not lines[-1].strip():
        lines.pop()
    if lines and _PHONE.fullmatch(lines[-1].strip()):
        lines.pop()
    begin = _find_introduction(lines, len(lines))
    has_cut = has_cut or begin < len(lines)
    lines = lines[:begin]
    return "\n".join(lines).strip(), has_cut


def line_set(text: str) -> frozenset[str]:
    """Return the lines of a message, to recognize them in answers."""
    return frozenset(line for line in map(str.strip, text.split("\n")) if line)


def _find_header_block(lines: list[str]) -> int:
    """Return where the headers of a quoted message begin, with the rule before them."""
    begin = 0
    while begin < len(lines):
        end = begin
        while end < len(lines) and _HEADER_LINE.fullmatch(
            lines[end][:_MAX_INTRODUCTION]
        ):
            end += 1
        block = " ".join(lines[begin:end])
        if end - begin >= _MIN_HEADER_LINES and (
            _ADDRESS.search(block[:4000]) or _YEAR.search(block)
        ):
            while begin and (
                not lines[begin - 1].strip() or _RULE.fullmatch(lines[begin - 1])
            ):
                begin -= 1
            return begin
        begin = max(end, begin + 1)
    return len(lines)


def _drop_quoted(lines: list[str]) -> list[str]:
    """Drop runs of quoted lines, and the lines that introduce them."""
    kept: list[str] = []
    is_quoted = False
    for line in lines:
        if line.lstrip().startswith(">"):
            if not is_quoted:
                del kept[_find_introduction(kept, len(kept)) :]
            is_quoted = True
        elif line.strip() or not is_quoted:
            kept.append(line)
            is_quoted = False
    return kept


def _find_introduction(lines: list[str], end: int) -> int:
    """Return where the introduction of a quotation begins, or `end` without one."""
    last = end
    while last and not lines[last - 1].strip():
        last -= 1
    for count in range(1, _INTRODUCTION_LINES + 1):
        if count > last or not lines[last - count].strip():
            break
        joined = " ".join(lines[last - count : last]).strip()
        if len(joined) > _MAX_INTRODUCTION or not joined.endswith((":", "\uff1a")):
            break
        numbers = len(_NUMBER.findall(joined))
        if numbers and (_ADDRESS.search(joined) or numbers >= _MIN_NUMBERS):
            return last - count
    return end
