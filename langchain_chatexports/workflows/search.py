"""Search indexes of exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from langchain_core.chat_sessions import ChatSession

from langchain_chatexports._progress import Watch, unwatched
from langchain_chatexports.chat_loaders.recognition import (
    Export,
    estimate_message_count,
    open_exports,
)
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.datasets.preparation import PrepareOptions
from langchain_chatexports.retrieval.index import ChatIndex
from langchain_chatexports.retrieval.index_files import IndexFile
from langchain_chatexports.workflows.prepare import Paths, as_paths


@dataclass(frozen=True)
class OpenIndex:
    """An open index of exports."""

    exports: list[Export]
    index: ChatIndex
    messages_read: int
    """The number of messages read for it; 0 if it was up to date."""

    new_file: Path | None
    """Its file, if it is new."""


def index_file(
    paths: Sequence[Path], options: PrepareOptions, index_dir: Path | None = None
) -> IndexFile:
    """Return the index file of exports with these options."""
    others = [path for path in (options.contacts, options.people) if path is not None]
    given = (options.export_zone, options.date_order)
    words = [word for word in given if word is not None]
    if not options.chats.is_everything:
        words.append(repr(options.chats))
    return IndexFile(index_dir, paths, others, words)


@contextmanager
def open_index(
    exports: Paths,
    *,
    options: PrepareOptions | None = None,
    index_dir: Path | None = None,
    watch: Watch = unwatched,
) -> Iterator[OpenIndex]:
    """Open the index of exports; rebuild it if one has changed.

    Only options for opening exports are used, without the choice of chats.
    """
    paths = as_paths(exports)
    options = replace(options or PrepareOptions(), chats=ChatChoice())
    opened = open_exports(paths, **options.export_options())
    file = index_file(paths, options, index_dir)
    is_new = not file.path.exists()
    with file.open() as index:
        count = 0
        if not file.is_current(index):
            count = read_into(partial(file.rebuild, index), opened, watch)
        yield OpenIndex(opened, index, count, file.path if is_new else None)


def read_into(
    rebuild: Callable[[Iterator[ChatSession]], object],
    exports: Sequence[Export],
    watch: Watch = unwatched,
) -> int:
    """Rebuild an index from exports, and return the number of messages read."""
    passes = [export.loader.read() for export in exports]

    def messages_read() -> int:
        return sum(counted.messages_read for counted in passes)

    with watch("messages", messages_read, estimate_message_count(exports)):
        rebuild(chain.from_iterable(passes))
    return messages_read()
