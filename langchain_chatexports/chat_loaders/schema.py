"""The keys of sessions and messages, the same for every app.

The values are JSON types, so sessions can be stored and sent.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import BaseMessage
from typing_extensions import TypedDict

UNKNOWN_SENDER = "unknown"


class SessionMetadata(TypedDict, total=False):
    """Metadata of a conversation, in JSON types."""

    id: str
    """The conversation's id, stable across exports."""

    title: str | None
    """The title in the app; in an untitled direct chat, the other person's name."""

    platform: str
    """The app: `imessage`, `whatsapp`, `slack`, …"""

    participants: list[str]
    """The names of the members and senders."""

    owner: str | None
    """The name of the person whose export it is, if known."""

    is_group: bool
    """Whether it is a group; if the export does not say, more than two people."""

    services: list[str]
    """The services of a conversation in Apple's Messages: `iMessage`, `SMS`, `RCS`."""

    nicknames: list[str]
    """Other names of the participants, from the table of people."""

    thread_id: str
    """The id of the conversation that a step split."""


class ExportSession(TypedDict, total=False):
    """A `ChatSession` with metadata.

    Repeats the keys of langchain-core's `ChatSession`, which cannot be a base class,
    since pydantic rejects `typing.TypedDict` before Python 3.12.
    """

    messages: Sequence[BaseMessage]
    """The messages, oldest first."""

    functions: Sequence[dict[str, Any]]
    """Unused; a key of `ChatSession`."""

    metadata: SessionMetadata
    """The conversation."""


class Event(TypedDict):
    """A moment, in LangChain's convention."""

    message_time: str
    """ISO 8601 in UTC."""


class Reaction(TypedDict, total=False):
    """A reaction to a message."""

    reaction: str
    """The emoji, or the name of a custom one: `:party:`."""

    sender: str
    """The person's name; `unknown` if the export only has a count."""

    count: int
    """The number of people, if the export does not list them."""


class Reply(TypedDict, total=False):
    """The message that a message replies to."""

    id: str
    """Its id, which is the `id` of its message if it is in the same export."""

    sender: str
    """Its sender's name, if the export repeats it."""

    part: int
    """The part of an iMessage, counted from 0."""


class Attachment(TypedDict, total=False):
    """An attached file, link, place or poll. The file itself is not read."""

    type: str
    """`photo`, `video`, `audio`, `gif`, `sticker`, `file`, `link`, `location`,
    `contact`, `poll`, …"""

    name: str
    """The file's name, without folders."""

    mime_type: str
    """The file's media type."""

    size: int
    """The file's size in bytes."""

    uri: str
    """The address of a link or place; never a path."""

    title: str
    """The title of a link or song, the question of a poll, or the name of a place."""

    text: str
    """The description of a link, or the text of a shared message."""

    site: str
    """The name of a link's site."""


class Version(TypedDict, total=False):
    """An earlier version of an edited message."""

    text: str
    """The text at that time."""

    message_time: str
    """When it was written; ISO 8601 in UTC."""


class MessageKeys(TypedDict, total=False):
    """The keys of a message's `additional_kwargs`, in JSON types."""

    sender: str
    """The sender's name; `unknown` rather than a guess. Always present."""

    is_from_me: bool
    """Whether the owner sent it. Present if the owner of the export is known."""

    message_time: int
    """Unix seconds in UTC, rounded down. Absent if the export has no time."""

    events: list[Event]
    """The exact time; in merged messages, the time of each."""

    attachments: list[Attachment]
    """Attached files, links, places and polls."""

    reactions: list[Reaction]
    """Reactions of other people."""

    reply_to: Reply
    """The message that this one replies to."""

    thread: str
    """The id of the thread that this message begins, in Slack."""

    edited: bool
    """Whether the text was edited."""

    edits: list[Version]
    """Earlier versions, if the export has them."""

    forwarded: bool
    """Whether another person wrote the text. Never trained on."""

    forwarded_from: str
    """The name of the person or channel that wrote it."""

    subject: str
    """The subject; in iMessage, also the first line of the text."""

    role: str
    """The sender's role in a table, such as `agent`."""

    system: str
    """The type of a message from the app, such as `call`. Only with `keep`."""

    unsent: bool
    """Whether the sender deleted the message for everyone. Only with `keep`."""

    reaction: bool
    """Whether the text only describes a reaction. Only with `keep`."""

    weight: int
    """0 for context, which is not trained on."""

    message_ids: list[str]
    """The ids of merged messages."""


def metadata_of(session: ChatSession | ExportSession) -> SessionMetadata:
    """Return a session's metadata; empty for loaders without metadata."""
    metadata = cast("Mapping[str, Any]", session).get("metadata")
    return cast("SessionMetadata", metadata if isinstance(metadata, Mapping) else {})


def keys_of(message: BaseMessage) -> MessageKeys:
    """Return the keys of a message from any loader."""
    return cast("MessageKeys", message.additional_kwargs)


def sender_of(message: BaseMessage) -> str:
    """Return a message's sender; `unknown` if it has none."""
    return str(message.additional_kwargs.get("sender") or UNKNOWN_SENDER)
