"""A bad file is an error if given alone; among others, it is counted with a warning."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from langchain_chatexports import (
    DiscordChatLoader,
    FolderFacebookMessengerChatLoader,
    IMessageChatLoader,
    SingleFileFacebookMessengerChatLoader,
    SlackChatLoader,
    TelegramChatLoader,
    WhatsAppChatLoader,
)
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.table import TableChatLoader
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportFormatError,
    ExportNotFoundError,
)
from tests.unit_tests.builders.discord import ANN, DiscordChannel
from tests.unit_tests.builders.messenger import Export
from tests.unit_tests.builders.sessions import open_export
from tests.unit_tests.builders.slack import workspace
from tests.unit_tests.builders.tables import write_lines, write_parquet
from tests.unit_tests.builders.telegram import BO, TelegramChat
from tests.unit_tests.builders.whatsapp import WhatsAppChat
from tests.unit_tests.chat_loaders.test_any_text import WRITERS


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


def parquet(path: Path) -> None:
    write_parquet(path, ROWS)


def json_lines(path: Path) -> None:
    write_lines(path, ROWS)


class Format(NamedTuple):
    """A loader, a good and a bad file, and the message about the bad one."""

    loader: type[ChatExportLoader]
    write: Callable[[Path], None]
    names: tuple[str, str]
    message: str = "is not valid JSON"


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
    "parquet": Format(TableChatLoader, parquet, ("a.parquet", "b.parquet"), ""),
    "json lines": Format(
        TableChatLoader, json_lines, ("a.jsonl", "b.jsonl"), "two date orders"
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
def test_bad_file_is_skipped(tmp_path: Path, name: str) -> None:
    loader, write, (good, bad), message = FORMATS[name]
    for file in (good, bad):
        write(tmp_path / file)
    damage(tmp_path / bad)
    with pytest.raises(ExportFormatError, match=Path(bad).name):
        loader(tmp_path / bad).load()
    pattern = rf"{Path(bad).name} .*{message}"
    with pytest.warns(UserWarning, match=pattern):
        summary = loader(tmp_path).inspect()
    assert (summary.kept, summary.skipped) == (1, {"unreadable": 1})


@pytest.mark.parametrize("name", FORMATS)
def test_only_file_of_a_folder_is_an_error(tmp_path: Path, name: str) -> None:
    loader, write, (_, bad), message = FORMATS[name]
    write(tmp_path / "export" / bad)
    damage(tmp_path / "export" / bad)
    with pytest.raises(ExportFormatError, match=rf"{Path(bad).name} .*{message}"):
        loader(tmp_path / "export").load()


SIX = {
    name: WRITERS[name]
    for name in ("chatlab", "kakaotalk", "kakaotalk phone", "line", "mail", "skype")
}
SIX["sms"] = WRITERS["sms"]
TEXTS = ["This is one.", "This is two.", "This is three."]


@pytest.mark.filterwarnings("ignore:.*(probably cut|is missing|this machine's|1252)")
@pytest.mark.parametrize("name", SIX)
def test_cut_file_is_read_as_far_as_it_goes_or_refused(
    tmp_path: Path, name: str
) -> None:
    loader, write = SIX[name]
    path = write(tmp_path, TEXTS)
    data = path.read_bytes()
    for size in range(0, len(data), max(len(data) // 60, 1)):
        path.write_bytes(data[:size])
        is_read = True
        try:
            summary = loader(path).inspect()
        except ExportFormatError as error:
            is_read, message = False, str(error)
        if is_read:
            assert summary.found == summary.kept + sum(summary.skipped.values())
            assert summary.kept <= len(TEXTS)
        else:
            assert path.name in message


BAD_CONTENTS = {
    "empty": b"",
    "spaces": b" \n" * 99,
    "zeros": bytes(5000),
    "one long line": b"x" * 5_000_000,
    "nested JSON": b"[" * 400_000,
    "nested XML": b"<a>" * 400_000,
    "JSON": b'{"messages": [{"text": "Hi"}], "users": []}',
    "table": b"Date,Sender,Text\n2026-05-24,a,b\n",
    "notes": b"Milk\nEggs\n",
}


@pytest.mark.filterwarnings("ignore:.*is not UTF-8")
@pytest.mark.parametrize("content", BAD_CONTENTS.values(), ids=BAD_CONTENTS)
@pytest.mark.parametrize("name", SIX)
def test_other_content_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    loader, write = SIX[name]
    path = write(tmp_path, TEXTS)
    path.write_bytes(content)
    start = time.process_time()
    with pytest.raises(ExportFormatError) as caught:
        loader(path).load()
    assert time.process_time() - start < 5
    assert path.name in str(caught.value)
    assert str(caught.value).count(".") > 1  # With a remedy.


@pytest.mark.filterwarnings("ignore:.*is not UTF-8")
@pytest.mark.parametrize("other", WRITERS)
@pytest.mark.parametrize("name", SIX)
def test_file_of_another_app_is_refused(tmp_path: Path, name: str, other: str) -> None:
    loader, _ = SIX[name]
    owner, write = WRITERS[other]
    path = write(tmp_path, TEXTS)
    if owner is loader or path.is_dir():
        return
    with pytest.raises(ExportFormatError) as caught:
        loader(path).load()
    assert path.name in str(caught.value)
    assert not isinstance(open_export(path).loader, loader)


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


@pytest.mark.filterwarnings("ignore:.* according to its own count")
@pytest.mark.parametrize("write", [slack_records, discord_records, telegram_records])
def test_bad_record_is_skipped(
    tmp_path: Path, write: Callable[..., ChatExportLoader]
) -> None:
    summary = write(tmp_path, 5, None, {}).inspect()
    assert (summary.found, summary.kept) == (4, 1)
    assert sum(summary.skipped.values()) == 3


LOADERS = [
    *(FolderFacebookMessengerChatLoader, SingleFileFacebookMessengerChatLoader),
    *(IMessageChatLoader, TableChatLoader),
]


@pytest.mark.parametrize("load", [*LOADERS, open_export])
def test_not_found_error_has_path(tmp_path: Path, load: Callable[[Path], Any]) -> None:
    path = tmp_path / "nothing"
    with pytest.raises(ExportNotFoundError) as caught:
        load(path).load()
    assert caught.value.path == path


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("content", [b"plain text", b"{", b"<html>"])
def test_wrong_file_error_has_path(
    tmp_path: Path, loader: Callable[[Path], Any], content: bytes
) -> None:
    path = tmp_path / "message_1.json"
    path.write_bytes(content)
    with pytest.raises(ChatExportError) as caught:
        loader(path).load()
    assert caught.value.path == path
