"""Every app obeys `MessageKeys` and `SessionMetadata`."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import SessionMetadata
from langchain_chatexports.chat_loaders.messages import KINDS, attachment
from langchain_chatexports.chat_loaders.schema import metadata_of, sender_of
from tests.unit_tests.builders.schema import find_errors
from tests.unit_tests.builders.sessions import said, talk
from tests.unit_tests.chat_loaders.test_standard import EXPORTS, Export


@pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)
def test_keys_and_metadata_have_their_types(export: Export, tmp_path: Path) -> None:
    """The fixture in `conftest.py` also checks the sessions of all other tests here."""
    path = export.write(tmp_path)
    loader = export.loader(path, keep=KINDS, **(export.params or {}))  # type: ignore[call-arg]
    sessions = loader.load()
    assert sessions
    assert [error for session in sessions for error in find_errors(session)] == []


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ({"sender": "Hare", "uri": "a.jpg"}, "message.uri"),
        ({"sender": "Hare", "message_time": 1.5}, "message.message_time"),
        (
            {"sender": "Hare", "attachments": [{"path": "a"}]},
            "message.attachments.path",
        ),
        ({"sender": "Hare", "events": [{}]}, "message.events.message_time"),
        ({"sender": "Hare", "is_from_me": 1}, "message.is_from_me"),
        ({"sender": "Hare", "attachments": [{"name": "a/b"}]}, "a path: a/b"),
    ],
)
def test_wrong_keys_are_errors(keys: dict[str, Any], error: str) -> None:
    metadata: SessionMetadata = {"id": "1", "title": None, "platform": "slack"}
    metadata |= {"participants": [], "owner": None, "is_group": False}
    message = said("Hare", "Hi")
    message.additional_kwargs = keys
    assert error in find_errors({"messages": [message], "metadata": metadata})


@pytest.mark.parametrize(
    "name", ["../../etc/a.jpg", "/etc/a.jpg", "C:\\x\\a.jpg", "./media/a.jpg", "a.jpg"]
)
def test_attachment_has_no_path(name: str) -> None:
    assert attachment(name) == {"type": "photo", "name": "a.jpg"}


@pytest.mark.parametrize("size", [None, 0, -1, "7", 7.5, True])
def test_invalid_sizes_are_dropped(size: object) -> None:
    assert attachment("a.pdf", size=size) == {"type": "file", "name": "a.pdf"}


def test_accessors_work_without_keys() -> None:
    assert metadata_of(talk("Hare: Hi")) == {}
    assert sender_of(said(None, "Hi")) == sender_of(said("", "Hi")) == "unknown"
