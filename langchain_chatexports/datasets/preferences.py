"""Preference pairs and labels from edits and reactions.

Both read sessions whose runs are not merged (`MergeChatRuns` joins what belongs to one
bubble), after `MapAIMessages`.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from langchain_core.messages import AIMessage
from typing_extensions import TypedDict

from langchain_chatexports.chat_loaders.counts import Counts, entered_at_end
from langchain_chatexports.datasets.examples import system_prompt, training_message
from langchain_chatexports.datasets.message_text import message_text
from langchain_chatexports.datasets.trace import ExampleOrigin, origin_of_session
from langchain_chatexports.steps.base import iter_sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from langchain_core.chat_sessions import ChatSession
    from langchain_core.messages import BaseMessage

    from langchain_chatexports.datasets.examples import SystemPrompt
    from langchain_chatexports.steps.base import SessionSource

__all__ = [
    "DISLIKED",
    "LIKED",
    "LabeledAnswer",
    "PreferenceMessage",
    "PreferencePair",
    "TracedLabel",
    "TracedPair",
    "edit_preferences",
    "reaction_labels",
]

LIKED = frozenset("❤👍😍🥰😂🤣😆👏🔥💯🙏🎉")
"""Reactions that count as praise, in any skin tone."""

DISLIKED = frozenset("👎😠😡🤮💩🙄")
"""Reactions that count as rejection."""

_Made = TypeVar("_Made")
_CONTEXT = 16
# Variation selectors and skin tones do not change what an emoji means.
_LOOKS = dict.fromkeys((0xFE0E, 0xFE0F, *range(0x1F3FB, 0x1F400)))


class PreferenceMessage(TypedDict):
    """A message of a prompt or an answer."""

    role: str
    content: str


class PreferencePair(TypedDict):
    """A pair in TRL's shape for DPO: the edited answer and what it replaced."""

    prompt: list[PreferenceMessage]
    chosen: list[PreferenceMessage]
    rejected: list[PreferenceMessage]


class LabeledAnswer(TypedDict):
    """An answer in TRL's shape for KTO."""

    prompt: list[PreferenceMessage]
    completion: list[PreferenceMessage]
    label: bool


class TracedPair(NamedTuple):
    """A pair and what it was made from."""

    pair: PreferencePair
    origin: ExampleOrigin

    def __repr__(self) -> str:
        """Show the origin, never content."""
        return f"TracedPair({self.origin})"


class TracedLabel(NamedTuple):
    """A labeled answer and what it was made from."""

    label: LabeledAnswer
    origin: ExampleOrigin

    def __repr__(self) -> str:
        """Show the origin, never content."""
        return f"TracedLabel({self.origin})"


class _LeftOutError(Exception):
    """The reason why an answer becomes no preference."""


def edit_preferences(
    sessions: SessionSource,
    *,
    system: SystemPrompt = None,
    context: int = _CONTEXT,
    ledger: list[Counts] | None = None,
) -> Iterator[TracedPair]:
    """Make pairs of the AI's edited messages: the new text is preferred to the old.

    For exports that keep the original (iMessage since macOS 13); of several edits the
    first text and the last are compared.

    Args:
        sessions: A chat loader, a session, or an iterable of sessions.
        system: A system prompt, as for `to_training_examples`.
        context: Most messages before the answer in a prompt.
        ledger: Where to enter what is kept and what is left out, as `Preferences`. The
            reasons: `others` (not a message of the AI), `no_sign` (not edited, or
            without reactions), `no_original` (edited, and the export does not keep the
            original), `unchanged`, `merged` (several bubbles), `attachments` (its texts
            cannot be told apart), `mixed` (liked and disliked), `unclear` (reactions
            that say neither), `no_prompt` (nobody has said anything before), `context`
            (weight 0) and `empty`.

    Returns:
        Pairs with their origins, lazily.
    """

    def pair(session: ChatSession, index: int, answer: BaseMessage) -> TracedPair:
        original = _original(answer)
        prompt, used = _prompt(session, index, system=system, context=context)
        made: PreferencePair = {
            "prompt": prompt,
            "chosen": [{"role": "assistant", "content": _text(answer)}],
            "rejected": [{"role": "assistant", "content": original}],
        }
        return TracedPair(made, origin_of_session(session, [*used, answer]))

    return _preferences(sessions, pair, ledger)


