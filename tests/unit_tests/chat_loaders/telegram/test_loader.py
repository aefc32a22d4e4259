"""Telegram exports as sessions: JSON, its faults, people, owner, kinds of chats."""

import json
import time
from datetime import timezone
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import pytest

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.chat_loaders import files
from langchain_chatexports.chat_loaders.telegram import TelegramChatLoader
from tests.unit_tests.builders.sessions import (
    metadata_of,
    only_message,
    said_in,
    skipped_by,
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
)


def loaded(path: Path, **options: Any) -> dict[str, list[tuple[str, str]]]:
    return said_in(TelegramChatLoader(path, **options))


def skipped(path: Path, **options: Any) -> dict[str, int]:
    return skipped_by(TelegramChatLoader(path, **options))


def only(path: Path, **options: Any) -> Any:
    return only_message(TelegramChatLoader(path, **options))


def written(tmp_path: Path, *messages: dict[str, Any], **about: Any) -> Path:
    """Write a chat with Bo, of Ann's messages with these keys."""
    chat = TelegramChat(**about)
    for keys in messages:
        chat.says(**{"who": ANN, "text": "", **keys})
    return chat.write(tmp_path / "result.json")


def talk(number: int = 22, name: str = "Bo", **keys: Any) -> TelegramChat:
    chat = TelegramChat(name, number=number, **keys)
    chat.says(Person(name, f"user{number}"), "yours")
    chat.says(ANN, "mine")
    return chat


def group_of(*people: Person) -> TelegramChat:
    group = TelegramChat("Race", "private_group", 7)
    for person in people:
        group.says(person, "Hi")
    return group


def account(tmp_path: Path, *chats: TelegramChat, **options: Any) -> Path:
    path = tmp_path / "result.json"
    path.write_text(account_text(chats, **options), encoding="utf-8")
    return path


