"""What kind of record a message is, by its subtype (Slack's API documents them)."""

from __future__ import annotations

__all__ = ["BOT", "DELETED", "PERSON", "SYSTEM", "kind_of_subtype"]

PERSON, BOT, SYSTEM, DELETED = "person", "bot", "system", "deleted"

_OF_PEOPLE = frozenset({"me_message", "thread_broadcast", "file_share", "file_comment"})
_OF_BOTS = frozenset({"bot_message", "slackbot_response"})


def kind_of_subtype(subtype: object) -> str:
    """Return whether a person wrote a message, a bot, or Slack itself.

    Args:
        subtype: The message's `subtype`, if it has one. Joins, topics, pins, calls and
            kinds that are new are Slack's own; they are never guessed from the text.
    """
    if not subtype:
        return PERSON
    if not isinstance(subtype, str):
        return SYSTEM
    if subtype in _OF_PEOPLE:
        return PERSON
    if subtype in _OF_BOTS:
        return BOT
    # "This message was deleted.": it holds the place of a thread's first message.
    return DELETED if subtype == "tombstone" else SYSTEM
