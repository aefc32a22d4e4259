"""Load the chat history that the Signal apps export as JSON.

The apps write `main.jsonl` with libsignal's JSON exporter: a header line, then a line
per backup frame. Recipients come first, then chats, then the messages of all chats. The
keys are from `Backups.proto` in Signal Desktop's repository, in protobuf's JSON
mapping: 64-bit integers are strings, bytes are Base64, and empty fields are omitted.
Disappearing messages are not exported.
"""

import re
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.json_data import (
    DECODE_ERRORS,
    clean_text,
    is_dense_record,
    iter_dicts,
)
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    DetectedOwner,
    Message,
    Person,
    attachment,
    filled,
)

_FIRST_LINE = re.compile(rb'\s*\{[^{}]*"backupTimeMs"')
_HEAD_BYTES = 4096
_OWNER = "self"
_USER_MESSAGE_KEYS = {
    "standardMessage": "",
    "directStoryReplyMessage": "",
    "poll": "poll",
    "stickerMessage": "sticker",
    "contactMessage": "contact",
    "viewOnceMessage": "view-once",  # Its content is not exported.
}
"""Keys of messages written by people, with the attachment type, if any."""

_DELETED_KEYS = frozenset({"remoteDeletedMessage", "adminDeletedMessage"})
_MENTION = "\ufffc"
_MILLISECONDS = re.compile(r"\d{1,17}", re.ASCII)


@dataclass
class Chats:
    """The chats of a file; ids are only valid within the file."""

    ids: dict[str, str] = field(default_factory=dict)
    """The stable id of each recipient: an account id or a phone number."""

    people: dict[str, Person] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    """Titles of groups."""

    chats: dict[str, str] = field(default_factory=dict)
    """Recipients of chats."""

    is_cut: bool = False
    """Whether the last line is incomplete."""

    lines: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """The messages of each chat, not decoded, to save nine tenths of the memory."""


