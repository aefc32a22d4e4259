"""The exports on the page: each is copied, read and shown on a card of its own."""

import re
import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePosixPath

from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.files import SkippedFilesWarning
from langchain_chatexports.chat_loaders.people import name_key
from langchain_chatexports.chat_loaders.recognition import Export, open_exports
from langchain_chatexports.page.errors import Failure
from langchain_chatexports.page.languages import Sentence, later
from langchain_chatexports.page.twins import TwinFinder, Twins
from langchain_chatexports.page.work import Work

# Most systems allow 255 bytes.
_MAX_NAME_BYTES = 200
_FLAG = re.compile(r"--[a-z]")
_READING = later("Reading")
# The summary of an export has its time zone and the order of its dates.
_SHOWN_OTHERWISE = ("Times in ", "The dates of ")


@dataclass(eq=False)
class Card:
    """An added export: waiting, being read, read, or failed."""

    name: str
    paths: tuple[Path, ...] = ()
    work: Work = field(default_factory=Work)
    export: Export | None = None
    summary: ExportSummary | None = None
    skipped_files: list[str] = field(default_factory=list)
    twins: list[Twins] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    # Received from the browser so far; `None` if complete.
    copied_bytes: int | None = None
    is_read_now: bool = False

    @property
    def state(self) -> str:
        """One of `copying`, `waiting`, `reading`, `read`, `failed`."""
        if self.copied_bytes is not None:
            return "copying"
        if self.work.is_running:
            return "reading" if self.is_read_now else "waiting"
        return "failed" if self.work.error or self.export is None else "read"


@dataclass(frozen=True)
class ReadExports:
    cards: list[Card]

    @property
    def summaries(self) -> list[ExportSummary]:
        return [card.summary for card in self.cards if card.summary]

    @property
    def twins(self) -> list[Twins]:
        return [twins for card in self.cards for twins in card.twins]

    @property
    def senders(self) -> dict[str, int]:
        """All senders with their numbers of messages, the most first.

        Forms of one name in several exports are joined under the first form.
        """
        names: dict[str, str] = {}
        found: dict[str, int] = {}
        for summary in self.summaries:
            for written, messages in summary.senders.items():
                name = names.setdefault(name_key(written), written)
                found[name] = found.get(name, 0) + messages
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    @property
    def owners(self) -> list[str]:
        """The exports' owners; empty if one is not known."""
        owners = [summary.owner or "" for summary in self.summaries]
        return list(dict.fromkeys(owners)) if all(owners) else []

    @property
    def proposed_voice(self) -> str | None:
        """The proposed voice, as in `Choice`."""
        if self.owners:
            return ""
        # Only some of the exports may have a known owner.
        owners = (summary.owner for summary in self.summaries)
        return next((owner for owner in owners if owner in self.senders), None)


