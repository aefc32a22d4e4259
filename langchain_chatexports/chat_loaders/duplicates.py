"""Recognize copies of a message: the only reason to drop a record that has an id.

Proof of a copy is the same id, time, sender and content. Ids alone prove nothing: they
repeat in tables whose column is not one of messages, and in another account's export.
In doubt, both messages are kept.
"""

from collections.abc import Hashable
from typing import NamedTuple

from langchain_chatexports.chat_loaders.messages import Message

_CHANGED_KINDS = frozenset({"unsent", "deleted"})


class _Original(NamedTuple):
    # Hashes, since an export can have millions of messages.
    source: Hashable
    origin: int
    content: int
    is_changed: bool


class Originals:
    """The messages read so far, from one or several sources."""

    def __init__(self) -> None:
        self._originals: dict[int, _Original] = {}

    def is_copy(
        self, conversation_id: str, message: Message, source: Hashable = None
    ) -> bool:
        """Return whether an earlier message is the same one, and add it otherwise.

        A message of the same `source` is no copy, if one is given. Of two versions of
        an edited or deleted message, the first one read is kept.
        """
        item = _Original(
            source,
            hash((message.time, message.sender)),
            hash(" ".join(message.text.split())),
            bool(message.extra.get("edited")) or message.kind in _CHANGED_KINDS,
        )
        first = self._originals.setdefault(hash((conversation_id, message.id)), item)
        if first is item or (source is not None and first.source is source):
            return False
        has_same_content = first.content == item.content
        is_version = first.is_changed or item.is_changed
        return first.origin == item.origin and (has_same_content or is_version)
