"""The recognition of exports, and of their parts."""

import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import (
    DiscordChatLoader,
    FolderFacebookMessengerChatLoader,
    SlackChatLoader,
    WhatsAppChatLoader,
)
from langchain_chatexports.chat_loaders.recognition import (
    open_exports,
)
from langchain_chatexports.chat_loaders.schema import metadata_of
from langchain_chatexports.exceptions import ExportFormatError
from langchain_chatexports.samples import (
    write_discord,
    write_imessage,
    write_messenger,
    write_slack,
    write_whatsapp,
)
from tests.unit_tests.builders.messenger import Export
from tests.unit_tests.builders.sessions import open_export

START = 1_600_000_000_000


def make_part(owner: str, number: int, *friends: str) -> Export:
    """Make a part of an export, with a file per friend."""
    export = Export()
    for friend in friends:
        thread = export.thread(f"inbox/{friend}_1".lower(), [friend, owner])
        for at in range(4):
            speaker = (friend, owner)[at % 2]
            thread.says(speaker, f"{number} {at}", START + 1_000 * (10 * number + at))
    return export


def media_only(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("your_facebook_activity/messages/inbox/x_1/photos/1.jpg", b"1")
    return path


def test_zips_of_one_owner_are_joined(tmp_path: Path) -> None:
    one = make_part("Ann", 1, "Bo", "Cy").to_zip(tmp_path / "one.zip")
    two = make_part("Ann", 2, "Bo", "Di").to_zip(tmp_path / "two.zip")
    (export,) = open_exports([one, two])
    lengths = {metadata_of(s)["id"]: len(s["messages"]) for s in export.loader}
    assert export.paths == (one, two)
    assert sorted(lengths.values()) == [4, 4, 8]


def test_zips_of_two_owners_are_separate(tmp_path: Path) -> None:
    one = make_part("Ann", 1, "Bo", "Cy").to_zip(tmp_path / "one.zip")
    two = make_part("Zed", 2, "Bo", "Di").to_zip(tmp_path / "two.zip")
    exports = open_exports([one, two])
    assert [export.paths for export in exports] == [(one,), (two,)]


def test_media_part_is_joined(tmp_path: Path) -> None:
    media = media_only(tmp_path / "media.zip")
    one = make_part("Ann", 1, "Bo", "Cy").to_zip(tmp_path / "one.zip")
    (export,) = open_exports([media, one])
    assert export.paths == (media, one)
    assert len(export.loader.load()) == 2


def test_exports_are_in_the_given_order(tmp_path: Path) -> None:
    one = make_part("Ann", 1, "Bo", "Cy").to_folder(tmp_path / "one")
    database = write_imessage(tmp_path / "chat.db")
    two = make_part("Ann", 2, "Bo", "Di").to_zip(tmp_path / "two.zip")
    exports = open_exports([database, two, one])
    assert [export.paths for export in exports] == [(database,), (two, one)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes.")
def test_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ExportFormatError, match="is a pipe, not a file"):
        open_export(tmp_path / "pipe")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes.")
@pytest.mark.parametrize("name", ["set.jsonl", "message_1.json", "chat.db", "x.zip"])
def test_folder_with_pipe_does_not_block(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ExportFormatError):
        open_export(tmp_path).loader.load()


@pytest.mark.parametrize(
    "name", ["chat.db", "copy.db", "3d0d7e5fb2ce288813306e4d4636395e047a3d28"]
)
def test_empty_database_is_recognized_by_name(tmp_path: Path, name: Any) -> None:
    path = tmp_path / name
    path.touch()
    with pytest.raises(ExportFormatError, match=r"is empty \(0 bytes\)"):
        open_export(path).loader.load()


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xd8\xff\xe0", b"PK\x05\x06"])
def test_unknown_file_error_describes_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content + bytes(18))
    is_zip = content.startswith(b"PK")
    kind = "a zip of other files" if is_zip else "a text file without a recognized"
    with pytest.raises(ExportFormatError, match=rf"notes\.txt \({kind}"):
        open_export(path)


@pytest.mark.parametrize(
    ("first", "second", "app", "other"),
    [
        (write_discord, write_slack, "Discord", "Slack"),
        (write_discord, write_messenger, "Discord", "Messenger"),
        (write_slack, write_messenger, "Slack", "Messenger"),
        (write_slack, write_whatsapp, "Slack", "WhatsApp"),
        (write_whatsapp, write_messenger, "WhatsApp", "Messenger"),
    ],
)
def test_all_exports_in_a_folder_are_opened(
    tmp_path: Path, first: Any, second: Any, app: str, other: str
) -> None:
    first(tmp_path / "one")
    second(tmp_path / "two")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.warns(UserWarning, match=r"Skipped in .*: notes\.txt"):
        exports = open_exports([tmp_path])
    assert [export.format for export in exports] == [f"{app} export", f"{other} export"]


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize(
    ("write", "loader"),
    [
        (write_discord, DiscordChatLoader),
        (write_messenger, FolderFacebookMessengerChatLoader),
        (write_slack, SlackChatLoader),
        (write_whatsapp, WhatsAppChatLoader),
    ],
)
def test_samples_are_recognized(
    tmp_path: Path, write: Any, loader: type, is_zip: bool
) -> None:
    path = write(tmp_path / "in" / "export")
    if is_zip:
        path = shutil.make_archive(str(tmp_path / "export"), "zip", path)
    assert isinstance(open_export(path).loader, loader)


def test_account_folder_alone_is_not_discord(tmp_path: Path) -> None:
    (tmp_path / "account").mkdir()
    (tmp_path / "account" / "user.json").write_text('{"id": "1"}')
    with pytest.raises(ExportFormatError, match="is not a supported export"):
        open_export(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", "<!DOCTYPE html>\n<style>.chatlog__message {}</style>"),
        ("a.txt", f"{'=' * 62}\nGuild: Meadow\nChannel: general\n{'=' * 62}\n"),
        ("a.csv", "AuthorID,Author,Date,Content,Attachments,Reactions\n"),
    ],
)
@pytest.mark.parametrize("is_folder", [True, False])
def test_other_discord_formats_have_a_remedy(
    tmp_path: Path, name: str, content: str, is_folder: bool
) -> None:
    (tmp_path / name).write_text(content)
    export = open_export(tmp_path if is_folder else tmp_path / name)
    with pytest.raises(ExportFormatError, match="in the format JSON"):
        export.loader.load()


@pytest.mark.skipif(sys.platform == "win32", reason="Links need rights there.")
def test_links_in_a_folder_are_ignored(tmp_path: Path) -> None:
    outside = write_slack(tmp_path / "outside" / "slack")
    table = tmp_path / "outside" / "rows.csv"
    table.write_text("sender,text\nAnn,Hi\n")
    folder = tmp_path / "folder"
    write_discord(folder / "discord")
    write_imessage(folder / "chat.db")
    (folder / "slack").symlink_to(outside)
    (folder / "rows.csv").symlink_to(table)
    archive = shutil.make_archive(str(tmp_path / "x"), "zip", outside)
    (folder / "x.zip").symlink_to(archive)
    with pytest.warns(UserWarning, match="Skipped"):
        exports = open_exports([folder])
    assert [export.path.name for export in exports] == ["chat.db", "discord"]
