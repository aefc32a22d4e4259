"""Load chats in ChatLab's exchange format, as JSON or JSON lines.

The programs that read WeChat, QQ and other apps without an export write this format.
Its specification (0.0.2, May 2026) says that fields may change: unknown ones are
ignored. One file is one chat.
"""

import re
from codecs import BOM_UTF8
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

import msgspec

from langchain_chatexports._terminal import printable
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.conversation import MessageIds
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.json_data import (
    DECODE_ERRORS,
    clean_text,
    decode_json,
    iter_dicts,
)
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    DetectedOwner,
    Message,
    Person,
    attachment,
)
from langchain_chatexports.chat_loaders.times import MICROSECONDS
from langchain_chatexports.exceptions import ExportFormatError

_HEAD_BYTES = 1 << 16
_MAX_LINE = 1 << 24
_HEADER_KEY = re.compile(rb'"chatlab"\s*:\s*\{')
# The keys may be in any order.
_OTHER_KEYS = re.compile(rb'"(?:platformId|sender)"\s*:')
_NAME_KEY = re.compile(rb'"accountName"\s*:')
_TEXT_TYPES = frozenset({0, 7, 24, 25, 26})
_FORWARD = 26
_ATTACHMENTS = {1: "photo", 2: "audio", 3: "video", 4: "file", 5: "sticker"}
_ATTACHMENTS |= {8: "location", 27: "contact"}
_LINKS = frozenset({7, 24})
_SYSTEM = {20: "red_packet", 21: "transfer", 22: "poke", 23: "call", 80: "notice"}
_DELETED = 81
# What careless programs write as text.
_PLACEHOLDERS = {
    **dict.fromkeys(("[图片]", "[照片]", "[Photo]", "[Image]"), "photo"),
    **dict.fromkeys(("[表情]", "[动画表情]", "[Sticker]"), "sticker"),
    **dict.fromkeys(("[语音]", "[Voice]"), "audio"),
    **dict.fromkeys(("[视频]", "[Video]"), "video"),
    **dict.fromkeys(("[文件]", "[File]"), "file"),
    **dict.fromkeys(("[位置]", "[Location]"), "location"),
    **dict.fromkeys(("[链接]", "[Link]"), "link"),
}
_IN_BRACKETS = re.compile(r"\[(?:[^\[\]:]{1,40}: ?)?(?P<name>[^\[\]]{0,260})\]")
_FILE = re.compile(r"\w{2,8}://\S+|(?:[^\s/]*/)*[^\s/]+\.[A-Za-z0-9]{1,8}")
_CARD = re.compile(r"\s*<(?:\?xml|msg|appmsg)[\s>]")
_RECALLED = re.compile(r'(?:你|"[^"]{1,60}")? ?撤回了一条消息')
_SYSTEM_SENDERS = frozenset({"", "0", "system", "系统消息"})
_OWN_NAMES = frozenset({"我", "我（自己）", "me"})  # noqa: RUF001 - full-width
_MAX_SECONDS = 10**11  # Larger times are in milliseconds.
_NUMBER = re.compile(r"\d{1,17}(?:\.\d{1,9})?", re.ASCII)
_MAX_ID = 2**64
_KNOWN_VERSION = "0.0."
_TWO_PEOPLE = 2
_EXPECTED = (
    "Export the chat again as ChatLab JSON or JSONL, with the object `chatlab` and "
    "the list `messages`."
)


class _File(msgspec.Struct):
    """A JSON file, whose messages are decoded one by one."""

    chatlab: dict[str, Any]
    messages: list[msgspec.Raw]
    meta: Any = None
    members: Any = None


_FILE_DECODER = msgspec.json.Decoder(_File)


