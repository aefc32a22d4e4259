"""Ids of messages in exports that have none, seen on Messenger's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langgraph.graph.message import add_messages

from langchain_chatexports import FolderFacebookMessengerChatLoader
from tests.unit_tests.builders.messenger import Export

NOON = 1_700_000_000_000
ADA, GRACE = "Ada Byron", "Grace Hopper"
# The second and third are of one moment, and the last two alike.
LINES = [
    (ADA, "Did the engine run?", NOON),
    (GRACE, "It did", NOON + 1),
    (GRACE, "all night", NOON + 1),
    (ADA, "ha", NOON + 2),
    (ADA, "ha", NOON + 2),
]


def load(
    lines: Sequence[tuple[str, Any, Any]],
    path: Path,
    *,
    folder: str = "ada_1",
    per_file: int = 100,
    **options: Any,
) -> list[BaseMessage]:
    export = Export()
    chat = export.thread(folder, [ADA, GRACE])
    chat.per_file = per_file
    for sender, text, at in lines:
        keys = {} if text else {"photos": [{"uri": "photos/1.jpg"}]}
        chat.says(sender, text, at, **keys)
    export.to_folder(path)
    sessions = FolderFacebookMessengerChatLoader(path, **options).load()
    return [message for session in sessions for message in session["messages"]]


def ids_by_text(messages: list[BaseMessage]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for message in messages:
        ids.setdefault(str(message.content), []).append(str(message.id))
    return {text: sorted(listed) for text, listed in ids.items()}


def added(left: Sequence[BaseMessage], right: Sequence[BaseMessage]) -> list[Any]:
    """Return what LangGraph makes of a state and an update to it."""
    given: tuple[Any, Any] = ([*left], [*right])
    return list(add_messages(*given))


@pytest.fixture
def messages(tmp_path: Path) -> list[BaseMessage]:
    return load(LINES, tmp_path / "first")


def test_a_grown_export_adds_only_what_is_new(
    messages: list[BaseMessage], tmp_path: Path
) -> None:
    grown = load([*LINES, (GRACE, "Good morning", NOON + 3)], tmp_path / "grown")
    assert added(messages, grown) == grown


def test_order_and_number_of_the_files_do_not_matter(
    messages: list[BaseMessage], tmp_path: Path
) -> None:
    others = load([LINES[0], *LINES[:0:-1]], tmp_path / "other", per_file=2)
    assert [m.content for m in others] != [m.content for m in messages]
    assert ids_by_text(others) == ids_by_text(messages)


def test_ids_are_short_and_show_no_name_and_no_text(
    messages: list[BaseMessage],
) -> None:
    for message in messages:
        assert message.id is not None
        assert len(message.id) <= 44
        assert set(message.id) <= set("0123456789abcdef-")
