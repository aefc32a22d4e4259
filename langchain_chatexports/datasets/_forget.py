"""Removal of people and conversations from a written set.

A model that was trained on the set keeps what it learned: delete the models that
`finetuning.find_jobs` lists, and train again.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from langchain_chatexports._files import explained_writing
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import Counts
from langchain_chatexports.chat_loaders.suggestions import did_you_mean
from langchain_chatexports.datasets.card import card_markdown
from langchain_chatexports.datasets.formats.containers import (
    RowFile,
    new_private_file,
    place_beside,
    place_file,
    read_lines,
    row_digest,
    staging_folder,
)
from langchain_chatexports.datasets.formats.trace_file import (
    TraceHeader,
    TraceRow,
    card_path,
    read_header,
    read_trace,
    trace_line,
    trace_path,
    write_trace,
)
from langchain_chatexports.datasets.formats.trainer_formats import dataset_format
from langchain_chatexports.datasets.formats.write import describe_files
from langchain_chatexports.datasets.trace import ExampleOrigin
from langchain_chatexports.exceptions import (
    ExportFormatError,
    ExportNotFoundError,
    SenderNotFoundError,
)
from langchain_chatexports.redaction.gazetteer import Gazetteer

# A person may be called what a role is.
_ROLE_KEYS = frozenset({"role"})


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

    forgotten_before: tuple[str, ...] = ()
    """Names and ids that do not occur because an earlier call removed them."""

    def __str__(self) -> str:
        """Return the set's path with what was removed and what is left."""
        rows = plural(self.rows, "row")
        return (
            f"{self.path}: {self.removed:,} of {rows} taken out, "
            f"{self.rows_left:,} left"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it in JSON types."""
        return {
            **vars(self),
            "path": str(self.path),
            "hashes": list(self.hashes),
            "forgotten_before": list(self.forgotten_before),
        }


def forget(
    path: str | Path,
    *,
    people: Collection[str] = (),
    conversations: Collection[str] = (),
    mentions: bool = False,
    strict: bool = False,
) -> ForgetReport:
    """Rewrite a set without the messages of people, or without conversations.

    Whole rows are removed: with a person, every row that holds a message of theirs, and
    every row of a chat between them and one other.

    Args:
        path: The set, as it was given to `write_dataset`; its trace must lie beside it.
        people: Names or handles, as senders in the export, without regard to case.
        conversations: Ids of sessions, or of the threads that they were split from.
        mentions: Also remove rows that have one of the names in their text.
        strict: Raise an error, and remove nothing, if a name or an id does not occur
            and was not removed before.

    Returns:
        What was removed. The set is rewritten only if something was.

    Raises:
        ExportFormatError: If the set has rows that are not in its trace.
        ExportNotFoundError: If set or trace are not there, or with `strict`, if no
            conversation has one of the ids.
        SenderNotFoundError: With `strict`, if nobody has one of the names. Its
            `senders` have the number of rows with a message of theirs.
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
        forgotten_before = _forgotten_before(path, header, request, strict=strict)
        left = sum(rewritten.files.values())
        if removed:
            rewritten.publish(removed, request.found)
    return ForgetReport(
        path=path,
        rows=left + removed,
        rows_left=left,
        removed=removed,
        mentions=request.mentions_left,
        hashes=tuple(header.hashes),
        forgotten_before=forgotten_before,
    )


def _forgotten_before(
    path: Path, header: TraceHeader, request: _Request, *, strict: bool
) -> tuple[str, ...]:
    """Return the names and ids that do not occur because they were removed before."""
    missing = {who: request.asked[who] for who in request.asked.keys() - request.found}
    digests = header.facts.get("forgotten_names", ())
    before = {who for who in missing if _digest(header, who) in digests}
    if strict and missing.keys() - before:
        _refuse_unknown(path, missing.keys() - before, request)
    return tuple(missing[who] for who in sorted(before))


def _refuse_unknown(path: Path, unknown: Collection[_Asked], request: _Request) -> None:
    origins = [row.origin for row in read_trace(path)]
    # An interrupted rewriting leaves people in the trace who are not in the rows.
    there = {who for origin in origins for who in _everybody(origin)}
    left = sorted(set(unknown) - there)
    people = [request.asked[who] for who in left if who.kind == "person"]
    if people:
        senders = Counter(name for origin in origins for name in origin.senders)
        known = {
            *senders,
            *(name for origin in origins for name in origin.participants),
        }
        msg = (
            f"Nobody in {path} is called {' or '.join(map(repr, people))}, so nothing "
            f"was taken out.{did_you_mean(people, known)}"
        )
        if request.mentions_left:
            count = request.mentions_left
            texts = (
                "A text mentions" if count == 1 else f"Texts of {count:,} rows mention"
            )
            msg += f" {texts} such a name: --mentions (mentions=True) takes them out."
        raise SenderNotFoundError(msg, senders)
    ids = [request.asked[who] for who in left]
    if ids:
        known = {who.key for who in there if who.kind == "conversation"}
        msg = (
            f"No conversation in {path} has the id {' or '.join(map(repr, ids))}, so "
            f"nothing was taken out.{did_you_mean(ids, known)} The ids are in "
            f"{trace_path(path).name}."
        )
        raise ExportNotFoundError(msg)


class _Asked(NamedTuple):
    """A person or a conversation, in the form in which it is compared."""

    kind: Literal["person", "conversation"]
    key: str


class _Request:
    """The people and conversations to remove."""

    def __init__(
        self, people: Collection[str], conversations: Collection[str], *, mentions: bool
    ) -> None:
        self.asked = {_person(name): name for name in people}
        self.asked.update(
            {_Asked("conversation", text): text for text in conversations}
        )
        self.found: set[_Asked] = set()
        """Those that occur."""

        self.mentions_left = 0
        self._mentions = mentions
        self._is_named = _name_search(people)
        self._searches = {_person(name): _name_search([name]) for name in people}

    def takes(self, origin: ExampleOrigin, line: bytes) -> bool:
        if self._is_theirs(origin):
            return True
        if not self._is_named(line):
            return False
        self.mentions_left += not self._mentions
        if self._mentions:
            self.found.update(
                who for who, search in self._searches.items() if search(line)
            )
        return self._mentions

    def _is_theirs(self, origin: ExampleOrigin) -> bool:
        named = self.asked.keys() & _everybody(origin)
        self.found |= named
        spoke = {*map(_person, (*origin.senders, *origin.quoted_people))}
        silent = {*map(_person, origin.participants)} - spoke
        return bool(named - silent if origin.is_group else named)


def _everybody(origin: ExampleOrigin) -> set[_Asked]:
    """Return the people and the conversation that an example is from."""
    ids = (origin.session_id, origin.thread_id, *origin.quoted_sessions)
    return {
        *(_Asked("conversation", text) for text in ids if text is not None),
        *map(_person, origin.senders),
        *map(_person, origin.participants),
        *map(_person, origin.quoted_people),
    }


def _person(name: str) -> _Asked:
    return _Asked("person", _nfc(name).strip().casefold())


def _digest(header: TraceHeader, who: _Asked) -> str:
    # So that the trace does not keep the name; it differs from set to set.
    text = "\0".join([*header.hashes[:1], *who])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


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
        self._messages = Counts("Forgotten")

    def write(self, request: _Request) -> int:
        removed = 0
        with new_private_file(self._staging / "rows") as trace:
            for name in self._header.files:
                with RowFile(self._folder / name, self._kind.suffix) as file:
                    for row, line in self._rows(name):
                        messages = self._message_count(line)
                        self._messages.found += messages
                        if request.takes(row.origin, line):
                            removed += 1
                            self._messages.skip("forgotten", messages)
                            continue
                        self._messages.kept += messages
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

    def publish(self, removed: int, found: Collection[_Asked]) -> None:
        header, facts = self._header, self._header.facts
        digests = {_digest(header, who) for who in found}
        facts["forgotten_names"] = sorted(
            digests.union(facts.get("forgotten_names", ()))
        )
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
