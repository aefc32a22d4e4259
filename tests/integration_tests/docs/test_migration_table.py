"""Measures what changes for people who come from langchain-community.

The table in docs/migration.md is made here. After a change:
`python -m tests.integration_tests.docs.test_migration_table`.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from langchain_core.messages import HumanMessage

import langchain_chatexports as ours
from langchain_chatexports.chat_loaders import utils
from tests.integration_tests import community
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.messenger import Export
from tests.unit_tests.builders.slack import SlackExport, workspace
from tests.unit_tests.builders.telegram import (
    BO,
    CY,
    TelegramChat,
    account_text,
)
from tests.unit_tests.builders.typedstream import attributed_body
from tests.unit_tests.builders.whatsapp import WhatsAppChat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.chat_loaders import BaseChatLoader

# Python 3.13 warns when it finds the connections that the iMessage loader left open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NOON = 1_700_000_000
FRIEND = "+15550000001"


class Row(NamedTuple):
    """A row of the table: what is asked, and how to measure the answer."""

    question: str
    measure: Callable[[Path, Any], object]
    before: Any
    after: Any


def imessage(
    build: Callable[[ChatDb], None], ask: Callable[[Any, Path], object]
) -> Any:
    """Ask a loader about a database."""

    def measure(folder: Path, loader: type[BaseChatLoader]) -> object:
        path = folder / "chat.db"
        with ChatDb(path) as db:
            build(db)
        return ask(loader, path)

    return measure


def messenger(
    build: Callable[[Export], None], ask: Callable[[Any, Path], object]
) -> Any:
    """Ask a loader about an export in a folder."""

    def measure(folder: Path, loader: type[BaseChatLoader]) -> object:
        export = Export()
        build(export)
        root = export.to_folder(folder / "export")
        return ask(loader, root / "your_facebook_activity" / "messages")

    return measure


def telegram(
    build: Callable[[TelegramChat], None], ask: Callable[[Any, Path], object]
) -> Any:
    """Ask a loader about the export of a chat."""

    def measure(folder: Path, loader: type[BaseChatLoader]) -> object:
        chat = TelegramChat()
        build(chat)
        try:
            return ask(loader, chat.write(folder / "result.json"))
        except Exception as error:  # noqa: BLE001 - the kind is the answer
            return f"`{type(error).__name__}`"

    return measure


def whatsapp(chat: WhatsAppChat, ask: Callable[[Any, Path], object]) -> Any:
    """Ask a loader about a chat."""

    def measure(folder: Path, loader: Any) -> object:
        return ask(loader, chat.to_file(folder / "_chat.txt"))

    return measure


def slack(
    build: Callable[[SlackExport], None], ask: Callable[[Any, Path], object]
) -> Any:
    """Ask a loader about an export's zip."""

    def measure(folder: Path, loader: Any) -> object:
        export, general = workspace()
        general.says("U1", "Hi!")
        general.says("U2", "Hi, <@U1>!", day=2)
        build(export)
        return ask(loader, export.to_zip(folder / "export.zip"))

    return measure


def as_it_is(_: SlackExport) -> None:
    """Leave an export of two days and two people."""


def thread_and_bot(export: SlackExport) -> None:
    general = export.folder("general")
    root = general.says("U1", "Lunch?", day=3)
    general.says("U2", "Done.", day=3)
    general.says("U2", "Noon.", day=3, thread_ts=root["ts"])
    general.says("U9", "Build is green.", day=3)


def canvas(export: SlackExport) -> None:
    export.others["general/canvas.json"] = '{"title": "Notes"}'


def senders(loader: Any, path: Path) -> str:
    return ", ".join(
        message.additional_kwargs["sender"]
        for session in loader(path=path).load()
        for message in session["messages"]
    )


def texts(loader: Any, path: Path) -> str:
    return " / ".join(
        str(message.content)
        for session in loader(path=path).load()
        for message in session["messages"]
    )


def count(loader: Any, path: Path) -> int:
    return sum(len(session["messages"]) for session in loader(path=path).load())


def sessions(loader: Any, path: Path) -> int:
    return len(loader(path=path).load())


