"""Texts that stand elsewhere than in `text`: edits, previews, transcripts, subjects."""

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
    edit_text,
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
    """Write a message with a history, and with its present text where there is one."""
    if body is not None:
        columns["body"] = attributed_body(body)
    write(path, date_edited=EDITED, message_summary_info=history, **columns)


def only(path: Path, **options: Any) -> BaseMessage:
    (session,) = IMessageChatLoader(path, **options)
    (message,) = session["messages"]
    return message


def skipped(path: Path, **options: Any) -> Mapping[str, int]:
    return IMessageChatLoader(path, **options).inspect().skipped


def summary_info(
    versions: dict[Any, Any] | None = None,
    *,
    parts: int = 1,
    taken_back: Sequence[int] = (),
    edited: Sequence[int] = (),
) -> bytes:
    """Write `message_summary_info`: versions by part, and what was taken back."""
    info = {
        "otr": {str(part): {"lo": 0, "le": 3} for part in range(parts)},
        "amc": 0,
        "ust": True,
    }
    if versions:
        info["ec"] = {
            str(part): [
                {"t": edit_text(text), "d": 700_000_000.5 + 60 * index, "bcg": "x"}
                for index, text in enumerate(texts)
            ]
            for part, texts in versions.items()
        }
        info["ep"] = sorted(versions)
    if taken_back:
        info["rp"] = list(taken_back)
    if edited:
        info["ep"] = list(edited)
    return plistlib.dumps(info, fmt=plistlib.FMT_BINARY)


def archive(**entries: Any) -> bytes:
    """Write `payload_data` as NSKeyedArchiver does."""
    objects: list[object] = ["$null"]

    def put(value: dict[str, Any] | int | str) -> UID:
        if isinstance(value, dict):
            place = len(objects)
            objects.append(None)
            objects[place] = {key: put(item) for key, item in value.items()}
            return plistlib.UID(place)
        objects.append(value)
        return plistlib.UID(len(objects) - 1)

    root = put(entries)
    return plistlib.dumps(
        {
            "$archiver": "NSKeyedArchiver",
            "$version": 100000,
            "$top": {"root": root},
            "$objects": objects,
        },
        fmt=plistlib.FMT_BINARY,
    )


def url(text: str) -> dict[str, Any]:
    return {"NS.base": "$null", "NS.relative": text}


MAY = "2023-03-08T20:2"
VERSIONS = {10: ["c"], 2: ["x", "b"], 0: ["a"]}


@pytest.mark.parametrize(
    ("history", "body", "content", "extra"),
    [
        pytest.param(
            summary_info({0: ["first", "second", "third"]}),
            "third",
            "third",
            {
                "edited": True,
                "edits": [
                    {"text": "first", "message_time": f"{MAY}6:40.500000+00:00"},
                    {"text": "second", "message_time": f"{MAY}7:40.500000+00:00"},
                ],
            },
            id="an edited message has its last text, and what it said before",
        ),
        # Keys are decimal strings in any order, so part 10 stands behind part 2.
        pytest.param(
            summary_info(VERSIONS, parts=11),
            None,
            "a\nb\nc",
            {"edited": True},
            id="without a body it is read from its history",
        ),
        pytest.param(
            summary_info(parts=2, taken_back=[1]),
            "What is left",
            "What is left",
            {},
            id="a partly unsent message keeps what is left",
        ),
        pytest.param(
            summary_info({0: ["stays"], 1: ["goes"]}, parts=2, taken_back=[1]),
            None,
            "stays",
            {"edited": True},
            id="a partly unsent message without a body",
        ),
        pytest.param(b"", "as sent", "as sent", {}, id="a flag without a history"),
    ],
)
def test_edits_are_read_from_the_history(
    path: Path, history: bytes, body: str | None, content: str, extra: dict[str, Any]
) -> None:
    write_edited(path, history, body)
    message = only(path)
    found = message.additional_kwargs
    assert message.content == content
    assert found.get("edited") == extra.get("edited")
    assert "edits" not in extra or found["edits"] == extra["edits"]


@pytest.mark.parametrize("retracted", [0, EDITED])
@pytest.mark.parametrize(
    ("versions", "content"), [(None, None), ({0: ["Forget", "Forget it"]}, "Forget it")]
)
def test_message_whose_parts_were_all_taken_back_is_unsent(
    path: Path, retracted: int, versions: Any, content: str | None
) -> None:
    """On macOS 26 `date_retracted` stays 0. Its text may still be in the history."""
    history = summary_info(versions, taken_back=[0])
    write_edited(path, history, date_retracted=retracted)
    assert skipped(path) == {"unsent": 1}
    if content is None:
        assert skipped(path, keep="unsent") == {"unsent": 1}
    else:
        message = only(path, keep="unsent")
        assert message.content == content
        assert message.additional_kwargs["unsent"] is True