@dataclass
class _Chat:
    """The messages and people of a file."""

    meta: dict[str, Any]
    file: ExportFile
    members: list[dict[str, Any]] = field(default_factory=list)
    rows: list[Message] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """The newest name of each sender."""

    contents: dict[str, tuple[object, ...]] = field(default_factory=dict)
    """The first message of each id."""

    @property
    def name(self) -> str:
        return clean_text(self.meta.get("name"))

    @property
    def is_group(self) -> bool | None:
        return {"group": True, "private": False}.get(clean_text(self.meta.get("type")))

    @property
    def id(self) -> str:
        platform = clean_text(self.meta.get("platform")).lower() or "chat"
        members = sorted(_id_of(member, "platformId") for member in self.members)
        is_pair = self.is_group is False and len(members) == _TWO_PEOPLE
        name = "+".join(members) if is_pair else self.name
        name = _id_of(self.meta, "groupId") or name or self.file.name.partition(".")[0]
        return f"{platform}:{name}"

    def add(self, record: Any) -> None:
        """Add a line, or a message of a list."""
        if not isinstance(record, dict):
            self.rows.append(Message(None, "", "", "unreadable"))
        elif record.get("_type") == "member":
            self.members.append(record)
        else:
            row = _convert_message(record)
            if row.sender and (name := clean_text(record.get("accountName"))):
                self.names[row.sender] = name
            content = (row.time, row.sender, row.text)
            # Combined files repeat the numbers of their parts.
            if self.contents.setdefault(row.id, content) != content:
                row.id = ""
            self.rows.append(row)

    def people(self) -> dict[str, Person]:
        people = {
            person: Person(name, (person,)) for person, name in self.names.items()
        }
        for member in self.members:
            person = _id_of(member, "platformId")
            aliases = member.get("aliases")
            others = [*(aliases if isinstance(aliases, list) else ())]
            others.append(member.get("groupNickname"))
            name = clean_text(member.get("accountName")) or self.names.get(person, "")
            handles = dict.fromkeys([person, *filter(None, map(clean_text, others))])
            people[person] = Person(name, tuple(handles))
        people.pop("", None)
        return people

    def find_owner(self) -> DetectedOwner | None:
        """Return the owner. Some programs write a group's owner as `ownerId`."""
        people = self.people()
        senders = {row.sender for row in self.rows if row.kind != "system"}
        owner = _id_of(self.meta, "ownerId")
        group_owners = {
            _id_of(member, "platformId")
            for member in self.members
            for role in iter_dicts(member.get("roles"))
            if role.get("id") == "owner"
        }
        is_sender = self.is_group is False and owner in senders
        if owner and (is_sender or owner not in group_owners):
            return DetectedOwner(owner, "the export")
        for person, names in people.items():
            if names.name.casefold() in _OWN_NAMES:
                return DetectedOwner(person, "the name")
        others = [person for person in people if people[person].name != self.name]
        is_pair = self.is_group is False and len(people) == _TWO_PEOPLE
        if is_pair and len(others) == 1:
            return DetectedOwner(others[0], "the chat's name")
        return None


