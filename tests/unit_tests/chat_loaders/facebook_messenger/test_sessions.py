"""The files of one thread together: order, ties, duplicates."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import (
    FolderFacebookMessengerChatLoader,
    SingleFileFacebookMessengerChatLoader,
)
from tests.unit_tests.builders.messenger import Export, message, meta_json
from tests.unit_tests.builders.sessions import texts

NOON = 1_700_000_000_000
SECOND = 1000


def load(path: Path, **options: Any) -> list[Any]:
    return FolderFacebookMessengerChatLoader(path, **options).load()


def only_texts(path: Path, **options: Any) -> list[str]:
    (session,) = load(path, **options)
    return texts(session)


class TestOrder:
    def test_files_of_a_thread_are_one_session_in_time_order(
        self, export: Export, tmp_path: Path
    ) -> None:
        chat = export.thread("ada_1")
        chat.per_file = 3
        for number in range(34):
            chat.says("Ada Byron", f"{number}", NOON + number * SECOND)
        assert len(chat.files()) == 12
        folder = export.to_folder(tmp_path / "x")
        assert only_texts(folder) == [str(number) for number in range(34)]

    @pytest.mark.parametrize(
        ("per_file", "times"),
        [
            (9, [1, 1, 1, 2, 2, 3]),
            (3, [0, 1, 1, 1, 1, 1, 2]),
            (3, [0, 1, 2, 2, 2, 2, 2, 2, 3]),
            (2, [1, 1, 2, 2]),
        ],
        ids=[
            "in one file",
            "over the border of two files",
            "a file of ties alone has the direction of the others",
            "files of ties alone go as their numbers do",
        ],
    )
    def test_ties_of_newest_first_files_keep_their_order(
        self, export: Export, tmp_path: Path, per_file: int, times: list[int]
    ) -> None:
        chat = export.thread("ada_1")
        chat.per_file = per_file
        expected = [str(number) for number in range(len(times))]
        for text, at in zip(expected, times, strict=True):
            chat.says("Ada Byron", text, NOON + at)
        assert only_texts(export.to_folder(tmp_path / "x")) == expected

    @pytest.mark.parametrize("times", [[1, 1, 1, 2, 2, 3], [1, 1, 1, 1, 1, 1]])
    def test_ties_of_an_oldest_first_file_keep_their_order(
        self, tmp_path: Path, times: list[int]
    ) -> None:
        records = [
            message("Ada", str(number), NOON + at) for number, at in enumerate(times)
        ]
        path = tmp_path / "messages_Ada.json"
        path.write_bytes(meta_json({"participants": [], "messages": records}))
        (session,) = SingleFileFacebookMessengerChatLoader(path).load()
        assert texts(session) == list("012345")

    def test_messages_without_a_time_stand_first(
        self, export: Export, tmp_path: Path
    ) -> None:
        chat = export.thread("ada_1").says("Ada Byron", "timed", NOON)
        chat.messages.append({"sender_name": "Ada Byron", "content": "never"})
        chat.says("Ada Byron", "far", 10**18).says("Ada Byron", "last", NOON + 1)
        (session,) = load(export.to_folder(tmp_path / "x"))
        assert texts(session) == ["far", "never", "timed", "last"]
        kwargs = session["messages"][0].additional_kwargs
        assert "message_time" not in kwargs
        assert "events" not in kwargs


class TestDuplicates:
    def two_exports(self, tmp_path: Path, first: list[Any], second: list[Any]) -> Path:
        for name, records in (("first", first), ("second", second)):
            export = Export()
            chat = export.thread("ada_1")
            chat.messages += records
            export.to_folder(tmp_path / "both" / name)
        return tmp_path / "both"

    def test_what_two_exports_both_have_comes_once(self, tmp_path: Path) -> None:
        old = [message("Ada Byron", str(n), NOON + n) for n in range(5)]
        new = [message("Ada Byron", str(n), NOON + n) for n in range(3, 8)]
        folder = self.two_exports(tmp_path, old, new)
        assert only_texts(folder) == list("01234567")
        summary = FolderFacebookMessengerChatLoader(folder).inspect()
        assert summary.skipped == {"duplicate": 2}
        assert summary.found == 10

    def test_a_repetition_within_one_file_is_no_duplicate(self, tmp_path: Path) -> None:
        twice = [message("Ada Byron", "ha", NOON)] * 2
        folder = self.two_exports(tmp_path, twice, twice)
        assert only_texts(folder) == ["ha", "ha"]

    @pytest.mark.parametrize(
        "other",
        [
            message("Ada Byron", "another text", NOON),
            message("Grace Hopper", "text", NOON),
            message("Ada Byron", "text", NOON + 1),
            message("Ada Byron", "text", NOON, photos=[{"uri": "a.jpg"}]),
            message("Ada Byron", "text", NOON, share={"link": "https://x.org"}),
        ],
    )
    def test_what_differs_is_no_duplicate(self, tmp_path: Path, other: Any) -> None:
        folder = self.two_exports(
            tmp_path, [message("Ada Byron", "text", NOON)], [other]
        )
        (session,) = load(folder)
        assert len(session["messages"]) == 2

    @pytest.mark.parametrize("is_later", [True, False])
    @pytest.mark.parametrize(
        ("sign", "reason"),
        [
            ({"is_unsent": True}, "unsent"),
            ({"type": "Subscribe", "users": [{"name": "Bob"}]}, "system"),
        ],
    )
    def test_the_export_with_a_sign_tells_what_nobody_typed(
        self, tmp_path: Path, sign: Any, reason: Any, is_later: Any
    ) -> None:
        """One is taken back later; `type` and `users` are gone since 2023."""
        plain = message("Ada Byron", "welcome", NOON)
        both = [[plain], [plain | sign]]
        folder = self.two_exports(tmp_path, *both[:: 1 if is_later else -1])
        summary = FolderFacebookMessengerChatLoader(folder).inspect()
        assert summary.skipped == {"duplicate": 1, reason: 1}

    def test_the_duplicate_with_more_reactions_stays(self, tmp_path: Path) -> None:
        old = message("Ada Byron", "hi", NOON)
        new = old | {"reactions": [{"reaction": "👍", "actor": "Grace Hopper"}]}
        (session,) = load(self.two_exports(tmp_path, [old], [new]))
        (only,) = session["messages"]
        assert len(only.additional_kwargs["reactions"]) == 1

    def test_a_time_in_seconds_is_the_same_moment_in_milliseconds(
        self, tmp_path: Path
    ) -> None:
        old = {"sender_name": "Ada Byron", "timestamp": NOON // 1000, "content": "hi"}
        new = message("Ada Byron", "hi", NOON + 456)
        assert only_texts(self.two_exports(tmp_path, [old], [new])) == ["hi"]


class TestPlaceholders:
    def texts(
        self, tmp_path: Path, shares: list[str], others: tuple[str, ...] = ()
    ) -> list[str]:
        chat = (export := Export()).thread("ada_1")
        for number, text in enumerate([*shares, *others]):
            share = {"share": {"link": f"https://x.org/{number}"}}
            keys = share if number < len(shares) else {}
            chat.says("Ada Byron", text, NOON + number, **keys)
        chat.says("Ada Byron", "the end", NOON + 99)
        return only_texts(export.to_folder(tmp_path / "x"))

    def test_a_text_that_repeats_on_shares_alone_is_one(self, tmp_path: Path) -> None:
        line = "Ada stuurde iets."
        assert self.texts(tmp_path, [line, line, "x"]) == ["x", "the end"]

    @pytest.mark.parametrize(
        ("text", "others"),
        [("look", ("look",)), ("https://x.org", ()), ("a" * 200, ())],
        ids=["people write it, too", "a link", "long"],
    )
    def test_what_else_repeats_is_none(
        self, tmp_path: Path, text: str, others: tuple[str, ...]
    ) -> None:
        expected = [text, text, *others, "the end"]
        assert self.texts(tmp_path, [text, text], others) == expected


class TestPeople:
    def test_who_has_left_a_group_still_takes_part(
        self, export: Export, tmp_path: Path
    ) -> None:
        chat = export.thread("club_1", ["Ada", "Bob", "Grace"], title="Club")
        chat.says("Zed", "bye", NOON)
        (session,) = load(export.to_folder(tmp_path / "x"))
        assert session["metadata"]["participants"] == ["Ada", "Bob", "Grace", "Zed"]

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
        self,
        export: Export,
        tmp_path: Path,
        people: list[str],
        keys: Any,
        is_group: bool,
    ) -> None:
        export.thread("x_1", people, **keys).says("Ada", "hi", NOON)
        (session,) = load(export.to_folder(tmp_path / "x"))
        assert session["metadata"]["is_group"] is is_group

    def test_title_and_members_are_those_of_the_newest_message(
        self, tmp_path: Path
    ) -> None:
        for name, at, title in (("a", 2, "Today"), ("b", 1, "Before")):
            one = Export()
            one.thread("club_1", [title], title=title).says("Ada", title, NOON + at)
            one.to_folder(tmp_path / "x" / name)
        (session,) = load(tmp_path / "x")
        assert session["metadata"]["title"] == "Today"
        assert session["metadata"]["participants"] == ["Today", "Ada"]

    def test_deleted_accounts_are_no_participants(
        self, export: Export, tmp_path: Path
    ) -> None:
        chat = export.thread("x_1", ["Facebook user", "", "Grace"], title="")
        chat.says("Facebook user", "hi", NOON).says("Grace", "ho", NOON + 1)
        (session,) = load(export.to_folder(tmp_path / "x"), owner="Grace")
        assert session["metadata"]["participants"] == ["Grace"]
        assert session["metadata"]["title"] is None
        senders = Counter(m.additional_kwargs["sender"] for m in session["messages"])
        assert senders == {"unknown": 1, "Grace": 1}
        assert session["messages"][0].additional_kwargs["is_from_me"] is False

    def test_an_empty_thread_is_no_session(
        self, export: Export, tmp_path: Path
    ) -> None:
        export.thread("empty_1")
        export.thread("ada_1").says("Ada Byron", "hi", NOON)
        (session,) = load(export.to_folder(tmp_path / "x"))
        assert session["metadata"]["id"] == "ada_1"
