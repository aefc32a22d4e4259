"""The JSON of an export: people, conversations and messages.

The keys are those of Slack's API. slackdump writes the same, or a file per conversation
(a "dump").
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.json_data import (
    clean_text,
    decode_head,
    decode_json,
    decode_record,
)

_HEAD_BYTES = 4096


class Profile(msgspec.Struct):
    """The names of a person or bot, which may be empty."""

    display_name: str | None = None
    real_name: str | None = None
    name: str | None = None
    email: str | None = None

    @property
    def visible_name(self) -> str:
        """The name that Slack displays."""
        return first_text(self.display_name, self.real_name, self.name)


class User(msgspec.Struct):
    """An entry of `users.json`; ids begin with U, or with W in Enterprise Grid."""

    id: str
    name: str | None = None
    """The handle."""

    real_name: str | None = None
    is_bot: bool | None = None
    profile: Profile | None = None

    @property
    def visible_name(self) -> str:
        """The name that Slack displays."""
        name = self.profile.visible_name if self.profile else ""
        return name or first_text(self.real_name, self.name)

    @property
    def handles(self) -> tuple[str, ...]:
        """All names, unique ones first."""
        profile = self.profile or Profile()
        unique = (self.name, profile.email)
        names = (self.real_name, profile.real_name, profile.display_name)
        return tuple(dict.fromkeys(filter(None, map(clean_text, unique + names))))


class ListedChannel(msgspec.Struct):
    """An entry in a list of conversations."""

    id: str
    name: str | None = None
    members: list[str] | None = None
    user: str | None = None
    """The other person in a direct chat; slackdump writes it instead of `members`."""


class Attachment(msgspec.Struct):
    """An attached file; hidden and deleted files have no name."""

    name: str | None = None
    title: str | None = None
    mimetype: str | None = None
    size: Any = None
    mode: str | None = None


class Unfurl(msgspec.Struct):
    """A link preview or a bot's card; with either flag, a shared message."""

    is_share: bool | None = None
    is_msg_unfurl: bool | None = None
    from_url: str | None = None
    text: Any = None


class Reaction(msgspec.Struct):
    """A reaction; `users` may have fewer people than `count`."""

    name: str
    users: list[str] | None = None
    count: int | None = None


class Comment(msgspec.Struct):
    """A comment on a file, which was an object in messages until 2018."""

    user: str | None = None
    comment: str | None = None


class Record(msgspec.Struct):
    """A message; Slack's API documents the keys under the event `message`."""

    ts: Any = None
    """The time sent, which is also the id in the conversation."""

    thread_ts: str | None = None
    """The `ts` of the thread's first message, also set in the first message."""

    user: str | None = None
    user_profile: Profile | None = None
    """The author's profile, since `users.json` omits people from other workspaces."""

    text: str | None = None
    subtype: str | None = None
    username: str | None = None
    bot_id: str | None = None
    bot_profile: Profile | None = None
    bot_link: str | None = None
    comment: Comment | None = None
    edited: Any = None
    reactions: list[Reaction] | None = None
    files: list[Attachment] | None = None
    file: Attachment | None = None
    attachments: list[Unfurl] | None = None
    blocks: list[Any] | None = None
    slackdump_thread_replies: list[msgspec.Raw] | None = None


class Dump(msgspec.Struct):
    """A file written by `slackdump dump`: a channel, or one of its threads."""

    channel_id: str
    name: str | None = None
    messages: list[msgspec.Raw] = []


_MESSAGES_DECODER = msgspec.json.Decoder(list[msgspec.Raw] | Dump)
_DUMP_DECODER = msgspec.json.Decoder(Dump)
_RECORD_DECODER = msgspec.json.Decoder(Record)


def read_dump_head(file: ExportFile) -> Dump | None:
    """Read the head of a slackdump file; `None` for other files."""
    return decode_head(file.head(_HEAD_BYTES), _DUMP_DECODER)


def read_records(file: ExportFile) -> list[msgspec.Raw] | None:
    """Read the messages of a file, without decoding them; `None` for other JSON."""
    try:
        content = decode_json(file.read(), _MESSAGES_DECODER, file.label, file.path)
    except msgspec.ValidationError:
        return None
    raws = content.messages if isinstance(content, Dump) else content
    return raws if not raws or any(b'"ts"' in bytes(raw) for raw in raws) else None


def decode_records(raws: list[msgspec.Raw]) -> Iterator[tuple[int, Record | None]]:
    """Yield the size and content of each record; `None` if it is damaged."""
    for raw in raws:
        record = decode_record(_RECORD_DECODER, raw)
        yield len(raw), record
        # slackdump stores the replies in the first message of a thread.
        for reply in (record and record.slackdump_thread_replies) or ():
            yield len(reply), decode_record(_RECORD_DECODER, reply)


def first_text(*names: str | None) -> str:
    """Return the first text that is not empty."""
    return next((text for name in names if (text := clean_text(name))), "")
