"""Removal of people and conversations from a written set.

A model that was trained on the set keeps what it learned: delete the models that
`finetuning.find_jobs` lists, and train again.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports._files import explained_writing
from langchain_chatexports.chat_loaders.ledger import Stage
from langchain_chatexports.datasets.card import card_markdown
from langchain_chatexports.datasets.formats.containers import (
    RowFile,
    new_private_file,
    read_lines,
    row_digest,
)
from langchain_chatexports.datasets.formats.staging import (
    place_beside,
    place_file,
    staging_folder,
)
from langchain_chatexports.datasets.formats.trace_file import (
    card_path,
    read_header,
    read_trace,
    trace_line,
    trace_path,
    write_trace,
)
from langchain_chatexports.datasets.formats.trainer_formats import dataset_format
from langchain_chatexports.datasets.formats.write import describe_files
from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError
from langchain_chatexports.redaction.gazetteer import Gazetteer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from langchain_chatexports.datasets.formats.trace_file import (
        TraceHeader,
        TraceRow,
    )
    from langchain_chatexports.datasets.trace import ExampleOrigin

__all__ = ["ForgetReport", "forget"]

# A person may be called what a role is.
_ROLE_KEYS = frozenset({"role", "from"})


@dataclass(frozen=True)
class ForgetReport:
    """Counts of removed rows: `rows` = `rows_left` + `removed`."""

    path: Path
    rows: int
    rows_left: int
    removed: int
    mentions: int
    """Rows that stay and have one of the names in their text."""

    hashes: tuple[str, ...]
    """SHA-256 of every version that the set's files have had, for `find_jobs`."""

    def to_dict(self) -> dict[str, Any]:
        """Return it in JSON types."""
        return {**vars(self), "path": str(self.path), "hashes": list(self.hashes)}


def forget(
    path: str | Path,
    *,
    people: Collection[str] = (),
    conversations: Collection[str] = (),
    mentions: bool = False,
) -> ForgetReport:
    """Rewrite a set without the messages of people, or without conversations.

    Whole rows are removed: with a person, every row that holds a message of theirs, and
    every row of a chat between them and one other.

    Args:
        path: The set, as it was given to `write_dataset`; its trace must lie beside it.
        people: Names or handles, as senders in the export, without regard to case.
        conversations: Ids of sessions, or of the threads that they were split from.
        mentions: Also remove rows that have one of the names in their text.

    Returns:
        What was removed. The set is rewritten only if something was.

    Raises:
        ExportFormatError: If the set has rows that are not in its trace.
        ExportNotFoundError: If set or trace are not there.
        ValueError: If neither people nor conversations are given.
    """
    if not people and not conversations:
        msg = "Say whom or what to forget: people or conversations."
        raise ValueError(msg)
    path = Path(path).expanduser()
    header = read_header(path)
    if not path.exists():
        msg = f"There is no set at {path}, only its trace. Check the path."
        raise ExportNotFoundError(msg)
    request = _Request(people, conversations, mentions=mentions)
    with explained_writing(path), staging_folder(path) as staging:
        rewritten = _Rewritten(path, header, staging)
        removed = rewritten.write(request)
        left = sum(rewritten.files.values())
        if removed:
            rewritten.publish(removed)
    return ForgetReport(
        path=path,
        rows=left + removed,
        rows_left=left,
        removed=removed,
        mentions=request.mentions_left,
        hashes=tuple(header.hashes),
    )


class _Request:
    """The people and conversations to remove."""

    def __init__(
        self, people: Collection[str], conversations: Collection[str], *, mentions: bool
    ) -> None:
        self._people = {_nfc(name).strip().casefold() for name in people}
        self._conversations = set(conversations)
        self._mentions = mentions
        self._is_named = _name_search(people)
        self.mentions_left = 0

    def takes(self, origin: ExampleOrigin, line: bytes) -> bool:
        if self._is_theirs(origin):
            return True
        if not self._is_named(line):
            return False
        self.mentions_left += not self._mentions
        return self._mentions

    def _is_theirs(self, origin: ExampleOrigin) -> bool:
        if self._conversations & {origin.session_id, origin.thread_id}:
            return True
        there = origin.senders
        if not origin.is_group:
            there += origin.participants
        return any(_nfc(name).strip().casefold() in self._people for name in there)


