"""Cached search indexes, rebuilt when an export changes."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from langchain_chatexports._translation import Sentence
from langchain_chatexports._version import __version__
from langchain_chatexports.chat_loaders.folder_files import walk_files
from langchain_chatexports.chat_loaders.names import NameIndex
from langchain_chatexports.chat_loaders.session_source import SessionSource
from langchain_chatexports.exceptions import (
    ExportFormatError,
    MissingExtraError,
    SenderNotFoundError,
)
from langchain_chatexports.retrieval.index import ChatIndex, IndexCounts
from langchain_chatexports.retrieval.storage import delete_index, is_index

_APPLICATION = "langchain-chatexports"
_SUFFIX = ".chatindex"
_DIGEST_BYTES = 12


def index_folder(folder: Path | None) -> Path:
    """Return the folder of search indexes; `None` means the default folder."""
    return default_index_dir() if folder is None else folder.expanduser()


def default_index_dir() -> Path:
    """Return the default folder of search indexes, in the user's data folder."""
    try:
        import platformdirs
    except ImportError as error:
        feature = "Storing a search index"
        raise MissingExtraError(feature, "cli") from error
    data = platformdirs.user_data_path(_APPLICATION, appauthor=False)
    return data / "search-indexes"


def index_files(folder: Path | None) -> list[Path]:
    """Return the search indexes in a folder; `None` means the default folder."""
    paths = sorted(index_folder(folder).glob(f"*{_SUFFIX}"))
    return [path for path in paths if is_index(path)]


def delete_indexes(folder: Path | None) -> int:
    """Delete all search indexes in a folder and return their number."""
    paths = index_files(folder)
    for path in paths:
        delete_index(path)
    return len(paths)


def delete_matching_indexes(
    folder: Path | None,
    people: Collection[str] = (),
    conversations: Collection[str] = (),
    *,
    strict: bool = True,
) -> list[Path]:
    """Delete the search indexes that contain any of the people or conversations.

    Unreadable indexes are also deleted. Exports are not changed, and the next search
    rebuilds their index. With `strict`, an unknown name or id is an error, and nothing
    is deleted.
    """
    unknown = {*people, *conversations}
    known_names: set[str] = set()
    matching = []
    for path in index_files(folder):
        try:
            with ChatIndex(path) as index:
                chats = index.chats()
        except ExportFormatError:
            matching.append(path)
            continue
        names = {name for chat in chats for name in (*chat.participants, *chat.senders)}
        ids = {id_ for chat in chats for id_ in (chat.session_id, chat.source)}
        name_index = NameIndex.of(names)
        matches = {name for name in people if name_index.find_spellings(name)}
        matches |= ids & {*conversations}
        known_names |= names
        unknown -= matches
        if matches:
            matching.append(path)
    if unknown and strict:
        msg = Sentence(
            "No search index contains {names}, so nothing was deleted.{hint}",
            names=", ".join(map(repr, sorted(unknown))),
            hint=NameIndex.of(known_names).did_you_mean(*unknown),
        )
        raise SenderNotFoundError(msg)
    for path in matching:
        delete_index(path)
    return matching


class IndexFile:
    """The search index of exports, rebuilt when one of their files changes."""

    def __init__(
        self,
        folder: Path | None,
        paths: Iterable[Path],
        others: Iterable[Path] = (),
        options: Iterable[str] = (),
    ) -> None:
        """Derive the file name from the exports, name files and import settings."""
        self._sources = sorted(os.path.realpath(path.expanduser()) for path in paths)
        self._others = [os.path.realpath(path.expanduser()) for path in others]
        name = _digest([*self._sources, "", *self._others, "", *options])
        self.path = index_folder(folder) / f"{name}{_SUFFIX}"

    def open(self) -> ChatIndex:
        """Open the index; create it if missing or written by a different version."""
        if is_index(self.path) and not is_index(self.path, current=True):
            delete_index(self.path)
        return ChatIndex(self.path)

    def is_ready(self) -> bool:
        """Return whether the index exists in the current version and is up to date."""
        if not is_index(self.path, current=True):
            return False
        with self.open() as index:
            return self.is_current(index)

    def is_current(self, index: ChatIndex) -> bool:
        """Return whether the exports are unchanged since the index was built.

        Compares the size, times and inode of each file, like Git.
        """
        return index.note() == self._fingerprint()

    def rebuild(self, index: ChatIndex, sessions: SessionSource) -> IndexCounts:
        """Rebuild the index from the exports' sessions."""
        # Read the state first, so that changes during the rebuild are detected later.
        return index.rebuild(sessions, note=self._fingerprint())

    def _fingerprint(self) -> str:
        lines = [
            f"{path}\0{s.st_size}\0{s.st_mtime_ns}\0{s.st_ctime_ns}\0{s.st_ino}"
            for path, s in self._stats()
        ]
        # Include the version, since another one may read more messages.
        return _digest([__version__, *lines])

    def _stats(self) -> Iterator[tuple[Path, os.stat_result]]:
        for name in (*self._sources, *self._others):
            # SQLite appends changes to the write-ahead log first.
            paths: Iterable[Path] = (Path(name), Path(f"{name}-wal"))
            if Path(name).is_dir():
                paths = walk_files(Path(name), lambda _: None)
            for path in paths:
                with suppress(OSError):  # There may be no -wal.
                    yield path, path.stat()


def _digest(lines: Sequence[str]) -> str:
    data = "\n".join(lines).encode("utf-8", "surrogateescape")
    return blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()
