"""Texts outside the column `text`: edits, previews, transcripts, subjects."""

import plistlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from plistlib import UID
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from langchain_chatexports import IMessageChatLoader
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.typedstream import (
    FILE,
    PART,
    TRANSCRIPT,
    attributed_body,
)

HARE = "+15550000001"
EDITED = 700_000_000_000_000_000


def write(
    path: Path, *, attachments: Sequence[dict[str, Any]] = (), **columns: Any
) -> None:
    with ChatDb(path, "15") as db:
        message_id = db.chat(HARE).message(**columns)
        for attachment in attachments:
            db.attachment(message_id, **attachment)


def write_edited(
    path: Path, history: bytes, body: str | None = None, **columns: Any
) -> None:
    """Write an edited message with its history and, if given, its text."""
    if body is not None:
        columns["body"] = attributed_body(body)
    write(path, date_edited=EDITED, message_summary_info=history, **columns)


def load_message(path: Path, **options: Any) -> BaseMessage:
    (session,) = IMessageChatLoader(path, **options)
    (message,) = session["messages"]
    return message


def skipped(path: Path, **options: Any) -> Mapping[str, int]:
    return IMessageChatLoader(path, **options).inspect().skipped


def summary_info(
    versions: dict[Any, Any] | None = None,
    *,
    parts: int = 1,
    unsent: Sequence[int] = (),
) -> bytes:
    """Return `message_summary_info` with versions by part, and unsent parts."""
    info: dict[str, Any] = {"otr": {str(part): {} for part in range(parts)}}
    if versions:
        info["ec"] = {
            str(part): [
                {"t": attributed_body(text), "d": 700_000_000.5 + 60 * index}
                for index, text in enumerate(texts)
            ]
            for part, texts in versions.items()
        }
        info["ep"] = sorted(versions)
    if unsent:
        info["rp"] = list(unsent)
    return plistlib.dumps(info, fmt=plistlib.FMT_BINARY)


def archive(**entries: Any) -> bytes:
    """Return `payload_data`, as archived by NSKeyedArchiver."""
    objects: list[object] = ["$null"]

    def add(value: object) -> UID:
        number = len(objects)
        objects.append(value)
        if isinstance(value, dict):
            objects[number] = {key: add(item) for key, item in value.items()}
        return UID(number)

    plist = {"$top": {"root": add(entries)}, "$objects": objects}
    return plistlib.dumps(plist, fmt=plistlib.FMT_BINARY)


def url(text: str) -> dict[str, Any]:
    return {"NS.base": "$null", "NS.relative": text}


VERSIONS = {0: ["first", "second", "third"]}
EDITS = [
    {"text": "first", "message_time": "2023-03-08T20:26:40.500000+00:00"},
    {"text": "second", "message_time": "2023-03-08T20:27:40.500000+00:00"},
]
UNORDERED = {10: ["c"], 2: ["x", "b"], 0: ["a"]}
TWO_PARTS = {0: ["other part"], 1: ["unsent"]}


@pytest.mark.parametrize(
    ("history", "body", "content", "extra"),
    [
        (summary_info(VERSIONS), "third", "third", {"edited": True, "edits": EDITS}),
        # Keys are unordered decimal strings. Part 10 comes after part 2.
        (summary_info(UNORDERED, parts=11), None, "a\nb\nc", {"edited": True}),
        (summary_info(parts=2, unsent=[1]), "other part", "other part", {}),
        (
            summary_info(TWO_PARTS, parts=2, unsent=[1]),
            None,
            "other part",
            {"edited": True},
        ),
        (b"", "as sent", "as sent", {}),
    ],
    ids=["edited", "no body", "one part unsent", "unsent, no body", "no history"],
)
def test_edits_are_read_from_the_history(
    path: Path, history: bytes, body: str | None, content: str, extra: dict[str, Any]
) -> None:
    write_edited(path, history, body)
    message = load_message(path)
    assert message.content == content
    assert message.additional_kwargs.get("edited") == extra.get("edited")
    assert extra.items() <= message.additional_kwargs.items()


