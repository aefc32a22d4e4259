"""Open the search indexes of exports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from langchain_chatexports._progress import Watch, no_progress
from langchain_chatexports.chat_loaders.pipe import read_loaders
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.recognition import (
    Export,
    estimate_message_count,
    open_exports,
)
from langchain_chatexports.retrieval.index import ChatIndex
from langchain_chatexports.retrieval.index_files import IndexFile
from langchain_chatexports.workflows.chat_filter import ChatFilter
from langchain_chatexports.workflows.preparation import PrepareOptions
from langchain_chatexports.workflows.prepare import Paths, to_paths


@dataclass(frozen=True)
class OpenIndex:
    """An open index of exports."""

    exports: list[Export]
    index: ChatIndex
    messages_read: int
    """The number of messages read; 0 if the index was up to date."""

    new_file: Path | None
    """The index file, if it was created."""


def get_index_file(
    paths: Sequence[Path], options: PrepareOptions, index_dir: Path | None = None
) -> IndexFile:
    """Return the index file of exports with these options."""
    settings = [value for value in (options.export_zone, options.date_order) if value]
    if not options.chats.includes_all:
        settings.append(repr(options.chats))
    return IndexFile(index_dir, paths, options.people, settings)


@contextmanager
def open_index(
    exports: Paths,
    *,
    options: PrepareOptions | None = None,
    index_dir: Path | None = None,
    in_memory: bool = False,
    watch: Watch = no_progress,
) -> Iterator[OpenIndex]:
    """Open the index of exports and rebuild it if an export has changed.

    The index contains all chats: `options.chats` is ignored.
    """
    paths = to_paths(exports)
    options = replace(options or PrepareOptions(), chats=ChatFilter())
    opened_exports = open_exports(paths, **options.export_options())
    file = None if in_memory else get_index_file(paths, options, index_dir)
    new_file = file.path if file and not file.path.exists() else None
    readers: list[Reading] = []
    with file.open() if file else ChatIndex() as index:
        if file is None or not file.is_current(index):
            readers = read_loaders(export.loader for export in opened_exports)
            rebuild = partial(file.rebuild, index) if file else index.rebuild
            with watch(
                "messages",
                lambda: sum(reader.messages_read for reader in readers),
                estimate_message_count(opened_exports),
            ):
                rebuild(chain.from_iterable(readers))
        yield OpenIndex(
            opened_exports,
            index,
            sum(reader.messages_read for reader in readers),
            new_file,
        )
