"""Load the chats that Skype exported before it closed in 2025 (`messages.json`)."""

import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.json_data import (
    DECODE_ERRORS,
    clean_text,
    decode_json,
    decode_record,
    iter_dicts,
)
from langchain_chatexports.chat_loaders.markup import strip_tags, unescape
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    DetectedOwner,
    Message,
    Person,
    attachment,
    filled,
    reactions,
)
from langchain_chatexports.chat_loaders.times import sort_key, to_microseconds
from langchain_chatexports.exceptions import ExportFormatError

_HEAD_BYTES = 4096
_USER_KEY = re.compile(rb'"userId"\s*:\s*"')
_OTHER_KEYS = re.compile(rb'"(?:exportDate|conversations)"\s*:')
_FILE_NAME = "messages.json"
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_TAR_NAMES = (b"messages.json", b"endpoints.json", b"media/")
_SPEECH = frozenset({"Text", "RichText", "InviteFreeRelationshipChanged/Initialized"})
# The text of these is a sentence of the app, in the sender's language.
_ATTACHMENTS = {
    "RichText/UriObject": "photo",
    "RichText/Media_Video": "video",
    "RichText/Media_AudioMsg": "audio",
    "RichText/Media_GenericFile": "file",
    "RichText/Media_FlikMsg": "gif",
    "RichText/Media_Card": "card",
    "RichText/Files": "file",
    "RichText/Contacts": "contact",
    "RichText/Location": "location",
    "Poll": "poll",
}
_REACTIONS = {"like": "👍", "heart": "❤️", "laugh": "😆", "surprised": "😮"}
_REACTIONS |= {"sad": "😢", "angry": "😠"}
_NOBODY = frozenset({"", "Unknown User", "Export Owner"})
_BOT, _SERVICE, _GROUP = "28:", "48:", "19:"
_PREFIX = re.compile(r"^\d{1,3}:")
_ATTRIBUTE = re.compile(r'([\w:]{1,40})="([^"<>]*)"')
_ORIGINAL_NAME = re.compile(r'<OriginalName v="([^"<>]{1,300})"')
_EDIT_PREFIX = "Edited previous message: "
_DIGITS = re.compile(r"\d{1,16}", re.ASCII)


class _Export(msgspec.Struct):
    """The root of a file; each conversation is decoded when it is read."""

    userId: str  # noqa: N815 - Skype's key
    conversations: list[msgspec.Raw]


class _Chat(msgspec.Struct):
    """A conversation, whose messages are decoded one by one."""

    id: str
    displayName: Any = None  # noqa: N815 - Skype's key
    threadProperties: Any = None  # noqa: N815 - Skype's key
    MessageList: list[msgspec.Raw] = []


_EXPORT_DECODER = msgspec.json.Decoder(_Export)
_CHAT_DECODER = msgspec.json.Decoder(_Chat)
_RECORD_DECODER = msgspec.json.Decoder(dict[str, Any])


