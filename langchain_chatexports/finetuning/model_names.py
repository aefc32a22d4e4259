"""Names of tuned models in OpenAI's format."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["TunedModelName"]

# The name of a checkpoint has a fifth part.
_NAME = re.compile(r"ft:([^:]*):([^:]*):([^:]*):(.+)")


class TunedModelName(NamedTuple):
    """The parts of `ft:BASE:OWNER:SUFFIX:ID`."""

    base: str
    owner: str
    suffix: str
    """The suffix chosen by the user; may be empty."""

    id: str

    @classmethod
    def parse(cls, name: str) -> TunedModelName | None:
        """Parse a name; return `None` if it is not a tuned model's."""
        match = _NAME.fullmatch(name)
        return cls(*match.groups()) if match else None

    def __str__(self) -> str:
        """Return the full name."""
        return ":".join(("ft", *self))
