"""The files of one thread together: order, ties, duplicates, people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import (
    FolderFacebookMessengerChatLoader,
    SingleFileFacebookMessengerChatLoader,
)
from tests.unit_tests.builders.messenger import Export, message, meta_json
from tests.unit_tests.builders.sessions import metadata_of, skipped_by, texts

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
        pytest.param(3, [*range(34)], id="files in order of time"),
        pytest.param(9, [1, 1, 1, 2, 2, 3], id="ties in one file"),
        pytest.param(3, [0, 1, 1, 1, 1, 1, 2], id="over the border of two files"),
        pytest.param(
            3,
            [0, 1, 2, 2, 2, 2, 2, 2, 3],
            id="a file of ties alone has the direction of the others",
        ),
        pytest.param(2, [1, 1, 2, 2], id="files of ties alone go as their numbers do"),
    ],
)
def test_messages_of_newest_first_files_keep_their_order(
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
def test_ties_of_an_oldest_first_file_keep_their_order(
    tmp_path: Path, times: list[int]
) -> None:
    records = [message("Ada", str(n), NOON + at) for n, at in enumerate(times)]
    path = tmp_path / "messages_Ada.json"
    path.write_bytes(meta_json({"participants": [], "messages": records}))
    (session,) = SingleFileFacebookMessengerChatLoader(path).load()
    assert texts(session) == list("012345")


def test_messages_without_a_time_stand_first(export: Export, tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("first", "second", "expected", "duplicates"),
    [
        pytest.param(
            numbered(range(5)),
            numbered(range(3, 8)),
            [*"01234567"],
            2,
            id="what both exports have comes once",
        ),
        pytest.param([HI] * 2, [HI] * 2, ["hi", "hi"], 2, id="a repetition is none"),
        pytest.param(
            [SECONDS],
            [message(ADA, "hi", NOON + 456)],
            ["hi"],
            1,
            id="a time in seconds is the same moment",
        ),
        *(
            pytest.param([HI], [other], ["hi", other["content"]], 0, id=f"other {name}")
            for name, other in {
                "text": message(ADA, "another text", NOON),
                "sender": message(GRACE, "hi", NOON),
                "time": message(ADA, "hi", NOON + 1),
                "photo": message(ADA, "hi", NOON, photos=[{"uri": "a.jpg"}]),
                "link": message(ADA, "hi", NOON, share={"link": "https://x.org"}),
            }.items()
        ),
    ],
)
def test_a_message_of_two_exports_comes_once(
    tmp_path: Path, first: Any, second: Any, expected: list[str], duplicates: int
) -> None:
    loader = two_exports(tmp_path, first, second)
    (session,) = loader.load()
    assert sorted(texts(session)) == sorted(expected)
    assert loader.inspect().found == len(first) + len(second)
    assert skipped_by(loader) == ({"duplicate": duplicates} if duplicates else {})


@pytest.mark.parametrize("is_later", [True, False])
@pytest.mark.parametrize(
    ("sign", "reason"),
    [
        ({"is_unsent": True}, "unsent"),
        ({"type": "Subscribe", "users": [{"name": "Bob"}]}, "system"),
    ],
)
def test_the_export_with_a_sign_tells_what_nobody_typed(
    tmp_path: Path, sign: Any, reason: str, is_later: bool
) -> None:
    """One is taken back later; `type` and `users` are gone since 2023."""
    first, second = ([HI], [HI | sign]) if is_later else ([HI | sign], [HI])
    loader = two_exports(tmp_path, first, second)
    assert skipped_by(loader) == {"duplicate": 1, reason: 1}


def test_the_duplicate_with_more_reactions_stays(tmp_path: Path) -> None:
    reactions = [{"reaction": "👍", "actor": GRACE}]
    (session,) = two_exports(tmp_path, [HI], [HI | {"reactions": reactions}]).load()
    (only,) = session["messages"]
    assert len(only.additional_kwargs["reactions"]) == 1


LINE = "Ada stuurde iets."


@pytest.mark.parametrize(
    ("shares", "others", "expected"),
    [
        pytest.param([LINE, LINE, "x"], [], ["x"], id="the app's own line"),
        pytest.param(
            ["look", "look"], ["look"], ["look"] * 3, id="people write it, too"
        ),
        pytest.param(["https://x.org"] * 2, [], ["https://x.org"] * 2, id="a link"),
        pytest.param(["a" * 200] * 2, [], ["a" * 200] * 2, id="long"),
    ],
)
def test_a_text_that_repeats_on_shares_alone_is_a_placeholder(
    export: Export,
    tmp_path: Path,
    shares: list[str],
    others: list[str],
    expected: list[str],
) -> None:
    chat = export.thread("ada_1")
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
def test_a_group_has_the_sign_or_more_than_two_people(
    export: Export, tmp_path: Path, people: list[str], keys: Any, is_group: bool
) -> None:
    export.thread("x_1", people, **keys).says("Ada", "hi", NOON)
    export.thread("empty_1")  # No session.
    (session,) = load(export, tmp_path)
    assert metadata_of(session)["is_group"] is is_group


def test_who_has_left_a_group_still_takes_part(export: Export, tmp_path: Path) -> None:
    chat = export.thread("club_1", ["Ada", "Bob", "Grace"], title="Club")
    chat.says("Zed", "bye", NOON)
    (session,) = load(export, tmp_path)
    assert metadata_of(session)["participants"] == ["Ada", "Bob", "Grace", "Zed"]


def test_title_and_members_are_those_of_the_newest_message(tmp_path: Path) -> None:
    for name, at, title in (("a", 2, "Today"), ("b", 1, "Before")):
        one = Export()
        one.thread("club_1", [title], title=title).says("Ada", title, NOON + at)
        one.to_folder(tmp_path / "x" / name)
    (session,) = FolderFacebookMessengerChatLoader(tmp_path / "x").load()
    assert metadata_of(session)["title"] == "Today"
    assert metadata_of(session)["participants"] == ["Today", "Ada"]


def test_deleted_accounts_are_no_participants(export: Export, tmp_path: Path) -> None:
    chat = export.thread("x_1", ["Facebook user", "", "Grace"], title="")
    chat.says("Facebook user", "hi", NOON).says("Grace", "ho", NOON + 1)
    (session,) = load(export, tmp_path, owner="Grace")
    assert metadata_of(session)["participants"] == ["Grace"]
    assert metadata_of(session)["title"] is None
    said = [m.additional_kwargs for m in session["messages"]]
    assert [one["sender"] for one in said] == ["unknown", "Grace"]
    assert [one["is_from_me"] for one in said] == [False, True]
