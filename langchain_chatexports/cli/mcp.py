"""`chatexports mcp`: let an application search chats, by the Model Context Protocol."""

from __future__ import annotations

import logging
import os
import sys
import threading
from concurrent.futures import Future
from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING

from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._chat_options import (
    ChatOptions,
    Contacts,
    Paths,
    People,
    ReadingOptions,
    open_exports,
    own_messages_or,
)
from langchain_chatexports.cli._console import say, stdin_is_terminal
from langchain_chatexports.cli._exit import CTRL_C, TERMINATED
from langchain_chatexports.cli._options import command
from langchain_chatexports.cli._search_index import IndexDir, index_folder
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from langchain_chatexports.retrieval import ChatIndex

__all__ = ["mcp"]


@command
def mcp(
    paths: Paths = None,
    *,
    contacts: Contacts = None,
    people: People = None,
    chats: ChatOptions,
    reading: ReadingOptions,
    index_dir: IndexDir = None,
) -> None:
    """Let an application search your chats: an MCP server over stdin and stdout.

    An application such as Claude Desktop or VS Code starts it and its model can then
    search the chats, read around a message, and see who wrote when. Nothing is changed,
    and this program sends nothing: what it answers, the application may send to the
    provider of its model. Each call is logged on stderr by its counts.

    The exports are read at each start, into memory, and whoever was forgotten in a
    search index is left out.

    For example:
        chatexports mcp chat.db --with Hare --since 2023-01-01
    """
    from langchain_chatexports.retrieval import ChatIndex, chat_mcp_server
    from langchain_chatexports.retrieval.index_files import forget_again

    chosen = chats.choice()
    paths = own_messages_or(paths)
    exports = open_exports(paths, contacts, chosen, people, reading)
    index = ChatIndex()
    filled: Future[None] = Future()
    _log_to_stderr()
    server = chat_mcp_server(index, wait=filled.result)

    def read() -> None:
        index.update(chain.from_iterable(e.loader.lazy_load() for e in exports))
        chosen.check_names(exports)
        forget_again(index, index_folder(index_dir))

    # An application gives up if nothing answers for a minute: read meanwhile.
    threading.Thread(target=_fill, args=(index, read, filled), daemon=True).start()
    if stdin_is_terminal():
        say("Waiting for an application on stdin; Ctrl-C stops.")
    _leave(_run(server.run), index, is_busy=not filled.done())


def _fill(index: ChatIndex, read: Callable[[], None], filled: Future[None]) -> None:
    begin = perf_counter()
    try:
        read()
    except Exception as error:  # noqa: BLE001 - it is what each tool answers
        filled.set_exception(error)
        # The text of another error may quote a message.
        known = isinstance(error, ChatExportError)
        say(f"error: {error if known else f'an unexpected {type(error).__name__}'}")
        return
    filled.set_result(None)
    chats = index.chats()
    messages = plural(sum(chat.messages for chat in chats), "message")
    seconds = perf_counter() - begin
    say(f"{messages} in {plural(len(chats), 'chat')}, read in {seconds:.1f} s")


def _log_to_stderr() -> None:
    # The SDK configures a log of its own where there is none; its logger quotes errors,
    # and so does that of asyncio where a signal ends a task.
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    for name in ("mcp", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    logging.getLogger("langchain_chatexports").setLevel(logging.INFO)


def _run(server: Callable[[], None]) -> int:
    try:
        server()
    except KeyboardInterrupt:
        say("stopped")
        return CTRL_C
    except SystemExit:
        return TERMINATED
    return 0


def _leave(status: int, index: ChatIndex, *, is_busy: bool) -> None:
    if status or is_busy:
        # A thread of the SDK still waits for a line on stdin, or ours still reads, and
        # Python would wait for both.
        _end_now(status)
    index.close()


def _end_now(status: int) -> NoReturn:
    sys.stderr.flush()
    os._exit(status)
