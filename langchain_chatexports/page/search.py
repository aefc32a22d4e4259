"""Search in your own chats: quoted bubbles with readable dates."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path
from typing import NamedTuple

from nicegui import ui

from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.page.elements import (
    KeyedList,
    Show,
    WorkBar,
    add,
    line_form,
    link,
    set_text,
)
from langchain_chatexports.page.errors import translate_error
from langchain_chatexports.page.frame import ADD, SEARCH, screen
from langchain_chatexports.page.languages import (
    _,
    format_clock,
    format_day,
    join_parts,
    lazy_gettext,
    ngettext,
)
from langchain_chatexports.page.people import Person
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.work import IDLE, WorkState
from langchain_chatexports.retrieval.index import Hit
from langchain_chatexports.workflows.search import open_index

_MAX_HITS = 30
_SEARCHING = WorkState(is_running=True, title=lazy_gettext("Searching"))
# Two searches at once would both build the index.
_lock = threading.Lock()


class Quote(NamedTuple):
    """A message that was found, with the one before it."""

    number: int
    chat: str
    sender: str
    text: str
    time: float | None
    before: str = ""
    is_owner: bool = False


def find_quotes(
    paths: list[Path], index_dir: Path, words: str, person: str | None
) -> list[Quote]:
    """Return the messages that fit best; the index is kept in a private folder."""
    with _lock, open_index(paths, index_dir=index_dir) as opened:
        hits = opened.index.search(words, k=_MAX_HITS, person=person)
    return [_quote(number, hit) for number, hit in enumerate(hits)]


def _quote(number: int, hit: Hit) -> Quote:
    match, metadata = hit.match, hit.document.metadata
    index = hit.lines.index(match)
    earlier = hit.lines[index - 1] if index else None
    return Quote(
        number,
        str(metadata.get("title") or ""),
        match.sender,
        match.text,
        None if match.time is None else float(match.time),
        f"{earlier.sender}: {earlier.text}" if earlier else "",
    )


def build_search(session: PageSession, person: Person | None) -> None:
    """Build the screen; with a person, for the chats with them."""
    name = person.name if person else None
    title = _("Search in your chats")
    if name:
        title = _("Search in your chats with {name}", name=name)
    contents = session.contents
    owners = {name_key(owner) for owner in contents.owners} if contents else set()
    path = f"{SEARCH}?person={person.key}" if person else SEARCH
    with screen(session, path, title), ui.element("div").classes("body"):
        if contents is None:
            add("p", _("The chats are not here: add them, to search in them."))
            link(_("Add chats"), ADD, "primary")
            return

        async def show_quotes(words: str) -> None:
            work.show(_SEARCHING)
            set_text(found, "")
            paths, folder = session.exports.paths(), session.search_dir
            search = partial(find_quotes, paths, folder, words, name)
            state, quotes = IDLE, []
            try:
                quotes = await asyncio.to_thread(search)
            except (ChatExportError, OSError) as error:
                state = WorkState(error=translate_error(error))
            work.show(state)
            count = ngettext(
                "{count} message with “{words}”",
                "{count} messages with “{words}”",
                len(quotes),
                words=words,
            )
            nothing = _("Nothing found with “{words}”.", words=words)
            set_text(found, count if quotes else nothing)
            list_.show(
                quote._replace(is_owner=name_key(quote.sender) in owners)
                for quote in quotes
            )

        label = _("Words, or a question")
        form = line_form(label, _("Search"), show_quotes, autofocus=True)
        form.mark("search")
        work = WorkBar()
        found = add("p", classes="quiet", role="status", dir="auto")
        list_ = KeyedList(_build_quote, lambda quote: quote).classes("quotes")


def _build_quote(_row: ui.element, quote: Quote) -> Show[Quote]:
    day = ""
    if quote.time is not None:
        day = f"{format_day(quote.time)}, {format_clock(quote.time)}"
    chat = quote.chat if quote.chat != quote.sender else ""
    add("p", join_parts(quote.sender, day, chat), "quiet", dir="auto")
    if quote.before:
        add("p", quote.before, "quiet before", dir="auto")
    side = "mine" if quote.is_owner else "theirs"
    add("p", quote.text, f"quote {side}", dir="auto")
    return lambda _quote: None
