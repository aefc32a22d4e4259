"""System prompts that name the person and the other people in a chat."""

from __future__ import annotations

from collections import Counter

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, SystemMessage

from langchain_chatexports.chat_loaders.schema import (
    UNKNOWN_SENDER,
    keys_of,
    metadata_of,
)
from langchain_chatexports.datasets.chat_prompts import participants_sentence
from langchain_chatexports.redaction.gazetteer import is_phone_number
from langchain_chatexports.steps.select_sessions import is_group

# In lower case.
_PLACEHOLDER_NAMES = frozenset({"i", "me", "myself", "you", UNKNOWN_SENDER})


def persona_prompt(session: ChatSession) -> str | None:
    """Return a system prompt that names the AI and the other people in a session.

    For example "You are Ann. You are chatting with Ben and Cleo." In a group, it names
    up to eight people who wrote in the session. Phone numbers, e-mail addresses and
    placeholders such as "Me" are skipped.

    Args:
        session: A session from `MapAIMessages`.

    Returns:
        The prompt; `None` if there are no names.
    """
    ai_names, others = _find_names(session)
    sentences = [f"You are {name}." for name in ai_names[:1]]
    if others:
        sentences.append(participants_sentence(others))
    return " ".join(sentences) or None


def _find_names(session: ChatSession) -> tuple[list[str], list[str]]:
    """Return the AI's names, most frequent first, and the others' names."""
    ai_names: Counter[str] = Counter()
    senders: dict[str, None] = {}
    metadata = metadata_of(session)
    is_owner = False
    for message in session.get("messages", ()):
        keys = keys_of(message)
        sender = str(keys.get("sender") or "")
        if isinstance(message, AIMessage):
            ai_names[sender] += 1
            is_owner = is_owner or bool(keys.get("is_from_me"))
        elif not isinstance(message, SystemMessage):
            senders[sender] = None
    owner_names = {str(metadata.get("owner"))} if is_owner else set()
    participants = None if is_group(session) else metadata.get("participants")
    others = [
        str(name)
        for name in participants or senders
        if str(name) not in owner_names | ai_names.keys()
    ]
    names = [name for name, _ in ai_names.most_common()]
    return [*filter(_is_name, names)], [*filter(_is_name, others)]


def _is_name(text: str) -> bool:
    if not text.strip() or text.casefold() in _PLACEHOLDER_NAMES:
        return False
    return not is_phone_number(text) and "@" not in text[1:]
