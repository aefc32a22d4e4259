r"""Read `result.json`: a chat, or an account with all of its chats.

Telegram does not always write valid JSON: control characters are escaped as `\x0C`,
version 4.1.1 omitted the quotes around one value, and a crash truncates the file. All
this is repaired. Records are decoded one by one, when their chat is read. The keys are
Telegram Desktop's, and HTML pages are converted to the same records.
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
    DECODE_ERRORS,
    clean_text,
    decode_record,
    invalid_json_error,
    iter_dicts,
)

_HEAD_BYTES = 64 * 2**10
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ABOUT = re.compile(rb'\{\s*"about"')
# The type and id of a chat, account data, or keys written only by Telegram. Their order
# varies, since other programs may have saved the file.
_SIGNATURE = re.compile(
    rb'"type"\s*:\s*"(?:(?:personal|bot)_chat|verify_codes|saved_messages|replies'
    rb'|(?:private|public)_(?:group|supergroup|channel))"\s*,\s*"id"\s*:\s*\d'
    rb'|"personal_information"\s*:\s*\{\s*"user_id"\s*:\s*\d'
    rb'|"(?:left_)?chats"\s*:\s*\{[^{}]{0,2000}"list"\s*:\s*\['
    rb'|"(?:from_id|actor_id|date_unixtime)"\s*:'
)
# Match an escaped backslash as a whole, so that it does not escape the next character.
_ESCAPE = re.compile(
    rb"\\(?:x(?P<control>[0-9a-fA-F]{2})"
    rb"|u[dD][89abAB][0-9a-fA-F]{2}(?P<second_half>\\u[dD][c-fC-F][0-9a-fA-F]{2})?"
    rb"|(?P<low_surrogate>u[dD][c-fC-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_UNQUOTED_VALUE = re.compile(
    rb'("document_id": )([^"\d\r\n][^\r\n]*?)(,?\r?$)', re.MULTILINE
)
# Telegram indents by one space per level, and strings have no line breaks: the message
# list of a single chat is indented by one space, the lists of an account by four.
_MESSAGE_LIST = re.compile(rb'^( |    )"messages": \[(?=\r?\n)', re.MULTILINE)
_CLOSING_BRACKETS = {b" ": b"null]}", b"    ": b"null]}]}}"}
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
"""The values of `type` in a chat."""


class Record(msgspec.Struct, rename={"from_": "from"}):
    """A message, a service message (a call, a join, …), or an `unsupported` one.

    Unused keys (sizes, durations, buttons, thumbnails, paths) are not decoded. A field
    is `Any` if only its presence is used, or if its type depends on the version.
    """

    # Unique in the chat; negative if sent before a group became a supergroup.
    id: int | None = None
    type: str = ""  # `message`, `service`, or `unsupported` (with only an id).
    # ISO 8601, in the local time of the exporting computer. Only HTML may have an
    # offset.
    date: str | None = None
    # Unix seconds as a string, since about 2022. Other programs write a number.
    date_unixtime: str | int | None = None
    edited: Any = None
    edited_unixtime: Any = None

    # The display name at the time of the export. Null for deleted accounts and hidden
    # names.
    from_: str | None = None
    # `user123`, `channel123` (anonymous admins, posts) or `chat123`, or a number before
    # about 2021. Unlike a name, it is unique.
    from_id: str | int | None = None
    actor: str | None = None
    # Service messages have `actor` and `actor_id` instead of `from` and `from_id`.
    actor_id: str | int | None = None
    # The type of a service message: `phone_call`, `pin_message`, …
    action: str | None = None
    # The text of a service message in files from other programs, which lack `action`.
    information_text: str | None = None
    title: str | None = None  # The title of an audio file.
    # A string, or a list of strings and objects with a `text`.
    text: str | list[Any] | None = ""
    # The same text as a list of objects, since about 2022.
    text_entities: msgspec.Raw = msgspec.Raw(b"[]")
    reply_to_message_id: int | None = None
    # The chat of the replied-to message, if it is a different one.
    reply_to_peer_id: str | None = None
    forwarded_from: str | msgspec.UnsetType | None = _UNSET
    saved_from: str | msgspec.UnsetType | None = _UNSET
    via_bot: str | None = None  # The inline bot that generated the text.
    photo: Any = _UNSET
    # A path, or a sentence in parentheses if the file was not exported.
    file: Any = _UNSET
    file_name: str | None = None
    # `sticker`, `voice_message`, …, or none for a document.
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
    """A reaction to a message, with the number of people who chose it."""

    type: str = "emoji"  # `emoji`, `custom_emoji` (a picture) or `paid` (a star).
    emoji: str | None = None
    count: int = 0
    recent: list["Reactor"] | None = None  # The last few people who chose it.


class Reactor(msgspec.Struct, rename={"from_": "from"}):
    """A person who reacted."""

    from_: str | None = None
    from_id: str | int | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat in one file or in one folder of pages."""

    # `user`, `chat` or `channel` and a number, or the name in HTML, which has no ids.
    id: str
    name: str | None
    type: str  # Telegram's type, such as `personal_chat`, or empty in HTML.
    # Reads the records, with `None` for a damaged record.
    read_records: Callable[[], Iterator[Record | None]]
    is_html: bool = False

    @property
    def title(self) -> str | None:
        """The display name."""
        return self.name or _TITLES.get(self.type)

    @property
    def is_group(self) -> bool | None:
        """Whether the chat is a group, or `None` if unknown."""
        if self.type.endswith("group") or self.is_channel:
            return self.type in CHAT_TYPES or None
        return False if self.type in CHAT_TYPES else None

    @property
    def is_channel(self) -> bool:
        """Whether the chat is a channel, where only the owners can write."""
        return self.type in {"private_channel", "public_channel"}

    @property
    def is_with_bot(self) -> bool:
        """Whether the other participant is a bot or Telegram itself."""
        return self.type in {"bot_chat", "verify_codes"} or self.id == _SERVICE_ID


