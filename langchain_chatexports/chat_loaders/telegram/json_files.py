r"""`result.json`: a chat, or an account with all of its chats.

Telegram does not always write valid JSON: control characters are escaped as `\x0C`,
version 4.1.1 omitted the quotes of one value, and a crash truncates the file. These are
repaired; the records of a chat are then decoded one by one, when the chat is read. The
keys are those of Telegram Desktop; HTML pages are read into the same records.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import msgspec

from langchain_chatexports.chat_loaders.files import ExportFile
from langchain_chatexports.chat_loaders.json_data import (
    NOT_DECODED,
    clean_text,
    decode_record,
    dicts_of,
    not_json,
)

_HEAD_BYTES = 64 * 2**10
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ABOUT = re.compile(rb'\{\s*"about"')
# The type of a chat and its id, an account's data, or keys that only Telegram writes,
# in any order: the file may have been saved by another program.
_SIGNS = re.compile(
    rb'"type"\s*:\s*"(?:(?:personal|bot)_chat|verify_codes|saved_messages|replies'
    rb'|(?:private|public)_(?:group|supergroup|channel))"\s*,\s*"id"\s*:\s*\d'
    rb'|"personal_information"\s*:\s*\{\s*"user_id"\s*:\s*\d'
    rb'|"(?:left_)?chats"\s*:\s*\{[^{}]{0,2000}"list"\s*:\s*\['
    rb'|"(?:from_id|actor_id|date_unixtime)"\s*:'
)
# Match an escaped backslash as a whole, so that the next character is not escaped.
_ESCAPE = re.compile(
    rb"\\(?:x(?P<control>[0-9a-fA-F]{2})"
    rb"|u[dD][89abAB][0-9a-fA-F]{2}(?P<pair>\\u[dD][c-fC-F][0-9a-fA-F]{2})?"
    rb"|(?P<lone>u[dD][c-fC-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_BARE_VALUE = re.compile(
    rb'("document_id": )([^"\d\r\n][^\r\n]*?)(,?\r?$)', re.MULTILINE
)
# Telegram indents by one space per level and has no line breaks in strings: the message
# list of a single chat is indented by one space, those of an account by four.
_LIST = re.compile(rb'^( |    )"messages": \[(?=\r?\n)', re.MULTILINE)
_CLOSINGS = {b" ": b"null]}", b"    ": b"null]}]}}"}
_UNSET = msgspec.UNSET
_SERVICE_ID = "user777000"  # Telegram's own account: login codes and notices.
_TITLES = {"saved_messages": "Saved Messages", "replies": "Replies"}
_PEERS = {
    "personal_chat": "user",
    "bot_chat": "user",
    "verify_codes": "user",
    "private_group": "chat",
    "public_group": "chat",
    "private_supergroup": "channel",
    "public_supergroup": "channel",
    "private_channel": "channel",
    "public_channel": "channel",
}

CHAT_TYPES = frozenset({*_PEERS, *_TITLES})
"""The values of a chat's `type`."""


class Record(msgspec.Struct, rename={"from_": "from"}):
    """A message, a service message (a call, a join, …), or an `unsupported` one.

    msgspec skips unused keys (sizes, durations, buttons, thumbnails, paths). A field is
    `Any` if only its presence matters, or if its type depends on the version.
    """

    # Unique in the chat; negative for messages of the group that a supergroup was.
    id: int | None = None
    type: str = ""  # `message`, `service`, or `unsupported`, which has an id only.
    # The local time of the exporting computer in ISO 8601, without a zone. In HTML it
    # may have an offset.
    date: str | None = None
    # UTC seconds as a string, since about 2022; other programs write a number.
    date_unixtime: str | int | None = None
    edited: Any = None
    edited_unixtime: Any = None

    # The display name at export time; null for deleted accounts and hidden names.
    from_: str | None = None
    # `user123`, `channel123` (anonymous admins, posts) or `chat123`; before about 2021
    # a number. It identifies people; names do not.
    from_id: str | int | None = None
    actor: str | None = None
    # Service messages have these two instead of `from` and `from_id`.
    actor_id: str | int | None = None
    # The type of a service message: `phone_call`, `pin_message`, …
    action: str | None = None
    # The text of a service message by other programs, which write no `action`.
    information_text: str | None = None
    title: str | None = None  # The name of a piece of music.
    # A string, or a list of strings and objects with a `text`.
    text: str | list[Any] | None = ""
    # The same text as a list of objects, since about 2022.
    text_entities: msgspec.Raw = msgspec.Raw(b"[]")
    reply_to_message_id: int | None = None
    # The chat of the replied-to message, if it is another one.
    reply_to_peer_id: str | None = None
    forwarded_from: str | msgspec.UnsetType | None = _UNSET
    saved_from: str | msgspec.UnsetType | None = _UNSET
    via_bot: str | None = None  # The inline bot that wrote the text.
    photo: Any = _UNSET
    # A path, or a sentence in parentheses if the file was not exported.
    file: Any = _UNSET
    file_name: str | None = None
    # `sticker`, `voice_message`, …; a plain document has none.
    media_type: str | None = None
    sticker_emoji: str | None = None
    poll: Any = _UNSET  # The `question` may be a list, like `text`.
    location_information: Any = _UNSET
    live_location_period_seconds: Any = _UNSET
    place_name: str | msgspec.UnsetType | None = _UNSET
    contact_information: Any = _UNSET
    contact_vcard: Any = _UNSET
    game_title: Any = _UNSET
    invoice_information: Any = _UNSET
    giveaway_information: Any = _UNSET
    giveaway_results: Any = _UNSET
    paid_stars_amount: Any = _UNSET

    reactions: list["Reaction"] | None = None  # Since version 5.6 (2024).


