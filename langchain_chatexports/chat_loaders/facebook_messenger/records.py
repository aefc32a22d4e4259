"""Thread files in Meta's formats, and their messages.

Facebook and Instagram share one format, and the secure storage of end-to-end encrypted
chats has another. Counts below are from one export with 774,818 messages.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders.facebook_messenger.encoding import repair_for
from langchain_chatexports.chat_loaders.facebook_messenger.system_lines import (
    is_deleted_account,
)
from langchain_chatexports.chat_loaders.files import ExportFile
from langchain_chatexports.chat_loaders.json_data import (
    NOT_DECODED,
    decode_head,
    decode_json,
    without_lone_surrogates,
)
from langchain_chatexports.chat_loaders.messages import Message, attachment

_HEAD_BYTES = 16 * 2**10
_THREAD_KEYS = (b'"messages"', b'"participants"', b'"threadName"')
_MESSAGE_KEYS = (b'"sender_name"', b'"senderName"', b'"threadName"')
_LOOKED_AT = 20  # The first messages may be damaged.
_SUFFIX = re.compile(r"\.\w+$")
_NAME_NUMBER = re.compile(r"_\d+$")

_COMMON_FIELDS = 5  # Fields of a record: sender, two times, content and type.
_USUAL_TYPES = frozenset({None, "Generic"})
_UNSENT_TEXT = "User unsent a message"  # In English in every account language seen.
_URL_SIGNS = ("http://", "https://", "www.")
# The keys of Facebook and Instagram, by type of attachment.
_FIELDS = {"photo": "photos", "video": "videos", "audio": "audio_files", "gif": "gifs"}

# The years 1 to 9999, which a Python datetime can represent.
_FIRST_MS = -62_135_596_800_000
_LAST_MS = 253_402_300_799_999
# The first exports of 2018 have seconds in `timestamp`; a larger value is milliseconds.
_MAX_SECONDS = 10**11


class Person(msgspec.Struct):
    """A participant."""

    name: str | None = None


class Media(msgspec.Struct):
    """A file of a message: a path in the export, a bare file name, or an address."""

    uri: str | None = None


class Share(msgspec.Struct):
    """A shared link (7,148); 37 have no `link`, such as live locations."""

    link: str | None = None
    # A caption, often of another person's post, not written by the sender.
    share_text: str | None = None


class Reaction(msgspec.Struct):
    """A reaction to the message (about 62,000)."""

    reaction: str | None = None
    actor: str | None = None


class Record(msgspec.Struct):
    """A message of a Facebook or Instagram export."""

    # Missing, empty or a generic name for deleted accounts.
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
    is_unsent: bool | None = False  # Set for 1,397 messages, 52 of them with text.
    is_taken_down: bool | None = False


class EncryptedRecord(msgspec.Struct, rename="camel"):
    """A message of the secure storage; each has all seven keys."""

    sender_name: str | None = None
    timestamp: int | float | None = None  # Milliseconds.
    text: str | None = None
    is_unsent: bool | None = None
    # `./media/<uuid>.<suffix>`, or the sentence `Failed to download media`.
    media: list[Media] | None = None
    reactions: list[Reaction] | None = None


class ThreadObject(msgspec.Struct):
    """A thread file of any of the exports."""

    messages: list[msgspec.Raw] | None = None
    # Members when the export was made; names alone in the secure storage.
    participants: list[Person | str] | None = None
    title: str | None = None
    # `<other person>_<number>`, in the secure storage.
    thread_name: str | None = msgspec.field(default=None, name="threadName")
    # `<section>/<folder>`, sometimes in another case, or with a trailing `/`.
    thread_path: str | None = None
    # `Regular`, `RegularGroup`, `Pending` or `PendingGroup`, until February 2023.
    thread_type: str | None = None
    joinable_mode: object = None  # An object with the link to join a group.
    is_still_participant: bool | None = None


_PLAIN = msgspec.structs.astuple(Record())[_COMMON_FIELDS:]
_THREADS = msgspec.json.Decoder(ThreadObject)
_RECORDS = msgspec.json.Decoder(Record)
_ENCRYPTED_RECORDS = msgspec.json.Decoder(EncryptedRecord)


@dataclass(slots=True)
class Head:
    """The information in a thread file about its conversation."""

    is_e2ee: bool
    participants: list[str] = field(default_factory=list)
    title: str | None = None
    folder: str | None = None  # The thread folder's name.
    is_group: bool | None = None
    # Whether the owner has left the group, and is no longer listed.
    has_left: bool = False

    @property
    def people(self) -> frozenset[str]:
        """All participants, each once."""
        return frozenset(self.participants)

    @property
    def named(self) -> frozenset[str]:
        """The participants whose accounts still exist."""
        return frozenset(p for p in self.participants if not is_deleted_account(p))


@dataclass
class ThreadDocument:
    """A parsed thread file."""

    head: Head
    records: list[msgspec.Raw]
    repair: Callable[[str], str]
    is_skipped: bool = False  # Whether its section is skipped by default.
    # Whether its times are in whole seconds; set when messages are decoded.
    is_coarse: bool = False

    @cached_property
    def messages(self) -> list[Message]:
        """The messages in the file's order, with the kinds that fields determine.

        Messages of kind `text` may still be system lines.
        """
        return list(self._decoded())

    @property
    def newest(self) -> int:
        """The time of the newest message; a very low number if there is none."""
        times = [m.time for m in self.messages if m.time is not None]
        return max(times, default=-(10**20))

    def _decoded(self) -> Iterator[Message]:
        decode = _encrypted_record if self.head.is_e2ee else _RECORDS.decode
        repair, names = self.repair, _SenderNames(self.repair)
        for raw in self.records:
            try:
                record = decode(raw)
            except NOT_DECODED:
                yield Message(None, "", "", "unreadable")
                continue
            text = record.content or ""
            if not text.isascii():
                text = repair(text)
            stamp = record.timestamp_ms
            if stamp is None and record.timestamp is not None:
                stamp = record.timestamp
                if abs(stamp) < _MAX_SECONDS:
                    self.is_coarse, stamp = True, stamp * 1000
            time = None
            if stamp is not None and _FIRST_MS <= stamp <= _LAST_MS:
                time = int(stamp) * 1000
            message = Message(time, names[record.sender_name], text)
            details = msgspec.structs.astuple(record)[_COMMON_FIELDS:]
            if details != _PLAIN or record.type not in _USUAL_TYPES:
                _add_details(message, record, repair, names)
            yield message


class _SenderNames(dict[str | None, str]):
    """Repairs each sender of a file once; deleted accounts are empty."""

    def __init__(self, repair: Callable[[str], str]) -> None:
        super().__init__()
        self.repair = repair

    def __missing__(self, raw: str | None) -> str:
        name = self.repair(raw or "").strip()
        self[raw] = shown = "" if is_deleted_account(name) else name
        return shown


def read_thread(file: ExportFile) -> ThreadDocument | None:
    """Parse a file; `None` for JSON that is not a thread."""
    data = file.read()
    try:
        thread = decode_json(data, _THREADS, file.label, file.path)
    except msgspec.ValidationError:
        return None
    is_e2ee = thread.thread_name is not None and _is_e2ee(thread)
    if thread.messages is None or not (is_e2ee or _has_dyi_shape(thread)):
        return None
    repair = without_lone_surrogates if is_e2ee else repair_for(data)
    return ThreadDocument(_head_of(thread, repair), thread.messages, repair)


def read_head(file: ExportFile) -> Head | None:
    """Return the head of a thread file, from its first bytes if possible.

    `None` if they contain no key of a thread.
    """
    data = file.read(_HEAD_BYTES)
    if not any(key in data for key in _THREAD_KEYS):
        return None
    thread = decode_head(data, _THREADS)
    if thread and thread.participants:
        is_e2ee = _is_e2ee(thread)
        return _head_of(thread, without_lone_surrogates if is_e2ee else repair_for())
    document = read_thread(file)
    return document.head if document else None


def is_thread_head(data: bytes) -> bool:
    """Return whether a file begins like a thread."""
    return b'"participants"' in data and any(key in data for key in _MESSAGE_KEYS)


def has_url(text: str) -> bool:
    """Return whether a text contains a link."""
    folded = text.casefold()
    return any(sign in folded for sign in _URL_SIGNS)


def _encrypted_record(raw: msgspec.Raw) -> Record:
    """Decode a record of the secure storage into the other format."""
    found = _ENCRYPTED_RECORDS.decode(raw)
    is_placeholder = found.is_unsent and found.text == _UNSENT_TEXT
    record = Record(
        sender_name=found.sender_name,
        timestamp_ms=found.timestamp,
        content=None if is_placeholder else found.text,
        is_unsent=found.is_unsent,
        reactions=found.reactions,
    )
    for item in found.media or ():
        # Without a suffix it is a sentence about a missing file.
        stored = item if _SUFFIX.search(item.uri or "") else Media()
        name = _FIELDS.get(attachment(stored.uri or "")["type"], "files")
        setattr(record, name, [*(getattr(record, name) or ()), stored])
    return record


def _has_dyi_shape(thread: ThreadObject) -> bool:
    if any(isinstance(person, str) for person in thread.participants or ()):
        return False
    is_decoded = False
    for raw in (thread.messages or ())[:_LOOKED_AT]:
        with suppress(*NOT_DECODED):
            record = _RECORDS.decode(raw)
            is_decoded = True
            if (record.timestamp_ms, record.timestamp) != (None, None):
                return True
    return not is_decoded and thread.participants is not None


def _is_e2ee(thread: ThreadObject) -> bool:
    """Return whether participants are plain names; `threadName` may follow later."""
    listed = thread.participants or []
    return bool(listed or thread.thread_name) and all(
        isinstance(person, str) for person in listed
    )


def _head_of(thread: ThreadObject, repair: Callable[[str], str]) -> Head:
    listed = thread.participants or []
    names = [person if isinstance(person, str) else person.name for person in listed]
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
    """Add attachments and reactions, and the kind that fields determine."""
    extra: dict[str, Any] = {}
    if attachments := list(_attachments(record, repair)):
        extra["attachments"] = attachments
    reactions = [
        {"reaction": repair(item.reaction), "sender": names[item.actor]}
        for item in record.reactions or ()
        if item.reaction
    ]
    if reactions:
        extra["reactions"] = reactions
    if record.is_unsent or record.is_taken_down:
        message.kind, extra["unsent"] = "unsent", True
    elif system := _system_kind(record, message.text):
        message.kind, extra["system"] = "system", system
    message.extra = extra


def _system_kind(record: Record, text: str) -> str | None:
    """Return the type of a system message, by the record's fields."""
    if record.call_duration is not None or record.type == "Call":
        return "call"
    if record.users is not None or record.type in {"Subscribe", "Unsubscribe"}:
        return "members"
    # A notice of an app or game; with a link it was shared by a person.
    share = record.share
    has_link = bool(share and (share.link or share.share_text)) or has_url(text)
    return "game" if record.type == "Share" and text and not has_link else None


def _attachments(
    record: Record, repair: Callable[[str], str]
) -> Iterator[dict[str, str]]:
    for kind, listed in (
        ("photo", record.photos),
        ("video", record.videos),
        ("audio", record.audio_files),
        ("file", record.files),
        ("gif", record.gifs),
        ("sticker", [record.sticker] if record.sticker else ()),
    ):
        for item in listed or ():
            yield {"type": kind, "uri": item.uri} if item.uri else {"type": kind}
    share = record.share
    if share and (share.link or share.share_text):
        shared = {"type": "link"}
        if share.link:
            shared["uri"] = share.link
        if share.share_text:
            shared["text"] = repair(share.share_text)
        yield shared
