"""The records of Meta's files: fields, times, attachments, kinds."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from langchain_chatexports import SingleFileFacebookMessengerChatLoader
from langchain_chatexports.chat_loaders.counts import ExportSummary
from tests.unit_tests.builders.messenger import Export, message, meta_json, mojibake

NOON = 1_700_000_000_000
PEOPLE = [{"name": "Ada"}, {"name": "Grace"}]
KINDS = ("media", "system", "unsent", "reaction")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "message_1.json"


def load(path: Path, *records: Any) -> tuple[list[BaseMessage], ExportSummary]:
    """Load the messages after a first one, of all kinds with a text."""
    first = message("Ada", "first", 1)
    path.write_bytes(meta_json({"participants": PEOPLE, "messages": [first, *records]}))
    loader = SingleFileFacebookMessengerChatLoader(path, owner="Grace", keep=KINDS)
    (session,) = loader.load()
    rest = [m for m in session["messages"] if m.content != "first"]
    return rest, loader.inspect()


def load_one(path: Path, **keys: Any) -> BaseMessage:
    (only,), _ = load(path, {"sender_name": "Ada", "timestamp_ms": NOON} | keys)
    return only


def load_encrypted(path: Path, text: str = "", **keys: Any) -> list[BaseMessage]:
    chat = Export().encrypted("Ada_1.json", ["Grace", "Ada"])
    (data,) = (
        chat.says("Ada", "first", 1).says("Ada", text, NOON, **keys).files().values()
    )
    path.write_bytes(data)
    (session,) = SingleFileFacebookMessengerChatLoader(path, keep=KINDS).load()
    return list(session["messages"][1:])


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"content": "Ada called you.", "call_duration": 60}, "system"),
        ({"content": "You missed a call from Ada.", "call_duration": 0}, "system"),
        ({"call_duration": 60}, "system"),
        ({"type": "Call", "content": "X"}, "system"),
        ({"type": "Subscribe", "content": "X"}, "system"),
        ({"type": "Unsubscribe", "content": "X"}, "system"),
        ({"type": "Generic", "content": "X", "users": [{"name": "Bob"}]}, "system"),
        ({"is_unsent": True, "content": "secret"}, "unsent"),
        ({"is_unsent": True}, "unsent"),
        ({"is_taken_down": True, "content": "gone"}, "unsent"),
        ({"type": "Share", "content": "Ada played Chess"}, "system"),
        ({"type": "Share", "content": "see https://example.org"}, None),
        ({"type": "Share", "content": "see", "share": {"link": "https://x.org"}}, None),
        ({"type": "Generic", "content": "hi"}, None),
        ({"is_unsent": False, "is_taken_down": False, "content": "hi"}, None),
        ({"content": "hi", "is_geoblocked_for_viewer": False}, None),
    ],
)
def test_fields_determine_the_kind(
    path: Path, keys: dict[str, Any], reason: str | None
) -> None:
    load(path, {"sender_name": "Ada", "timestamp_ms": NOON} | keys)
    skipped = SingleFileFacebookMessengerChatLoader(path).inspect().skipped
    assert skipped == ({reason: 1} if reason else {})


@pytest.mark.parametrize(
    "keys",
    [
        *({}, {"content": ""}, {"content": None}, {"content": "  \n"}),
        *({"content": "\u00a0"}, {"photos": []}, {"share": {}}, {"type": "Generic"}),
        *({"is_unsent": False}, {"reactions": [{"reaction": "👍", "actor": "Bob"}]}),
    ],
)
def test_message_without_content_is_empty(path: Path, keys: dict[str, Any]) -> None:
    found, summary = load(path, {"sender_name": "Ada", "timestamp_ms": NOON} | keys)
    assert not found
    assert summary.skipped == {"empty": 1}


@pytest.mark.parametrize(
    "record",
    ["text", None, 5, [], {"content": 5}, {"timestamp_ms": "soon"}, {"photos": 1}],
)
def test_record_of_wrong_type_is_skipped(path: Path, record: Any) -> None:
    found, summary = load(path, record, message("Ada", "last", NOON))
    assert [m.content for m in found] == ["last"]
    assert summary.skipped == {"unreadable": 1}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("photos", [{"uri": "a/b.jpg"}], {"type": "photo", "name": "b.jpg"}),
        ("videos", [{"uri": "v.mp4"}], {"type": "video", "name": "v.mp4"}),
        ("audio_files", [{"uri": "v.mp4"}], {"type": "audio", "name": "v.mp4"}),
        ("files", [{"uri": "v.pdf"}], {"type": "file", "name": "v.pdf"}),
        ("gifs", [{"uri": "v.gif"}], {"type": "gif", "name": "v.gif"}),
        ("gifs", [{}], {"type": "gif"}),
        ("sticker", {"uri": "s.png"}, {"type": "sticker", "name": "s.png"}),
        ("share", {"link": "https://x.org"}, {"type": "link", "uri": "https://x.org"}),
        ("share", {"share_text": "Café"}, {"type": "link", "text": "Café"}),
    ],
)
def test_attachments_are_described(
    path: Path, key: str, value: Any, expected: dict[str, Any]
) -> None:
    found = load_one(path, **{key: value})
    assert found.additional_kwargs["attachments"] == [expected]
    assert found.content == f"[{expected['type']}]"


def test_links_are_not_repaired(path: Path) -> None:
    """Unlike the names of files, links are not typed text."""
    uri = "photos/Zoë.jpg"
    found = load_one(path, photos=[{"uri": uri}], share={"link": uri})
    photo, link = found.additional_kwargs["attachments"]
    assert (photo["name"], link["uri"]) == ("Zoë.jpg", mojibake(uri))


def test_texts_names_and_reactions_are_repaired(path: Path) -> None:
    reactions = [{"reaction": "❤️", "actor": "Zoë"}]
    keys = {"content": "Köszönöm 😂", "reactions": reactions}
    found = load_one(path, sender_name="Zoë", **keys)
    kwargs = found.additional_kwargs
    assert (kwargs["sender"], found.content) == ("Zoë", "Köszönöm 😂")
    assert kwargs["reactions"] == [{"reaction": "❤️", "sender": "Zoë"}]


@pytest.mark.parametrize("name", [..., None, "", "Facebook user", "facebook User"])
def test_deleted_account_is_unknown(path: Path, name: Any) -> None:
    keys = {} if name is ... else {"sender_name": name}
    (only,), _ = load(path, {"timestamp_ms": NOON, "content": "hi"} | keys)
    assert only.additional_kwargs["sender"] == "unknown"
    assert only.additional_kwargs["is_from_me"] is False


@pytest.mark.parametrize(
    ("keys", "seconds"),
    [
        ({"timestamp_ms": NOON}, NOON // 1000),
        ({"timestamp_ms": NOON + 0.5}, NOON // 1000),
        ({"timestamp_ms": None}, None),
        ({"timestamp_ms": 10**30}, None),
        ({"timestamp_ms": 253_402_300_800_000}, None),
        ({"timestamp_ms": 157_766_400_000}, 157_766_400),
        ({"timestamp_ms": 16_725_225_600_000}, 16_725_225_600),
        ({"timestamp": 1_520_000_000}, 1_520_000_000),
        ({"timestamp": NOON}, NOON // 1000),
        ({"timestamp_ms": 5000, "timestamp": 7}, 5),
    ],
)
def test_time_formats_are_read(
    path: Path, keys: dict[str, Any], seconds: int | None
) -> None:
    (only,), _ = load(path, {"sender_name": "Ada", "content": "hi"} | keys)
    assert only.additional_kwargs.get("message_time") == seconds


MEDIA = [{"uri": f"./media/5c.{suffix}"} for suffix in ("jpg", "mp4", "pdf")]
ATTACHMENTS = [
    {"type": "photo", "name": "5c.jpg"},
    {"type": "video", "name": "5c.mp4"},
    {"type": "file", "name": "5c.pdf"},
]


FAILED = [{"uri": "Failed to download media"}]
THUMB = {"actor": "Grace", "reaction": "👍"}
REACTION = {"reaction": "👍", "sender": "Grace"}


@pytest.mark.parametrize(
    ("text", "keys", "content", "extra"),
    [
        ("Cześć Ã© 😂", {}, "Cześć Ã© 😂", {}),
        ("Ã©", {}, "Ã©", {}),
        ("", {"media": MEDIA}, "[photo] [video] [file]", {"attachments": ATTACHMENTS}),
        ("", {"media": FAILED}, "[file]", {"attachments": [{"type": "file"}]}),
        ("hi", {"reactions": [THUMB]}, "hi", {"reactions": [REACTION]}),
    ],
)
def test_encrypted_messages_are_not_repaired(
    path: Path, text: str, keys: dict[str, Any], content: str, extra: dict[str, Any]
) -> None:
    (only,) = load_encrypted(path, text, **keys)
    assert only.content == content
    assert only.additional_kwargs.items() >= extra.items()


def test_unsent_placeholder_is_not_text(path: Path) -> None:
    unsent = {"isUnsent": True, "type": "placeholder"}
    assert not load_encrypted(path, "User unsent a message", **unsent)
    loader = SingleFileFacebookMessengerChatLoader(path)
    assert loader.inspect().skipped == {"unsent": 1}


def test_lone_surrogates_are_replaced(path: Path) -> None:
    load_encrypted(path, "here")
    path.write_bytes(path.read_bytes().replace(b"here", rb"x\ud83d"))
    (session,) = SingleFileFacebookMessengerChatLoader(path).load()
    assert session["messages"][-1].content == "x\ufffd"
