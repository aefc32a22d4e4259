"""`chatexports search`: find messages, with their times and senders."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from langchain_chatexports._terminal import one_line
from langchain_chatexports._translation import Sentence, _
from langchain_chatexports.chat_loaders.names import NameIndex
from langchain_chatexports.chat_loaders.recognition import Export
from langchain_chatexports.cli._console import (
    command_line,
    print_json,
    say,
    say_count,
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
    flag,
    option,
    resolve_paths,
)
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.retrieval.documents import ChatLine, IndexedChat
from langchain_chatexports.retrieval.index import ChatIndex, Hit
from langchain_chatexports.retrieval.index_files import delete_indexes as delete
from langchain_chatexports.workflows.chat_filter import ChatFilter
from langchain_chatexports.workflows.search import open_index

_CONTEXT_CHARACTERS = 20
_MAX_LIMIT = 1_000_000
_MAX_NAME_LENGTH = 24
_OVERSAMPLING = 10


@command
def search(
    query: Annotated[
        str | None,
        typer.Argument(
            metavar="QUERY",
            help='Words or a question; "quoted words" must match exactly.',
        ),
    ] = None,
    paths: Paths = None,
    *,
    from_: Annotated[
        list[str] | None,
        option("PERSON", "Only messages from this person; repeatable.", "--from"),
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

    The first search writes an index with all message text to your user data folder,
    readable only by you. It is rebuilt when the export changes.

    For example:
        chatexports search race chat.db --with Hare --since 2023-01-01
        chatexports search "When is the race?" chat.db --json
        chatexports search --delete-indexes
    """
    if delete_indexes:
        count = delete(index_dir)
        say_count(
            "Deleted: {count} search index",
            "Deleted: {count} search indexes",
            count,
        )
        return
    query = (query or "").strip()
    # A common mistake is to put the query after the export.
    missing_paths = [path for path in paths or () if not path.expanduser().exists()]
    line = command_line("search", " ".join(map(str, paths or ())), query)
    check(
        (
            not query,
            _(
                "Enter a search query: {command}",
                command=command_line("search", "QUERY", "PATH"),
            ),
        ),
        (
            missing_paths and Path(query).expanduser().exists(),
            _("Put the query before the export: {command}", command=line),
        ),
    )
    choice = chats.choice()
    with open_index(
        resolve_paths(paths),
        options=chats.to_prepare_options(),
        index_dir=index_dir,
        watch=show_progress,
    ) as opened:
        if opened.messages_read:
            say_count(
                "Read: {count} message",
                "Read: {count} messages",
                opened.messages_read,
            )
        if opened.new_file:
            folder = opened.new_file.parent
            say("Created an index, readable only by you, in {folder}", folder=folder)
            chosen = () if index_dir is None else ("--index-dir", index_dir)
            deletion = command_line("search", "--delete-indexes", *chosen)
            say("To delete all indexes: {command}", command=deletion)
        indexed_chats = opened.index.chats()
        has_names = bool(choice.include or choice.exclude or from_)
        handles = _read_handles(opened.exports) if has_names else {}
        sources = _find_sources(choice, handles, indexed_chats)
        senders = {name for chat in indexed_chats for name in chat.senders}
        authors = _index_names(senders, handles).resolve_names(
            from_ or (), subject="person in these exports", option="--from"
        )
        has_filters = bool(authors or choice.start or choice.end)
        hits = opened.index.search(
            query,
            k=limit * (_OVERSAMPLING if has_filters else 1),
            person=authors or None,
            chat=sources,
            start=choice.start,
            end=choice.end,
        )
        matches = _iter_matches(opened.index, hits, with_answers=not has_filters)
        results = [*islice(matches, limit)]
    if as_json:
        print_json([_to_json(hit, line) for hit, line in results])
    elif results:
        times = [_to_local_time(line) for _, line in results]
        zones = sorted({_format_zone(time) for time in times if time is not None})
        zone = "/".join(zones) or "UTC"
        header = (_("time ({zone})", zone=zone), _("who"), _("message"))
        pairs = zip(times, results, strict=True)
        show_rows([header, *(_format_row(time, *match) for time, match in pairs)])
    else:
        say("No messages found.")


