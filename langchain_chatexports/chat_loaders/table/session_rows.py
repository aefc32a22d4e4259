"""Sessions as the rows of a table, which `TableChatLoader` reads again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from langchain_core.chat_sessions import ChatSession
    from langchain_core.messages import BaseMessage

__all__ = ["OWNER_ROLE", "table_rows"]

OWNER_ROLE = "me"
"""The role of what the export's owner wrote."""


def table_rows(sessions: Iterable[ChatSession]) -> Iterator[dict[str, Any]]:
    """Yield a row for each message, under the names that `TableChatLoader` looks for.

    Conversation, title, sender, role, time, text, id and what is replied to are kept,
    reactions, edits and attachments are not.

    Args:
        sessions: The sessions.

    Yields:
        The rows, in order; those of a session follow on each other.
    """
    for number, session in enumerate(sessions, 1):
        found = cast("Mapping[str, Any]", session).get("metadata")
        metadata = found if isinstance(found, Mapping) else {}
        about = {
            "conversation_id": str(metadata.get("id") or number),
            "title": metadata.get("title"),
        }
        for message in session.get("messages", ()):
            row = {**about, **_cells(message)}
            yield {name: cell for name, cell in row.items() if cell is not None}
        del session


def _cells(message: BaseMessage) -> dict[str, Any]:
    extra = message.additional_kwargs
    reply = extra.get("reply_to")
    role = OWNER_ROLE if extra.get("is_from_me") is True else extra.get("role")
    return {
        "sender": extra.get("sender"),
        "role": role,
        "time": extra.get("message_time"),
        "text": str(message.text),
        "message_id": message.id,
        "reply_to": reply.get("id") if isinstance(reply, Mapping) else reply,
    }
