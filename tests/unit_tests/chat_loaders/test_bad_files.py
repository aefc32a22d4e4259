"""A bad file is an error if it is named, and a counted warning beside good ones."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from langchain_chatexports import (
    DiscordChatLoader,
    FolderFacebookMessengerChatLoader,
    SlackChatLoader,
    TelegramChatLoader,
    WhatsAppChatLoader,
)
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.table import TableChatLoader
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.discord import ANN, DiscordChannel
from tests.unit_tests.builders.messenger import Export
from tests.unit_tests.builders.slack import workspace
from tests.unit_tests.builders.tables import write_lines, write_parquet
from tests.unit_tests.builders.telegram import BO, TelegramChat
from tests.unit_tests.builders.whatsapp import WhatsAppChat


def whatsapp(path: Path) -> None:
    WhatsAppChat.android().says("Ann", "Hi").to_file(path)


def telegram(path: Path) -> None:
    chat = TelegramChat(number=len(path.name))
    chat.says(BO, "Hi")
    chat.write(path, indent=None)


def discord(path: Path) -> None:
    channel = DiscordChannel(channel_id=path.name)
    channel.says(ANN, "Hi")
    channel.write(path, indent=None)


def messenger(path: Path) -> None:
    chat = Export().thread("ada_1").says("Ada Byron", "Hi", 1_700_000_000_000)
    (data,) = chat.files().values()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


ROWS = [{"chat_id": 1, "time": "13/05/2024", "text": "Hi"}]


class Format(NamedTuple):
    """A loader, its good and bad file, and what is said of the bad one."""

    loader: type[ChatExportLoader]
    write: Callable[[Path], object]
    names: tuple[str, str]
    said: str = "is not valid JSON"


FORMATS = {
    "whatsapp": Format(
        WhatsAppChatLoader,
        whatsapp,
        ("WhatsApp Chat with Ann.txt", "WhatsApp Chat with Bob.txt"),
        "is not a WhatsApp chat",
    ),
    "telegram": Format(TelegramChatLoader, telegram, ("a/result.json", "b.json")),
    "discord": Format(DiscordChatLoader, discord, ("a.json", "b.json")),
    "messenger": Format(
        FolderFacebookMessengerChatLoader,
        messenger,
        ("ada_1/message_1.json", "bob_1/message_1.json"),
        "",
    ),
    "parquet": Format(
        TableChatLoader,
        lambda path: write_parquet(path, ROWS),
        ("a.parquet", "b.parquet"),
        "",
    ),
    "json lines": Format(
        TableChatLoader,
        lambda path: write_lines(path, ROWS),
        ("a.jsonl", "b.jsonl"),
        "mixes two orders",
    ),
}


def damage(path: Path) -> None:
    if path.suffix == ".txt":
        path.write_text("nothing here")
    elif path.suffix == ".jsonl":
        write_lines(path, [*ROWS, {**ROWS[0], "time": "05/14/2024"}])
    else:
        path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.filterwarnings("ignore:.* read as this machine's")
@pytest.mark.parametrize("name", FORMATS)
def test_a_bad_file_costs_itself_only(tmp_path: Path, name: str) -> None:
    loader, write, (good, bad), said = FORMATS[name]
    for file in (good, bad):
        write(tmp_path / file)
    damage(tmp_path / bad)
    with pytest.raises(ExportFormatError, match=Path(bad).name):
        loader(tmp_path / bad).load()
    pattern = rf"{Path(bad).name} .*{said}"
    with pytest.warns(UserWarning, match=pattern):
        summary = loader(tmp_path).inspect()
    assert (summary.kept, summary.skipped) == (1, {"unreadable": 1})


def slack_records(folder: Path, *records: object) -> ChatExportLoader:
    export, general = workspace()
    general.says("U1", "Hi")
    for record in records:
        general.add(record)
    return SlackChatLoader(export.to_folder(folder))


def discord_records(folder: Path, *records: object) -> ChatExportLoader:
    channel = DiscordChannel()
    channel.says(ANN, "Hi")
    channel.messages += records
    return DiscordChatLoader(channel.write(folder / "a.json"))


def telegram_records(folder: Path, *records: object) -> ChatExportLoader:
    chat = TelegramChat()
    chat.says(BO, "Hi")
    chat.messages += records
    return TelegramChatLoader(chat.write(folder / "result.json"))


@pytest.mark.filterwarnings("ignore:.* of its own count")
@pytest.mark.parametrize("write", [slack_records, discord_records, telegram_records])
def test_a_bad_record_costs_itself_only(
    tmp_path: Path, write: Callable[..., ChatExportLoader]
) -> None:
    summary = write(tmp_path, 5, None, {}).inspect()
    assert (summary.found, summary.kept) == (4, 1)
    assert sum(summary.skipped.values()) == 3
