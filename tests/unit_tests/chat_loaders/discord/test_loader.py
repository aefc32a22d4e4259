"""Discord exports as sessions: versions, partitions, people, owner, accounting."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import DiscordChatLoader
from langchain_chatexports.chat_loaders.recognition import open_export
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.discord import (
    ANN,
    BO,
    BOT,
    DiscordChannel,
    author,
    snowflake,
    write_package,
)
from tests.unit_tests.builders.sessions import metadata_of


def loaded(path: Path, **options: Any) -> dict[str, list[tuple[str, str]]]:
    """Return who said what, by the sessions' ids; check that the counts add up."""
    loader = DiscordChatLoader(path, **options)
    summary = loader.inspect()
    assert summary.found == summary.kept + sum(summary.skipped.values())
    return {
        metadata_of(session)["id"]: [
            (m.additional_kwargs["sender"], str(m.content)) for m in session["messages"]
        ]
        for session in loader.load()
    }


def skipped(path: Path, **options: Any) -> dict[str, int]:
    return dict(DiscordChatLoader(path, **options).inspect().skipped)


def only_message(path: Path, **options: Any) -> Any:
    (session,) = DiscordChatLoader(path, **options).load()
    (message,) = session["messages"]
    return message


def direct(friend: dict[str, Any], name: str, channel_id: str) -> DiscordChannel:
    chat = DiscordChannel(name, kind="DirectTextChat", channel_id=channel_id)
    chat.says(friend, "yours")
    chat.says(ANN, "mine")
    return chat


# Versions and files.


def test_a_file_of_today_is_read(tmp_path: Path) -> None:
    channel = DiscordChannel()
    channel.says(ANN, "Hello")
    channel.says(BO, "Hi 😂")
    path = channel.write(tmp_path / "renamed.json")
    assert loaded(path) == {"500": [("Ann", "Hello"), ("Bo", "Hi 😂")]}
    assert isinstance(open_export(path).loader, DiscordChatLoader)
    assert isinstance(open_export(tmp_path).loader, DiscordChatLoader)
    (session,) = DiscordChatLoader(path).load()
    assert metadata_of(session)["title"] == "#general"
    assert metadata_of(session)["is_group"] is True


def test_half_of_an_emoji_in_a_channels_topic_hides_no_message(tmp_path: Path) -> None:
    channel = DiscordChannel()
    channel.about["channel"]["topic"] = "(half)"
    channel.says(ANN, "Hello")
    path = tmp_path / "general.json"
    path.write_text(channel.text().replace("(half)", r"\ud83d"))
    assert loaded(tmp_path) == {"500": [("Ann", "Hello")]}
    assert isinstance(open_export(path).loader, DiscordChatLoader)


def test_a_file_of_the_first_versions_is_read(tmp_path: Path) -> None:
    channel = DiscordChannel()
    del channel.about["exportedAt"]
    channel.messages = [
        {
            "id": snowflake(0),
            "type": "Default",
            "timestamp": "2024-05-01T08:00:00+00:00",
            "timestampEdited": None,
            "isPinned": False,
            "content": "Hello",
            "author": {"id": "11", "name": "ann", "discriminator": "0001"},
            "attachments": [],
            "embeds": [],
            "reactions": [],
        }
    ]
    assert loaded(channel.write(tmp_path / "a.json")) == {"500": [("ann", "Hello")]}


@pytest.mark.parametrize("form", ["lines", "windows", "compact", "escapes", "bom"])
def test_each_form_of_the_file_gives_the_same(tmp_path: Path, form: str) -> None:
    channel = DiscordChannel()
    channel.says(ANN, "Zwei\nZeilen }, {")
    channel.says(BO, "😂", reactions=[{"emoji": {"name": "👍"}, "count": 1}])
    text = channel.text(
        indent=None if form == "compact" else 2, ascii_only=form == "escapes"
    )
    if form == "windows":
        text = text.replace("\n", "\r\n")
    data = text.encode()
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + data if form == "bom" else data)
    assert loaded(path) == {"500": [("Ann", "Zwei\nZeilen }, {"), ("Bo", "😂")]}


