"""The cache of search indexes of exports, rebuilt when an export changes."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from langchain_chatexports._version import __version__
from langchain_chatexports.chat_loaders.files import walk_files
from langchain_chatexports.chat_loaders.session_source import SessionSource
from langchain_chatexports.chat_loaders.suggestions import did_you_mean, same_names
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
    """Return the folder of search indexes; for `None`, the default one."""
    return default_index_dir() if folder is None else folder.expanduser()


def default_index_dir() -> Path:
    """Return the folder of search indexes in the user's data."""
    try:
        import platformdirs
    except ImportError as error:
        feature = "Keeping a search index"
        raise MissingExtraError(feature, "cli") from error
    data = platformdirs.user_data_path(_APPLICATION, appauthor=False)
    return data / "search-indexes"


def index_files(folder: Path | None) -> list[Path]:
    """Return the search indexes in a folder; for `None`, in the default one."""
    found = sorted(index_folder(folder).glob(f"*{_SUFFIX}"))
    return [path for path in found if is_index(path)]


def delete_indexes(folder: Path | None) -> int:
    """Delete all search indexes in a folder, and return their number."""
    found = index_files(folder)
    for path in found:
        delete_index(path)
    return len(found)


def delete_indexes_with(
    folder: Path | None,
    people: Collection[str] = (),
    conversations: Collection[str] = (),
    *,
    strict: bool = True,
) -> list[Path]:
    """Delete the search indexes with messages of some people or conversations.

    Unreadable indexes are deleted as well. Exports are not changed, and the next search
    rebuilds their index. With `strict`, an unknown name or id is an error, and nothing
    is deleted.
    """
    unknown = {*people, *conversations}
    known: set[str] = set()
    found = []
    for path in index_files(folder):
        try:
            with ChatIndex(path) as index:
                chats = index.chats()
        except ExportFormatError:
            found.append(path)
            continue
        names = {name for chat in chats for name in (*chat.participants, *chat.senders)}
        ids = {one for chat in chats for one in (chat.session_id, chat.source)}
        named = {name for name in people if same_names(name, names)}
        named |= ids & {*conversations}
        known |= names
        unknown -= named
        if named:
            found.append(path)
    if unknown and strict:
        listed = " or ".join(map(repr, sorted(unknown)))
        nearest = did_you_mean(unknown, known)
        msg = f"No search index has {listed}, so nothing was deleted.{nearest}"
        raise SenderNotFoundError(msg)
    for path in found:
        delete_index(path)
    return found


class IndexFile:
    """The index of some exports, rebuilt when one of their files changes."""

    def __init__(
        self,
        folder: Path | None,
        paths: Iterable[Path],
        others: Iterable[Path] = (),
        options: Iterable[str] = (),
    ) -> None:
        """Derive the file name from exports, files with names, and reading options."""
        self._sources = sorted(os.path.realpath(path.expanduser()) for path in paths)
        self._others = [os.path.realpath(path.expanduser()) for path in others]
        name = _digest([*self._sources, "", *self._others, "", *options])
        self.path = index_folder(folder) / f"{name}{_SUFFIX}"

    def open(self) -> ChatIndex:
        """Open the index; create it if there is none of this version."""
        if is_index(self.path) and not is_index(self.path, current=True):
            delete_index(self.path)
        return ChatIndex(self.path)

    def is_ready(self) -> bool:
        """Return whether there is an index of this version that is up to date."""
        if not is_index(self.path, current=True):
            return False
        with self.open() as index:
            return self.is_current(index)

    def is_current(self, index: ChatIndex) -> bool:
        """Return whether no file of the exports has changed since it was built.

        As in Git, size, times and inode of each file are compared.
        """
        return index.note() == self._state()

    def rebuild(self, index: ChatIndex, sessions: SessionSource) -> IndexCounts:
        """Rebuild the index from the sessions of the exports."""
        # A file that changes while it is read gets a newer time or another size.
        return index.rebuild(sessions, note=self._state())

    def _state(self) -> str:
        lines = [
            f"{path}\0{s.st_size}\0{s.st_mtime_ns}\0{s.st_ctime_ns}\0{s.st_ino}"
            for path, s in self._stats()
        ]
        # Another version may read more of an export.
        return _digest([__version__, *lines])

    def _stats(self) -> Iterator[tuple[Path, os.stat_result]]:
        for name in (*self._sources, *self._others):
            # SQLite first writes changes to a file next to the database.
            paths: Iterable[Path] = (Path(name), Path(f"{name}-wal"))
            if Path(name).is_dir():
                paths = walk_files(Path(name), lambda _: None)
            for path in paths:
                with suppress(OSError):  # There may be no -wal.
                    yield path, path.stat()


def _digest(lines: Sequence[str]) -> str:
    data = "\n".join(lines).encode("utf-8", "surrogateescape")
    return blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()
