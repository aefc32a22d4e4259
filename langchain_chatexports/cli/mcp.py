"""`chatexports mcp`: search chats from other applications, by the MCP."""

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
from langchain_chatexports.chat_loaders.recognition import Export
from langchain_chatexports.cli._console import print_line, stdin_is_terminal
from langchain_chatexports.cli._exit import CTRL_C, TERMINATED
from langchain_chatexports.cli._options import (
    IndexDir,
    Paths,
    SourceOptions,
    check,
    command,
    default_export,
    open_exports,
)
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.datasets.preparation import PrepareOptions
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.retrieval import ChatIndex, chat_mcp_server
from langchain_chatexports.retrieval.index_files import IndexFile
from langchain_chatexports.retrieval.mcp_server import silence_sdk
from langchain_chatexports.retrieval.storage import is_index
from langchain_chatexports.workflows.search import index_file


@command
def mcp(
    paths: Paths = None, *, chats: SourceOptions, index_dir: IndexDir = None
) -> None:
    """Let another application search your chats (MCP).

    This is an MCP server over stdin and stdout. An application such as Claude Desktop
    or VS Code starts it, and its model can then search the chats, read around a
    message, and see who wrote when. Nothing is changed, and this program sends nothing,
    but the application may send the answers to the provider of its model.

    The first start writes an index into your user data folder, as search does, and
    each start rebuilds it if an export has changed.

    For example:
        chatexports mcp chat.db --with Hare --since 2023-01-01
    """
    options = chats.prepare_options()
    paths = default_export(paths)
    filled: Future[None] = Future()
    silence_sdk()
    if len(paths) == 1 and is_index(paths[0].expanduser()):
        index = _served_as_it_is(paths[0], options)
        fill: Callable[[], object] = index.note
    else:
        exports = open_exports(paths, chats)
        file = index_file(paths, options, index_dir)
        index = file.open()
        fill = partial(_make_current, file, index, exports, options.chats)
    server = chat_mcp_server(index, wait=filled.result)
    # An application gives up if nothing answers for a minute: read meanwhile.
    threading.Thread(target=_fill, args=(index, fill, filled), daemon=True).start()
    if stdin_is_terminal():
        print_line("Waiting for an application on stdin; Ctrl-C stops.")
    status = _run(server.run)
    if status or not filled.done():
        # A thread of the SDK still waits for a line on stdin, or ours still reads, and
        # Python would wait for either.
        sys.stderr.flush()
        os._exit(status)
    index.close()


def _served_as_it_is(path: Path, options: PrepareOptions) -> ChatIndex:
    message = "An index is served as it is: choose chats when you create it."
    check((options != PrepareOptions(), message))
    return ChatIndex(path)


def _make_current(
    file: IndexFile, index: ChatIndex, exports: Sequence[Export], chosen: ChatChoice
) -> None:
    def sessions() -> Iterator[ChatSession]:
        yield from chain.from_iterable(export.loader.lazy_load() for export in exports)
        # An error here leaves the index as it was.
        chosen.check_names(exports)

    if not file.is_current(index):
        file.rebuild(index, sessions())


def _fill(index: ChatIndex, fill: Callable[[], object], filled: Future[None]) -> None:
    begin = perf_counter()
    try:
        fill()
    except Exception as error:  # noqa: BLE001 - each tool returns it
        filled.set_exception(error)
        # The text of another error may quote a message.
        known = isinstance(error, ChatExportError)
        print_line(
            f"error: {error if known else f'an unexpected {type(error).__name__}'}"
        )
        return
    filled.set_result(None)
    chats = index.chats()
    messages = plural(sum(chat.messages for chat in chats), "message")
    seconds = perf_counter() - begin
    print_line(f"{messages} in {plural(len(chats), 'chat')}, read in {seconds:.1f} s")


def _run(server: Callable[[], None]) -> int:
    try:
        server()
    except KeyboardInterrupt:
        print_line("stopped")
        return CTRL_C
    except SystemExit:
        return TERMINATED
    return 0
