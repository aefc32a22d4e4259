"""Signal exports: layouts, names, ids, kinds of messages."""

import zipfile
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import SignalChatLoader
from langchain_chatexports.chat_loaders.schema import metadata_of
from tests.unit_tests.builders.sessions import only_message, open_export
from tests.unit_tests.builders.signal import OWNER, SignalExport


def make_loader(export: SignalExport, folder: Path, **options: Any) -> SignalChatLoader:
    return SignalChatLoader(export.write(folder / "main.jsonl"), **options)


def make_chat(name: str = "Hare", **keys: Any) -> tuple[SignalExport, Any, str]:
    """Return an export, a chat with a friend, and the friend's recipient id."""
    export = SignalExport()
    friend = export.contact(name, **keys)
    return export, export.chat(friend), friend


def test_chat_is_a_session(tmp_path: Path) -> None:
    export, chat, hare = make_chat()
    chat.says(hare, "Speed is key!")
    chat.says(OWNER, "Slow and steady.")
    path = export.write(tmp_path / "main.jsonl")
    (session,) = SignalChatLoader(path).load()
    assert [
        (m.additional_kwargs["sender"], m.additional_kwargs["is_from_me"], m.content)
        for m in session["messages"]
    ] == [("Hare", False, "Speed is key!"), ("Tess Tortoise", True, "Slow and steady.")]
    metadata = metadata_of(session)
    assert (metadata["title"], metadata["is_group"]) == ("Hare", False)
    assert metadata["participants"] == ["Hare", "Tess Tortoise"]
    summary = SignalChatLoader(path).inspect()
    assert (summary.owner, summary.owner_found_by) == ("Tess Tortoise", "the export")


@pytest.mark.parametrize("layout", ["file", "folder", "zip"])
def test_each_layout_is_recognized(tmp_path: Path, layout: str) -> None:
    export, chat, hare = make_chat()
    chat.says(hare, "Hi")
    file = export.write(tmp_path / "export" / "main.jsonl")
    path = {"file": file, "folder": file.parent}.get(layout, tmp_path / "signal.zip")
    if layout == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(file, "signal-export/main.jsonl")
    loader = open_export(path).loader
    assert isinstance(loader, SignalChatLoader)
    assert loader.inspect().kept == 1


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        ({"nickname": {"given": "Bunny"}, "systemGivenName": "H"}, "Bunny"),
        ({"systemGivenName": "Harry", "systemFamilyName": "Hare"}, "Harry Hare"),
        ({"profileFamilyName": "Quick"}, "Hare Quick"),
        ({"profileGivenName": "", "username": "hare.12"}, "hare.12"),
        ({"profileGivenName": "", "e164": "15550100"}, "+15550100"),
    ],
)
def test_names_follow_the_precedence_in_signal(
    tmp_path: Path, keys: dict[str, Any], shown: str
) -> None:
    export, chat, hare = make_chat(**keys)
    chat.says(hare, "Hi")
    message = only_message(make_loader(export, tmp_path))
    assert message.additional_kwargs["sender"] == shown


def test_ids_are_stable_across_exports(tmp_path: Path) -> None:
    """Numbers of recipients and chats change; the group's key itself is not an id."""
    ids = []
    for number in range(2):
        export = SignalExport()
        for _ in range(number):
            export.contact("Fox")
        hare, meadow = export.contact("Hare"), export.group("Meadow")
        export.seconds = 0
        export.chat(hare).says(hare, "Hi")
        export.chat(meadow).says(hare, "Hello")
        path = export.write(tmp_path / str(number) / "main.jsonl")
        sessions = SignalChatLoader(path).load()
        ids.append([(metadata_of(s)["id"], s["messages"][0].id) for s in sessions])
    assert ids[0] == ids[1]
    (_, _), (group, _) = ids[0]
    assert "TWVhZG93" not in group
    summary = SignalChatLoader(tmp_path).inspect()
    assert (summary.sessions, summary.kept) == (2, 2)
    assert summary.skipped == {"duplicate": 2}


