from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import FolderFacebookMessengerChatLoader
from langchain_chatexports.chat_loaders.facebook_messenger import threads
from tests.unit_tests.builders.messenger import FACEBOOK, Export

NOON = 1_700_000_000_000
ADA, BOB, EVE, GRACE = "Ada Byron", "Bob Ray", "Eve Zoë", "Grace Hopper"
PROFILE = "personal_information/profile_information/profile_information.json"


def owner_of(export: Export, tmp_path: Path, **options: Any) -> tuple[Any, ...]:
    folder = export.to_folder(tmp_path / "x")
    summary = FolderFacebookMessengerChatLoader(folder, **options).inspect()
    return summary.owner, summary.owner_found_by


@pytest.fixture
def unclear() -> Export:
    """An export of one group: nothing in it says whose it is."""
    export = Export()
    chat = export.thread("club_1", [ADA, BOB, EVE], title="Club")
    chat.says(ADA, "hi", NOON).says(EVE, "ho", NOON + 1)
    return export


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        (0, ("the caller", "option")),
        (1, ("by profile", "profile")),
        (2, ("by autofill", "autofill information")),
        (3, (GRACE, "the one name in every thread")),
        (4, (ADA, "titles")),
        (5, (BOB, "system lines")),
        (6, (None, None)),
    ],
)
def test_six_steps_go_from_the_surest_to_the_weakest(
    export: Export, tmp_path: Path, missing: int, expected: tuple[Any, ...]
) -> None:
    """Each step would name somebody else; the first ones are taken away in turn."""
    second = [BOB, GRACE] if missing < 4 else [BOB, EVE]
    title = GRACE if missing < 5 else "?"
    export.thread("one", [ADA, GRACE], title=title).says(ADA, "hi", NOON)
    chat = export.thread("two", second, title="?").says(BOB, "ho", NOON)
    if missing < 6:
        chat.says(BOB, "You sent an attachment.", NOON + 1)
    if missing < 3:
        autofill = {"autofill_information_v2": {"FULL_NAME": ["by autofill"]}}
        export.file(f"{FACEBOOK}/autofill_information.json", autofill)
    if missing < 2:
        export.file(PROFILE, {"profile_v2": {"name": {"full_name": "by profile"}}})
    options = {"owner": "the caller"} if missing < 1 else {}
    assert owner_of(export, tmp_path, **options) == expected


def test_nothing_is_read_to_find_an_owner_that_is_given(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export.thread("ada_1", [ADA, GRACE]).says(ADA, "hi", NOON)
    monkeypatch.setattr(threads, "read_head", None)
    monkeypatch.setattr(threads, "read_thread", None)
    assert owner_of(export, tmp_path, owner=GRACE) == (GRACE, "option")


FULL_NAME = {"FULL_NAME": [EVE]}
FACEBOOK_NAME = {"name": {"full_name": EVE}}
LABELS = [{"label": "Lakóhely", "value": "Szeged"}, {"label": "Név", "value": EVE}]
INSTAGRAM_NAMES = {"Email": {"value": "eve@example.org"}, "Név": {"value": EVE}}
INSTAGRAM_PROFILE = {"profile_user": [{"string_map_data": INSTAGRAM_NAMES}]}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (PROFILE, {"profile_v2": FACEBOOK_NAME}),
        ("profile_information/profile_information.json", {"profile": FACEBOOK_NAME}),
        (
            "autofill_information.json",
            {"autofill_information_v2": {"FULL_NAME": [EVE]}},
        ),
        ("autofill_information.json", {"label_values": LABELS}),
        (
            "personal_information/personal_information/personal_information.json",
            INSTAGRAM_PROFILE,
        ),
        ("personal_information/personal_information.json", INSTAGRAM_PROFILE),
        ("account_information/personal_information.json", INSTAGRAM_PROFILE),
    ],
)
def test_profiles_of_all_kinds_name_the_owner(
    unclear: Export, tmp_path: Path, path: str, content: dict[str, Any]
) -> None:
    unclear.file(path, content)
    found_by = "autofill information" if path.startswith("auto") else "profile"
    assert owner_of(unclear, tmp_path) == (EVE, found_by)


def test_a_damaged_profile_does_not_stop_the_search(
    export: Export, tmp_path: Path
) -> None:
    for person in (ADA, BOB):
        export.thread(person, [person, GRACE]).says(person, "hi", NOON)
    export.file(PROFILE, b"{")
    assert owner_of(export, tmp_path)[0] == GRACE


