"""`chatexports search`: find messages, with their times and senders."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from langchain_chatexports._terminal import one_line, plural
from langchain_chatexports.chat_loaders.recognition import Export
from langchain_chatexports.chat_loaders.suggestions import (
    did_you_mean,
    matching_name,
    plain_name,
)
from langchain_chatexports.cli._console import (
    command_line,
    print_json,
    print_line,
    show_progress,
    show_rows,
)
from langchain_chatexports.cli._options import (
    AsJson,
    IndexDir,
    Paths,
    SourceOptions,
    command,
    default_export,
)
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.retrieval.documents import ChatLine, IndexedChat
from langchain_chatexports.retrieval.index import Hit

_BEFORE_THE_WORD = 20
_MAX_ENDING = 4
_MAX_LIMIT = 1_000_000
_MAX_NAME = 24
_POOL = 10


@command
def search(
    query: Annotated[
        str | None,
        typer.Argument(
            metavar="QUERY",
            help="Words or a question; words in quotation marks must occur.",
            show_default=False,
        ),
    ] = None,
    paths: Paths = None,
    *,
    from_: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="PERSON",
            help="Only messages that this person wrote; may be repeated.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=_MAX_LIMIT, help="Most messages to show."),
    ] = 10,
    chats: SourceOptions,
    index_dir: IndexDir = None,
    no_index: Annotated[
        bool,
        typer.Option("--no-index", help="Keep no index: read the exports each time."),
    ] = False,
    delete_indexes: Annotated[
        bool, typer.Option("--delete-indexes", help="Delete all search indexes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Search exports: one line per message, best first.

    The first search of an export writes an index into your user data folder, with all
    texts, which only you can read; it is rebuilt when the export changes.

    For example:
        chatexports search race chat.db --with Hare --since 2023-01-01
        chatexports search "When is the race?" chat.db --json
        chatexports search --delete-indexes
    """
    from langchain_chatexports.workflows.search import index_folder, open_index

    if delete_indexes:
        from langchain_chatexports.retrieval.index_files import delete_indexes as delete

        count = delete(index_folder(index_dir))
        print_line(f"Deleted: {plural(count, 'search index', 'search indexes')}")
        return
    if not query or not query.strip():
        msg = "Name the words to search for: chatexports search QUERY PATH"
        raise typer.BadParameter(msg)
    _check_order(query, paths or [])
    chosen = chats.choice()
    with open_index(
        default_export(paths),
        options=chats.prepare_options(),
        index_dir=index_dir,
        in_memory=no_index,
        watch=show_progress,
    ) as opened:
        if opened.messages_read:
            print_line(f"Read: {plural(opened.messages_read, 'message')}")
        if opened.new_file:
            print_line(f"Indexed in {opened.new_file.parent}, which only you can read.")
            deletion = command_line("search", "--delete-indexes")
            print_line(f"To delete all indexes: {deletion}")
        found = opened.index.chats()
        sources = _chosen_sources(chosen, opened.exports, found)
        senders = {name for chat in found for name in chat.senders}
        authors = [
            name
            for one in from_ or ()
            for name in _matching_names(one, senders, opened.exports, "--from")
        ]
        is_narrowed = bool(authors or chosen.start or chosen.end)
        hits = opened.index.search(
            query,
            k=limit * (_POOL if is_narrowed else 1),
            person=authors or None,
            chat=sources,
            start=chosen.start,
            end=chosen.end,
        )
    # Neither other people's messages nor earlier or later ones may list a message.
    matches = ((hit, line) for hit in hits if hit.words for line in hit.matches)
    shown = [*islice(matches, limit)]
    if as_json:
        print_json([_as_json(hit, line) for hit, line in shown])
    elif shown:
        times = [_local_time(line) for _, line in shown]
        zones = sorted({_zone(time) for time in times if time is not None})
        head = (f"time ({'/'.join(zones) or 'UTC'})", "who", "message")
        lines = zip(times, (line for _, line in shown), strict=True)
        show_rows([head, *(_row(time, line, query) for time, line in lines)])
    else:
        print_line("Nothing was found.")


def _check_order(query: str, paths: list[Path]) -> None:
    """Raise an error for an export before the words: this order is a common mistake."""
    missing = [path for path in paths if not path.expanduser().exists()]
    if missing and Path(query).expanduser().exists():
        line = command_line("search", " ".join(map(str, paths)), query)
        msg = f"The words to search for come before the export: {line}"
        raise typer.BadParameter(msg)


