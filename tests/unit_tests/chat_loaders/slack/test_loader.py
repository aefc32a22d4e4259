"""Slack exports: layouts, days, threads, people, owner, markup."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports import MergeChatRuns, SlackChatLoader
from langchain_chatexports.chat_loaders.schema import metadata_of
from langchain_chatexports.chat_loaders.slack.markup import render_markup
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.sessions import (
    messages_by_session,
    only_message,
    open_export,
    skipped_counts,
)
from tests.unit_tests.builders.slack import SlackExport, stamp, workspace


def loaded(path: Path, **options: Any) -> dict[str, list[tuple[str, str]]]:
    return messages_by_session(SlackChatLoader(path, **options))


def skipped(path: Path, **options: Any) -> dict[str, int]:
    return skipped_counts(SlackChatLoader(path, **options))


def write_messages(tmp_path: Path, *records: dict[str, Any]) -> Path:
    """Write a workspace with these messages in #general."""
    export, channel = workspace()
    for record in records:
        channel.says(**{"user": None, "text": None, **record})
    return export.to_zip(tmp_path / "export.zip")


LAYOUTS: dict[str, Callable[[SlackExport, Path], Path]] = {
    "folder": lambda export, path: export.to_folder(path / "export"),
    "zip": lambda export, path: export.to_zip(path / "export.zip"),
    "root": lambda export, path: export.to_zip(path / "export.zip", root="Slack May/"),
    "windows": lambda export, path: export.to_zip(path / "export.zip", separator="\\"),
}