@pytest.mark.parametrize("is_last", [True, False])
def test_the_one_name_in_every_thread_is_the_owners(
    export: Export, tmp_path: Path, is_last: bool
) -> None:
    for person in (ADA, BOB):
        people = [person, GRACE] if is_last else [GRACE, person]
        export.thread(person, people, title="Misleading").says(person, "hi", NOON)
    assert owner_of(export, tmp_path) == (GRACE, "the one name in every thread")


@pytest.mark.parametrize(
    "people",
    [
        [GRACE],
        [GRACE, GRACE],
        [],
        [ADA, BOB, EVE],
        [GRACE, "Facebook user"],
        ["", "Facebook user"],
    ],
    ids=["left alone", "self chat", "nobody", "group", "deleted user", "both deleted"],
)
def test_threads_that_say_nothing_are_passed_over(
    export: Export, tmp_path: Path, people: list[str]
) -> None:
    for person in (ADA, BOB):
        export.thread(person, [person, GRACE], title="?").says(person, "hi", NOON)
    export.thread("odd_1", people, title="?").says(ADA, "hi", NOON)
    assert owner_of(export, tmp_path) == (GRACE, "the one name in every thread")


@pytest.mark.parametrize("has_a_thread_of_one_name", [False, True])
def test_groups_help_where_one_partner_alone_does_not(
    export: Export, tmp_path: Path, has_a_thread_of_one_name: bool
) -> None:
    export.thread("ada_1", [ADA, GRACE], title="?").says(ADA, "hi", NOON)
    export.thread("club_1", [BOB, GRACE, EVE], title="?").says(EVE, "hi", NOON)
    if has_a_thread_of_one_name:
        export.thread("odd_1", [BOB], title="?").says(BOB, "hi", NOON)
    assert owner_of(export, tmp_path) == (GRACE, "the one name in every thread")


def test_a_small_group_that_the_owner_has_left_does_not_mislead(
    export: Any, tmp_path: Path
) -> None:
    """The two who are still there look like a chat of two."""
    for person in (ADA, BOB):
        export.thread(person, [person, GRACE], title="?").says(person, "hi", NOON)
    chat = export.thread("club_1", [EVE, "Zed"], is_still_participant=False, title="?")
    chat.says(EVE, "hi", NOON)
    assert owner_of(export, tmp_path) == (GRACE, "the one name in every thread")


def test_no_deleted_account_is_the_owner(export: Export, tmp_path: Path) -> None:
    chat = export.thread("grace_1", ["Facebook user", GRACE], title=GRACE)
    chat.says("Facebook user", "hi", NOON)
    chat.says("Facebook user", "You sent an attachment.", NOON + 1)
    assert owner_of(export, tmp_path) == (None, None)


def test_who_has_no_name_is_not_the_owner(export: Export, tmp_path: Path) -> None:
    """Deleted accounts can have an empty name, and so has their chat."""
    export.thread("x_1", ["", GRACE], title="").says("", "hi", NOON)
    assert owner_of(export, tmp_path) == (GRACE, "titles")


def test_a_marketplace_title_says_nothing(export: Export, tmp_path: Path) -> None:
    chat = export.thread("ada_1", [ADA, GRACE], title=f"{ADA} · Old bike")
    chat.says(ADA, "hi", NOON)
    assert owner_of(export, tmp_path) == (None, None)


def test_an_encrypted_chat_is_named_after_the_other_person(
    export: Export, tmp_path: Path
) -> None:
    chat = export.encrypted(f"messages/{ADA}_3.json", [ADA, GRACE])
    chat.says(ADA, "hi", NOON)
    assert owner_of(export, tmp_path) == (GRACE, "titles")


def test_an_encrypted_chat_lists_the_owner_first(
    export: Export, tmp_path: Path
) -> None:
    chat = export.encrypted("messages/Somebody_3.json", [GRACE, ADA])
    chat.says(ADA, "hi", NOON)
    assert owner_of(export, tmp_path) == (GRACE, "first participant")


def test_second_person_lines_are_the_owners(unclear: Export, tmp_path: Path) -> None:
    chat = unclear.chats[0]
    chat.says(BOB, "You missed a call from Bob.", NOON + 2)
    chat.says(EVE, "You sent an attachment.", NOON + 3)
    assert owner_of(unclear, tmp_path) == (EVE, "system lines")
