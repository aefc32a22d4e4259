"""Ids for the messages of exports that have none."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b

__all__ = ["MessageIds"]

_CONVERSATION_BYTES = 6
_CONTENT_BYTES = 6


class MessageIds:
    """Makes ids for the messages of one conversation.

    An id depends on the conversation and on the message's time: it is the same after
    the next export, in whatever files and order that comes. Only messages that share
    their moment with another one, or have none, are told apart by sender and text, as a
    short hash, and equal ones by counting.
    """

    def __init__(self, conversation_id: str) -> None:
        """Initialize the ids.

        Args:
            conversation_id: The session's id.
        """
        self.prefix = f"{_digest(conversation_id, _CONVERSATION_BYTES)}-"
        """The id of a message alone at its moment is this and the moment in hex."""

        self._seen: Counter[str] = Counter()

    def among_equals(self, moment: int | None, sender: str, text: str) -> str:
        """Return the id of one of several messages of a moment.

        Every message of the moment has to be asked for, so that options which leave
        some out do not change the others' ids.

        Args:
            moment: When it was sent, as a number of any unit; `None` if unknown.
            sender: Who wrote it.
            text: Its text.

        Returns:
            The id.
        """
        stamp = "" if moment is None else f"{moment:x}"
        content = _digest(f"{sender}\0{text}", _CONTENT_BYTES)
        message_id = f"{self.prefix}{stamp}-{content}"
        count = self._seen[message_id]
        self._seen[message_id] += 1
        return f"{message_id}-{count:x}" if count else message_id


def _digest(text: str, size: int) -> str:
    # An export may hold lone surrogates.
    encoded = text.encode("utf-8", "surrogatepass")
    return blake2b(encoded, digest_size=size).hexdigest()
