"""The recognition of thread files, and their keys besides messages."""

import json
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import (
    FolderFacebookMessengerChatLoader,
    SingleFileFacebookMessengerChatLoader,
)
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.schema import metadata_of
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.messenger import FACEBOOK, Export, message, meta_json

PEOPLE = [{"name": "Ada"}, {"name": "Grace"}]
DEEP = b"[" * 100_000 + b"]" * 100_000
HI = message("Ada", "hi", 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "message_1.json"


def load(path: Path, data: Any) -> list[Any]:
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return SingleFileFacebookMessengerChatLoader(path).load()


@pytest.mark.parametrize(
    "value",
    [
        {"participants": PEOPLE, "messages": [HI]},
        {"participants": PEOPLE, "messages": []},
        {"messages": [{"timestamp_ms": 1}]},
        {"messages": [{"timestamp": 1}]},
        {"participants": ["Ada", "Grace"], "threadName": "Ada_1", "messages": []},
    ],
)
def test_thread_is_recognized_by_structure(path: Path, value: dict[str, Any]) -> None:
    load(path, value)


@pytest.mark.parametrize("damaged", [None, "text", {}, {"text": "no time"}])
def test_first_message_may_be_damaged(path: Path, damaged: Any) -> None:
    assert len(load(path, {"messages": [damaged, HI]})) == 1


@pytest.mark.parametrize(
    "value",
    [
        *([], "messages", None, {}, {"messages": []}, {"messages": {}}),
        *({"messages": ["hi"]}, {"messages": [{"text": "no time"}]}),
        {"participants": ["Ada"], "messages": []},
        {"participants": {"name": "Ada"}, "messages": []},
        {"autofill_information_v2": {"FULL_NAME": ["Grace"]}},
    ],
)
def test_other_json_is_not_a_thread(path: Path, value: Any) -> None:
    with pytest.raises(ExportFormatError, match="is not a Messenger thread"):
        load(path, value)


@pytest.mark.parametrize(
    "data",
    [
        b'{"messages": [',
        b'{"messages": [{"content": "my secret',
        b"{" + b"\xff\xfe\x00",
        b'{"messages": ' + DEEP + b"}",
        b'{"participants": ' + DEEP + b', "messages": []}',
    ],
)
def test_damaged_json_error_shows_no_content(path: Path, data: bytes) -> None:
    with pytest.raises(ExportFormatError, match=r"message_1\.json") as caught:
        load(path, data)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_names_and_title_are_repaired(path: Path) -> None:
    value = {"participants": [{"name": "Zoë"}], "messages": [HI], "title": "Ő"}
    (session,) = load(path, meta_json(value))
    assert metadata_of(session)["title"] == "Ő"
    assert metadata_of(session)["participants"] == ["Zoë", "Ada"]


def test_escapes_of_the_exporter_are_read(path: Path) -> None:
    """The bytes of a real file, not those of our builder."""
    data = rb"""{"participants": [{"name": "Zs\u00c3\u00b3fi"}], "messages": [
        {"sender_name": "Zs\u00c3\u00b3fi", "timestamp_ms": 1,
         "content": "h\u00c5\u0091s \u00e2\u009d\u00a4"}]}"""
    (session,) = load(path, data)
    (only,) = session["messages"]
    assert (only.additional_kwargs["sender"], only.content) == ("Zsófi", "hős ❤")


def test_names_in_encrypted_chat_are_not_repaired(path: Path) -> None:
    chat = Export().encrypted("Ã©va_12.json", ["Zoë", "Ã©va"]).says("Zoë", "hi", 1)
    (session,) = load(path, *chat.files().values())
    assert metadata_of(session)["title"] == "Ã©va"
    assert metadata_of(session)["participants"] == ["Zoë", "Ã©va"]


@pytest.mark.parametrize("folder", ["inbox/ada_1", "inbox/ada_1/", "ada_1"])
def test_thread_path_replaces_missing_folder(tmp_path: Path, folder: str) -> None:
    value = {"participants": PEOPLE, "messages": [HI], "thread_path": folder}
    (tmp_path / "inbox").mkdir()
    (session,) = load(tmp_path / "inbox" / "message_1.json", value)
    assert metadata_of(session)["id"] == "ada_1"


class TestHeads:
    """Parts of a file are read to find the owner by the title."""

    def find_owner(self, tmp_path: Path, data: bytes) -> str | None:
        (tmp_path / "Ada.json").write_bytes(data)
        return FolderFacebookMessengerChatLoader(tmp_path).find_owner()

    def test_title_after_messages_is_read(self, tmp_path: Path) -> None:
        chat = Export().thread("zoe_1", ["Zoë", "Grace"])
        for number in range(2000):
            chat.says("Zoë", 'a "title": "No"' * 5, number)
        assert self.find_owner(tmp_path, *chat.files().values()) == "Grace"

    def test_members_after_messages_are_read(self, tmp_path: Path) -> None:
        messages = [message("Ada", "x" * 500, number) for number in range(1000)]
        value = {"messages": messages, "participants": PEOPLE, "title": "Ada"}
        assert self.find_owner(tmp_path, meta_json(value)) == "Grace"


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        (f"{FACEBOOK}/inbox/a_1/message_1.html", b"<html></html>", True),
        ("a/message_1.json", {"participants": PEOPLE, "messages": [HI]}, True),
        ("Ada_1.json", {"participants": ["A"], "threadName": "A_1"}, True),
        (f"{FACEBOOK}/settings.json", {}, True),
        ("settings.json", {"messages": []}, False),
        ("start_here.html", b"<html></html>", False),
    ],
)
def test_export_is_recognized_by_names_and_heads(
    tmp_path: Path, name: str, data: Any, expected: bool
) -> None:
    folder = Export().file(name, data).to_folder(tmp_path / "x")
    with ExportFiles([folder], (".json", ".html")) as files:
        assert FolderFacebookMessengerChatLoader.matches(files) is expected


def test_media_part_is_recognized_by_name(tmp_path: Path) -> None:
    media = Export().file(f"{FACEBOOK}/inbox/a_1/photos/1.jpg", b"\xff\xd8")
    with ExportFiles([media.to_zip(tmp_path / "facebook-me.zip")], (".json",)) as files:
        assert FolderFacebookMessengerChatLoader.matches(files)
