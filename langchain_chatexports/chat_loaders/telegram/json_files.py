r"""`result.json`: a chat, or an account with all of its chats.

What Telegram writes is not always JSON: control characters stand as `\x0C`, version
4.1.1 left the quotes of one value out, and a crash leaves the file without its end.
These are repaired; a chat is then decoded when its turn comes, record by record.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import msgspec

from langchain_chatexports.chat_loaders.files import ExportFile
from langchain_chatexports.chat_loaders.json_data import (
    NOT_DECODED,
    check_value_count,
    dicts_of,
    not_json,
)
from langchain_chatexports.chat_loaders.telegram.records import (
    CHAT_TYPES,
    Chat,
    Record,
    clean,
    peer_of,
    read_record,
)
from langchain_chatexports.exceptions import ChatExportError

_HEAD_BYTES = 64 * 2**10
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MESSAGES = re.compile(rb'"messages"\s*:\s*\[')
_ACCOUNT = re.compile(
    rb'"(?:left_)?chats"\s*:\s*\{[^{}]{0,2000}"list"\s*:\s*\['
    rb'|"personal_information"\s*:\s*\{\s*"user_id"\s*:\s*\d'
)
_ID, _TYPE = re.compile(rb'"id"\s*:\s*\d'), re.compile(rb'"type"\s*:\s*"(\w*)"')
_SIGNS_OF_MESSAGES = (b'"from_id"', b'"actor_id"', b'"date_unixtime"')
# An escaped backslash is matched whole, so that what follows it is not an escape.
_ESCAPE = re.compile(
    rb"\\(?:x(?P<control>[0-9a-fA-F]{2})"
    rb"|u[dD][89abAB][0-9a-fA-F]{2}(?P<pair>\\u[dD][c-fC-F][0-9a-fA-F]{2})?"
    rb"|(?P<lone>u[dD][c-fC-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_BARE_VALUE = re.compile(
    rb'("document_id": )([^"\d\r\n][^\r\n]*?)(,?\r?$)', re.MULTILINE
)
# Telegram indents by one space a level and has no line breaks in strings: the list of
# a single chat is at one space, those of an account are at four.
_LIST = re.compile(rb'^( |    )"messages": \[(?=\r?\n)', re.MULTILINE)
_CLOSINGS = {b" ": b"null]}", b"    ": b"null]}]}}"}


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
    id: Any = None
    """A number; of personal chats the user id of the other person."""


class User(msgspec.Struct):
    """Who exported (`personal_information`), or a contact."""

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
        names = (clean(self.first_name), clean(self.last_name))
        return " ".join(filter(None, names)) or clean(self.username) or self.id

    @property
    def handles(self) -> set[str]:
        """User name and phone number."""
        known = {clean(self.username), clean(self.phone_number)}
        return known - {""}


class JsonExport(NamedTuple):
    """What a `result.json` holds."""

    user: User | None
    contacts: list[User]
    heads: list[_ChatHead]
    is_cut_off: bool = False


class JsonFiles:
    """Reads `result.json` files; the last one is kept, so that one is read once."""

    def __init__(self) -> None:
        self._exports: dict[str, JsonExport | None] = {}
        self._shared: set[str] = set()

    def keep(self, chats: Iterable[Chat]) -> None:
        """Keep the files of a chat that is in several: each has other chats, too."""
        self._shared.update(chat.place for chat in chats)

    def read(self, file: ExportFile) -> JsonExport | None:
        """Read a file; `None` if it is not Telegram's."""
        if file.label not in self._exports:
            for label in self._exports.keys() - self._shared:
                del self._exports[label]  # Before the next one is in memory.
            self._exports[file.label] = _parse(file)
        return self._exports[file.label]

    def chats(self, file: ExportFile, export: JsonExport) -> Iterator[Chat]:
        """Yield the chats in a file; their records are read later."""
        for number, head in enumerate(export.heads):
            kind, name = clean(head.type), clean(head.name)
            records = partial(self._records, file, number)
            chat_id = peer_of(kind, head.id, name)
            yield Chat(chat_id, name or None, kind, file.label, records)

    def _records(self, file: ExportFile, number: int) -> Iterator[Record | None]:
        if export := self.read(file):
            messages = export.heads[number].messages
            yield from map(read_record, msgspec.json.decode(messages, type=_RECORDS))


_RECORDS = list[msgspec.Raw]


def _user(value: object) -> User | None:
    with suppress(msgspec.ValidationError):
        return msgspec.convert(value, User)
    return None


def _parse(file: ExportFile) -> JsonExport | None:
    if not file.read(64).removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{"):
        return None
    data = file.read().removeprefix(_BYTE_ORDER_MARK)
    check_value_count(data, file.label, file.path)
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
    """Return a file that was cut off, with `null` in place of what is lost."""
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
    """Return whether a JSON file is Telegram's, by its first bytes."""
    try:
        head = file.read(_HEAD_BYTES).removeprefix(_BYTE_ORDER_MARK).lstrip()
    except ChatExportError:
        return False
    if not head.startswith(b"{"):
        return False
    match = _MESSAGES.search(head)
    if _ACCOUNT.search(head, 0, match.start() if match else len(head)):
        return True
    if match is None:
        # An account's contacts may be longer than what is read of it.
        is_named_so = file.name.lower() == "result.json"
        return is_named_so and head[1:].lstrip().startswith(b'"about"')
    before = head[: match.start()]
    if not _ID.search(before):
        return False
    kind = _TYPE.search(before)
    # In a file that was saved again, the keys may be in another order.
    has_signs = any(sign in head for sign in _SIGNS_OF_MESSAGES)
    return has_signs or bool(kind and kind[1].decode() in CHAT_TYPES)
