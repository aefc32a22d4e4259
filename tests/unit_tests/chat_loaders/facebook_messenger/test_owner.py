from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import FolderFacebookMessengerChatLoader
from langchain_chatexports.chat_loaders.facebook_messenger import threads
from tests.unit_tests.builders.messenger import FACEBOOK, Export

NOON = 1_700_000_000_000
ADA, BOB, EVE, GRACE = "Ada Byron", "Bob Ray", "Eve Zoë", "Grace Hopper"
PROFILE = "personal_information/profile_information/profile_information.json"


def find_owner(export: Export, tmp_path: Path, **options: Any) -> tuple[Any, ...]:
    folder = export.to_folder(tmp_path / "x")
    summary = FolderFacebookMessengerChatLoader(folder, **options).inspect()
    return summary.owner, summary.owner_found_by


@pytest.fixture
def unclear() -> Export:
    """An export of one group, without evidence of the owner."""
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
def test_evidence_is_tried_in_order(
    export: Export, tmp_path: Path, missing: int, expected: tuple[Any, ...]
) -> None:
    """Each kind of evidence is for another person; the strongest ones are left out."""
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
    assert find_owner(export, tmp_path, **options) == expected


def test_given_owner_is_not_searched(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export.thread("ada_1", [ADA, GRACE]).says(ADA, "hi", NOON)
    monkeypatch.setattr(threads, "read_head", None)
    monkeypatch.setattr(threads, "read_thread", None)
    assert find_owner(export, tmp_path, owner=GRACE) == (GRACE, "option")


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
        ("autofill_information.json", {"autofill_information_v2": FULL_NAME}),
        ("autofill_information.json", {"label_values": LABELS}),
        ("personal_information/personal_information.json", INSTAGRAM_PROFILE),
        ("account_information/personal_information.json", INSTAGRAM_PROFILE),
    ],
)
def test_owner_is_found_in_all_profile_formats(
    unclear: Export, tmp_path: Path, path: str, content: dict[str, Any]
) -> None:
    unclear.file(path, content)
    found_by = "autofill information" if path.startswith("auto") else "profile"
    assert find_owner(unclear, tmp_path) == (EVE, found_by)


def test_damaged_profile_is_ignored(export: Export, tmp_path: Path) -> None:
    for person in (ADA, BOB):
        export.thread(person, [person, GRACE]).says(person, "hi", NOON)
    export.file(PROFILE, b"{")
    assert find_owner(export, tmp_path)[0] == GRACE


@pytest.mark.parametrize("is_last", [True, False])
def test_owner_is_only_common_name(
    export: Export, tmp_path: Path, is_last: bool
) -> None:
    for person in (ADA, BOB):
        people = [person, GRACE] if is_last else [GRACE, person]
        export.thread(person, people, title="Misleading").says(person, "hi", NOON)
    assert find_owner(export, tmp_path) == (GRACE, "the one name in every thread")


@pytest.mark.parametrize(
    "people",
    [
        *([GRACE], [GRACE, GRACE], [], [ADA, BOB, EVE]),
        *([GRACE, "Facebook user"], ["", "Facebook user"]),
    ],
)
def test_threads_without_evidence_are_ignored(
    export: Export, tmp_path: Path, people: list[str]
) -> None:
    for person in (ADA, BOB):
        export.thread(person, [person, GRACE], title="?").says(person, "hi", NOON)
    export.thread("odd_1", people, title="?").says(ADA, "hi", NOON)
    assert find_owner(export, tmp_path) == (GRACE, "the one name in every thread")


@pytest.mark.parametrize("has_single_name", [False, True])
def test_groups_resolve_ambiguous_owner(
    export: Export, tmp_path: Path, has_single_name: bool
) -> None:
    export.thread("ada_1", [ADA, GRACE], title="?").says(ADA, "hi", NOON)
    export.thread("club_1", [BOB, GRACE, EVE], title="?").says(EVE, "hi", NOON)
    if has_single_name:
        export.thread("odd_1", [BOB], title="?").says(BOB, "hi", NOON)
    assert find_owner(export, tmp_path) == (GRACE, "the one name in every thread")


def test_group_left_by_the_owner_is_ignored(export: Any, tmp_path: Path) -> None:
    """The two remaining people look like a chat of two."""
    for person in (ADA, BOB):
        export.thread(person, [person, GRACE], title="?").says(person, "hi", NOON)
    chat = export.thread("club_1", [EVE, "Zed"], is_still_participant=False, title="?")
    chat.says(EVE, "hi", NOON)
    assert find_owner(export, tmp_path) == (GRACE, "the one name in every thread")


def test_deleted_account_is_not_the_owner(export: Export, tmp_path: Path) -> None:
    chat = export.thread("grace_1", ["Facebook user", GRACE], title=GRACE)
    chat.says("Facebook user", "hi", NOON)
    chat.says("Facebook user", "You sent an attachment.", NOON + 1)
    assert find_owner(export, tmp_path) == (None, None)


def test_person_without_name_is_not_the_owner(export: Export, tmp_path: Path) -> None:
    """Deleted accounts may have an empty name, and so may their chat."""
    export.thread("x_1", ["", GRACE], title="").says("", "hi", NOON)
    assert find_owner(export, tmp_path) == (GRACE, "titles")


def test_marketplace_title_is_ignored(export: Export, tmp_path: Path) -> None:
    chat = export.thread("ada_1", [ADA, GRACE], title=f"{ADA} · Old bike")
    chat.says(ADA, "hi", NOON)
    assert find_owner(export, tmp_path) == (None, None)


def test_owner_is_not_in_encrypted_title(export: Export, tmp_path: Path) -> None:
    chat = export.encrypted(f"messages/{ADA}_3.json", [ADA, GRACE])
    chat.says(ADA, "hi", NOON)
    assert find_owner(export, tmp_path) == (GRACE, "titles")


def test_owner_is_first_in_encrypted_chat(export: Export, tmp_path: Path) -> None:
    chat = export.encrypted("messages/Somebody_3.json", [GRACE, ADA])
    chat.says(ADA, "hi", NOON)
    assert find_owner(export, tmp_path) == (GRACE, "first participant")


def test_owner_is_found_in_system_lines(unclear: Export, tmp_path: Path) -> None:
    chat = unclear.chats[0]
    chat.says(BOB, "You missed a call from Bob.", NOON + 2)
    chat.says(EVE, "You sent an attachment.", NOON + 3)
    assert find_owner(unclear, tmp_path) == (EVE, "system lines")
