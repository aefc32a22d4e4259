"""The joined files of a thread: order, ties, duplicates, people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import (
    FolderFacebookMessengerChatLoader,
    SingleFileFacebookMessengerChatLoader,
)
from langchain_chatexports.chat_loaders.schema import metadata_of
from tests.unit_tests.builders.messenger import Export, message, meta_json
from tests.unit_tests.builders.sessions import skipped_counts, texts

NOON = 1_700_000_000_000
ADA, GRACE = "Ada Byron", "Grace Hopper"
HI = message(ADA, "hi", NOON)


def load(export: Export, tmp_path: Path, **options: Any) -> list[Any]:
    folder = export.to_folder(tmp_path / "x")
    return FolderFacebookMessengerChatLoader(folder, **options).load()


def only_texts(export: Export, tmp_path: Path) -> list[str]:
    (session,) = load(export, tmp_path)
    return texts(session)


@pytest.mark.parametrize(
    ("per_file", "times"),
    [
        pytest.param(3, [*range(34)], id="several files"),
        pytest.param(9, [1, 1, 1, 2, 2, 3], id="ties in one file"),
        pytest.param(3, [0, 1, 1, 1, 1, 1, 2], id="ties across two files"),
        pytest.param(3, [0, 1, 2, 2, 2, 2, 2, 2, 3], id="a file of ties only"),
        pytest.param(2, [1, 1, 2, 2], id="files of ties only"),
    ],
)
def test_newest_first_files_are_reversed(
    export: Export, tmp_path: Path, per_file: int, times: list[int]
) -> None:
    chat = export.thread("ada_1")
    chat.per_file = per_file
    for number, at in enumerate(times):
        chat.says(ADA, str(number), NOON + at)
    assert len(chat.files()) == -(-len(times) // per_file)
    expected = [str(number) for number in range(len(times))]
    assert only_texts(export, tmp_path) == expected


@pytest.mark.parametrize("times", [[1, 1, 1, 2, 2, 3], [1, 1, 1, 1, 1, 1]])
def test_ties_in_oldest_first_file_keep_order(tmp_path: Path, times: list[int]) -> None:
    records = [message("Ada", str(n), NOON + at) for n, at in enumerate(times)]
    path = tmp_path / "messages_Ada.json"
    path.write_bytes(meta_json({"participants": [], "messages": records}))
    (session,) = SingleFileFacebookMessengerChatLoader(path).load()
    assert texts(session) == list("012345")


def test_messages_without_time_come_first(export: Export, tmp_path: Path) -> None:
    chat = export.thread("ada_1").says(ADA, "timed", NOON)
    chat.messages.append({"sender_name": ADA, "content": "never"})
    chat.says(ADA, "far", 10**18).says(ADA, "last", NOON + 1)
    (session,) = load(export, tmp_path)
    assert texts(session) == ["far", "never", "timed", "last"]
    kwargs = session["messages"][0].additional_kwargs
    assert "message_time" not in kwargs
    assert "events" not in kwargs


def two_exports(
    tmp_path: Path, first: Sequence[Any], second: Sequence[Any]
) -> FolderFacebookMessengerChatLoader:
    for name, records in (("first", first), ("second", second)):
        export = Export()
        export.thread("ada_1").messages += records
        export.to_folder(tmp_path / "both" / name)
    return FolderFacebookMessengerChatLoader(tmp_path / "both")


def numbered(numbers: range) -> list[Any]:
    return [message(ADA, str(number), NOON + number) for number in numbers]


SECONDS = {"sender_name": ADA, "timestamp": NOON // 1000, "content": "hi"}


OTHERS = {
    "text": message(ADA, "another text", NOON),
    "sender": message(GRACE, "hi", NOON),
    "time": message(ADA, "hi", NOON + 1),
    "photo": message(ADA, "hi", NOON, photos=[{"uri": "a.jpg"}]),
    "link": message(ADA, "hi", NOON, share={"link": "https://x.org"}),
}
PAIRS: dict[str, tuple[list[Any], list[Any], list[str], int]] = {
    "overlap": (numbered(range(5)), numbered(range(3, 8)), [*"01234567"], 2),
    "repeated in one file": ([HI] * 2, [HI] * 2, ["hi", "hi"], 2),
    "time in seconds": ([SECONDS], [message(ADA, "hi", NOON + 456)], ["hi"], 1),
    **{
        f"other {name}": ([HI], [other], ["hi", other["content"]], 0)
        for name, other in OTHERS.items()
    },
}


@pytest.mark.parametrize(
    ("first", "second", "expected", "duplicates"), PAIRS.values(), ids=PAIRS
)
def test_duplicates_in_two_exports_are_skipped(
    tmp_path: Path, first: Any, second: Any, expected: list[str], duplicates: int
) -> None:
    loader = two_exports(tmp_path, first, second)
    (session,) = loader.load()
    assert sorted(texts(session)) == sorted(expected)
    assert loader.inspect().found == len(first) + len(second)
    assert skipped_counts(loader) == ({"duplicate": duplicates} if duplicates else {})


@pytest.mark.parametrize("is_later", [True, False])
@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"is_unsent": True}, "unsent"),
        ({"type": "Subscribe", "users": [{"name": "Bob"}]}, "system"),
    ],
)
def test_kind_is_taken_from_either_export(
    tmp_path: Path, keys: Any, reason: str, is_later: bool
) -> None:
    """A message may be unsent later; `type` and `users` are missing since 2023."""
    first, second = ([HI], [HI | keys]) if is_later else ([HI | keys], [HI])
    loader = two_exports(tmp_path, first, second)
    assert skipped_counts(loader) == {"duplicate": 1, reason: 1}


def test_duplicate_keeps_more_reactions(tmp_path: Path) -> None:
    reactions = [{"reaction": "👍", "actor": GRACE}]
    (session,) = two_exports(tmp_path, [HI], [HI | {"reactions": reactions}]).load()
    (only,) = session["messages"]
    assert len(only.additional_kwargs["reactions"]) == 1


LINE = "Ada stuurde iets."


@pytest.mark.parametrize(
    ("shares", "others", "expected"),
    [
        pytest.param([LINE, LINE, "x"], [], ["x"], id="placeholder"),
        pytest.param(["look"] * 2, ["look"], ["look"] * 3, id="also without share"),
        pytest.param(["https://x.org"] * 2, [], ["https://x.org"] * 2, id="a link"),
        pytest.param(["a" * 200] * 2, [], ["a" * 200] * 2, id="long"),
    ],
)
def test_repeated_text_on_shares_is_a_placeholder(
    tmp_path: Path, shares: list[str], others: list[str], expected: list[str]
) -> None:
    chat = (export := Export()).thread("ada_1")
    for number, text in enumerate(shares):
        chat.says(ADA, text, NOON + number, share={"link": f"https://x.org/{number}"})
    for number, text in enumerate([*others, "the end"], len(shares)):
        chat.says(ADA, text, NOON + number)
    assert only_texts(export, tmp_path) == [*expected, "the end"]


@pytest.mark.parametrize(
    ("people", "keys", "is_group"),
    [
        (["Ada", "Grace"], {}, False),
        (["Ada", "Bob", "Grace"], {}, True),
        (["Ada", "Bob", "Grace"], {"thread_type": "Regular"}, False),
        (["Ada", "Grace"], {"thread_type": "RegularGroup"}, True),
        (["Grace"], {"joinable_mode": {"mode": 1, "link": ""}}, True),
        (["Facebook user", "Facebook user", "Grace"], {}, True),
        (["Grace"], {}, False),
        ([], {}, False),
    ],
)
def test_groups_are_recognized(
    export: Export, tmp_path: Path, people: list[str], keys: Any, is_group: bool
) -> None:
    export.thread("x_1", people, **keys).says("Ada", "hi", NOON)
    export.thread("empty_1")  # No session.
    (session,) = load(export, tmp_path)
    assert metadata_of(session)["is_group"] is is_group


def test_former_member_is_a_participant(export: Export, tmp_path: Path) -> None:
    chat = export.thread("club_1", ["Ada", "Bob", "Grace"], title="Club")
    chat.says("Zed", "bye", NOON)
    (session,) = load(export, tmp_path)
    assert metadata_of(session)["participants"] == ["Ada", "Bob", "Grace", "Zed"]


def test_newest_file_has_title_and_members(tmp_path: Path) -> None:
    for name, at, title in (("a", 2, "Today"), ("b", 1, "Before")):
        export = Export()
        export.thread("club_1", [title], title=title).says("Ada", title, NOON + at)
        export.to_folder(tmp_path / "x" / name)
    (session,) = FolderFacebookMessengerChatLoader(tmp_path / "x").load()
    assert metadata_of(session)["title"] == "Today"
    assert metadata_of(session)["participants"] == ["Today", "Ada"]


def test_deleted_accounts_are_not_participants(export: Export, tmp_path: Path) -> None:
    chat = export.thread("x_1", ["Facebook user", "", "Grace"], title="")
    chat.says("Facebook user", "hi", NOON).says("Grace", "ho", NOON + 1)
    (session,) = load(export, tmp_path, owner="Grace")
    assert metadata_of(session)["participants"] == ["Grace"]
    assert metadata_of(session)["title"] is None
    kwargs = [m.additional_kwargs for m in session["messages"]]
    assert [keys["sender"] for keys in kwargs] == ["unknown", "Grace"]
    assert [keys["is_from_me"] for keys in kwargs] == [False, True]
