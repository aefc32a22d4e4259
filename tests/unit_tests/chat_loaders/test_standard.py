"""The promises that every chat loader makes, for exports of each kind."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from langchain_core.chat_loaders import BaseChatLoader

from langchain_chatexports import (
    DiscordChatLoader,
    FolderFacebookMessengerChatLoader,
    IMessageChatLoader,
    SignalChatLoader,
    SingleFileFacebookMessengerChatLoader,
    SlackChatLoader,
    TelegramChatLoader,
    WhatsAppChatLoader,
)
from langchain_chatexports.chat_loaders.table import TableChatLoader
from langchain_chatexports.standard_tests import ChatLoaderUnitTests
from tests.unit_tests.builders import discord, messenger, slack, tables, telegram
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.signal import OWNER, SignalExport
from tests.unit_tests.builders.typedstream import attributed_body
from tests.unit_tests.builders.whatsapp import WhatsAppChat

NOON = 1_700_000_000_000
ADA, ALAN, GRACE = "Ada Byron", "Alan Türing", "Grace Hopper"
HARE, TORTOISE = "+15550000001", "tortoise@pond.example"
LENGTH = 12
ROWS = tables.interleaved(
    tables.conversation_rows("one", 9), tables.conversation_rows("two", 7)
)


# --- iMessage

RACE = [
    (TORTOISE, "Slow and steady."),
    ("Me", "We start at the mill."),
    ("Me", "Are you asleep under that oak again?"),
    (HARE, "Resting. Champions rest."),
]


def fill_imessage(db: ChatDb) -> None:
    hare = db.chat(HARE)
    hare.message("Are you asleep under that oak again?", mine=True)
    hare.message(body=attributed_body("Resting. Champions rest."))
    race = db.chat(HARE, TORTOISE, name="The race")
    race.message("Slow and steady.", sender=TORTOISE)
    race.message("We start at the mill.", mine=True)
    race.message("Loved it", associated_message_type=2000)


def imessage(folder: Path) -> Path:
    with ChatDb(folder / "chat.db") as db:
        fill_imessage(db)
    return folder / "chat.db"


def imessage_with_a_log(folder: Path) -> Path:
    live = folder.with_name("live")
    live.mkdir()
    with ChatDb(live / "chat.db", wal=True) as db:
        fill_imessage(db)
        shutil.copytree(live, folder, dirs_exist_ok=True)
    return folder / "chat.db"


# --- Messenger


def said_in_messenger(person: str) -> list[tuple[str, str]]:
    senders = (person, GRACE)
    return [(senders[n % 2], f"Zeile {n} für {person} 😂") for n in range(10)]


def messenger_export(root: str = messenger.FACEBOOK) -> messenger.Export:
    export = messenger.Export(root)
    for place, person in enumerate((ADA, ALAN)):
        chat = export.thread(f"person_{place}", [person, GRACE])
        chat.per_file = 4
        for number, (sender, text) in enumerate(said_in_messenger(person)):
            chat.says(sender, text, NOON + number * 1000)
        chat.says(person, f"{person} sent an attachment.", NOON + 20_000)
    spam = export.thread("spam", section="message_requests")
    spam.says("Eve", "You have won a prize", NOON)
    return export


def messenger_folder(folder: Path) -> Path:
    return messenger_export().to_folder(folder)


def instagram_zip(folder: Path) -> Path:
    export = messenger_export(messenger.INSTAGRAM)
    return export.to_zip(folder / "instagram-me.zip")


def encrypted_messenger(folder: Path) -> Path:
    export = messenger_export()
    chat = export.encrypted(f"messages/{ADA}_1.json", [GRACE, ADA])
    for number in range(5):
        chat.says(ADA, f"Später {number} 😂", NOON + 10**8 + number)
    return export.to_folder(folder)


def one_messenger_file(folder: Path) -> Path:
    place = messenger_folder(folder) / messenger.FACEBOOK / "inbox" / "person_0"
    return place / "message_1.json"


# --- WhatsApp


def android_chat(person: str) -> WhatsAppChat:
    chat = WhatsAppChat.android()
    chat.system("Messages and calls are end-to-end encrypted.")
    for number in range(LENGTH):
        text = f"Zeile {number} für {person} 😂\nand one more"
        chat.says((person, GRACE)[number % 2], text)
    return chat.says(person, "<Media omitted>")


def iphone_chat(person: str) -> WhatsAppChat:
    chat = WhatsAppChat.ios().system("Messages and calls are encrypted.", person)
    for number in range(LENGTH):
        chat.says((person, GRACE)[number % 2], f"Línea {number} para {person} 😂")
    return chat.by_app(person, "image omitted")


def whatsapp_texts(folder: Path) -> Path:
    for person in (ADA, ALAN):
        name = f"WhatsApp Chat with {person}.txt"
        android_chat(person).to_file(folder / name)
    return folder


def whatsapp_zips(folder: Path) -> Path:
    for person in (ADA, ALAN):
        iphone_chat(person).to_zip(folder / f"WhatsApp Chat - {person}.zip")
    return folder


# --- the other apps


def telegram_account(folder: Path) -> Path:
    chats = []
    for number in range(3):
        chat = telegram.TelegramChat("Race", "private_supergroup", number)
        for at in range(9):
            people = (telegram.ANN, telegram.BO, telegram.CY)
            chat.says(people[at % 3], f"Zeile {at} 😂")
        chats.append(chat)
    text = telegram.account_text(chats, user=telegram.USER)
    (folder / "result.json").write_text(text, "utf-8")
    return folder


def discord_channels(folder: Path) -> Path:
    people = (discord.ANN, discord.BO, discord.BOT)
    for number in range(3):
        channel = discord.DiscordChannel(f"room {number}", channel_id=f"50{number}")
        for at in range(9):
            channel.says(people[at % 3], f"Zeile {at} 😂")
        channel.write(folder / f"{number}.json")
    return folder


def slack_folder(folder: Path) -> Path:
    export, general = slack.workspace()
    root = general.says("U1", "Zeile für uns 😂")
    root["thread_ts"] = root["ts"]
    for number in range(8):
        user = ("U1", "U2")[number % 2]
        general.says(user, f"<@U1> line {number}", day=1 + number)
        general.says(user, f"reply {number}", thread_ts=root["ts"])
    general.says("U9", "green", day=3)
    return export.to_folder(folder)


def slack_zip(folder: Path) -> Path:
    export, general = slack.workspace()
    for number in range(12):
        general.says(("U1", "U2")[number % 2], f"line {number}", day=1 + number)
    export.direct("D1", "U1", "U2").says("U1", "for you")
    return export.to_zip(folder / "export.zip")


def signal_folder(folder: Path) -> Path:
    export = SignalExport()
    for name in ("Hare", "Fox", "Zoë 😂"):
        friend = export.contact(name)
        chat = export.chat(friend)
        for number in range(8):
            chat.says((OWNER, friend)[number % 2], f"Zeile {number} für {name}")
        chat.add(friend, "updateMessage", {"simpleUpdate": {"type": "END_SESSION"}})
    return export.write(folder / "main.jsonl").parent


def table_parts(folder: Path) -> Path:
    rows = tables.conversation_rows("one", 9)
    tables.write_lines(folder / "part-0.jsonl", rows[:5])
    rest = [*rows[5:], *tables.conversation_rows("two")]
    tables.write_csv(folder / "part-1.csv", rest)
    return folder


# --- the suite


class Export(NamedTuple):
    """What writes an export, its loader, and what is known of it."""

    write: Callable[[Path], Path]
    loader: type[BaseChatLoader]
    params: dict[str, Any] | None = None
    expected: list[tuple[str, str]] | None = None


PEOPLE = {"people": {"Ann Ode": ["ann@example.org"], "Bo Bee": "U2"}}
ADA_AND_ALAN = said_in_messenger(ADA) + said_in_messenger(ALAN)
LATER = [(ADA, f"Später {number} 😂") for number in range(5)]
ADA_LATER_AND_ALAN = said_in_messenger(ADA) + LATER + said_in_messenger(ALAN)

EXPORTS = {
    "iMessage": Export(imessage, IMessageChatLoader, expected=RACE),
    "iMessage with a log": Export(
        imessage_with_a_log, IMessageChatLoader, expected=RACE
    ),
    "Messenger": Export(
        messenger_folder,
        FolderFacebookMessengerChatLoader,
        expected=ADA_AND_ALAN,
    ),
    "Instagram in a zip": Export(
        instagram_zip, FolderFacebookMessengerChatLoader, expected=ADA_AND_ALAN
    ),
    "encrypted Messenger": Export(
        encrypted_messenger,
        FolderFacebookMessengerChatLoader,
        expected=ADA_LATER_AND_ALAN,
    ),
    "one file of Messenger": Export(
        one_messenger_file,
        SingleFileFacebookMessengerChatLoader,
        expected=said_in_messenger(ADA)[-3:],
    ),
    "WhatsApp": Export(
        whatsapp_texts, WhatsAppChatLoader, {"timezone": "Europe/Berlin"}
    ),
    "WhatsApp in zips": Export(
        whatsapp_zips, WhatsAppChatLoader, {"timezone": "Europe/Berlin"}
    ),
    "one file of WhatsApp": Export(
        lambda folder: iphone_chat(ADA).to_file(folder / "_chat.txt"),
        WhatsAppChatLoader,
        {"timezone": "UTC", "owner": GRACE},
    ),
    "Telegram": Export(telegram_account, TelegramChatLoader),
    "Discord": Export(discord_channels, DiscordChatLoader),
    "Slack": Export(slack_folder, SlackChatLoader),
    "Slack with a table of people": Export(slack_folder, SlackChatLoader, PEOPLE),
    "Slack in a zip": Export(slack_zip, SlackChatLoader),
    "Signal": Export(signal_folder, SignalChatLoader),
    "JSON lines": Export(
        lambda folder: tables.write_lines(folder / "desk.jsonl", ROWS),
        TableChatLoader,
        {"owner": "Agent 7"},
    ),
    "CSV": Export(
        lambda folder: tables.write_csv(folder / "desk.csv", ROWS), TableChatLoader
    ),
    "Parquet": Export(
        lambda folder: tables.write_parquet(folder / "desk.parquet", ROWS),
        TableChatLoader,
    ),
    "parts of a table": Export(table_parts, TableChatLoader),
}


@pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)
class TestLoaders(ChatLoaderUnitTests):
    export: Export

    @pytest.fixture(autouse=True)
    def _export(self, export: Export) -> None:
        self.export = export

    @property
    def chat_loader_class(self) -> type[BaseChatLoader]:
        return self.export.loader

    @property
    def chat_loader_params(self) -> dict[str, Any]:
        return self.export.params or {}

    @property
    def time_key(self) -> str:
        return "message_time"

    @property
    def expected(self) -> list[tuple[str, str]] | None:
        return self.export.expected

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        (tmp_path / "export").mkdir()
        return self.export.write(tmp_path / "export")
