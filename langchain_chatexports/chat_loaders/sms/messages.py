"""Convert elements to messages, with the addresses of the people in them."""

import re
import sys
from collections.abc import Iterable, Mapping

import msgspec

from langchain_chatexports.chat_loaders.messages import Message, attachment
from langchain_chatexports.chat_loaders.schema import Attachment
from langchain_chatexports.chat_loaders.sms.elements import Element, join_escaped_pairs
from langchain_chatexports.chat_loaders.times import MICROSECONDS

OWNER = "(owner)"
"""The owner's id; the backup contains no name."""

_SENT = "2"
_OUTBOX = "4"
_KINDS = {"1": "text", _SENT: "text", "3": "draft", _OUTBOX: "text"}
_KINDS |= {"5": "failed", "6": "failed"}
_SENT_TYPES = frozenset({_SENT, "3", _OUTBOX, "5", "6"})
_NOTIFICATION = "130"  # Of a message that was never downloaded.
_FROM = "137"
_TOKEN = "insert-address-token"  # noqa: S105 - stands for the own number
_RCS_GROUP = "@rcs.google.com"
_SEPARATORS = re.compile("[~,;]")
_MIN_TIME = 788_918_400  # 1995
_MILLISECONDS = re.compile(r"\d{1,14}", re.ASCII)
_PART_NUMBER = re.compile(r"(?:text|image|video|audio|smil|cid)?[_.]?\d*\.\w+|\d*")
_LAYOUT = "application/smil"
_TYPES = {"text/x-vcard": "contact", "text/vcard": "contact"}


class Mms(msgspec.Struct):
    """A message that may have several recipients."""

    message: Message
    address: str
    """The chat as the phone writes it: a number, numbers joined by `~`, or an id."""

    senders: list[str]
    """The addresses of the type `from`."""

    recipients: list[str]

    @property
    def is_sent(self) -> bool:
        """Whether the owner sent it."""
        return self.message.sender == OWNER

    @property
    def group_id(self) -> str:
        """The id of an RCS group; empty for others."""
        return self.address if self.address.endswith(_RCS_GROUP) else ""

    @property
    def numbers(self) -> list[str]:
        """All addresses, perhaps with the owner's."""
        listed = [] if self.group_id else _SEPARATORS.split(self.address)
        return [*filter(None, map(str.strip, listed)), *self.senders, *self.recipients]


def value_of(attributes: Mapping[str, str], name: str) -> str:
    """Return an attribute; empty if it is missing, which is written as `null`."""
    value = attributes.get(name, "")
    return "" if value == "null" else value.strip()


def convert_sms(element: Element) -> Message:
    """Convert an `sms` element; the sender is the owner, or an address."""
    attributes = element.attributes
    message = _start_message(attributes, "type")
    message.text = join_escaped_pairs(attributes.get("body", ""))
    if message.kind == "draft" and message.text == "null":
        message.text = ""
    if subject := value_of(attributes, "subject"):
        message.extra["subject"] = join_escaped_pairs(subject)
    return message


def convert_mms(element: Element) -> Mms:
    """Convert an `mms` element, which also contains RCS messages."""
    attributes = element.attributes
    message = _start_message(attributes, "msg_box")
    texts, attachments = _read_parts(element.parts)
    message.text = "\n".join(texts)
    if attachments:
        message.extra["attachments"] = attachments
    if subject := value_of(attributes, "sub"):
        message.extra["subject"] = join_escaped_pairs(subject)
    if message.kind == "text" and attributes.get("m_type") == _NOTIFICATION:
        message.kind = "not_downloaded"
    addresses: dict[bool, list[str]] = {True: [], False: []}
    for item in element.addresses:
        address = value_of(item, "address")
        if address and address != _TOKEN:
            addresses[item.get("type") == _FROM].append(address)
    return Mms(
        message, value_of(attributes, "address"), addresses[True], addresses[False]
    )


def _start_message(attributes: Mapping[str, str], type_name: str) -> Message:
    """Return a message with its time, direction and kind."""
    box, date = attributes.get(type_name, ""), attributes.get("date", "").strip()
    time = int(date) * 1000 if _MILLISECONDS.fullmatch(date) else None
    if time is not None and time < _MIN_TIME * MICROSECONDS:
        time = None
    kind = _KINDS.get(box, "unreadable")
    if time is None and kind == "text":
        kind = "undated"
    address = sys.intern(value_of(attributes, "address"))
    sender = OWNER if box in _SENT_TYPES else address
    return Message(time, sender, "", kind)


def _read_parts(
    parts: Iterable[Mapping[str, str]],
) -> tuple[list[str], list[Attachment]]:
    texts, attachments = [], []
    for part in parts:
        content_type = value_of(part, "ct").partition(";")[0].strip().lower()
        if content_type == _LAYOUT:
            continue
        if content_type == "text/plain":
            # `text` may be typed: only a missing text is exactly `null`.
            if text := value_of(part, "text"):
                texts.append(join_escaped_pairs(text))
            continue
        size = part.get("data", "")
        attachments.append(
            attachment(
                _find_file_name(part),
                content_type,
                _TYPES.get(content_type, ""),
                size=int(size) if size.isascii() and size.isdecimal() else None,
            )
        )
    return texts, attachments


def _find_file_name(part: Mapping[str, str]) -> str:
    names = (value_of(part, key).strip("<>") for key in ("name", "cl", "fn", "cid"))
    return next((name for name in names if not _PART_NUMBER.fullmatch(name)), "")
