"""Which files are one thread: layouts, levels, parts, sections."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import FolderFacebookMessengerChatLoader
from langchain_chatexports.chat_loaders.counts import ExportSummary
from tests.unit_tests.builders.messenger import (
    FACEBOOK,
    INSTAGRAM,
    EncryptedChat,
    Export,
    Thread,
    message,
    meta_json,
)
from tests.unit_tests.builders.sessions import texts

NOON = 1_700_000_000_000
SECTIONS = [
    "inbox",
    "archived_threads",
    "e2ee_cutover",
    "filtered_threads",
    "message_requests",
]
ROOTS = ["messages", "your_activity_across_facebook/messages", FACEBOOK, INSTAGRAM]


def load(path: Path | list[Path], **options: Any) -> list[Any]:
    return FolderFacebookMessengerChatLoader(path, **options).load()


def inspect(path: Path, **options: Any) -> ExportSummary:
    return FolderFacebookMessengerChatLoader(path, **options).inspect()


def ids(sessions: list[Any]) -> list[str]:
    return [session["metadata"]["id"] for session in sessions]


class TestLayouts:
    @pytest.mark.parametrize("root", ROOTS)
    def test_each_level_of_each_layout_gives_the_same_session(
        self, tmp_path: Path, root: str
    ) -> None:
        export = Export(root)
        export.thread("ada_1").says("Ada Byron", "hi", NOON)
        folder = export.to_folder(tmp_path / "export")
        place = f"{root}/inbox/ada_1/message_1.json"
        levels = [folder]
        for name in place.split("/"):
            levels.append(levels[-1] / name)
        loaded = [load(level, owner="Grace Hopper") for level in levels]
        assert [ids(sessions) for sessions in loaded] == [["ada_1"]] * len(levels)
        messages = [sessions[0]["messages"] for sessions in loaded]
        assert all(found == messages[0] for found in messages)

    def test_the_first_layout_of_2018_has_no_sections(
        self, export: Export, tmp_path: Path
    ) -> None:
        record = {"sender_name": "Ada", "timestamp": 1_520_000_000, "content": "hi"}
        content = {"participants": [{"name": "Ada"}], "messages": [record]}
        export.file("messages/AdaByron_f00-_bar12/message.json", content)
        (session,) = load(export.to_folder(tmp_path / "x"))
        assert session["metadata"]["id"] == "adabyron_f00-_bar12"

    def test_files_of_other_names_are_threads_of_their_own(
        self, tmp_path: Path
    ) -> None:
        for person in ("Ada", "Bob"):
            content = {"participants": [], "messages": [message(person, "hi", NOON)]}
            path = tmp_path / "hogwarts" / "inbox" / "Both" / f"messages_{person}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(meta_json(content))
        assert ids(load(tmp_path / "hogwarts")) == [
            "both/messages_ada.json",
            "both/messages_bob.json",
        ]

    def test_settings_are_no_threads(self, export: Export, tmp_path: Path) -> None:
        export.thread("ada_1").says("Ada Byron", "hi", NOON)
        export.file(f"{FACEBOOK}/autofill_information.json", {"a": {}})
        export.file(f"{FACEBOOK}/secret_conversations.json", {"messages": []})
        export.file(f"{FACEBOOK}/support_messages.json", {"messages": [{"t": 1}]})
        export.file(f"{FACEBOOK}/inbox/ada_1/message_settings.json", [1])
        export.file(f"{FACEBOOK}/inbox/ada_1/message_2.json", {"a": 1})
        summary = inspect(export.to_folder(tmp_path / "x"))
        assert summary.sessions == 1
        assert summary.found == 1
        assert summary.details["other_files"] == 5


class TestOrder:
    def test_sessions_come_in_code_point_order_of_their_folders(
        self, export: Export, tmp_path: Path
    ) -> None:
        names = ["zoe_1", "Ada_2", "ada_3", "Zed_4", "émile_5", "10_6", "9_7"]
        for name in names:
            export.thread(name).says("Ada Byron", "hi", NOON)
        for path in export.to_folder_and_zip(tmp_path / "x"):
            assert ids(load(path)) == [name.lower() for name in sorted(names)]

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no C locale")
    @pytest.mark.parametrize("write", [Export.to_folder, Export.to_zip])
    def test_the_locale_does_not_matter(
        self, export: Export, tmp_path: Path, write: Callable[[Export, Path], Path]
    ) -> None:
        chat = export.thread("émile_1", ["Émile", "Grace Hopper"])
        chat.says("Émile", "Ça va? 😂", NOON)
        path = write(export, tmp_path / "x")
        code = (
            "import json, sys\n"
            "from langchain_chatexports import FolderFacebookMessengerChatLoader as L\n"
            "(s,) = L(sys.argv[1]).load()\n"
            "print(json.dumps([s['metadata'], s['messages'][0].content]))"
        )
        plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", code, str(path)],
            env=os.environ | plain,
            check=True,
            capture_output=True,
        )
        (session,) = load(path)
        assert json.loads(done.stdout) == [session["metadata"], "Ça va? 😂"]
        assert session["metadata"]["id"] == "émile_1"


class TestSections:
    @pytest.fixture
    def folder(self, export: Export, tmp_path: Path) -> Path:
        for section in SECTIONS:
            chat = export.thread(f"{section}_1", section=section)
            chat.says("Ada Byron", "one", NOON).says("Ada Byron", "two", NOON + 1)
        return export.to_folder(tmp_path / "x")

    def test_all_sections_but_spam_are_read(self, folder: Path) -> None:
        assert ids(load(folder)) == ["archived_threads_1", "e2ee_cutover_1", "inbox_1"]

    @pytest.mark.parametrize("section", ["filtered_threads", "message_requests"])
    def test_left_out_sections_can_be_asked_for(
        self, folder: Path, section: str
    ) -> None:
        loaded = load(folder, keep="section")
        assert len(loaded) == 5
        assert f"{section}_1" in ids(loaded)
        assert not inspect(folder, keep="section").skipped

    @pytest.mark.parametrize("section", SECTIONS)
    def test_a_section_that_the_path_points_at_is_read(
        self, folder: Path, section: str
    ) -> None:
        assert ids(load(folder / FACEBOOK / section)) == [f"{section}_1"]

    def test_a_thread_over_two_sections_is_one_session(
        self, export: Export, tmp_path: Path
    ) -> None:
        export.thread("ada_1").says("Ada Byron", "old", NOON)
        chat = export.thread("ada_1", section="e2ee_cutover")
        chat.says("Ada Byron", "new", NOON + 1)
        (session,) = load(export.to_folder(tmp_path / "x"))
        assert texts(session) == ["old", "new"]


class TestParts:
    expected = "012345"

    def parts(self) -> Iterator[Export]:
        """One thread whose numbered files are spread over the parts of an export."""
        chat = Export().thread("ada_1")
        chat.per_file = 2
        for number, text in enumerate(self.expected):
            chat.says("Ada Byron", text, NOON + number)
        for path, data in chat.files().items():
            yield Export().file(path, data)

    @pytest.mark.parametrize("suffix", ["", ".zip"], ids=["folders", "zips"])
    def test_several_in_a_folder_are_one_export(
        self, tmp_path: Path, suffix: str
    ) -> None:
        for number, part in enumerate(self.parts()):
            write = part.to_zip if suffix else part.to_folder
            write(tmp_path / "parts" / f"facebook-grace-{number}{suffix}")
        (session,) = load(tmp_path / "parts")
        assert texts(session) == list(self.expected)


@pytest.mark.parametrize(
    "place",
    [
        f"{FACEBOOK}/inbox/ada_1/message_1 (1).json",
        f"{FACEBOOK}/inbox/ada_1 (1)/message_1.json",
        f"{FACEBOOK}/inbox/ada_1 - Copy/message_1.json",
        "ada.json",
    ],
)
def test_a_copy_under_another_name_is_not_learned_twice(
    export: Export, tmp_path: Path, place: str
) -> None:
    chat = export.thread("ada_1").says("Ada Byron", "hello", NOON)
    export.file(place, chat.document(chat.messages))
    folder = export.to_folder(tmp_path / "x")
    (session,) = load(folder)
    assert ids([session]) == ["ada_1"]
    assert texts(session) == ["hello"]
    assert inspect(folder).skipped == {"duplicate": 1}


class TestGroupMessages:
    @pytest.fixture
    def group(self, export: Export) -> Thread:
        chat = export.thread("club_7001", ["Ada", "Bob", "Grace"], title="Club")
        chat.says("Ada", "hello", NOON).says("Bob", "hi", NOON + 1)
        return chat

    def copy(self, export: Export, group: Thread, name: str, **keys: Any) -> None:
        content = group.document(group.messages) | keys
        place = "your_facebook_activity/groups/your_group_messages"
        export.file(f"{place}/{name}.json", content)

    @pytest.mark.parametrize(
        ("name", "keys"),
        [
            ("7001", {"thread_path": None, "title": "Other"}),
            ("99", {"title": "Other"}),
            ("99", {"thread_path": None}),
        ],
        ids=["by id", "by thread path", "by title and people"],
    )
    def test_a_groups_copy_is_not_doubled(
        self, export: Export, group: Thread, tmp_path: Path, name: str, keys: Any
    ) -> None:
        self.copy(export, group, name, **keys)
        folder = export.to_folder(tmp_path / "x")
        (session,) = load(folder)
        assert texts(session) == ["hello", "hi"]
        assert inspect(folder).skipped == {"duplicate": 2}

    def test_a_group_without_an_original_is_a_session(
        self, export: Export, tmp_path: Path
    ) -> None:
        group = Export().thread("club_1", ["Ada", "Bob", "Grace"], title="Club")
        self.copy(export, group.says("Ada", "hello", NOON), "7001", thread_path=None)
        export.thread("ada_1", ["Ada", "Bob", "Grace"], title="Ada, Bob").says(
            "Ada", "hi", NOON
        )
        sessions = load(export.to_folder(tmp_path / "x"))
        assert [texts(session) for session in sessions] == [["hello"], ["hi"]]


class TestEncryptedChats:
    PAIR = ("Ada Byron", "Grace Hopper")

    def old_half(self, export: Export, section: str = "e2ee_cutover") -> Thread:
        chat = export.thread("ada_1", self.PAIR, section=section)
        return chat.says("Ada Byron", "before", NOON)

    def new_half(self, export: Export, name: str = "Ada Byron_12") -> EncryptedChat:
        chat = export.encrypted(f"messages/{name}.json", self.PAIR[::-1])
        return chat.says("Ada Byron", "after", NOON + 5)

    @pytest.mark.parametrize("section", ["inbox", "e2ee_cutover"])
    def test_it_joins_the_older_half_of_the_same_two_people(
        self, export: Export, tmp_path: Path, section: str
    ) -> None:
        self.old_half(export, section)
        self.new_half(export)
        (session,) = load(export.to_folder(tmp_path / "x"))
        assert session["metadata"]["id"] == "ada_1"
        assert texts(session) == ["before", "after"]

    def test_the_thread_that_went_over_comes_before_another_one(
        self, export: Export, tmp_path: Path
    ) -> None:
        self.old_half(export)
        chat = export.thread("aaa_1", self.PAIR)
        chat.says("Ada Byron", "about the sale", NOON)
        self.new_half(export)
        sessions = load(export.to_folder(tmp_path / "x"))
        assert [texts(session) for session in sessions] == [
            ["about the sale"],
            ["before", "after"],
        ]

    def test_it_does_not_join_a_group_or_spam(
        self, export: Export, tmp_path: Path
    ) -> None:
        export.thread("club_1", [*self.PAIR, "Bob"]).says("Bob", "hi", NOON)
        spam = export.thread("spam_1", self.PAIR, section="message_requests")
        spam.says("Ada Byron", "hi", NOON)
        self.new_half(export)
        assert ids(load(export.to_folder(tmp_path / "x"))) == [
            "messages/ada byron_12.json",
            "club_1",
        ]

    def test_the_same_chat_has_another_number_in_another_download(
        self, tmp_path: Path
    ) -> None:
        for year, number, words in ((2024, 12, ["after"]), (2025, 15, ["after", "x"])):
            export = Export()
            chat = export.encrypted(f"messages/Ada Byron_{number}.json", self.PAIR)
            for place, text in enumerate(words):
                chat.says("Ada Byron", text, NOON + place)
            export.to_zip(tmp_path / "x" / f"messages-{year}.zip")
        (session,) = load(tmp_path / "x")
        assert texts(session) == ["after", "x"]
        assert inspect(tmp_path / "x").skipped == {"duplicate": 1}

    def test_deleted_accounts_are_different_people(
        self, export: Any, tmp_path: Path
    ) -> None:
        """In one real export 80 threads were with "Facebook user"."""
        people = ["Facebook user", "Grace Hopper"]
        for number in range(2):
            export.thread(f"user_{number}", people).says(people[0], "before", NOON)
            chat = export.encrypted(f"messages/Facebook user_{number}.json", people)
            chat.says(people[0], "after", NOON + 5)
        assert len(load(export.to_folder(tmp_path / "x"))) == 4


class TestInstagram:
    @pytest.mark.parametrize(
        ("root", "container"),
        [(INSTAGRAM, "export"), ("messages", "instagram-grace-2024-01-01-abc")],
    )
    def test_the_platform_is_instagram(
        self, tmp_path: Path, root: str, container: str
    ) -> None:
        export = Export(root)
        export.thread("ada_1").says("Ada Byron", "hi", NOON)
        for path in export.to_folder_and_zip(tmp_path / container):
            (session,) = load(path)
            assert session["metadata"]["platform"] == "instagram"
            assert inspect(path).platform == "instagram"

    @pytest.mark.parametrize("place", ["personal_information", "account_information"])
    @pytest.mark.parametrize("container", ["", "2019/"])
    def test_an_old_export_is_known_by_its_profile(
        self, tmp_path: Path, place: Any, container: Any
    ) -> None:
        """Its folders are those of Facebook, and the zip may have any name."""
        export = Export(f"{container}messages")
        export.thread("ada_1").says("Ada Byron", "hi", NOON)
        export.file(f"{container}{place}/personal_information.json", {})
        for path in export.to_folder_and_zip(tmp_path / "x"):
            (session,) = load(path)
            assert session["metadata"]["platform"] == "instagram"

    def test_facebooks_encrypted_chats_do_not_join_it(self, tmp_path: Path) -> None:
        export = Export(INSTAGRAM)
        export.thread("ada_1").says("Ada Byron", "hi", NOON)
        chat = export.encrypted("messages/Ada_1.json", ["Grace Hopper", "Ada Byron"])
        chat.says("Ada Byron", "hello", NOON + 1)
        sessions = load(export.to_folder(tmp_path / "x"))
        assert [(texts(s), s["metadata"]["platform"]) for s in sessions] == [
            (["hello"], "facebook_messenger"),
            (["hi"], "instagram"),
        ]


def test_numbers_of_files_are_sorted_as_numbers(tmp_path: Path) -> None:
    for number in (1, 2, 9, 10, 11):
        record = message("Ada", str(number), NOON)
        path = tmp_path / "ada_1" / f"message_{number}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"participants": [], "messages": [record]}))
    (session,) = load(tmp_path)
    assert texts(session) == ["11", "10", "9", "2", "1"]