def _chosen_sources(
    chosen: ChatChoice, exports: Sequence[Export], chats: Sequence[IndexedChat]
) -> list[str] | None:
    """Return the sources of the chosen chats; `None` for all."""
    if not (chosen.include or chosen.exclude or chosen.without_groups):
        return None
    names = {chat.source: _names_of_chat(chat) for chat in chats}
    known = {name for found in names.values() for name in found}

    def plain(asked: Iterable[str], option: str) -> set[str]:
        found = (
            name
            for one in asked
            for name in _matching_names(one, known, exports, option)
        )
        return {plain_name(name) for name in found}

    include = plain(chosen.include, "--with")
    exclude = plain(chosen.exclude, "--exclude")
    sources = []
    for chat in chats:
        called = {plain_name(name) for name in names[chat.source]}
        is_group = chosen.without_groups and chat.is_group
        is_other = bool(include) and include.isdisjoint(called)
        if not (is_group or is_other) and exclude.isdisjoint(called):
            sources.append(chat.source)
    if not sources:
        msg = "No conversation matches these options. Use fewer of them."
        raise SenderNotFoundError(msg)
    return sources


def _names_of_chat(chat: IndexedChat) -> set[str]:
    names = {*chat.participants, *chat.senders, chat.title or "", chat.session_id}
    return {name for name in names if name}


def _matching_names(
    asked: str, known: set[str], exports: Sequence[Export], option: str
) -> set[str]:
    """Return the full names for a name, a handle, or the beginning of one."""
    found = {name for export in exports for name in export.loader.names_of(asked)}
    if found := found & known:
        return found
    if name := matching_name(asked, known):
        return {name}
    what = "Nobody" if option == "--from" else "No conversation"
    msg = (
        f"{what} in these exports has the name given with {option}."
        f"{did_you_mean([asked], known)}"
    )
    raise SenderNotFoundError(msg)


def _local_time(line: ChatLine) -> datetime | None:
    if line.time is None:
        return None
    moment = datetime.fromtimestamp(0, timezone.utc) + timedelta(seconds=line.time)
    try:
        return moment.astimezone()
    except (OSError, OverflowError, ValueError):  # Before 1970, on Windows.
        return moment


def _zone(time: datetime) -> str:
    # Time zones of Windows have whole phrases as names.
    name = time.tzname() or ""
    return name if name.isalpha() else f"UTC{time:%z}"


def _row(time: datetime | None, line: ChatLine, query: str) -> tuple[str, str, str]:
    when = f"{time:%Y-%m-%d %H:%M}" if time is not None else ""
    who = line.sender
    if len(who) > _MAX_NAME:
        who = f"{who[: _MAX_NAME - 1]}…"
    return when, who, _excerpt(line.text, query)


def _excerpt(text: str, query: str) -> str:
    """Return a text on one line, starting a little before the first matching word."""
    line = one_line(text)
    place = _place_of_match(line, query)
    if place <= _BEFORE_THE_WORD:
        return line
    cut = line.rfind(" ", 0, place - _BEFORE_THE_WORD) + 1
    return f"… {line[cut:]}" if cut else line


def _place_of_match(line: str, query: str) -> int:
    from langchain_chatexports.retrieval.queries import telling_words

    plain = _plain(line)
    places = []
    for word in map(_plain, telling_words(query) or query.split()):
        # "racing" finds "races": compare the beginning of words, without their endings.
        for length in range(len(word), max(0, len(word) - _MAX_ENDING), -1):
            start = re.escape(word[:length])
            found = re.search(rf"\b{start}", plain) or (
                re.search(start, plain) if length == len(word) else None
            )
            if found:
                places.append(found.start())
                break
    return min(places, default=0)


def _plain(text: str) -> str:
    """Return a text without case and accents; each character stays one character."""
    signs = (unicodedata.normalize("NFKD", sign)[:1].casefold() for sign in text)
    return "".join(sign[:1] or " " for sign in signs)


def _as_json(hit: Hit, line: ChatLine) -> dict[str, Any]:
    metadata = hit.document.metadata
    return {
        "id": line.ids[0],
        "time": line.moment,
        "sender": line.sender,
        "text": line.text,
        "chat": metadata["title"],
        "source": metadata["source"],
        "participants": metadata["participants"],
        "message_ids": metadata["message_ids"],
        "context": hit.document.page_content,
    }