class _Account(msgspec.Struct):
    """An account's file, or a single chat's file, without any of these keys."""

    personal_information: Any = None
    contacts: Any = None
    chats: msgspec.Raw = msgspec.Raw(b"null")
    left_chats: msgspec.Raw = msgspec.Raw(b"null")


class _ChatList(msgspec.Struct):
    chats: list[msgspec.Raw] = msgspec.field(default_factory=list, name="list")


class _ChatHead(msgspec.Struct):
    """A chat. `name` is null for deleted accounts, and missing in Saved Messages."""

    messages: msgspec.Raw
    name: Any = msgspec.UNSET
    type: Any = msgspec.UNSET
    id: Any = None  # A number. In personal chats, the other person's user id.


class User(msgspec.Struct):
    """The owner (`personal_information`) or a contact."""

    user_id: int
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None
    phone_number: str | None = None

    @property
    def id(self) -> str:
        """The id, in the format of `Record.from_id`."""
        return f"user{self.user_id}"

    @property
    def name(self) -> str:
        """The display name."""
        names = (clean_text(self.first_name), clean_text(self.last_name))
        return " ".join(filter(None, names)) or clean_text(self.username) or self.id

    @property
    def handles(self) -> set[str]:
        """The user name and phone number, if known."""
        return {clean_text(self.username), clean_text(self.phone_number)} - {""}


class JsonExport(NamedTuple):
    """The contents of a `result.json`."""

    user: User | None
    contacts: list[User]
    heads: list[_ChatHead]
    is_truncated: bool = False


def iter_chats(
    file: ExportFile,
    export: JsonExport,
    read: Callable[[ExportFile], JsonExport | None],
) -> Iterator[Chat]:
    """Yield the chats in a file. `read` loads the file again to read their records."""
    for index, head in enumerate(export.heads):
        kind, name = clean_text(head.type), clean_text(head.name)
        read_records = partial(_read_records, file, index, read)
        yield Chat(get_peer_id(kind, head.id, name), name or None, kind, read_records)


