from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.chat_loaders.facebook_messenger.json_files import (
    parse_document,
)
from langchain_chatexports.chat_loaders.facebook_messenger.records import (
    is_deleted_account,
    read_records,
)
from tests.unit_tests.builders.messenger import Export, message, meta_json, mojibake

if TYPE_CHECKING:
    from typing import Any


NOON = 1_700_000_000_000


def read(*records: Any, left_out: Counter[str] | None = None) -> list[tuple[Any, ...]]:
    data = meta_json({"participants": [{"name": "Ada"}], "messages": list(records)})
    document = parse_document(data, "")
    assert document is not None
    return list(read_records(document, 0, Counter() if left_out is None else left_out))


def read_one(**keys: Any) -> tuple[Any, ...]:
    (record,) = read({"sender_name": "Ada", "timestamp_ms": NOON} | keys)
    return record


def read_encrypted(text: str = "", **keys: Any) -> list[tuple[Any, ...]]:
    (data,) = (
        Export()
        .encrypted("A_1.json", ["A", "B"])
        .says("A", text, NOON, **keys)
        .files()
        .values()
    )
    document = parse_document(data, "")
    assert document is not None
    return list(read_records(document, 0, Counter()))


def left_out_of(*records: Any) -> Counter[str]:
    left_out = Counter[str]()
    read(message("Ada", "first", 1), *records, left_out=left_out)
    return left_out


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({"content": "Ada called you.", "call_duration": 60}, "call"),
        ({"content": "You missed a call from Ada.", "call_duration": 0}, "call"),
        ({"call_duration": 60}, "call"),
        ({"type": "Call", "content": "X"}, "call"),
        ({"type": "Subscribe", "content": "X"}, "members"),
        ({"type": "Unsubscribe", "content": "X"}, "members"),
        ({"type": "Generic", "content": "X", "users": [{"name": "Bob"}]}, "members"),
        ({"is_unsent": True, "content": "secret"}, "unsent"),
        ({"is_unsent": True}, "unsent"),
        ({"is_taken_down": True, "content": "gone"}, "unsent"),
        ({"type": "Share", "content": "Ada played Chess"}, "game"),
        ({"type": "Share", "content": "see https://example.org"}, None),
        ({"type": "Share", "content": "see", "share": {"link": "https://x.org"}}, None),
        ({"type": "Generic", "content": "hi"}, None),
        ({"is_unsent": False, "is_taken_down": False, "content": "hi"}, None),
        ({"content": "hi", "is_geoblocked_for_viewer": False}, None),
    ],
)
def test_structural_signs_tell_what_nobody_typed(
    keys: dict[str, Any], kind: str | None
) -> None:
    assert read_one(**keys)[4] == kind


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"content": ""},
        {"content": None},
        {"content": "  \n"},
        {"content": "\u00a0"},
        {"content": 5},
        {"reactions": [{"reaction": "👍", "actor": "Bob"}]},
        {"photos": []},
        {"share": {}},
        {"type": "Generic"},
        {"is_unsent": False},
    ],
)
def test_a_message_without_anything_is_empty(keys: dict[str, Any]) -> None:
    assert left_out_of({"sender_name": "Ada", "timestamp_ms": NOON} | keys) == {
        "empty": 1
    }


def test_what_is_no_record_is_unreadable() -> None:
    assert left_out_of("text", None, 5, []) == {"unreadable": 4}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("photos", [{"uri": "a/b.jpg"}], [{"type": "photo", "uri": "a/b.jpg"}]),
        ("videos", [{"uri": "v.mp4"}], [{"type": "video", "uri": "v.mp4"}]),
        ("audio_files", [{"uri": "v.mp4"}], [{"type": "audio", "uri": "v.mp4"}]),
        ("files", [{"uri": "v.pdf"}], [{"type": "file", "uri": "v.pdf"}]),
        (
            "gifs",
            [{"uri": "v.gif"}, {}],
            [{"type": "gif", "uri": "v.gif"}, {"type": "gif"}],
        ),
        ("sticker", {"uri": "s.png"}, [{"type": "sticker", "uri": "s.png"}]),
        (
            "share",
            {"link": "https://x.org"},
            [{"type": "link", "uri": "https://x.org"}],
        ),
        ("share", {"share_text": "Café"}, [{"type": "link", "text": "Café"}]),
    ],
)
def test_attachments_are_described(
    key: str,
    value: list[dict[str, Any]] | dict[str, Any],
    expected: list[dict[str, Any]],
) -> None:
    assert read_one(**{key: value})[3] == {"attachments": expected}


def test_addresses_are_not_repaired() -> None:
    """They are names of files and pages, not something that somebody typed."""
    uri = "photos/Zoë.jpg"
    record = read_one(photos=[{"uri": uri}], share={"link": uri})
    assert [item["uri"] for item in record[3]["attachments"]] == [mojibake(uri)] * 2


