"""Chats, messages and people, with the keys of Telegram Desktop's JSON.

HTML pages are converted to the same records.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders.json_data import clean_text

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

    id: int | None = None
    """Unique in the chat; negative if sent before a group became a supergroup."""

    type: str = ""
    """`message`, `service`, or `unsupported` (with only an id)."""

    date: str | None = None
    """ISO 8601, in the local time of the exporting computer. Only HTML may have an
    offset."""

    date_unixtime: str | int | None = None
    """Unix seconds as a string, since about 2022. Other programs write a number."""

    edited: Any = None
    edited_unixtime: Any = None
    from_: str | None = None
    """The display name at the time of the export. Null for deleted accounts and hidden
    names."""

    from_id: str | int | None = None
    """`user123`, `channel123` (anonymous admins, posts) or `chat123`, or a number
    before about 2021. Unlike a name, it is unique."""

    actor: str | None = None
    """Service messages have `actor` and `actor_id` instead of `from` and `from_id`."""

    actor_id: str | int | None = None
    action: str | None = None
    """The type of a service message: `phone_call`, `pin_message`, …"""

    information_text: str | None = None
    """The text of a service message in files from other programs, without `action`."""

    title: str | None = None
    """The title of an audio file."""

    text: str | list[Any] | None = ""
    """A string, or a list of strings and objects with a `text`."""

    text_entities: msgspec.Raw = msgspec.Raw(b"[]")
    """The same text as a list of objects, since about 2022."""

    reply_to_message_id: int | None = None
    reply_to_peer_id: str | None = None
    """The chat of the replied-to message, if it is a different one."""

    forwarded_from: str | msgspec.UnsetType | None = _UNSET
    saved_from: str | msgspec.UnsetType | None = _UNSET
    via_bot: str | None = None
    """The inline bot that generated the text."""

    photo: Any = _UNSET
    file: Any = _UNSET
    """A path, or a sentence in parentheses if the file was not exported."""

    file_name: str | None = None
    media_type: str | None = None
    """`sticker`, `voice_message`, …, or none for a document."""

    sticker_emoji: str | None = None
    poll: Any = _UNSET
    """The `question` may be a list, like `text`."""

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

    reactions: list["Reaction"] | None = None
    """Since version 5.6 (2024)."""

    @property
    def author_id(self) -> str:
        """The author's id, or the name if there is no id."""
        return get_person_id(self.from_id or self.actor_id, self.author_name)

    @property
    def author_name(self) -> str:
        """The author's name, which is empty for deleted accounts."""
        return clean_text(self.from_ or self.actor)

    @property
    def full_text(self) -> str:
        """The joined text, or an empty string for white space."""
        text = self.text
        if isinstance(text, list) or not text:
            text = join_text(text or msgspec.json.decode(self.text_entities))
        return "" if text.isspace() else text

    @property
    def is_forwarded(self) -> bool:
        """Whether a message was forwarded, and thus written by someone else."""
        return self.forwarded_from is not _UNSET or self.saved_from is not _UNSET


class Reaction(msgspec.Struct):
    """A reaction to a message, with the number of people who chose it."""

    type: str = "emoji"
    """`emoji`, `custom_emoji` (a picture) or `paid` (a star)."""

    emoji: str | None = None
    count: int = 0
    recent: list["Reactor"] | None = None
    """The last few people who chose it."""


class Reactor(msgspec.Struct, rename={"from_": "from"}):
    """A person who reacted."""

    from_: str | None = None
    from_id: str | int | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat in one file or in one folder of pages."""

    id: str
    """`user123`, `chat123`, `channel123`; in HTML, the name."""

    name: str | None
    type: str
    """Telegram's type, such as `personal_chat`, or empty in HTML."""

    read_records: Callable[[], Iterator[Record | None]]
    """Reads the records, with `None` for a damaged record."""

    is_html: bool = False
    user: "User | None" = None
    """The owner of the account that exported it, if the file says so."""

    is_of_other_account: bool = False
    """Whether an earlier chat in the export is of another account."""

    @property
    def conversation_id(self) -> str:
        """The id of the conversation in the export.

        Except in channels and supergroups, ids are only valid within an account.
        """
        is_shared = _PEERS.get(self.type) == "channel"
        if self.user is None or not self.is_of_other_account or is_shared:
            return self.id
        return f"{self.id} ({self.user.id})"

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


def get_person_id(user_id: str | int | None, name: str) -> str:
    """Return a person's id in the format `user123`, or the name if there is no id."""
    if isinstance(user_id, str):
        return user_id or name
    return f"user{user_id}" if user_id else name


def join_text(parts: object) -> str:
    """Join a string, or a list of strings and objects with a `text`."""
    if isinstance(parts, str):
        return parts
    strings = (
        part.get("text") if isinstance(part, dict) else part
        for part in (parts if isinstance(parts, list) else ())
    )
    return "".join(text for text in strings if isinstance(text, str))


def get_peer_id(kind: str, number: object, name: str) -> str:
    """Return a chat's id in the format of `Record.from_id` and `reply_to_peer_id`.

    Unlike the type, it does not change when a group becomes public. Without a number,
    the name is used.
    """
    if kind in _TITLES:
        return kind
    has_number = isinstance(number, (int, str)) and str(number).lstrip("-").isdecimal()
    return f"{_PEERS.get(kind, kind or 'chat')}{number if has_number else f':{name}'}"
