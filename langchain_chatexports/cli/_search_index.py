"""The search index of exports that a command was given."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.recognition import estimate_message_count
from langchain_chatexports.cli._chat_options import ReadingOptions, open_exports
from langchain_chatexports.cli._console import say, watching_count
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.retrieval import index_files
from langchain_chatexports.retrieval.index import ChatIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from langchain_core.chat_sessions import ChatSession

    from langchain_chatexports.chat_loaders.recognition import Export

__all__ = ["IndexDir", "index_folder", "open_index_of"]

IndexDir = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where search indexes are kept. Without it: your user data folder.",
        show_default=False,
    ),
]


def index_folder(index_dir: Path | None) -> Path:
    """Return the folder of search indexes."""
    return (
        index_files.default_index_dir() if index_dir is None else index_dir.expanduser()
    )


@contextmanager
def open_index_of(
    paths: Sequence[Path],
    *,
    contacts: Path | None = None,
    people: Path | None = None,
    reading: ReadingOptions | None = None,
    index_dir: Path | None = None,
    in_memory: bool = False,
) -> Iterator[tuple[list[Export], ChatIndex]]:
    """Open the index of exports, up to date.

    Args:
        paths: The exports.
        contacts: Where names of people in iMessage exports come from.
        people: Who has which names and handles.
        reading: What the exports do not say of themselves.
        index_dir: The folder of indexes; `None` for the default.
        in_memory: Whether to keep no file.

    Yields:
        The exports, of which everything is in the index, and the index.
    """
    reading = reading or ReadingOptions()
    exports = open_exports(paths, contacts, ChatChoice(), people, reading)
    if in_memory:
        with ChatIndex() as index:
            with _reading(exports) as sessions:
                index.rebuild(sessions)
            yield exports, index
        return
    named = [path for path in (contacts, people) if path is not None]
    folder = index_folder(index_dir)
    file = index_files.IndexFile(folder, paths, named, reading.words())
    is_new = not file.path.exists()
    with file.open() as index:
        if not file.is_current(index):
            with _reading(exports) as sessions:
                file.rebuild(index, sessions)
        if is_new:
            say(
                f"Indexed in {file.path}, which only you can read. To delete all "
                "indexes: chatexports search --delete-indexes"
            )
        yield exports, index


@contextmanager
def _reading(exports: Sequence[Export]) -> Iterator[Iterable[ChatSession]]:
    passes = [export.loader.read() for export in exports]
    total = estimate_message_count(exports)

    def messages_read() -> int:
        return sum(counted.messages_read for counted in passes)

    with watching_count("messages", messages_read, total):
        yield chain.from_iterable(passes)
    say(f"Read: {plural(messages_read(), 'message')}")
