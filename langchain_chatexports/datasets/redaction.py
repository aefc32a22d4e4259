"""The redaction of exports before examples are made, with its key file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

from langchain_core.chat_sessions import ChatSession

from langchain_chatexports._files import is_pipe
from langchain_chatexports._progress import Watch, unwatched
from langchain_chatexports.chat_loaders.recognition import (
    Export,
    estimate_message_count,
)
from langchain_chatexports.exceptions import ExportFormatError
from langchain_chatexports.redaction.key_file import RedactionKey, read_key_file
from langchain_chatexports.redaction.pseudonyms import new_key
from langchain_chatexports.steps import Redact
from langchain_chatexports.steps.pipe import read_loader


def default_key_file(output: Path) -> Path:
    """Return the path of the key file, next to the output."""
    if is_pipe(output):
        msg = f"{output} is not a file, so no key file can be written next to it."
        raise ExportFormatError(msg)
    return output.with_name(f"{output.name}.key")


class Redaction:
    """A redaction with a key file; its step is made once the names are known."""

    def __init__(self, key_file: Path, *, watch: Watch = unwatched) -> None:
        """Initialize; nothing is read or written yet."""
        self.key_file = key_file
        self._watch = watch
        self._key: RedactionKey | None = None
        self._step: Redact | None = None

    def read_names(self, exports: Sequence[Export]) -> None:
        """Read the exports for their names, make the step, and find what it replaces.

        The key file can then be written immediately after the redacted examples, which
        cannot be restored without it.
        """
        key = self._key or RedactionKey(new_key())
        if self._key is None and self.key_file.exists():
            key = read_key_file(self.key_file)
        # The chosen chats may name people of the others.
        everything = [
            replace(export, loader=export.loader.unrestricted()) for export in exports
        ]
        with self._sessions("messages read for names", everything) as sessions:
            self._step = Redact.for_export(sessions, key=key.key)
        with self._sessions("messages read for the key", exports) as sessions:
            found = self._step.undo_map(sessions)
        self._key = replace(key, stand_ins={**key.stand_ins, **found})

    def steps(self) -> tuple[Redact]:
        """Return the redaction step, which must be the first one."""
        if self._step is None:
            msg = "the names are not read yet"
            raise RuntimeError(msg)
        return (self._step,)

    def name(self, name: str) -> str:
        """Return the stand-in of a sender."""
        (step,) = self.steps()
        return step.pseudonym(name)

    def write_key_file(self) -> None:
        """Write the key file with the originals, after the redacted examples."""
        if self._key is not None:
            self._key.write(self.key_file)

    @contextmanager
    def _sessions(
        self, what: str, exports: Sequence[Export]
    ) -> Iterator[Iterator[ChatSession]]:
        passes = [read_loader(export.loader) for export in exports]

        def done() -> int:
            return sum(counted.messages_read for counted in passes)

        with self._watch(what, done, estimate_message_count(exports)):
            yield chain.from_iterable(passes)
