"""The conversations of an export, and which files belong to each.

An export of Slack has one folder a conversation, with one file a day, and lists of
users and conversations beside the folders. slackdump writes the same, or one file a
conversation (its "dump").
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.json_data import (
    read_json,
    without_lone_surrogates,
)
from langchain_chatexports.chat_loaders.slack.people import People, first_text
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from langchain_chatexports.chat_loaders.export_files import ExportFile

__all__ = [
    "Conversation",
    "SlackExport",
    "discover",
    "is_slack_export",
    "messages_of",
]

DAY_FILE = re.compile(r"\d{4}-\d{2}-\d{2}\.json", re.ASCII)
_USERS = ("users.json", "org_users.json")
_CONVERSATIONS = {
    "channels.json": "channel",
    "groups.json": "group",
    "mpims.json": "mpim",
    "dms.json": "dm",
}
_TEXT_FOLDERS = frozenset({"channels", "dms"})
# Where slackdump puts what people attached: a file there may look like a day.
_ATTACHED = frozenset({"attachments", "__uploads"})
_HEAD_BYTES = 4096
_MAX_LOOKED_AT = 20
_CHANNEL_ID = re.compile(rb'"channel_id"\s*:\s*"([^"\\]+)"')
_DIRECT_ID = re.compile("D[A-Z0-9]{6,}")


@dataclass(slots=True)
class Conversation:
    """A channel, a direct message or a group of people.

    Attributes:
        id: Its id, or the name of its folder where no list has it.
        name: Its name; of direct messages the id.
        kind: `channel`, `group` (a private channel), `mpim` (several people) or `dm`.
        members: The ids of those who take part, as far as a list says so.
        partner: Whom the owner wrote with, where only that one is named.
        files: Its files, in order of their names.
    """

    id: str
    name: str
    kind: str
    members: tuple[str, ...] = ()
    partner: str | None = None
    files: list[ExportFile] = field(default_factory=list)

    @property
    def is_direct(self) -> bool:
        """Whether it is between people, not a channel."""
        return self.kind in {"dm", "mpim"}

    def describe(self, about: Mapping[str, Any]) -> None:
        """Add what a file of slackdump says of its conversation."""
        name = first_text(about.get("name"))
        if name and self.name == self.id:
            self.name = name


@dataclass(slots=True)
class SlackExport:
    """What an export consists of.

    Attributes:
        conversations: Those with files, in code-point order of their folders' names.
        direct_messages: All that the lists name, also those without files.
        people: Who is in the workspace.
        channels: Names of channels by id.
        other_files: How many JSON files hold no messages.
        text_files: How many text files there are, if nothing else is.
    """

    conversations: list[Conversation]
    direct_messages: list[Conversation]
    people: People
    channels: dict[str, str]
    other_files: int
    text_files: int

    def owner(self) -> str | None:
        """Return the id of who takes part in all direct messages, if that is one."""
        pairs = [set(dm.members) for dm in self.direct_messages if dm.kind == "dm"]
        pairs = [pair for pair in pairs if len(pair) > 1]
        # Of one partner it would be both.
        common = set.intersection(*pairs) if pairs else set()
        return common.pop() if len(common) == 1 else None


def is_slack_export(files: Sequence[ExportFile]) -> bool:
    """Return whether files are an export of Slack.

    Args:
        files: What is in the folder or zip; names and first bytes are looked at.
    """
    folders: dict[tuple[str, ...], set[str]] = {}
    for file in files:
        folders.setdefault(file.folders, set()).add(file.name)
    for names in folders.values():
        if names & {*_USERS} and names & {*_CONVERSATIONS}:
            return True
    days = [file for file in files if DAY_FILE.fullmatch(file.name)]
    if days:
        return any(map(_starts_with_messages, days[:3]))
    dumps = [file for file in files if file.name.lower().endswith(".json")]
    if dumps:
        return any(map(_dumped_channel, dumps[:_MAX_LOOKED_AT]))
    # A text export cannot be read, but the loader has the remedy.
    return any(map(_is_text_export, files))


def discover(
    files: Iterable[ExportFile], warn: Callable[[ChatExportError], None]
) -> SlackExport:
    """Sort the files of an export by conversation.

    Args:
        files: All JSON and text files.
        warn: Called with an error for each list that cannot be read.
    """
    days: dict[tuple[int, tuple[str, ...]], list[ExportFile]] = {}
    dumps: list[tuple[str, ExportFile]] = []
    users: list[dict[str, Any]] = []
    listed: dict[tuple[int, tuple[str, ...]], list[Conversation]] = {}
    others = texts = 0
    for file in files:
        if file.name in _USERS:
            users += _objects(file, warn)
        elif kind := _CONVERSATIONS.get(file.name):
            root = file.part, file.folders
            listed.setdefault(root, []).extend(
                map(lambda one, kind=kind: _listed(one, kind), _objects(file, warn))  # type: ignore[misc]
            )
        elif DAY_FILE.fullmatch(file.name):
            days.setdefault((file.part, file.folders), []).append(file)
        elif file.name.lower().endswith(".txt"):
            texts += 1
        elif channel := _dumped_channel(file):
            dumps.append((channel, file))
        else:
            others += 1
    entries = [entry for one in listed.values() for entry in one]
    anywhere = _by_name(entries)
    beside = {root: _by_name(one) for root, one in listed.items()}
    found: dict[str, Conversation] = {}
    for (part, folders), of_folder in sorted(days.items(), key=lambda day: day[0][1]):
        # Workspaces of one organization may have channels of one name: the list beside
        # the folder comes first.
        nearest = beside.get((part, folders[:-1]))
        if nearest is None and _is_attached(of_folder[0]):
            others += len(of_folder)
            continue
        name = folders[-1] if folders else "messages"
        entry = (nearest or {}).get(name) or anywhere.get(name) or _unlisted(name)
        found.setdefault(entry.id, entry).files += of_folder
    for channel, file in dumps:
        entry = anywhere.get(channel) or _unlisted(channel)
        found.setdefault(entry.id, entry).files.append(file)
    return SlackExport(
        conversations=list(found.values()),
        direct_messages=[entry for entry in entries if entry.kind == "dm"],
        people=People(users),
        channels={entry.id: entry.name for entry in entries if not entry.is_direct},
        other_files=others,
        text_files=texts,
    )


def messages_of(file: ExportFile) -> tuple[dict[str, Any], list[Any]] | None:
    """Return what a file says of its conversation, and the messages in it.

    Returns:
        `None` if the file is JSON, but holds no messages.

    Raises:
        ChatExportError: If it cannot be read.
    """
    raw = read_json(file.read(), file.label, file.path)
    if isinstance(raw, dict):
        messages = raw.get("messages")
        return (raw, messages) if isinstance(messages, list) else None
    if not isinstance(raw, list):
        return None
    if raw and not any(isinstance(one, dict) and "ts" in one for one in raw):
        return None
    return {}, raw


def _objects(
    file: ExportFile, warn: Callable[[ChatExportError], None]
) -> Iterator[dict[str, Any]]:
    try:
        raw = read_json(file.read(), file.label, file.path)
    except ChatExportError as error:
        warn(error)
        return
    for one in raw if isinstance(raw, list) else ():
        if isinstance(one, dict) and isinstance(one.get("id"), str):
            yield one


def _listed(raw: dict[str, Any], kind: str) -> Conversation:
    members = raw.get("members")
    named = members if isinstance(members, list) else []
    partner = raw.get("user")
    key = without_lone_surrogates(raw["id"])
    return Conversation(
        id=key,
        name=first_text(raw.get("name")) or key,
        kind=kind,
        members=tuple(one for one in named if isinstance(one, str)),
        partner=partner if isinstance(partner, str) else None,
    )


def _by_name(entries: Iterable[Conversation]) -> dict[str, Conversation]:
    named: dict[str, Conversation] = {}
    for entry in entries:
        named.setdefault(entry.name, entry)
        named.setdefault(entry.id, entry)
    return named


def _unlisted(name: str) -> Conversation:
    kind = "channel"
    if name.startswith("mpdm-"):
        kind = "mpim"
    elif _DIRECT_ID.fullmatch(name):
        kind = "dm"
    return Conversation(id=name, name=name, kind=kind)


def _is_attached(file: ExportFile) -> bool:
    folders = file.folders[file.given :] or file.folders[-1:]
    return not _ATTACHED.isdisjoint(folders)


def _is_text_export(file: ExportFile) -> bool:
    folders = file.folders[file.given :]
    is_text = file.name.lower().endswith(".txt")
    return is_text and not _TEXT_FOLDERS.isdisjoint(folders[:2])


def _starts_with_messages(file: ExportFile) -> bool:
    try:
        head = file.read(_HEAD_BYTES)
    except ChatExportError:
        return False
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith(b"[") and b'"ts"' in text


def _dumped_channel(file: ExportFile) -> str | None:
    """Return the id of the channel that slackdump wrote into a file, if it is one."""
    try:
        head = file.read(_HEAD_BYTES)
    except ChatExportError:
        return None
    is_object = head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    channel = _CHANNEL_ID.search(head)
    if not is_object or channel is None or b'"messages"' not in head:
        return None
    return channel[1].decode(errors="replace")
