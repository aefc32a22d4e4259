"""Where search indexes of exports are kept, and when they are read anew."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_chatexports._version import __version__
from langchain_chatexports.chat_loaders.files import walk_files
from langchain_chatexports.exceptions import ChatExportError, MissingExtraError
from langchain_chatexports.retrieval.index import ChatIndex, ForgetCounts
from langchain_chatexports.retrieval.storage import is_index

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from langchain_core.embeddings import Embeddings

    from langchain_chatexports.chat_loaders.session_source import SessionSource

__all__ = [
    "IndexFile",
    "default_index_dir",
    "delete_indexes",
    "forget_again",
    "forget_in_all",
    "index_files",
    "list_of_forgotten",
    "search_indexes",
]

_APPLICATION = "langchain-chatexports"
_SUFFIX = ".chatindex"
_DIGEST_BYTES = 12
_NOTE = "exports"
# A file can be written once more within the resolution of its times (FAT: 2 seconds).
_SETTLED_SECONDS = 3


def default_index_dir() -> Path:
    """Return the folder of search indexes among the user's data.

    Raises:
        MissingExtraError: If the extra `cli` is not installed.
    """
    try:
        import platformdirs
    except ImportError as error:
        feature = "Keeping a search index"
        raise MissingExtraError(feature, "cli") from error
    data = platformdirs.user_data_path(_APPLICATION, appauthor=False)
    return data / "search-indexes"


def index_files(folder: Path) -> list[Path]:
    """Return the search indexes in a folder."""
    return [path for path in sorted(folder.glob(f"*{_SUFFIX}")) if is_index(path)]


def delete_indexes(folder: Path) -> int:
    """Delete all search indexes in a folder; who was forgotten stays forgotten.

    Args:
        folder: The folder of indexes.

    Returns:
        How many were deleted.
    """
    found = search_indexes(folder)
    for path in found:
        path.unlink()
        # An update that was killed leaves texts in SQLite's journal.
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
    return len(found)


def search_indexes(folder: Path) -> list[Path]:
    """Return the indexes in a folder that have messages."""
    return [path for path in index_files(folder) if path != list_of_forgotten(folder)]


def list_of_forgotten(folder: Path) -> Path:
    """Return the index that has nothing but hashes of who was forgotten."""
    return folder / f"forgotten{_SUFFIX}"


def forget_in_all(
    folder: Path, people: Collection[str], conversations: Collection[str]
) -> dict[Path, ForgetCounts]:
    """Remove people and conversations from all indexes in a folder, now and later.

    Args:
        folder: The folder of indexes.
        people: As for `ChatIndex.forget`.
        conversations: As for `ChatIndex.forget`.

    Returns:
        What was removed from each index.

    Raises:
        ChatExportError: If an index cannot be used. Of the others all was removed.
    """
    kept = list_of_forgotten(folder)
    found = {}
    failed = None
    for file in {kept: None, **dict.fromkeys(index_files(folder))}:
        try:
            with ChatIndex(file) as index:
                found[file] = index.forget(people, conversations)
        except ChatExportError as error:  # noqa: PERF203 - few files
            failed = failed or error
    if failed is not None:
        raise failed
    del found[kept]
    return found


def forget_again(index: ChatIndex, folder: Path) -> None:
    """Remove from an index whoever was forgotten in a folder of indexes."""
    kept = list_of_forgotten(folder)
    if not kept.exists():
        return
    chats = index.chats()
    names = {name for chat in chats for name in (*chat.participants, *chat.senders)}
    with ChatIndex(kept) as other:
        ids = {one for chat in chats for one in (chat.session_id, chat.source)}
        gone = other.forgotten(names, ids)
    if any(gone):
        index.forget(*gone)


class IndexFile:
    """The index of some exports, which is read anew when one of their files changed."""

    def __init__(
        self,
        folder: Path,
        paths: Iterable[Path],
        others: Iterable[Path] = (),
        options: Iterable[str] = (),
    ) -> None:
        """Initialize it; nothing is read yet.

        Args:
            folder: The folder of indexes.
            paths: The exports.
            others: Files that names come from, such as a table of people.
            options: What else decides about the sessions, such as a time zone.
        """
        self._sources = sorted(os.path.realpath(path.expanduser()) for path in paths)
        self._others = [os.path.realpath(path.expanduser()) for path in others]
        name = _digest([*self._sources, "", *self._others, "", *options])
        self.path = folder / f"{name}{_SUFFIX}"

    def open(self, embeddings: Embeddings | None = None) -> ChatIndex:
        """Open the index, and create it if there is none.

        Args:
            embeddings: As for `ChatIndex`.
        """
        return ChatIndex(self.path, embeddings=embeddings)

    def is_current(self, index: ChatIndex) -> bool:
        """Return whether no file of the exports has changed since the last update.

        Size, times and inode of each file are compared, as Git does; in a file that
        differs, `ChatIndex.update` compares each chat.
        """
        return index.note(_NOTE) == self._state()

    def update(self, index: ChatIndex, sessions: SessionSource) -> None:
        """Bring the index up to date, without whoever was forgotten in its folder.

        Args:
            index: What `open` returned.
            sessions: Everything in the exports.
        """
        begin = time.time()
        before = self._state()
        index.update(sessions, complete=True)
        # Before the note: whoever stops this here reads the exports again next time.
        forget_again(index, self.path.parent)
        newest = max((seen.st_mtime for _, seen in self._stats()), default=0.0)
        is_settled = newest < begin - _SETTLED_SECONDS
        index.set_note(_NOTE, before if is_settled else "")

    def _state(self) -> str:
        lines = [
            f"{path}\0{seen.st_size}\0{seen.st_mtime_ns}\0{seen.st_ctime_ns}"
            f"\0{seen.st_ino}"
            for path, seen in self._stats()
        ]
        # Another version may read more of an export.
        return _digest([__version__, *lines])

    def _stats(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self._files():
            with suppress(OSError):  # There may be no -wal.
                yield path, path.stat()

    def _files(self) -> Iterator[Path]:
        for name in (*self._sources, *self._others):
            path = Path(name)
            if path.is_dir():
                yield from walk_files(path, lambda _: None)
            else:
                # SQLite writes what is new beside the database first.
                yield from (path, Path(f"{name}-wal"))


def _digest(lines: Sequence[str]) -> str:
    data = "\n".join(lines).encode("utf-8", "surrogateescape")
    return blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()