@pytest.mark.parametrize("indent", [1, 2, None])
def test_an_account_with_left_chats_is_read(tmp_path: Path, indent: int | None) -> None:
    path = account(
        tmp_path,
        *(talk(), TelegramChat("Empty", number=5), talk(33, "Cy")),
        left_chats=[talk(44, "The race", kind="private_group")],
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


def test_a_long_list_of_contacts_does_not_hide_an_account(tmp_path: Path) -> None:
    value = json.loads(account_text([talk()]))
    value["contacts"]["list"] *= 5_000
    path = tmp_path / "result.json"
    path.write_text(json.dumps(value, indent=1))
    assert is_recognized(tmp_path)
    assert list(loaded(path)) == ["user22"]


@pytest.mark.parametrize("form", ["lines", "windows", "compact", "wide", "bom", "keys"])
def test_each_form_of_the_file_gives_the_same(tmp_path: Path, form: str) -> None:
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


def test_the_time_is_linear_in_the_number_of_chats(tmp_path: Path) -> None:
    chats = [TelegramChat(f"P{number}", number=number) for number in range(3_000)]
    for chat in chats:
        chat.messages.append({"id": 1, "type": "message", "text": "Hi"})
    path = account(tmp_path, *chats, indent=None)
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
    for person, said in ((ANN, "before"), (ANN, "MARK"), (BO, "after")):
        chat.says(person, said)
    path = tmp_path / "result.json"
    path.write_text(chat.text(indent=indent).replace("MARK", raw), encoding="utf-8")
    assert loaded(path)["user22"] == [("Ann", "before"), ("Ann", text), ("Bo", "after")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_document_id_without_quotes_is_repaired(tmp_path: Path, end: str) -> None:
    entity = {"type": "custom_emoji", "text": "😂", "document_id": "MARK"}
    path = written(tmp_path, {"text": ["ha ", entity]})
    text = path.read_text("utf-8").replace('"MARK"', r'video_files/sti"ck\er.webm')
    path.write_bytes(text.replace("\n", end).encode())
    assert loaded(path) == {"user22": [("Ann", "ha 😂")]}


@pytest.mark.parametrize("shape", ["single", "account"])
@pytest.mark.parametrize("end", ["", ",", ",\n  {\n   ", '"type": "mess'])
def test_of_a_file_that_was_cut_off_the_whole_messages_stay(
    tmp_path: Path, end: str, shape: str
) -> None:
    chat = talk()
    text = chat.text() if shape == "single" else account_text([talk(33, "Cy"), chat])
    text = text[: text.rindex('"mine"')]
    path = tmp_path / "result.json"
    path.write_text(text[: text.rindex("}")] + "}" + end)
    with pytest.warns(UserWarning, match="was cut off"):
        assert loaded(path)["user22"] == [("Bo", "yours")]
    with pytest.warns(UserWarning, match="was cut off"):
        assert skipped(path)["unreadable"] >= 1


def test_a_chat_in_two_exports_is_one_session(tmp_path: Path) -> None:
    first, later = TelegramChat(), TelegramChat()
    for number in range(1, 5):
        message = first.says(ANN, str(number))
        if number > 2:
            later.messages.append({**message, "text": f"{number}, edited"})
    later.messages.append({**message, "id": 5, "text": "5"})
    # The file that comes first begins later.
    first.messages.pop(2)
    first.write(tmp_path / "ChatExport_2024-06-01" / "result.json")
    later.write(tmp_path / "ChatExport_2024-07-01" / "result.json")
    texts = [text for _, text in loaded(tmp_path)["user22"]]
    assert texts == ["1", "2", "3, edited", "4, edited", "5"]
    assert skipped(tmp_path) == {"duplicate": 1}


def test_many_exports_of_one_account_are_not_read_for_each_chat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats = [talk(number, f"P{number}") for number in range(20, 50)]
    for number in range(6):
        path = tmp_path / f"DataExport_2024-0{number + 1}-01" / "result.json"
        path.parent.mkdir()
        path.write_text(account_text(chats, user=USER))
    opened: list[Path] = []

    def watched(place: Path) -> Any:
        opened.append(place)
        return open_regular_file(place)

    monkeypatch.setattr(f"{files.__name__}.open_regular_file", watched)
    assert len(loaded(tmp_path)) == 30
    assert len(opened) < 6 * 10


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        (["a", {"type": "bold", "text": "b"}, "c"], "abc"),
        (
            [
                {"type": "email", "text": "a@b.example"},
                {"type": "new_kind", "text": "#x"},
            ],
            "a@b.example#x",
        ),
        ([{"type": "text_link", "text": "here", "href": "https://x.example"}], "here"),
        ("half \ud83d, whole \U0001f602", "half \ufffd, whole \U0001f602"),
        (["a", 5, {"text": None}, {"text": "b"}], "ab"),
    ],
)
@pytest.mark.parametrize("key", ["text", "text_entities"])
def test_the_parts_of_a_text_are_joined_with_nothing(
    tmp_path: Path, text: Any, shown: str, key: str
) -> None:
    """Before about 2022 there are no entities."""
    chat = TelegramChat()
    message = chat.says(ANN, text)
    if key == "text":
        del message["text_entities"]
    else:
        message["text"] = ""
    path = chat.write(tmp_path / "result.json", ascii_only=True)
    assert only(path).content == shown


@pytest.mark.parametrize("unix_time", ["1714550400", 1714550400])
def test_unix_time_is_preferred(tmp_path: Path, unix_time: Any) -> None:
    path = written(tmp_path, {"text": "Hi", "date_unixtime": unix_time})
    kwargs = only(path, timezone=timezone.utc).additional_kwargs
    assert kwargs["message_time"] == 1714550400
    assert kwargs["events"] == [{"message_time": "2024-05-01T08:00:00+00:00"}]


LOCAL = {"text": "Hi", "date_unixtime": None}


