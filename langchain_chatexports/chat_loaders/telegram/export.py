"""The chats of an export, and which files they are in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from langchain_chatexports.chat_loaders.telegram.chats import CHAT_TYPES
from langchain_chatexports.chat_loaders.telegram.html_pages import find_pages, is_page
from langchain_chatexports.chat_loaders.telegram.json_files import find_chats
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_chatexports.chat_loaders.export_files import ExportFile
    from langchain_chatexports.chat_loaders.telegram.chats import Chat
    from langchain_chatexports.chat_loaders.telegram.json_files import OpenStreams

__all__ = ["TelegramExport", "discover", "is_telegram_export"]

_MAX_LOOKED_AT = 100
_HEAD_BYTES = 64 * 2**10
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MESSAGES = re.compile(rb'"messages"\s*:\s*\[')
_ACCOUNT = re.compile(
    rb'"(?:left_)?chats"\s*:\s*\{[^{}]{0,2000}"list"\s*:\s*\['
    rb'|"personal_information"\s*:\s*\{\s*"user_id"\s*:\s*\d'
)
_SIGNS_OF_MESSAGES = (b'"from_id"', b'"actor_id"', b'"date_unixtime"')


class TelegramExport(NamedTuple):
    """What an export consists of.

    Attributes:
        user: What it says of whose it is; empty if nothing.
        chats: The chats, in the order of the files; one chat in several files is in
            this list several times.
        phones: The phone numbers of the owner's contacts, by id.
        other_files: How many files are not Telegram's, or the HTML beside JSON.
    """

    user: dict[str, Any]
    chats: list[Chat]
    phones: dict[str, str]
    other_files: int


def is_telegram_export(files: Sequence[ExportFile]) -> bool:
    """Return whether files are an export of Telegram.

    Args:
        files: What is in the folder or zip; names and first bytes are looked at.
    """
    named = [file for file in files if file.name.lower().endswith(".json")]
    # Media and contacts may lie beside it as files that are JSON, too.
    named.sort(key=lambda file: file.name.lower() != "result.json")
    if any(map(_is_json_export, named[:_MAX_LOOKED_AT])):
        return True
    pages = [file for file in files if file.name.lower().endswith((".html", ".htm"))]
    pages.sort(key=lambda file: not file.name.lower().startswith("messages"))
    return any(map(is_page, pages[:_MAX_LOOKED_AT]))


def discover(
    files: Sequence[ExportFile],
    streams: OpenStreams,
    warn: Callable[[ChatExportError], None],
) -> TelegramExport:
    """Find the chats of an export.

    Args:
        files: All JSON and HTML files.
        streams: Opens the JSON files.
        warn: Called with an error for each file that cannot be read.
    """
    user: dict[str, Any] = {}
    chats: list[Chat] = []
    phones: dict[str, str] = {}
    places: set[tuple[int, tuple[str, ...]]] = set()
    pages: list[ExportFile] = []
    other_files = 0
    for file in files:
        if not file.name.lower().endswith(".json"):
            if is_page(file):
                pages.append(file)
            else:
                other_files += 1
            continue
        try:
            found = find_chats(file, streams)
        except ChatExportError as error:
            warn(error)
            continue
        if found is None:
            other_files += 1
            continue
        user = user or found.user
        chats += found.chats
        phones |= found.phones
        places.add((file.part, file.folders))
        if found.is_cut_off:
            msg = (
                f"The end of {file.label}, which was cut off: Telegram stopped while "
                "it wrote the file. Export again to have the rest."
            )
            warn(ExportFormatError(msg, path=file.path))
    # Newer versions can write both at once: the HTML would double everything.
    alone = [page for page in pages if not _is_beside(page, places)]
    chats += find_pages(alone, warn)
    other_files += len(pages) - len(alone)
    return TelegramExport(user, chats, phones, other_files)


def _is_beside(page: ExportFile, places: set[tuple[int, tuple[str, ...]]]) -> bool:
    folders = page.folders
    # In an account's export the pages of a chat are in chats/chat_001.
    outer = folders[:-2] if folders[-2:-1] == ("chats",) else folders
    return (page.part, outer) in places


def _is_json_export(file: ExportFile) -> bool:
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
    try:
        about = orjson.loads(head[: match.start()].rstrip().rstrip(b",") + b"}")
    except orjson.JSONDecodeError:
        about = {}
    if not isinstance(about.get("id"), int):
        return False
    # Of a file that was saved again, the keys may be in another order.
    has_signs = any(sign in head for sign in _SIGNS_OF_MESSAGES)
    return about.get("type") in CHAT_TYPES or has_signs
