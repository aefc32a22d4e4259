"""Remove people and conversations from a written set.

This does not change models trained on the set: delete them, and train again.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from langchain_chatexports._files import translate_write_errors
from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports._translation import ngettext
from langchain_chatexports.chat_loaders.counts import Counts
from langchain_chatexports.chat_loaders.names import NameIndex
from langchain_chatexports.datasets.formats import dataset_format
from langchain_chatexports.datasets.trace import ExampleOrigin
from langchain_chatexports.datasets.trace_file import (
    TraceHeader,
    read_header,
    read_trace,
    row_digest,
    trace_path,
)
from langchain_chatexports.datasets.write import stage_dataset
from langchain_chatexports.exceptions import (
    ExportFormatError,
    ExportNotFoundError,
    SenderNotFoundError,
)
from langchain_chatexports.redaction.gazetteer import Gazetteer
from langchain_chatexports.redaction.normalization import normalize


@dataclass(frozen=True)
class ForgetReport:
    """Row counts of a removal: `rows` = `remaining_rows` + `removed`."""

    path: Path
    rows: int
    remaining_rows: int
    removed: int
    hashes: tuple[str, ...]
    """SHA-256 hashes of all versions of the set's files, to find its jobs."""

    not_found: tuple[str, ...] = ()
    """Unknown names and ids; an earlier call may have removed them."""

    def __str__(self) -> str:
        """Return the path with the counts of removed and remaining rows."""
        return ngettext(
            "{path}: {removed} of {count} row removed, {left} left",
            "{path}: {removed} of {count} rows removed, {left} left",
            self.rows,
            path=self.path,
            removed=self.removed,
            left=self.remaining_rows,
        )


def forget(
    path: str | Path,
    *,
    people: Collection[str] = (),
    conversations: Collection[str] = (),
) -> ForgetReport:
    """Remove people or conversations from a written set.

    Entire rows are removed: for a person, every row with one of their messages, and
    every row from their one-to-one chats. The set is rewritten if rows are removed.

    Args:
        path: The set, as passed to `write_dataset`, with its trace next to it.
        people: Full names or handles of senders in the export.
        conversations: Ids of sessions, or of the conversations they were split from.

    Raises:
        ExportFormatError: If the set does not match its trace, or was redacted.
        ExportNotFoundError: If the set or its trace is missing, or an id is unknown;
            nothing is removed. If rows were removed earlier, unknown ids and names are
            in `ForgetReport.not_found` instead.
        SenderNotFoundError: If a name is unknown; nothing is removed. `senders` maps
            each sender to its row count.
        ValueError: If neither people nor conversations are given.
    """
    if not people and not conversations:
        msg = "Pass the people or conversations to forget."
        raise ValueError(msg)
    path = Path(path).expanduser()
    header = _load_header(path)
    origins = [row.origin for row in read_trace(path)]
    names = {name for o in origins for name in (*o.senders, *o.participants)}
    ids = {id_ for o in origins for id_ in (o.session_id, o.thread_id) if id_}
    index = NameIndex.of(names)
    found = {name: index.find_spellings(name) for name in people}
    forgotten = {spelling for spellings in found.values() for spelling in spellings}
    unknown_people = [name for name, spellings in found.items() if not spellings]
    unknown_ids = [id_ for id_ in conversations if id_ not in ids]
    if not header.metadata.forgotten:
        senders = Counter(name for origin in origins for name in origin.senders)
        _reject_unknown_people(path, unknown_people, names, senders)
        _reject_unknown_ids(path, unknown_ids, ids)
    messages, rows = Counts("Forgotten"), Counts("Forgotten", "rows")

    def iter_kept_rows(file: str) -> Iterator[tuple[bytes, ExampleOrigin]]:
        for line, origin in _read_verified_rows(path, header, file):
            # In some formats, a row has only some of an example's messages.
            size = len(json.loads(line).get("messages", ()))
            rows.found += 1
            messages.found += size
            if _is_forgotten(origin, forgotten, conversations):
                rows.skip("forgotten")
                messages.skip("forgotten", size)
            else:
                rows.kept += 1
                messages.kept += size
                yield line, origin

    with translate_write_errors(path), stage_dataset(path, header) as staged:
        for file in header.files:
            staged.write(file, iter_kept_rows(file))
        removed = rows.skipped.total()
        if removed:
            header.metadata.forgotten += removed
            if dataset_format(header.format).row_is_example:
                header.metadata.stages.append(messages)
            staged.publish()
    return ForgetReport(
        path=path,
        rows=rows.found,
        remaining_rows=rows.kept,
        removed=removed,
        hashes=tuple(header.hashes),
        not_found=tuple(sorted([*unknown_people, *unknown_ids])),
    )


