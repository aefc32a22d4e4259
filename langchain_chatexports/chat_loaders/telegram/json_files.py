r"""Read `result.json`: a chat, or an account with all of its chats.

Telegram does not always write valid JSON: control characters are escaped as `\x0C`,
version 4.1.1 omitted the quotes around one value, and a crash truncates the file. All
this is repaired. Records are decoded one by one, when their chat is read.
"""

import json
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, NamedTuple

import msgspec

from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.json_data import (
    DECODE_ERRORS,
    check_density,
    clean_text,
    decode_record,
    invalid_json_error,
    iter_dicts,
)
from langchain_chatexports.chat_loaders.telegram.records import (
    Chat,
    Record,
    User,
    get_peer_id,
)

_HEAD_BYTES = 64 * 2**10
_MAX_CACHED_BYTES = 32 * 2**20
_CACHED_FILES = 4  # Several chats may be in several files.
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
    id: Any = None
    """A number. In personal chats, the other person's user id."""


class _JsonExport(NamedTuple):
    """The contents of a `result.json`."""

    user: User | None
    contacts: list[User]
    chats: list[tuple[str, str, str]]
    """The id, name and type of each chat."""

    messages: list[msgspec.Raw]
    """The messages of each chat."""

    is_truncated: bool = False


_Reader = Callable[[ExportFile], _JsonExport | None]
_RECORD_DECODER = msgspec.json.Decoder(Record)


class JsonChats(NamedTuple):
    """The chats in all JSON files of an export."""

    files: list[ExportFile]
    chats: list[Chat]
    user: User | None
    """The owner, in an account's export."""

    handles: dict[str, set[str]]
    """User names and phone numbers, by id."""


def read_json(files: ExportFiles) -> JsonChats:
    """Find the chats in all JSON files; their records are read on demand."""
    exports: dict[ExportFile, _JsonExport] = {}
    for file, export in files.read_each(files, _read_export):
        if export is None:
            continue
        if export.is_truncated:
            files.report_cut(file)
        exports[file] = export._replace(messages=[])  # Free the memory.
    ids = Counter(id_ for export in exports.values() for id_, _, _ in export.chats)
    # Do not read all files again for each chat.
    most_files = max(ids.values(), default=0)
    is_small = sum(file.size for file in exports) <= _MAX_CACHED_BYTES
    cached = len(exports) if is_small else max(_CACHED_FILES, most_files)
    read: _Reader = lru_cache(cached)(_read_export)
    user = next((export.user for export in exports.values() if export.user), None)
    chats = [
        Chat(
            id_,
            name or None,
            kind,
            partial(_read_records, file, index, read, files.check_count),
            user=export.user,
            is_of_other_account=bool(
                user and export.user and export.user.id != user.id
            ),
        )
        for file, export in exports.items()
        for index, (id_, name, kind) in enumerate(export.chats)
    ]
    known = [p for e in exports.values() for p in (*e.contacts, e.user) if p]
    handles = {person.id: person.handles for person in known}
    return JsonChats([*exports], chats, user, handles)


def _read_records(
    file: ExportFile, index: int, read: _Reader, check_count: Callable[[int], None]
) -> Iterator[Record | None]:
    if export := read(file):
        raws = msgspec.json.decode(export.messages[index], type=list[msgspec.Raw])
        check_count(len(raws))
        for raw_message in raws:
            yield decode_record(_RECORD_DECODER, raw_message)


def _read_export(file: ExportFile) -> _JsonExport | None:
    """Read a file, or return `None` if it is not a Telegram export."""
    if not file.read(64).removeprefix(BOM_UTF8).lstrip().startswith(b"{"):
        return None
    data = file.read().removeprefix(BOM_UTF8)
    check_density(data, file.label, file.path)
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


def _decode_export(data: bytes) -> _JsonExport | None:
    """Decode all but the messages. Return `None` if the file has no chat."""
    account = msgspec.json.decode(data, type=_Account)
    raw_chats: list[msgspec.Raw | bytes] = [data]
    for section in (account.chats, account.left_chats):
        with suppress(msgspec.ValidationError):
            raw_chats += msgspec.json.decode(section, type=_ChatList).chats
    chats, messages = [], []
    for raw_chat in raw_chats:
        with suppress(msgspec.ValidationError):
            head = msgspec.json.decode(raw_chat, type=_ChatHead)
            is_chat = head.type is not msgspec.UNSET or head.name is not msgspec.UNSET
            if is_chat and bytes(memoryview(head.messages)[:1]) == b"[":
                kind, name = clean_text(head.type), clean_text(head.name)
                chats.append((get_peer_id(kind, head.id, name), name, kind))
                messages.append(head.messages)
    if not chats:
        return None
    contacts = account.contacts if isinstance(account.contacts, dict) else {}
    users = map(_convert_user, iter_dicts(contacts.get("list")))
    owner = _convert_user(account.personal_information)
    return _JsonExport(owner, [*filter(None, users)], chats, messages)


def _convert_user(value: object) -> User | None:
    with suppress(msgspec.ValidationError):
        return msgspec.convert(value, User)
    return None


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