class ExportList:
    """The list of exports, which are read one at a time; thread-safe."""

    def __init__(self, folder: Path, on_change: Callable[[], None]) -> None:
        self.cards: list[Card] = []
        self.read: ReadExports | None = None
        self.notes: list[Sentence] = []
        self.warnings: list[str] = []
        self._folder = folder
        self._copy_path = re.compile(rf"{re.escape(str(folder))}[/\\]\d+[/\\]")
        self._on_change = on_change
        self._numbers = count(1)
        self._turn = threading.Lock()
        self._current = threading.local()
        # Copies by the page, each alone in a folder; new ones are on no card yet.
        self._new_copies: set[Path] = set()
        self._copies: set[Path] = set()
        self._arriving: dict[str, tuple[Card, Path]] = {}

    def paths(self) -> list[Path]:
        return [path for card in self.cards if card.export for path in card.paths]

    @property
    def reading(self) -> Card | None:
        """The card that is being read; the others wait for it."""
        return next((card for card in self.cards if card.state == "reading"), None)

    # Copies of dropped files

    def new_copy(self, name: str) -> Path:
        """Return a temporary path for a file or folder from the browser."""
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        copy = folder / _plain_name(name)
        self._new_copies.add(copy)
        self._copies.add(copy)
        return copy

    def receive(self, batch: str, path: str) -> tuple[Card, Path] | None:
        """Return the card and the path for a file from the browser."""
        names = PurePosixPath(path).parts or ("export",)
        if batch not in self._arriving:
            card = Card(names[0], copied_bytes=0)
            self.cards.append(card)
            self._arriving[batch] = card, self.new_copy(names[0])
        card, copy = self._arriving[batch]
        if card not in self.cards:
            return None
        target = copy.joinpath(*map(_plain_name, names[1:]))
        target.parent.mkdir(parents=True, exist_ok=True)
        return card, target

    def received(self, batch: str, name: str) -> None:
        """Read an upload that is complete."""
        if batch not in self._arriving:
            note = later(
                "{name} is empty, or has only photos and films: skipped.", name=name
            )
            if note not in self.notes:
                self.notes.append(note)
            return
        card, copy = self._arriving.pop(batch)
        card.copied_bytes = None
        if card in self.cards:
            self._start(card, copy)
        self._new_copies.discard(copy)
        self._delete_unused_copies()

    def lost(self, batch: str) -> None:
        """Fail an aborted upload, as after closing the page."""
        if batch not in self._arriving:
            return
        card, copy = self._arriving.pop(batch)
        card.copied_bytes = None
        card.work.error = Failure(
            later("The upload is incomplete. Add it again, and wait until it ends.")
        )
        self._new_copies.discard(copy)
        self._delete_unused_copies()

    # Reading

    def add(self, paths: Iterable[Path]) -> None:
        """Add exports, each on a card; they are read in the background."""
        for path in paths:
            card = Card(path.name or str(path))
            self.cards.append(card)
            self._start(card, path)

    def remove(self, card: Card) -> None:
        """Remove an export from the list; the person's file does not change."""
        card.work.stop()
        if card in self.cards:
            self.cards.remove(card)
        self._changed()

    def clear(self) -> None:
        for card in list(self.cards):
            self.remove(card)
        self.notes.clear()
        self.warnings.clear()

    def warn(self, warning: Warning) -> None:
        """Add a warning, to the card of the export that this thread reads."""
        card: Card | None = getattr(self._current, "card", None)
        text = _without_flags(self.without_copies(str(warning)))
        # Exports are read again for figures and examples.
        known = [self.warnings, *(one.warnings for one in self.cards)]
        if text.startswith(_SHOWN_OTHERWISE) or any(text in one for one in known):
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
        card.work.start(_READING, lambda: self._read_in_turn(card))

    def _read_in_turn(self, card: Card) -> None:
        try:
            with self._turn:
                card.work.check()
                self._current.card, card.is_read_now = card, True
                self._read(card)
        except BaseException:
            card.paths = ()
            self._delete_unused_copies()
            raise
        finally:
            card.is_read_now = False

    def _read(self, card: Card) -> None:
        before = {one.export.paths: one for one in self.cards if one.export}
        exports = open_exports([*self.paths(), *card.paths])
        new = [export for export in exports if export.paths not in before]
        if not new:
            self.notes.append(later("{name} is in the list already.", name=card.name))
            self.cards.remove(card)
            return
        for export in exports:
            # Exports of one app belong together: a message in several of them is
            # counted once.
            if any(type(export.loader) is type(one.loader) for one in new):
                self._count(card, export, before)
        self._changed()

    def _count(
        self, card: Card, export: Export, before: dict[tuple[Path, ...], Card]
    ) -> None:
        counted, finder = export.loader.read(), TwinFinder()
        total = export.loader.estimate_message_count()
        with card.work.watch("messages", lambda: counted.messages_read, total):
            for session in counted:
                if export.loader.platform == "whatsapp":
                    finder.add(session)
                del session
                card.work.check()
        shown = before.get(export.paths)
        if shown is None:
            shown = card if card.export is None else Card("")
        if shown not in self.cards:
            self.cards.insert(self.cards.index(card) + 1, shown)
        for other in [one for one in self.cards if one is not shown]:
            # The other card became a part of this export.
            if other.export and set(other.paths) <= set(export.paths):
                for name in ("skipped_files", "warnings"):
                    texts = dict.fromkeys(getattr(other, name) + getattr(shown, name))
                    setattr(shown, name, list(texts))
                self.cards.remove(other)
        shown.name = ", ".join(path.name for path in export.paths)
        shown.paths, shown.export = export.paths, export
        shown.summary, shown.twins = counted.summary(), finder.twins()

    def _changed(self) -> None:
        self._delete_unused_copies()
        cards = [card for card in self.cards if card.export and card.summary]
        self.read = ReadExports(cards) if cards else None
        self._on_change()

    def _delete_unused_copies(self) -> None:
        used = [path for card in self.cards for path in card.paths]
        for copy in self._copies - self._new_copies:
            if not any(path.is_relative_to(copy) for path in used):
                self._copies.discard(copy)
                shutil.rmtree(copy.parent, ignore_errors=True)

    def without_copies(self, text: str) -> str:
        return self._copy_path.sub("", text)


def _without_flags(text: str) -> str:
    """Return a warning without the sentences on flags, which the page does not have."""
    sentences = re.split(r"(?<=[.!?]) ", text)
    return " ".join(one for one in sentences if not _FLAG.search(one)) or text


def _plain_name(name: str) -> str:
    plain = "".join(letter for letter in name if letter.isprintable())
    last = plain.replace("\\", "/").rpartition("/")[2]
    last = last.encode()[-_MAX_NAME_BYTES:].decode("utf-8", "ignore")
    return last.strip(" .") or "export"
