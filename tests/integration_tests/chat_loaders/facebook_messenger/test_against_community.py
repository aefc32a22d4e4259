"""On clean threads of one file, the messages are langchain-community's."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports import (
    FolderFacebookMessengerChatLoader,
    SingleFileFacebookMessengerChatLoader,
)
from tests.integration_tests import community

NOON = 1_700_000_000_000
WORDS = ["yes", "no", "maybe", "see you", "at the mill", "carrots?", "slow. steady"]

lines = st.tuples(
    st.sampled_from(["Ada Byron", "Grace Hopper"]),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join),
    st.integers(0, 3),
)
threads = st.lists(st.lists(lines, min_size=2, max_size=12), min_size=1, max_size=4)


def write(folder: Path, thread: list[tuple[str, str, int]]) -> Path:
    """Write a thread of ASCII text, oldest first, with ties."""
    at, messages = NOON, []
    for sender, text, pause in thread:
        at += pause
        messages.append({"sender_name": sender, "timestamp_ms": at, "content": text})
    people = [{"name": "Ada Byron"}, {"name": "Grace Hopper"}]
    path = folder / "message_1.json"
    folder.mkdir(parents=True)
    path.write_text(
        json.dumps({"participants": people, "messages": messages}), encoding="ascii"
    )
    return path


def said(sessions: Any) -> Any:
    return [
        [(m.type, m.content, m.additional_kwargs["sender"]) for m in s["messages"]]
        for s in sessions
    ]


@given(threads)
def test_clean_exports_give_the_same_messages(generated: Any) -> None:
    with TemporaryDirectory() as place:
        inbox = Path(place, "inbox")
        paths = [
            write(inbox / f"thread_{number}", thread)
            for number, thread in enumerate(generated)
        ]
        theirs = [
            said(community.SingleFileFacebookMessengerChatLoader(path).load())
            for path in paths
        ]
        ours = [
            said(SingleFileFacebookMessengerChatLoader(path).load()) for path in paths
        ]
        assert ours == theirs
        both = (
            FolderFacebookMessengerChatLoader,
            (community.FolderFacebookMessengerChatLoader),
        )
        ours, theirs = (said(loader(place).load()) for loader in both)
        # Their order is that of the file system.
        assert sorted(ours) == sorted(theirs)


def test_unclean_exports_differ_on_purpose(tmp_path: Path) -> None:
    thread = [("Ada Byron", "hi", 0), ("Ada Byron", "Ada sent an attachment.", 1)]
    path = write(tmp_path / "inbox" / "ada_1", thread)
    ours = SingleFileFacebookMessengerChatLoader(path).load()
    theirs = community.SingleFileFacebookMessengerChatLoader(path).load()
    assert [len(s["messages"]) for s in (*ours, *theirs)] == [1, 2]
