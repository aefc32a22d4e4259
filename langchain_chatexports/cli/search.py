"""`chatexports search`: what was said, when and by whom."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_chatexports._terminal import one_line, plural
from langchain_chatexports.cli._chat_options import (
    ChatOptions,
    Contacts,
    Paths,
    People,
    ReadingOptions,
    own_messages_or,
)
from langchain_chatexports.cli._console import print_json, say, show_rows
from langchain_chatexports.cli._options import AsJson, command
from langchain_chatexports.cli._search_index import (
    IndexDir,
    index_folder,
    open_index_of,
)
from langchain_chatexports.exceptions import SenderNotFoundError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from langchain_chatexports.chat_loaders.recognition import Export
    from langchain_chatexports.datasets.chat_choice import ChatChoice
    from langchain_chatexports.retrieval.documents import ChatLine
    from langchain_chatexports.retrieval.index import ChatIndex, Hit, IndexedChat

__all__ = ["search"]

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
            help="Words or a question; what stands in quotation marks must occur.",
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
            help="Only messages that this person wrote; may be given several times.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=_MAX_LIMIT, help="Most messages to show."),
    ] = 10,
    contacts: Contacts = None,
    people: People = None,
    chats: ChatOptions,
    reading: ReadingOptions,
    index_dir: IndexDir = None,
    no_index: Annotated[
        bool,
        typer.Option(
            "--no-index",
            help="Keep no index: read the exports each time, a few seconds for "
            "100,000 messages.",
        ),
    ] = False,
    delete_indexes: Annotated[
        bool, typer.Option("--delete-indexes", help="Delete all search indexes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Search exports: a line for each message that fits, best first.

    The first search of an export writes an index into your user data folder, with all
    texts, which only you can read; it is made anew when the export changes.

    For example:
        chatexports search race chat.db --with Hare --since 2023-01-01
        chatexports search "When is the race?" chat.db --json
        chatexports search --delete-indexes
    """
    if delete_indexes:
        _delete(index_folder(index_dir))
        return
    if not query or not query.strip():
        msg = "Say what to search for: chatexports search QUERY PATH"
        raise typer.BadParameter(msg)
    chosen = chats.choice()
    with open_index_of(
        own_messages_or(paths),
        contacts=contacts,
        people=people,
        reading=reading,
        index_dir=index_dir,
        in_memory=no_index,
    ) as (exports, index):
        sources = _chosen_sources(chosen, exports, index)
        authors = [name for one in from_ or () for name in _names(exports, one)]
        is_narrowed = bool(authors or chosen.start or chosen.end)
        hits = index.search(
            query,
            k=limit * (_POOL if is_narrowed else 1),
            person=authors or None,
            chat=sources,
            start=chosen.start,
            end=chosen.end,
        )
    # What others said, or earlier or later, is no reason to list a message.
    found = ((hit, line) for hit in hits if hit.words for line in hit.matches)
    shown = [*islice(found, limit)]
    if as_json:
        print_json([_as_json(hit, line) for hit, line in shown])
    elif shown:
        times = [_local_time(line) for _, line in shown]
        zones = sorted({_zone(time) for time in times if time is not None})
        head = (f"time ({'/'.join(zones) or 'UTC'})", "who", "message")
        lines = zip(times, (line for _, line in shown), strict=True)
        show_rows([head, *(_row(time, line, query) for time, line in lines)])
    else:
        say("Nothing was found.")


def _delete(folder: Path) -> None:
    from langchain_chatexports.retrieval.index_files import delete_indexes

    say(f"Deleted: {plural(delete_indexes(folder), 'search index', 'search indexes')}")


def _chosen_sources(
    chosen: ChatChoice, exports: Sequence[Export], index: ChatIndex
) -> list[str] | None:
    """Return the sources of the chats that were chosen; `None` for all.

    Raises:
        SenderNotFoundError: If a name that was given is nobody's.
    """
    named = (*chosen.people, *chosen.include, *chosen.exclude)
    if not named and not chosen.without_groups:
        return None
    chats = index.chats()
    called = {chat.source: _called(chat) for chat in chats}
    unknown = [
        one
        for one in named
        if not any(_fits(exports, [one], names) for names in called.values())
    ]
    if unknown:
        from langchain_chatexports.chat_loaders.suggestions import did_you_mean

        known = {name for chat in chats for name in (*chat.participants, *chat.senders)}
        msg = (
            f"There is no conversation for a name given.{did_you_mean(unknown, known)}"
        )
        raise SenderNotFoundError(msg)
    sources = [
        chat.source
        for chat in chats
        if not (chosen.without_groups and chat.is_group)
        and (not chosen.people or _fits(exports, chosen.people, called[chat.source]))
        and (not chosen.include or _fits(exports, chosen.include, called[chat.source]))
        and not _fits(exports, chosen.exclude, called[chat.source])
    ]
    if not sources:
        msg = "No conversation is left: choose others, or fewer conditions."
        raise SenderNotFoundError(msg)
    return sources


def _called(chat: IndexedChat) -> set[str]:
    names = {*chat.participants, *chat.senders, chat.title or "", chat.session_id}
    return {name.casefold() for name in names if name}


def _fits(
    exports: Sequence[Export], asked: Iterable[str], names: Collection[str]
) -> bool:
    wanted = {name.casefold() for one in asked for name in _names(exports, one)}
    return not wanted.isdisjoint(names)


def _names(exports: Sequence[Export], person: str) -> set[str]:
    """Return the names that a person has in the exports, by name or handle."""
    return {person}.union(*(export.loader.names_of(person) for export in exports))


def _local_time(line: ChatLine) -> datetime | None:
    if line.time is None:
        return None
    moment = datetime.fromtimestamp(0, timezone.utc) + timedelta(seconds=line.time)
    try:
        return moment.astimezone()
    except (OSError, OverflowError, ValueError):  # Before 1970, on Windows.
        return moment


def _zone(time: datetime) -> str:
    # Windows has whole phrases as names.
    name = time.tzname() or ""
    return name if name.isalpha() else f"UTC{time:%z}"


def _row(time: datetime | None, line: ChatLine, query: str) -> tuple[str, str, str]:
    when = f"{time:%Y-%m-%d %H:%M}" if time is not None else ""
    who = line.sender
    if len(who) > _MAX_NAME:
        who = f"{who[: _MAX_NAME - 1]}…"
    return when, who, _excerpt(line.text, query)


def _excerpt(text: str, query: str) -> str:
    """Return a text on one line, from a little before the first word that fits."""
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
        # "races" is found by "racing": without its ending, but at a word's beginning.
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
    """Return a text without case and accents; each sign stays one sign."""
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
