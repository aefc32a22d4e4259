"""Parse the thread files of Meta's formats.

Facebook and Instagram share a format; the secure storage for end-to-end encrypted chats
has its own. The counts below are from an export with 774,818 messages.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.facebook_messenger.encoding import make_repair
from langchain_chatexports.chat_loaders.facebook_messenger.system_lines import (
    is_deleted_account,
)
from langchain_chatexports.chat_loaders.json_data import (
    DECODE_ERRORS,
    decode_head,
    decode_json,
    is_dense_record,
    replace_lone_surrogates,
)
from langchain_chatexports.chat_loaders.messages import (
    Message,
    attachment,
    filled,
    link,
)
from langchain_chatexports.chat_loaders.schema import Attachment

_HEAD_BYTES = 16 * 2**10
_THREAD_KEYS = (b'"messages"', b'"participants"', b'"threadName"')
_MESSAGE_KEYS = (b'"sender_name"', b'"senderName"', b'"threadName"')
_MAX_INSPECTED_RECORDS = 20  # Several, since the first may be damaged.
_SUFFIX = re.compile(r"\.\w+$")
_NAME_NUMBER = re.compile(r"_\d+$")

_COMMON_FIELDS = 5  # Fields of a record: sender, two times, content and type.
_PLAIN_TYPES = frozenset({None, "Generic"})
_UNSENT_TEXT = "User unsent a message"  # In English in every account language seen.
_URL_PREFIXES = ("http://", "https://", "www.")
# Keys of attachments in Facebook and Instagram, by type.
_MEDIA_FIELDS = {
    "photo": "photos",
    "video": "videos",
    "audio": "audio_files",
    "gif": "gifs",
}

# The years 1 to 9999, which a Python datetime can represent.
_FIRST_MS = -62_135_596_800_000
_LAST_MS = 253_402_300_799_999
# The first exports of 2018 have seconds in `timestamp`; a larger value is milliseconds.
_MAX_SECONDS = 10**11


class Person(msgspec.Struct):
    """A participant."""

    name: str | None = None


class Media(msgspec.Struct):
    """An attached file: a path in the export, a file name, or a URL."""

    uri: str | None = None


class Share(msgspec.Struct):
    """A shared link (7,148); 37 without `link`, such as live locations."""

    link: str | None = None
    # A caption, often of a post by someone else.
    share_text: str | None = None


class Reaction(msgspec.Struct):
    """A reaction to the message (about 62,000)."""

    reaction: str | None = None
    actor: str | None = None


class Record(msgspec.Struct):
    """A message of a Facebook or Instagram export."""

    # For deleted accounts, it is missing, empty or a generic name.
    sender_name: str | None = None
    timestamp_ms: int | float | None = None
    timestamp: int | float | None = None  # Seconds, in the first exports of 2018.
    # Text, a system line, or a placeholder for an attachment.
    content: str | None = None
    # `Generic`, `Share`, `Call`, `Subscribe` or `Unsubscribe`, until February 2023.
    type: str | None = None
    photos: list[Media] | None = None
    videos: list[Media] | None = None
    audio_files: list[Media] | None = None
    files: list[Media] | None = None
    gifs: list[Media] | None = None
    sticker: Media | None = None
    share: Share | None = None
    reactions: list[Reaction] | None = None
    call_duration: object = None  # Set for calls (2,017), in every year and language.
    users: object = None  # Set for `Subscribe` and `Unsubscribe`, until 2023.
    is_unsent: bool | None = False  # Set for 1,397 messages; 52 of these have text.
    is_taken_down: bool | None = False


class EncryptedRecord(msgspec.Struct, rename="camel"):
    """A message in the secure storage, which always has all keys."""

    sender_name: str | None = None
    timestamp: int | float | None = None  # Milliseconds.
    text: str | None = None
    is_unsent: bool | None = None
    # `./media/<uuid>.<suffix>`, or `Failed to download media`.
    media: list[Media] | None = None
    reactions: list[Reaction] | None = None


class ThreadObject(msgspec.Struct):
    """A thread file in any of the formats."""

    messages: list[msgspec.Raw] | None = None
    # Members at the time of the export, as plain names in the secure storage.
    participants: list[Person | str] | None = None
    title: str | None = None
    # In the secure storage: `<other person>_<number>`.
    thread_name: str | None = msgspec.field(default=None, name="threadName")
    # `<section>/<folder>`, sometimes in another case or with a trailing `/`.
    thread_path: str | None = None
    # `Regular`, `RegularGroup`, `Pending` or `PendingGroup`, until February 2023.
    thread_type: str | None = None
    joinable_mode: object = None  # An object with the group's invitation link.
    is_still_participant: bool | None = None


_DEFAULT_DETAILS = msgspec.structs.astuple(Record())[_COMMON_FIELDS:]
_THREADS = msgspec.json.Decoder(ThreadObject)
_RECORDS = msgspec.json.Decoder(Record)
_ENCRYPTED_RECORDS = msgspec.json.Decoder(EncryptedRecord)


@dataclass(slots=True)
class Head:
    """The conversation metadata in a thread file."""

    is_e2ee: bool
    participants: list[str] = field(default_factory=list)
    title: str | None = None
    folder: str | None = None  # The name of the thread folder.
    is_group: bool | None = None
    # Whether the owner has left the group, which then no longer lists the owner.
    has_left: bool = False

    @property
    def people(self) -> frozenset[str]:
        """All participants, without duplicates."""
        return frozenset(self.participants)

    @property
    def active_people(self) -> frozenset[str]:
        """The participants whose accounts still exist."""
        return frozenset(p for p in self.participants if not is_deleted_account(p))


@dataclass
class ThreadDocument:
    """A parsed thread file."""

    head: Head
    records: list[msgspec.Raw]
    repair: Callable[[str], str]
    is_skipped: bool = False  # Whether its section is skipped by default.
    # Whether times are rounded to seconds; set when messages are decoded.
    has_whole_seconds: bool = False

    @cached_property
    def messages(self) -> list[Message]:
        """The messages in file order, with system lines still of the kind `text`."""
        return list(self._decode())

    @property
    def newest_time(self) -> int:
        """The time of the newest message; far in the past if no message has a time."""
        times = [m.time for m in self.messages if m.time is not None]
        return max(times, default=-(10**20))

    def _decode(self) -> Iterator[Message]:
        decode = _decode_encrypted_record if self.head.is_e2ee else _RECORDS.decode
        repair, names = self.repair, _SenderNames(self.repair)
        for raw in self.records:
            try:
                record = None if is_dense_record(raw) else decode(raw)
            except DECODE_ERRORS:
                record = None
            if record is None:
                yield Message(None, "", "", "unreadable")
                continue
            text = record.content or ""
            if not text.isascii():
                text = repair(text)
            stamp = record.timestamp_ms
            if stamp is None and record.timestamp is not None:
                stamp = record.timestamp
                if abs(stamp) < _MAX_SECONDS:
                    self.has_whole_seconds, stamp = True, stamp * 1000
            time = None
            if stamp is not None and _FIRST_MS <= stamp <= _LAST_MS:
                time = int(stamp) * 1000
            message = Message(time, names[record.sender_name], text)
            details = msgspec.structs.astuple(record)[_COMMON_FIELDS:]
            if details != _DEFAULT_DETAILS or record.type not in _PLAIN_TYPES:
                _add_details(message, record, repair, names)
            yield message


class _SenderNames(dict[str | None, str]):
    """Repaired sender names, cached; names of deleted accounts are empty."""

    def __init__(self, repair: Callable[[str], str]) -> None:
        super().__init__()
        self.repair = repair

    def __missing__(self, raw: str | None) -> str:
        name = self.repair(raw or "").strip()
        self[raw] = name = "" if is_deleted_account(name) else name
        return name


def read_thread(file: ExportFile) -> ThreadDocument | None:
    """Parse a thread file; `None` for other JSON."""
    data = file.read()
    try:
        thread = decode_json(data, _THREADS, file.label, file.path)
    except msgspec.ValidationError:
        return None
    is_e2ee = thread.thread_name is not None and _is_e2ee(thread)
    if thread.messages is None or not (is_e2ee or _is_unencrypted_thread(thread)):
        return None
    repair = replace_lone_surrogates if is_e2ee else make_repair(data)
    return ThreadDocument(_make_head(thread, repair), thread.messages, repair)


def read_head(file: ExportFile) -> Head | None:
    """Read the head of a thread file, from the first bytes if possible.

    `None` if the first bytes contain none of the keys of a thread.
    """
    data = file.read(_HEAD_BYTES)
    if not any(key in data for key in _THREAD_KEYS):
        return None
    thread = decode_head(data, _THREADS)
    if thread and thread.participants:
        is_e2ee = _is_e2ee(thread)
        return _make_head(thread, replace_lone_surrogates if is_e2ee else make_repair())
    document = read_thread(file)
    return document.head if document else None


def is_thread_head(data: bytes) -> bool:
    """Return whether the first bytes of a file are from a thread."""
    return b'"participants"' in data and any(key in data for key in _MESSAGE_KEYS)


def has_url(text: str) -> bool:
    """Return whether text contains a URL."""
    folded = text.casefold()
    return any(prefix in folded for prefix in _URL_PREFIXES)


def _decode_encrypted_record(raw: msgspec.Raw) -> Record:
    """Decode a record of the secure storage, and convert it to the other format."""
    encrypted = _ENCRYPTED_RECORDS.decode(raw)
    is_placeholder = encrypted.is_unsent and encrypted.text == _UNSENT_TEXT
    record = Record(
        sender_name=encrypted.sender_name,
        timestamp_ms=encrypted.timestamp,
        content=None if is_placeholder else encrypted.text,
        is_unsent=encrypted.is_unsent,
        reactions=encrypted.reactions,
    )
    for item in encrypted.media or ():
        # Without a suffix, it is the text for a failed download.
        media = item if _SUFFIX.search(item.uri or "") else Media()
        name = _MEDIA_FIELDS.get(attachment(media.uri or "")["type"], "files")
        setattr(record, name, [*(getattr(record, name) or ()), media])
    return record


def _is_unencrypted_thread(thread: ThreadObject) -> bool:
    if any(isinstance(person, str) for person in thread.participants or ()):
        return False
    is_decoded = False
    for raw in (thread.messages or ())[:_MAX_INSPECTED_RECORDS]:
        with suppress(*DECODE_ERRORS):
            record = _RECORDS.decode(raw)
            is_decoded = True
            if (record.timestamp_ms, record.timestamp) != (None, None):
                return True
    return not is_decoded and thread.participants is not None


def _is_e2ee(thread: ThreadObject) -> bool:
    """Return whether participants are plain names, as in the secure storage."""
    participants = thread.participants or []
    return bool(participants or thread.thread_name) and all(
        isinstance(person, str) for person in participants
    )


def _make_head(thread: ThreadObject, repair: Callable[[str], str]) -> Head:
    names = [
        person if isinstance(person, str) else person.name
        for person in thread.participants or ()
    ]
    head = Head(_is_e2ee(thread), [repair(name) for name in names if name is not None])
    if head.is_e2ee:
        head.title = _NAME_NUMBER.sub("", repair(thread.thread_name or "")) or None
        return head
    head.title = repair(thread.title) if thread.title else None
    head.folder = (thread.thread_path or "").rstrip("/").rpartition("/")[2] or None
    head.has_left = thread.is_still_participant is False
    if thread.thread_type is not None:
        head.is_group = thread.thread_type.endswith("Group")
    elif thread.joinable_mode is not None:
        head.is_group = True
    return head


def _add_details(
    message: Message,
    record: Record,
    repair: Callable[[str], str],
    names: Mapping[str | None, str],
) -> None:
    """Add attachments and reactions, and set the kind if it depends on a field."""
    reactions = [
        {"reaction": repair(item.reaction), "sender": names[item.actor]}
        for item in record.reactions or ()
        if item.reaction
    ]
    attachments = list(_convert_attachments(record, repair))
    message.extra = extra = filled(attachments=attachments, reactions=reactions)
    if record.is_unsent or record.is_taken_down:
        message.kind, extra["unsent"] = "unsent", True
    elif system := _detect_system_kind(record, message.text):
        message.kind, extra["system"] = "system", system


def _detect_system_kind(record: Record, text: str) -> str | None:
    """Return the type of a system message, from the fields of its record."""
    if record.call_duration is not None or record.type == "Call":
        return "call"
    if record.users is not None or record.type in {"Subscribe", "Unsubscribe"}:
        return "members"
    # Apps and games post notices without a link; with a link, a person shared it.
    share = record.share
    has_link = bool(share and (share.link or share.share_text)) or has_url(text)
    return "game" if record.type == "Share" and text and not has_link else None


def _convert_attachments(
    record: Record, repair: Callable[[str], str]
) -> Iterator[Attachment]:
    for kind, items in (
        ("photo", record.photos),
        ("video", record.videos),
        ("audio", record.audio_files),
        ("file", record.files),
        ("gif", record.gifs),
        ("sticker", [record.sticker] if record.sticker else ()),
    ):
        for item in items or ():
            yield attachment(repair(item.uri or ""), kind=kind)
    share = record.share
    if share and (share.link or share.share_text):
        yield link(share.link or "", text=repair(share.share_text or ""))