class SignalChatLoader(ChatExportLoader):
    """Load the chats that Signal exported as JSON (`main.jsonl`).

    Each chat is a session, in the order of the export, which also states its owner.
    """

    platform = "signal"
    label = "Signal export"
    suffixes = (".jsonl",)
    remedy = (
        "Pass the folder that Signal exported the chat history to, with main.jsonl."
    )

    @classmethod
    def is_export(cls, file: ExportFile) -> bool:
        """Return whether a file begins with the header line of a Signal export."""
        is_jsonl = file.name.lower().endswith(".jsonl")
        return is_jsonl and _FIRST_LINE.match(file.head(_HEAD_BYTES)) is not None

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield each chat, combined from all exports."""
        conversations: dict[str, Conversation] = {}
        for file, chats in files.read_each(filter(self.is_export, files), _read_chats):
            if chats.is_cut:
                files.report_cut(file)
            for conversation in _make_conversations(chats):
                earlier = conversations.setdefault(conversation.id, conversation)
                if earlier is not conversation:
                    earlier.messages = chain(earlier.messages, conversation.messages)
        yield from conversations.values()


def _read_chats(file: ExportFile) -> Chats:
    chats = Chats()
    chat_id = ""
    frame: Any = {}
    with file.open() as lines:
        for line in lines:
            frame = _decode(line)
            if frame is None:
                chats.lines[chat_id].append(line)  # Counted with the previous chat.
            elif account := _get(frame, "account"):
                name = _join_name(account, "givenName", "familyName")
                handles = tuple(filter(None, [_get_text(account, "username")]))
                chats.people[_OWNER] = Person(name, handles)
            elif recipient := _get(frame, "recipient"):
                _add_recipient(recipient, chats)
            elif chat := _get(frame, "chat"):
                chats.chats[_get_text(chat, "id")] = _get_text(chat, "recipientId")
            elif item := _get(frame, "chatItem"):
                chat_id = _get_text(item, "chatId")
                chats.lines[chat_id].append(line)
    chats.is_cut = frame is None
    return chats


def _add_recipient(recipient: Any, chats: Chats) -> None:
    recipient_id = _get_text(recipient, "id")
    person, name = f"recipient {recipient_id}", ""
    handles: tuple[str, ...] = ()
    if contact := _get(recipient, "contact"):
        phone = f"+{_get_text(contact, 'e164')}".rstrip("+")
        handles = tuple(filter(None, (_get_text(contact, "username"), phone)))
        # In the order that Signal prefers.
        name = (
            _join_name(_get(contact, "nickname"), "given", "family")
            or _join_name(contact, "systemGivenName", "systemFamilyName")
            or _join_name(contact, "profileGivenName", "profileFamilyName")
        )
        person = _decode_account_id(_get_text(contact, "aci")) or phone or person
    elif group := _get(recipient, "group"):
        # Hash the key, since it grants access to the group.
        key = _get_text(group, "masterKey").encode()
        chats.ids[recipient_id] = person = f"group {sha256(key).hexdigest()[:16]}"
        chats.groups[person] = _get_text(group, "snapshot", "title", "title")
        return
    elif _get(recipient, "self") is not None:
        person, account = _OWNER, chats.people.get(_OWNER, Person())
        name, handles = account.name, tuple(account.handles)
    chats.ids[recipient_id] = person
    earlier = chats.people.get(person, Person()).handles
    chats.people[person] = Person(
        name or next(iter(handles), person), earlier or handles
    )


def _make_conversations(chats: Chats) -> Iterator[Conversation]:
    for chat, lines in chats.lines.items():
        person = chats.ids.get(chats.chats.get(chat, ""), f"chat {chat}")
        is_group = person in chats.groups
        yield Conversation(
            id=person,
            messages=(_convert_message(line, chats) for line in lines),
            title="Note to Self" if person == _OWNER else chats.groups.get(person),
            members=() if is_group else dict.fromkeys((person, _OWNER)),
            people=chats.people,
            is_group=is_group,
            owner=DetectedOwner(_OWNER),
        )


def _convert_message(line: bytes, chats: Chats) -> Message:
    item = _get(_decode(line), "chatItem")
    if not isinstance(item, dict):
        return Message(None, "", "", kind="unreadable")
    sent, author = _get_text(item, "dateSent"), _get_text(item, "authorId")
    time = int(sent) * 1000 if _MILLISECONDS.fullmatch(sent) else None
    person = chats.ids.get(author, "")
    message = Message(time, person, "", "system", id=f"{sent} {person}" if time else "")
    for key in _USER_MESSAGE_KEYS.keys() & item.keys():
        message.kind, message.text = "text", _get_message_text(item[key], chats)
        message.extra = _collect_extra(item[key], _USER_MESSAGE_KEYS[key], chats)
    if _DELETED_KEYS & item.keys():
        message.kind = "unsent"
    if _get(item, "revisions"):
        message.extra["edited"] = True
    return message


def _get_message_text(content: Any, chats: Chats) -> str:
    return (
        _replace_mentions(_get(content, "text"), chats)
        or _replace_mentions(_get(content, "textReply", "text"), chats)
        or _get_text(content, "emoji")
        or _get_text(content, "question")
    )


def _replace_mentions(value: Any, chats: Chats) -> str:
    """Return the text of a body, with names in place of U+FFFC for mentions."""
    text = _get_text(value, "body")
    if _MENTION not in text:
        return text
    ranges = [
        (start, _decode_account_id(_get_text(item, "mentionAci")))
        for item in iter_dicts(_get(value, "bodyRanges"))
        if isinstance(start := item.get("start", 0), int) and "mentionAci" in item
    ]
    # Mentions are in the order of their places; styles have no mention.
    names = (f"@{chats.people.get(id_, Person(id_)).name}" for _, id_ in sorted(ranges))
    parts = text.split(_MENTION)
    texts = [next(names, _MENTION) + part for part in parts[1:]]
    return "".join([parts[0], *texts])


def _collect_extra(content: Any, attachment_type: str, chats: Chats) -> dict[str, Any]:
    attachments = [
        attachment(
            _get_text(file, "pointer", "fileName"),
            _get_text(file, "pointer", "contentType"),
            "gif" if _get_text(file, "flag") == "GIF" else "",
        )
        for file in iter_dicts(_get(content, "attachments"))
    ]
    if attachment_type:
        attachments.append(attachment(kind=attachment_type))
    reactions = [
        {
            "reaction": _get_text(reaction, "emoji"),
            "sender": chats.ids.get(_get_text(reaction, "authorId"), ""),
        }
        for reaction in iter_dicts(_get(content, "reactions"))
    ]
    target = _get_text(content, "quote", "targetSentTimestamp")
    person = chats.ids.get(_get_text(content, "quote", "authorId"), "")
    reply = {"id": f"{target} {person}", "sender": person} if target else None
    return filled(attachments=attachments, reactions=reactions, reply_to=reply)


def _decode(line: bytes) -> Any:
    if is_dense_record(line):
        return None
    try:
        return msgspec.json.decode(line)
    except DECODE_ERRORS:
        return None


def _get(value: Any, *keys: str) -> Any:
    """Return the value at a path of keys; `None` if a key is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _get_text(value: Any, *keys: str) -> str:
    return clean_text(_get(value, *keys))


def _join_name(value: Any, *keys: str) -> str:
    return " ".join(filter(None, (_get_text(value, key) for key in keys)))


def _decode_account_id(aci: str) -> str:
    try:
        return b64decode(aci).hex()
    except ValueError:
        return aci