class SkypeChatLoader(ChatExportLoader):
    """Load the chats of Skype's export (`messages.json`, or the `.tar` with it).

    Each chat is a session. The export states its owner. Quoted text is removed from
    replies, and edited messages have their newest text.
    """

    platform = "skype"
    label = "Skype export"
    suffixes = (".json", ".tar")
    remedy = "Pass messages.json, or the .tar file that contains it."
    has_parts = True

    @classmethod
    def is_export(cls, file: ExportFile) -> bool:
        """Return whether a file is Skype's."""
        head = file.head(_HEAD_BYTES)
        if _is_tar(head):
            return any(name in head for name in _TAR_NAMES)
        return bool(_USER_KEY.search(head) and _OTHER_KEYS.search(head))

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield each chat, combined from all exports.

        Raises:
            ExportFormatError: If there is no export, or it is damaged.
        """
        chats: dict[str, list[_Chat]] = defaultdict(list)
        owner = ""
        for export in self.read_exports(files, _read_export):
            files.check_count(len(export.conversations))
            owner = _person_of(export.userId)
            for raw in export.conversations:
                chat = decode_record(_CHAT_DECODER, raw)
                if chat is None:
                    files.unreadable += 1
                else:
                    chats[chat.id].append(chat)
        people: dict[str, Person] = {}
        for chat_id in list(chats):
            yield _build_conversation(chat_id, chats.pop(chat_id), owner, people)


def _is_tar(head: bytes) -> bool:
    return head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC)


def _read_export(file: ExportFile) -> _Export:
    data = _read_tar(file) if _is_tar(file.head(_HEAD_BYTES)) else file.read()
    try:
        return decode_json(data, _EXPORT_DECODER, file.label, file.path)
    except msgspec.ValidationError as error:
        msg = f"{file.label} is not a Skype export ({error}). Pass messages.json."
        raise ExportFormatError(msg, path=file.path) from None


def _read_tar(file: ExportFile) -> bytes:
    try:
        with file.open() as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                # A sparse file of a few bytes unpacks to any size.
                if name != _FILE_NAME or member.issparse():
                    continue
                if content := archive.extractfile(member):
                    return content.read()
    except tarfile.TarError as error:
        msg = f"{file.label} is damaged ({error}). Copy the export again."
        raise ExportFormatError(msg, path=file.path) from None
    msg = f"{file.label} contains no messages.json. Pass Skype's export."
    raise ExportFormatError(msg, path=file.path)


def _build_conversation(
    chat_id: str, chats: list[_Chat], owner: str, people: dict[str, Person]
) -> Conversation:
    rows = list(chain.from_iterable(_read_messages(chat, people) for chat in chats))
    is_service = chat_id.startswith(_SERVICE)
    for row in rows:
        row.kind = "section" if is_service else row.kind
    properties = chats[-1].threadProperties
    properties = properties if isinstance(properties, dict) else {}
    title = clean_text(chats[-1].displayName) or clean_text(properties.get("topic"))
    members = [*_read_members(properties.get("members"))]
    is_group = chat_id.startswith(_GROUP)
    if not is_group and not is_service:
        other = _person_of(chat_id)
        members = [other, owner]
        if title not in _NOBODY:
            people[other] = Person(title, (other,))
    for person in (*members, *(row.sender for row in rows)):
        if person and person not in people:
            people[person] = Person(person.removeprefix("live:").lstrip("."), (person,))
    return Conversation(
        id=chat_id,
        messages=rows,
        title=title if is_group and title else None,
        members=members,
        people=people,
        is_group=is_group,
        owner=DetectedOwner(owner),
    )


def _read_messages(chat: _Chat, people: dict[str, Person]) -> Iterator[Message]:
    """Yield the messages, oldest first, with the newest text of each."""
    versions: dict[tuple[str, int | None], Message] = {}
    rows = []
    for raw in reversed(chat.MessageList):
        record = decode_record(_RECORD_DECODER, raw)
        if record is None:
            yield Message(None, "", "", "unreadable")
            continue
        row, is_edit = _convert_message(record, chat.id)
        name = clean_text(record.get("displayName"))
        if row.sender and name not in _NOBODY:
            people[row.sender] = Person(name, (row.sender,))
        rows.append((row, is_edit))
    rows.sort(key=lambda item: sort_key(item[0].time))
    for row, is_edit in rows:
        # An edit has the time of the first version, in milliseconds.
        key = row.sender, None if row.time is None else row.time // 1000
        original = versions.setdefault(key, row)
        if is_edit and original is not row and original.kind in {"text", "unsent"}:
            if row.text:
                original.extra["edited"] = True
            original.text = row.text
            original.kind, row.kind = row.kind, "duplicate"
            row.id = ""
        yield row


def _convert_message(record: dict[str, Any], chat_id: str) -> tuple[Message, bool]:
    """Return a message, and whether it edits another one."""
    type_ = clean_text(record.get("messagetype"))
    source = record.get("content")
    source = source if isinstance(source, str) else ""
    properties = record.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    mri = clean_text(record.get("from")).rpartition("/")[2]
    row = Message(_read_time(record), _person_of(mri), "")
    if id_ := clean_text(record.get("id")):
        row.id = f"{chat_id}:{id_}"
    is_edit = _read_content(source, row, chat_id)
    if properties.get("deletetime") or (is_edit and not row.text):
        row.kind, row.text = "unsent", ""
    elif kind := _ATTACHMENTS.get(type_):
        name = _ORIGINAL_NAME.search(source)
        file_name = unescape(name[1]) if name else ""
        row.extra["attachments"], row.text = [attachment(file_name, kind=kind)], ""
    elif type_ not in _SPEECH:
        name_of_type = type_.rpartition("/")[2].lower() or "none"
        row.kind, row.extra["system"] = "system", name_of_type
    elif mri.startswith(_BOT):
        row.kind = "bot"
    row.extra |= filled(
        edited=is_edit or bool(properties.get("edittime")),
        reactions=list(_read_reactions(properties.get("emotions"))),
    )
    return row, is_edit


def _read_content(source: str, row: Message, chat_id: str) -> bool:
    """Set the text without quotation; return whether it edits another message."""
    first_version = ""

    def is_quotation(name: str, tag: str) -> bool:
        nonlocal first_version
        attributes = dict(_ATTRIBUTE.findall(tag))
        if name == "quote" and (id_ := attributes.get("messageid")):
            row.extra["reply_to"] = {"id": f"{chat_id}:{id_}"}
        if name == "e_m" and _DIGITS.fullmatch(attributes.get("ts_ms", "")):
            first_version = attributes["ts_ms"]
        return name == "quote"

    row.text = clean_text(strip_tags(source, is_quotation))
    if first_version:
        row.text = row.text.replace(_EDIT_PREFIX, "", 1).strip()
        row.id = f"{chat_id}:{first_version}"
        row.time = int(first_version) * 1000
    return bool(first_version)


def _read_time(record: dict[str, Any]) -> int | None:
    with suppress(ValueError, OverflowError):
        time = datetime.fromisoformat(clean_text(record.get("originalarrivaltime")))
        return to_microseconds(time if time.tzinfo else time.replace(tzinfo=UTC))
    id_ = clean_text(record.get("id"))
    return int(id_) * 1000 if _DIGITS.fullmatch(id_) else None


def _person_of(mri: object) -> str:
    return _PREFIX.sub("", clean_text(mri).rpartition("/")[2])


def _read_members(value: object) -> Iterator[str]:
    """Yield the members, which are JSON in a string."""
    for item in _decode_list(value):
        mri = item.get("MemberMri") if isinstance(item, dict) else item
        if person := _person_of(mri):
            yield person


def _read_reactions(value: object) -> Iterator[Any]:
    for item in iter_dicts(_decode_list(value)):
        key = clean_text(item.get("key"))
        senders = [_person_of(u.get("mri")) for u in iter_dicts(item.get("users"))]
        if key:
            yield from reactions(_REACTIONS.get(key, f":{key}:"), senders, None)


def _decode_list(value: object) -> list[Any]:
    if isinstance(value, str):
        with suppress(*DECODE_ERRORS):
            value = msgspec.json.decode(value)
    return value if isinstance(value, list) else []
