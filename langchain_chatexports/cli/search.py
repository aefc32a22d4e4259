"""`chatexports search`: find messages, with their times and senders."""

from __future__ import annotations

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
    check,
    command,
    default_export,
    flag,
    option,
)
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.retrieval.documents import ChatLine, IndexedChat
from langchain_chatexports.retrieval.index import Hit
from langchain_chatexports.retrieval.index_files import delete_indexes as delete
from langchain_chatexports.workflows.search import open_index

_BEFORE_THE_WORD = 20
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
        ),
    ] = None,
    paths: Paths = None,
    *,
    from_: Annotated[
        list[str] | None,
        option(
            "PERSON", "Only messages that this person wrote; may be repeated.", "--from"
        ),
    ] = None,
    limit: Annotated[
        int, option("N", "Maximum number of messages.", min=1, max=_MAX_LIMIT)
    ] = 10,
    chats: SourceOptions,
    index_dir: IndexDir = None,
    delete_indexes: Annotated[
        bool, flag("--delete-indexes", "Delete all search indexes.")
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
    if delete_indexes:
        count = delete(index_dir)
        print_line(f"Deleted: {plural(count, 'search index', 'search indexes')}")
        return
    query = (query or "").strip()
    # The words after an export are a common mistake.
    missing = [path for path in paths or () if not path.expanduser().exists()]
    line = command_line("search", " ".join(map(str, paths or ())), query)
    check(
        (not query, "Name the words to search for: chatexports search QUERY PATH"),
        (
            missing and Path(query).expanduser().exists(),
            f"The words to search for come before the export: {line}",
        ),
    )
    chosen = chats.choice()
    with open_index(
        default_export(paths),
        options=chats.prepare_options(),
        index_dir=index_dir,
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
        pairs = zip(times, shown, strict=True)
        show_rows([head, *(_row(time, *match) for time, match in pairs)])
    else:
        print_line("Nothing was found.")


def _chosen_sources(
    chosen: ChatChoice, exports: Sequence[Export], chats: Sequence[IndexedChat]
) -> list[str] | None:
    """Return the sources of the chosen chats; `None` for all."""
    if not (chosen.include or chosen.exclude or chosen.without_groups):
        return None
    known = {name for chat in chats for name in _names_of_chat(chat)}

    def named(asked: Iterable[str], option: str) -> set[str]:
        found = (_matching_names(one, known, exports, option) for one in asked)
        return {plain_name(name) for names in found for name in names}

    include = named(chosen.include, "--with")
    exclude = named(chosen.exclude, "--exclude")
    sources = []
    for chat in chats:
        names = {plain_name(name) for name in _names_of_chat(chat)}
        is_group = chosen.without_groups and chat.is_group
        is_other = bool(include) and include.isdisjoint(names)
        if not (is_group or is_other) and exclude.isdisjoint(names):
            sources.append(chat.source)
    if not sources:
        msg = "No conversation matches these options. Use fewer of them."
        raise SenderNotFoundError(msg)
    return sources


def _names_of_chat(chat: IndexedChat) -> set[str]:
    names = (*chat.participants, *chat.senders, chat.title, chat.session_id)
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


def _row(time: datetime | None, hit: Hit, line: ChatLine) -> tuple[str, str, str]:
    when = f"{time:%Y-%m-%d %H:%M}" if time is not None else ""
    who = line.sender
    if len(who) > _MAX_NAME:
        who = f"{who[: _MAX_NAME - 1]}…"
    return when, who, _excerpt(hit, line)


def _excerpt(hit: Hit, line: ChatLine) -> str:
    """Return a message on one line, from a little before the first matching word."""
    # The words are those of the index, which are composed.
    text = one_line(unicodedata.normalize("NFC", line.text))
    found = (_find(text.lower(), word.lower()) for word in hit.marked)
    position = min((at for at in found if at >= 0), default=0)
    if position <= _BEFORE_THE_WORD:
        return text
    cut = text.rfind(" ", 0, position - _BEFORE_THE_WORD) + 1
    return f"… {text[cut:]}" if cut else text


def _find(text: str, words: str) -> int:
    """Return the position of a word or phrase; -1 if it is not there."""
    at = text.find(words)
    # In scripts without spaces, a phrase is marked as pairs of letters.
    return at if at >= 0 else text.find(words.split(maxsplit=1)[0])


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
