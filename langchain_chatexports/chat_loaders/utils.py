"""`merge_chat_runs` and `map_ai_messages` at langchain-community's path.

They wrap the steps `MergeChatRuns` and `MapAIMessages`. Unlike langchain-community's
functions they do not change their input, keep all keys of a session, and skip blank
texts in a merge.
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
    """Merge each run of one sender's messages in a session; return a new one."""
    (merged,) = MergeChatRuns(delimiter=delimiter).transform_session(chat_session)
    return merged


# These return an iterator and are not generator functions, which LCEL would call with
# lists of sessions.
def merge_chat_runs(
    chat_sessions: BaseChatLoader | Iterable[ChatSession],
) -> Iterator[ChatSession]:
    """Merge each run of one sender's messages into one message.

    Args:
        chat_sessions: The sessions, or a chat loader.

    Returns:
        An iterator over new sessions.
    """
    return MergeChatRuns().lazy_transform(chat_sessions)


def map_ai_messages_in_session(chat_sessions: ChatSession, sender: str) -> ChatSession:
    """Turn one sender's messages in a session into AI messages; return a new one."""
    (mapped,) = MapAIMessages(sender=sender).transform_session(chat_sessions)
    return mapped


def map_ai_messages(
    chat_sessions: BaseChatLoader | Iterable[ChatSession], sender: str
) -> Iterator[ChatSession]:
    """Turn one sender's messages into AI messages.

    Args:
        chat_sessions: The sessions, or a chat loader.
        sender: The sender's name.

    Returns:
        An iterator over new sessions.
    """
    return MapAIMessages(sender=sender).lazy_transform(chat_sessions)
