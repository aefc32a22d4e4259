"""Names of tuned models in OpenAI's form."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["TunedModelName"]

# Names of checkpoints have another part.
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
        """Parse a name; `None` if it is not that of a tuned model."""
        found = _NAME.fullmatch(name)
        return cls(*found.groups()) if found else None

    def __str__(self) -> str:
        """Return the whole name."""
        return ":".join(("ft", *self))
