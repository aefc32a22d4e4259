"""The settings of a server."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.description import describe_base

_KEY = re.compile(r"[\x21-\x7e]{1,512}")


@dataclass(frozen=True)
class ServerSettings:
    """Settings of a server; they match the arguments of `LocalServer`."""

    base: str | None = None
    data_dir: str | None = None
    port: int = 0
    api_key: str | None = field(default=None, repr=False)
    aliases: dict[str, str] = field(default_factory=dict)
    threads: int | None = None
    resume_jobs: bool = True

    def with_absolute_base(self) -> Self:
        """Return the settings with an absolute path to the base."""
        base = self.base
        kind = describe_base(base).kind
        if base is not None and kind in {"directory", "gguf"}:
            base = str(Path(base).expanduser().absolute())
        elif kind == "wheel":
            base = None
        return replace(self, base=base)

    def check(self) -> None:
        """Check the settings.

        Raises:
            LocalServerError: If the base is missing, or a value is out of range.
        """
        description = describe_base(self.base)
        if self.api_key is not None and not _KEY.fullmatch(self.api_key):
            msg = "api_key must consist of printable ASCII characters, without spaces."
            raise LocalServerError(msg)
        for name, target in self.aliases.items():
            if target not in {description.name, self.base, description.source}:
                msg = (
                    f"The alias {name} refers to {target!r}, but this server's base is "
                    f"{description.name}. Use {name}={description.name}."
                )
                raise LocalServerError(msg)
