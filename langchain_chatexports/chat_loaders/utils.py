"""`merge_chat_runs` and `map_ai_messages` under langchain-community's import path.

They wrap the steps `MergeChatRuns` and `MapAIMessages`. Unlike langchain-community's
functions, they do not modify their input, keep all keys of a session, and skip blank
messages when merging.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession

from langchain_chatexports.steps.map_ai_messages import MapAIMessages
from langchain_chatexports.steps.merge_chat_runs import MergeChatRuns


def merge_chat_runs_in_session(
    chat_session: ChatSession, delimiter: str = "\n\n"
) -> ChatSession:
    """Merge consecutive messages of a sender in a session, and return a new session."""
    (merged,) = MergeChatRuns(delimiter=delimiter).transform_session(chat_session)
    return merged


# These are not generator functions, since LCEL would call those with lists of sessions.
def merge_chat_runs(
    chat_sessions: BaseChatLoader | Iterable[ChatSession],
) -> Iterator[ChatSession]:
    """Merge consecutive messages of a sender into one message.

    Args:
        chat_sessions: The sessions, or a chat loader.

    Returns:
        An iterator over new sessions.
    """
    return MergeChatRuns().lazy_transform(chat_sessions)


def map_ai_messages_in_session(chat_sessions: ChatSession, sender: str) -> ChatSession:
    """Convert a sender's messages in a session to AI messages, in a new session."""
    (mapped,) = MapAIMessages(sender=sender).transform_session(chat_sessions)
    return mapped


def map_ai_messages(
    chat_sessions: BaseChatLoader | Iterable[ChatSession], sender: str
) -> Iterator[ChatSession]:
    """Convert a sender's messages to AI messages.

    Args:
        chat_sessions: The sessions, or a chat loader.
        sender: The sender's name.

    Returns:
        An iterator over new sessions.
    """
    return MapAIMessages(sender=sender).lazy_transform(chat_sessions)
