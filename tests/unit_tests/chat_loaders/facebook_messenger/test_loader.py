"""What both loaders give, leave out, count and refuse."""

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
from tests.unit_tests.builders.sessions import all_texts, skipped_by

NOON = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC
ADA, GRACE = "Ada Byron", "Grace Hopper"
PHOTO = {"photos": [{"uri": "a/1.jpg"}]}


def export_of(*records: dict[str, Any]) -> Export:
    """Return a thread of Ada and Grace that begins with Ada's first words."""
    export = Export()
    chat = export.thread("Ada_1", [ADA, GRACE]).says(ADA, "first words", NOON)
    for number, record in enumerate(records, 1):
        chat.messages.append(
            {"sender_name": ADA, "timestamp_ms": NOON + number, **record}
        )
    return export


def loader_of(
    export: Export, tmp_path: Path, **options: Any
) -> FolderFacebookMessengerChatLoader:
    folder = export.to_folder(tmp_path / "x")
    return FolderFacebookMessengerChatLoader(folder, **options)


def test_a_session_is_what_the_design_says(tmp_path: Path) -> None:
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
        "attachments": [{"type": "photo", "uri": "a/1.jpg"}],
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
    loader = loader_of(export_of(answer), tmp_path)
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
def test_what_nobody_typed_is_left_out_and_can_be_asked_for(
    tmp_path: Path, record: dict[str, Any], reason: str, shown: str
) -> None:
    export = export_of(record)
    loader = loader_of(export, tmp_path)
    assert all_texts(loader) == ["first words"]
    assert skipped_by(loader) == {reason: 1}
    loader = loader_of(export, tmp_path, keep=reason)
    assert all_texts(loader) == ["first words", shown]
    assert skipped_by(loader) == {}


def test_a_media_part_alone_is_an_error_that_asks_for_the_others(
    tmp_path: Path,
) -> None:
    export = Export().file(f"{FACEBOOK}/inbox/ada_1/photos/1.jpg", b"\xff\xd8")
    for path in export.to_folder_and_zip(tmp_path / "x"):
        with pytest.raises(ExportFormatError, match=r"all into one folder"):
            FolderFacebookMessengerChatLoader(path).load()


def test_an_export_in_html_is_an_error_that_asks_for_json(tmp_path: Path) -> None:
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


def test_a_single_file_loader_is_told_of_folders_and_zips(tmp_path: Path) -> None:
    for path in export_of().to_folder_and_zip(tmp_path / "x"):
        with pytest.raises(ExportFormatError, match="FolderFacebookMessenger"):
            SingleFileFacebookMessengerChatLoader(path).load()