class Reaction(msgspec.Struct):
    """A kind of reaction to a message."""

    type: str = "emoji"  # `emoji`, `custom_emoji` (a picture) or `paid` (a star).
    emoji: str | None = None
    count: int = 0
    recent: list["Reactor"] | None = None  # The last few people with this reaction.


class Reactor(msgspec.Struct, rename={"from_": "from"}):
    """A person who reacted."""

    from_: str | None = None
    from_id: str | int | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat in one file or in one folder of pages."""

    # A word (`user`, `chat` or `channel`) and a number; in HTML, which has no ids, the
    # name.
    id: str
    name: str | None
    type: str  # Telegram's type, such as `personal_chat`; empty in HTML.
    # Reads its records; `None` is a damaged record.
    records: Callable[[], Iterator[Record | None]]
    is_html: bool = False

    @property
    def title(self) -> str | None:
        """The display name."""
        return self.name or _TITLES.get(self.type)

    @property
    def is_group(self) -> bool | None:
        """Whether it is a group; `None` if the export does not show it."""
        if self.type.endswith("group") or self.is_channel:
            return self.type in CHAT_TYPES or None
        return False if self.type in CHAT_TYPES else None

    @property
    def is_channel(self) -> bool:
        """Whether only its owners can write."""
        return self.type in {"private_channel", "public_channel"}

    @property
    def is_of_bot(self) -> bool:
        """Whether the other side is a program."""
        return self.type in {"bot_chat", "verify_codes"} or self.id == _SERVICE_ID


class _Account(msgspec.Struct):
    """The file of an account, or a single chat, which is the chat object itself."""

    personal_information: Any = None
    contacts: Any = None
    chats: msgspec.Raw = msgspec.Raw(b"null")
    left_chats: msgspec.Raw = msgspec.Raw(b"null")


class _ChatList(msgspec.Struct):
    chats: list[msgspec.Raw] = msgspec.field(default_factory=list, name="list")


class _ChatHead(msgspec.Struct):
    """A chat; `name` is null for deleted accounts, missing in Saved Messages."""

    messages: msgspec.Raw
    name: Any = msgspec.UNSET
    type: Any = msgspec.UNSET
    id: Any = None  # A number; of personal chats the user id of the other person.


class User(msgspec.Struct):
    """The owner (`personal_information`) or a contact."""

    user_id: int
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None
    phone_number: str | None = None

    @property
    def id(self) -> str:
        """The id in the form of the ids of senders."""
        return f"user{self.user_id}"

    @property
    def name(self) -> str:
        """The display name."""
        names = (clean_text(self.first_name), clean_text(self.last_name))
        return " ".join(filter(None, names)) or clean_text(self.username) or self.id

    @property
    def handles(self) -> set[str]:
        """User name and phone number."""
        known = {clean_text(self.username), clean_text(self.phone_number)}
        return known - {""}


class JsonExport(NamedTuple):
    """The contents of a `result.json`."""

    user: User | None
    contacts: list[User]
    heads: list[_ChatHead]
    is_cut_off: bool = False


def chats_of(
    file: ExportFile,
    export: JsonExport,
    read: Callable[[ExportFile], JsonExport | None],
) -> Iterator[Chat]:
    """Yield the chats in a file; `read` reads it again for their records."""
    for number, head in enumerate(export.heads):
        kind, name = clean_text(head.type), clean_text(head.name)
        records = partial(_records, file, number, read)
        yield Chat(peer_of(kind, head.id, name), name or None, kind, records)


def _records(
    file: ExportFile, number: int, read: Callable[[ExportFile], JsonExport | None]
) -> Iterator[Record | None]:
    if export := read(file):
        messages = export.heads[number].messages
        for raw in msgspec.json.decode(messages, type=list[msgspec.Raw]):
            yield decode_record(_RECORD, raw)


_RECORD = msgspec.json.Decoder(Record)


def _user(value: object) -> User | None:
    with suppress(msgspec.ValidationError):
        return msgspec.convert(value, User)
    return None


def read_export(file: ExportFile) -> JsonExport | None:
    """Read a file; `None` if it is not Telegram's."""
    if not file.read(64).removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{"):
        return None
    data = file.read().removeprefix(_BYTE_ORDER_MARK)
    with suppress(*NOT_DECODED):
        return _export(data)
    data = _BARE_VALUE.sub(_quoted, _ESCAPE.sub(_mended, data))
    with suppress(*NOT_DECODED):
        return _export(data)
    try:
        export = _export(_closed(data))
    except NOT_DECODED as error:
        raise not_json(error, file.label, file.path) from None
    return export and export._replace(is_cut_off=True)


def _export(data: bytes) -> JsonExport | None:
    """Decode a file, but for the records of its chats; `None` if it has no chat."""
    account = msgspec.json.decode(data, type=_Account)
    raw_chats: list[msgspec.Raw | bytes] = [data]
    for section in (account.chats, account.left_chats):
        with suppress(msgspec.ValidationError):
            raw_chats += msgspec.json.decode(section, type=_ChatList).chats
    heads = []
    for raw in raw_chats:
        with suppress(msgspec.ValidationError):
            head = msgspec.json.decode(raw, type=_ChatHead)
            is_known = head.type is not msgspec.UNSET or head.name is not msgspec.UNSET
            if is_known and bytes(memoryview(head.messages)[:1]) == b"[":
                heads.append(head)
    contacts = account.contacts if isinstance(account.contacts, dict) else {}
    known = [user for one in dicts_of(contacts.get("list")) if (user := _user(one))]
    user = _user(account.personal_information)
    return JsonExport(user, known, heads) if heads else None


def _mended(escape: re.Match[bytes]) -> bytes:
    if escape["control"]:
        return rb"\u00" + escape["control"]
    is_lone = escape["lone"] or (escape.group()[1:3] in {b"ud", b"uD"})
    return rb"\ufffd" if is_lone and not escape["pair"] else escape.group()


def _quoted(match: re.Match[bytes]) -> bytes:
    key, value, rest = match.groups()
    if value == b"null":
        return match.group()
    return key + json.dumps(value.decode("utf-8", "replace")).encode() + rest


def _closed(data: bytes) -> bytes:
    """Complete a truncated file, with `null` for the lost record."""
    lists = list(_LIST.finditer(data))
    if not lists:
        return data
    *_, last = lists
    indent = last[1]
    record_end = b"\n" + indent + b" }"
    end = data.rfind(record_end, last.end())
    whole = data[: end + len(record_end)] + b"," if end > 0 else data[: last.end()]
    return whole + _CLOSINGS[indent]


def is_json_export(file: ExportFile) -> bool:
    """Return whether a file is Telegram's JSON, by its first bytes."""
    head = file.head(_HEAD_BYTES)
    # An account's contacts may be longer than the head.
    is_account = file.name.lower() == "result.json" and bool(_ABOUT.match(head))
    return head.startswith(b"{") and (is_account or _SIGNS.search(head) is not None)


def peer_of(kind: str, number: object, name: str) -> str:
    """Return a chat's id in the form of the ids of senders.

    Unlike `type` and number together, it does not change when a group becomes public,
    and replies to other chats use it. If the number is missing, the name replaces it.
    """
    if kind in _TITLES:
        return kind
    is_id = isinstance(number, (int, str)) and str(number).lstrip("-").isdecimal()
    return f"{_PEERS.get(kind, kind or 'chat')}{number if is_id else f':{name}'}"