@pytest.mark.parametrize("end", ['\n  "messageCount": 2\n}', "", "\n    {\n      "])
def test_of_a_file_that_was_cut_off_the_whole_messages_stay(
    tmp_path: Path, end: str
) -> None:
    channel = DiscordChannel()
    channel.says(ANN, "one")
    channel.says(BO, "two")
    text = channel.text()
    cut = text[: text.rindex("\n  ],")] + end
    (tmp_path / "a.json").write_text(cut)
    assert loaded(tmp_path / "a.json") == {"500": [("Ann", "one"), ("Bo", "two")]}
    assert skipped(tmp_path / "a.json")["unreadable"] >= 1


def test_partitions_and_later_exports_are_one_channel(tmp_path: Path) -> None:
    first, second, later = (DiscordChannel() for _ in range(3))
    for number in range(4):
        part = first if number < 2 else second
        part.messages.append(
            DiscordChannel().says(ANN, f"{number}") | {"id": snowflake(number)}
        )
    later.about["exportedAt"] = "2024-07-01T00:00:00+00:00"
    changed = DiscordChannel().says(ANN, "1, edited", timestampEdited="2024-06-02")
    later.messages.append(changed | {"id": snowflake(1)})
    later.write(tmp_path / "a later.json")
    first.write(tmp_path / "general.json")
    second.write(tmp_path / "general [part 2].json")
    assert loaded(tmp_path) == {
        "500": [("Ann", "0"), ("Ann", "1, edited"), ("Ann", "2"), ("Ann", "3")]
    }
    assert skipped(tmp_path) == {"duplicate": 1}


@pytest.mark.parametrize(
    "stamp",
    [
        "2024-05-01T10:00:07.1234562+02:00",
        "2024-05-01T08:00:07.123456Z",
        "2024-05-01T08:00:07.123456",
        "2024-05-01T08:00:07.123456+00:00",
    ],
)
def test_times_are_utc_whatever_the_machine_was(tmp_path: Path, stamp: str) -> None:
    channel = DiscordChannel()
    channel.says(ANN, "Hello", timestamp=stamp)
    kwargs = only_message(channel.write(tmp_path / "a.json")).additional_kwargs
    assert kwargs["message_time"] == 1714550407
    assert kwargs["events"] == [{"message_time": "2024-05-01T08:00:07.123456+00:00"}]


@pytest.mark.parametrize("name", ["general", "#GENERAL", "500", "Bo", "meadow", "talk"])
def test_a_channel_is_excluded_by_any_of_its_names(tmp_path: Path, name: str) -> None:
    channel = DiscordChannel()
    channel.says(BO, "Hello")
    assert skipped(channel.write(tmp_path / "a.json"), exclude=name) == {"excluded": 1}


def test_a_thread_is_a_session_of_its_own(tmp_path: Path) -> None:
    channel = DiscordChannel()
    channel.says(ANN, "Started a thread.", type="ThreadCreated")
    channel.says(ANN, "in the channel")
    thread = DiscordChannel("topic", kind="GuildPublicThread", channel_id="501")
    thread.says(ANN, "", type="21", reference={"messageId": snowflake(0)})
    thread.says(BO, "in the thread")
    channel.write(tmp_path / "a.json")
    thread.write(tmp_path / "b.json")
    assert loaded(tmp_path) == {
        "500": [("Ann", "in the channel")],
        "501": [("Bo", "in the thread")],
    }
    assert skipped(tmp_path) == {"system": 2}


