"""The settings of a server."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from typing_extensions import Self

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.description import describe_base

_KEY = re.compile(r"[\x21-\x7e]{1,512}")


@dataclass(frozen=True)
class ServerSettings:
    """The settings of a server; the defaults suit one user on one machine."""

    base: str | None = None
    """A directory, a `.gguf` file or a hub id; the default base if `None`."""

    data_dir: str | None = None
    """The directory of files, jobs and models; the user's data directory if `None`."""

    port: int = 0
    """0 chooses a free port."""

    api_key: str | None = field(default=None, repr=False)
    """A new random one if `None`."""

    aliases: dict[str, str] = field(default_factory=dict)
    """Further names, such as `gpt-3.5-turbo`, each with the base's name."""

    threads: int | None = None
    """The number of CPU threads; all cores but one if `None`."""

    resume_jobs: bool = True
    """Whether to continue unfinished jobs of an earlier server. Otherwise they are
    paused, as are this server's own jobs when it stops."""

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
        """Raise an error for invalid settings.

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
                    f"The alias {name} means {target!r}, but this server's base is "
                    f"{description.name}. Write {name}={description.name}."
                )
                raise LocalServerError(msg)