class ChatLabChatLoader(ChatExportLoader):
    """Load chats in ChatLab's exchange format (JSON or JSON lines).

    Each file is a chat; several exports of one chat are joined. `platform` is the app
    that the chat is from, such as `wechat` or `qq`.
    """

    platform = "chatlab"
    label = "ChatLab export"
    suffixes = (".json", ".jsonl")
    remedy = _EXPECTED
    has_parts = True

    @classmethod
    def is_export(cls, file: ExportFile) -> bool:
        """Return whether a file has ChatLab's keys in its first bytes."""
        head = file.head(_HEAD_BYTES)
        if not head.startswith((b"{", b"#")):
            return False
        has_names = _NAME_KEY.search(head) and _OTHER_KEYS.search(head)
        return bool(_HEADER_KEY.search(head) or has_names)

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield each chat, combined from all its exports.

        Raises:
            ExportFormatError: If there is no chat, or a file is damaged.
        """
        chats: dict[str, list[_Chat]] = defaultdict(list)
        for chat in self.read_exports(files, partial(_read_chat, files=files)):
            chats[chat.id].append(chat)
            files.check_count(len(chat.rows))
        for chat_id in sorted(chats):
            yield _build_conversation(chat_id, chats.pop(chat_id))


def _build_conversation(chat_id: str, chats: list[_Chat]) -> Conversation:
    people: dict[str, Person] = {}
    for chat in chats:
        people |= chat.people()
        ids = MessageIds(chat_id)
        for row in chat.rows:
            if row.id:
                row.id = f"{chat_id}:{row.id}"
            else:
                row.id = ids.from_content(row.time, row.sender, row.text)
            if reply := row.extra.get("reply_to"):
                reply["id"] = f"{chat_id}:{reply['id']}"
    owner = next(filter(None, (chat.find_owner() for chat in chats)), None)
    return Conversation(
        id=chat_id,
        messages=chain.from_iterable(chat.rows for chat in chats),
        title=chats[-1].name or None,
        members=[_id_of(m, "platformId") for chat in chats for m in chat.members],
        people=people,
        is_group=chats[-1].is_group,
        platform=chat_id.partition(":")[0],
        owner=owner,
    )


def _read_chat(file: ExportFile, files: ExportFiles) -> _Chat:
    first_line = file.head(_HEAD_BYTES).partition(b"\n")[0]
    is_lines = b'"_type"' in first_line or first_line.startswith(b"#")
    records = _read_lines(file) if is_lines else _read_json(file)
    with closing(records):
        header = next(records, None)
        if not isinstance(header, dict) or header.get("_type") != "header":
            msg = f"{file.label} does not begin with a header line. {_EXPECTED}"
            raise ExportFormatError(msg, path=file.path)
        _report_version(header.get("chatlab"), file, files)
        meta = header.get("meta")
        chat = _Chat(meta if isinstance(meta, dict) else {}, file)
        for record in records:
            chat.add(record)
            files.check_count(len(chat.rows) + len(chat.members))
    return chat


def _report_version(about: object, file: ExportFile, files: ExportFiles) -> None:
    """Report a version that may have more fields than those that are read."""
    version = str(about.get("version") or "") if isinstance(about, dict) else ""
    if version and not version.startswith(_KNOWN_VERSION):
        msg = (
            f"{file.label} has version {printable(version[:20])} of ChatLab's format, "
            f"which is newer than {_KNOWN_VERSION}x. It is read as far as it is known."
        )
        files.report_loss("other_versions", msg)


def _read_json(file: ExportFile) -> Generator[Any, None, None]:
    """Yield the content of a file as if it had a record on each line."""
    try:
        content = decode_json(file.read(), _FILE_DECODER, file.label, file.path)
    except msgspec.ValidationError as error:
        msg = f"{file.label} is not a chat from ChatLab ({error}). {_EXPECTED}"
        raise ExportFormatError(msg, path=file.path) from None
    yield {"_type": "header", "chatlab": content.chatlab, "meta": content.meta}
    for member in iter_dicts(content.members):
        yield {**member, "_type": "member"}
    yield from map(_decode, content.messages)


def _read_lines(file: ExportFile) -> Generator[Any, None, None]:
    with file.open() as stream:
        for line in iter(partial(stream.readline, _MAX_LINE), b""):
            text = line.removeprefix(BOM_UTF8).strip()
            if text and text[:1] != b"#":
                yield _decode(text)


def _decode(line: bytes | msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(line)
    except DECODE_ERRORS:
        return None


def _convert_message(record: dict[str, Any]) -> Message:
    sender, text = _id_of(record, "sender"), clean_text(record.get("content"))
    is_app = sender.casefold() in _SYSTEM_SENDERS
    message = Message(
        _read_time(record.get("timestamp")), "" if is_app else sender, text
    )
    message.id = _id_of(record, "platformMessageId")
    type_ = record.get("type", 0)
    type_ = type_ if isinstance(type_, int) else -1
    if is_app or type_ in _SYSTEM or _CARD.match(text):
        _set_system(message, _SYSTEM.get(type_, "notice" if is_app else "card"))
    elif type_ == _DELETED or _RECALLED.fullmatch(text):
        message.kind = "unsent"
    elif kind := _find_attachment(type_, text):
        _set_attachment(message, kind)
    elif type_ not in _TEXT_TYPES:
        _set_system(message, f"type {type_}")
    elif message.time is None and text:
        message.kind = "undated"
    if type_ == _FORWARD:
        message.extra["forwarded"] = True
    if target := _id_of(record, "replyToMessageId"):
        message.extra["reply_to"] = {"id": target}
    return message


def _find_attachment(type_: int, text: str) -> str:
    """Return the type of the attachment that a text stands for; empty for text."""
    if type_ in _LINKS and _IN_BRACKETS.fullmatch(text):
        return "link"
    return _ATTACHMENTS.get(type_) or (
        _PLACEHOLDERS.get(text, "") if type_ in _TEXT_TYPES else ""
    )


def _set_system(message: Message, name: str) -> None:
    message.kind = "system"
    message.extra["system"] = name


def _set_attachment(message: Message, kind: str) -> None:
    """Make a placeholder an attachment; keep other text, such as a transcript."""
    match = _IN_BRACKETS.fullmatch(message.text)
    name = match["name"] if match else message.text
    is_file = bool(_FILE.fullmatch(name))
    item = attachment(name if is_file and "://" not in name else "", kind=kind)
    if is_file and "://" in name:
        item["uri"] = name
    message.extra["attachments"] = [item]
    if match or is_file:
        message.text = ""


def _id_of(record: dict[str, Any], key: str) -> str:
    value = record.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < _MAX_ID else ""
    return clean_text(value)


def _read_time(value: object) -> int | None:
    """Convert seconds, or milliseconds, to microseconds."""
    text = str(value) if isinstance(value, (int, float, str)) else ""
    if not _NUMBER.fullmatch(text) or not float(text):
        return None
    unit = MICROSECONDS if float(text) < _MAX_SECONDS else 1000
    return round(float(text) * unit) if "." in text else int(text) * unit