def test_other_json_and_damaged_files_are_counted(tmp_path: Path) -> None:
    channel = DiscordChannel()
    channel.says(ANN, "Hello")
    channel.write(tmp_path / "a.json")
    compact = DiscordChannel(channel_id="501")
    compact.says(ANN, "Lost")
    (tmp_path / "b.json").write_text(compact.text(indent=None)[:-9])
    (tmp_path / "c.json").write_text('{"messages": []}')
    with pytest.warns(UserWarning, match=r"b\.json is not valid JSON"):
        summary = DiscordChatLoader(tmp_path).inspect()
    assert dict(summary.skipped) == {"unreadable": 1}
    assert summary.details["other_files"] == 1


# Kinds of messages.

SYSTEM = """
RecipientAdd RecipientRemove Call ChannelNameChange ChannelIconChange
ChannelPinnedMessage GuildMemberJoin ThreadCreated 8 11 12 18 21 22 24 46 99 NewKind
"""


@pytest.mark.parametrize("kind", SYSTEM.split())
def test_what_discord_wrote_is_left_out(tmp_path: Path, kind: str) -> None:
    channel = DiscordChannel()
    channel.says(ANN, "Pinned a message.", type=kind)
    path = channel.write(tmp_path / "a.json")
    summary = DiscordChatLoader(path).inspect()
    assert dict(summary.skipped) == {"system": 1}
    assert summary.details["system"] == {kind: 1}
    message = only_message(path, keep="system")
    assert message.additional_kwargs["system"] == kind


@pytest.mark.parametrize("keys", [{"author": BOT}, {"type": "20"}, {"type": "23"}])
def test_bots_are_left_out_unless_asked_for(
    tmp_path: Path, keys: dict[str, Any]
) -> None:
    channel = DiscordChannel()
    channel.says(ANN, "green", **keys)
    path = channel.write(tmp_path / "a.json")
    assert skipped(path) == {"bot": 1}
    assert only_message(path, keep="bot").content == "green"


def test_a_bots_text_is_in_its_cards(tmp_path: Path) -> None:
    channel = DiscordChannel()
    channel.says(BOT, "", embeds=[{"title": "Build", "description": "green"}])
    channel.says(ANN, "", embeds=[{"title": "a preview", "description": "of a link"}])
    path = channel.write(tmp_path / "a.json")
    assert loaded(path, keep="bot") == {"500": [("Build", "Build\ngreen")]}
    assert skipped(path, keep="bot") == {"empty": 1}


def test_only_a_reply_refers_to_what_it_answers(tmp_path: Path) -> None:
    channel = DiscordChannel()
    channel.says(ANN, "Hello")
    target = {"messageId": snowflake(0), "channelId": "500"}
    channel.says(BO, "Hi", type="Reply", reference=target)
    channel.says(BO, "Hi", type="Reply", reference={"messageId": None})
    channel.says(BO, "crossposted", reference=target)
    (session,) = DiscordChatLoader(channel.write(tmp_path / "a.json")).load()
    found = [m.additional_kwargs.get("reply_to") for m in session["messages"]]
    assert found == [None, {"id": snowflake(0)}, None, None]
    assert session["messages"][0].id == snowflake(0)


def test_a_forwarded_message_is_marked(tmp_path: Path) -> None:
    channel = DiscordChannel()
    reference = {"type": "Forward", "messageId": "1"}
    forwarded = {"content": "theirs", "attachments": [{"fileName": "a.png"}]}
    channel.says(ANN, "", reference=reference, forwardedMessage=forwarded)
    channel.says(ANN, "", reference=reference)  # As until version 2.46.
    path = channel.write(tmp_path / "a.json")
    message = only_message(path)
    assert message.content == "theirs"
    assert message.additional_kwargs["forwarded"] is True
    assert message.additional_kwargs["attachments"] == [
        {"type": "photo", "name": "a.png"}
    ]
    assert skipped(path) == {"empty": 1}


def test_what_is_written_beside_a_forwarded_message_is_the_text(tmp_path: Path) -> None:
    channel = DiscordChannel()
    channel.says(ANN, "mine", forwardedMessage={"content": "theirs"})
    assert only_message(channel.write(tmp_path / "a.json")).content == "mine"