def message_time(loader: Any, path: Path) -> object:
    return loader(path=path).load()[0]["messages"][0].additional_kwargs["message_time"]


def file_after_reading(loader: Any, path: Path) -> str:
    """Read a database whose newest messages are in its log still."""
    folder = path.parent / "copy"
    folder.mkdir()
    with ChatDb(folder / "live.db", wal=True) as db:
        db.chat(FRIEND).message("Hi!")
        for name in ("live.db", "live.db-wal"):
            copied = folder / name.replace("live", "chat")
            copied.write_bytes((folder / name).read_bytes())
    digest = _digest(folder / "chat.db")
    loader(path=folder / "chat.db").load()
    gc.collect()
    return "the same" if _digest(folder / "chat.db") == digest else "another"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def one_of_each(db: ChatDb) -> None:
    chat = db.chat(FRIEND)
    chat.message("Ready?")
    chat.message("Always.", mine=True)


def group_of_three(db: ChatDb) -> None:
    people = ("anna@pond.example", "bo@pond.example", "cy@pond.example")
    chat = db.chat(*people, name="The race")
    chat.message("First!", sender=people[0])
    chat.message("Second!", sender=people[1])


def long_text(db: ChatDb) -> None:
    db.chat(FRIEND).message(body=attributed_body("slow and steady " * 5_000))


def one_at_noon(db: ChatDb) -> None:
    db.chat(FRIEND).message("Hi!", at=NOON)


def accents(export: Export) -> None:
    export.thread("ada_1").says("Grace Hopper", "Café 😂", NOON * 1000)


def long_thread(export: Export) -> None:
    chat = export.thread("ada_1")
    for number in range(25):
        chat.says("Grace Hopper", f"Line {number}", NOON * 1000 + number)
    chat.per_file = 10


def all_sections(export: Export) -> None:
    for section in ("inbox", "archived_threads", "e2ee_cutover"):
        chat = export.thread(f"ada_{section}", section=section)
        chat.says("Grace Hopper", f"Hi from {section}!", NOON * 1000)


def parts_of_text(chat: TelegramChat) -> None:
    chat.says(BO, ["Read ", {"type": "bold", "text": "this"}, "!"])


def account(folder: Path, loader: Any) -> str:
    chat = TelegramChat()
    chat.says(BO, "Hi!")
    other = TelegramChat("Cy", number=33)
    other.says(CY, "Hello!")
    path = folder / "result.json"
    path.write_text(account_text([chat, other]), encoding="utf-8")
    loaded = loader(path=path).load()
    return f"{len(loaded)} with {count(loader, path)}"


def zipped(_: Path, loader: Any) -> str:
    with tempfile.TemporaryDirectory() as place:
        export = Export()
        all_sections(export)
        path = export.to_zip(Path(place) / "facebook.zip")
        try:
            return f"{len(loader(path=path).load())} sessions"
        except Exception as error:  # noqa: BLE001 - the kind is the answer
            return f"`{type(error).__name__}`"


def block_message() -> HumanMessage:
    content: list[Any] = [{"type": "text", "text": "one"}]
    return HumanMessage(content, additional_kwargs={"sender": "Hare"})


def input_after_merging(_: Path, functions: Any) -> str:
    given = [block_message(), block_message()]
    list(functions.merge_chat_runs([{"messages": given}]))
    return "changed" if given != [block_message(), block_message()] else "unchanged"


def counted(loader: Any, path: Path) -> str:
    try:
        return f"{count(loader, path)} messages"
    except Exception as error:  # noqa: BLE001 - the kind is the answer
        return f"`{type(error).__name__}`"


def zipped_chat(folder: Path, loader: Any) -> str:
    return counted(loader, us_iphone().to_zip(folder / "WhatsApp Chat - Ann.zip"))


def us_iphone(space: str = " ") -> WhatsAppChat:
    """Return a chat in the one layout that langchain-community reads."""
    chat = WhatsAppChat(lambda at: f"[{at:%m/%d/%y}, 2:{at:%M:%S}{space}PM] ")
    return chat.says("Ann", "Hi!").says("Bob", "Yes?")