def _read_records(
    file: ExportFile, index: int, read: Callable[[ExportFile], JsonExport | None]
) -> Iterator[Record | None]:
    if export := read(file):
        messages = export.heads[index].messages
        for raw_message in msgspec.json.decode(messages, type=list[msgspec.Raw]):
            yield decode_record(_RECORD_DECODER, raw_message)


_RECORD_DECODER = msgspec.json.Decoder(Record)


def _convert_user(value: object) -> User | None:
    with suppress(msgspec.ValidationError):
        return msgspec.convert(value, User)
    return None


def read_export(file: ExportFile) -> JsonExport | None:
    """Read a file, or return `None` if it is not a Telegram export."""
    if not file.read(64).removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{"):
        return None
    data = file.read().removeprefix(_BYTE_ORDER_MARK)
    with suppress(*DECODE_ERRORS):
        return _decode_export(data)
    data = _UNQUOTED_VALUE.sub(_quote_value, _ESCAPE.sub(_repair_escape, data))
    with suppress(*DECODE_ERRORS):
        return _decode_export(data)
    try:
        export = _decode_export(_close_json(data))
    except DECODE_ERRORS as error:
        raise invalid_json_error(error, file.label, file.path) from None
    return export and export._replace(is_truncated=True)


def _decode_export(data: bytes) -> JsonExport | None:
    """Decode all but the messages. Return `None` if the file has no chat."""
    account = msgspec.json.decode(data, type=_Account)
    raw_chats: list[msgspec.Raw | bytes] = [data]
    for section in (account.chats, account.left_chats):
        with suppress(msgspec.ValidationError):
            raw_chats += msgspec.json.decode(section, type=_ChatList).chats
    heads = []
    for raw_chat in raw_chats:
        with suppress(msgspec.ValidationError):
            head = msgspec.json.decode(raw_chat, type=_ChatHead)
            is_chat = head.type is not msgspec.UNSET or head.name is not msgspec.UNSET
            if is_chat and bytes(memoryview(head.messages)[:1]) == b"[":
                heads.append(head)
    contacts = account.contacts if isinstance(account.contacts, dict) else {}
    users = map(_convert_user, iter_dicts(contacts.get("list")))
    owner = _convert_user(account.personal_information)
    return JsonExport(owner, [*filter(None, users)], heads) if heads else None


def _repair_escape(escape: re.Match[bytes]) -> bytes:
    if escape["control"]:
        return rb"\u00" + escape["control"]
    is_surrogate = escape["low_surrogate"] or (escape.group()[1:3] in {b"ud", b"uD"})
    return rb"\ufffd" if is_surrogate and not escape["second_half"] else escape.group()


def _quote_value(match: re.Match[bytes]) -> bytes:
    key, value, rest = match.groups()
    if value == b"null":
        return match.group()
    return key + json.dumps(value.decode("utf-8", "replace")).encode() + rest


def _close_json(data: bytes) -> bytes:
    """Close the JSON of a truncated file, with `null` for the lost record."""
    lists = list(_MESSAGE_LIST.finditer(data))
    if not lists:
        return data
    last_list = lists[-1]
    indent = last_list[1]
    record_end = b"\n" + indent + b" }"
    end = data.rfind(record_end, last_list.end())
    data = data[: end + len(record_end)] + b"," if end > 0 else data[: last_list.end()]
    return data + _CLOSING_BRACKETS[indent]


def is_json_export(file: ExportFile) -> bool:
    """Return whether the first bytes of a file are those of a JSON export."""
    head = file.head(_HEAD_BYTES)
    # An account's contacts may be longer than the head of the file.
    is_account = file.name.lower() == "result.json" and bool(_ABOUT.match(head))
    return head.startswith(b"{") and (is_account or _SIGNATURE.search(head) is not None)


def get_peer_id(kind: str, number: object, name: str) -> str:
    """Return a chat's id in the format of `Record.from_id` and `reply_to_peer_id`.

    Unlike the type, it does not change when a group becomes public. Without a number,
    the name is used.
    """
    if kind in _TITLES:
        return kind
    has_number = isinstance(number, (int, str)) and str(number).lstrip("-").isdecimal()
    return f"{_PEERS.get(kind, kind or 'chat')}{number if has_number else f':{name}'}"