@pytest.mark.parametrize(
    ("keys", "attachment"),
    [
        (
            {"attachments": [{"fileName": "cat.PNG", "url": "x"}]},
            {"type": "photo", "name": "cat.PNG"},
        ),
        (
            {"attachments": [{"fileName": "voice-message.ogg"}]},
            {"type": "audio", "name": "voice-message.ogg"},
        ),
        ({"attachments": [{"url": "x"}]}, {"type": "file"}),
        (
            {"stickers": [{"id": "1", "name": "Wave", "format": "Lottie"}]},
            {"type": "sticker", "name": "Wave"},
        ),
    ],
)
def test_media_are_attachments(
    tmp_path: Path, keys: dict[str, Any], attachment: dict[str, str]
) -> None:
    channel = DiscordChannel()
    channel.says(ANN, "", **keys)
    path = channel.write(tmp_path / "a.json")
    assert skipped(path) == {"media": 1}
    message = only_message(path, keep="media")
    assert message.content == f"[{attachment['type']}]"
    assert message.additional_kwargs["attachments"] == [attachment]


def test_reactions_name_who_reacted_as_far_as_known(tmp_path: Path) -> None:
    channel = DiscordChannel()
    reactions = [
        {"emoji": {"id": "", "name": "👍"}, "count": 2, "users": [BO, ANN]},
        {"emoji": {"id": "77", "name": "party"}, "count": 40, "users": [BO]},
        {"emoji": {"id": None, "name": "❤️"}, "count": 3},
    ]
    channel.says(ANN, "Hello", reactions=reactions)
    message = only_message(channel.write(tmp_path / "a.json"))
    assert message.additional_kwargs["reactions"] == [
        {"reaction": "👍", "sender": "Bo"},
        {"reaction": "👍", "sender": "Ann"},
        {"reaction": ":party:", "sender": "Bo"},
        {"reaction": ":party:", "sender": "unknown", "count": 39},
        {"reaction": "❤️", "sender": "unknown", "count": 3},
    ]


def test_an_edit_is_marked(tmp_path: Path) -> None:
    channel = DiscordChannel()
    channel.says(ANN, "Hello", timestampEdited="2024-05-01T09:00:00+00:00")
    message = only_message(channel.write(tmp_path / "a.json"))
    assert message.additional_kwargs["edited"] is True


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("<@22> and <@!11>", "@Bo and @Ann"),
        ("<@33>", "@Unknown"),
        ("<@&1> <#2>", "@deleted-role #deleted-channel"),
        ("<:smile:1><a:party:2>", ":smile::party:"),
        ("</play now:3>", "/play now"),
        ("<t:1700000000:R>", "(a time)"),
        ("a <b> <@x> 1 < 2", "a <b> <@x> 1 < 2"),
        (
            "||spoiler|| **bold** `code`\n> quote",
            "||spoiler|| **bold** `code`\n> quote",
        ),
    ],
)
def test_raw_markup_is_shown_as_people_saw_it(
    tmp_path: Path, raw: str, shown: str
) -> None:
    channel = DiscordChannel()
    channel.says(ANN, raw, mentions=[{"id": "22", "name": "bo", "nickname": "Bo"}])
    assert only_message(channel.write(tmp_path / "a.json")).content == shown


@pytest.mark.parametrize("name", ["Bo", "bo", "BO"])
def test_the_owner_is_not_who_a_direct_message_is_named_after(
    tmp_path: Path, name: str
) -> None:
    path = direct(BO, name, "500").write(tmp_path / "a.json")
    summary = DiscordChatLoader(path).inspect()
    assert (summary.owner, summary.owner_found_by) == ("Ann", "direct messages")
    (session,) = DiscordChatLoader(path).load()
    assert metadata_of(session)["is_group"] is False


# People and owner.


def test_the_owner_is_who_is_in_all_direct_messages(tmp_path: Path) -> None:
    renamed = author("33", "cy", nickname="Cy")
    direct(BO, "was renamed", "500").write(tmp_path / "a.json")
    direct(renamed, "too", "501").write(tmp_path / "b.json")
    assert DiscordChatLoader(tmp_path).inspect().owner == "Ann"