def test_group_has_its_title(tmp_path: Path) -> None:
    export = SignalExport()
    hare, fox = export.contact("Hare"), export.contact("Fox")
    chat = export.chat(export.group("Meadow"))
    chat.says(hare, "one")
    chat.says(fox, "two")
    (session,) = make_loader(export, tmp_path).load()
    metadata = metadata_of(session)
    assert (metadata["title"], metadata["is_group"]) == ("Meadow", True)
    assert metadata["participants"] == ["Hare", "Fox"]


@pytest.mark.parametrize(
    ("kind", "content", "reason"),
    [
        ("updateMessage", {"individualCall": {"state": "MISSED"}}, "system"),
        ("giftBadge", {"state": "OPENED"}, "system"),
        ("aFutureType", {}, "system"),
        ("remoteDeletedMessage", {}, "unsent"),
        ("adminDeletedMessage", {"adminId": "3"}, "unsent"),
        ("stickerMessage", {"sticker": {"packId": "AA=="}}, "media"),
        ("contactMessage", {"contact": {"name": {"givenName": "Fox"}}}, "media"),
        ("viewOnceMessage", {}, "media"),
        ("standardMessage", {"attachments": [{"pointer": {}}]}, "media"),
        ("standardMessage", {}, "empty"),
    ],
)
def test_other_messages_are_skipped_by_kind(
    tmp_path: Path, kind: str, content: dict[str, Any], reason: str
) -> None:
    export, chat, hare = make_chat()
    chat.add(hare, kind, content)
    path = export.write(tmp_path / "main.jsonl")
    assert SignalChatLoader(path).inspect().skipped == {reason: 1}


def test_files_are_attachments(tmp_path: Path) -> None:
    export, chat, hare = make_chat()
    pointers = [
        {"pointer": {"contentType": "image/jpeg", "fileName": "race.jpg"}},
        {"pointer": {"contentType": "audio/aac"}, "flag": "VOICE_MESSAGE"},
        {"pointer": {"contentType": "video/mp4"}, "flag": "GIF"},
    ]
    chat.add(hare, "standardMessage", {"attachments": pointers})
    message = only_message(make_loader(export, tmp_path, keep="media"))
    assert message.content == "[photo] [audio] [gif]"
    photo = {"type": "photo", "name": "race.jpg", "mime_type": "image/jpeg"}
    assert message.additional_kwargs["attachments"][0] == photo


def test_replies_reactions_and_edits_are_marked(tmp_path: Path) -> None:
    export, chat, hare = make_chat()
    first = chat.says(OWNER, "Ready?", reactions=[{"emoji": "👍", "authorId": hare}])
    quote = {"authorId": OWNER, "targetSentTimestamp": first["dateSent"]}
    second = chat.says(hare, "Always!", quote=quote)
    second["revisions"] = [dict(second)]
    (session,) = make_loader(export, tmp_path).load()
    asked, answered = session["messages"]
    reaction = {"reaction": "👍", "sender": "Hare"}
    assert asked.additional_kwargs["reactions"] == [reaction]
    assert answered.additional_kwargs["edited"] is True
    reply_to = answered.additional_kwargs["reply_to"]
    assert reply_to == {"id": asked.id, "sender": "Tess Tortoise"}


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        ("directStoryReplyMessage", {"textReply": {"text": {"body": "A"}}}, "A"),
        ("directStoryReplyMessage", {"emoji": "🔥"}, "🔥"),
        ("poll", {"question": "Race?", "options": [{"option": "Yes"}]}, "Race?"),
    ],
)
def test_story_replies_and_polls_are_text(
    tmp_path: Path, kind: str, content: dict[str, Any], text: str
) -> None:
    export, chat, hare = make_chat()
    chat.add(hare, kind, content)
    assert only_message(make_loader(export, tmp_path)).content == text


def test_damaged_line_is_skipped(tmp_path: Path) -> None:
    export, chat, hare = make_chat()
    chat.says(hare, "one")
    export.frames.append('{"chatItem":{"chatId":"1","standardMessage":{"te')
    chat.says(hare, "two")
    summary = make_loader(export, tmp_path).inspect()
    assert (summary.kept, summary.skipped) == (2, {"unreadable": 1})
