"""What kind of record a message is, by the `type` that DiscordChatExporter writes.

Kinds that the tool does not know are numbers in strings, as Discord's API has them.
"""

from __future__ import annotations

__all__ = ["BOT", "PERSON", "SYSTEM", "kind_of_type"]

PERSON, BOT, SYSTEM = "person", "bot", "system"

# 0 and 19 in Discord's API; a message without a type is one of a person, too.
_OF_PEOPLE = frozenset({"", "Default", "Reply", "0", "19"})
# What a slash command or a context menu answered.
_OF_BOTS = frozenset({"20", "23"})


def kind_of_type(name: str) -> str:
    """Return whether a person wrote a message, a bot, or Discord itself.

    Args:
        name: The message's `type`. Joins, pins, calls, boosts, polls' results and kinds
            that are new are Discord's own; they are never guessed from the text.
    """
    if name in _OF_PEOPLE:
        return PERSON
    return BOT if name in _OF_BOTS else SYSTEM
