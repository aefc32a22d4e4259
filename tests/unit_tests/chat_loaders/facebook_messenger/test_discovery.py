"""Which files are one thread: layouts, levels, parts, sections."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import FolderFacebookMessengerChatLoader
from tests.unit_tests.builders.messenger import (
    FACEBOOK,
    INSTAGRAM,
    Export,
    message,
    meta_json,
)
from tests.unit_tests.builders.sessions import metadata_of, skipped_by, texts

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
    return skipped_by(FolderFacebookMessengerChatLoader(path, **options))


@pytest.mark.parametrize("root", ROOTS)
def test_each_level_of_each_layout_gives_the_same_session(
    tmp_path: Path, root: str
) -> None:
    export = Export(root)
    export.thread("ada_1").says(ADA, "hi", NOON)
    levels = [export.to_folder(tmp_path / "export")]
    for name in f"{root}/inbox/ada_1/message_1.json".split("/"):
        levels.append(levels[-1] / name)
    loaded = [load(level, owner=GRACE) for level in levels]
    assert [ids(sessions) for sessions in loaded] == [["ada_1"]] * len(levels)
    messages = [sessions[0]["messages"] for sessions in loaded]
    assert all(found == messages[0] for found in messages)


def test_the_first_layout_of_2018_has_no_sections(
    export: Export, tmp_path: Path
) -> None:
    record = {"sender_name": "Ada", "timestamp": 1_520_000_000, "content": "hi"}
    content = {"participants": [{"name": "Ada"}], "messages": [record]}
    export.file("messages/AdaByron_f00-_bar12/message.json", content)
    assert ids(load(export.to_folder(tmp_path / "x"))) == ["adabyron_f00-_bar12"]


def test_files_of_other_names_are_threads_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "hogwarts" / "inbox" / "Both"
    folder.mkdir(parents=True)
    for person in ("Ada", "Bob"):
        content = {"participants": [], "messages": [message(person, "hi", NOON)]}
        (folder / f"messages_{person}.json").write_bytes(meta_json(content))
    assert ids(load(tmp_path / "hogwarts")) == [
        "both/messages_ada.json",
        "both/messages_bob.json",
    ]


def test_settings_are_no_threads(export: Export, tmp_path: Path) -> None:
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


def test_sessions_come_in_code_point_order_of_their_folders(
    export: Export, tmp_path: Path
) -> None:
    names = ["zoe_1", "Ada_2", "ada_3", "Zed_4", "émile_5", "10_6", "9_7"]
    for name in names:
        export.thread(name).says(ADA, "hi", NOON)
    for path in export.to_folder_and_zip(tmp_path / "x"):
        assert ids(load(path)) == [name.lower() for name in sorted(names)]


def test_numbers_of_files_are_sorted_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "ada_1").mkdir()
    for number in (1, 2, 9, 10, 11):
        content = {"participants": [], "messages": [message("Ada", str(number), NOON)]}
        path = tmp_path / "ada_1" / f"message_{number}.json"
        path.write_text(json.dumps(content))
    assert all_texts(load(tmp_path)) == [["11", "10", "9", "2", "1"]]


@pytest.fixture
def sections(export: Export, tmp_path: Path) -> Path:
    for section in SECTIONS:
        chat = export.thread(f"{section}_1", section=section)
        chat.says(ADA, "one", NOON).says(ADA, "two", NOON + 1)
    return export.to_folder(tmp_path / "x")


def test_all_sections_but_spam_are_read_unless_asked_for(sections: Path) -> None:
    expected = ["archived_threads_1", "e2ee_cutover_1", "inbox_1"]
    assert ids(load(sections)) == expected
    spam = ["filtered_threads_1", "message_requests_1"]
    assert sorted(ids(load(sections, keep="section"))) == sorted([*expected, *spam])
    assert skipped(sections, keep="section") == {}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_that_the_path_points_at_is_read(
    sections: Path, section: str
) -> None:
    assert ids(load(sections / FACEBOOK / section)) == [f"{section}_1"]


def test_a_thread_over_two_sections_is_one_session(
    export: Export, tmp_path: Path
) -> None:
    export.thread("ada_1").says(ADA, "old", NOON)
    export.thread("ada_1", section="e2ee_cutover").says(ADA, "new", NOON + 1)
    assert all_texts(load(export.to_folder(tmp_path / "x"))) == [["old", "new"]]


def parts_of_one_thread() -> Iterator[Export]:
    """Its numbered files, spread over the parts of an export."""
    chat = Export().thread("ada_1")
    chat.per_file = 2
    for number in range(6):
        chat.says(ADA, str(number), NOON + number)
    for path, data in chat.files().items():
        yield Export().file(path, data)


@pytest.mark.parametrize("suffix", ["", ".zip"], ids=["folders", "zips"])
def test_several_parts_in_a_folder_are_one_export(tmp_path: Path, suffix: str) -> None:
    for number, part in enumerate(parts_of_one_thread()):
        write = part.to_zip if suffix else part.to_folder
        write(tmp_path / "parts" / f"facebook-grace-{number}{suffix}")
    assert all_texts(load(tmp_path / "parts")) == [[*"012345"]]


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
    chat = export.thread("ada_1").says(ADA, "hello", NOON)
    export.file(place, chat.document(chat.messages))
    folder = export.to_folder(tmp_path / "x")
    assert ids(load(folder)) == ["ada_1"]
    assert all_texts(load(folder)) == [["hello"]]
    assert skipped(folder) == {"duplicate": 1}


GROUP_COPIES = "your_facebook_activity/groups/your_group_messages"
CLUB = ("Ada", "Bob", "Grace")


@pytest.mark.parametrize(
    ("keys", "reason"), [({}, "duplicate"), ({"thread_path": None}, "section")]
)
def test_a_groups_copy_is_not_doubled(
    export: Export, tmp_path: Path, keys: Any, reason: str
) -> None:
    group = export.thread("club_7001", CLUB, title="Club").says("Ada", "hello", NOON)
    export.file(f"{GROUP_COPIES}/7001.json", group.document(group.messages) | keys)
    folder = export.to_folder(tmp_path / "x")
    assert all_texts(load(folder)) == [["hello"]]
    assert skipped(folder) == {reason: 1}


def new_half(export: Export) -> None:
    chat = export.encrypted(f"messages/{ADA}_12.json", PAIR[::-1])
    chat.says(ADA, "after", NOON + 5)


@pytest.mark.parametrize("section", ["inbox", "e2ee_cutover"])
def test_an_encrypted_chat_joins_the_older_half_of_the_same_two_people(
    export: Export, tmp_path: Path, section: str
) -> None:
    export.thread("ada_1", PAIR, section=section).says(ADA, "before", NOON)
    new_half(export)
    sessions = load(export.to_folder(tmp_path / "x"))
    assert ids(sessions) == ["ada_1"]
    assert all_texts(sessions) == [["before", "after"]]


def test_the_thread_that_went_over_comes_before_another_one(
    export: Export, tmp_path: Path
) -> None:
    export.thread("ada_1", PAIR, section="e2ee_cutover").says(ADA, "before", NOON)
    export.thread("aaa_1", PAIR).says(ADA, "about the sale", NOON)
    new_half(export)
    sessions = load(export.to_folder(tmp_path / "x"))
    assert all_texts(sessions) == [["about the sale"], ["before", "after"]]


def test_an_encrypted_chat_does_not_join_a_group_or_spam(
    export: Export, tmp_path: Path
) -> None:
    export.thread("club_1", [*PAIR, "Bob"]).says("Bob", "hi", NOON)
    export.thread("spam_1", PAIR, section="message_requests").says(ADA, "hi", NOON)
    new_half(export)
    assert ids(load(export.to_folder(tmp_path / "x"))) == [
        "messages/ada byron_12.json",
        "club_1",
    ]


def test_an_encrypted_chat_has_another_number_in_another_download(
    tmp_path: Path,
) -> None:
    for year, number, words in ((2024, 12, ["after"]), (2025, 15, ["after", "x"])):
        export = Export()
        chat = export.encrypted(f"messages/{ADA}_{number}.json", PAIR)
        for place, text in enumerate(words):
            chat.says(ADA, text, NOON + place)
        export.to_zip(tmp_path / "x" / f"messages-{year}.zip")
    assert all_texts(load(tmp_path / "x")) == [["after", "x"]]
    assert skipped(tmp_path / "x") == {"duplicate": 1}


def test_deleted_accounts_are_different_people(export: Export, tmp_path: Path) -> None:
    """In one real export 80 threads were with "Facebook user"."""
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
def test_an_export_of_instagram_is_known(
    tmp_path: Path, root: str, container: str
) -> None:
    export = Export(root)
    export.thread("ada_1").says(ADA, "hi", NOON)
    for path in export.to_folder_and_zip(tmp_path / container):
        (session,) = load(path)
        assert metadata_of(session)["platform"] == "instagram"
        summary = FolderFacebookMessengerChatLoader(path).inspect()
        assert summary.platform == "instagram"


def test_facebooks_encrypted_chats_do_not_join_it(tmp_path: Path) -> None:
    export = Export(INSTAGRAM)
    export.thread("ada_1").says(ADA, "hi", NOON)
    chat = export.encrypted("messages/Ada_1.json", [GRACE, ADA])
    chat.says(ADA, "hello", NOON + 1)
    sessions = load(export.to_folder(tmp_path / "x"))
    assert all_texts(sessions) == [["hello"], ["hi"]]
    platforms = [metadata_of(session)["platform"] for session in sessions]
    assert platforms == ["facebook_messenger", "instagram"]
