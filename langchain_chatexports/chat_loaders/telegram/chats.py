"""A chat of an export, whether it is in JSON or in HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langchain_chatexports.chat_loaders.export_files import ExportFile

__all__ = ["CHAT_TYPES", "Chat", "peer_of"]

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
_TITLES = {"saved_messages": "Saved Messages", "replies": "Replies"}

CHAT_TYPES = frozenset({*_PEERS, *_TITLES})
"""What the `type` of a chat can be."""

_GROUPS = frozenset(kind for kind in CHAT_TYPES if kind.endswith("group"))
_CHANNELS = frozenset({"private_channel", "public_channel"})
_BOTS = frozenset({"bot_chat", "verify_codes"})
_SERVICE_ID = 777000  # Telegram's own account: login codes and notices.


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat as one file has it.

    Attributes:
        id: Telegram's word for it: `user`, `chat` or `channel`, and a number.
        name: Its name, if it has one.
        type: What Telegram calls its kind, such as `personal_chat`.
        file: The file that holds it, or its first one.
        blocks: Reads its messages, some hundred at a time; `None` stands for one that
            is damaged.
    """

    id: str
    name: str | None
    type: str
    file: ExportFile
    blocks: Callable[[], Iterator[list[Any]]]

    @property
    def title(self) -> str | None:
        """What to call it."""
        return self.name or _TITLES.get(self.type)

    @property
    def is_personal(self) -> bool:
        """Whether it is between two people."""
        return self.type == "personal_chat" and not self.is_of_bot

    @property
    def is_group(self) -> bool | None:
        """Whether it is a group; `None` where the export does not say."""
        if self.type in _GROUPS or self.is_channel:
            return True
        return False if self.type in CHAT_TYPES else None

    @property
    def is_channel(self) -> bool:
        """Whether only its owners write in it."""
        return self.type in _CHANNELS

    @property
    def is_of_bot(self) -> bool:
        """Whether a program is on the other side."""
        return self.type in _BOTS or self.id == f"user{_SERVICE_ID}"


def peer_of(kind: str, number: object, name: str) -> str:
    """Return a chat's id in the form of the ids of senders.

    Unlike `type` and number together, it stays the same when a group becomes public,
    and is what replies to other chats name.

    Args:
        kind: The chat's `type`.
        number: Its `id`, which has no word before it.
        name: Its name, which stands for an id that is not there.
    """
    if kind in _TITLES:
        return kind
    is_id = isinstance(number, (int, str)) and str(number).lstrip("-").isdecimal()
    return f"{_PEERS.get(kind, kind or 'chat')}{number if is_id else f':{name}'}"
