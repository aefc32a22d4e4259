"""Telegram exports in JSON: damage, people, owner, types of chats."""

import json
import time
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import pytest

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.chat_loaders import folder_files
from langchain_chatexports.chat_loaders.schema import metadata_of
from langchain_chatexports.chat_loaders.telegram import TelegramChatLoader
from tests.unit_tests.builders.sessions import (
    messages_by_session,
    only_message,
    skipped_counts,
)
from tests.unit_tests.builders.telegram import (
    ANN,
    BERLIN_SUMMER,
    BO,
    NOT_INCLUDED,
    USER,
    Person,
    TelegramChat,
    account_text,
    is_recognized,
    make_chat,
    make_group,
    write_account,
)


def loaded(path: Path, **options: Any) -> dict[str, list[tuple[str, str]]]:
    return messages_by_session(TelegramChatLoader(path, **options))


def skipped(path: Path, **options: Any) -> dict[str, int]:
    return skipped_counts(TelegramChatLoader(path, **options))


def load_message(path: Path, **options: Any) -> Any:
    return only_message(TelegramChatLoader(path, **options))


def write_chat(tmp_path: Path, *messages: dict[str, Any], **about: Any) -> Path:
    """Write a chat with Bo that contains Ann's messages with these keys."""
    chat = TelegramChat(**about)
    for keys in messages:
        chat.says(**{"who": ANN, "text": "", **keys})
    return chat.write(tmp_path / "result.json")