def reaction_labels(
    sessions: SessionSource,
    *,
    system: SystemPrompt = None,
    context: int = _CONTEXT,
    liked: Collection[str] = LIKED,
    disliked: Collection[str] = DISLIKED,
    ledger: list[Counts] | None = None,
) -> Iterator[TracedLabel]:
    """Label the AI's messages by other people's reactions to them.

    A message without reactions gets no label: silence is not dislike.

    Args:
        sessions: A chat loader, a session, or an iterable of sessions.
        system: A system prompt, as for `to_training_examples`.
        context: Most messages before the answer in a prompt.
        liked: Reactions that say yes.
        disliked: Reactions that say no.
        ledger: As for `edit_preferences`.

    Returns:
        Labeled answers with their origins, lazily.
    """
    yes, no = set(map(_plain, liked)), set(map(_plain, disliked))

    def label(session: ChatSession, index: int, answer: BaseMessage) -> TracedLabel:
        is_liked = _is_liked(answer, yes, no)
        prompt, used = _prompt(session, index, system=system, context=context)
        made: LabeledAnswer = {
            "prompt": prompt,
            "completion": [{"role": "assistant", "content": _text(answer)}],
            "label": is_liked,
        }
        return TracedLabel(made, origin_of_session(session, [*used, answer]))

    return _preferences(sessions, label, ledger)


def _preferences(
    sessions: SessionSource,
    make: Callable[[ChatSession, int, BaseMessage], _Made],
    ledger: list[Counts] | None,
) -> Iterator[_Made]:
    ledger = ledger if ledger is not None else []
    counts = Counts("Preferences")
    with entered_at_end(ledger, counts), closing(iter_sessions(sessions)) as source:
        for session in source:
            for index, message in enumerate(session.get("messages", ())):
                counts.found += 1
                if not isinstance(message, AIMessage):
                    counts.skip("others")
                    continue
                try:
                    made = make(session, index, message)
                except _LeftOutError as reason:
                    counts.skip(str(reason))
                    continue
                counts.kept += 1
                yield made
            del session


def _original(answer: BaseMessage) -> str:
    extra = answer.additional_kwargs
    edits = extra.get("edits")
    if not edits:
        reason = "no_original" if extra.get("edited") else "no_sign"
        raise _LeftOutError(reason)
    _check_single(answer)
    if extra.get("attachments"):
        # Each part between two pictures has edits of its own.
        reason = "attachments"
        raise _LeftOutError(reason)
    original = str(edits[0].get("text") or "").strip()
    if not original or original == _text(answer):
        reason = "unchanged" if original else "no_original"
        raise _LeftOutError(reason)
    return original


def _is_liked(answer: BaseMessage, yes: set[str], no: set[str]) -> bool:
    extra = answer.additional_kwargs
    shown = {
        _plain(str(reaction.get("reaction", "")))
        for reaction in extra.get("reactions") or ()
        if reaction.get("sender") != extra.get("sender")
    }
    if not shown:
        reason = "no_sign"
        raise _LeftOutError(reason)
    _check_single(answer)
    is_liked, is_disliked = bool(shown & yes), bool(shown & no)
    if is_liked == is_disliked:
        reason = "mixed" if is_liked else "unclear"
        raise _LeftOutError(reason)
    return is_liked


def _check_single(answer: BaseMessage) -> None:
    extra = answer.additional_kwargs
    if max(len(extra.get("message_ids") or ()), len(extra.get("events") or ())) > 1:
        reason = "merged"
        raise _LeftOutError(reason)
    if extra.get("weight") == 0:
        reason = "context"
        raise _LeftOutError(reason)
    if not _text(answer):
        reason = "empty"
        raise _LeftOutError(reason)


def _prompt(
    session: ChatSession, index: int, *, system: SystemPrompt, context: int
) -> tuple[list[PreferenceMessage], Sequence[BaseMessage]]:
    used = session["messages"][max(0, index - context) : index]
    prompt: list[PreferenceMessage] = []
    for message in used:
        role_message = training_message(message)
        text = message_text(role_message) if role_message is not None else ""
        if role_message is not None and text:
            prompt.append({"role": role_message["role"], "content": text})
    if not any(message["role"] == "user" for message in prompt):
        reason = "no_prompt"
        raise _LeftOutError(reason)
    shown = [*used, session["messages"][index]]
    if content := system_prompt(system, session, shown):
        prompt.insert(0, {"role": "system", "content": content})
    return prompt, used


def _text(message: BaseMessage) -> str:
    return str(message.text).strip()


def _plain(reaction: str) -> str:
    return reaction.translate(_LOOKS)
