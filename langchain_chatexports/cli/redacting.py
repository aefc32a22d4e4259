"""`chatexports redact` and `--redact`: stand-ins for names and private numbers."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from langchain_chatexports._files import is_pipe, write_whole
from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.chat_loaders.table import table_rows
from langchain_chatexports.cli.console import Meter, counting, say, watching
from langchain_chatexports.cli.exports import is_examples_file, open_exports
from langchain_chatexports.cli.totals import about_messages
from langchain_chatexports.datasets.card import CardNotes
from langchain_chatexports.datasets.formats import write_dataset
from langchain_chatexports.datasets.jsonl import read_jsonl, write_jsonl
from langchain_chatexports.datasets.prepared import facts_of_prepared, read_prepared
from langchain_chatexports.datasets.redaction import ExampleRedactor
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError
from langchain_chatexports.redaction.key_file import (
    RedactionKey,
    key_for,
    read_key_file,
)
from langchain_chatexports.redaction.undo import restore
from langchain_chatexports.steps import Redact
from langchain_chatexports.steps.pipe import counted_pass
from langchain_chatexports.steps.redact import names_of_export

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from langchain_core.chat_sessions import ChatSession

    from langchain_chatexports.chat_loaders.counted_pass import CountedPass
    from langchain_chatexports.cli.exports import Export

__all__ = ["Redaction", "default_key_file", "redact_files", "say_done", "undo_file"]


def default_key_file(output: Path) -> Path:
    """Return the key file's place beside what is written.

    Raises:
        ExportFormatError: If that is a pipe or a device, beside which nothing lies.
    """
    if is_pipe(output):
        msg = f"{output} is no file, so the key has no place beside it: name it, --key."
        raise ExportFormatError(msg)
    return output.with_name(f"{output.name}.key")


class Redaction:
    """A key file, and the step that is made with it once the names are known."""

    def __init__(
        self, key_file: Path, *, names: Sequence[str] = (), presidio: str | None = None
    ) -> None:
        """Remember what was asked for; nothing is read or written yet.

        Args:
            key_file: The key file, made if it is not there.
            names: Names to find beside the export's own.
            presidio: An installed spaCy pipeline, for Presidio as a second detector.
        """
        self.key_file = key_file
        self._names = tuple(names)
        self._presidio = presidio
        self._exports: list[Export] = []
        self._stand_ins: Mapping[str, str] = {}
        self._key: RedactionKey | None = None
        self._step: Redact | None = None

    def read_names(self, exports: Sequence[Export]) -> None:
        """Read the exports for their names, make the step, and read what it replaces.

        So the key file can follow at once when what was redacted is written: without
        it nobody can undo that.

        Raises:
            ChatExportError: If two names have one stand-in under this key.
        """
        self._exports = list(exports)
        self._key = self._key or key_for(self.key_file)
        with self._sessions("messages read for names") as sessions:
            names = {*names_of_export(sessions), *self._names}
        try:
            # No export is read in here: what is wrong with one is no matter of the key.
            self._step = Redact.for_export(
                (), key=self._key.key, names=names, presidio=self._presidio
            )
        except ChatExportError:
            raise
        except ValueError:
            msg = (
                f"Two names have one stand-in under the key in {self.key_file}. Name "
                "another key file with --key."
            )
            raise ChatExportError(msg) from None
        with self._sessions("messages read for the key") as sessions:
            self._stand_ins = self._step.undo_map(sessions)

    def steps(self) -> tuple[Redact]:
        """Return the step, for the beginning of a pipe."""
        if self._step is None:
            msg = "the names are not read yet"
            raise RuntimeError(msg)
        return (self._step,)

    def name(self, name: str) -> str:
        """Return the stand-in of a sender."""
        (step,) = self.steps()
        return step.pseudonym(name)

    def write_key_file(self) -> None:
        """Write the key file, with what each stand-in stands for.

        Called when what was redacted is written: before, there is nothing to undo.
        """
        if self._key is None:
            msg = "nothing is redacted yet"
            raise RuntimeError(msg)
        both = {**self._key.stand_ins, **self._stand_ins}
        self._key = replace(self._key, stand_ins=both)
        self._key.write(self.key_file)

    def redact_examples(self, path: Path, output: Path) -> int:
        """Redact a file of examples, with the names that its trace knows.

        Args:
            path: The examples.
            output: The set to write, or a pipe.

        Returns:
            The number of examples written.
        """
        people = {
            name
            for item in read_prepared(path)
            for name in (*item.origin.senders, *item.origin.participants)
        }
        self._key = key_for(self.key_file)
        redactor = ExampleRedactor(
            self._key.key, {*people, *self._names}, self._presidio
        )
        redacted = (
            (redactor.example(item.example), redactor.origin(item.origin))
            for item in read_prepared(path)
        )

        def facts() -> Iterator[Mapping[str, Any]]:
            yield facts_of_prepared(path)
            replaced = dict(sorted(redactor.replaced.items()))
            yield {"steps": ["Redact"], "redacted": True, "replaced": replaced}

        if is_pipe(output):
            rows = write_jsonl((example for example, _ in redacted), output)
        else:
            notes = CardNotes(earlier=facts())
            rows = write_dataset(redacted, output, notes=notes).examples_written
        self._stand_ins = redactor.stand_ins
        return rows

    @contextmanager
    def _sessions(self, what: str) -> Iterator[Iterator[ChatSession]]:
        passes = [counted_pass(export.loader) for export in self._exports]
        with watching(_meter(what, passes, self._exports)):
            yield chain.from_iterable(passes)


def redact_files(
    paths: Sequence[Path],
    output: Path,
    redaction: Redaction,
    *,
    contacts: Path | None = None,
) -> dict[str, Any]:
    """Write a redacted copy of exports, as a table, or of a file of examples.

    Args:
        paths: Exports, or one file of examples.
        output: The JSONL file to write.
        redaction: The key file and what goes with it.
        contacts: Where names of people in iMessage exports come from.

    Returns:
        What was written, in JSON types.

    Raises:
        ExportFormatError: If examples and exports, or several files of examples, are
            given.
    """
    of_examples = [path for path in paths if is_examples_file(path)]
    if of_examples:
        if len(paths) > 1:
            msg = f"{of_examples[0]} holds examples: redact it alone."
            raise ExportFormatError(msg)
        rows = redaction.redact_examples(paths[0], output)
        redaction.write_key_file()
        return {"kind": "examples", "rows": rows}
    exports = open_exports(paths, contacts=contacts)
    redaction.read_names(exports)
    passes = [counted_pass(export.loader, redaction.steps()) for export in exports]
    meter = _meter("messages", passes, exports)
    with counting(_rows(passes), "rows", meter) as rows_read:
        rows = write_jsonl(rows_read, output)
    redaction.write_key_file()
    steps = [step for counted in passes for step in counted.summary().steps]
    replaced: dict[str, int] = {}
    for step in steps:
        for kind, count in step.replaced.items():
            replaced[kind] = replaced.get(kind, 0) + count
    return {"kind": "table", "rows": rows, "replaced": dict(sorted(replaced.items()))}


def undo_file(path: Path, output: Path, key_file: Path) -> None:
    """Put back what was replaced in a file: of JSON lines, or of plain text.

    Args:
        path: The redacted file, or what a model wrote.
        output: The file to write.
        key_file: The key file of the redaction.
    """
    stand_ins = read_key_file(key_file).stand_ins
    if not stand_ins:
        say(f"warning: {key_file} knows of no stand-in: nothing is put back")
    if _is_json_lines(path):
        rows = (_restored(row, stand_ins) for row in read_jsonl(path))
        write_jsonl(rows, output)
    else:
        with open_regular_file(path) as file:
            text = file.read().decode("utf-8", "surrogateescape")
        restored = restore(text, stand_ins)
        write_whole(output, restored.encode("utf-8", "surrogateescape"))


def say_done(done: Mapping[str, Any], output: Path, key_file: Path) -> None:
    """Say what was written, and what to do with it."""
    if done["kind"] == "restored":
        say(f"{output}: stand-ins are put back")
        return
    say(f"{output}: {done['rows']:,} rows ({done['kind']})")
    for kind, count in done.get("replaced", {}).items():
        say(f"  {count:,} replaced in texts: {kind}")
    say(f"key: {key_file} (whoever has it can undo the redaction)")
    say("Rules miss some: read a sample before it leaves your hands.")


def _meter(
    what: str, passes: Sequence[CountedPass], exports: Sequence[Export]
) -> Meter:
    return Meter(
        what,
        lambda: sum(counted.messages_read for counted in passes),
        about_messages(exports),
    )


def _rows(passes: Iterable[Iterable[ChatSession]]) -> Iterator[dict[str, Any]]:
    for sessions in passes:
        yield from table_rows(sessions)


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