@pytest.mark.parametrize("zone", [BERLIN_SUMMER, "Europe/Berlin"])
def test_a_local_time_is_read_by_the_time_zone(tmp_path: Path, zone: Any) -> None:
    if isinstance(zone, str) and not available_timezones():
        pytest.skip("This system has no list of zones.")
    message = only(written(tmp_path, LOCAL), timezone=zone)
    assert message.additional_kwargs["message_time"] == 1714550400


def test_each_chat_begins_with_the_first_of_the_hour_that_comes_twice(
    tmp_path: Path,
) -> None:
    chats = [TelegramChat("Bo", number=22), TelegramChat("Cy", number=33)]
    stamps = ("2022-10-30T02:50:00", "2022-10-30T02:10:00", "2022-03-27T02:30:00")
    for chat in chats:
        for stamp in stamps:
            chat.says(ANN, "Hi", date=stamp, date_unixtime=None)
    path = account(tmp_path, *chats)
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
def test_service_messages_are_left_out_by_type(
    tmp_path: Path, action: str | None, keys: dict[str, Any], text: str
) -> None:
    chat = TelegramChat()
    chat.service(ANN, action, **keys)
    path = chat.write(tmp_path / "result.json")
    summary = TelegramChatLoader(path).inspect()
    assert dict(summary.skipped) == {"system": 1}
    assert summary.details["system"] == {action or "service": 1}
    message = only(path, keep="system")
    assert message.content == text
    assert message.additional_kwargs["system"] == (action or "service")
    assert message.additional_kwargs["sender"] == "Ann"


def test_what_is_unsupported_is_counted(tmp_path: Path) -> None:
    chat = talk()
    chat.messages.append({"id": 3, "type": "unsupported"})
    assert skipped(chat.write(tmp_path / "result.json")) == {"empty": 1}