URL_BALLOON = "com.apple.messages.URLBalloonProvider"


@pytest.mark.parametrize(
    ("stored", "columns", "shown"),
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
def test_marks_are_removed_and_line_breaks_kept(
    path: Path, stored: str, columns: dict[str, Any], shown: str
) -> None:
    write(path, text=stored, **columns)
    message = only(path)
    assert message.content == shown
    assert message.additional_kwargs.get("subject") == columns.get("subject")


PREVIEW = {
    "richLinkMetadata": {
        "title": "The mill",
        "summary": "Where the race begins",
        "siteName": "Meadow News",
        "URL": url("https://mill.example/start"),
        "originalURL": url("https://mill.example"),
    }
}


@pytest.mark.parametrize(
    "bundle",
    [
        None,
        "com.apple.messages.URLBalloonProvider",
        "com.example.plugin:0000000000:com.apple.messages.URLBalloonProvider",
    ],
)
def test_link_preview_goes_with_its_text(path: Path, bundle: str | None) -> None:
    write(
        path,
        text="https://mill.example",
        balloon_bundle_id=bundle,
        payload_data=archive(**PREVIEW),
    )
    message = only(path)
    assert message.content == "https://mill.example"
    assert message.additional_kwargs["attachments"] == [
        {
            "type": "link",
            "uri": "https://mill.example",
            "title": "The mill",
            "text": "Where the race begins",
            "site": "Meadow News",
        }
    ]


def test_link_preview_without_a_text_is_its_address(path: Path) -> None:
    payload = archive(metadata={"URL": url("https://mill.example")})
    write(path, text="\ufffd", balloon_bundle_id=URL_BALLOON, payload_data=payload)
    assert only(path).content == "https://mill.example"


@pytest.mark.parametrize(
    ("bundle", "payload", "shown"),
    [
        ("com.example.game", b"", "[app message]"),
        (
            "com.example.game",
            archive(an="Chess", ldtext="Your move"),
            "[Chess: Your move]",
        ),
        ("com.example.pay", archive(userInfo={"caption": "5 carrots"}), "[5 carrots]"),
        ("com.example.pay", archive(userInfo={"subcaption": "for Hare"}), "[for Hare]"),
        ("com.apple.Handwriting.HandwritingProvider", b"\0", "[handwriting]"),
        ("com.apple.DigitalTouchBalloonProvider", b"\0", "[drawing]"),
        ("a.plugin:000:com.apple.DigitalTouchBalloonProvider", b"\0", "[drawing]"),
        (
            "com.apple.messages.MSMessageExtensionBalloonPlugin:000:com.example.game",
            archive(an="Chess"),
            "[Chess]",
        ),
        (
            "com.apple.messages.Polls",
            archive(
                URL=url(
                    "data:,eyJpdGVtIjp7Im9yZGVyZWRQb2xsT3B0aW9ucyI6W3sidGV4dCI6Ik1pbGwifSx7"
                    "InRleHQiOiJPYWsifV19fQ?src=p"
                )
            ),
            "[poll: Mill / Oak]",
        ),
        ("com.apple.messages.Polls", archive(URL=url("data:,%%%")), "[poll]"),
    ],
)
def test_app_message_is_one_line_when_asked_for(
    path: Path, bundle: str, payload: bytes, shown: str
) -> None:
    write(path, text="\ufffd", balloon_bundle_id=bundle, payload_data=payload)
    assert skipped(path) == {"media": 1}
    assert only(path, keep="media").content == shown


PHOTO = {"mime_type": "image/heic", "transfer_name": "IMG_1.HEIC"}


def test_attachment_without_a_text_is_a_placeholder_when_asked_for(path: Path) -> None:
    write(path, text="\ufffc", cache_has_attachments=1, attachments=[PHOTO, PHOTO])
    assert skipped(path) == {"media": 1}
    message = only(path, keep="media")
    assert message.content == "[photo] [photo]"
    assert len(message.additional_kwargs["attachments"]) == 2


def test_attachments_are_in_the_order_of_the_text(path: Path) -> None:
    """The order of rows says nothing, and a file can be in none of the runs."""
    runs: list[tuple[int, dict[str, Any]]] = [
        (1, {FILE: "at_1"}),
        (2, {PART: 1}),
        (1, {FILE: "at_0"}),
    ]
    files = [
        {"guid": "at_other", "transfer_name": "a.pdf"},
        {"guid": "at_0", "transfer_name": "b.pdf"},
        {"guid": "at_1", "transfer_name": "c.pdf"},
    ]
    write(path, body=attributed_body("\ufffcto\ufffc", runs), attachments=files)
    names = [file["name"] for file in only(path).additional_kwargs["attachments"]]
    assert names == ["c.pdf", "b.pdf", "a.pdf"]


@pytest.mark.parametrize(
    ("columns", "described"),
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
def test_attachment_is_told_by_what_is_known_of_it(
    path: Path, columns: dict[str, Any], described: dict[str, Any]
) -> None:
    write(path, text="\ufffcLook", cache_has_attachments=1, attachments=[columns])
    (shown,) = only(path).additional_kwargs["attachments"]
    assert shown | described == shown


@pytest.mark.parametrize(
    "columns", [{"hide_attachment": 1}, {"filename": "~/x/A.pluginPayloadAttachment"}]
)
def test_images_of_previews_are_no_attachments(
    path: Path, columns: dict[str, Any]
) -> None:
    write(
        path, text="https://a.example", cache_has_attachments=1, attachments=[columns]
    )
    assert "attachments" not in only(path).additional_kwargs


def test_transcript_is_what_an_audio_message_says(path: Path) -> None:
    body = attributed_body(
        "\ufffc", [(1, {FILE: "at_1", TRANSCRIPT: "I am nearly there"})]
    )
    audio = {"uti": "com.apple.coreaudio-format", "transfer_name": "Audio.caf"}
    write(path, body=body, is_audio_message=1, attachments=[audio])
    message = only(path)
    assert message.content == "I am nearly there"
    assert message.additional_kwargs["attachments"][0]["type"] == "audio"


def test_text_that_cannot_be_read_is_logged_by_its_row_only(
    path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, body=attributed_body("secret")[:77])
    caplog.set_level("INFO")
    assert skipped(path) == {"unreadable": 1}
    assert [record.message for record in caplog.records] == [
        "The text of message 1 cannot be read."
    ]


def answers(part: str | None) -> dict[str, Any]:
    return {"thread_originator_guid": "A", "thread_originator_part": part}


@pytest.mark.parametrize(
    ("columns", "reply"),
    [
        (answers("0:0:15"), {"id": "A", "part": 0}),
        (answers("2:0:4"), {"id": "A", "part": 2}),
        (answers(f"{2**64 - 1}:0:4"), {"id": "A"}),
        (answers("9" * 5000), {"id": "A"}),
        (answers(None), {"id": "A"}),
        (answers("odd"), {"id": "A"}),
        # It links most received messages to the one before.
        ({"reply_to_guid": "A"}, None),
    ],
)
def test_reply_names_what_it_answers(
    path: Path, columns: dict[str, Any], reply: dict[str, Any] | None
) -> None:
    write(path, text="Yes.\rNo.", **columns)
    assert only(path).additional_kwargs.get("reply_to") == reply


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        ({"item_type": 1, "other_handle": 2}, "[added Fox]"),
        ({"item_type": 1, "other_handle": 1}, "[changed their address]"),
        ({"item_type": 1, "other_handle": 9}, "[added somebody]"),
        ({"item_type": 1, "group_action_type": 1, "other_handle": 2}, "[removed Fox]"),
        ({"item_type": 2, "group_title": "X"}, "[named the conversation “X”]"),
        ({"item_type": 2}, "[removed the name of the conversation]"),
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
def test_event_is_one_line(path: Path, columns: dict[str, Any], line: str) -> None:
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        db.handle("+15550000003")
        chat.message(**columns)
    assert skipped(path) == {"system": 1}
    message = only(path, keep="system", contacts={"+15550000003": "Fox"})
    assert message.content == line


@pytest.mark.parametrize(
    ("columns", "is_own"),
    [
        ({"item_type": 4, "other_handle": 1, "share_direction": 0}, True),
        ({"item_type": 4, "other_handle": 0, "share_direction": 0}, False),
        ({"item_type": 4, "other_handle": 1, "share_direction": 1}, False),
        ({"item_type": 4, "other_handle": 1, "share_direction": None}, False),
        ({"item_type": 1, "other_handle": 1, "share_direction": 0}, False),
    ],
)
def test_location_is_the_owners_if_it_goes_to_somebody(
    path: Path, columns: dict[str, Any], is_own: bool
) -> None:
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        chat.message("mine", mine=True)
        chat.message(**columns)
    (session,) = IMessageChatLoader(path, keep="system")
    event = session["messages"][1].additional_kwargs
    assert event["sender"] == ("Me" if is_own else HARE)
    assert event["is_from_me"] is is_own
