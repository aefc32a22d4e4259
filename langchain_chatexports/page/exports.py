"""The exports of the page: they are read one after another, each as a card."""

import filecmp
import mimetypes
import re
import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.files import SkippedFilesWarning
from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.chat_loaders.pipe import read_loaders
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.recognition import Export, open_exports
from langchain_chatexports.exceptions import UnknownFormatError
from langchain_chatexports.page.errors import Failure, PageError, translate_error
from langchain_chatexports.page.languages import lazy_gettext
from langchain_chatexports.page.work import IDLE, Work, WorkState
from langchain_chatexports.workflows.chat_filter import ChatFilter
from langchain_chatexports.workflows.preparation import PrepareOptions
from langchain_chatexports.workflows.two_phones import DuplicateChats, DuplicateFinder

# Most file systems allow 255 bytes.
_MAX_NAME_BYTES = 200
_READING = lazy_gettext("Reading")
# The card has sentences of its own for these warnings.
_SHOWN_ON_CARD = ("Times in ", "The dates of ")
_KINDS = {
    "image": lazy_gettext("This is a photo, not a chat."),
    "video": lazy_gettext("This is a video, not a chat."),
    "audio": lazy_gettext("This is a sound recording, not a chat."),
}
_NO_CHATS_IN_ZIP = lazy_gettext("There are no chats in this zip file.")
_EMPTY = lazy_gettext("It is empty, or contains only photos and videos.")
_INCOMPLETE = lazy_gettext(
    "The file was not copied completely. Add it again, and wait until it is."
)


class _RemovedError(Exception):
    """The card was removed while its export was read."""


@dataclass(frozen=True)
class Card:
    id: int
    name: str
    state: Literal["copying", "waiting", "reading", "read", "repeated", "failed"]
    paths: tuple[Path, ...] = ()
    copied_bytes: int = 0
    work: WorkState = IDLE
    """The progress of reading, or why it failed."""

    summary: ExportSummary | None = None
    duplicates: tuple[DuplicateChats, ...] = ()
    skipped_files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def count_senders(cards: Iterable[Card]) -> dict[str, int]:
    """Return the number of messages by sender, in descending order.

    Variants of a name in several exports are counted under the first one.
    """
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for card in cards:
        for variant, messages in card.summary.senders.items() if card.summary else ():
            name = names.setdefault(name_key(variant), variant)
            counts[name] = counts.get(name, 0) + messages
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def owner_keys(cards: Iterable[Card]) -> set[str]:
    """Return the keys of the names of those whose exports were read."""
    summaries = [card.summary for card in cards if card.summary]
    return {name_key(summary.owner) for summary in summaries if summary.owner}


