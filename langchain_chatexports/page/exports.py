"""The list of exports on the page: copying, reading, and one card for each."""

import filecmp
import mimetypes
import re
import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePosixPath

from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.files import SkippedFilesWarning
from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.chat_loaders.pipe import read_loaders
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.recognition import Export, open_exports
from langchain_chatexports.exceptions import UnknownFormatError
from langchain_chatexports.page.duplicates import DuplicateChats, DuplicateFinder
from langchain_chatexports.page.errors import Failure, PageError, translate_error
from langchain_chatexports.page.languages import LazyMessage, lazy_gettext
from langchain_chatexports.page.work import IDLE, Work, WorkState

# Most file systems allow 255 bytes.
_MAX_NAME_BYTES = 200
_FLAG = re.compile(r"--[a-z]")
_READING = lazy_gettext("Reading")
# The card's summary shows the time zone and the date order.
_SHOWN_IN_SUMMARY = ("Times in ", "The dates of ")
_KINDS = {
    "image": lazy_gettext("This is a photo, not a chat."),
    "video": lazy_gettext("This is a video, not a chat."),
    "audio": lazy_gettext("This is a sound recording, not a chat."),
}
_NO_CHATS_IN_ZIP = lazy_gettext("There are no chats in this zip file.")


@dataclass(frozen=True)
class ExportState:
    """An export in the list, as screens show it."""

    id: int
    name: str
    state: str
    """One of `copying`, `waiting`, `reading`, `read`, `failed`."""

    work: WorkState = IDLE
    summary: ExportSummary | None = None
    copied_bytes: int | None = None
    skipped_files: tuple[str, ...] = ()
    duplicates: tuple[DuplicateChats, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(eq=False)
class Card:
    """An export in the list, with its state and its results."""

    name: str
    id: int = field(default_factory=count(1).__next__)
    paths: tuple[Path, ...] = ()
    work: Work = field(default_factory=Work)
    export: Export | None = None
    summary: ExportSummary | None = None
    skipped_files: list[str] = field(default_factory=list)
    duplicates: list[DuplicateChats] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    # The size of an upload so far; `None` if it is complete.
    copied_bytes: int | None = None
    is_reading: bool = False

    def freeze(self) -> ExportState:
        """Return what screens show now."""
        return ExportState(
            self.id,
            self.name,
            self.state,
            self.work.freeze(),
            self.summary,
            self.copied_bytes,
            tuple(self.skipped_files),
            tuple(self.duplicates),
            tuple(self.warnings),
        )

    @property
    def state(self) -> str:
        """One of `copying`, `waiting`, `reading`, `read`, `failed`."""
        if self.copied_bytes is not None:
            return "copying"
        if self.work.is_running:
            return "reading" if self.is_reading else "waiting"
        return "failed" if self.work.error or self.export is None else "read"


@dataclass(frozen=True)
class ExportContents:
    """The loaded exports, with their people."""

    cards: list[Card]

    @property
    def summaries(self) -> list[ExportSummary]:
        return [card.summary for card in self.cards if card.summary]

    @property
    def duplicates(self) -> list[DuplicateChats]:
        return [pair for card in self.cards for pair in card.duplicates]

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


class ExportList:
    """The list of exports, which are read one at a time; thread-safe."""

    def __init__(self, folder: Path, on_change: Callable[[], None]) -> None:
        self.cards: list[Card] = []
        self.contents: ExportContents | None = None
        self.notes: list[LazyMessage] = []
        self.warnings: list[str] = []
        self._folder = folder
        self._copy_path = re.compile(rf"{re.escape(str(folder))}[/\\]\d+[/\\]")
        self._on_change = on_change
        self._numbers = count(1)
        self._read_lock = threading.Lock()
        self._thread_local = threading.local()
        # Copies made by the page, each in its own folder; new ones have no card yet.
        self._new_copies: set[Path] = set()
        self._copies: set[Path] = set()
        self._uploads: dict[str, tuple[Card, Path]] = {}
        # An upload can end while its last block is counted.
        self._size_lock = threading.Lock()

    def freeze(self) -> tuple[ExportState, ...]:
        """Return the cards as screens show them now."""
        return tuple(card.freeze() for card in list(self.cards))

    def paths(self) -> list[Path]:
        return [path for card in self.cards if card.export for path in card.paths]

    # Copies of dropped files

    def new_copy(self, name: str) -> Path:
        """Return a temporary path for a file or folder from the browser."""
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        copy = folder / _safe_name(name)
        self._new_copies.add(copy)
        self._copies.add(copy)
        return copy

    def receive_file(self, batch: str, path: str) -> tuple[Card, Path] | None:
        """Return the card and the target path of an uploaded file."""
        names = PurePosixPath(path).parts or ("export",)
        if batch not in self._uploads:
            card = Card(names[0], copied_bytes=0)
            self.cards.append(card)
            self._uploads[batch] = card, self.new_copy(names[0])
        card, copy = self._uploads[batch]
        if card not in self.cards:
            return None
        target = copy.joinpath(*map(_safe_name, names[1:]))
        target.parent.mkdir(parents=True, exist_ok=True)
        return card, target

    def count_bytes(self, card: Card, size: int) -> bool:
        """Add to the size of an upload; return whether it is still wanted."""
        with self._size_lock:
            if card not in self.cards or card.copied_bytes is None:
                return False
            card.copied_bytes += size
            return True

    def finish_upload(self, batch: str, name: str) -> None:
        """Read a complete upload."""
        if batch not in self._uploads:
            note = lazy_gettext(
                "{name} is empty, or contains only photos and videos: skipped.",
                name=name,
            )
            if note not in self.notes:
                self.notes.append(note)
            return
        card, copy = self._uploads.pop(batch)
        with self._size_lock:
            card.copied_bytes = None
        if card in self.cards:
            self._start(card, copy)
        self._new_copies.discard(copy)
        self._delete_unused_copies()

    def abort_upload(self, batch: str, error: OSError | None = None) -> None:
        """Show an aborted upload as failed, for example if the page was closed."""
        if batch not in self._uploads:
            return
        card, copy = self._uploads.pop(batch)
        incomplete = lazy_gettext(
            "The file was not copied completely. Add it again, and wait until it is."
        )
        card.work.error = translate_error(error) if error else Failure(incomplete)
        with self._size_lock:
            card.copied_bytes = None
        self._new_copies.discard(copy)
        self._delete_unused_copies()

    # Reading

    def add(self, paths: Iterable[Path]) -> None:
        """Add a card for each export, and read it in the background."""
        for path in paths:
            card = Card(path.name or str(path))
            self.cards.append(card)
            self._start(card, path)

    def remove(self, card: Card) -> None:
        """Remove an export from the list; the original file is not changed."""
        card.work.stop()
        if card in self.cards:
            self.cards.remove(card)
        self._update()

    def remove_failed(self) -> None:
        """Remove all files that could not be read."""
        for card in [card for card in self.cards if card.state == "failed"]:
            self.remove(card)

    def clear(self) -> None:
        for card in list(self.cards):
            self.remove(card)
        self.notes.clear()
        self.warnings.clear()

    def add_warning(self, warning: Warning) -> None:
        """Add a warning to the card of the export that this thread reads."""
        card: Card | None = getattr(self._thread_local, "card", None)
        text = _strip_flags(self.strip_copy_paths(str(warning)))
        # Reading an export again, as to create examples, repeats its warnings.
        known_warnings = [self.warnings, *(card.warnings for card in self.cards)]
        if text.startswith(_SHOWN_IN_SUMMARY) or any(
            text in texts for texts in known_warnings
        ):
            return
        (self.warnings if card is None else card.warnings).append(text)
        if card is not None and isinstance(warning, SkippedFilesWarning):
            card.skipped_files += warning.names

    def join(self, seconds: float) -> None:
        """Wait until all exports are read, up to `seconds` for each."""
        for card in list(self.cards):
            card.work.join(seconds)

    def _start(self, card: Card, path: Path) -> None:
        card.paths = (path,)
        self._new_copies.discard(path)
        card.work.start(_READING, lambda: self._read_locked(card))

    def _read_locked(self, card: Card) -> None:
        try:
            with self._read_lock:
                card.work.check()
                self._thread_local.card, card.is_reading = card, True
                self._read(card)
        except BaseException:
            card.paths = ()
            self._delete_unused_copies()
            raise
        finally:
            card.is_reading = False

    def _read(self, card: Card) -> None:
        known_cards = {c.export.paths: c for c in self.cards if c.export}
        known_paths, (path,) = self.paths(), card.paths
        exports: list[Export] = []
        if not any(_is_same(path, known) for known in known_paths):
            kind = (mimetypes.guess_type(path.name)[0] or "").partition("/")[0]
            if path.is_file() and kind in _KINDS:
                raise PageError(_KINDS[kind])
            try:
                exports = open_exports([*known_paths, path])
            except UnknownFormatError as error:
                if path.suffix.lower() != ".zip":
                    raise
                raise PageError(_NO_CHATS_IN_ZIP) from error
        new = [export for export in exports if export.paths not in known_cards]
        if not new:
            note = lazy_gettext("You have already added {name}.", name=card.name)
            if note not in self.notes:
                self.notes.append(note)
            self.cards.remove(card)
            self._update()
            return
        # Count all exports of the same app again: a message in several of them is
        # counted once.
        readings = read_loaders(export.loader for export in exports)
        for export, reading in zip(exports, readings, strict=True):
            if any(type(export.loader) is type(other.loader) for other in new):
                self._count(card, export, reading, known_cards)
        self._update()

    def _count(
        self,
        card: Card,
        export: Export,
        sessions: Reading,
        known_cards: dict[tuple[Path, ...], Card],
    ) -> None:
        finder = DuplicateFinder()
        total = export.loader.estimate_message_count()
        with card.work.watch("messages", lambda: sessions.messages_read, total):
            for session in sessions:
                if export.loader.platform == "whatsapp":
                    finder.add(session)
                del session
                card.work.check()
        target = known_cards.get(export.paths)
        if target is None:
            target = card if card.export is None else Card("")
        if target not in self.cards:
            self.cards.insert(self.cards.index(card) + 1, target)
        for other in [c for c in self.cards if c is not target]:
            # Its files are now part of this export.
            if other.export and set(other.paths) <= set(export.paths):
                for name in ("skipped_files", "warnings"):
                    texts = dict.fromkeys(getattr(other, name) + getattr(target, name))
                    setattr(target, name, list(texts))
                self.cards.remove(other)
        target.name = ", ".join(path.name for path in export.paths)
        target.paths, target.export = export.paths, export
        # The summary is last: when it changes, screens show the others, too.
        target.duplicates, target.summary = finder.find(), sessions.summary()

    def _update(self) -> None:
        self._delete_unused_copies()
        cards = [card for card in self.cards if card.export and card.summary]
        self.contents = ExportContents(cards) if cards else None
        self._on_change()

    def _delete_unused_copies(self) -> None:
        used = [path for card in self.cards for path in card.paths]
        for copy in self._copies - self._new_copies:
            if not any(path.is_relative_to(copy) for path in used):
                self._copies.discard(copy)
                shutil.rmtree(copy.parent, ignore_errors=True)

    def strip_copy_paths(self, text: str) -> str:
        return self._copy_path.sub("", text)


def _is_same(path: Path, other: Path) -> bool:
    """Whether two files are equal, or two folders have files of the same sizes."""
    if path.is_file() and other.is_file():
        return filecmp.cmp(path, other, shallow=False)
    return path.is_dir() and other.is_dir() and _sizes(path) == _sizes(other)


def _sizes(folder: Path) -> dict[str, int]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(file.relative_to(folder)): file.stat().st_size for file in files}


def _strip_flags(text: str) -> str:
    """Remove sentences about the command's flags, which the page does not have."""
    sentences = re.split(r"(?<=[.!?]) ", text)
    return " ".join(s for s in sentences if not _FLAG.search(s)) or text


def _safe_name(name: str) -> str:
    printable = "".join(letter for letter in name if letter.isprintable())
    base_name = printable.replace("\\", "/").rpartition("/")[2]
    base_name = base_name.encode()[-_MAX_NAME_BYTES:].decode("utf-8", "ignore")
    return base_name.strip(" .") or "export"
