"""Small exports in the formats of langchain-community's loaders."""

from collections.abc import Iterator
from pathlib import Path

from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.messenger import Export
from tests.unit_tests.builders.slack import SlackExport
from tests.unit_tests.builders.telegram import Person, TelegramChat
from tests.unit_tests.builders.whatsapp import WhatsAppChat

SENDERS = ("Tortoise", "Hare")
START = 1_693_182_723


def lines(chat: int, count: int) -> Iterator[tuple[str, str, int]]:
    """Yield the sender, distinctive text and Unix time of each message of a chat."""
    for index in range(count):
        text = f"line {index} of race {chat}: " + "slow and steady " * 5
        yield SENDERS[index % 2], text, START + 3600 * chat + 30 * index


def write_imessage(folder: Path, chats: int, count: int) -> Path:
    folder.mkdir(parents=True)
    with ChatDb(folder / "chat.db") as db:
        for number in range(chats):
            chat = db.chat(*SENDERS, name=f"Race {number}")
            for sender, text, at in lines(number, count):
                chat.message(text, sender=sender, at=at)
    return folder / "chat.db"


def write_messenger(folder: Path, chats: int, count: int) -> Path:
    """Write a folder with an `inbox`."""
    export = Export(root="")
    for number in range(chats):
        thread = export.thread(f"race_{number:03}", SENDERS)
        for sender, text, at in lines(number, count):
            thread.says(sender, text, at * 1000)
    return export.to_folder(folder)


def write_whatsapp(folder: Path, count: int) -> Path:
    """Write a chat in the format of iPhones."""
    chat = WhatsAppChat(lambda at: f"[{at:%m/%d/%y}, 2:{at:%M:%S} PM] ")
    for sender, text, _ in lines(0, count):
        chat.says(sender, text)
    return chat.to_file(folder / "_chat.txt")


def write_telegram(folder: Path, chats: int, count: int) -> Path:
    """Write a folder of chats in the format of Telegram Desktop."""
    for number in range(chats):
        chat = TelegramChat(f"Race {number}", number=number)
        for sender, text, _ in lines(number, count):
            chat.says(Person(sender, f"user{SENDERS.index(sender)}"), text)
        chat.write(folder / f"result_{number:03}.json")
    return folder


def write_slack(folder: Path, chats: int, count: int) -> Path:
    """Write a zip with a folder per channel."""
    export = SlackExport()
    export.lists.clear()
    for number in range(chats):
        channel = export.folder(f"race-{number:03}")
        for sender, text, _ in lines(number, count):
            channel.says(sender, text)
    folder.mkdir(parents=True)
    return export.to_zip(folder / "slack.zip")
