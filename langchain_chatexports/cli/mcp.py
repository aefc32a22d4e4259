"""`chatexports mcp`: search chats from other applications over MCP."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import chain
from pathlib import Path
from time import perf_counter

from langchain_core.chat_sessions import ChatSession

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.pipe import read_loaders
from langchain_chatexports.chat_loaders.recognition import Export
from langchain_chatexports.cli._console import print_line, stdin_is_terminal
from langchain_chatexports.cli._errors import print_error
from langchain_chatexports.cli._exit import CTRL_C, TERMINATED
from langchain_chatexports.cli._options import (
    IndexDir,
    Paths,
    SourceOptions,
    check,
    command,
    open_exports,
    resolve_paths,
)
from langchain_chatexports.retrieval import ChatIndex, chat_mcp_server
from langchain_chatexports.retrieval.index_files import IndexFile
from langchain_chatexports.retrieval.mcp_server import silence_sdk
from langchain_chatexports.retrieval.storage import is_index
from langchain_chatexports.workflows.chat_filter import ChatFilter
from langchain_chatexports.workflows.preparation import PrepareOptions
from langchain_chatexports.workflows.search import get_index_file


@command
def mcp(
    paths: Paths = None, *, chats: SourceOptions, index_dir: IndexDir = None
) -> None:
    """Let another application search your chats (MCP).

    This is an MCP server over stdin and stdout, for applications such as Claude Desktop
    or VS Code. Their models can then search the chats, read the messages around a hit,
    and list the chats. The server is read-only and sends nothing, but the application
    may send results to its model provider.

    As with search, the first start writes an index to your user data folder, and later
    starts rebuild it if an export has changed.

    For example:
        chatexports mcp chat.db --with Hare --since 2023-01-01
    """
    options = chats.to_prepare_options()
    paths = resolve_paths(paths)
    loading: Future[None] = Future()
    silence_sdk()
    if len(paths) == 1 and is_index(paths[0].expanduser()):
        index = _open_saved_index(paths[0], options)
        load: Callable[[], object] = index.note
    else:
        exports = open_exports(paths, chats)
        file = get_index_file(paths, options, index_dir)
        index = file.open()
        load = partial(_update_index, file, index, exports, options.chats)
    server = chat_mcp_server(index, wait=loading.result)
    # Applications time out after a minute, so load in the background.
    threading.Thread(target=_load, args=(index, load, loading), daemon=True).start()
    if stdin_is_terminal():
        print_line("Waiting for an application on stdin. Press Ctrl-C to stop.")
    status = _run(server.run)
    if status or not loading.done():
        # Do not wait for the SDK's thread, which reads stdin, or for `_load`.
        sys.stderr.flush()
        os._exit(status)
    index.close()


def _open_saved_index(path: Path, options: PrepareOptions) -> ChatIndex:
    message = "An index cannot be filtered. To choose chats, pass the exports instead."
    check((options != PrepareOptions(), message))
    return ChatIndex(path)


def _update_index(
    file: IndexFile, index: ChatIndex, exports: Sequence[Export], choice: ChatFilter
) -> None:
    readings = read_loaders(export.loader for export in exports)

    def sessions() -> Iterator[ChatSession]:
        yield from chain.from_iterable(reading.load() for reading in readings)
        # After an error, the index is not changed.
        choice.check_names(readings)

    if not file.is_current(index):
        file.rebuild(index, sessions())


def _load(index: ChatIndex, load: Callable[[], object], loading: Future[None]) -> None:
    started = perf_counter()
    try:
        load()
    except Exception as error:  # noqa: BLE001 - each tool reports it
        loading.set_exception(error)
        print_error(error)
        return
    loading.set_result(None)
    chats = index.chats()
    messages = plural(sum(chat.messages for chat in chats), "message")
    seconds = perf_counter() - started
    print_line(f"Loaded {messages} in {plural(len(chats), 'chat')} in {seconds:.1f} s")


def _run(server: Callable[[], None]) -> int:
    try:
        server()
    except KeyboardInterrupt:
        print_line("stopped")
        return CTRL_C
    except SystemExit:
        return TERMINATED
    return 0
