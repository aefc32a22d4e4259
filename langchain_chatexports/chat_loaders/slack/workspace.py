"""The people and conversations of a workspace.

An export has a folder per conversation with a file per day, and lists of people and
conversations next to these folders. slackdump writes the same layout, or one file per
conversation.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import msgspec

from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.json_data import (
    DECODE_ERRORS,
    clean_text,
    decode_json,
)
from langchain_chatexports.chat_loaders.messages import Person
from langchain_chatexports.chat_loaders.slack.records import (
    ListedChannel,
    User,
    decode_records,
    read_dump_head,
    read_records,
)
from langchain_chatexports.exceptions import ChatExportError

# Browsers and systems append a number to the name of a copy.
DAY_FILE = re.compile(
    r"\d{4}-\d{2}-\d{2}(?: ?\(\d{1,3}\)| \d{1,3})?\.json", re.ASCII | re.IGNORECASE
)
USER_LISTS = frozenset({"users.json", "org_users.json"})
CHANNEL_LISTS = {
    "channels.json": "channel",
    "groups.json": "channel",  # Private channels.
    "mpims.json": "group",  # Direct messages between several people.
    "dms.json": "dm",
}
_ATTACHMENT_FOLDERS = frozenset({"attachments", "__uploads"})  # From slackdump.
_DIRECT_ID = re.compile("D[A-Z0-9]{6,}")
_SLACKBOT = "USLACKBOT"  # Slack's own bot, which is missing in lists of users.
_LIST_DECODER = msgspec.json.Decoder(list[msgspec.Raw])
_USER_DECODER = msgspec.json.Decoder(User)
_CHANNEL_DECODER = msgspec.json.Decoder(ListedChannel)

_Folder: TypeAlias = tuple[int, tuple[str, ...]]
_Entry = TypeVar("_Entry")


@dataclass(slots=True)
class Channel:
    """A public or private channel, a group, or direct messages."""

    id: str
    name: str
    kind: str
    """`channel`, `group` or `dm`."""

    members: list[str] = field(default_factory=list)
    partner: str | None = None
    """The other person, in slackdump's direct messages."""

    files: list[ExportFile] = field(default_factory=list)

    @property
    def is_direct(self) -> bool:
        """Whether it is a direct chat, whose threads are not split off."""
        return self.kind != "channel"


@dataclass(frozen=True)
class Workspace:
    """The people and conversations of an export."""

    users: Mapping[str, User]
    listed: Sequence[Channel]
    """The conversations in lists."""

    channels: Sequence[Channel]
    """The conversations with files, in code-point order of the folder names."""

    @property
    def people(self) -> dict[str, Person]:
        """The people in `users.json`, without those of other workspaces."""
        return {
            user.id: Person(user.visible_name, user.handles)
            for user in self.users.values()
        }

    def is_bot(self, user: str) -> bool:
        """Return whether an id is a bot's."""
        listed_user = self.users.get(user)
        return user == _SLACKBOT or bool(listed_user and listed_user.is_bot)

    def find_owner(self) -> str | None:
        """Return the id of the only person in all direct chats."""
        pairs = [set(dm.members) for dm in self.listed if dm.kind == "dm"]
        pairs = [pair for pair in pairs if len(pair) > 1]
        # If all chats are with the same partner, either person could be the owner.
        common = set.intersection(*pairs) if pairs else set()
        if len(common) != 1:
            partners = [channel for channel in self.channels if channel.partner]
            authors = [self._find_authors(dm) - {dm.partner} for dm in partners]
            common = {user for users in authors for user in users if user}
        return common.pop() if len(common) == 1 else None

    def _find_authors(self, channel: Channel) -> set[str | None]:
        authors: set[str | None] = set()
        for file in channel.files:
            with suppress(ChatExportError):  # Reported when it is read.
                records = (r for _, r in decode_records(read_records(file) or []))
                users = {r.user or "" for r in records if r and not r.subtype}
                authors |= {user for user in users if not self.is_bot(user)}
        return authors


