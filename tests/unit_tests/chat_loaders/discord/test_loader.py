"""Discord exports: versions, partitions, people, owner, counts."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import DiscordChatLoader
from langchain_chatexports.chat_loaders.schema import metadata_of
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
    messages_by_session,
    only_message,
    open_export,
    skipped_counts,
)

CY = author("33", "cy", nickname="Cy")


def loaded(path: Path, **options: Any) -> dict[str, list[tuple[str, str]]]:
    return messages_by_session(DiscordChatLoader(path, **options))


def skipped(path: Path, **options: Any) -> dict[str, int]:
    return skipped_counts(DiscordChatLoader(path, **options))


def make_channel(*messages: dict[str, Any], **about: Any) -> DiscordChannel:
    """Return a channel with these messages, by default by Ann."""
    channel = DiscordChannel(**about)
    for keys in messages:
        channel.says(**{"who": ANN, "text": "", **keys})
    return channel


def write_channel(tmp_path: Path, *messages: dict[str, Any]) -> Path:
    return make_channel(*messages).write(tmp_path / "a.json")


HELLO = {"text": "Hello"}
ONE_AND_TWO = ({"text": "one"}, {"who": BO, "text": "two"})


def test_current_format_is_read(tmp_path: Path) -> None:
    path = tmp_path / "renamed.json"
    make_channel(HELLO, {"who": BO, "text": "Hi 😂"}).write(path)
    assert loaded(path) == {"500": [("Ann", "Hello"), ("Bo", "Hi 😂")]}
    assert isinstance(open_export(path).loader, DiscordChatLoader)
    assert isinstance(open_export(tmp_path).loader, DiscordChatLoader)
    (session,) = DiscordChatLoader(path).load()
    assert metadata_of(session)["title"] == "#general"
    assert metadata_of(session)["is_group"] is True


def test_lone_surrogate_in_topic_is_repaired(tmp_path: Path) -> None:
    channel = make_channel(HELLO)
    channel.about["channel"]["topic"] = "(half)"
    path = tmp_path / "general.json"
    path.write_text(channel.text().replace("(half)", r"\ud83d"))
    assert loaded(tmp_path) == {"500": [("Ann", "Hello")]}
    assert isinstance(open_export(path).loader, DiscordChatLoader)


def test_first_format_version_is_read(tmp_path: Path) -> None:
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
def test_file_format_variants_are_equivalent(tmp_path: Path, form: str) -> None:
    reactions = [{"emoji": {"name": "👍"}, "count": 1}]
    channel = make_channel(
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
def test_truncated_file_keeps_complete_messages(tmp_path: Path, end: str) -> None:
    text = make_channel(*ONE_AND_TWO).text()
    path = tmp_path / "a.json"
    path.write_text(text[: text.rindex("\n  ],")] + end)
    with pytest.warns(UserWarning, match="is truncated"):
        assert loaded(path) == {"500": [("Ann", "one"), ("Bo", "two")]}
    with pytest.warns(UserWarning, match="is truncated"):
        summary = DiscordChatLoader(path).inspect()
    assert summary.skipped["unreadable"] >= 1
    assert summary.details["cut_files"] == 1


@pytest.mark.parametrize("indent", [2, None])
@pytest.mark.parametrize(("count", "missing"), [(5, 3), (3, 1), (2, 0), (1, 0)])
def test_missing_messages_are_reported(
    tmp_path: Path, indent: int | None, count: int, missing: int
) -> None:
    """A file ends with its number of messages."""
    text = make_channel(*ONE_AND_TWO).text(indent=indent)
    assert text.count('"messageCount": 2') == 1
    path = tmp_path / "general.json"
    path.write_text(text.replace('"messageCount": 2', f'"messageCount": {count}'))
    warned = pytest.warns(UserWarning, match=f"is missing {missing} message")
    with warned if missing else nullcontext():
        summary = DiscordChatLoader(path).inspect()
    assert summary.details.get("missing", 0) == missing
    assert (summary.found, summary.kept) == (2, 2)


def test_partitions_and_later_exports_are_joined(tmp_path: Path) -> None:
    rows = [{"text": str(n), "id": snowflake(n)} for n in range(4)]
    channel = make_channel(*rows)
    for messages, name in (
        (channel.messages[2:], "general [part 2].json"),
        (channel.messages[:2], "general.json"),
    ):
        channel.messages = messages
        channel.write(tmp_path / name)
    edited = {"text": "1, edited", "timestampEdited": "2024-06-02"}
    later = make_channel({**rows[1], **edited})
    later.messages[0]["timestamp"] = channel.messages[1]["timestamp"]
    later.about["exportedAt"] = "2024-07-01T00:00:00+00:00"
    later.write(tmp_path / "a later.json")
    texts = ["0", "1, edited", "2", "3"]
    assert loaded(tmp_path) == {"500": [("Ann", text) for text in texts]}
    assert skipped(tmp_path) == {"duplicate": 1}


def test_newest_export_is_found_across_time_zones(tmp_path: Path) -> None:
    """The offset depends on the machine that exported."""
    old = make_channel({"text": "before"}, name="old name")
    new = make_channel(
        {
            "who": {**ANN, "nickname": "Anna"},
            "text": "after",
            "timestampEdited": "2024-06-01",
        },
        name="new name",
    )
    old.about["exportedAt"] = "2024-06-02T01:00:00.0000000+09:00"
    new.about["exportedAt"] = "2024-06-01T20:00:00.0000000+00:00"
    new.write(tmp_path / "a.json")
    old.write(tmp_path / "b.json")
    (session,) = DiscordChatLoader(tmp_path).load()
    (message,) = session["messages"]
    assert (message.content, message.additional_kwargs["sender"]) == ("after", "Anna")
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
def test_times_are_converted_to_utc(tmp_path: Path, stamp: str) -> None:
    path = write_channel(tmp_path, {**HELLO, "timestamp": stamp})
    kwargs = only_message(DiscordChatLoader(path)).additional_kwargs
    assert kwargs["message_time"] == 1714550407
    assert kwargs["events"] == [{"message_time": "2024-05-01T08:00:07.123456+00:00"}]


@pytest.mark.parametrize("name", ["general", "#GENERAL", "500", "Bo", "meadow", "talk"])
def test_channel_is_excluded_by_any_name(tmp_path: Path, name: str) -> None:
    path = write_channel(tmp_path, {**HELLO, "who": BO})
    assert skipped(path, exclude=name) == {"excluded": 1}


def test_thread_is_a_separate_session(tmp_path: Path) -> None:
    started = {"text": "Started a thread.", "type": "ThreadCreated"}
    write_channel(tmp_path, started, {"text": "in the channel"})
    thread = make_channel(
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
def test_data_package_is_refused(tmp_path: Path, is_csv: bool, messages: str) -> None:
    """A data package contains only one side of each conversation."""
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
def test_system_messages_are_counted_by_type(
    tmp_path: Path, who: dict[str, Any]
) -> None:
    kinds = [*SYSTEM.split(), 7]
    pinned = [{"who": who, "text": "Pinned a message.", "type": kind} for kind in kinds]
    path = write_channel(tmp_path, *pinned)
    summary = DiscordChatLoader(path, keep="bot").inspect()
    assert dict(summary.skipped) == {"system": len(kinds)}
    assert summary.details["system"] == dict.fromkeys(SYSTEM.split(), 1) | {"7": 2}
    (session,) = DiscordChatLoader(path, keep=("bot", "system")).load()
    kept = [message.additional_kwargs["system"] for message in session["messages"]]
    assert kept == [str(kind) for kind in kinds]


@pytest.mark.parametrize("kind", [0, 19, "0", "19"])
def test_message_type_may_be_a_number(tmp_path: Path, kind: object) -> None:
    assert skipped(write_channel(tmp_path, {**HELLO, "type": kind})) == {}


@pytest.mark.parametrize("keys", [{"who": BOT}, {"type": "20"}, {"type": "23"}])
def test_bots_are_skipped(tmp_path: Path, keys: dict[str, Any]) -> None:
    path = write_channel(tmp_path, {"text": "green", **keys})
    assert skipped(path) == {"bot": 1}
    assert only_message(DiscordChatLoader(path, keep="bot")).content == "green"


def test_bot_text_is_read_from_embeds(tmp_path: Path) -> None:
    build = {"who": BOT, "embeds": [{"title": "Build", "description": "green"}]}
    preview = {"embeds": [{"title": "a preview", "description": "of a link"}]}
    path = write_channel(tmp_path, build, preview)
    assert loaded(path, keep="bot") == {"500": [("Build", "Build\ngreen")]}
    assert skipped(path, keep="bot") == {"empty": 1}


def test_only_replies_have_a_reference(tmp_path: Path) -> None:
    target = {"messageId": snowflake(0), "channelId": "500"}
    reply = {"who": BO, "text": "Hi", "type": "Reply"}
    path = write_channel(
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


def test_forwarded_message_is_marked(tmp_path: Path) -> None:
    reference = {"type": "Forward", "messageId": "1"}
    theirs = {"content": "theirs", "attachments": [{"fileName": "a.png"}]}
    until_2_46 = {"reference": reference}
    path = write_channel(
        tmp_path, {**until_2_46, "forwardedMessage": theirs}, until_2_46
    )
    message = only_message(DiscordChatLoader(path))
    assert message.content == "theirs"
    assert message.additional_kwargs["forwarded"] is True
    assert message.additional_kwargs["attachments"] == [
        {"type": "photo", "name": "a.png"}
    ]
    assert skipped(path) == {"empty": 1}


STICKER = {"id": "1", "name": "Wave", "format": "Lottie"}


@pytest.mark.parametrize(
    ("keys", "kind", "name"),
    [
        ({"attachments": [{"fileName": "cat.PNG", "url": "x"}]}, "photo", "cat.PNG"),
        ({"attachments": [{"fileName": "voice.ogg"}]}, "audio", "voice.ogg"),
        ({"attachments": [{"url": "x"}]}, "file", None),
        ({"stickers": [STICKER]}, "sticker", "Wave"),
    ],
)
def test_media_become_attachments(
    tmp_path: Path, keys: dict[str, Any], kind: str, name: str | None
) -> None:
    path = write_channel(tmp_path, keys)
    assert skipped(path) == {"media": 1}
    message = only_message(DiscordChatLoader(path, keep="media"))
    attachment = {"type": kind, "name": name} if name else {"type": kind}
    assert message.content == f"[{kind}]"
    assert message.additional_kwargs["attachments"] == [attachment]


def test_reactions_have_known_senders(tmp_path: Path) -> None:
    reactions = [
        {"emoji": {"id": "", "name": "👍"}, "count": 2, "users": [BO, ANN]},
        {"emoji": {"id": "77", "name": "party"}, "count": 40, "users": [BO]},
        {"emoji": {"id": None, "name": "❤️"}, "count": 3},
    ]
    path = write_channel(tmp_path, {**HELLO, "reactions": reactions})
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
        ("mine, with a forwarded message", THEIRS, None),
    ],
)
def test_markup_is_rendered(
    tmp_path: Path, raw: str, keys: dict[str, Any], shown: str | None
) -> None:
    edited = {"timestampEdited": "2024-05-01T09:00:00+00:00"}
    path = write_channel(tmp_path, {"text": raw, **edited, **keys})
    message = only_message(DiscordChatLoader(path))
    assert message.content == (shown or raw)
    assert message.additional_kwargs["edited"] is True


def direct(title: str, *people: dict[str, Any], number: int = 500) -> DiscordChannel:
    """Return direct messages with a message by each of these people."""
    messages = [{"who": who, "text": "Hello"} for who in people]
    return make_channel(
        *messages, name=title, kind="DirectTextChat", channel_id=str(number)
    )


def group(title: str, *people: dict[str, Any], number: int = 500) -> DiscordChannel:
    chat = direct(title, *people, number=number)
    chat.about["channel"]["type"] = "DirectGroupTextChat"
    return chat


DI = author("44", "di", nickname="Di")


OWNERS: dict[str, tuple[list[DiscordChannel], str | None]] = {
    "title is the other's name": ([direct("Bo", BO, ANN)], "Ann"),
    "title is the other's handle": ([direct("bo", BO, ANN)], "Ann"),
    "title in upper case": ([direct("BO", BO, ANN)], "Ann"),
    "bot is not the owner": ([direct("Bo", BO, ANN, BOT)], "Ann"),
    "only person in all chats": (
        [direct("renamed", BO, ANN), direct("too", CY, ANN, number=501)],
        "Ann",
    ),
    "owner is silent in one chat": (
        [
            direct("renamed", BO, ANN, BOT),
            direct("too", CY, ANN, BOT, number=501),
            direct("without the owner", DI, number=509),
        ],
        "Ann",
    ),
    "missing in a group's title": ([group("Bo, Cy", ANN, BO, CY)], "Ann"),
    "no evidence": ([make_channel(HELLO), direct("X", BO, ANN, number=501)], None),
    "only one side": ([direct("renamed", BO)], None),
    "friend in two groups": ([group("X", BO), group("X", BO, number=501)], None),
}


@pytest.mark.parametrize(("chats", "owner"), OWNERS.values(), ids=OWNERS)
def test_owner_is_found_by_direct_messages(
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


def test_direct_messages_are_not_a_group(tmp_path: Path) -> None:
    path = direct("Bo", BO, ANN).write(tmp_path / "a.json")
    (session,) = DiscordChatLoader(path).load()
    assert metadata_of(session)["is_group"] is False


def test_given_owner_may_write_late(tmp_path: Path) -> None:
    path = write_channel(
        tmp_path, *[{"who": BO, "text": "yours"}] * 600, {"text": "mine"}
    )
    (session,) = DiscordChatLoader(path, owner="ann.ode").load()
    flags = [m.additional_kwargs["is_from_me"] for m in session["messages"]]
    assert flags == [False] * 600 + [True]


@pytest.mark.parametrize("is_silent_first", [False, True])
@pytest.mark.parametrize(
    ("given", "name"), [(None, "Ann"), ("Ann", "Ann"), ("ann.ode", "ann.ode")]
)
def test_owner_of_channels_does_not_depend_on_their_order(
    tmp_path: Path, given: str | None, name: str, *, is_silent_first: bool
) -> None:
    """Where the owner wrote nothing, their name is the detected or given one."""
    chats = [direct("Bo", BO, ANN), direct("Di", DI, ANN, number=501)]
    silent = make_channel(
        {**HELLO, "who": BO}, {**HELLO, "who": DI}, name="silent", channel_id="502"
    )
    for number, chat in enumerate(
        [silent, *chats] if is_silent_first else [*chats, silent]
    ):
        chat.write(tmp_path / f"{number}.json")
    loader = DiscordChatLoader(tmp_path, owner=given)
    owners = {(d := metadata_of(s))["title"]: d["owner"] for s in loader.load()}
    assert owners == {"Bo": "Ann", "Di": "Ann", "#silent": name}
    assert loader.inspect().owner == "Ann"


@pytest.mark.parametrize("person", ["11", "@ANN.ODE", "ann", "Annie (ann.ode)"])
def test_person_has_names_of_all_channels(tmp_path: Path, person: str) -> None:
    annie = {**HELLO, "who": {**ANN, "nickname": "Annie"}}
    namesake = {**HELLO, "who": author("33", "annie.two", nickname="Annie")}
    write_channel(tmp_path, HELLO)
    make_channel(annie, namesake, channel_id="501").write(tmp_path / "b.json")
    assert DiscordChatLoader(tmp_path).names_of(person) == {"Ann", "Annie (ann.ode)"}
