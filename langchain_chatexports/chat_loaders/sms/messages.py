"""Convert elements to messages, with the addresses of the people in them."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from langchain_chatexports.chat_loaders.json_data import replace_lone_surrogates
from langchain_chatexports.chat_loaders.messages import Message, attachment
from langchain_chatexports.chat_loaders.schema import Attachment
from langchain_chatexports.chat_loaders.times import MICROSECONDS

OWNER = "(owner)"
"""The owner's id; the backup contains no name."""

# 1 is received, 2 sent, 4 the outbox.
_KINDS = {"1": "text", "2": "text", "3": "draft", "4": "text"}
_KINDS |= {"5": "failed", "6": "failed"}
_RECEIVED = "1"
_NOTIFICATION = "130"  # Of a message that was never downloaded.
_FROM = "137"
_TOKEN = "insert-address-token"  # noqa: S105 - stands for the own number
_RCS_GROUP = "@rcs.google.com"
_SEPARATORS = re.compile("[~,;]")
_UNKNOWN_NAME = "(unknown)"
_MIN_TIME = 788_918_400  # 1995
_MILLISECONDS = re.compile(r"\d{1,14}", re.ASCII)
_PART_NUMBER = re.compile(r"(?:text|image|video|audio|smil|cid)?[_.]?\d*\.\w+|\d*")
_LAYOUT = "application/smil"
# Emoji that other programs wrote as two escaped references to surrogates.
_ESCAPED_PAIR = re.compile(r"&#(5[56]\d{3});&#(5[67]\d{3});")
_TYPES = {"text/x-vcard": "contact", "text/vcard": "contact"}


class Record(msgspec.Struct, gc=False):
    """A message with its people; an MMS or RCS message may have several."""

    message: Message
    """Its sender is the owner, or the address."""

    is_mms: bool
    file: int
    """The number of records before its file."""

    name: str
    """The name of the contact, or of several, in any order."""

    address: str
    """The chat as the phone writes it: a number, numbers joined by `~`, or an id."""

    senders: Sequence[str] = ()
    """The addresses of the type `from`."""

    recipients: Sequence[str] = ()

    @property
    def group_id(self) -> str:
        """The id of an RCS group; empty for others."""
        return self.address if self.address.endswith(_RCS_GROUP) else ""

    @property
    def numbers(self) -> list[str]:
        """All addresses, perhaps with the owner's."""
        if not self.is_mms:
            return [self.address]
        listed = [] if self.group_id else _SEPARATORS.split(self.address)
        return [*filter(None, map(str.strip, listed)), *self.senders, *self.recipients]


def convert(
    file: int,
    attributes: Mapping[str, str],
    parts: Iterable[Mapping[str, str]] | None = None,
    addresses: Sequence[Mapping[str, str]] = (),
) -> Record:
    """Convert an element of a file; an SMS has no parts."""
    is_mms = parts is not None
    box = attributes.get("msg_box" if is_mms else "type", "")
    time = _read_time(attributes.get("date", "").strip())
    address = sys.intern(_value_of(attributes, "address"))
    sender = address if box == _RECEIVED or box not in _KINDS else OWNER
    message = Message(time, sender, "", _KINDS.get(box, "unreadable"))
    if parts is not None:
        texts, attachments = _read_parts(parts)
        message.text = "\n".join(texts)
        message.extra = {"attachments": attachments} if attachments else {}
    elif message.kind != "draft" or attributes.get("body") != "null":
        message.text = _join_escaped_pairs(attributes.get("body", ""))
    if subject := _value_of(attributes, "sub" if is_mms else "subject"):
        message.extra["subject"] = _join_escaped_pairs(subject)
    if message.kind == "text" and time is None:
        message.kind = "undated"
    elif message.kind == "text" and attributes.get("m_type") == _NOTIFICATION:
        message.kind = "not_downloaded"
    name = _value_of(attributes, "contact_name")
    name = "" if name.casefold() == _UNKNOWN_NAME else name
    senders, recipients = _read_addresses(addresses)
    return Record(message, is_mms, file, name, address, senders, recipients)


def _value_of(attributes: Mapping[str, str], name: str) -> str:
    """Return an attribute; empty if it is missing, which is written as `null`."""
    value = attributes.get(name, "")
    return "" if value == "null" else value.strip()


def _read_addresses(
    addresses: Sequence[Mapping[str, str]],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the senders and the recipients of an MMS; an SMS has none."""
    if not addresses:
        return (), ()
    numbers = [(item.get("type"), _value_of(item, "address")) for item in addresses]
    numbers = [(kind, x) for kind, x in numbers if x and x != _TOKEN]
    senders = tuple(x for kind, x in numbers if kind == _FROM)
    return senders, tuple(x for kind, x in numbers if kind != _FROM)


def _read_time(milliseconds: str) -> int | None:
    time = int(milliseconds) * 1000 if _MILLISECONDS.fullmatch(milliseconds) else 0
    return time if time >= _MIN_TIME * MICROSECONDS else None


def _read_parts(
    parts: Iterable[Mapping[str, str]],
) -> tuple[list[str], list[Attachment]]:
    texts, attachments = [], []
    for part in parts:
        content_type = _value_of(part, "ct").partition(";")[0].strip().lower()
        if content_type == "text/plain":
            # `text` may be typed: only a missing text is exactly `null`.
            if text := _value_of(part, "text"):
                texts.append(_join_escaped_pairs(text))
        elif content_type != _LAYOUT:
            size = part.get("data", "")
            item = attachment(
                _find_file_name(part),
                content_type,
                _TYPES.get(content_type, ""),
                size=int(size) if size.isascii() and size.isdecimal() else None,
            )
            attachments.append(item)
    return texts, attachments


def _find_file_name(part: Mapping[str, str]) -> str:
    names = (_value_of(part, key).strip("<>") for key in ("name", "cl", "fn", "cid"))
    return next((name for name in names if not _PART_NUMBER.fullmatch(name)), "")


def _join_escaped_pairs(text: str) -> str:
    if "&#" not in text:
        return text
    return _ESCAPED_PAIR.sub(
        lambda pair: replace_lone_surrogates(chr(int(pair[1])) + chr(int(pair[2]))),
        text,
    )
