"""Search in your own chats: quoted bubbles with readable dates."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection
from pathlib import Path

from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.page.elements import WorkBar, add, line_form, link
from langchain_chatexports.page.exports import owner_keys
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
from langchain_chatexports.retrieval.index import Hit
from langchain_chatexports.workflows.search import open_index

_MAX_HITS = 30
# Two searches at once would both build the index.
_lock = threading.Lock()


def find_hits(
    paths: list[Path], index_dir: Path, words: str, person: str | None
) -> list[Hit]:
    with _lock, open_index(paths, index_dir=index_dir) as opened:
        return opened.index.search(words, k=_MAX_HITS, person=person)


def build_search(session: PageSession, person: Person | None) -> None:
    name, path, title = None, SEARCH, _("Search in your chats")
    if person is not None:
        name, path = person.name, f"{SEARCH}?person={person.key}"
        title = _("Search in your chats with {name}", name=name)

    async def search(words: str) -> None:
        summary.set_text("")
        quotes.clear()
        owners, paths = owner_keys(session.exports.cards), session.exports.paths()
        found = asyncio.to_thread(find_hits, paths, session.search_dir, words, name)
        hits = await work.run(lazy_gettext("Searching"), found)
        if hits is None:
            return
        text = ngettext(
            "{count} message with “{words}”",
            "{count} messages with “{words}”",
            len(hits),
            words=words,
        )
        nothing = _("Nothing found with “{words}”.", words=words)
        summary.set_text(text if hits else nothing)
        with quotes:
            for hit in hits:
                _build_quote(hit, owners)

    with screen(session, path, title), add("div", classes="body"):
        if not session.exports.paths():
            add("p", _("The chats are not here: add them, to search in them."))
            link(_("Add chats"), ADD, "primary")
            return
        label = _("Words, or a question")
        line_form(label, _("Search"), search, autofocus=True).mark("search")
        work = WorkBar()
        summary = add("p", classes="quiet", role="status", dir="auto")
        quotes = add("ul", classes="quotes")


def _build_quote(hit: Hit, owners: Collection[str]) -> None:
    match, chat = hit.match, str(hit.document.metadata.get("title") or "")
    day = ""
    if match.time is not None:
        day = f"{format_day(match.time)}, {format_clock(match.time)}"
    with add("li"):
        in_chat = chat if chat != match.sender else ""
        add("p", join_parts(match.sender, day, in_chat), "quiet", dir="auto")
        if index := hit.lines.index(match):
            before = hit.lines[index - 1]
            text = f"{before.sender}: {before.text}"
            add("p", text, "quiet before", dir="auto")
        side = "mine" if name_key(match.sender) in owners else "theirs"
        add("p", match.text, f"quote {side}", dir="auto")
