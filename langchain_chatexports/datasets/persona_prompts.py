"""The system prompt of an example: the person's name, and the other people's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, SystemMessage

from langchain_chatexports.chat_loaders.messages import UNKNOWN_SENDER
from langchain_chatexports.datasets.chat_prompts import chatting_with
from langchain_chatexports.redaction.gazetteer import is_number
from langchain_chatexports.steps.select_sessions import is_group

# Placeholder names in exports.
_NO_NAMES = frozenset({"i", "me", "myself", "you", UNKNOWN_SENDER})


def persona_prompt(session: ChatSession) -> str | None:
    """Return a system prompt that names the AI and the other people in a session.

    For example "You are Ann. You are chatting with Ben and Cleo." In a group, these are
    the people who wrote in the session, eight at most. Numbers, e-mail addresses and
    "Me" are left out.

    Args:
        session: A session with the AI's messages mapped, see `MapAIMessages`.

    Returns:
        The prompt; `None` if there are no names.
    """
    own, others = _speakers(session)
    sentences = [f"You are {name}." for name in own[:1]]
    if others:
        sentences.append(chatting_with(others))
    return " ".join(sentences) or None


def _speakers(session: ChatSession) -> tuple[list[str], list[str]]:
    """Return the names of the AI, most messages first, and of the others."""
    own: Counter[str] = Counter()
    wrote: dict[str, None] = {}
    metadata: Mapping[str, Any] = cast("Mapping[str, Any]", session).get("metadata", {})
    is_owner = False
    for message in session.get("messages", ()):
        extra = message.additional_kwargs
        sender = str(extra.get("sender") or "")
        if isinstance(message, AIMessage):
            own[sender] += 1
            is_owner = is_owner or bool(extra.get("is_from_me"))
        elif not isinstance(message, SystemMessage):
            wrote[sender] = None
    known = {*own, str(metadata.get("owner"))} if is_owner else {*own}
    listed = None if is_group(session) else metadata.get("participants")
    others = [str(name) for name in listed or wrote if str(name) not in known]
    names = [name for name, _ in own.most_common()]
    return [*filter(_is_name, names)], [*filter(_is_name, others)]


def _is_name(text: str) -> bool:
    is_word = bool(text.strip()) and text.casefold() not in _NO_NAMES
    return is_word and not is_number(text) and "@" not in text[1:]