def read_workspace(files: ExportFiles) -> Workspace:
    """Read the lists of an export, and find the files of each conversation."""
    users: dict[str, User] = {}
    listed: list[Channel] = []
    lists: dict[_Folder, dict[str, Channel]] = defaultdict(dict)
    days: dict[_Folder, list[ExportFile]] = defaultdict(list)
    others = []
    for file in files:
        folder = file.part, file.folders
        if file.name in USER_LISTS:
            users |= {u.id: u for u in _read_entries(file, _USER_DECODER, files)}
        elif kind := CHANNEL_LISTS.get(file.name):
            entries = _read_entries(file, _CHANNEL_DECODER, files)
            channels = [_convert_channel(entry, kind) for entry in entries]
            listed += channels
            lists[folder] |= _index_channels(channels)
        elif DAY_FILE.fullmatch(file.name):
            days[folder].append(file)
        else:
            others.append(file)
    folders = sorted(days.items(), key=lambda item: item[0][1])
    channels_by_id, unknown_files = _assign_files(folders, others, lists)
    files.details["other_files"] = len(unknown_files)
    channel_files = [f for channel in channels_by_id.values() for f in channel.files]
    files.report_ignored(
        unknown_files, [f for f in channel_files if DAY_FILE.fullmatch(f.name)]
    )
    return Workspace(users, listed, list(channels_by_id.values()))


def _assign_files(
    folders: Iterable[tuple[_Folder, list[ExportFile]]],
    others: list[ExportFile],
    lists: Mapping[_Folder, Mapping[str, Channel]],
) -> tuple[dict[str, Channel], list[ExportFile]]:
    """Add folders of days, and dumps among other files, to their conversations.

    Returns the conversations by id, and the files that belong to none.
    """
    listed = {
        key: channel for entries in lists.values() for key, channel in entries.items()
    }
    channels: dict[str, Channel] = {}
    for (part, names), days in folders:
        # Several workspaces in an organization may have a channel with this name, so
        # prefer the list next to the folder.
        nearby = lists.get((part, names[:-1]), {})
        if not nearby and _is_attachment_folder(names, days[0]):
            others = [*others, *days]
            continue
        name = names[-1] if names else "messages"
        channel = nearby.get(name) or listed.get(name) or _make_channel(name)
        channels.setdefault(channel.id, channel).files += days
    unknown_files = []
    for file in others:
        dump = read_dump_head(file)
        if dump is None:
            unknown_files.append(file)
            continue
        channel = listed.get(dump.channel_id) or _make_channel(dump.channel_id)
        if channel.name == channel.id:
            channel.name = clean_text(dump.name) or channel.id
        channels.setdefault(channel.id, channel).files.append(file)
    return channels, unknown_files


def _read_entries(
    file: ExportFile, decoder: "msgspec.json.Decoder[_Entry]", files: ExportFiles
) -> Iterator[_Entry]:
    try:
        entries = decode_json(file.read(), _LIST_DECODER, file.label, file.path)
    except msgspec.ValidationError:
        return
    except ChatExportError as error:
        files.skip(error, file)
        return
    for entry in entries:
        with suppress(*DECODE_ERRORS):
            yield decoder.decode(entry)


def _convert_channel(entry: ListedChannel, kind: str) -> Channel:
    members = entry.members or ([entry.user] if entry.user else [])
    name = clean_text(entry.name) or entry.id
    return Channel(entry.id, name, kind, members, entry.user)


def _make_channel(name: str) -> Channel:
    """Create a channel that is in no list."""
    if name.startswith("mpdm-"):
        return Channel(name, name, "group")
    return Channel(name, name, "dm" if _DIRECT_ID.fullmatch(name) else "channel")


def _index_channels(channels: Iterable[Channel]) -> dict[str, Channel]:
    """Return the conversations of a list by name and by id."""
    index: dict[str, Channel] = {}
    for channel in channels:
        index.setdefault(channel.name, channel)
        index.setdefault(channel.id, channel)
    return index


def _is_attachment_folder(folders: tuple[str, ...], file: ExportFile) -> bool:
    inner_folders = folders[file.given_depth :] or folders[-1:]
    return not _ATTACHMENT_FOLDERS.isdisjoint(inner_folders)
