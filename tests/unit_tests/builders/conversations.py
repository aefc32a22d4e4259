"""Sessions in the form of the loaders, built from texts."""

from collections.abc import Sequence
from typing import Any, cast

from langchain_chatexports.chat_loaders.conversation import build_human_message
from langchain_chatexports.chat_loaders.messages import Message
from langchain_chatexports.chat_loaders.schema import ExportSession, SessionMetadata

OWNER = "Me"


def conversation(
    *texts: str,
    session_id: str = "chat-1",
    other: str = "Hare",
    start: int = 1_700_000_000,
    speakers: tuple[str, ...] | None = None,
    **metadata: Any,
) -> ExportSession:
    """Build a session in which another person and the owner take turns."""
    turns = speakers or (other, OWNER)
    messages = []
    for index, text in enumerate(texts):
        sender = turns[index % len(turns)]
        messages.append(
            build_human_message(
                Message(
                    time=(start + 60 * index) * 1_000_000,
                    sender=sender,
                    text=text,
                    id=f"{session_id}-{start}-{index}",
                ),
                {"sender": sender, "is_from_me": sender == OWNER},
            )
        )
    known: dict[str, Any] = {
        "id": session_id,
        "title": None,
        "platform": "imessage",
        "participants": [
            OWNER,
            *(name for name in dict.fromkeys(turns) if name != OWNER),
        ],
        "owner": OWNER,
        "is_group": len(set(turns)) > 2,
        **metadata,
    }
    return {"messages": messages, "metadata": cast("SessionMetadata", known)}


def daily_conversations(
    count: int = 10, length: int = 6, others: Sequence[str] = ("Hare",)
) -> list[Any]:
    """Build one conversation per day, with these people in turn."""
    return [
        conversation(
            *(f"{n}: what number {i} says" for i in range(length)),
            session_id=f"chat-{n}",
            other=others[n % len(others)],
            start=1_700_000_000 + 86_400 * n,
        )
        for n in range(count)
    ]
