"""Merge and map messages, under langchain-community's import path.

The steps `MergeChatRuns` and `MapAIMessages` use these functions for each session.
Unlike langchain-community's, they do not modify their input, keep all keys of a
session, and skip blank messages when merging.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from itertools import chain
from typing import cast

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, BaseMessage

from langchain_chatexports._fast.messages import copy_with_changes, create_ai_message
from langchain_chatexports.chat_loaders.session_source import iter_sessions

_JOINED_LISTS = ("events", "reactions", "attachments")


def merge_chat_runs_in_session(
    chat_session: ChatSession,
    delimiter: str = "\n\n",
    *,
    max_gap: timedelta | None = None,
) -> ChatSession:
    """Return a new session in which consecutive messages of a sender are merged.

    Args:
        chat_session: The session.
        delimiter: The separator between merged messages.
        max_gap: Maximum pause within a run, by `message_time`.
    """
    messages = merge_runs(chat_session.get("messages", ()), delimiter, max_gap)
    return {**chat_session, "messages": list(messages)}


def merge_runs(
    messages: Iterable[BaseMessage], delimiter: str, max_gap: timedelta | None
) -> Iterator[BaseMessage]:
    """Merge consecutive messages of a sender, one run at a time."""
    run: list[BaseMessage] = []
    run_sender: object = None
    for message in messages:
        sender = message.additional_kwargs.get("sender")
        if sender and sender == run_sender and _continues(run[-1], message, max_gap):
            run.append(message)
            continue
        if run:
            yield _merge(run, delimiter)
        run, run_sender = [message], sender
    if run:
        yield _merge(run, delimiter)


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
    return _transform(merge_chat_runs_in_session, chat_sessions)


def map_ai_messages_in_session(
    chat_sessions: ChatSession, sender: str | Collection[str]
) -> ChatSession:
    """Convert a sender's messages in a session to AI messages, in a new session."""
    names = (sender,) if isinstance(sender, str) else sender
    messages = [
        as_ai_message(message)
        if message.additional_kwargs.get("sender") in names
        else message
        for message in chat_sessions.get("messages", ())
    ]
    return {**chat_sessions, "messages": messages}


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
    return _transform(
        lambda session: map_ai_messages_in_session(session, sender), chat_sessions
    )


def as_ai_message(message: BaseMessage) -> BaseMessage:
    """Return a message as an AI message; a forwarded one gets weight 0."""
    if isinstance(message, AIMessage):
        return message
    content, kwargs = message.content, message.additional_kwargs
    if kwargs.get("forwarded"):
        # Do not train on another person's words.
        kwargs = {"weight": 0, **kwargs}
    has_extras = message.response_metadata or "tool_calls" in kwargs
    if type(content) is str and not has_extras:
        return create_ai_message(
            content, kwargs, message_id=message.id, name=message.name
        )
    return AIMessage(
        content=content,
        additional_kwargs=kwargs,
        response_metadata=dict(message.response_metadata),
        id=message.id,
        name=message.name,
    )


def _transform(
    transform: Callable[[ChatSession], ChatSession],
    chat_sessions: BaseChatLoader | Iterable[ChatSession],
) -> Iterator[ChatSession]:
    with closing(iter_sessions(chat_sessions)) as sessions:
        for session in sessions:
            transformed = transform(session)
            del session
            yield transformed
            del transformed


def _continues(
    last: BaseMessage, message: BaseMessage, max_gap: timedelta | None
) -> bool:
    """Return whether a message of the same sender continues a run."""
    is_text = isinstance(message.content, str) and isinstance(last.content, str)
    if type(message) is not type(last) or not is_text:
        return False
    last_extra, extra = last.additional_kwargs, message.additional_kwargs
    # Do not merge forwarded messages with written ones, or context with answers.
    if ("forwarded" in extra) != ("forwarded" in last_extra):
        return False
    if extra.get("weight") != last_extra.get("weight"):
        return False
    if max_gap is None:
        return True
    last_time, time = last_extra.get("message_time"), extra.get("message_time")
    if not isinstance(last_time, (int, float)) or not isinstance(time, (int, float)):
        return True
    return time - last_time <= max_gap.total_seconds()


def _merge(run: Sequence[BaseMessage], delimiter: str) -> BaseMessage:
    first = run[0]
    if len(run) == 1:
        return first
    ids: list[str] = []
    for message in run:
        ids += message.additional_kwargs.get("message_ids") or (
            (message.id,) if message.id else ()
        )
    kwargs = first.additional_kwargs.copy()
    for key in _JOINED_LISTS:
        lists = [m.additional_kwargs[key] for m in run if key in m.additional_kwargs]
        if lists:
            kwargs[key] = [*chain.from_iterable(lists)]
    if ids:
        kwargs["message_ids"] = ids
    merged = _join_texts([cast("str", message.content) for message in run], delimiter)
    return copy_with_changes(first, {"content": merged, "additional_kwargs": kwargs})


def _join_texts(texts: Sequence[str], delimiter: str) -> str:
    stripped = [text.strip() for text in texts]
    if stripped == texts and "" not in stripped:
        return delimiter.join(texts)  # The usual case.
    # Same result as in langchain-community, which strips the text after each message,
    # in quadratic time.
    texts = [text for text in texts if text.strip()]
    return delimiter.join([*texts[:1], *map(str.rstrip, texts[1:])]).strip()