def _load_header(path: Path) -> TraceHeader:
    header = read_header(path)
    if not path.exists():
        msg = f"{path} does not exist, only its trace does. Check the path."
        raise ExportNotFoundError(msg)
    if header.metadata.redacted:
        msg = (
            f"The names in {path} are redacted, so people cannot be found by name. "
            "Prepare the exports again with `exclude`."
        )
        raise ExportFormatError(msg, parameters=("exclude",))
    return header


def _is_forgotten(
    origin: ExampleOrigin, people: Collection[str], conversations: Collection[str]
) -> bool:
    if origin.session_id in conversations or origin.thread_id in conversations:
        return True
    members = {*origin.senders}
    if not origin.is_group:
        members.update(origin.participants)
    return not members.isdisjoint(people)


def _read_verified_rows(
    path: Path, header: TraceHeader, file: str
) -> Iterator[tuple[bytes, ExampleOrigin]]:
    """Yield the rows of a file with their origins, after comparing the digests."""
    source = path / file if header.is_folder else path
    trace_rows = (row for row in read_trace(path) if row.file == file)
    with open_regular_file(source) as lines:
        for number, (line, row) in enumerate(zip_longest(lines, trace_rows), 1):
            if line is None or row is None or row_digest(line) != row.digest:
                msg = (
                    f"Row {number} of {source} does not match the trace: the file was "
                    "changed after it was written. Write the set again."
                )
                raise ExportFormatError(msg)
            yield line, row.origin


def _reject_unknown_people(
    path: Path,
    unknown_people: Collection[str],
    names: Collection[str],
    senders: Counter[str],
) -> None:
    if unknown_people:
        unknown_names = " or ".join(map(repr, unknown_people))
        msg = (
            f"No one in {path} is named {unknown_names}, so nothing was removed."
            f"{NameIndex.of(names).did_you_mean(*unknown_people)}"
        )
        raise SenderNotFoundError(msg, senders)


def _reject_unknown_ids(
    path: Path, unknown_ids: Collection[str], ids: Collection[str]
) -> None:
    if unknown_ids:
        msg = (
            f"No conversation in {path} has the id "
            f"{' or '.join(map(repr, unknown_ids))}, so nothing was removed."
            f"{NameIndex.of(ids).did_you_mean(*unknown_ids)} "
            f"The ids are in {trace_path(path).name}."
        )
        raise ExportNotFoundError(msg)


def name_matcher(name: str) -> Callable[[str], bool]:
    """Return a function that searches text for a name or its words."""
    name = normalize(name.strip()).text
    # Match complete words in scripts that put spaces between words.
    before = r"(?<!\w)" if name[0].isascii() else ""
    after = r"(?!\w)" if name[-1].isascii() else ""
    pattern = re.compile(f"{before}{re.escape(name)}{after}", re.IGNORECASE)
    # For "Ann Lee", also find "Ann" or "anns".
    words = Gazetteer([name])
    return lambda text: bool(pattern.search(normalize(text).text) or words.find(text))


def iter_texts(value: Any) -> Iterator[str]:
    """Yield all strings in an example, except roles."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from iter_texts(item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key != "role":  # A person's name may equal a role.
                yield from iter_texts(item)
