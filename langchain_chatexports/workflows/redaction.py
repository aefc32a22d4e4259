"""Redact exports before conversion and write a key file."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from langchain_chatexports._files import is_pipe
from langchain_chatexports._progress import Watch, no_progress
from langchain_chatexports.chat_loaders.pipe import read_loaders
from langchain_chatexports.chat_loaders.recognition import (
    Export,
    estimate_message_count,
)
from langchain_chatexports.exceptions import ExportFormatError
from langchain_chatexports.redaction.key_file import RedactionKey, read_key_file
from langchain_chatexports.redaction.pseudonyms import new_key
from langchain_chatexports.steps import Redact


def default_key_file(output: Path) -> Path:
    """Return the path of the key file next to the output."""
    if is_pipe(output):
        msg = f"{output} is not a file, so no key file can be written next to it."
        raise ExportFormatError(msg)
    return output.with_name(f"{output.name}.key")


class Redaction:
    """The redaction step and its key file; call `read_names` first."""

    def __init__(self, key_file: Path, *, watch: Watch = no_progress) -> None:
        """Initialize without reading or writing anything."""
        self.key_file = key_file
        self._watch = watch
        self._key: RedactionKey | None = None
        self._originals: dict[str, str] = {}
        self._step: Redact | None = None

    def read_names(self, exports: Sequence[Export]) -> None:
        """Create the step from the names in the exports."""
        if self._key is None:
            exists = self.key_file.exists()
            self._key = (
                read_key_file(self.key_file) if exists else RedactionKey(new_key())
            )
        # The selected chats may mention people from other chats.
        passes = read_loaders(export.loader.without_filters() for export in exports)
        with self._watch(
            "messages",
            lambda: sum(reading.messages_read for reading in passes),
            estimate_message_count(exports),
        ):
            step = Redact.for_export(chain.from_iterable(passes), key=self._key.key)
        self._step = step.collecting(self._originals)

    def steps(self) -> tuple[Redact]:
        """Return the redaction step, which must run before all others."""
        if self._step is None:
            msg = "call read_names first"
            raise RuntimeError(msg)
        return (self._step,)

    def redact_sender(self, name: str) -> str:
        """Return a sender's pseudonym."""
        (step,) = self.steps()
        return step.pseudonym(name)

    def write_key_file(self) -> None:
        """Write the key file; call it after writing the redacted examples."""
        if self._key is not None:
            stand_ins = {**self._key.stand_ins, **self._originals}
            replace(self._key, stand_ins=stand_ins).write(self.key_file)