@pytest.mark.parametrize("retracted", [0, EDITED])
@pytest.mark.parametrize(
    ("versions", "content"), [(None, None), ({0: ["Forget", "Forget it"]}, "Forget it")]
)
def test_message_with_all_parts_unsent_is_unsent(
    path: Path, retracted: int, versions: Any, content: str | None
) -> None:
    """On macOS 26 `date_retracted` stays 0. The text may still be in the history."""
    history = summary_info(versions, unsent=[0])
    write_edited(path, history, date_retracted=retracted)
    assert skipped(path) == {"unsent": 1}
    if content is None:
        assert skipped(path, keep="unsent") == {"unsent": 1}
    else:
        message = load_message(path, keep="unsent")
        assert message.content == content
        assert message.additional_kwargs["unsent"] is True


URL_BALLOON = "com.apple.messages.URLBalloonProvider"


@pytest.mark.parametrize(
    ("stored", "columns", "expected"),
    [
        ("\ufffcLook", {}, "Look"),
        ("Look\ufffc\ufffcthere", {}, "Look\nthere"),
        ("Look \ufffc there", {}, "Look  there"),
        ("\ufffc\nLook\r", {}, "Look"),
        ("one\rtwo\r\nthree", {}, "one\ntwo\nthree"),
        ("one\n\ntwo", {}, "one\n\ntwo"),
        ("  as typed ", {}, "  as typed "),
        ("\ufffd is a real character", {}, "\ufffd is a real character"),
        ("https://x.org \ufffd", {"balloon_bundle_id": URL_BALLOON}, "https://x.org"),
        ("At the mill.", {"subject": "The race"}, "The race\nAt the mill."),
    ],
)
def test_placeholders_are_removed_from_text(
    path: Path, stored: str, columns: dict[str, Any], expected: str
) -> None:
    write(path, text=stored, **columns)
    message = load_message(path)
    assert message.content == expected
    assert message.additional_kwargs.get("subject") == columns.get("subject")


MILL = "https://mill.example"
PREVIEW = {
    "title": "The mill",
    "summary": "Where the race begins",
    "siteName": "Meadow News",
    "URL": url(f"{MILL}/start"),
    "originalURL": url(MILL),
}


@pytest.mark.parametrize("bundle", [None, URL_BALLOON, f"com.example:00:{URL_BALLOON}"])
def test_link_preview_is_an_attachment(path: Path, bundle: str | None) -> None:
    payload = archive(richLinkMetadata=PREVIEW)
    write(path, text=MILL, balloon_bundle_id=bundle, payload_data=payload)
    message = load_message(path)
    assert message.content == MILL
    about = {
        "title": "The mill",
        "text": "Where the race begins",
        "site": "Meadow News",
    }
    assert message.additional_kwargs["attachments"] == [
        {"type": "link", "uri": MILL, **about}
    ]


def test_link_preview_without_text_shows_its_address(path: Path) -> None:
    payload = archive(metadata={"URL": url(MILL)})
    write(path, text="\ufffd", balloon_bundle_id=URL_BALLOON, payload_data=payload)
    assert load_message(path).content == MILL


POLL = (
    "data:,eyJpdGVtIjp7Im9yZGVyZWRQb2xsT3B0aW9ucyI6W3sidGV4dCI6Ik1pbGwifSx7InRleHQiOiJP"
    "YWsifV19fQ?src=p"
)
EXTENSION = "com.apple.messages.MSMessageExtensionBalloonPlugin:000:com.example.game"


