"""Discord exports as sessions: versions, partitions, people, owner, accounting."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import DiscordChatLoader
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
from tests.unit_tests.builders.sessions import (
    metadata_of,
    only_message,
    open_export,
    said_in,
    skipped_by,
)

CY = author("33", "cy", nickname="Cy")


def loaded(path: Path, **options: Any) -> dict[str, list[tuple[str, str]]]:
    return said_in(DiscordChatLoader(path, **options))


def skipped(path: Path, **options: Any) -> dict[str, int]:
    return skipped_by(DiscordChatLoader(path, **options))


def channel_of(*messages: dict[str, Any], **about: Any) -> DiscordChannel:
    """Return a channel with these messages, by Ann if they do not say by whom."""
    channel = DiscordChannel(**about)
    for keys in messages:
        channel.says(**{"who": ANN, "text": "", **keys})
    return channel


def general(tmp_path: Path, *messages: dict[str, Any]) -> Path:
    return channel_of(*messages).write(tmp_path / "a.json")


HELLO = {"text": "Hello"}
ONE_AND_TWO = ({"text": "one"}, {"who": BO, "text": "two"})


def test_a_file_of_today_is_read(tmp_path: Path) -> None:
    path = tmp_path / "renamed.json"
    channel_of(HELLO, {"who": BO, "text": "Hi 😂"}).write(path)
    assert loaded(path) == {"500": [("Ann", "Hello"), ("Bo", "Hi 😂")]}
    assert isinstance(open_export(path).loader, DiscordChatLoader)
    assert isinstance(open_export(tmp_path).loader, DiscordChatLoader)
    (session,) = DiscordChatLoader(path).load()
    assert metadata_of(session)["title"] == "#general"
    assert metadata_of(session)["is_group"] is True


def test_half_of_an_emoji_in_a_channels_topic_hides_no_message(tmp_path: Path) -> None:
    channel = channel_of(HELLO)
    channel.about["channel"]["topic"] = "(half)"
    path = tmp_path / "general.json"
    path.write_text(channel.text().replace("(half)", r"\ud83d"))
    assert loaded(tmp_path) == {"500": [("Ann", "Hello")]}
    assert isinstance(open_export(path).loader, DiscordChatLoader)


def test_a_file_of_the_first_versions_is_read(tmp_path: Path) -> None:
    channel = DiscordChannel()
    del channel.about["exportedAt"]
    first = {
        "id": snowflake(0),
        "type": "Default",
        "timestamp": "2024-05-01T08:00:00+00:00",
        "timestampEdited": None,
        "isPinned": False,
        "content": "Hello",
        "author": {"id": "11", "name": "ann", "discriminator": "0001"},
    }
    channel.messages = [{**first, "attachments": [], "embeds": [], "reactions": []}]
    assert loaded(channel.write(tmp_path / "a.json")) == {"500": [("ann", "Hello")]}


@pytest.mark.parametrize(
    "form", ["lines", "windows", "compact", "escapes", "bom", "reversed"]
)
def test_each_form_of_the_file_gives_the_same(tmp_path: Path, form: str) -> None:
    reactions = [{"emoji": {"name": "👍"}, "count": 1}]
    channel = channel_of(
        {"text": "Zwei\nZeilen }, {"}, {"who": BO, "text": "😂", "reactions": reactions}
    )
    if form == "reversed":
        channel.messages.reverse()
    indent = None if form == "compact" else 2
    text = channel.text(indent=indent, ascii_only=form == "escapes")
    if form == "windows":
        text = text.replace("\n", "\r\n")
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" * (form == "bom") + text.encode())
    assert loaded(path) == {"500": [("Ann", "Zwei\nZeilen }, {"), ("Bo", "😂")]}


@pytest.mark.parametrize("end", ['\n  "messageCount": 2\n}', "", "\n    {\n      "])
def test_of_a_file_that_was_cut_off_the_whole_messages_stay(
    tmp_path: Path, end: str
) -> None:
    text = channel_of(*ONE_AND_TWO).text()
    path = tmp_path / "a.json"
    path.write_text(text[: text.rindex("\n  ],")] + end)
    assert loaded(path) == {"500": [("Ann", "one"), ("Bo", "two")]}
    assert skipped(path)["unreadable"] >= 1


@pytest.mark.parametrize("indent", [2, None])
@pytest.mark.parametrize(("count", "missing"), [(5, 3), (3, 1), (2, 0), (1, 0)])
def test_messages_that_a_file_lacks_are_said(
    tmp_path: Path, indent: int | None, count: int, missing: int
) -> None:
    """At its end a file says how many messages it holds."""
    text = channel_of(*ONE_AND_TWO).text(indent=indent)
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


def test_partitions_and_later_exports_are_one_channel(tmp_path: Path) -> None:
    rows = [{"text": str(n), "id": snowflake(n)} for n in range(4)]
    channel_of(*rows[:2]).write(tmp_path / "general.json")
    channel_of(*rows[2:]).write(tmp_path / "general [part 2].json")
    edited = {"text": "1, edited", "timestampEdited": "2024-06-02"}
    later = channel_of({**rows[1], **edited})
    later.about["exportedAt"] = "2024-07-01T00:00:00+00:00"
    later.write(tmp_path / "a later.json")
    texts = ["0", "1, edited", "2", "3"]
    assert loaded(tmp_path) == {"500": [("Ann", text) for text in texts]}
    assert skipped(tmp_path) == {"duplicate": 1}


def test_the_newest_export_is_told_by_its_moment(tmp_path: Path) -> None:
    """The offset is that of the machine that exported."""
    old = channel_of({"text": "before"}, name="old name")
    new = channel_of(
        {"who": {**ANN, "nickname": "Anna"}, "text": "after"}, name="new name"
    )
    old.about["exportedAt"] = "2024-06-02T01:00:00.0000000+09:00"
    new.about["exportedAt"] = "2024-06-01T20:00:00.0000000+00:00"
    new.write(tmp_path / "a.json")
    old.write(tmp_path / "b.json")
    assert loaded(tmp_path) == {"500": [("Anna", "after")]}
    (session,) = DiscordChatLoader(tmp_path).load()
    assert metadata_of(session)["title"] == "#new name"


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
    path = general(tmp_path, {**HELLO, "timestamp": stamp})
    kwargs = only_message(DiscordChatLoader(path)).additional_kwargs
    assert kwargs["message_time"] == 1714550407
    assert kwargs["events"] == [{"message_time": "2024-05-01T08:00:07.123456+00:00"}]


@pytest.mark.parametrize("name", ["general", "#GENERAL", "500", "Bo", "meadow", "talk"])
def test_a_channel_is_excluded_by_any_of_its_names(tmp_path: Path, name: str) -> None:
    path = general(tmp_path, {**HELLO, "who": BO})
    assert skipped(path, exclude=name) == {"excluded": 1}


def test_a_thread_is_a_session_of_its_own(tmp_path: Path) -> None:
    started = {"text": "Started a thread.", "type": "ThreadCreated"}
    general(tmp_path, started, {"text": "in the channel"})
    thread = channel_of(
        {"type": "21", "reference": {"messageId": snowflake(0)}},
        {"who": BO, "text": "in the thread"},
        name="topic",
        kind="GuildPublicThread",
        channel_id="501",
    )
    thread.write(tmp_path / "b.json")
    assert loaded(tmp_path) == {
        "500": [("Ann", "in the channel")],
        "501": [("Bo", "in the thread")],
    }
    assert skipped(tmp_path) == {"system": 2}


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


SYSTEM = """
RecipientAdd RecipientRemove Call ChannelNameChange ChannelIconChange
ChannelPinnedMessage GuildMemberJoin ThreadCreated 8 11 12 18 21 22 24 46 99 NewKind 7
"""


@pytest.mark.parametrize("who", [ANN, BOT], ids=["a person", "a bot"])
def test_what_discord_wrote_is_left_out_and_counted_by_its_name(
    tmp_path: Path, who: dict[str, Any]
) -> None:
    kinds = [*SYSTEM.split(), 7]
    pinned = [{"who": who, "text": "Pinned a message.", "type": kind} for kind in kinds]
    path = general(tmp_path, *pinned)
    summary = DiscordChatLoader(path, keep="bot").inspect()
    assert dict(summary.skipped) == {"system": len(kinds)}
    assert summary.details["system"] == dict.fromkeys(SYSTEM.split(), 1) | {"7": 2}
    (session,) = DiscordChatLoader(path, keep=("bot", "system")).load()
    kept = [message.additional_kwargs["system"] for message in session["messages"]]
    assert kept == [str(kind) for kind in kinds]


@pytest.mark.parametrize("kind", [0, 19, "0", "19"])
def test_a_kind_may_be_a_number(tmp_path: Path, kind: object) -> None:
    assert skipped(general(tmp_path, {**HELLO, "type": kind})) == {}


@pytest.mark.parametrize("keys", [{"who": BOT}, {"type": "20"}, {"type": "23"}])
def test_bots_are_left_out_unless_asked_for(
    tmp_path: Path, keys: dict[str, Any]
) -> None:
    path = general(tmp_path, {"text": "green", **keys})
    assert skipped(path) == {"bot": 1}
    assert only_message(DiscordChatLoader(path, keep="bot")).content == "green"


def test_a_bots_text_is_in_its_cards(tmp_path: Path) -> None:
    build = {"who": BOT, "embeds": [{"title": "Build", "description": "green"}]}
    preview = {"embeds": [{"title": "a preview", "description": "of a link"}]}
    path = general(tmp_path, build, preview)
    assert loaded(path, keep="bot") == {"500": [("Build", "Build\ngreen")]}
    assert skipped(path, keep="bot") == {"empty": 1}


def test_only_a_reply_refers_to_what_it_answers(tmp_path: Path) -> None:
    target = {"messageId": snowflake(0), "channelId": "500"}
    reply = {"who": BO, "text": "Hi", "type": "Reply"}
    path = general(
        tmp_path,
        HELLO,
        {**reply, "reference": target},
        {**reply, "reference": {"messageId": None}},
        {"who": BO, "text": "crossposted", "reference": target},
    )
    (session,) = DiscordChatLoader(path).load()
    found = [m.additional_kwargs.get("reply_to") for m in session["messages"]]
    assert found == [None, {"id": snowflake(0)}, None, None]
    assert session["messages"][0].id == snowflake(0)


def test_a_forwarded_message_is_marked(tmp_path: Path) -> None:
    reference = {"type": "Forward", "messageId": "1"}
    theirs = {"content": "theirs", "attachments": [{"fileName": "a.png"}]}
    until_2_46 = {"reference": reference}
    path = general(tmp_path, {**until_2_46, "forwardedMessage": theirs}, until_2_46)
    message = only_message(DiscordChatLoader(path))
    assert message.content == "theirs"
    assert message.additional_kwargs["forwarded"] is True
    assert message.additional_kwargs["attachments"] == [
        {"type": "photo", "name": "a.png"}
    ]
    assert skipped(path) == {"empty": 1}


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
    path = general(tmp_path, keys)
    assert skipped(path) == {"media": 1}
    message = only_message(DiscordChatLoader(path, keep="media"))
    assert message.content == f"[{attachment['type']}]"
    assert message.additional_kwargs["attachments"] == [attachment]


def test_reactions_name_who_reacted_as_far_as_known(tmp_path: Path) -> None:
    reactions = [
        {"emoji": {"id": "", "name": "👍"}, "count": 2, "users": [BO, ANN]},
        {"emoji": {"id": "77", "name": "party"}, "count": 40, "users": [BO]},
        {"emoji": {"id": None, "name": "❤️"}, "count": 3},
    ]
    path = general(tmp_path, {**HELLO, "reactions": reactions})
    message = only_message(DiscordChatLoader(path))
    assert message.additional_kwargs["reactions"] == [
        {"reaction": "👍", "sender": "Bo"},
        {"reaction": "👍", "sender": "Ann"},
        {"reaction": ":party:", "sender": "Bo"},
        {"reaction": ":party:", "sender": "unknown", "count": 39},
        {"reaction": "❤️", "sender": "unknown", "count": 3},
    ]


BO_IS_MENTIONED = {"mentions": [{"id": "22", "name": "bo", "nickname": "Bo"}]}
THEIRS = {"forwardedMessage": {"content": "theirs"}}


@pytest.mark.parametrize(
    ("raw", "keys", "shown"),
    [
        ("<@22> and <@!11>", BO_IS_MENTIONED, "@Bo and @Ann"),
        ("<@33>", {}, "@Unknown"),
        ("<@&1> <#2>", {}, "@deleted-role #deleted-channel"),
        ("<:smile:1><a:party:2>", {}, ":smile::party:"),
        ("</play now:3>", {}, "/play now"),
        ("<t:1700000000:R>", {}, "(a time)"),
        ("a <b> <@x> 1 < 2", {}, "a <b> <@x> 1 < 2"),
        ("||spoiler|| **bold** `code`\n> quote", {}, None),
        ("mine, beside a forwarded message", THEIRS, None),
    ],
)
def test_markup_is_shown_as_people_saw_it(
    tmp_path: Path, raw: str, keys: dict[str, Any], shown: str | None
) -> None:
    edited = {"timestampEdited": "2024-05-01T09:00:00+00:00"}
    path = general(tmp_path, {"text": raw, **edited, **keys})
    message = only_message(DiscordChatLoader(path))
    assert message.content == (shown or raw)
    assert message.additional_kwargs["edited"] is True


def direct(title: str, *people: dict[str, Any], number: int = 500) -> DiscordChannel:
    """Return direct messages in which each of these people says something."""
    said = [{"who": who, "text": "Hello"} for who in people]
    return channel_of(*said, name=title, kind="DirectTextChat", channel_id=str(number))


def group(title: str, *people: dict[str, Any], number: int = 500) -> DiscordChannel:
    chat = direct(title, *people, number=number)
    chat.about["channel"]["type"] = "DirectGroupTextChat"
    return chat


DI = author("44", "di", nickname="Di")


@pytest.mark.parametrize(
    ("chats", "owner"),
    [
        pytest.param([direct("Bo", BO, ANN)], "Ann", id="named after the other"),
        pytest.param([direct("bo", BO, ANN)], "Ann", id="by the handle"),
        pytest.param([direct("BO", BO, ANN)], "Ann", id="in any case"),
        pytest.param([direct("Bo", BO, ANN, BOT)], "Ann", id="a bot is not the owner"),
        pytest.param(
            [direct("renamed", BO, ANN), direct("too", CY, ANN, number=501)],
            "Ann",
            id="who is in all direct messages",
        ),
        pytest.param(
            [
                direct("renamed", BO, ANN, BOT),
                direct("too", CY, ANN, BOT, number=501),
                direct("without the owner", DI, number=509),
            ],
            "Ann",
            id="one of them is silent in one",
        ),
        pytest.param(
            [group("Bo, Cy", ANN, BO, CY)], "Ann", id="missing in a group's name"
        ),
        pytest.param(
            [channel_of(HELLO), direct("renamed", BO, ANN, number=501)],
            None,
            id="nothing tells",
        ),
        pytest.param([direct("renamed", BO)], None, id="only one side wrote"),
        pytest.param(
            [group("Trip", BO), group("Trip", BO, number=501)],
            None,
            id="a friend in two groups",
        ),
    ],
)
def test_the_owner_is_found_by_direct_messages(
    tmp_path: Path, chats: Sequence[DiscordChannel], owner: str | None
) -> None:
    for number, chat in enumerate(chats):
        chat.write(tmp_path / f"{number}.json")
    summary = DiscordChatLoader(tmp_path).inspect()
    assert summary.owner == owner
    assert summary.owner_found_by == ("direct messages" if owner else None)
    for session in DiscordChatLoader(tmp_path):
        kwargs = session["messages"][0].additional_kwargs
        assert ("is_from_me" in kwargs) is bool(owner)


def test_direct_messages_are_no_group(tmp_path: Path) -> None:
    path = direct("Bo", BO, ANN).write(tmp_path / "a.json")
    (session,) = DiscordChatLoader(path).load()
    assert metadata_of(session)["is_group"] is False


def test_an_owner_who_wrote_late_is_found(tmp_path: Path) -> None:
    path = general(tmp_path, *[{"who": BO, "text": "yours"}] * 600, {"text": "mine"})
    (session,) = DiscordChatLoader(path, owner="ann.ode").load()
    flags = [m.additional_kwargs["is_from_me"] for m in session["messages"]]
    assert flags == [False] * 600 + [True]


@pytest.mark.parametrize("person", ["11", "@ANN.ODE", "ann", "Annie (ann.ode)"])
def test_a_person_has_all_the_names_of_the_channels(
    tmp_path: Path, person: str
) -> None:
    annie = {**HELLO, "who": {**ANN, "nickname": "Annie"}}
    namesake = {**HELLO, "who": author("33", "annie.two", nickname="Annie")}
    general(tmp_path, HELLO)
    channel_of(annie, namesake, channel_id="501").write(tmp_path / "b.json")
    assert DiscordChatLoader(tmp_path).names_of(person) == {"Ann", "Annie (ann.ode)"}
