"""Signal: the chat history that its apps export as JSON.

The apps write `main.jsonl` through libsignal's JSON exporter: a line about the export,
then a line for each frame of a backup. Recipients precede chats, and chats precede the
messages, which are in one sequence for all chats. The keys are those of `Backups.proto`
in Signal Desktop's repository, in protobuf's JSON: 64-bit numbers are strings, bytes
are Base64, and empty fields are missing. Disappearing messages are not exported.
"""

import re
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.chat_loaders.json_data import (
    NOT_DECODED,
    clean_text,
    dicts_of,
)
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    Message,
    attachment,
)
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

_FIRST_LINE = re.compile(rb'\s*\{[^{}]*"backupTimeMs"')
_HEAD_BYTES = 4096
_OWNER = "self"
_WRITTEN = {
    "standardMessage": "",
    "directStoryReplyMessage": "",
    "poll": "poll",
    "stickerMessage": "sticker",
    "contactMessage": "contact",
    "viewOnceMessage": "view-once",  # Its content is not exported.
}
"""The keys of written messages, with the type of their attachment if there is one."""

_DELETED = frozenset({"remoteDeletedMessage", "adminDeletedMessage"})
_MILLISECONDS = re.compile(r"\d{1,17}", re.ASCII)


@dataclass
class Chats:
    """The chats of a file; its ids are only valid within the file."""

    # The permanent id of each recipient: the account id or the phone number.
    people: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    handles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)  # The title of each group.
    chats: dict[str, str] = field(default_factory=dict)  # The recipient of each chat.
    # The undecoded messages of each chat, which take a tenth of the memory.
    lines: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))


class SignalChatLoader(ChatExportLoader):
    """Load the chats that Signal exported as JSON (`main.jsonl`).

    Each chat is a session, in the order of the export. The export names its owner.
    """

    platform = "signal"
    suffixes = (".jsonl",)

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield each chat, joined from all exports."""
        found: dict[str, Conversation] = {}
        for file in filter(is_export, files):
            try:
                chats = _read(file)
            except ChatExportError as error:
                files.skip(error)
                continue
            for conversation in _conversations(chats):
                known = found.setdefault(conversation.id, conversation)
                if known is not conversation:
                    known.messages = chain(known.messages, conversation.messages)
        if not found and not files.unreadable:
            msg = f"{files.path} holds no main.jsonl of a Signal export."
            raise ExportFormatError(msg, path=files.path)
        yield from found.values()


def matches(files: Iterable[ExportFile]) -> bool:
    """Return whether files are a Signal export, by their first bytes."""
    return any(map(is_export, files))


def is_export(file: ExportFile) -> bool:
    """Return whether a file begins with Signal's first line."""
    is_named = file.name.lower().endswith(".jsonl")
    return is_named and _FIRST_LINE.match(file.head(_HEAD_BYTES)) is not None


def _read(file: ExportFile) -> Chats:
    chats = Chats()
    last = ""
    with file.open() as lines:
        for line in lines:
            frame = _decoded(line)
            if frame is None:
                chats.lines[last].append(line)  # Counted with the previous chat.
            elif account := _at(frame, "account"):
                chats.names[_OWNER] = _name(account, "givenName", "familyName")
                chats.handles[_OWNER] = tuple(
                    filter(None, [_text(account, "username")])
                )
            elif recipient := _at(frame, "recipient"):
                _add_recipient(recipient, chats)
            elif chat := _at(frame, "chat"):
                chats.chats[_text(chat, "id")] = _text(chat, "recipientId")
            elif item := _at(frame, "chatItem"):
                last = _text(item, "chatId")
                chats.lines[last].append(line)
    return chats


