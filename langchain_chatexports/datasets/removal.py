"""Removal of people and conversations from a written set.

Models that were trained on the set are not changed: delete the models that
`finetuning.find_jobs` lists, and train again.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
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
    TraceRow,
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
from langchain_chatexports.redaction.key_file import read_key_file, restore
from langchain_chatexports.redaction.redactor import Redactor
from langchain_chatexports.steps import Redact


@dataclass(frozen=True)
class ForgetReport:
    """Counts of removed rows: `rows` = `rows_left` + `removed`."""

    path: Path
    rows: int
    rows_left: int
    removed: int
    mentions: int
    """The number of kept rows that mention one of the names."""

    hashes: tuple[str, ...]
    """The SHA-256 of all versions of the set's files, for `find_jobs`."""

    not_found: tuple[str, ...] = ()
    """Names and ids that do not occur; an earlier call may have removed them."""

    def __str__(self) -> str:
        """Return the path with the numbers of removed and kept rows."""
        rows = plural(self.rows, "row")
        return (
            f"{self.path}: {self.removed:,} of {rows} removed, {self.rows_left:,} left"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report in JSON types."""
        lists = {"hashes": list(self.hashes), "not_found": list(self.not_found)}
        return {**vars(self), "path": str(self.path), **lists}


def forget(
    path: str | Path,
    *,
    people: Collection[str] = (),
    conversations: Collection[str] = (),
    mentions: bool = False,
    key: str | Path | None = None,
) -> ForgetReport:
    """Rewrite a set without the messages of people, or without conversations.

    Complete rows are removed: for a person, all rows with a message of theirs, and all
    rows of chats between them and one other person. The set is rewritten only if rows
    are removed.

    Args:
        path: The set, as passed to `write_dataset`, with its trace next to it.
        people: Names or handles of senders in the export; case does not matter.
        conversations: Ids of sessions, or of the threads that they were split from.
        mentions: Also remove rows that mention one of the names.
        key: The key file of a redacted set; people and conversations are named as in
            the export.

    Raises:
        ExportFormatError: If the set has rows that are not in its trace, or if it was
            redacted and there is no key.
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
    header = read_header(path)
    if not path.exists():
        msg = f"There is no set at {path}, only its trace. Check the path."
        raise ExportNotFoundError(msg)
    if header.facts.redacted and key is None:
        # Without the key, no original name could be found.
        msg = (
            f"The names in {path} were redacted. Name the key file of the redaction: "
            "--key FILE."
        )
        raise ExportFormatError(msg)
    names = _Names(None if key is None else Path(key))
    named = {asked: names.known(asked, read_trace(path)) for asked in people}
    request = _Request(names, named, conversations, mentions=mentions)
    with explained_writing(path), staged_set(path, header) as staged:
        for file in header.files:
            staged.write(file, request.kept(_rows(path, header, file)))
        if request.not_found and not header.facts.forgotten:
            raise _nothing_found(path, request)
        if request.removed:
            header.facts.forgotten += request.removed
            if dataset_format(header.format).row_is_example:
                header.facts.stages.append(request.messages)
            staged.publish(rewrites=True)
    left = sum(staged.files.values())
    return ForgetReport(
        path=path,
        rows=left + request.removed,
        rows_left=left,
        removed=request.removed,
        mentions=request.mentions_left,
        hashes=tuple(header.hashes),
        not_found=tuple(request.not_found),
    )


class _Names:
    """The names of people and conversations in a set that may be redacted."""

    def __init__(self, key_file: Path | None) -> None:
        self._key = None if key_file is None else read_key_file(key_file)

    def known(self, asked: str, rows: Iterable[TraceRow]) -> str:
        """Return a name as the set has it; the asked one if it does not."""
        origins = (row.origin for row in rows)
        found = {name for one in origins for name in (*one.senders, *one.participants)}
        return min(same_names(asked, map(self.original, found)), default=asked)

    def person(self, name: str) -> str:
        if self._key is None:
            return name
        return Redact(key=self._key.key, names=(name,)).pseudonym(name)

    def conversation(self, found: str) -> str:
        return found if self._key is None else Redactor(self._key.key).identifier(found)

    def original(self, name: str) -> str:
        return name if self._key is None else restore(name, self._key.stand_ins)


class _Request:
    """The people and conversations to remove, and the counts of rows."""

    def __init__(
        self,
        names: _Names,
        people: Mapping[str, str],
        conversations: Collection[str],
        *,
        mentions: bool,
    ) -> None:
        self.names = names
        self.people = {
            asked: _folded(names.person(name)) for asked, name in people.items()
        }
        self.conversations = {one: names.conversation(one) for one in conversations}
        self.not_found = sorted({*self.people, *self.conversations})
        self.removed = self.mentions_left = 0
        self.messages = Counts("Forgotten")
        self._mentions = mentions
        self._searches = {
            asked: name_search(names.person(name))
            for asked, name in people.items()
            if name.strip()
        }

    def kept(
        self, rows: Iterator[tuple[TraceRow, bytes | None]]
    ) -> Iterator[tuple[bytes, ExampleOrigin]]:
        """Yield the rows that stay, and count the others."""
        for row, line in rows:
            is_removed = self._is_removed(row.origin, line)
            if line is None:
                self.removed += 1
                continue
            # In some formats, a row has only some of an example's messages.
            size = len(json.loads(line).get("messages", ()))
            self.messages.found += size
            if is_removed:
                self.removed += 1
                self.messages.skip("forgotten", size)
            else:
                self.messages.kept += size
                yield line, row.origin

    def _is_removed(self, origin: ExampleOrigin, line: bytes | None) -> bool:
        senders = {_folded(name) for name in origin.senders}
        members = senders | {_folded(name) for name in origin.participants}
        ids = {origin.session_id, origin.thread_id}
        found = {name for name, folded in self.people.items() if folded in members}
        asked = {name for name, one in self.conversations.items() if one in ids}
        self._mark_found(found | asked)
        in_group = {name for name in found if self.people[name] in senders}
        if asked or (in_group if origin.is_group else found):
            return True
        if line is None:
            return False
        texts = [*texts_in(json.loads(line))]
        named = {n for n, search in self._searches.items() if any(map(search, texts))}
        if named and self._mentions:
            self._mark_found(named)
            return True
        self.mentions_left += bool(named)
        return False

    def _mark_found(self, names: Collection[str]) -> None:
        if names:
            self.not_found = [name for name in self.not_found if name not in names]


def _rows(
    path: Path, header: TraceHeader, file: str
) -> Iterator[tuple[TraceRow, bytes | None]]:
    """Yield the rows of a trace, each with its line if the file still has it.

    If rewriting was interrupted, the trace has rows that are no longer in the file.
    """
    source = path / file if header.is_folder else path
    if header.is_folder and source.is_symlink():
        msg = f"{source} is a link, so the set does not hold its rows. Copy the file."
        raise ExportFormatError(msg)
    lines = enumerate(read_rows(source, header.format), 1)
    number, line = next(lines, (0, None))
    for row in read_trace(path):
        if row.file != file:
            continue
        if line is not None and row_digest(line) == row.digest:
            yield row, line
            number, line = next(lines, (0, None))
        else:
            yield row, None
    if line is not None:
        msg = (
            f"Row {number} of {source} is not in the trace: the file was changed after "
            "it was written. Write the set again."
        )
        raise ExportFormatError(msg)


def _nothing_found(
    path: Path, request: _Request
) -> SenderNotFoundError | ExportNotFoundError:
    origins = [row.origin for row in read_trace(path)]
    original, missing = request.names.original, request.not_found
    people = [name for name in missing if name in request.people]
    if not people:
        ids = {id_ for one in origins for id_ in (one.session_id, one.thread_id) if id_}
        msg = (
            f"No conversation in {path} has the id {' or '.join(map(repr, missing))}, "
            f"so nothing was removed.{did_you_mean(missing, ids)} The ids are in "
            f"{trace_path(path).name}."
        )
        return ExportNotFoundError(msg)
    senders = Counter(original(name) for one in origins for name in one.senders)
    known = {original(name) for one in origins for name in one.participants}
    msg = (
        f"No person in {path} has the name {' or '.join(map(repr, people))}, so "
        f"nothing was removed.{did_you_mean(people, known | senders.keys())}"
    )
    if count := request.mentions_left:
        texts = "A text mentions" if count == 1 else f"Texts of {count:,} rows mention"
        msg += f" {texts} such a name: --mentions (mentions=True) removes them."
    return SenderNotFoundError(msg, senders)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


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