def test_a_reply_refers_to_what_it_answers(tmp_path: Path) -> None:
    chat = TelegramChat()
    chat.says(ANN, "Hello")
    chat.says(BO, "Hi", reply_to_message_id=1)
    chat.says(BO, "gone", reply_to_message_id=99)
    chat.says(BO, "there", reply_to_message_id=7, reply_to_peer_id="channel9")
    (session,) = TelegramChatLoader(chat.write(tmp_path / "result.json")).load()
    found = [m.additional_kwargs.get("reply_to") for m in session["messages"]]
    ids = ("user22:1", "user22:99", "channel9:7")
    assert found == [None, *({"id": one} for one in ids)]
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
    found = only(written(tmp_path, {"text": "Hi", **keys})).additional_kwargs
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
        (STICKER, {"type": "sticker", "name": "😂"}),
        ({"file": "v.ogg", "media_type": "voice_message"}, {"type": "audio"}),
        ({"file": "v.mp4", "media_type": "video_message"}, {"type": "video"}),
        ({"file": "v.mp4", "media_type": "animation"}, {"type": "gif"}),
        ({"file": "v.mp4", "media_type": "video_file"}, {"type": "video"}),
        (SONG, {"type": "audio", "name": "Song"}),
        (PDF, {"type": "file", "name": "x.pdf"}),
        ({"file": "x", "media_type": "new_kind"}, {"type": "file"}),
        ({"poll": WHO}, {"type": "poll", "name": "Who?"}),
        ({"poll": WHO_IN_BOLD}, {"type": "poll", "name": "Who?"}),
        (OAK, {"type": "location", "name": "Oak"}),
        (CY, {"type": "contact"}),
        ({"game_title": "Race"}, {"type": "game"}),
    ],
)
def test_media_are_attachments_and_no_text(
    tmp_path: Path, keys: dict[str, Any], attachment: dict[str, str]
) -> None:
    path = written(tmp_path, keys)
    assert skipped(path) == {"media": 1}
    message = only(path, keep="media")
    assert message.content == f"[{attachment['type']}]"
    assert message.additional_kwargs["attachments"] == [attachment]


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", NOT_INCLUDED])
def test_paths_in_a_message_are_never_opened_or_passed_on(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = dict.fromkeys(("photo", "file", "thumbnail", "contact_vcard"), name)
    path = written(tmp_path, {"text": "Look", **keys})
    opened: list[str] = []

    def watched(place: Path) -> Any:
        opened.append(place.name)
        return open_regular_file(place)

    monkeypatch.setattr(f"{files.__name__}.open_regular_file", watched)
    message = only(path, keep="media")
    assert set(opened) == {"result.json"}
    assert name not in json.dumps(message.additional_kwargs)


def test_reactions_name_who_reacted_as_far_as_known(tmp_path: Path) -> None:
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
    path = written(tmp_path, {"text": "Hi", "reactions": reactions})
    assert only(path).additional_kwargs["reactions"] == [
        {"reaction": "👍", "sender": "Bo"},
        {"reaction": "👍", "sender": "unknown"},
        {"reaction": "👍", "sender": "unknown", "count": 3},
        {"reaction": "❤", "sender": "Bo"},
        {"reaction": ":custom_emoji:", "sender": "unknown", "count": 2},
        {"reaction": "⭐", "sender": "unknown", "count": 3},
    ]


def test_text_of_an_inline_bot_is_not_the_senders(tmp_path: Path) -> None:
    path = written(tmp_path, {"text": "Results", "via_bot": "@vote"})
    assert skipped(path) == {"bot": 1}
    assert only(path, keep="bot").content == "Results"


@pytest.mark.parametrize("kind", ["private_channel", "public_channel"])
def test_channels_are_left_out_unless_asked_for(tmp_path: Path, kind: str) -> None:
    chat = TelegramChat("News", kind, 9)
    for _ in range(12):
        chat.says(Person("News", "channel9"), "Buy", author="Cy")
    path = chat.write(tmp_path / "result.json")
    assert skipped(path) == {"channel": 12}
    assert list(loaded(path, keep="channel")) == ["channel9"]


def test_a_bot_of_a_chat_is_one_in_groups_too(tmp_path: Path) -> None:
    group = group_of(ANN, Person("Quiz", "user55"))
    path = account(tmp_path, group, talk(55, "Quiz", kind="bot_chat"))
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
def test_each_kind_of_chat_is_a_session(
    tmp_path: Path, kind: Any, is_group: bool, session_id: str, number: Any
) -> None:
    chat = talk(kind=kind)
    chat.about["id"] = number
    (session,) = TelegramChatLoader(chat.write(tmp_path / "result.json")).load()
    assert metadata_of(session)["is_group"] is is_group
    assert metadata_of(session)["id"] == session_id


@pytest.mark.parametrize("number", [None, "x", 1.5])
def test_chats_without_ids_stay_apart(tmp_path: Path, number: Any) -> None:
    chats = [TelegramChat(name, number=number) for name in ("Bo", "Cy")]
    for chat in chats:
        chat.says(ANN, "Hi")
    said = [("Ann", "Hi")]
    assert loaded(account(tmp_path, *chats)) == {"user:Bo": said, "user:Cy": said}


def test_a_group_with_the_messages_of_one_person_is_warned_of(tmp_path: Path) -> None:
    path = group_of(*[ANN] * 10).write(tmp_path / "result.json")
    with pytest.warns(UserWarning, match="Only my messages"):
        TelegramChatLoader(path).load()


def test_negative_ids_keep_the_order_of_the_file(tmp_path: Path) -> None:
    numbers = (-999999455, -999999454, 1, 2)
    messages = [{"text": str(number), "id": number} for number in numbers]
    path = written(tmp_path, *messages, name="Race", kind="private_supergroup")
    (session,) = TelegramChatLoader(path).load()
    assert [m.id for m in session["messages"]] == [
        f"channel22:{number}" for number in numbers
    ]


def test_people_are_their_ids_and_not_their_names(tmp_path: Path) -> None:
    ids: dict[str | int, str | None] = {
        "user1": "Ann",
        "user2": "Ann",
        22: "Bo",
        "user3": None,
        "user4": None,
    }
    group = group_of(*(Person(name, number) for number, name in ids.items()))
    said = loaded(group.write(tmp_path / "result.json"))["chat7"]
    assert [sender for sender, _ in said] == [
        *("Ann (user1)", "Ann (user2)", "Bo", "unknown (user3)", "unknown (user4)")
    ]


def test_people_of_one_name_have_handles_where_they_are_told_apart(
    tmp_path: Path,
) -> None:
    group = group_of(ANN, Person("Ann", "user44"))
    loader = TelegramChatLoader(account(tmp_path, talk(), group, user=USER))
    assert loader.names_of("user44") == {"Ann (user44)"}
    # Where no namesake is in the chat, the name stands alone.
    assert loader.names_of("user11") == {"Ann (user11)", "Ann"}
    _, session = loader.load()
    metadata = metadata_of(session)
    assert metadata["owner"] == "Ann (user11)"
    assert metadata["owner"] in metadata["participants"]


@pytest.mark.parametrize(
    ("chat", "people", "owner"),
    [
        pytest.param({}, [BO, ANN], "Ann", id="a personal chat has the other's id"),
        pytest.param(
            {"name": "was renamed"},
            [Person("Bo", 22), Person("Ann", 11)],
            "Ann",
            id="old ids are numbers",
        ),
        pytest.param(
            {}, [BO, ANN, Person(None, None)], "Ann", id="other programs leave ids out"
        ),
        pytest.param(
            {"name": None},
            [Person(None, "user22"), ANN],
            "Ann",
            id="the other account was deleted",
        ),
        pytest.param({"number": 5}, [BO, ANN], "Ann", id="the chat's name decides"),
        pytest.param(
            {"name": "Somebody", "number": 5}, [BO, ANN], None, id="nothing decides"
        ),
        pytest.param({"kind": "private_group"}, [ANN], None, id="a group alone"),
    ],
)
def test_of_a_personal_chat_the_owner_is_the_other_one(
    tmp_path: Path, chat: dict[str, Any], people: list[Person], owner: str | None
) -> None:
    is_without_ids = people[-1] == Person(None, None)
    written_chat = TelegramChat(**chat)
    for person in people:
        message = written_chat.says(person, "Hi")
        if is_without_ids:
            del message["from_id"]
    loader = TelegramChatLoader(written_chat.write(tmp_path / "result.json"))
    summary = loader.inspect()
    assert summary.owner == owner
    assert summary.owner_found_by == ("personal chats" if owner else None)
    (session,) = loader.load()
    senders = [m.additional_kwargs["sender"] for m in session["messages"]]
    assert senders == [person.name or "unknown" for person in people]
    for one in session["messages"]:
        assert ("is_from_me" in one.additional_kwargs) is bool(owner)


def test_the_owner_is_whose_account_it_is(tmp_path: Path) -> None:
    loader = TelegramChatLoader(account(tmp_path, group_of(ANN, BO), user=USER))
    summary = loader.inspect()
    assert (summary.owner, summary.owner_found_by) == ("Ann", "personal information")
    (session,) = loader.load()
    flags = [m.additional_kwargs["is_from_me"] for m in session["messages"]]
    assert flags == [True, False]


def test_the_owner_is_who_is_in_all_personal_chats(tmp_path: Path) -> None:
    # Without the other side's words, each chat alone says nothing.
    for number in (5, 6):
        chat = TelegramChat("was renamed", number=number)
        chat.says(Person(f"P{number}", f"user9{number}"), "yours")
        chat.says(ANN, "mine")
        chat.write(tmp_path / f"{number}" / "result.json")
    assert TelegramChatLoader(tmp_path).inspect().owner == "Ann"