def test_reactions_belong_to_their_message() -> None:
    record = read_one(content="hi", reactions=[{"reaction": "❤️", "actor": "Zoë"}])
    assert record[3] == {"reactions": [{"reaction": "❤️", "sender": "Zoë"}]}


def test_texts_and_names_are_repaired() -> None:
    _, sender, text, *_ = read_one(sender_name="Zoë", content="Köszönöm 😂")
    assert (sender, text) == ("Zoë", "Köszönöm 😂")


@pytest.mark.parametrize("name", ["", "Facebook user", "facebook User", None, 5])
def test_a_deleted_account_is_unknown(name: str | int | None) -> None:
    assert read_one(content="hi", sender_name=name)[1] == "unknown"


@pytest.mark.parametrize(
    "name",
    [
        "Utilisateur de Facebook",
        "Facebook-Nutzer",
        "Người dùng Facebook",
        "Facebook USER",
    ],
)
def test_deleted_accounts_are_known_in_other_languages(name: str) -> None:
    assert is_deleted_account(name)


def test_a_missing_sender_is_unknown() -> None:
    ((_, sender, *_),) = read({"timestamp_ms": NOON, "content": "hi"})
    assert sender == "unknown"


@pytest.mark.parametrize(
    ("keys", "stamp"),
    [
        ({"timestamp_ms": NOON}, NOON),
        ({"timestamp_ms": NOON + 0.5}, NOON),
        ({"timestamp_ms": "soon"}, None),
        ({"timestamp_ms": True}, None),
        ({"timestamp_ms": None}, None),
        ({"timestamp_ms": 10**30}, None),
        ({"timestamp_ms": 253_402_300_800_000}, None),
        ({"timestamp_ms": 157_766_400_000}, 157_766_400_000),
        ({"timestamp_ms": 16_725_225_600_000}, 16_725_225_600_000),
        ({"timestamp": 1_520_000_000}, 1_520_000_000_000),
        ({"timestamp": NOON}, NOON),
        ({"timestamp": "soon"}, None),
        ({"timestamp_ms": 5, "timestamp": 7}, 5),
    ],
)
def test_times_of_all_years_are_read(keys: dict[str, Any], stamp: int | None) -> None:
    (_, record) = read(
        message("Ada", "first", 1), {"sender_name": "Ada", "content": "hi"} | keys
    )
    assert record[0] == stamp


def test_only_times_in_seconds_are_coarse() -> None:
    assert read_one(content="hi")[-1] is False
    ((*_, is_coarse),) = read({"timestamp": 1_520_000_000, "content": "hi"})
    assert is_coarse


def test_a_bumped_messages_repetition_is_not_its_text() -> None:
    bumped = {"is_bumped": True, "bumped_message": "old words"}
    assert read_one(content="hi", bumped_message_metadata=bumped)[2] == "hi"


class TestEncrypted:
    @pytest.mark.parametrize("stored", ["Cześć Ã© 😂", "Ã©"])
    def test_text_is_not_repaired(self, stored: str) -> None:
        ((_, _, text, *_),) = read_encrypted(stored)
        assert text == stored

    def test_the_placeholder_of_an_unsent_message_is_no_text(self) -> None:
        ((_, _, text, _, kind, *_),) = read_encrypted(
            "User unsent a message", isUnsent=True, type="placeholder"
        )
        assert (text, kind) == ("", "unsent")

    def test_media_are_attachments_by_their_suffix(self) -> None:
        media = [{"uri": f"./media/5c.{suffix}"} for suffix in ("jpg", "mp4", "pdf")]
        ((*_, extra, _, _, _),) = read_encrypted(media=media, type="media")
        kinds = [item["type"] for item in extra["attachments"]]
        assert kinds == ["photo", "video", "file"]

    def test_a_failed_download_has_no_address(self) -> None:
        media = [{"uri": "Failed to download media"}]
        ((*_, extra, _, _, _),) = read_encrypted(media=media, type="media")
        assert extra == {"attachments": [{"type": "file"}]}

    def test_links_are_text(self) -> None:
        ((_, _, text, *_),) = read_encrypted("https://example.org", type="link")
        assert text == "https://example.org"

    def test_reactions_are_attached(self) -> None:
        ((*_, extra, _, _, _),) = read_encrypted(
            "hi", reactions=[{"actor": "B", "reaction": "👍"}]
        )
        assert extra == {"reactions": [{"reaction": "👍", "sender": "B"}]}

    def test_lone_surrogates_are_replaced(self) -> None:
        ((_, _, text, *_),) = read_encrypted("x\ud83d")
        assert text == "x\ufffd"
