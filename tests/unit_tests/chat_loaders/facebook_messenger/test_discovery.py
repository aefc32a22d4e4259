"""The files of a thread: layouts, levels, parts, sections."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import FolderFacebookMessengerChatLoader
from langchain_chatexports.chat_loaders.schema import metadata_of
from tests.unit_tests.builders.messenger import (
    FACEBOOK,
    INSTAGRAM,
    Export,
    message,
    meta_json,
)
from tests.unit_tests.builders.sessions import skipped_counts, texts

NOON = 1_700_000_000_000
ADA, GRACE = "Ada Byron", "Grace Hopper"
PAIR = (ADA, GRACE)
SECTIONS = [
    *("inbox", "archived_threads", "e2ee_cutover"),
    *("filtered_threads", "message_requests"),
]
ROOTS = ["messages", "your_activity_across_facebook/messages", FACEBOOK, INSTAGRAM]


def load(path: Path, **options: Any) -> list[Any]:
    return FolderFacebookMessengerChatLoader(path, **options).load()


def ids(sessions: list[Any]) -> list[str]:
    return [metadata_of(session)["id"] for session in sessions]


def all_texts(sessions: list[Any]) -> list[list[str]]:
    return [texts(session) for session in sessions]


def skipped(path: Path, **options: Any) -> dict[str, int]:
    return skipped_counts(FolderFacebookMessengerChatLoader(path, **options))


@pytest.mark.parametrize("root", ROOTS)
def test_any_folder_level_can_be_given(tmp_path: Path, root: str) -> None:
    export = Export(root)
    export.thread("ada_1").says(ADA, "hi", NOON)
    levels = [export.to_folder(tmp_path / "export")]
    for name in f"{root}/inbox/ada_1/message_1.json".split("/"):
        levels.append(levels[-1] / name)
    loaded = [load(level, owner=GRACE) for level in levels]
    assert [ids(sessions) for sessions in loaded] == [["ada_1"]] * len(levels)
    messages = [sessions[0]["messages"] for sessions in loaded]
    assert all(found == messages[0] for found in messages)


def test_layout_of_2018_has_no_sections(export: Export, tmp_path: Path) -> None:
    record = {"sender_name": "Ada", "timestamp": 1_520_000_000, "content": "hi"}
    content = {"participants": [{"name": "Ada"}], "messages": [record]}
    export.file("messages/AdaByron_f00-_bar12/message.json", content)
    assert ids(load(export.to_folder(tmp_path / "x"))) == ["adabyron_f00-_bar12"]


def test_renamed_files_are_separate_threads(tmp_path: Path) -> None:
    folder = tmp_path / "hogwarts" / "inbox" / "Both"
    folder.mkdir(parents=True)
    for person in ("Ada", "Bob"):
        content = {"participants": [], "messages": [message(person, "hi", NOON)]}
        (folder / f"messages_{person}.json").write_bytes(meta_json(content))
    names = ["both/messages_ada.json", "both/messages_bob.json"]
    assert ids(load(tmp_path / "hogwarts")) == names


def test_settings_are_not_threads(export: Export, tmp_path: Path) -> None:
    export.thread("ada_1").says(ADA, "hi", NOON)
    export.file(f"{FACEBOOK}/autofill_information.json", {"a": {}})
    export.file(f"{FACEBOOK}/secret_conversations.json", {"messages": []})
    export.file(f"{FACEBOOK}/support_messages.json", {"messages": [{"t": 1}]})
    export.file(f"{FACEBOOK}/inbox/ada_1/message_settings.json", [1])
    export.file(f"{FACEBOOK}/inbox/ada_1/message_2.json", {"a": 1})
    folder = export.to_folder(tmp_path / "x")
    summary = FolderFacebookMessengerChatLoader(folder).inspect()
    assert (summary.sessions, summary.found) == (1, 1)
    assert summary.details["other_files"] == 5


def test_sessions_are_sorted_by_folder_name(export: Export, tmp_path: Path) -> None:
    names = ["zoe_1", "Ada_2", "ada_3", "Zed_4", "émile_5", "10_6", "9_7"]
    for name in names:
        export.thread(name).says(ADA, "hi", NOON)
    for path in export.to_folder_and_zip(tmp_path / "x"):
        assert ids(load(path)) == [name.lower() for name in sorted(names)]


def test_files_are_sorted_by_number(tmp_path: Path) -> None:
    (tmp_path / "ada_1").mkdir()
    for number in range(1, 12):
        content = {"participants": [], "messages": [message("Ada", str(number), NOON)]}
        path = tmp_path / "ada_1" / f"message_{number}.json"
        path.write_text(json.dumps(content))
    assert all_texts(load(tmp_path)) == [[str(n) for n in range(11, 0, -1)]]


@pytest.fixture
def sections(export: Export, tmp_path: Path) -> Path:
    for section in SECTIONS:
        chat = export.thread(f"{section}_1", section=section)
        chat.says(ADA, "one", NOON).says(ADA, "two", NOON + 1)
    return export.to_folder(tmp_path / "x")


def test_spam_sections_are_skipped_by_default(sections: Path) -> None:
    expected = ["archived_threads_1", "e2ee_cutover_1", "inbox_1"]
    assert ids(load(sections)) == expected
    spam = ["filtered_threads_1", "message_requests_1"]
    assert sorted(ids(load(sections, keep="section"))) == sorted([*expected, *spam])
    assert skipped(sections, keep="section") == {}


@pytest.mark.parametrize("section", SECTIONS)
def test_section_in_path_is_read(sections: Path, section: str) -> None:
    assert ids(load(sections / FACEBOOK / section)) == [f"{section}_1"]


def test_thread_in_two_sections_is_joined(export: Export, tmp_path: Path) -> None:
    export.thread("ada_1").says(ADA, "old", NOON)
    export.thread("ada_1", section="e2ee_cutover").says(ADA, "new", NOON + 1)
    assert all_texts(load(export.to_folder(tmp_path / "x"))) == [["old", "new"]]


def parts_of_one_thread() -> Iterator[Export]:
    """Yield the parts of an export that share the files of one thread."""
    chat = Export().thread("ada_1")
    chat.per_file = 2
    for number in range(6):
        chat.says(ADA, str(number), NOON + number)
    for path, data in chat.files().items():
        yield Export().file(path, data)


@pytest.mark.parametrize("suffix", ["", ".zip"], ids=["folders", "zips"])
def test_parts_in_a_folder_are_joined(tmp_path: Path, suffix: str) -> None:
    for number, part in enumerate(parts_of_one_thread()):
        write = part.to_zip if suffix else part.to_folder
        write(tmp_path / "parts" / f"facebook-grace-{number}{suffix}")
    assert all_texts(load(tmp_path / "parts")) == [[*"012345"]]


@pytest.mark.parametrize(
    "name",
    [
        f"{FACEBOOK}/inbox/ada_1/message_1 (1).json",
        f"{FACEBOOK}/inbox/ada_1 (1)/message_1.json",
        f"{FACEBOOK}/inbox/ada_1 - Copy/message_1.json",
        "ada.json",
    ],
)
def test_renamed_copy_is_a_duplicate(export: Export, tmp_path: Path, name: str) -> None:
    chat = export.thread("ada_1").says(ADA, "hello", NOON)
    export.file(name, chat.document(chat.messages))
    folder = export.to_folder(tmp_path / "x")
    assert ids(load(folder)) == ["ada_1"]
    assert all_texts(load(folder)) == [["hello"]]
    assert skipped(folder) == {"duplicate": 1}


GROUP_COPIES = "your_facebook_activity/groups/your_group_messages"
CLUB = ("Ada", "Bob", "Grace")


@pytest.mark.parametrize(
    ("keys", "reason"), [({}, "duplicate"), ({"thread_path": None}, "section")]
)
def test_group_copy_is_skipped(
    export: Export, tmp_path: Path, keys: Any, reason: str
) -> None:
    group = export.thread("club_7001", CLUB, title="Club").says("Ada", "hello", NOON)
    export.file(f"{GROUP_COPIES}/7001.json", group.document(group.messages) | keys)
    folder = export.to_folder(tmp_path / "x")
    assert all_texts(load(folder)) == [["hello"]]
    assert skipped(folder) == {reason: 1}


def add_encrypted_chat(export: Export) -> None:
    chat = export.encrypted(f"messages/{ADA}_12.json", PAIR[::-1])
    chat.says(ADA, "after", NOON + 5)


@pytest.mark.filterwarnings("ignore:.* people with the same names")
@pytest.mark.parametrize("section", ["inbox", "e2ee_cutover"])
def test_encrypted_chat_is_joined(export: Export, tmp_path: Path, section: str) -> None:
    export.thread("ada_1", PAIR, section=section).says(ADA, "before", NOON)
    add_encrypted_chat(export)
    sessions = load(export.to_folder(tmp_path / "x"))
    assert ids(sessions) == ["ada_1"]
    assert all_texts(sessions) == [["before", "after"]]


def test_encrypted_chat_prefers_cutover_thread(export: Export, tmp_path: Path) -> None:
    export.thread("ada_1", PAIR, section="e2ee_cutover").says(ADA, "before", NOON)
    export.thread("aaa_1", PAIR).says(ADA, "about the sale", NOON)
    add_encrypted_chat(export)
    sessions = load(export.to_folder(tmp_path / "x"))
    assert all_texts(sessions) == [["about the sale"], ["before", "after"]]


def test_groups_and_spam_are_not_joined(export: Export, tmp_path: Path) -> None:
    export.thread("club_1", [*PAIR, "Bob"]).says("Bob", "hi", NOON)
    export.thread("spam_1", PAIR, section="message_requests").says(ADA, "hi", NOON)
    add_encrypted_chat(export)
    names = ["messages/ada byron_12.json", "club_1"]
    assert ids(load(export.to_folder(tmp_path / "x"))) == names


def test_encrypted_chat_number_may_change(tmp_path: Path) -> None:
    for year, number, words in ((2024, 12, ["after"]), (2025, 15, ["after", "x"])):
        export = Export()
        chat = export.encrypted(f"messages/{ADA}_{number}.json", PAIR)
        for index, text in enumerate(words):
            chat.says(ADA, text, NOON + index)
        export.to_zip(tmp_path / "x" / f"messages-{year}.zip")
    assert all_texts(load(tmp_path / "x")) == [["after", "x"]]
    assert skipped(tmp_path / "x") == {"duplicate": 1}


def test_deleted_accounts_are_different_people(export: Export, tmp_path: Path) -> None:
    """In one real export, 80 threads were with "Facebook user"."""
    people = ["Facebook user", GRACE]
    for number in range(2):
        export.thread(f"user_{number}", people).says(people[0], "before", NOON)
        chat = export.encrypted(f"messages/Facebook user_{number}.json", people)
        chat.says(people[0], "after", NOON + 5)
    assert len(load(export.to_folder(tmp_path / "x"))) == 4


@pytest.mark.parametrize(
    ("root", "container"),
    [(INSTAGRAM, "export"), ("messages", "instagram-grace-2024-01-01-abc")],
    ids=["by its folders", "by the zip's name"],
)
def test_instagram_is_recognized(tmp_path: Path, root: str, container: str) -> None:
    export = Export(root)
    export.thread("ada_1").says(ADA, "hi", NOON)
    for path in export.to_folder_and_zip(tmp_path / container):
        (session,) = load(path)
        assert metadata_of(session)["platform"] == "instagram"
        summary = FolderFacebookMessengerChatLoader(path).inspect()
        assert summary.platform == "instagram"


def test_encrypted_chat_does_not_join_instagram(tmp_path: Path) -> None:
    export = Export(INSTAGRAM)
    export.thread("ada_1").says(ADA, "hi", NOON)
    chat = export.encrypted("messages/Ada_1.json", [GRACE, ADA])
    chat.says(ADA, "hello", NOON + 1)
    sessions = load(export.to_folder(tmp_path / "x"))
    assert all_texts(sessions) == [["hello"], ["hi"]]
    platforms = [metadata_of(session)["platform"] for session in sessions]
    assert platforms == ["facebook_messenger", "instagram"]