def test_of_a_group_the_owner_is_who_is_missing_in_its_name(tmp_path: Path) -> None:
    group = DiscordChannel("Bo, Cy", kind="DirectGroupTextChat")
    for who in (ANN, BO, author("33", "cy", nickname="Cy")):
        group.says(who, "Hello")
    assert DiscordChatLoader(group.write(tmp_path / "a.json")).inspect().owner == "Ann"


def test_where_nothing_tells_the_owner_there_is_none(tmp_path: Path) -> None:
    channel = DiscordChannel()
    channel.says(ANN, "Hello")
    channel.write(tmp_path / "a.json")
    direct(BO, "was renamed", "501").write(tmp_path / "b.json")
    assert DiscordChatLoader(tmp_path).inspect().owner is None
    message = only_message(tmp_path / "a.json")
    assert "is_from_me" not in message.additional_kwargs


# Discord's own package.


@pytest.mark.parametrize("is_csv", [True, False])
@pytest.mark.parametrize("messages", ["messages", "Messages"])
def test_a_data_package_is_refused_with_the_right_export(
    tmp_path: Path, is_csv: bool, messages: str
) -> None:
    """It holds one side of each conversation."""
    path = write_package(tmp_path / "package", is_csv=is_csv, messages=messages)
    loader = open_export(path).loader
    assert isinstance(loader, DiscordChatLoader)
    with pytest.raises(ExportFormatError, match=r"only your own messages.*format JSON"):
        loader.load()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", "<!DOCTYPE html>\n<div class=chatlog__message-group>"),
        ("a.txt", f"{'=' * 62}\nGuild: Meadow"),
    ],
)
def test_other_formats_are_refused_with_the_right_one(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ExportFormatError, match="in the format JSON"):
        open_export(tmp_path / name).loader.load()


def test_the_newest_export_is_told_by_its_moment(tmp_path: Path) -> None:
    """The offset is that of the machine that exported."""
    old, new = DiscordChannel("old name"), DiscordChannel("new name")
    old.about["exportedAt"] = "2024-06-02T01:00:00.0000000+09:00"
    new.about["exportedAt"] = "2024-06-01T20:00:00.0000000+00:00"
    old.says(ANN, "before")
    new.says({**ANN, "nickname": "Anna"}, "after")
    new.write(tmp_path / "a.json")
    old.write(tmp_path / "b.json")
    assert loaded(tmp_path) == {"500": [("Anna", "after")]}
    (session,) = DiscordChatLoader(tmp_path).load()
    assert metadata_of(session)["title"] == "#new name"


@pytest.mark.parametrize("kind", [0, 7, 19, "0", "7", "19"])
def test_a_kind_may_be_a_number(tmp_path: Path, kind: object) -> None:
    channel = DiscordChannel()
    channel.says(ANN, "Hello", type=kind)
    path = channel.write(tmp_path / "a.json")
    assert skipped(path) == ({"system": 1} if kind in {7, "7"} else {})


def test_that_a_bot_joined_is_what_discord_wrote(tmp_path: Path) -> None:
    channel = DiscordChannel()
    channel.says(BOT, "Joined the server.", type="GuildMemberJoin")
    path = channel.write(tmp_path / "a.json")
    assert skipped(path, keep="bot") == {"system": 1}


def test_who_alone_wrote_a_direct_message_may_be_either_side(tmp_path: Path) -> None:
    chat = DiscordChannel("was renamed", kind="DirectTextChat")
    chat.says(BO, "yours")
    assert DiscordChatLoader(chat.write(tmp_path / "a.json")).inspect().owner is None


