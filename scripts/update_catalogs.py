"""Bring the catalogs up to date with the sentences of page and terminal.

New sentences are added without a translation, and those that are gone are removed. The
tests fail until each one is translated: open `catalogs/` of the page and of the cli.
"""

import json
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from langchain_chatexports.datasets.card import REASONS
from langchain_chatexports.evaluation.contestants import TITLES

PACKAGE = Path(__file__).parents[1] / "langchain_chatexports"
PAGE = PACKAGE / "page"
_KEYWORDS = {
    **dict.fromkeys(("_", "Sentence", "lazy_gettext", "paragraph", "say")),
    **dict.fromkeys(("ngettext", "lazy_ngettext", "say_count"), (1, 2)),
}
_WIDTH = 88
# What loaders call the reasons to skip a message, how an owner is found, and dates.
SUMMARY_WORDS = (
    *("auto_reply", "bot", "bulk", "channel", "deleted", "draft", "duplicate", "empty"),
    *("encrypted", "excluded", "failed", "forwarded", "group", "invitation", "media"),
    *("not_downloaded", "orphan", "participants", "reaction", "section", "spam"),
    *("system", "undated", "unreadable", "unsent"),
    *("the export", "the chat's name", "direct messages", "personal chats", "profile"),
    *("personal information", "saved messages", "sent mail", "sent messages"),
    *("the one name in every thread", "autofill information", "delivered mail"),
    *("titles", "first participant", "system lines", "other chats", "the name"),
    *("role", "name", "is_from_me", "option", "the sender You", "deleted messages"),
    *("day first", "month first", "year first"),
    *("day first (a guess)", "month first (a guess)", "year first (a guess)"),
    # The subjects of names that are not found.
    *("sender", "chat", "conversation", "conversation between these dates"),
    *("participant", "sender in these exports", "person in these exports"),
    "conversation in these exports",
    "The reason is unknown.",
    # The names of formats.
    *("ChatLab export", "Discord export", "e-mail", "iMessage database"),
    *("KakaoTalk export", "LINE export", "Messenger export", "Messenger thread file"),
    *("Signal export", "Skype export", "Slack export", "SMS backup"),
    *("table (Parquet, JSON Lines or CSV)", "Telegram export", "WhatsApp export"),
    *REASONS.values(),
    # The stages of an evaluation, its contestants and measures.
    *("scoring", "answering", "matching", "comparing", *TITLES.values()),
    *("tuned", "few-shot", "base", "other", "person", "the person"),
    *("bits per byte", "told apart", "about its message", "looping", "cut off"),
    *("another language", "quotes its prompt", "repeats a message", "answers several"),
    *("copied phrases", "writes others' lines", "distinct replies"),
    *("end with punctuation", "characters per message", "messages per reply"),
    *("of several messages", "fewer than 20 dialogues are held out"),
    "the person's own replies could as well belong to other messages",
    "it needs 8 different held-out messages",
)


def page_sentences() -> Catalog:
    """Return a catalog of the sentences of the page, without translations."""
    found = _extract(PAGE.glob("*.py"))
    steps_of = json.loads((PAGE / "how_to_export.json").read_text("utf-8"))
    for app, steps in steps_of.items():
        screens = (line for step in steps for line in step.get("screen", ()))
        lines = (line.removeprefix("*") for line in screens)
        for sentence in (app, *(step["instruction"] for step in steps), *lines):
            found.add(sentence, locations=[("how_to_export.json", 1)])
    return found


def terminal_sentences() -> Catalog:
    """Return a catalog of the sentences of the terminal, without translations."""
    files = PACKAGE.rglob("*.py")
    found = _extract(file for file in files if not file.is_relative_to(PAGE))
    for word in SUMMARY_WORDS:
        found.add(word, locations=[("counts.py", 1)])
    return found


def _extract(files: Iterable[Path]) -> Catalog:
    found = Catalog(fuzzy=False)
    for file in sorted(files):
        for _, sentence, _, _ in extract_from_file("python", file, _KEYWORDS):
            found.add(sentence, locations=[(file.name, 1)])
    return found


TEMPLATES = {
    PAGE / "catalogs": page_sentences,
    PACKAGE / "cli" / "catalogs": terminal_sentences,
}


def update(file: Path, template: Catalog) -> bytes:
    """Return a catalog with the sentences of a template."""
    catalog = read_po(BytesIO(file.read_bytes()), locale=file.stem)
    created = catalog.creation_date
    catalog.update(template, no_fuzzy_matching=True)
    catalog.creation_date = created  # Changes only if the sentences do.
    catalog.obsolete.clear()
    written = BytesIO()
    write_po(written, catalog, width=_WIDTH, include_lineno=False, omit_header=False)
    return written.getvalue()


def main() -> None:
    """Update the catalogs."""
    for folder, sentences in TEMPLATES.items():
        template = sentences()
        for file in sorted(folder.glob("*.po")):
            file.write_bytes(update(file, template))


if __name__ == "__main__":
    main()
