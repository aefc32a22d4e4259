"""`chatexports search`: what was said, when and by whom."""

from __future__ import annotations

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
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from langchain_chatexports.chat_loaders.documents import ChatLine
    from langchain_chatexports.chat_loaders.recognition import Export
    from langchain_chatexports.datasets.chat_choice import ChatChoice
    from langchain_chatexports.retrieval.index import ChatIndex, Hit, IndexedChat

__all__ = ["search"]

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
    meaning: Annotated[
        bool,
        typer.Option(
            "--meaning",
            help="Find by meaning too, with a small English model on this machine "
            "(needs the extra 'retrieval').",
        ),
    ] = False,
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
    texts, which only you can read; later ones read what has changed.

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
    embeddings = None
    if meaning:
        from langchain_chatexports.retrieval.wordllama import WordLlamaEmbeddings

        embeddings = WordLlamaEmbeddings()
    with open_index_of(
        own_messages_or(paths),
        contacts=contacts,
        people=people,
        reading=reading,
        index_dir=index_dir,
        embeddings=embeddings,
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
    found = _lines(hits, fitting_only=not meaning)
    shown = [*islice(found, limit)]
    if as_json:
        print_json([_as_json(hit, line) for hit, line in shown])
    elif shown:
        rows = (_row(line, query) for _, line in shown)
        show_rows([("time (UTC)", "who", "message"), *rows])
    else:
        say("Nothing was found.")


def _lines(
    hits: Iterable[Hit], *, fitting_only: bool
) -> Iterator[tuple[Hit, ChatLine]]:
    """Yield each message that fits, with its hit."""
    for hit in hits:
        # What others said, or earlier or later, is no reason to list a message.
        if fitting_only and not hit.words:
            continue
        yield from ((hit, line) for line in hit.matches)


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


def _row(line: ChatLine, query: str) -> tuple[str, str, str]:
    when = (line.moment or "")[:16].replace("T", " ")
    who = line.sender
    if len(who) > _MAX_NAME:
        who = f"{who[: _MAX_NAME - 1]}…"
    return when, who, _excerpt(line.text, query)


def _excerpt(text: str, query: str) -> str:
    """Return a text on one line, from a little before the first word that fits."""
    line = one_line(text)
    folded = line.casefold()
    places = [folded.find(word.casefold().strip('"?!.,')) for word in query.split()]
    first = min((place for place in places if place >= 0), default=0)
    if first <= _BEFORE_THE_WORD:
        return line
    cut = line.rfind(" ", 0, first - _BEFORE_THE_WORD) + 1
    return f"… {line[cut:]}" if cut else line


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
