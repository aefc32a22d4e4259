"""Removal of people and conversations from a written set.

Models that were trained on the set are not changed: delete them, and train again.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from langchain_chatexports._files import explained_writing
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import Counts
from langchain_chatexports.chat_loaders.suggestions import did_you_mean, same_names
from langchain_chatexports.datasets.formats import dataset_format
from langchain_chatexports.datasets.trace import ExampleOrigin
from langchain_chatexports.datasets.trace_file import (
    TraceHeader,
    read_header,
    read_trace,
    row_digest,
    trace_path,
)
from langchain_chatexports.datasets.write import read_rows, staged_set
from langchain_chatexports.exceptions import (
    ExportFormatError,
    ExportNotFoundError,
    SenderNotFoundError,
)
from langchain_chatexports.redaction.gazetteer import Gazetteer


@dataclass(frozen=True)
class ForgetReport:
    """Counts of removed rows: `rows` = `rows_left` + `removed`."""

    path: Path
    rows: int
    rows_left: int
    removed: int
    hashes: tuple[str, ...]
    """The SHA-256 of all versions of the set's files, used to find its jobs."""

    not_found: tuple[str, ...] = ()
    """Names and ids that do not occur; an earlier call may have removed them."""

    def __str__(self) -> str:
        """Return the path with the numbers of removed and kept rows."""
        rows = plural(self.rows, "row")
        return (
            f"{self.path}: {self.removed:,} of {rows} removed, {self.rows_left:,} left"
        )


def forget(
    path: str | Path,
    *,
    people: Collection[str] = (),
    conversations: Collection[str] = (),
) -> ForgetReport:
    """Rewrite a set without the messages of people, or without conversations.

    Complete rows are removed: for a person, all rows with a message of theirs, and all
    rows of chats between them and one other person. The set is rewritten only if rows
    are removed.

    Args:
        path: The set, as passed to `write_dataset`, with its trace next to it.
        people: Names or handles of senders in the export; case does not matter.
        conversations: Ids of sessions, or of the threads that they were split from.

    Raises:
        ExportFormatError: If the set is not as its trace says, or was redacted.
        ExportNotFoundError: If there is no set or trace, or no conversation with an id;
            nothing is removed. If rows were removed earlier, unknown ids and names are
            in `ForgetReport.not_found` instead.
        SenderNotFoundError: If there is no person with a name; nothing is removed. Its
            `senders` are the numbers of rows by sender.
        ValueError: If neither people nor conversations are given.
    """
    if not people and not conversations:
        msg = "Name people or conversations to forget."
        raise ValueError(msg)
    path = Path(path).expanduser()
    header = _checked_header(path)
    origins = [row.origin for row in read_trace(path)]
    names = {name for one in origins for name in (*one.senders, *one.participants)}
    ids = {id_ for one in origins for id_ in (one.session_id, one.thread_id) if id_}
    named = {asked: same_names(asked, names) for asked in people}
    unwanted = {name for found in named.values() for name in found}
    strangers = [asked for asked, found in named.items() if not found]
    missing = [asked for asked in conversations if asked not in ids]
    if not header.facts.forgotten:
        senders = Counter(name for one in origins for name in one.senders)
        _require_known(path, strangers, names, senders)
        _require_ids(path, missing, ids)
    messages, rows = Counts("Forgotten"), Counts("Forgotten", "rows")

    def kept(file: str) -> Iterator[tuple[bytes, ExampleOrigin]]:
        for line, origin in _rows(path, header, file):
            # In some formats, a row has only some of an example's messages.
            size = len(json.loads(line).get("messages", ()))
            rows.found += 1
            messages.found += size
            if _is_unwanted(origin, unwanted, conversations):
                rows.skip("forgotten")
                messages.skip("forgotten", size)
            else:
                rows.kept += 1
                messages.kept += size
                yield line, origin

    with explained_writing(path), staged_set(path, header) as staged:
        for file in header.files:
            staged.write(file, kept(file))
        removed = rows.skipped.total()
        if removed:
            header.facts.forgotten += removed
            if dataset_format(header.format).row_is_example:
                header.facts.stages.append(messages)
            staged.publish()
    return ForgetReport(
        path=path,
        rows=rows.found,
        rows_left=rows.kept,
        removed=removed,
        hashes=tuple(header.hashes),
        not_found=tuple(sorted([*strangers, *missing])),
    )


def _checked_header(path: Path) -> TraceHeader:
    header = read_header(path)
    if not path.exists():
        msg = f"There is no set at {path}, only its trace. Check the path."
        raise ExportNotFoundError(msg)
    if header.facts.redacted:
        msg = (
            f"The names in {path} were redacted, so nobody can be found by name. "
            "Prepare the exports again with --exclude NAME."
        )
        raise ExportFormatError(msg)
    return header


def _is_unwanted(
    origin: ExampleOrigin, people: Collection[str], conversations: Collection[str]
) -> bool:
    if origin.session_id in conversations or origin.thread_id in conversations:
        return True
    members = {*origin.senders}
    if not origin.is_group:
        members.update(origin.participants)
    return not members.isdisjoint(people)


def _rows(
    path: Path, header: TraceHeader, file: str
) -> Iterator[tuple[bytes, ExampleOrigin]]:
    """Yield the rows of a file, each with its origin."""
    source = path / file if header.is_folder else path
    traced = (row for row in read_trace(path) if row.file == file)
    lines = read_rows(source, header.format)
    for number, (line, row) in enumerate(zip_longest(lines, traced), 1):
        if line is None or row is None or row_digest(line) != row.digest:
            msg = (
                f"Row {number} of {source} is not the one in the trace: the file was "
                "changed after it was written. Write the set again."
            )
            raise ExportFormatError(msg)
        yield line, row.origin


def _require_known(
    path: Path, people: Collection[str], names: Collection[str], senders: Counter[str]
) -> None:
    if people:
        msg = (
            f"No person in {path} has the name {' or '.join(map(repr, people))}, so "
            f"nothing was removed.{did_you_mean(people, names)}"
        )
        raise SenderNotFoundError(msg, senders)


def _require_ids(path: Path, missing: Collection[str], ids: Collection[str]) -> None:
    if missing:
        msg = (
            f"No conversation in {path} has the id {' or '.join(map(repr, missing))}, "
            f"so nothing was removed.{did_you_mean(missing, ids)} The ids are in "
            f"{trace_path(path).name}."
        )
        raise ExportNotFoundError(msg)


def name_search(name: str) -> Callable[[str], bool]:
    """Return a function that searches a text for a name or a part of it."""
    written = unicodedata.normalize("NFC", name.strip())
    # Match whole words if the script separates words by spaces.
    before = r"(?<!\w)" if written[0].isascii() else ""
    after = r"(?!\w)" if written[-1].isascii() else ""
    pattern = re.compile(f"{before}{re.escape(written)}{after}", re.IGNORECASE)
    # For "Ann Lee", also find "Ann" or "anns".
    words = Gazetteer([name])
    return lambda text: bool(
        pattern.search(unicodedata.normalize("NFC", text)) or words.find(text)
    )


def texts_in(value: Any) -> Iterator[str]:
    """Yield all texts of an example."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key != "role":  # A name may be equal to a role.
                yield from texts_in(item)