class ExportList:
    """The list of exports, which one thread reads; thread-safe.

    Copies of dropped files are in `folder`. `on_change` is called from any thread when
    the people and chats have changed.
    """

    def __init__(self, folder: Path, on_change: Callable[[], None]) -> None:
        self._folder = folder
        self._copy_path = re.compile(rf"{re.escape(str(folder))}[/\\]\d+[/\\]")
        self._on_change = on_change
        self._cards: dict[int, Card] = {}
        self._numbers = count(1)
        self._uploads: dict[str, int] = {}
        """The cards of files on their way, by the batch of their requests."""

        self._lock = threading.RLock()
        self._work = Work()
        # Which thread reads, for which card.
        self._reader: tuple[threading.Thread | None, int] = (None, 0)

    @property
    def cards(self) -> tuple[Card, ...]:
        """The cards as screens show them now."""
        with self._lock:
            return tuple(
                replace(card, work=self._work.freeze())
                if card.state == "reading"
                else card
                for card in self._cards.values()
            )

    def paths(self) -> list[Path]:
        return [path for card in self._read_cards() for path in card.paths]

    def prepare_options(self, name: str) -> PrepareOptions:
        """Return the options for a person, without copies of chats of other phones."""
        pairs = chain.from_iterable(card.duplicates for card in self._read_cards())
        copies = tuple(pair.chat_to_exclude(name).id for pair in pairs)
        return PrepareOptions(ai=(name,), chats=ChatFilter(exclude=copies))

    def add(self, paths: Iterable[Path]) -> None:
        """Add a card for each export, and read it in the background."""
        for path in paths:
            self._add(path.name or str(path), "waiting", path)

    def add_failed(self, name: str, failure: Failure) -> None:
        """Add a card that says why there is nothing to read."""
        self._fail(self._add(name, "copying", self._folder).id, failure)

    def remove(self, card_id: int) -> None:
        """Remove an export from the list; the original file is not changed."""
        with self._lock:
            self._cards.pop(card_id, None)
            # What these repeat may be gone.
            self._cards = {
                n: c for n, c in self._cards.items() if c.state != "repeated"
            }
        self._update()

    def remove_failed(self) -> None:
        for card in self.cards:
            if card.state == "failed":
                self.remove(card.id)

    def clear(self) -> None:
        for card in self.cards:
            self.remove(card.id)

    def add_warning(self, warning: Warning) -> None:
        """Add a warning to the card of the export that this thread reads.

        Reading an export again, in other threads, repeats its warnings.
        """
        reader, card_id = self._reader
        text = self._copy_path.sub("", str(warning))
        with self._lock:
            card = self._cards.get(card_id)
            if card is None or threading.current_thread() is not reader:
                return
            if isinstance(warning, SkippedFilesWarning):
                files = *card.skipped_files, *warning.names
                self._change(card.id, skipped_files=files)
            elif not text.startswith(_SHOWN_ON_CARD) and text not in card.warnings:
                self._change(card.id, warnings=(*card.warnings, text))

    def join(self, seconds: float) -> None:
        while self._work.is_running:
            self._work.join(seconds)

    # Uploads: a request for each file; see `upload.js`

    def receive_file(self, batch: str, path: str) -> Path | None:
        """Return where to write a file; `None` if its card was removed, or failed."""
        first, *names = PurePosixPath(path).parts or ("export",)
        with self._lock:
            if batch not in self._uploads:
                copy = self._folder / str(next(self._numbers)) / safe_name(first)
                self._uploads[batch] = self._add(first, "copying", copy).id
            card = self._copying_card(batch)
        if card is None:
            return None
        target = card.paths[0].joinpath(*map(safe_name, names))
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def count_bytes(self, batch: str, size: int) -> bool:
        """Add to the size of an upload; return whether it is still wanted."""
        with self._lock:
            if (card := self._copying_card(batch)) is not None:
                self._change(card.id, copied_bytes=card.copied_bytes + size)
        return card is not None

    def fail_upload(self, batch: str, error: OSError) -> None:
        self._fail(self._uploads[batch], translate_error(error))

    def end_upload(self, batch: str, name: str, *, is_complete: bool) -> None:
        """Read an upload; without a file, or if the page was closed, say so."""
        card = self._copying_card(batch)
        if card is not None and is_complete:
            self._change(card.id, state="waiting")
            self._queue(card.id)
        elif card is not None:
            self._fail(card.id, Failure(_INCOMPLETE))
        elif batch not in self._uploads:
            self.add_failed(name, Failure(_EMPTY))
        self._uploads.pop(batch, None)

    def _copying_card(self, batch: str) -> Card | None:
        card = self._cards.get(self._uploads.get(batch, 0))
        return card if card and card.state == "copying" else None

    # Cards

    def _add(self, name: str, state: Literal["copying", "waiting"], path: Path) -> Card:
        card = Card(next(self._numbers), name, state, (path,))
        with self._lock:
            self._cards[card.id] = card
        if state == "waiting":
            self._queue(card.id)
        return card

    def _change(self, card_id: int, **changes: Any) -> Card | None:
        """Change a card, unless it was removed."""
        with self._lock:
            if card_id not in self._cards:
                return None
            self._cards[card_id] = replace(self._cards[card_id], **changes)
            return self._cards[card_id]

    def _fail(self, card_id: int, failure: Failure) -> None:
        work = WorkState(error=failure)
        self._change(card_id, state="failed", paths=(), work=work)
        self._delete_unused_copies()

    def _read_cards(self) -> list[Card]:
        with self._lock:
            return [card for card in self._cards.values() if card.summary is not None]

    def _update(self) -> None:
        self._delete_unused_copies()
        self._on_change()

    def _delete_unused_copies(self) -> None:
        with self._lock:
            used = [path for card in self._cards.values() for path in card.paths]
            for copy in self._folder.iterdir():
                if not any(path.is_relative_to(copy) for path in used):
                    shutil.rmtree(copy, ignore_errors=True)

    # Reading

    def _queue(self, card_id: int) -> None:
        self._work.start(_READING, partial(self._read, card_id), waits=True)

    def _read(self, card_id: int) -> None:
        self._reader = threading.current_thread(), card_id
        if (card := self._change(card_id, state="reading")) is None:
            return
        try:
            self._read_card(card)
        except _RemovedError:
            pass
        except Exception as error:  # noqa: BLE001 - its text can quote a chat.
            message, details = translate_error(error)
            self._fail(card.id, Failure(message, self._copy_path.sub("", details)))
        self._update()

    def _read_card(self, card: Card) -> None:
        known = {card.paths for card in self._read_cards()}
        exports = self._recognize(card.paths[0])
        new = {type(e.loader) for e in exports if e.paths not in known}
        if not new:
            is_said = card.name in {c.name for c in self.cards if c.state == "repeated"}
            self._change(card.id, state="repeated", paths=())
            if is_said:
                self._cards.pop(card.id, None)
            return
        # Count all exports of the same app again: a message in several of them is
        # counted once.
        readings = read_loaders(export.loader for export in exports)
        counted = [
            (export, self._count(card, export, reading), reading.summary())
            for export, reading in zip(exports, readings, strict=True)
            if type(export.loader) in new
        ]
        with self._lock:
            self._check(card)
            for export, duplicates, summary in counted:
                self._merge(card.id, export, duplicates, summary)

    def _recognize(self, path: Path) -> list[Export]:
        """Return all exports with a new path; none if it was added before."""
        known = self.paths()
        if any(_is_same(path, other) for other in known):
            return []
        kind = (mimetypes.guess_type(path.name)[0] or "").partition("/")[0]
        if path.is_file() and kind in _KINDS:
            raise PageError(_KINDS[kind])
        try:
            return open_exports([*known, path])
        except UnknownFormatError as error:
            if path.suffix.lower() != ".zip":
                raise
            raise PageError(_NO_CHATS_IN_ZIP) from error

    def _count(
        self, card: Card, export: Export, reading: Reading
    ) -> tuple[DuplicateChats, ...]:
        """Count the messages of an export, and find chats from two phones."""
        finder = DuplicateFinder()
        total = export.loader.estimate_message_count()
        with self._work.watch("messages", lambda: reading.messages_read, total):
            for session in reading:
                if export.loader.platform == "whatsapp":
                    finder.add(session)
                del session
                self._check(card)
        return tuple(finder.find())

    def _check(self, card: Card) -> None:
        if card.id not in self._cards:
            raise _RemovedError

    def _merge(
        self,
        card_id: int,
        export: Export,
        duplicates: tuple[DuplicateChats, ...],
        summary: ExportSummary,
    ) -> None:
        """Show an export in place of those whose files are now part of it."""
        paths, own = {*export.paths}, self._cards[card_id]
        parts = [card for card in self._read_cards() if {*card.paths} <= paths]
        if own.state == "reading" and all({*card.paths} != paths for card in parts):
            parts.append(own)
        shown_id = parts[0].id if parts else next(self._numbers)
        for part in parts[1:]:
            del self._cards[part.id]
        self._cards[shown_id] = Card(
            shown_id,
            ", ".join(path.name for path in export.paths),
            "read",
            export.paths,
            summary=summary,
            duplicates=duplicates,
            skipped_files=_unique(card.skipped_files for card in parts),
            warnings=_unique(card.warnings for card in parts),
        )


def _unique(texts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(texts)))


def _is_same(path: Path, other: Path) -> bool:
    """Whether two files are equal, or two folders have files of the same sizes."""
    if path.is_file() and other.is_file():
        return filecmp.cmp(path, other, shallow=False)
    return path.is_dir() and other.is_dir() and _sizes(path) == _sizes(other)


def _sizes(folder: Path) -> dict[str, int]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(file.relative_to(folder)): file.stat().st_size for file in files}


def safe_name(name: str) -> str:
    """Return the last part of a name from the browser, which any system allows."""
    printable = "".join(letter for letter in name if letter.isprintable())
    base_name = printable.replace("\\", "/").rpartition("/")[2]
    base_name = base_name.encode()[-_MAX_NAME_BYTES:].decode("utf-8", "ignore")
    return base_name.strip(" .") or "export"