@pytest.mark.parametrize("users", ["users.json", "org_users.json"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_equivalent(tmp_path: Path, layout: str, users: str) -> None:
    export, channel = workspace()
    channel.says("U1", "Hello")
    channel.says("U2", "Hi", day=2)
    export.lists[users] = export.lists.pop("users.json")
    export.others["__MACOSX/._users.json"] = b"\x00\x05"
    path = LAYOUTS[layout](export, tmp_path)
    assert loaded(path) == {"C1": [("Ann", "Hello"), ("Bo", "Hi")]}
    assert isinstance(open_export(path).loader, SlackChatLoader)


@pytest.mark.parametrize(("user", "name"), [("U1", "Ann"), ("U{}", "Ann (U{})")])
def test_workspaces_stay_separate(tmp_path: Path, user: str, name: str) -> None:
    for number in (1, 2):
        export = SlackExport()
        ann = export.user(user.format(number), "Ann")
        export.channel(f"C{number}", "general").says(ann, f"in {number}")
        export.to_folder(tmp_path / "teams" / f"team{number}")
    assert loaded(tmp_path) == {
        f"C{number}": [(name.format(number), f"in {number}")] for number in (1, 2)
    }


@pytest.mark.parametrize(
    ("name", "title", "is_group"),
    [("old", "#old", True), ("d1", "#d1", True), ("D01ABCDEF", "D01ABCDEF", False)],
)
def test_unlisted_folder_kind_is_found_by_id(
    tmp_path: Path, name: str, title: str, is_group: bool
) -> None:
    export, _ = workspace()
    export.folder(name).says("U1", "Hello")
    export.channel("C2", "empty")
    path = export.to_folder(tmp_path / "export")
    assert loaded(path) == {name: [("Ann", "Hello")]}
    (session,) = SlackChatLoader(path).load()
    assert metadata_of(session)["is_group"] is is_group
    assert metadata_of(session)["title"] == title


def test_other_json_is_ignored(tmp_path: Path) -> None:
    export, channel = workspace()
    channel.says("U1", "Hello")
    export.channel("C2", "attachments").says("U2", "Hi")
    saved = '[{"ts": "1.0", "text": "no"}]'
    export.others = {
        "general/2024-05-02.json": "null",
        "general/2024-05-03.json": '{"a": 1}',
        "general/2024-05-04.json": '[{"a": 1}]',
        "general/2024-05-05.json": "[]",
        "general/attachments/2024-05-01.json": saved,
        "attachments/attachments/2024-05-01.json": saved,
        "__uploads/F1/2024-05-01.json": saved,
        "FC:F1:notes/canvas_in_the_conversation.json": saved,
        "integration_logs.json": "[]",
    }
    path = export.to_zip(tmp_path / "export.zip")
    assert loaded(path) == {"C2": [("Bo", "Hi")], "C1": [("Ann", "Hello")]}
    assert skipped(path) == {}


def test_folder_without_days_is_refused(tmp_path: Path) -> None:
    path = SlackExport().to_folder(tmp_path / "export")
    with pytest.raises(ExportFormatError, match="contains no Slack export"):
        SlackChatLoader(path).load()


def test_zips_with_one_conversation_are_joined(tmp_path: Path) -> None:
    for number in (1, 2):
        export, channel = workspace()
        channel.says("U1", f"part {number}", day=number)
        if number == 2:
            channel.says("U2", "a reply", day=2, thread_ts=stamp(1, 1))
        export.to_zip(tmp_path / f"{number}.zip")
    assert loaded(tmp_path) == {
        "C1": [("Ann", "part 1"), ("Ann", "part 2")],
        f"C1:{stamp(1, 1)}": [("Bo", "a reply")],
    }


ROOT = {"ts": stamp(1, 1), "thread_ts": stamp(1, 1), "user": "U1", "text": "Root"}
REPLY = {**ROOT, "ts": stamp(1, 2), "text": "Reply", "user": "U2"}
DUMP = {"channel_id": "C7", "name": "dumped"}


def test_slackdump_file_is_a_conversation(tmp_path: Path) -> None:
    profile = {"display_name": "", "real_name": "Cy"}
    last = {"ts": stamp(1, 3), "user": "U3", "text": "Last", "user_profile": profile}
    first = {**ROOT, "slackdump_thread_replies": [ROOT, REPLY]}
    path = tmp_path / "C7.json"
    path.write_text(json.dumps({**DUMP, "messages": [first, last]}))
    assert loaded(path) == {
        "C7": [("U1", "Root"), ("Cy", "Last")],
        f"C7:{stamp(1, 1)}": [("U1", "Root"), ("U2", "Reply")],
    }
    assert skipped(path) == {"duplicate": 1}
    assert isinstance(open_export(path).loader, SlackChatLoader)
    titles = [metadata_of(session)["title"] for session in SlackChatLoader(path).load()]
    assert titles == ["#dumped", "#dumped, thread of 2024-05-01 08:00"]


def test_slackdump_thread_file_is_joined(tmp_path: Path) -> None:
    channel = {**DUMP, "messages": [ROOT]}
    thread = {**DUMP, "thread_ts": stamp(1, 1), "messages": [ROOT, REPLY]}
    (tmp_path / "C7.json").write_text(json.dumps(channel, indent=2))
    (tmp_path / f"C7-{stamp(1, 1)}.json").write_text(json.dumps(thread))
    (tmp_path / "Archive.json").write_text("{}")
    assert loaded(tmp_path) == {
        "C7": [("U1", "Root")],
        f"C7:{stamp(1, 1)}": [("U1", "Root"), ("U2", "Reply")],
    }
    assert isinstance(open_export(tmp_path).loader, SlackChatLoader)


DAYS = {
    "joined and sorted by ts": (
        [
            {"text": "third", "ts": "1714550400.000101", "day": 1},
            {"text": "second", "ts": "1714550400.000100", "day": 3},
            {"text": "first", "ts": "999999999.999999", "day": 2},
        ],
        ["first", "second", "third"],
    ),
    "edited duplicate is kept": (
        [
            {"text": "new", "ts": stamp(), "edited": {"ts": "1.0"}},
            {"text": "old", "ts": stamp(), "a": 1, "b": 2, "day": 2},
        ],
        ["new"],
    ),
    "larger duplicate is kept": (
        [
            {"text": "same", "ts": stamp()},
            {"text": "same ", "ts": stamp(), "team": "T1", "day": 2},
            {"text": "same", "ts": stamp(), "day": 3},
        ],
        ["same "],
    ),
}


@pytest.mark.parametrize(("records", "texts"), DAYS.values(), ids=DAYS)
def test_days_are_joined(
    tmp_path: Path, records: list[dict[str, Any]], texts: list[str]
) -> None:
    path = write_messages(tmp_path, *({"user": "U1", **record} for record in records))
    assert loaded(path) == {"C1": [("Ann", text) for text in texts]}
    duplicates = len(records) - len(texts)
    assert skipped(path) == ({"duplicate": duplicates} if duplicates else {})


def test_ts_is_exact(tmp_path: Path) -> None:
    edit = {"edited": {"ts": "1.0"}}
    record = {"user": "U1", "text": "Hello", "ts": "1714550400.000109", **edit}
    message = only_message(SlackChatLoader(write_messages(tmp_path, record)))
    assert message.id == "C1:1714550400.000109"
    assert message.additional_kwargs["message_time"] == 1714550400
    assert message.additional_kwargs["events"] == [
        {"message_time": "2024-05-01T08:00:00.000109+00:00"}
    ]
    assert message.additional_kwargs["edited"] is True


def threaded(tmp_path: Path) -> SlackChatLoader:
    """Two interleaved threads over three days, one with a reply to the channel."""
    export, channel = workspace()
    for number, day in enumerate((1, 2), 1):
        root = channel.says("U1", f"root {number}", day=day)
        root["thread_ts"] = root["ts"]
        channel.says("U2", f"reply {number}", day=3, thread_ts=root["ts"])
    broadcast = {"subtype": "thread_broadcast", "root": {"text": "root 1"}}
    channel.says("U1", "for all", day=3, thread_ts=stamp(1, 1), **broadcast)
    channel.says("U2", "plain", day=3)
    return SlackChatLoader(export.to_zip(tmp_path / "export.zip"))


def test_thread_is_a_separate_session(tmp_path: Path) -> None:
    first, second = stamp(1, 1), stamp(2, 3)
    assert messages_by_session(threaded(tmp_path)) == {
        "C1": [("Ann", "root 1"), ("Ann", "root 2"), ("Bo", "plain")],
        f"C1:{first}": [("Ann", "root 1"), ("Bo", "reply 1"), ("Ann", "for all")],
        f"C1:{second}": [("Ann", "root 2"), ("Bo", "reply 2")],
    }


def test_thread_messages_are_marked(tmp_path: Path) -> None:
    main, thread, _ = threaded(tmp_path).load()
    key = f"C1:{stamp(1, 1)}"
    root, *_, plain = main["messages"]
    assert (root.id, root.additional_kwargs["thread"]) == (key, key)
    assert "thread" not in plain.additional_kwargs
    assert thread["messages"][1].additional_kwargs["reply_to"] == {"id": key}


def test_first_message_of_thread_is_counted_once(tmp_path: Path) -> None:
    loader = threaded(tmp_path)
    summary = loader.inspect()
    assert (summary.found, summary.kept) == (6, 6)
    assert sum(summary.senders.values()) == 6
    main, thread, _ = loader.load()
    assert "weight" not in main["messages"][0].additional_kwargs
    weights = [m.additional_kwargs.get("weight") for m in thread["messages"]]
    assert weights == [0, None, None]
    (steps,) = (loader | MergeChatRuns()).inspect().steps
    assert (steps.found, dict(steps.added)) == (6, {"repeated": 2})
    assert steps.adds_up


DELETED = {"text": "This message was deleted.", "subtype": "tombstone"}


@pytest.mark.parametrize(
    ("root", "counts"),
    [
        ([], {}),
        ([{"user": "U1", "ts": stamp(1, 0), **DELETED}], {"unsent": 1}),
        ([{"user": "USLACKBOT", "ts": stamp(1, 0), **DELETED}], {"unsent": 1}),
    ],
    ids=["missing", "deleted", "deleted, by Slackbot"],
)
def test_thread_without_root_is_a_session(
    tmp_path: Path, root: list[dict[str, Any]], counts: dict[str, int]
) -> None:
    thread_ts = stamp(1, 0)
    one = {"user": "U1", "text": "one", "thread_ts": thread_ts}
    two = {"user": "U2", "text": "two", "thread_ts": thread_ts}
    marked = [{**record, "thread_ts": thread_ts} for record in root]
    path = write_messages(tmp_path, *marked, one, two)
    assert loaded(path) == {f"C1:{thread_ts}": [("Ann", "one"), ("Bo", "two")]}
    assert skipped(path) == counts
    (session,) = SlackChatLoader(path).load()
    assert metadata_of(session)["participants"] == ["Ann", "Bo"]


def test_threads_in_direct_messages_are_not_split(tmp_path: Path) -> None:
    export, _ = workspace()
    chat = export.direct("D01ABCDEF", "U1", "U2")
    chat.says("U1", "root", thread_ts=stamp(1, 1))
    chat.says("U2", "plain")
    chat.says("U2", "reply", thread_ts=stamp(1, 1))
    assert loaded(export.to_zip(tmp_path / "export.zip")) == {
        "D01ABCDEF": [("Ann", "root"), ("Bo", "plain"), ("Bo", "reply")]
    }


def test_conversation_types_have_titles_and_groups(tmp_path: Path) -> None:
    export, channel = workspace()
    channel.says("U1", "in public")
    export.channel("G1", "secret", kind="groups").says("U1", "in private")
    mpim = export.channel("G2", "mpdm-ann--bo--cy-1", "mpims", members=["U1", "U2"])
    mpim.says("U2", "together")
    export.direct("D1", "U1", "U2").says("U1", "for you")
    path = export.to_zip(tmp_path / "export.zip")
    sessions = SlackChatLoader(path, owner="Ann").load()
    found = {metadata_of(session)["id"]: metadata_of(session) for session in sessions}
    assert {key: (data["title"], data["is_group"]) for key, data in found.items()} == {
        "C1": ("#general", True),
        "D1": ("@Bo", False),
        "G1": ("#secret", True),
        "G2": ("@Bo", True),
    }
    assert found["D1"]["participants"] == ["Ann", "Bo"]
    assert found["D1"]["platform"] == "slack"
    assert found["D1"]["owner"] == "Ann"


def test_display_name_precedes_real_name_and_handle(tmp_path: Path) -> None:
    export = SlackExport()
    export.user("U1", "", profile={"real_name": "Real"})
    export.user("U2", "", real_name="Upper")
    export.lists["users.json"].append({"id": "U3", "name": "handle"})
    export.user("U6", "Display", profile={"real_name": "Real six"})
    chat = export.channel("C1", "general")
    for user in ("U6", "U1", "U2", "U3", "U4"):
        chat.says(user, "Hi")
    chat.says("U5", "Hi", user_profile={"display_name": "Guest"})
    chat.says(None, "Hi")
    messages = loaded(export.to_zip(tmp_path / "export.zip"))["C1"]
    senders = ["Display", "Real", "Upper", "handle", "U4", "Guest", "unknown"]
    assert [sender for sender, _ in messages] == senders


@pytest.mark.parametrize(
    ("pairs", "owner"),
    [
        ([("U1", "U2"), ("U9", "U1")], "Ann"),
        ([], None),
        ([("U1", "U2")], None),
        ([("U1", "U2"), ("U1", "U2")], None),
        ([("U1", "U2"), ("U2", "U1")], None),
    ],
)
def test_owner_is_in_all_direct_messages(
    tmp_path: Path, pairs: list[tuple[str, str]], owner: str | None
) -> None:
    export, channel = workspace()
    for number, pair in enumerate(pairs):
        export.direct(f"D{number}", *pair).says("U1", "Hello")
    channel.says("U1", "Hello")
    loader = SlackChatLoader(export.to_zip(tmp_path / "export.zip"))
    summary = loader.inspect()
    found_by = "direct messages" if owner else None
    assert (summary.owner, summary.owner_found_by) == (owner, found_by)
    first = loader.load()[0]["messages"][0].additional_kwargs
    assert ("is_from_me" in first) is bool(owner)


def test_partner_in_slackdump_is_not_the_owner(tmp_path: Path) -> None:
    export, _ = workspace()
    chat = export.direct("D1", user="U2")
    chat.says("U2", "yours")
    chat.says("U1", "mine")
    path = export.to_folder(tmp_path / "export")
    assert SlackChatLoader(path).inspect().owner == "Ann"


@pytest.mark.parametrize(
    ("keys", "sender"),
    [
        ({"subtype": "bot_message", "username": "Build"}, "Build"),
        ({"subtype": "slackbot_response", "username": "Build"}, "Build"),
        ({"bot_id": "B1", "bot_profile": {"name": "Build"}}, "Build"),
        ({"user": "U7", "bot_id": "B1", "username": "Build"}, "Build"),
        ({"user": "U9"}, "Build"),
        ({"user": "USLACKBOT"}, "USLACKBOT"),
    ],
)
def test_bots_are_skipped(tmp_path: Path, keys: dict[str, Any], sender: str) -> None:
    path = write_messages(tmp_path, {"text": "green", **keys})
    assert skipped(path) == {"bot": 1}
    assert loaded(path, keep="bot") == {"C1": [(sender, "green")]}


SYSTEM = """
channel_join channel_leave channel_topic channel_purpose channel_name
channel_archive channel_unarchive channel_convert_to_private
channel_posting_permissions channel_canvas_updated tabbed_canvas_updated group_join
group_leave group_topic bot_add bot_remove bot_enable bot_disable pinned_item
unpinned_item huddle_thread sh_room_created sh_room_shared reminder_add
joiner_notification joiner_notification_for_inviter app_conversation_leave
file_mention message_changed message_deleted message_replied reply_broadcast
ekm_access_denied document_mention list_record_comment a_future_type
"""


def test_system_messages_are_counted_by_type(tmp_path: Path) -> None:
    joined = {"user": "U1", "text": "<@U1> has joined the channel"}
    names = SYSTEM.split()
    path = write_messages(tmp_path, *({**joined, "subtype": name} for name in names))
    summary = SlackChatLoader(path).inspect()
    assert dict(summary.skipped) == {"system": len(names)}
    assert summary.details["system"] == dict.fromkeys(names, 1)


FILE = {"name": "cat.jpg", "mimetype": "image/jpeg", "mode": "hosted"}
JPEG = {"type": "photo", "mime_type": "image/jpeg"}
SHARED = "<@U1|ann> uploaded a file: <https://files.slack.com/x|cat.jpg>"
SECTION = {
    "type": "section",
    "text": {"type": "mrkdwn", "text": "*Build* for <@U1>"},
    "fields": [{"text": "green"}],
}
RICH = [
    {"type": "text", "text": "a < b & "},
    {"type": "user", "user_id": "U2"},
    {"type": "emoji", "name": "tada"},
    {"type": "link", "url": "https://a.b"},
]


OLD_COMMENT = {"user": "U2", "comment": "nice &amp; warm"}
OLD_COMMENT_TEXT = "<@U2> commented on <@U1>'s file"
RICH_BLOCK = {"type": "rich_text", "elements": [{"elements": RICH}]}
TEXTS: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "me message": ({"text": "waves", "subtype": "me_message"}, ("Ann", "waves")),
    "posted through an app": ({"text": "Hi", "bot_id": "B1"}, ("Ann", "Hi")),
    "caption": (
        {"text": "my cat", "subtype": "file_share", "files": [FILE]},
        ("Ann", "my cat"),
    ),
    "old shared file with a comment": (
        {"text": f"{SHARED} and commented: my cat", "subtype": "file_share"},
        ("Ann", "my cat"),
    ),
    "old comment on a file": (
        {"text": OLD_COMMENT_TEXT, "subtype": "file_comment", "comment": OLD_COMMENT},
        ("Bo", "nice & warm"),
    ),
    "blocks without text": (
        {"text": "", "blocks": [RICH_BLOCK]},
        ("Ann", "a < b & @Bo:tada:https://a.b"),
    ),
    "blocks of a bot": (
        {"user": "U9", "text": "", "blocks": [SECTION]},
        ("Build", "*Build* for @Ann\ngreen"),
    ),
    "text and blocks": ({"text": "Hi", "blocks": [SECTION]}, ("Ann", "Hi")),
    "link preview": (
        {"text": "https://a.b", "attachments": [{"title": "a preview"}]},
        ("Ann", "https://a.b"),
    ),
}


@pytest.mark.parametrize(("record", "expected"), TEXTS.values(), ids=TEXTS)
def test_text_is_what_the_sender_wrote(
    tmp_path: Path, record: dict[str, Any], expected: tuple[str, str]
) -> None:
    path = write_messages(tmp_path, {"user": "U1", **record})
    assert loaded(path, keep="bot") == {"C1": [expected]}


NAMED_JPEG = {**JPEG, "name": "cat.jpg"}
GIF = {"type": "gif", "mime_type": "image/gif"}
LINK = {"type": "link", "text": "theirs"}


@pytest.mark.parametrize(
    ("keys", "attachment"),
    [
        ({"files": [FILE]}, NAMED_JPEG),
        ({"file": FILE, "upload": True}, NAMED_JPEG),
        ({"text": SHARED, "subtype": "file_share", "file": FILE}, NAMED_JPEG),
        ({"files": [{"id": "F1", "mode": "tombstone"}]}, {"type": "file"}),
        ({"files": [{**FILE, "mode": "hidden_by_limit"}]}, JPEG),
        ({"files": [{"id": "F1", "file_access": "access_denied"}]}, {"type": "file"}),
        ({"files": [{"mimetype": "image/gif"}]}, GIF),
        ({"attachments": [{"is_share": True, "text": "theirs"}]}, LINK),
    ],
)
def test_file_without_text_is_an_attachment(
    tmp_path: Path, keys: dict[str, Any], attachment: dict[str, str]
) -> None:
    path = write_messages(tmp_path, {"user": "U1", "text": "", **keys})
    assert skipped(path) == {"media": 1}
    message = only_message(SlackChatLoader(path, keep="media"))
    assert message.content == f"[{attachment['type']}]"
    assert message.additional_kwargs["attachments"] == [attachment]


def test_shared_message_is_an_attachment(tmp_path: Path) -> None:
    shared = {"is_share": True, "text": "theirs", "from_url": "https://s/1"}
    preview = {"title": "a preview"}
    record = {"user": "U1", "text": "look", "attachments": [shared, preview]}
    message = only_message(SlackChatLoader(write_messages(tmp_path, record)))
    assert message.content == "look"
    assert message.additional_kwargs["attachments"] == [
        {"type": "link", "uri": "https://s/1", "text": "theirs"}
    ]


def test_reactions_have_known_senders(tmp_path: Path) -> None:
    reactions = [
        {"name": "thumbsup::skin-tone-3", "users": ["U2", "U1"], "count": 2},
        {"name": "tada", "users": ["U2"], "count": 40},
    ]
    record = {"user": "U1", "text": "Hello", "reactions": reactions}
    message = only_message(SlackChatLoader(write_messages(tmp_path, record)))
    assert message.additional_kwargs["reactions"] == [
        {"reaction": ":thumbsup::skin-tone-3:", "sender": "Bo"},
        {"reaction": ":thumbsup::skin-tone-3:", "sender": "Ann"},
        {"reaction": ":tada:", "sender": "Bo"},
        {"reaction": ":tada:", "sender": "unknown", "count": 39},
    ]


def plain(text: str) -> str:
    return render_markup(text, {"U1": "Ann"}.get, {"C1": "general"})


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("<@U1> hi", "@Ann hi"),
        ("<@U1|old handle>", "@Ann"),
        ("<@U7|bo>", "@bo"),
        ("<@U7>", "@U7"),
        ("<#C1|renamed>", "#general"),
        ("<#C1|>", "#general"),
        ("<#C7|elsewhere>", "#elsewhere"),
        ("<#C7>", "#C7"),
        ("<!here>", "@here"),
        ("<!channel|@channel>", "@channel"),
        ("<!channel|channel>", "@channel"),
        ("<!everyone|everyone>", "@everyone"),
        ("<!subteam^S1|@team>", "@team"),
        ("<!subteam^S1>", "@S1"),
        ("<!date^1714550400^{date}|May 1st>", "May 1st"),
        ("<https://a.b/c>", "https://a.b/c"),
        ("<https://a.b/c|the page>", "the page"),
        ("<https://a.b|a.b>", "https://a.b"),
        ("<https://a.b/|a.b>", "https://a.b/"),
        ("<https://a.b?x=1&amp;y=2>", "https://a.b?x=1&y=2"),
        ("<https://a.b|R&amp;D>", "R&D"),
        ("<mailto:a@b.c|a@b.c>", "a@b.c"),
        ("<tel:+4930|030>", "030"),
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("&amp;lt;", "&lt;"),
        ("&lt;@U1&gt;", "<@U1>"),
        ("&quot;", "&quot;"),
        ("*bold* _it_ ~no~ `<@U1>`\n&gt; quote", "*bold* _it_ ~no~ `@Ann`\n> quote"),
        (":thumbsup::skin-tone-3:", ":thumbsup::skin-tone-3:"),
        ("a < b", "a < b"),
        ("<>", "<>"),
    ],
)
def test_markup_is_rendered(stored: str, shown: str) -> None:
    assert plain(stored) == shown


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_typed_text_is_unchanged(typed: str) -> None:
    """Slack escapes three characters."""
    escaped = typed.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert plain(escaped) == typed
