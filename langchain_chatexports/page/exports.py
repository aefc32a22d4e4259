"""The exports of the page: they are read one after another, each as a card."""

import filecmp
import mimetypes
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import Literal

from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.files import SkippedFilesWarning
from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.chat_loaders.pipe import read_loaders
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.recognition import Export, open_exports
from langchain_chatexports.exceptions import UnknownFormatError
from langchain_chatexports.page.errors import Failure, PageError, translate_error
from langchain_chatexports.page.languages import LazyMessage, lazy_gettext
from langchain_chatexports.page.work import IDLE, Work, WorkState
from langchain_chatexports.workflows.two_phones import DuplicateChats, DuplicateFinder

# Most file systems allow 255 bytes.
_MAX_NAME_BYTES = 200
_READING = lazy_gettext("Reading")
# The card's summary shows the time zone and the date order.
_SHOWN_IN_SUMMARY = ("Times in ", "The dates of ")
_KINDS = {
    "image": lazy_gettext("This is a photo, not a chat."),
    "video": lazy_gettext("This is a video, not a chat."),
    "audio": lazy_gettext("This is a sound recording, not a chat."),
}
_NO_CHATS_IN_ZIP = lazy_gettext("There are no chats in this zip file.")


class _RemovedError(Exception):
    """The card was removed while its export was read."""


@dataclass(frozen=True)
class Card:
    """An export in the list."""

    id: int
    name: str
    state: Literal["copying", "waiting", "reading", "read", "failed"]
    paths: tuple[Path, ...] = ()
    copied_bytes: int = 0
    work: WorkState = IDLE
    """The progress of reading, or why it failed."""

    summary: ExportSummary | None = None
    """What was read."""

    duplicates: tuple[DuplicateChats, ...] = ()
    skipped_files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExportContents:
    """The people and chats of the exports that were read."""

    summaries: tuple[ExportSummary, ...]
    duplicates: tuple[DuplicateChats, ...] = ()

    @property
    def senders(self) -> dict[str, int]:
        """The number of messages by sender, in descending order.

        Variants of a name in several exports are counted under the first one.
        """
        names: dict[str, str] = {}
        counts: dict[str, int] = {}
        for summary in self.summaries:
            for variant, messages in summary.senders.items():
                name = names.setdefault(name_key(variant), variant)
                counts[name] = counts.get(name, 0) + messages
        return dict(sorted(counts.items(), key=lambda item: -item[1]))

    @property
    def owners(self) -> list[str]:
        """The owners of the exports; empty if an export has no known owner."""
        owners = [summary.owner or "" for summary in self.summaries]
        return list(dict.fromkeys(owners)) if all(owners) else []


def contents_of(cards: Iterable[Card]) -> ExportContents | None:
    """Return the contents of the cards that were read; `None` without any."""
    read = [card for card in cards if card.summary is not None]
    summaries = tuple(card.summary for card in read if card.summary)
    duplicates = chain.from_iterable(card.duplicates for card in read)
    return ExportContents(summaries, tuple(duplicates)) if read else None