@pytest.mark.parametrize(
    ("bundle", "payload", "expected"),
    [
        ("com.example.game", b"", "[app message]"),
        (EXTENSION, archive(an="Chess", ldtext="Your move"), "[Chess: Your move]"),
        ("com.example.pay", archive(userInfo={"caption": "5 carrots"}), "[5 carrots]"),
        ("com.example.pay", archive(userInfo={"subcaption": "for Hare"}), "[for Hare]"),
        ("com.apple.Handwriting.HandwritingProvider", b"\0", "[handwriting]"),
        ("com.apple.DigitalTouchBalloonProvider", b"\0", "[drawing]"),
        ("a.plugin:000:com.apple.DigitalTouchBalloonProvider", b"\0", "[drawing]"),
        (EXTENSION, archive(an="Chess"), "[Chess]"),
        ("com.apple.messages.Polls", archive(URL=url(POLL)), "[poll: Mill / Oak]"),
        ("com.apple.messages.Polls", archive(URL=url("data:,%%%")), "[poll]"),
    ],
)
def test_kept_app_message_is_one_line(
    path: Path, bundle: str, payload: bytes, expected: str
) -> None:
    write(path, text="\ufffd", balloon_bundle_id=bundle, payload_data=payload)
    assert skipped(path) == {"media": 1}
    assert load_message(path, keep="media").content == expected


PHOTO = {"mime_type": "image/heic", "transfer_name": "IMG_1.HEIC"}


def test_kept_attachment_has_a_placeholder(path: Path) -> None:
    write(path, text="\ufffc", cache_has_attachments=1, attachments=[PHOTO, PHOTO])
    assert skipped(path) == {"media": 1}
    message = load_message(path, keep="media")
    assert message.content == "[photo] [photo]"
    assert len(message.additional_kwargs["attachments"]) == 2


def test_attachments_are_in_text_order(path: Path) -> None:
    """Rows have no order, and a file can be in none of the runs."""
    body = attributed_body(
        "\ufffcto\ufffc", [(1, {FILE: "at_1"}), (2, {PART: 1}), (1, {FILE: "at_0"})]
    )
    files = [
        {"guid": "at_other", "transfer_name": "a.pdf"},
        {"guid": "at_0", "transfer_name": "b.pdf"},
        {"guid": "at_1", "transfer_name": "c.pdf"},
    ]
    write(path, body=body, attachments=files)
    names = [
        file["name"] for file in load_message(path).additional_kwargs["attachments"]
    ]
    assert names == ["c.pdf", "b.pdf", "a.pdf"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"mime_type": "video/mp4"}, {"type": "video", "mime_type": "video/mp4"}),
        ({"mime_type": "image/gif"}, {"type": "gif", "mime_type": "image/gif"}),
        (
            {"uti": "com.apple.coreaudio-format"},
            {"type": "audio", "mime_type": "audio/x-caf"},
        ),
        (
            {"filename": "~/Library/Messages/Attachments/a/b/IMG_2.JPG"},
            {"type": "photo", "name": "IMG_2.JPG"},
        ),
        ({"mime_type": "video/mp4", "uti": "public.jpeg"}, {"type": "video"}),
        (
            {"filename": "~/x/1.pdf", "transfer_name": "Plan.pdf"},
            {"type": "file", "name": "Plan.pdf"},
        ),
        ({"mime_type": "image/png", "is_sticker": 1}, {"type": "sticker"}),
        ({}, {"type": "file"}),
    ],
)
def test_attachment_type_is_detected(
    path: Path, columns: dict[str, Any], expected: dict[str, Any]
) -> None:
    write(path, text="\ufffcLook", cache_has_attachments=1, attachments=[columns])
    (attachment,) = load_message(path).additional_kwargs["attachments"]
    assert attachment | expected == attachment


@pytest.mark.parametrize(
    "columns", [{"hide_attachment": 1}, {"filename": "~/x/A.pluginPayloadAttachment"}]
)
def test_preview_images_are_ignored(path: Path, columns: dict[str, Any]) -> None:
    write(path, text=MILL, cache_has_attachments=1, attachments=[columns])
    assert "attachments" not in load_message(path).additional_kwargs


def test_audio_message_has_its_transcript(path: Path) -> None:
    attributes = {FILE: "at_1", TRANSCRIPT: "I am nearly there"}
    body = attributed_body("\ufffc", [(1, attributes)])
    audio = {"uti": "com.apple.coreaudio-format", "transfer_name": "Audio.caf"}
    write(path, body=body, is_audio_message=1, attachments=[audio])
    message = load_message(path)
    assert message.content == "I am nearly there"
    assert message.additional_kwargs["attachments"][0]["type"] == "audio"


