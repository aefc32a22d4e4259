"""Both loaders: sessions, skipped messages and errors."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from langchain_chatexports import (
    FolderFacebookMessengerChatLoader,
    SingleFileFacebookMessengerChatLoader,
)
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.messenger import FACEBOOK, Export, message
from tests.unit_tests.builders.sessions import all_texts, skipped_counts

NOON = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC
ADA, GRACE = "Ada Byron", "Grace Hopper"
PHOTO = {"photos": [{"uri": "a/1.jpg"}]}


def make_export(*records: dict[str, Any]) -> Export:
    """Return a thread of Ada and Grace, with a message by Ada before these records."""
    export = Export()
    chat = export.thread("Ada_1", [ADA, GRACE]).says(ADA, "first words", NOON)
    for at, record in enumerate(records, NOON + 1):
        chat.messages.append({"sender_name": ADA, "timestamp_ms": at, **record})
    return export


def test_session_has_documented_content(tmp_path: Path) -> None:
    reactions = [{"reaction": "❤", "actor": ADA}]
    answer = message(GRACE, "Ça va? 😂", NOON + 1_500, reactions=reactions, **PHOTO)
    first = {
        "message_time": 1_700_000_000,
        "sender": ADA,
        "is_from_me": False,
        "events": [{"message_time": "2023-11-14T22:13:20+00:00"}],
    }
    second = {
        "message_time": 1_700_000_001,
        "sender": GRACE,
        "is_from_me": True,
        "events": [{"message_time": "2023-11-14T22:13:21.500000+00:00"}],
        "attachments": [{"type": "photo", "name": "1.jpg"}],
        "reactions": [{"reaction": "❤", "sender": ADA}],
    }
    metadata = {
        "id": "ada_1",
        "title": ADA,
        "platform": "facebook_messenger",
        "participants": [ADA, GRACE],
        "owner": GRACE,
        "is_group": False,
    }
    ids = ("ac44bba37212-60a24181e4000", "ac44bba37212-60a2418352360")
    messages = [
        HumanMessage("first words", additional_kwargs=first, id=ids[0]),
        HumanMessage("Ça va? 😂", additional_kwargs=second, id=ids[1]),
    ]
    folder = make_export(answer).to_folder(tmp_path / "x")
    loader = FolderFacebookMessengerChatLoader(folder)
    assert loader.load() == [{"messages": messages, "metadata": metadata}]


LINK = {"share": {"link": "https://x.org"}}


@pytest.mark.parametrize(
    ("record", "reason", "shown"),
    [
        ({"content": "secret", "is_unsent": True}, "unsent", "secret"),
        ({"content": "Rang.", "call_duration": 5}, "system", "Rang."),
        ({"content": "Ada left the group."}, "system", "Ada left the group."),
        ({"content": "Liked a message"}, "reaction", "Liked a message"),
        (PHOTO, "media", "[photo]"),
        ({"content": "Ada sent an attachment."}, "media", "[attachment]"),
        ({"content": "Ada sent a link.", **LINK}, "media", "[link]"),
    ],
)
def test_other_messages_are_skipped_by_default(
    tmp_path: Path, record: dict[str, Any], reason: str, shown: str
) -> None:
    folder = make_export(record).to_folder(tmp_path / "x")
    loader = FolderFacebookMessengerChatLoader(folder)
    assert all_texts(loader) == ["first words"]
    assert skipped_counts(loader) == {reason: 1}
    loader = FolderFacebookMessengerChatLoader(folder, keep=reason)
    assert all_texts(loader) == ["first words", shown]
    assert skipped_counts(loader) == {}


def test_media_part_alone_is_an_error(tmp_path: Path) -> None:
    export = Export().file(f"{FACEBOOK}/inbox/ada_1/photos/1.jpg", b"\xff\xd8")
    for path in export.to_folder_and_zip(tmp_path / "x"):
        with pytest.raises(ExportFormatError, match=r"into one folder"):
            FolderFacebookMessengerChatLoader(path).load()


def test_html_export_error_asks_for_json(tmp_path: Path) -> None:
    page = f"{FACEBOOK}/inbox/ada_1/message_1.html"
    export = Export().file(page, b"<html><body>hi</body></html>")
    folder, archive = export.to_folder_and_zip(tmp_path / "x")
    for loader in (
        FolderFacebookMessengerChatLoader(folder),
        FolderFacebookMessengerChatLoader(archive),
        FolderFacebookMessengerChatLoader(folder / page),
        SingleFileFacebookMessengerChatLoader(folder / page),
    ):
        with pytest.raises(ExportFormatError, match=r"HTML.*format set to JSON"):
            loader.load()


def test_single_file_loader_refuses_folders_and_zips(tmp_path: Path) -> None:
    for path in make_export().to_folder_and_zip(tmp_path / "x"):
        with pytest.raises(ExportFormatError, match="FolderFacebookMessenger"):
            SingleFileFacebookMessengerChatLoader(path).load()
