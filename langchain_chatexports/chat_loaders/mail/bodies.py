"""Find what a person wrote in a message, without quotations and signatures."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from langchain_chatexports.chat_loaders.json_data import replace_lone_surrogates
from langchain_chatexports.chat_loaders.mail.headers import Part, decode_words
from langchain_chatexports.chat_loaders.markup import strip_tags
from langchain_chatexports.chat_loaders.messages import Message, attachment
from langchain_chatexports.chat_loaders.schema import Attachment

MAX_PARTS = 1000
"""A message of more parts is unreadable."""

_MAX_DEPTH = 50
_Leaf = tuple[Part, str]
# Most messages, whose type has no other parameters.
_PLAIN = re.compile(
    r"""(?:text/plain(?:;\s?charset=["']?([\w.:+-]{1,60})["']?)?)?""", re.IGNORECASE
)
_TEXTS = ("text/plain", "text/html")
_NOT_LISTED = (
    *("application/pgp-signature", "application/pkcs7-signature"),
    *("application/x-pkcs7-signature", "text/calendar"),
)
_ENCRYPTED = (
    *("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"),
)
_STUB = re.compile(r".{0,80}\b(?:browser|HTML)\b.{0,300}", re.DOTALL | re.IGNORECASE)

_COMMENT = re.compile(r"<!--(?:[^-]|-(?!->))*(?:-->|$)")
_ATTRIBUTE = re.compile(r"""\b(?:class|id|type)\s?=\s?["']?([^"'<>]{1,200})""")
_HIDDEN = frozenset({"script", "style", "head", "title"})
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
_END = re.compile(
    r"""<[^<>]*\sid\s?=\s?["']?(?:appendonsend|divRplyFwdMsg"""
    r"""|mail-editor-reference-message-container)\b[^<>]*>"""
)

_MAX_INTRODUCTION = 400
_INTRODUCTION_LINES = 3
_MIN_NUMBERS, _MIN_HEADER_LINES = 3, 3
_ADDRESS = re.compile(r"[^\s@<>]{1,100}@[^\s@<>]{1,100}")
_NUMBER = re.compile(r"\d+")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b|\d{4}年")
_HEADER_LINE = re.compile(r"\s?\*?[^\W\d_][^\n:\uff1a]{0,24}\*?\s?[:\uff1a]\*?\s?\S.*")
_RULE = re.compile(r"\s?(?:_{4,}|-{3,}[^-\n]{0,60}-{3,}|-{10,})\s?|\s*")
_PHONE = re.compile(
    r"(?:Sent from my|Von meinem|Envoyé de mon|Enviado desde mi|Inviato da"
    r"|Get Outlook for|Sent from (?:Mail|Outlook)|Verzonden vanaf mijn) .{1,80}"
)


def read_body(mail: Part, row: Message) -> None:
    """Set a row's text, as written, its attachments, and why it may be skipped."""
    plain_type = _PLAIN.fullmatch(mail.get(b"content-type"))
    if plain_type and not mail.get(b"content-disposition"):
        row.text = mail.decode(plain_type[1] or "utf-8").strip()
        return
    try:
        leaves = list(islice(_walk(mail), MAX_PARTS + 1))
        if len(leaves) > MAX_PARTS:
            row.kind = "unreadable"
            return
        _read_parts(leaves, row)
    except (ValueError, LookupError, AttributeError, TypeError):
        row.kind = "unreadable"  # `email` raises these for odd parameters.


def _walk(part: Part, default: str = "text/plain", depth: int = 0) -> Iterator[_Leaf]:
    """Yield the parts without parts, and their types."""
    type_ = part.get(b"content-type").partition(";")[0].strip().lower() or default
    if not type_.startswith("multipart/") or type_ in _ENCRYPTED:
        yield part, type_
        return
    if depth == _MAX_DEPTH:
        msg = "too many levels"
        raise ValueError(msg)
    default = "message/rfc822" if type_ == "multipart/digest" else "text/plain"
    for child in islice(part.parts, MAX_PARTS + 1):
        yield from _walk(child, default, depth + 1)


def _read_parts(leaves: Sequence[_Leaf], row: Message) -> None:
    texts: dict[str, list[str]] = {type_: [] for type_ in _TEXTS}
    attachments: list[Attachment] = []
    for part, type_ in leaves:
        if item := _find_attachment(part, type_):
            attachments.append(item)
        elif type_ in texts:
            texts[type_].append(_read_text(part))
    plain, hypertext = map("\n".join, texts.values())
    row.text = plain.strip()
    is_stub = not any(map(str.isalpha, row.text)) or _STUB.fullmatch(row.text)
    if hypertext and is_stub:
        row.text = strip_html(hypertext)
    if attachments:
        row.extra["attachments"] = attachments
    types = {type_ for _, type_ in leaves}
    if not types.isdisjoint(_ENCRYPTED):
        row.kind = "encrypted"
    elif "text/calendar" in types and not row.text:
        row.kind = "invitation"


def _find_attachment(part: Part, type_: str) -> Attachment | None:
    if type_ in _NOT_LISTED:
        return None
    name = decode_words(part.parameters.get_filename() or "")
    name = replace_lone_surrogates(name)
    is_attached = part.get(b"content-disposition").lower().startswith("attachment")
    is_file = is_attached or type_ == "message/rfc822" or (name and type_ not in _TEXTS)
    return attachment(name, type_) if is_file else None


def _read_text(part: Part) -> str:
    parameters = part.parameters
    text = part.decode(parameters.get_content_charset("utf-8"))
    if str(parameters.get_param("format")).lower() == "flowed":
        text = _join_flowed(text, str(parameters.get_param("delsp")).lower() == "yes")
    return text


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
    end = _END.search(source)
    source = source[: end.end()] if end else source
    text = strip_tags(source, _is_hidden, _BLOCKS)
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _is_hidden(name: str, attributes: str) -> bool:
    classes = {word for v in _ATTRIBUTE.findall(attributes) for word in v.split()}
    return name in _HIDDEN or not _QUOTES.isdisjoint(classes)


def strip_quotations(text: str, parent: str = "") -> tuple[str, bool]:
    """Return what the sender wrote, and whether there was a forward or quotation.

    Decides by the shape of lines, in any language. `parent` is the message that this
    one answers: if no quotation has such a shape, lines that end the text and are in
    the parent, are quoted.
    """
    lines = text.split("\n")
    end = _find_header_block(lines)
    has_cut = end < len(lines)
    end = next((i for i, line in enumerate(lines[:end]) if line in {"-- ", "--"}), end)
    kept = _drop_quoted(lines[:end])
    has_cut = has_cut or len(kept) < end
    is_marked = has_cut or not parent
    quoted = set() if is_marked else {*map(str.strip, parent.split("\n"))} - {""}
    while kept and (not kept[-1].strip() or kept[-1].strip(" >") in quoted):
        kept.pop()
    if kept and _PHONE.fullmatch(kept[-1].strip()):
        kept.pop()
    begin = _find_introduction(kept)
    return "\n".join(kept[:begin]).strip(), has_cut or begin < len(kept)


def _find_header_block(lines: list[str]) -> int:
    """Return where the headers of a quoted message begin, with the rule before them."""
    begin = 0
    for end in range(len(lines) + 1):
        if end < len(lines) and _HEADER_LINE.match(lines[end]):
            continue
        block = " ".join(lines[begin:end]) if end - begin >= _MIN_HEADER_LINES else ""
        if _ADDRESS.search(block[:4000]) or _YEAR.search(block):
            while begin and _RULE.fullmatch(lines[begin - 1]):
                begin -= 1
            return begin
        begin = end + 1
    return len(lines)


def _drop_quoted(lines: list[str]) -> list[str]:
    """Drop runs of quoted lines, and the lines that introduce them."""
    kept: list[str] = []
    is_quoted = False
    for line in lines:
        if line.lstrip().startswith(">"):
            if not is_quoted:
                del kept[_find_introduction(kept) :]
            is_quoted = True
        elif line.strip() or not is_quoted:
            kept.append(line)
            is_quoted = False
    return kept


def _find_introduction(lines: list[str]) -> int:
    """Return where the introduction of a quotation begins; the end without one."""
    last = len(lines)
    while last and not lines[last - 1].strip():
        last -= 1
    if not last or not lines[last - 1].rstrip().endswith((":", "\uff1a")):
        return len(lines)
    for begin in range(last - 1, max(last - 1 - _INTRODUCTION_LINES, -1), -1):
        joined = " ".join(lines[begin:last]).strip()
        if not lines[begin].strip() or len(joined) > _MAX_INTRODUCTION:
            break
        numbers = len(_NUMBER.findall(joined))
        if numbers and (_ADDRESS.search(joined) or numbers >= _MIN_NUMBERS):
            return begin
    return len(lines)