def test_log_names_an_unreadable_message_by_row(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, body=attributed_body("secret")[:77])
    caplog.set_level("INFO")
    assert skipped(path) == {"unreadable": 1}
    assert [record.message for record in caplog.records] == [
        "The text of message 1 cannot be read."
    ]


def reply(part: str | None) -> dict[str, Any]:
    return {"thread_originator_guid": "A", "thread_originator_part": part}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (reply("0:0:15"), {"id": "A", "part": 0}),
        (reply("2:0:4"), {"id": "A", "part": 2}),
        (reply(f"{2**64 - 1}:0:4"), {"id": "A"}),
        (reply("9" * 5000), {"id": "A"}),
        (reply(None), {"id": "A"}),
        (reply("odd"), {"id": "A"}),
        # It links most received messages to the previous one.
        ({"reply_to_guid": "A"}, None),
    ],
)
def test_reply_refers_to_its_message(
    path: Path, columns: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    write(path, text="Yes.\rNo.", **columns)
    assert load_message(path).additional_kwargs.get("reply_to") == expected


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        ({"item_type": 1, "other_handle": 2}, "[added Fox]"),
        ({"item_type": 1, "other_handle": 1}, "[changed their address]"),
        ({"item_type": 1, "other_handle": 9}, "[added someone]"),
        ({"item_type": 1, "group_action_type": 1, "other_handle": 2}, "[removed Fox]"),
        ({"item_type": 2, "group_title": "X"}, "[named the conversation “X”]"),
        ({"item_type": 2}, "[removed the group name]"),
        ({"item_type": 3, "group_action_type": 0}, "[left the conversation]"),
        ({"item_type": 3, "group_action_type": 1}, "[changed the group photo]"),
        ({"item_type": 3, "group_action_type": 2}, "[removed the group photo]"),
        ({"item_type": 3, "group_action_type": 3}, "[changed the background]"),
        ({"item_type": 3, "group_action_type": 4}, "[changed the background]"),
        ({"item_type": 3, "group_action_type": 6}, "[changed the background]"),
        ({"item_type": 3, "group_action_type": 99}, "[changed the conversation]"),
        ({"item_type": 4, "share_status": 0}, "[started sharing location]"),
        ({"item_type": 4, "share_status": 1}, "[stopped sharing location]"),
        ({"item_type": 5}, "[kept an audio message]"),
        ({"item_type": 6}, "[started FaceTime or SharePlay]"),
        ({"item_type": 99}, "[changed the conversation]"),
    ],
)
def test_kept_event_is_one_line(path: Path, columns: dict[str, Any], line: str) -> None:
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        db.handle("+15550000003")
        chat.message(**columns)
    assert skipped(path) == {"system": 1}
    message = load_message(path, keep="system", people={"Fox": "+15550000003"})
    assert message.content == line


@pytest.mark.parametrize(
    ("columns", "is_owner"),
    [
        ({"item_type": 4, "other_handle": 1, "share_direction": 0}, True),
        ({"item_type": 4, "other_handle": 0, "share_direction": 0}, False),
        ({"item_type": 4, "other_handle": 1, "share_direction": 1}, False),
        ({"item_type": 4, "other_handle": 1, "share_direction": None}, False),
        ({"item_type": 1, "other_handle": 1, "share_direction": 0}, False),
    ],
)
def test_location_shared_with_a_person_is_from_the_owner(
    path: Path, columns: dict[str, Any], is_owner: bool
) -> None:
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        chat.message("mine", mine=True)
        chat.message(**columns)
    (session,) = IMessageChatLoader(path, keep="system")
    event = session["messages"][1].additional_kwargs
    assert event["sender"] == ("Me" if is_owner else HARE)
    assert event["is_from_me"] is is_owner
