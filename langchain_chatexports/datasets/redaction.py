"""Write redacted copies of exports with a key file, and undo the redaction."""

import json
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from langchain_core.chat_sessions import ChatSession

from langchain_chatexports._files import is_pipe, write_whole
from langchain_chatexports._progress import Watch, unwatched
from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.chat_loaders.counts import Reading
from langchain_chatexports.chat_loaders.recognition import (
    Export,
    estimate_message_count,
)
from langchain_chatexports.chat_loaders.table import table_rows
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.datasets.jsonl import read_jsonl, write_jsonl
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError
from langchain_chatexports.redaction.key_file import (
    RedactionKey,
    key_for,
    read_key_file,
    restore,
)
from langchain_chatexports.steps import Redact
from langchain_chatexports.steps.pipe import read_loader
from langchain_chatexports.steps.redact import names_of_export


def default_key_file(output: Path) -> Path:
    """Return the default path of the key file, next to the output."""
    if is_pipe(output):
        msg = f"{output} is not a file, so name the key file: --key FILE."
        raise ExportFormatError(msg)
    return output.with_name(f"{output.name}.key")


class Redaction:
    """A redaction with a key file; its step is made once the names are known."""

    def __init__(
        self, key_file: Path, *, names: Sequence[str] = (), watch: Watch = unwatched
    ) -> None:
        """Initialize; nothing is read or written yet."""
        self.key_file = key_file
        self._names = tuple(names)
        self._watch = watch
        self._stand_ins: Mapping[str, str] = {}
        self._key: RedactionKey | None = None
        self._step: Redact | None = None

    def read_names(self, exports: Sequence[Export]) -> None:
        """Read the exports for their names, make the step, and find what it replaces.

        The key file can then be written immediately after the redacted copy, which
        cannot be restored without it.
        """
        self._key = self._key or key_for(self.key_file)
        # The chosen chats may name people of the others.
        everything = [
            replace(export, loader=export.loader.unrestricted()) for export in exports
        ]
        with self._sessions("messages read for names", everything) as sessions:
            names = {*names_of_export(sessions), *self._names}
        try:
            # No export is read here, so a `ValueError` is about the key.
            self._step = Redact.for_export((), key=self._key.key, names=names)
        except ChatExportError:
            raise
        except ValueError:
            msg = (
                "Two names have the same stand-in with the key in "
                f"{self.key_file}. Name another key file with --key."
            )
            raise ChatExportError(msg) from None
        with self._sessions("messages read for the key", exports) as sessions:
            self._stand_ins = self._step.undo_map(sessions)

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
        """Write the key file with the originals, after the redacted copy."""
        if self._key is None:
            msg = "nothing is redacted yet"
            raise RuntimeError(msg)
        stand_ins = {**self._key.stand_ins, **self._stand_ins}
        self._key = replace(self._key, stand_ins=stand_ins)
        self._key.write(self.key_file)

    def watched(
        self, what: str, passes: Sequence[Reading], exports: Sequence[Export]
    ) -> AbstractContextManager[object]:
        """Show the progress of passes over exports during a `with` block."""
        return self._watch(
            what,
            lambda: sum(counted.messages_read for counted in passes),
            estimate_message_count(exports),
        )

    @contextmanager
    def _sessions(
        self, what: str, exports: Sequence[Export]
    ) -> Iterator[Iterator[ChatSession]]:
        passes = [read_loader(export.loader) for export in exports]
        with self.watched(what, passes, exports):
            yield chain.from_iterable(passes)


def redact_exports(
    exports: Sequence[Export],
    output: Path,
    redaction: Redaction,
    *,
    chats: ChatChoice | None = None,
) -> dict[str, Any]:
    """Write a redacted copy of exports, as one table in JSON lines."""
    redaction.read_names(exports)
    if chats is not None:
        chats.check_names(exports)
    passes = [read_loader(export.loader, redaction.steps()) for export in exports]
    with redaction.watched("messages", passes, exports):
        rows = write_jsonl(chain.from_iterable(map(table_rows, passes)), output)
    redaction.write_key_file()
    replaced: Counter[str] = Counter()
    for counted in passes:
        for step in counted.summary().steps:
            replaced.update(step.replaced)
    return {"kind": "table", "rows": rows, "replaced": dict(sorted(replaced.items()))}


def undo_redaction(path: Path, output: Path, key_file: Path) -> None:
    """Restore the originals in a file of JSON lines or plain text.

    Warns if the key file has no stand-ins.
    """
    stand_ins = read_key_file(key_file).stand_ins
    if not stand_ins:
        msg = f"{key_file} has no stand-ins, so nothing was restored"
        warnings.warn(msg, stacklevel=2)
    if _is_json_lines(path):
        rows = (_restored(row, stand_ins) for row in read_jsonl(path))
        write_jsonl(rows, output)
    else:
        with open_regular_file(path) as file:
            text = file.read().decode("utf-8", "surrogateescape")
        restored = restore(text, stand_ins)
        write_whole(output, restored.encode("utf-8", "surrogateescape"))


def _is_json_lines(path: Path) -> bool:
    with open_regular_file(path) as file:
        try:
            return isinstance(json.loads(file.readline()), dict)
        except (ValueError, RecursionError):
            return False


def _restored(value: Any, stand_ins: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return restore(value, stand_ins)
    if isinstance(value, list):
        return [_restored(item, stand_ins) for item in value]
    if isinstance(value, dict):
        return {key: _restored(item, stand_ins) for key, item in value.items()}
    return value