IMESSAGE = (community.IMessageChatLoader, ours.IMessageChatLoader)
FOLDER = (
    community.FolderFacebookMessengerChatLoader,
    ours.FolderFacebookMessengerChatLoader,
)
TELEGRAM = (community.TelegramChatLoader, ours.TelegramChatLoader)
STEPS = (community.utils, utils)
WHATSAPP = (
    community.WhatsAppChatLoader,
    functools.partial(ours.WhatsAppChatLoader, timezone="UTC"),
)
SLACK = (community.SlackChatLoader, ours.SlackChatLoader)
GERMAN = WhatsAppChat(lambda at: f"[{at:%d.%m.%y}, {at:%H:%M:%S}] ")

ROWS: Sequence[Row] = (
    Row(
        "iMessage: senders of “Ready?” and of my own “Always.”",
        imessage(one_of_each, senders),
        *IMESSAGE,
    ),
    Row(
        "iMessage: messages loaded of 2 in a group of three",
        imessage(group_of_three, count),
        *IMESSAGE,
    ),
    Row(
        "iMessage: characters of a text of 80,000 in `attributedBody`",
        imessage(long_text, lambda loader, path: f"{len(texts(loader, path)):,}"),
        *IMESSAGE,
    ),
    Row(
        f"iMessage: `message_time` of Unix time {NOON}",
        imessage(one_at_noon, message_time),
        *IMESSAGE,
    ),
    Row(
        "iMessage: SHA-256 of `chat.db` with a `chat.db-wal`, after reading",
        imessage(lambda _: None, file_after_reading),
        *IMESSAGE,
    ),
    Row("Messenger: the text “Café 😂”", messenger(accents, texts), *FOLDER),
    Row(
        "Messenger: sessions of one thread in three files",
        messenger(long_thread, sessions),
        *FOLDER,
    ),
    Row(
        "Messenger: sessions of three threads in inbox, archive and encrypted",
        messenger(all_sections, sessions),
        *FOLDER,
    ),
    Row("Messenger: a zip with three threads", zipped, *FOLDER),
    Row(
        "Telegram: sessions and messages of an account with two chats",
        account,
        *TELEGRAM,
    ),
    Row(
        "Telegram: the text “Read **this**!”",
        telegram(parts_of_text, lambda loader, path: f"`{texts(loader, path)}`"),
        *TELEGRAM,
    ),
    Row(
        "WhatsApp: senders of “Hi!” and “Yes?” from an iPhone in the US",
        whatsapp(us_iphone("\u202f"), senders),
        *WHATSAPP,
    ),
    Row(
        "WhatsApp: the same, from an iPhone in Germany",
        whatsapp(GERMAN.says("Ann", "Hi!").says("Bob", "Yes?"), senders),
        *WHATSAPP,
    ),
    Row("WhatsApp: a zip with two messages", zipped_chat, *WHATSAPP),
    Row("Slack: senders of two messages", slack(as_it_is, senders), *SLACK),
    Row(
        "Slack: texts with “Lunch?” and its reply “Noon.” in a thread, and a bot",
        slack(thread_and_bot, texts),
        *SLACK,
    ),
    Row("Slack: messages beside a canvas", slack(canvas, counted), *SLACK),
    Row("`merge_chat_runs`: the messages given to it", input_after_merging, *STEPS),
)

PAGE = Path(__file__).resolve().parents[3] / "docs" / "migration.md"
TABLE = re.compile(r"(<!-- measured: .*? -->\n\n)(?:\|.*\n)*")


def table() -> str:
    """Measure every row."""
    rows = [
        "| On an export of a few lines | langchain-community 0.4.2 | here |",
        "|---|---|---|",
    ]
    for row in ROWS:
        measured = []
        for loader in (row.before, row.after):
            with tempfile.TemporaryDirectory() as place:
                measured.append(str(row.measure(Path(place), loader)))
                gc.collect()
        cells = " | ".join(
            cell.replace("\n", " ").strip() or "nothing" for cell in measured
        )
        rows.append(f"| {row.question} | {cells} |")
    return "\n".join(rows) + "\n"


@pytest.mark.skipif(sys.platform != "linux", reason="open files are listed in /proc")
def test_page_shows_what_is_measured() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert table() in text


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda found: found[1] + table(), text), encoding="utf-8")