def _iter_matches(
    index: ChatIndex, hits: Iterable[Hit], *, with_answers: bool
) -> Iterator[tuple[Hit, ChatLine]]:
    """Yield each matching message once, and questions with their answer."""
    seen: set[ChatLine] = set()
    for hit in hits:
        source = hit.document.metadata["source"]
        # Without `words`, only other people's messages or those on other dates match.
        for match in hit.matches if hit.words else ():
            lines = index.with_answer(match, chat=source) if with_answers else [match]
            yield from ((hit, line) for line in lines if line not in seen)
            seen.update(lines)


def _find_sources(
    choice: ChatFilter,
    handles: Mapping[str, Collection[str]],
    chats: Sequence[IndexedChat],
) -> list[str] | None:
    """Return the sources of the selected chats; `None` for all chats."""
    if not (choice.include or choice.exclude or choice.without_groups):
        return None
    index = _index_names({n for chat in chats for n in _get_chat_names(chat)}, handles)
    subject = "conversation in these exports"
    include, exclude = (
        index.resolve_names(names, subject=subject, option=option)
        for names, option in ((choice.include, "--with"), (choice.exclude, "--exclude"))
    )
    sources = []
    for chat in chats:
        names = _get_chat_names(chat)
        is_skipped_group = choice.without_groups and chat.is_group
        is_included = not include or not include.isdisjoint(names)
        if is_included and not is_skipped_group and exclude.isdisjoint(names):
            sources.append(chat.source)
    if not sources:
        msg = Sentence("No conversation matches these options. Try fewer of them.")
        raise SenderNotFoundError(msg)
    return sources


def _get_chat_names(chat: IndexedChat) -> set[str]:
    names = (*chat.participants, *chat.senders, chat.title, chat.session_id)
    return {name for name in names if name}


def _read_handles(exports: Iterable[Export]) -> dict[str, set[str]]:
    """Return the handles of people by name, which can take seconds to read."""
    handles: dict[str, set[str]] = {}
    for export in exports:
        for name, others in export.loader.list_names().handles().items():
            handles.setdefault(name, set()).update(others)
    return handles


def _index_names(
    names: Collection[str], handles: Mapping[str, Collection[str]]
) -> NameIndex[frozenset[str]]:
    known_handles = {name: handles[name] for name in names if name in handles}
    return NameIndex.of(names, known_handles)


def _to_local_time(line: ChatLine) -> datetime | None:
    if line.time is None:
        return None
    time = datetime.fromtimestamp(0, UTC) + timedelta(seconds=line.time)
    try:
        return time.astimezone()
    except (OSError, OverflowError, ValueError):  # Before 1970, on Windows.
        return time


def _format_zone(time: datetime) -> str:
    # On Windows, time zone names are phrases.
    name = time.tzname() or ""
    return name if name.isalpha() else f"UTC{time:%z}"


def _format_row(
    time: datetime | None, hit: Hit, line: ChatLine
) -> tuple[str, str, str]:
    formatted_time = f"{time:%Y-%m-%d %H:%M}" if time is not None else ""
    sender = line.sender
    if len(sender) > _MAX_NAME_LENGTH:
        sender = f"{sender[: _MAX_NAME_LENGTH - 1]}…"
    return formatted_time, sender, _create_excerpt(hit, line)


def _create_excerpt(hit: Hit, line: ChatLine) -> str:
    """Return a message on one line, starting shortly before the first match."""
    # The index stores words in NFC.
    text = one_line(unicodedata.normalize("NFC", line.text))
    positions = [_find(text.lower(), word.lower()) for word in hit.marked]
    position = min((start for start in positions if start >= 0), default=0)
    if position <= _CONTEXT_CHARACTERS:
        return text
    cut = text.rfind(" ", 0, position - _CONTEXT_CHARACTERS) + 1
    return f"… {text[cut:]}" if cut else text


def _find(text: str, words: str) -> int:
    """Return the position of a word or phrase; -1 if it is not found."""
    position = text.find(words)
    # In scripts without spaces, the words of a phrase are bigrams.
    return position if position >= 0 else text.find(words.split(maxsplit=1)[0])


def _to_json(hit: Hit, line: ChatLine) -> dict[str, Any]:
    metadata = hit.document.metadata
    return {
        "id": line.ids[0],
        "time": line.iso_time,
        "sender": line.sender,
        "text": line.text,
        "chat": metadata["title"],
        "source": metadata["source"],
        "participants": metadata["participants"],
        "message_ids": metadata["message_ids"],
        "context": hit.document.page_content,
    }
