"""The names of tuned models, as OpenAI gives them."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["TunedModelName"]

# The name of a checkpoint has a further part.
_NAME = re.compile(r"ft:([^:]*):([^:]*):([^:]*):(.+)")


class TunedModelName(NamedTuple):
    """The parts of `ft:BASE:OWNER:SUFFIX:ID`."""

    base: str
    owner: str
    suffix: str
    """What whoever ordered it chose; may be empty."""

    id: str

    @classmethod
    def parse(cls, name: str) -> TunedModelName | None:
        """Return the parts of a name; `None` if it is none of a tuned model."""
        found = _NAME.fullmatch(name)
        return cls(*found.groups()) if found else None

    def __str__(self) -> str:
        """Return the whole name."""
        return ":".join(("ft", *self))
