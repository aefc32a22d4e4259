"""The talks that are kept on this machine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TalkSummary:
    """A kept talk, as lists show it."""

    id: str
    person: str
    time: float
    """When it last changed, in Unix seconds."""

    last: str = ""
    """Its last message."""

    is_answered: bool = True
    """Whether the last message is a reply."""