def _add_recipient(recipient: Any, chats: Chats) -> None:
    number = _text(recipient, "id")
    person, name = f"recipient {number}", ""
    handles: tuple[str, ...] = ()
    if contact := _at(recipient, "contact"):
        phone = f"+{_text(contact, 'e164')}".rstrip("+")
        handles = tuple(filter(None, (_text(contact, "username"), phone)))
        # Signal's own precedence.
        name = (
            _name(_at(contact, "nickname"), "given", "family")
            or _name(contact, "systemGivenName", "systemFamilyName")
            or _name(contact, "profileGivenName", "profileFamilyName")
        )
        person = _account_id(_text(contact, "aci")) or phone or person
    elif group := _at(recipient, "group"):
        # Hash the key, which gives access to the group.
        key = _text(group, "masterKey").encode()
        chats.people[number] = person = f"group {sha256(key).hexdigest()[:16]}"
        chats.groups[person] = _text(group, "snapshot", "title", "title")
        return
    elif _at(recipient, "self") is not None:
        person, name = _OWNER, chats.names.get(_OWNER, "")
    chats.people[number] = person
    chats.names[person] = name or next(iter(handles), person)
    chats.handles.setdefault(person, handles)


def _conversations(chats: Chats) -> Iterator[Conversation]:
    for chat, lines in chats.lines.items():
        person = chats.people.get(chats.chats.get(chat, ""), f"chat {chat}")
        is_group = person in chats.groups
        yield Conversation(
            id=person,
            messages=(_message(line, chats) for line in lines),
            title="Note to Self"
            if person == _OWNER
            else chats.groups.get(person) or chats.names.get(person),
            members=() if is_group else dict.fromkeys((person, _OWNER)),
            names=chats.names,
            handles=chats.handles,
            is_group=is_group,
            owner=_OWNER,
            owner_found_by="the export",
        )


def _message(line: bytes, chats: Chats) -> Message:
    item = _at(_decoded(line), "chatItem")
    if not isinstance(item, dict):
        return Message(None, "", "", kind="unreadable")
    sent, author = _text(item, "dateSent"), _text(item, "authorId")
    time = int(sent) * 1000 if _MILLISECONDS.fullmatch(sent) else None
    person = chats.people.get(author, "")
    message = Message(time, person, "", "system", id=f"{sent} {person}" if time else "")
    for key in _WRITTEN.keys() & item.keys():
        message.kind, message.text = "text", _body(item[key])
        message.extra = _extra(item[key], _WRITTEN[key], chats)
    if _DELETED & item.keys():
        message.kind = "unsent"
    if _at(item, "revisions"):
        message.extra["edited"] = True
    return message


def _body(content: Any) -> str:
    return (
        _text(content, "text", "body")
        or _text(content, "textReply", "text", "body")
        or _text(content, "emoji")
        or _text(content, "question")
    )


def _extra(content: Any, attached: str, chats: Chats) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    attachments = [
        attachment(
            _text(file, "pointer", "fileName"),
            _text(file, "pointer", "contentType"),
            "gif" if _text(file, "flag") == "GIF" else "",
        )
        for file in dicts_of(_at(content, "attachments"))
    ]
    if attached:
        attachments.append(attachment(kind=attached))
    if attachments:
        extra["attachments"] = attachments
    if reactions := [
        {
            "reaction": _text(reaction, "emoji"),
            "sender": chats.people.get(_text(reaction, "authorId"), ""),
        }
        for reaction in dicts_of(_at(content, "reactions"))
    ]:
        extra["reactions"] = reactions
    if target := _text(content, "quote", "targetSentTimestamp"):
        person = chats.people.get(_text(content, "quote", "authorId"), "")
        extra["reply_to"] = {"id": f"{target} {person}", "sender": person}
    return extra


def _decoded(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except NOT_DECODED:
        return None


def _at(value: Any, *keys: str) -> Any:
    """Return the value at a path of keys; `None` if a key is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(value: Any, *keys: str) -> str:
    return clean_text(_at(value, *keys))


def _name(value: Any, *keys: str) -> str:
    return " ".join(filter(None, (_text(value, key) for key in keys)))


def _account_id(aci: str) -> str:
    try:
        return b64decode(aci).hex()
    except ValueError:
        return aci