@pytest.fixture
def opened_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the opened files, in order."""
    opened: list[str] = []

    def open_and_record(path: Path) -> Any:
        opened.append(path.name)
        return open_regular_file(path)

    monkeypatch.setattr(f"{folder_files.__name__}.open_regular_file", open_and_record)
    return opened


@pytest.mark.parametrize("indent", [1, 2, None])
def test_account_with_left_chats_is_read(tmp_path: Path, indent: int | None) -> None:
    path = write_account(
        tmp_path,
        *(make_chat(), TelegramChat("Empty", number=5), make_chat(33, "Cy")),
        left_chats=[make_chat(44, "The race", kind="private_group")],
        user=USER,
        indent=indent,
    )
    assert loaded(path) == {
        "user22": [("Bo", "yours"), ("Ann", "mine")],
        "user33": [("Cy", "yours"), ("Ann", "mine")],
        "chat44": [("The race", "yours"), ("Ann", "mine")],
    }
    assert is_recognized(path)
    assert is_recognized(tmp_path)


def test_account_with_many_contacts_is_recognized(tmp_path: Path) -> None:
    value = json.loads(account_text([make_chat()]))
    value["contacts"]["list"] *= 5_000
    path = tmp_path / "result.json"
    path.write_text(json.dumps(value, indent=1))
    assert is_recognized(tmp_path)
    assert list(loaded(path)) == ["user22"]


@pytest.mark.parametrize("form", ["lines", "windows", "compact", "wide", "bom", "keys"])
def test_file_format_variants_are_equivalent(tmp_path: Path, form: str) -> None:
    chat = TelegramChat()
    chat.says(ANN, 'Zwei\nZeilen "  },')
    chat.says(BO, "😂", reply_to_message_id=1)
    expected = TelegramChatLoader(chat.write(tmp_path / "a.json")).load()
    indent = {"compact": None, "wide": 4}.get(form, 1)
    text = json.dumps(chat.value, indent=indent, sort_keys=form == "keys")
    if form == "windows":
        text = text.replace("\n", "\r\n")
    path = tmp_path / "result.json"
    path.write_bytes(b"\xef\xbb\xbf" * (form == "bom") + text.encode())
    assert TelegramChatLoader(path).load() == expected
    assert is_recognized(path)


def test_many_chats_take_linear_time(tmp_path: Path) -> None:
    chats = [TelegramChat(f"P{number}", number=number) for number in range(3_000)]
    for chat in chats:
        chat.messages.append({"id": 1, "type": "message", "text": "Hi"})
    path = write_account(tmp_path, *chats, indent=None)
    begin = time.process_time()
    assert TelegramChatLoader(path).inspect().kept == 3_000
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"a\x0Cb", "a\fb"),
        (r"a\\x0Cb", r"a\x0Cb"),
        (r"a\x0Cb\\x0Cc", "a\fb\\x0Cc"),
        (r"a\\\x0Bb", "a\\\x0bb"),
        (r"\x01\x02", "\x01\x02"),
        (r"\u2028 \"document_id\": x", '\u2028 "document_id": x'),
    ],
)
@pytest.mark.parametrize("indent", [1, None])
def test_control_characters_are_repaired(
    tmp_path: Path, raw: str, text: str, indent: int | None
) -> None:
    chat = TelegramChat()
    for person, words in ((ANN, "before"), (ANN, "MARK"), (BO, "after")):
        chat.says(person, words)
    path = tmp_path / "result.json"
    path.write_text(chat.text(indent=indent).replace("MARK", raw), encoding="utf-8")
    assert loaded(path)["user22"] == [("Ann", "before"), ("Ann", text), ("Bo", "after")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_document_id_without_quotes_is_repaired(tmp_path: Path, end: str) -> None:
    entity = {"type": "custom_emoji", "text": "😂", "document_id": "MARK"}
    path = write_chat(tmp_path, {"text": ["ha ", entity]})
    text = path.read_text("utf-8").replace('"MARK"', r'video_files/sti"ck\er.webm')
    path.write_bytes(text.replace("\n", end).encode())
    assert loaded(path) == {"user22": [("Ann", "ha 😂")]}


@pytest.mark.parametrize("is_account", [False, True])
@pytest.mark.parametrize("end", ["", ",", ",\n  {\n   ", '"type": "mess'])
def test_truncated_file_keeps_complete_messages(
    tmp_path: Path, end: str, is_account: bool
) -> None:
    chat = make_chat()
    text = account_text([make_chat(33, "Cy"), chat]) if is_account else chat.text()
    text = text[: text.rindex('"mine"')]
    path = tmp_path / "result.json"
    path.write_text(text[: text.rindex("}")] + "}" + end)
    with pytest.warns(UserWarning, match="is truncated"):
        assert loaded(path)["user22"] == [("Bo", "yours")]
    with pytest.warns(UserWarning, match="is truncated"):
        assert skipped(path)["unreadable"] >= 1


def test_chat_in_two_exports_is_one_session(tmp_path: Path) -> None:
    first, later = TelegramChat(), TelegramChat()
    for number in range(1, 5):
        message = first.says(ANN, str(number))
        if number > 2:
            edited = {"text": f"{number}, edited", "edited": "2024-06-02T10:00:00"}
            later.messages.append({**message, **edited})
    later.messages.append({**message, "id": 5, "text": "5"})
    # The first file begins later.
    first.messages.pop(2)
    first.write(tmp_path / "ChatExport_2024-06-01" / "result.json")
    later.write(tmp_path / "ChatExport_2024-07-01" / "result.json")
    texts = [text for _, text in loaded(tmp_path)["user22"]]
    assert texts == ["1", "2", "3, edited", "4, edited", "5"]
    assert skipped(tmp_path) == {"duplicate": 1}


def test_files_are_not_read_again_for_each_chat(
    tmp_path: Path, opened_files: list[str]
) -> None:
    chats = [make_chat(number, f"P{number}") for number in range(20, 50)]
    for number in range(6):
        path = tmp_path / f"DataExport_2024-0{number + 1}-01" / "result.json"
        path.parent.mkdir()
        path.write_text(account_text(chats, user=USER))
    assert len(loaded(tmp_path)) == 30
    assert len(opened_files) < 6 * 10


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        (["a", {"type": "bold", "text": "b"}, "c"], "abc"),
        ([{"type": "email", "text": "a@b"}, {"type": "new_kind", "text": "#"}], "a@b#"),
        ([{"type": "text_link", "text": "here", "href": "https://x.example"}], "here"),
        ("half \ud83d, whole \U0001f602", "half \ufffd, whole \U0001f602"),
        (["a", 5, {"text": None}, {"text": "b"}], "ab"),
    ],
)
@pytest.mark.parametrize("key", ["text", "text_entities"])
def test_text_parts_are_joined(tmp_path: Path, text: Any, shown: str, key: str) -> None:
    """Exports before about 2022 have no entities."""
    chat = TelegramChat()
    message = chat.says(ANN, text)
    if key == "text":
        del message["text_entities"]
    else:
        message["text"] = ""
    path = chat.write(tmp_path / "result.json", ascii_only=True)
    assert load_message(path).content == shown


@pytest.mark.parametrize("unix_time", ["1714550400", 1714550400])
def test_unix_time_is_preferred(tmp_path: Path, unix_time: Any) -> None:
    path = write_chat(tmp_path, {"text": "Hi", "date_unixtime": unix_time})
    kwargs = load_message(path, timezone=UTC).additional_kwargs
    assert kwargs["message_time"] == 1714550400
    assert kwargs["events"] == [{"message_time": "2024-05-01T08:00:00+00:00"}]


LOCAL = {"text": "Hi", "date_unixtime": None}


@pytest.mark.parametrize("zone", [BERLIN_SUMMER, "Europe/Berlin"])
def test_local_time_is_in_given_zone(tmp_path: Path, zone: Any) -> None:
    if isinstance(zone, str) and not available_timezones():
        pytest.skip("This system has no list of zones.")
    message = load_message(write_chat(tmp_path, LOCAL), timezone=zone)
    assert message.additional_kwargs["message_time"] == 1714550400


def test_repeated_hour_is_tracked_per_chat(tmp_path: Path) -> None:
    chats = [TelegramChat("Bo", number=22), TelegramChat("Cy", number=33)]
    stamps = ("2022-10-30T02:50:00", "2022-10-30T02:10:00", "2022-03-27T02:30:00")
    for chat in chats:
        for stamp in stamps:
            chat.says(ANN, "Hi", date=stamp, date_unixtime=None)
    path = write_account(tmp_path, *chats)
    for session in TelegramChatLoader(path, timezone="Europe/Berlin").load():
        events = [m.additional_kwargs["events"] for m in session["messages"]]
        assert [event["message_time"] for (event,) in events] == [
            "2022-03-27T01:30:00+00:00",
            "2022-10-30T00:50:00+00:00",
            "2022-10-30T01:10:00+00:00",
        ]


@pytest.mark.parametrize(
    ("action", "keys", "text"),
    [
        ("phone_call", {"duration_seconds": 5}, "[phone call]"),
        ("a_new_action", {}, "[a new action]"),
        (None, {"information_text": "Ann won"}, "Ann won"),
    ],
)
def test_service_messages_are_skipped(
    tmp_path: Path, action: str | None, keys: dict[str, Any], text: str
) -> None:
    chat = TelegramChat()
    chat.service(ANN, action, **keys)
    path = chat.write(tmp_path / "result.json")
    summary = TelegramChatLoader(path).inspect()
    assert dict(summary.skipped) == {"system": 1}
    assert summary.details["system"] == {action or "service": 1}
    message = load_message(path, keep="system")
    assert message.content == text
    assert message.additional_kwargs["system"] == (action or "service")
    assert message.additional_kwargs["sender"] == "Ann"


def test_unsupported_messages_are_counted(tmp_path: Path) -> None:
    chat = make_chat()
    chat.messages.append({"id": 3, "type": "unsupported"})
    assert skipped(chat.write(tmp_path / "result.json")) == {"empty": 1}


def test_replies_have_a_reference(tmp_path: Path) -> None:
    chat = TelegramChat()
    chat.says(ANN, "Hello")
    chat.says(BO, "Hi", reply_to_message_id=1)
    chat.says(BO, "gone", reply_to_message_id=99)
    chat.says(BO, "there", reply_to_message_id=7, reply_to_peer_id="channel9")
    (session,) = TelegramChatLoader(chat.write(tmp_path / "result.json")).load()
    found = [m.additional_kwargs.get("reply_to") for m in session["messages"]]
    ids = ("user22:1", "user22:99", "channel9:7")
    assert found == [None, *({"id": message_id} for message_id in ids)]
    assert session["messages"][0].id == "user22:1"


@pytest.mark.parametrize(
    ("keys", "extra"),
    [
        ({"forwarded_from": "Cy"}, {"forwarded": True, "forwarded_from": "Cy"}),
        ({"forwarded_from": None}, {"forwarded": True}),
        ({"saved_from": "Cy"}, {"forwarded": True, "forwarded_from": "Cy"}),
        ({"edited": "2024-05-01T10:05:00", "edited_unixtime": "1"}, {"edited": True}),
        ({"edited": "2024-05-01T10:05:00"}, {"edited": True}),
        ({"edited_unixtime": "1"}, {"edited": True}),
    ],
)
def test_forwards_and_edits_are_marked(
    tmp_path: Path, keys: dict[str, Any], extra: dict[str, Any]
) -> None:
    found = load_message(write_chat(tmp_path, {"text": "Hi", **keys})).additional_kwargs
    names = ("forwarded", "forwarded_from", "edited")
    assert {name: found[name] for name in names if name in found} == extra


STICKER = {"file": NOT_INCLUDED, "media_type": "sticker", "sticker_emoji": "😂"}
SONG = {"file": "a.mp3", "media_type": "audio_file", "title": "Song"}
PDF = {"file": "files/x.pdf", "file_name": "x.pdf", "mime_type": "a/b"}
WHO = {"question": "Who?", "answers": [{"text": "I"}]}
WHO_IN_BOLD = {"question": ["Who", {"type": "bold", "text": "?"}]}
OAK = {"location_information": None, "place_name": "Oak", "address": "x"}
CY = {"contact_information": {"first_name": "Cy"}, "contact_vcard": NOT_INCLUDED}


@pytest.mark.parametrize(
    ("keys", "attachment"),
    [
        ({"photo": NOT_INCLUDED, "width": 5}, {"type": "photo"}),
        ({"photo": "photos/photo_1.jpg"}, {"type": "photo"}),
        (STICKER, {"type": "sticker", "title": "😂"}),
        ({"file": "v.ogg", "media_type": "voice_message"}, {"type": "audio"}),
        ({"file": "v.mp4", "media_type": "video_message"}, {"type": "video"}),
        ({"file": "v.mp4", "media_type": "animation"}, {"type": "gif"}),
        ({"file": "v.mp4", "media_type": "video_file"}, {"type": "video"}),
        (SONG, {"type": "audio", "title": "Song"}),
        (PDF, {"type": "file", "name": "x.pdf"}),
        ({"file": "x", "media_type": "new_kind"}, {"type": "file"}),
        ({"poll": WHO}, {"type": "poll", "title": "Who?"}),
        ({"poll": WHO_IN_BOLD}, {"type": "poll", "title": "Who?"}),
        (OAK, {"type": "location", "title": "Oak"}),
        (CY, {"type": "contact"}),
        ({"game_title": "Race"}, {"type": "game"}),
    ],
)
def test_media_become_attachments(
    tmp_path: Path, keys: dict[str, Any], attachment: dict[str, str]
) -> None:
    path = write_chat(tmp_path, keys)
    assert skipped(path) == {"media": 1}
    message = load_message(path, keep="media")
    assert message.content == f"[{attachment['type']}]"
    assert message.additional_kwargs["attachments"] == [attachment]


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", NOT_INCLUDED])
def test_paths_in_messages_are_never_opened(
    tmp_path: Path, name: str, opened_files: list[str]
) -> None:
    keys = dict.fromkeys(("photo", "file", "thumbnail", "contact_vcard"), name)
    path = write_chat(tmp_path, {"text": "Look", **keys})
    message = load_message(path, keep="media")
    assert set(opened_files) == {"result.json"}
    assert name not in json.dumps(message.additional_kwargs)


def test_reactions_have_known_senders(tmp_path: Path) -> None:
    recent = [
        {"from": "Bo", "from_id": "user22", "date": "2024-05-01T10:00:00"},
        {"from": None, "from_id": "user9", "date": "2024-05-01T10:00:00"},
    ]
    reactions = [
        {"type": "emoji", "count": 5, "emoji": "👍", "recent": recent},
        {"type": "emoji", "count": 1, "emoji": "❤", "recent": recent[:1]},
        {"type": "custom_emoji", "count": 2, "document_id": "stickers/x.webp"},
        {"type": "paid", "count": 3},
    ]
    path = write_chat(tmp_path, {"text": "Hi", "reactions": reactions})
    assert load_message(path).additional_kwargs["reactions"] == [
        {"reaction": "👍", "sender": "Bo"},
        {"reaction": "👍", "sender": "unknown"},
        {"reaction": "👍", "sender": "unknown", "count": 3},
        {"reaction": "❤", "sender": "Bo"},
        {"reaction": ":custom_emoji:", "sender": "unknown", "count": 2},
        {"reaction": "⭐", "sender": "unknown", "count": 3},
    ]


def test_inline_bot_text_is_skipped(tmp_path: Path) -> None:
    path = write_chat(tmp_path, {"text": "Results", "via_bot": "@vote"})
    assert skipped(path) == {"bot": 1}
    assert load_message(path, keep="bot").content == "Results"


@pytest.mark.parametrize("kind", ["private_channel", "public_channel"])
def test_channels_are_skipped_by_default(tmp_path: Path, kind: str) -> None:
    chat = TelegramChat("News", kind, 9)
    for _ in range(12):
        chat.says(Person("News", "channel9"), "Buy", author="Cy")
    path = chat.write(tmp_path / "result.json")
    assert skipped(path) == {"channel": 12}
    assert list(loaded(path, keep="channel")) == ["channel9"]


def test_bots_are_recognized_in_groups(tmp_path: Path) -> None:
    group = make_group(ANN, Person("Quiz", "user55"))
    path = write_account(tmp_path, group, make_chat(55, "Quiz", kind="bot_chat"))
    assert loaded(path) == {"chat7": [("Ann", "Hi")]}
    assert skipped(path) == {"bot": 3}
    assert len(loaded(path, keep="bot")["chat7"]) == 2


@pytest.mark.parametrize(
    ("kind", "is_group", "session_id"),
    [
        ("personal_chat", False, "user22"),
        ("private_group", True, "chat22"),
        ("public_group", True, "chat22"),
        ("private_supergroup", True, "channel22"),
        ("public_supergroup", True, "channel22"),
        ("saved_messages", False, "saved_messages"),
        ("replies", False, "replies"),
        ("", False, "chat22"),
        (None, False, "chat22"),
        ("new_kind", False, "new_kind22"),
    ],
)
@pytest.mark.parametrize("number", [22, "22"])
def test_chat_types_become_sessions(
    tmp_path: Path, kind: Any, is_group: bool, session_id: str, number: Any
) -> None:
    chat = make_chat(kind=kind)
    chat.about["id"] = number
    (session,) = TelegramChatLoader(chat.write(tmp_path / "result.json")).load()
    assert metadata_of(session)["is_group"] is is_group
    assert metadata_of(session)["id"] == session_id


@pytest.mark.parametrize("number", [None, "x", 1.5])
def test_chats_without_ids_are_separate(tmp_path: Path, number: Any) -> None:
    chats = [TelegramChat(name, number=number) for name in ("Bo", "Cy")]
    for chat in chats:
        chat.says(ANN, "Hi")
    path = write_account(tmp_path, *chats)
    assert loaded(path) == {key: [("Ann", "Hi")] for key in ("user:Bo", "user:Cy")}


def test_one_sided_group_causes_a_warning(tmp_path: Path) -> None:
    path = make_group(*[ANN] * 10).write(tmp_path / "result.json")
    with pytest.warns(UserWarning, match="Only my messages"):
        TelegramChatLoader(path).load()


def test_negative_ids_keep_the_order_of_the_file(tmp_path: Path) -> None:
    numbers = (-999999455, -999999454, 1, 2)
    messages = [{"text": str(number), "id": number} for number in numbers]
    path = write_chat(tmp_path, *messages, name="Race", kind="private_supergroup")
    (session,) = TelegramChatLoader(path).load()
    assert [m.id for m in session["messages"]] == [
        f"channel22:{number}" for number in numbers
    ]