def test_a_direct_message_without_the_owner_does_not_hide_the_owner(
    tmp_path: Path,
) -> None:
    for number, friend in enumerate((BO, author("33", "cy", nickname="Cy"))):
        chat = direct(friend, "was renamed", f"50{number}")
        chat.says(BOT, "beep")
        chat.write(tmp_path / f"{number}.json")
    silent = DiscordChannel("was renamed", kind="DirectTextChat", channel_id="509")
    silent.says(author("44", "di", nickname="Di"), "yours")
    silent.write(tmp_path / "9.json")
    assert DiscordChatLoader(tmp_path).inspect().owner == "Ann"


def test_a_bot_in_direct_messages_is_not_the_owner(tmp_path: Path) -> None:
    chat = direct(BO, "Bo", "500")
    chat.says(BOT, "beep")
    assert DiscordChatLoader(chat.write(tmp_path / "a.json")).inspect().owner == "Ann"


def test_an_owner_who_wrote_late_is_found(tmp_path: Path) -> None:
    channel = DiscordChannel()
    for _ in range(600):
        channel.says(BO, "yours")
    channel.says(ANN, "mine")
    path = channel.write(tmp_path / "a.json")
    (session,) = DiscordChatLoader(path, owner="ann.ode").load()
    flags = [m.additional_kwargs["is_from_me"] for m in session["messages"]]
    assert flags == [False] * 600 + [True]


@pytest.mark.parametrize("person", ["11", "@ANN.ODE", "ann", "Annie (ann.ode)"])
def test_a_person_has_all_the_names_of_the_channels(
    tmp_path: Path, person: str
) -> None:
    annie = {**ANN, "nickname": "Annie"}
    for number, who in enumerate((ANN, annie)):
        channel = DiscordChannel(channel_id=f"50{number}")
        channel.says(who, "Hello")
        if number:
            channel.says(author("33", "annie.two", nickname="Annie"), "Hello")
        channel.write(tmp_path / f"{number}.json")
    assert DiscordChatLoader(tmp_path).names_of(person) == {"Ann", "Annie (ann.ode)"}


def test_a_friend_in_two_groups_is_not_the_owner(tmp_path: Path) -> None:
    for number in range(2):
        group = DiscordChannel(
            "Trip", kind="DirectGroupTextChat", channel_id=f"50{number}"
        )
        group.says(BO, "yours")
        group.write(tmp_path / f"{number}.json")
    assert DiscordChatLoader(tmp_path).inspect().owner is None


@pytest.mark.parametrize("indent", [2, None])
@pytest.mark.parametrize(("count", "missing"), [(5, 3), (3, 1), (2, 0), (1, 0)])
def test_messages_that_a_file_lacks_are_said(
    tmp_path: Path, indent: int | None, count: int, missing: int
) -> None:
    """At its end a file says how many messages it holds."""
    channel = DiscordChannel()
    channel.says(ANN, "one")
    channel.says(BO, "two")
    text = channel.text(indent=indent)
    assert text.count('"messageCount": 2') == 1
    path = tmp_path / "general.json"
    path.write_text(text.replace('"messageCount": 2', f'"messageCount": {count}'))
    if missing:
        with pytest.warns(UserWarning, match=f"lacks {missing} message"):
            summary = DiscordChatLoader(path).inspect()
    else:
        summary = DiscordChatLoader(path).inspect()
    assert summary.details.get("missing", 0) == missing
    assert (summary.found, summary.kept) == (2, 2)


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["a.json", "a [part 2].json"], ""),
        (["a.json", "a [part 3].json"], "1 part of 3"),
        (["a [part 4].json"], "3 parts of 4"),
    ],
)
def test_parts_that_are_not_there_are_said(
    tmp_path: Path, names: list[str], missing: str
) -> None:
    for number, name in enumerate(names):
        channel = DiscordChannel()
        channel.says(ANN, str(number))
        channel.write(tmp_path / name)
    if missing:
        with pytest.warns(UserWarning, match=f"a in .* lacks {missing}"):
            DiscordChatLoader(tmp_path).load()
    else:
        DiscordChatLoader(tmp_path).load()
