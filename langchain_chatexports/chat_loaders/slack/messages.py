"""Convert the records of an export to messages."""

import re
from typing import Any, NamedTuple

from langchain_chatexports.chat_loaders.json_data import clean_text, iter_dicts
from langchain_chatexports.chat_loaders.messages import (
    Message,
    Person,
    attachment,
    filled,
    link,
    reactions,
)
from langchain_chatexports.chat_loaders.slack.markup import render_block, render_markup
from langchain_chatexports.chat_loaders.slack.records import Profile, Record, first_text
from langchain_chatexports.chat_loaders.slack.workspace import Workspace
from langchain_chatexports.chat_loaders.times import MICROSECONDS

# Seconds and microseconds; a float would lose the last of 16 digits.
_TS = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?", re.ASCII)
_UNAVAILABLE_MODES = frozenset({"tombstone", "hidden_by_limit"})
# All other subtypes in Slack's API (joins, topics, pins, calls, new subtypes) are
# Slack's own messages.
_USER_SUBTYPES = frozenset(
    {"me_message", "thread_broadcast", "file_share", "file_comment"}
)
_BOT_SUBTYPES = frozenset({"bot_message", "slackbot_response"})
# The text of a shared file until about 2017; it includes the comment.
_OLD_SHARE = re.compile(
    r"<@\w+(?:\|[^>]*)?> (?:uploaded|shared) a file: <[^>]*>"
    r"(?: and commented: (?P<comment>.*))?",
    re.DOTALL,
)


class Converted(NamedTuple):
    """A message, and where it belongs."""

    message: Message
    thread: str = ""
    """The `ts` of the first message of its thread, or an empty string."""

    rank: tuple[bool, int] = (False, 0)
    """Of two records of one message, the edited or larger one ranks higher."""


class MessageConverter:
    """Converts the records of a workspace to messages."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.people = workspace.people
        """By id; conversations share this list."""

        self._guests: dict[str, Person] = {}
        """New people from other workspaces."""

        self._channel_names = {
            channel.id: channel.name
            for channel in workspace.listed
            if channel.kind == "channel"
        }

    def convert(self, channel: str, record: Record | None, size: int) -> Converted:
        """Convert a record, which is `None` if it is damaged."""
        if record is None:
            return Converted(Message(None, "", "", kind="unreadable"))
        time, kind = to_microseconds(record.ts), self._classify(record)
        user, text = self._author_and_text(record, kind)
        extra = _collect_extra(record)
        if kind == "system":
            extra["system"] = record.subtype
        thread = record.thread_ts or ""
        if thread and thread == record.ts:
            extra["thread"] = f"{channel}:{thread}"
        elif thread:
            extra["reply_to"] = {"id": f"{channel}:{thread}"}
        message_id = "" if time is None else f"{channel}:{record.ts}"
        message = Message(time, user, text, kind, message_id, extra)
        return Converted(message, thread, (bool(record.edited), size))

    def _author_and_text(self, record: Record, kind: str) -> tuple[str, str]:
        blocks = filter(None, map(render_block, iter_dicts(record.blocks)))
        user, text = record.user or "", record.text or "\n".join(blocks)
        if record.subtype == "file_comment" and record.comment is not None:
            user, text = record.comment.user or "", record.comment.comment or ""
        elif record.subtype == "file_share" and (old := _OLD_SHARE.fullmatch(text)):
            text = old["comment"] or ""
        if kind == "bot":
            user = _get_bot_name(record)
        elif record.user_profile and user and not self.get_name(user):
            handles = self.people.get(user, Person()).handles
            guest = Person(record.user_profile.visible_name or user, handles)
            self._guests[user] = guest
        if kind == "unsent":  # The text is "This message was deleted."
            user = text = ""
        return user, render_markup(text, self.get_name, self._channel_names)

    def add_guests(self) -> int:
        """Replace `people` if there are new guests; return the length of a new list."""
        if not self._guests:
            return 0
        self.people = {**self.people, **self._guests}
        self._guests = {}
        return len(self.people)

    def get_name(self, user: str) -> str:
        """Return a person's name; empty if it is unknown."""
        person = self._guests.get(user) or self.people.get(user)
        return person.name if person else ""

    def _classify(self, record: Record) -> str:
        subtype = record.subtype
        if subtype and subtype not in _USER_SUBTYPES and subtype not in _BOT_SUBTYPES:
            # A tombstone replaces the deleted first message of a thread.
            return "unsent" if subtype == "tombstone" else "system"
        user = record.user or ""
        if (
            subtype in _BOT_SUBTYPES
            or self._workspace.is_bot(user)
            # A message with both ids was posted by a person through an app.
            or (record.bot_id and user not in self._workspace.users)
        ):
            return "bot"
        return "text"


def to_microseconds(ts: object) -> int | None:
    """Convert a `ts` such as `1714550400.000100` to microseconds, without rounding."""
    match = _TS.fullmatch(ts) if isinstance(ts, str) else None
    if match is None:
        return None
    return int(match[1]) * MICROSECONDS + int((match[2] or "").ljust(6, "0"))


def _get_bot_name(record: Record) -> str:
    label = (record.bot_link or "").partition("|")[2].rstrip(">")
    profile = record.bot_profile or Profile()
    return first_text(record.username, profile.name, label, record.user, record.bot_id)


def _collect_extra(record: Record) -> dict[str, Any]:
    files = record.files or ([record.file] if record.file else [])
    attachments = []
    for file in files:
        is_available = file.mode not in _UNAVAILABLE_MODES
        name = first_text(file.name, file.title) if is_available else ""
        attachments.append(attachment(name, clean_text(file.mimetype), size=file.size))
    for item in record.attachments or ():
        # Treat a shared message as an attachment, since another person wrote it.
        if item.is_share or item.is_msg_unfurl:
            text = clean_text(item.text)
            attachments.append(link(clean_text(item.from_url), text=text))
    return filled(
        attachments=attachments,
        edited=bool(record.edited),
        reactions=[
            item
            for reaction in record.reactions or ()
            for item in reactions(
                f":{reaction.name}:", reaction.users or [], reaction.count
            )
        ],
    )
