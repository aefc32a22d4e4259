"""Reactions from iPhones, and the text that other phones receive instead."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from langchain_chatexports.chat_loaders.messages import Message

# In type order, with the words that phones in English send to phones without
# reactions.
TAPBACKS = (
    ("❤️", ("Loved",), "heart"),
    ("👍", ("Liked",), "like"),
    ("👎", ("Disliked",), "dislike"),
    ("😂", ("Laughed at",), "laugh"),
    ("‼️", ("Emphasized", "Emphasised"), "exclamation"),
    ("❓", ("Questioned",), "question mark"),
)
_VERBS = {verb: emoji for emoji, verbs, _ in TAPBACKS for verb in verbs}
_NOUNS = {noun: emoji for emoji, _, noun in TAPBACKS}
_TEXT_REACTION = re.compile(
    rf"(?:(?P<verb>{'|'.join(_VERBS)})"
    r"|Reacted (?P<emoji>\S{1,20}(?: \S{1,20})?) to"
    r"|Removed an? (?P<removed>[^“”]{1,40}) from)"
    r" “(?P<quoted>.+)”\s*",
    re.DOTALL,
)


class Reaction(NamedTuple):
    """A reaction to a message, or its removal."""

    target: str
    """The id of the message, or its quoted text."""

    reaction: str
    is_removal: bool


def apply_text_reactions(messages: Sequence[Message]) -> None:
    """Convert text from iPhones such as `Loved “hi”` to reactions.

    Only text that quotes an earlier message is converted.
    """
    latest: dict[str, Message] = {}
    indexed_count = 0
    for index, message in enumerate(messages):
        if "“" not in message.text or message.kind != "text":
            continue
        reaction = _parse_text_reaction(message.text)
        if reaction is None:
            continue
        earlier = messages[indexed_count:index]
        latest |= {other.text: other for other in earlier if other.kind == "text"}
        indexed_count = index
        if target := latest.get(reaction.target):
            message.kind = "reaction"
            apply_reaction(target, reaction, message.sender)


def apply_reaction(target: Message, reaction: Reaction, sender: str) -> None:
    """Add a reaction to a message, or remove it."""
    entry = {"reaction": reaction.reaction, "sender": sender}
    reactions = target.extra.setdefault("reactions", [])
    if entry in reactions:
        reactions.remove(entry)
    if not reaction.is_removal:
        reactions.append(entry)
    if not reactions:
        del target.extra["reactions"]


def _parse_text_reaction(text: str) -> Reaction | None:
    match = _TEXT_REACTION.fullmatch(text)
    if match is None:
        return None
    if removed := match["removed"]:
        word = removed.removesuffix(" reaction")
        return Reaction(match["quoted"], _NOUNS.get(word, word), is_removal=True)
    emoji = match["emoji"] or _VERBS[match["verb"]]
    return Reaction(match["quoted"], emoji, is_removal=False)