class _Rewritten:
    """A set's new version while it is written."""

    def __init__(self, path: Path, header: TraceHeader, staging: Path) -> None:
        self.files: dict[str, int] = {}
        self._path = path
        self._header = header
        self._staging = staging
        self._kind = dataset_format(header.format)
        self._folder = staging / "set"
        self._folder.mkdir(mode=0o700)
        self._messages = Stage("Forgotten")

    def write(self, request: _Request) -> int:
        removed = 0
        with new_private_file(self._staging / "rows") as trace:
            for name in self._header.files:
                with RowFile(self._folder / name, self._kind.suffix) as file:
                    for row, line in self._rows(name):
                        messages = self._message_count(line)
                        self._messages.taken += messages
                        if request.takes(row.origin, line):
                            removed += 1
                            self._messages.leave_out("forgotten", messages)
                            continue
                        self._messages.given += messages
                        file.write_line(line)
                        trace.write(trace_line(row))
                self.files[name] = file.rows
        return removed

    def _message_count(self, line: bytes) -> int:
        # If an example becomes several rows, its messages are in several of them.
        if not self._kind.row_is_example:
            return 0
        return len(json.loads(line)["messages"])

    def _rows(self, name: str) -> Iterator[tuple[TraceRow, bytes]]:
        # Rows that an interrupted rewriting has removed already are skipped.
        known = (row for row in read_trace(self._path) if row.file == name)
        source = self._path / name if self._header.is_folder else self._path
        if self._header.is_folder and source.is_symlink():
            msg = (
                f"{source} is a link, so the set does not hold its rows. Copy the file "
                "into the set's folder, or write the set again."
            )
            raise ExportFormatError(msg)
        for number, line in enumerate(read_lines(source, self._kind.suffix), 1):
            digest = row_digest(line)
            row = next((row for row in known if row.digest == digest), None)
            if row is None:
                msg = (
                    f"Row {number} of {source} is not one that the trace knows: the "
                    "file was changed after it was written. Write the set again."
                )
                raise ExportFormatError(msg)
            yield row, line

    def publish(self, removed: int) -> None:
        header, facts = self._header, self._header.facts
        try:
            card = self._card(removed)
        except (AttributeError, KeyError, TypeError, ValueError):
            msg = (
                f"{trace_path(self._path)} is not a trace that this version can read. "
                "Write the set again."
            )
            raise ExportFormatError(msg) from None
        new = [file["sha256"] for file in facts["files"].values()]
        earlier = list(header.hashes)
        header.hashes = list(dict.fromkeys([*earlier, *new]))
        with (self._staging / "rows").open("rb") as rows:
            write_trace(self._staging / "header", header, rows)
        with new_private_file(self._staging / "card") as file:
            file.write(card.encode())
        # The rows first: a trace that knows too many is still right.
        for name in header.files:
            target = self._path / name if header.is_folder else self._path
            place_file(self._folder / name, target)
        place_beside(self._staging / "header", trace_path(self._path))
        place_beside(self._staging / "card", card_path(self._path))

    def _card(self, removed: int) -> str:
        facts = self._header.facts
        facts["files"] = describe_files(self._folder, self.files)
        facts["forgotten"] = facts.get("forgotten", 0) + removed
        if self._kind.row_is_example:
            stages = facts.get("stages", ())
            facts["stages"] = [*stages, self._messages.to_dict()]
        return card_markdown(facts)


def _name_search(names: Collection[str]) -> Callable[[bytes], bool]:
    patterns = [_name_pattern(name) for name in names if name.strip()]
    if not patterns:
        return lambda _: False
    search = re.compile("|".join(patterns), re.IGNORECASE).search
    # Of "Ann Lee" people write "Ann", or "anns".
    find = Gazetteer(names).find
    return lambda line: any(
        search(_nfc(text)) or find(text) for text in _texts(json.loads(line))
    )


def _name_pattern(name: str) -> str:
    # Whole words where the script has spaces between words.
    written = _nfc(name.strip())
    before = r"(?<!\w)" if written[0].isascii() else ""
    after = r"(?!\w)" if written[-1].isascii() else ""
    return f"{before}{re.escape(written)}{after}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _ROLE_KEYS:
                yield from _texts(item)


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