class ExportList:
    """The list of exports, which one thread reads; thread-safe.

    Copies of dropped files are in `folder`. `on_change` is called when the people and
    chats have changed.
    """

    def __init__(self, folder: Path, on_change: Callable[[], None]) -> None:
        self.notes: list[LazyMessage] = []
        self.warnings: list[str] = []
        self._folder = folder
        self._copy_path = re.compile(rf"{re.escape(str(folder))}[/\\]\d+[/\\]")
        self._on_change = on_change
        self._cards: dict[int, Card] = {}
        self._numbers = count(1)
        self._new_copies: set[Path] = set()
        """Copies that have no card yet."""

        self._lock = threading.RLock()
        # A card that was added at the end of the work starts it again.
        self._work = Work(self._read_waiting)
        self._reader: threading.Thread | None = None
        self._read_id = 0

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

    @property
    def contents(self) -> ExportContents | None:
        """The people and chats of all exports."""
        return contents_of(self._cards.values())

    def paths(self) -> list[Path]:
        """Return the paths of the exports that were read."""
        return [path for card in self._read_cards() for path in card.paths]

    def add(self, paths: Iterable[Path]) -> None:
        """Add a card for each export, and read it in the background."""
        for path in paths:
            self.show(Card(self.new_id(), path.name or str(path), "waiting", (path,)))

    def remove(self, card_id: int) -> None:
        """Remove an export from the list; the original file is not changed."""
        with self._lock:
            self._cards.pop(card_id, None)
        self._update()

    def remove_failed(self) -> None:
        """Remove all files that could not be read."""
        for card in self.cards:
            if card.state == "failed":
                self.remove(card.id)

    def clear(self) -> None:
        """Remove all exports."""
        for card in self.cards:
            self.remove(card.id)
        self.notes.clear()
        self.warnings.clear()

    def note(self, sentence: LazyMessage) -> None:
        """Say something about all exports, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def add_warning(self, warning: Warning) -> None:
        """Add a warning to the card of the export that this thread reads."""
        text = self._without_copies(str(warning))
        is_of_card = threading.current_thread() is self._reader
        with self._lock:
            card = self._cards.get(self._read_id) if is_of_card else None
            # Reading an export again, as to create examples, repeats its warnings.
            known = chain(self.warnings, *(c.warnings for c in self._cards.values()))
            if text.startswith(_SHOWN_IN_SUMMARY) or text in known:
                return
            if card is None:
                self.warnings.append(text)
                return
            files = warning.names if isinstance(warning, SkippedFilesWarning) else ()
            self._cards[card.id] = replace(
                card,
                warnings=(*card.warnings, text),
                skipped_files=(*card.skipped_files, *files),
            )

    def join(self, seconds: float) -> None:
        """Wait until all exports are read."""
        while self._work.is_running:
            self._work.join(seconds)

    # Copies, see `uploads.py`

    def new_id(self) -> int:
        """Return a number that no other card has."""
        return next(self._numbers)

    def new_copy(self, name: str) -> Path:
        """Return a temporary path for a file or folder from the browser."""
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        copy = folder / safe_name(name)
        self._new_copies.add(copy)
        return copy

    def change(self, card_id: int, change: Callable[[Card], Card]) -> bool:
        """Change a card; return whether it is still in the list."""
        with self._lock:
            if (card := self._cards.get(card_id)) is not None:
                self.show(change(card))
        return card is not None

    def show(self, card: Card) -> None:
        """Add or change a card; one that waits is read."""
        with self._lock:
            self._cards[card.id] = card
            self._new_copies.difference_update(card.paths)
        if card.state == "failed":
            self._delete_unused_copies()
        self._read_waiting()

    # Reading

    def _read_waiting(self) -> None:
        if self._find_waiting() is not None:
            self._work.start(_READING, self._read_all)

    def _find_waiting(self) -> Card | None:
        with self._lock:
            waiting = (c for c in self._cards.values() if c.state == "waiting")
            return next(waiting, None)

    def _read_all(self) -> None:
        self._reader = threading.current_thread()
        while (card := self._find_waiting()) is not None:
            self._read_id = card.id
            self.change(card.id, lambda card: replace(card, state="reading"))
            try:
                self._read(card)
            except _RemovedError:
                pass
            except Exception as error:  # noqa: BLE001 - its text can quote a chat.
                message, details = translate_error(error)
                failure = Failure(message, self._without_copies(details))
                self.fail(card.id, failure)
            self._update()

    def fail(self, card_id: int, failure: Failure) -> None:
        """Say why an export was not read; its copy is deleted."""
        work = WorkState(error=failure)
        self.change(card_id, lambda c: replace(c, state="failed", paths=(), work=work))

    def _read(self, card: Card) -> None:
        known = {card.paths for card in self._read_cards()}
        exports = self._recognize(card.paths[0])
        new = {type(e.loader) for e in exports if e.paths not in known}
        if not new:
            self.note(lazy_gettext("You have already added {name}.", name=card.name))
            self.remove(card.id)
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
            ids = chain([card.id], iter(self.new_id, None))
            for export, duplicates, summary in counted:
                self._merge(export, duplicates, summary, ids)

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
    ) -> Sequence[DuplicateChats]:
        """Count the messages of an export, and find chats from two phones."""
        finder = DuplicateFinder()
        total = export.loader.estimate_message_count()
        with self._work.watch("messages", lambda: reading.messages_read, total):
            for session in reading:
                if export.loader.platform == "whatsapp":
                    finder.add(session)
                del session
                self._check(card)
        return finder.find()

    def _check(self, card: Card) -> None:
        if card.id not in self._cards:
            raise _RemovedError

    def _merge(
        self,
        export: Export,
        duplicates: Sequence[DuplicateChats],
        summary: ExportSummary,
        ids: Iterator[int],
    ) -> None:
        """Show an export in place of those whose files are now part of it."""
        paths = export.paths
        parts = [c for c in self._read_cards() if {*c.paths} <= {*paths}]
        same = next((card.id for card in parts if card.paths == paths), None)
        card_id = next(ids) if same is None else same
        merged = [*parts]
        if (read := self._cards.get(card_id)) and read not in parts:
            merged.append(read)
        for part in parts:
            if part.id != card_id:
                del self._cards[part.id]
        self._cards[card_id] = Card(
            card_id,
            ", ".join(path.name for path in paths),
            "read",
            paths,
            summary=summary,
            duplicates=tuple(duplicates),
            skipped_files=_unique(card.skipped_files for card in merged),
            warnings=_unique(card.warnings for card in merged),
        )

    def _read_cards(self) -> list[Card]:
        with self._lock:
            return [card for card in self._cards.values() if card.summary is not None]

    def _update(self) -> None:
        self._delete_unused_copies()
        self._on_change()

    def _delete_unused_copies(self) -> None:
        with self._lock:
            used = [path for card in self._cards.values() for path in card.paths]
            used += self._new_copies
            for copy in self._folder.iterdir():
                if not any(path.is_relative_to(copy) for path in used):
                    shutil.rmtree(copy, ignore_errors=True)

    def _without_copies(self, text: str) -> str:
        return self._copy_path.sub("", text)


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
