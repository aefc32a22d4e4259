"""Slack exports as sessions: layouts, days, threads, people, owner, accounting."""

import json
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import MergeChatRuns, SlackChatLoader
from langchain_chatexports.chat_loaders.recognition import open_export
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.sessions import metadata_of
from tests.unit_tests.builders.slack import SlackExport, stamp, workspace


def loaded(path: Path, **options: Any) -> dict[str, list[tuple[str, str]]]:
    """Return who said what, by the sessions' ids; check that the counts add up."""
    loader = SlackChatLoader(path, **options)
    summary = loader.inspect()
    assert summary.found == summary.kept + sum(summary.skipped.values())
    return {
        metadata_of(session)["id"]: [
            (m.additional_kwargs["sender"], str(m.content)) for m in session["messages"]
        ]
        for session in loader.load()
    }


def skipped(path: Path, **options: Any) -> dict[str, int]:
    return dict(SlackChatLoader(path, **options).inspect().skipped)


def only_message(path: Path, **options: Any) -> Any:
    (session,) = SlackChatLoader(path, **options).load()
    (message,) = session["messages"]
    return message


# Layouts.


@pytest.mark.parametrize("layout", ["folder", "zip", "root", "windows"])
def test_each_layout_gives_the_same_sessions(tmp_path: Path, layout: str) -> None:
    export, general = workspace()
    general.says("U1", "Hello")
    general.says("U2", "Hi", day=2)
    export.others["__MACOSX/._users.json"] = b"\x00\x05"
    path = {
        "folder": lambda: export.to_folder(tmp_path / "export"),
        "zip": lambda: export.to_zip(tmp_path / "export.zip"),
        "root": lambda: export.to_zip(tmp_path / "export.zip", root="Slack May/"),
        "windows": lambda: export.to_zip(tmp_path / "export.zip", separator="\\"),
    }[layout]()
    assert loaded(path) == {"C1": [("Ann", "Hello"), ("Bo", "Hi")]}
    assert isinstance(open_export(path).loader, SlackChatLoader)


def test_an_organization_lists_its_users_elsewhere(tmp_path: Path) -> None:
    export, general = workspace()
    general.says("U1", "Hello")
    export.lists["org_users.json"] = export.lists.pop("users.json")
    path = export.to_zip(tmp_path / "export.zip")
    assert loaded(path) == {"C1": [("Ann", "Hello")]}
    assert isinstance(open_export(path).loader, SlackChatLoader)


def test_workspaces_of_an_organization_have_channels_of_their_own(
    tmp_path: Path,
) -> None:
    for number in (1, 2):
        export = SlackExport()
        export.user("U1", "Ann")
        export.channel(f"C{number}", "general").says("U1", f"in {number}")
        export.to_folder(tmp_path / "teams" / f"team{number}")
    assert loaded(tmp_path) == {"C1": [("Ann", "in 1")], "C2": [("Ann", "in 2")]}


def test_a_folder_without_an_entry_is_a_channel_of_its_name(tmp_path: Path) -> None:
    export, _ = workspace()
    export.folder("old-name").says("U1", "Hello")
    export.channel("C2", "empty")
    path = export.to_folder(tmp_path / "export")
    assert loaded(path) == {"old-name": [("Ann", "Hello")]}
    (session,) = SlackChatLoader(path).load()
    assert metadata_of(session)["title"] == "#old-name"


def test_other_json_is_no_messages(tmp_path: Path) -> None:
    export, general = workspace()
    general.says("U1", "Hello")
    export.others = {
        "general/2024-05-02.json": "null",
        "general/2024-05-03.json": '{"a": 1}',
        "general/2024-05-04.json": '[{"a": 1}]',
        "general/2024-05-05.json": "[]",
        "general/attachments/2024-05-01.json": '[{"ts": "1.0", "text": "no"}]',
        "FC:F1:notes/canvas_in_the_conversation.json": '[{"ts": "1.0"}]',
        "integration_logs.json": "[]",
    }
    assert loaded(export.to_zip(tmp_path / "export.zip")) == {"C1": [("Ann", "Hello")]}


def test_a_folder_without_days_is_refused(tmp_path: Path) -> None:
    path = SlackExport().to_folder(tmp_path / "export")
    with pytest.raises(ExportFormatError, match="no messages of a Slack export"):
        SlackChatLoader(path).load()


def test_slackdump_writes_a_conversation_into_one_file(tmp_path: Path) -> None:
    root = {"ts": stamp(1, 1), "thread_ts": stamp(1, 1), "user": "U1", "text": "Root"}
    reply = {**root, "ts": stamp(1, 2), "text": "Reply", "user": "U2"}
    dump = {
        "channel_id": "C7",
        "name": "dumped",
        "messages": [
            {**root, "slackdump_thread_replies": [root, reply]},
            {
                "ts": stamp(1, 3),
                "user": "U3",
                "text": "Last",
                "user_profile": {"display_name": "", "real_name": "Cy"},
            },
        ],
    }
    path = tmp_path / "C7.json"
    path.write_text(json.dumps(dump))
    assert loaded(path) == {
        "C7": [("U1", "Root"), ("Cy", "Last")],
        f"C7:{stamp(1, 1)}": [("U1", "Root"), ("U2", "Reply")],
    }
    assert skipped(path) == {"duplicate": 1}
    assert isinstance(open_export(path).loader, SlackChatLoader)
    titles = [metadata_of(session)["title"] for session in SlackChatLoader(path).load()]
    assert titles == ["#dumped", "#dumped, thread of 2024-05-01 08:00"]


def test_days_are_joined_and_sorted_by_ts(tmp_path: Path) -> None:
    export, general = workspace()
    general.add({"user": "U1", "text": "third", "ts": "1714550400.000101"}, day=1)
    general.add({"user": "U1", "text": "second", "ts": "1714550400.000100"}, day=3)
    general.add({"user": "U1", "text": "first", "ts": "999999999.999999"}, day=2)
    texts = loaded(export.to_zip(tmp_path / "export.zip"))["C1"]
    assert [text for _, text in texts] == ["first", "second", "third"]


# Days, order, times.


def test_ts_is_kept_exactly(tmp_path: Path) -> None:
    export, general = workspace()
    general.add({"user": "U1", "text": "Hello", "ts": "1714550400.000109"})
    message = only_message(export.to_zip(tmp_path / "export.zip"))
    assert message.id == "C1:1714550400.000109"
    assert message.additional_kwargs["message_time"] == 1714550400
    assert message.additional_kwargs["events"] == [
        {"message_time": "2024-05-01T08:00:00.000109+00:00"}
    ]


def test_of_two_copies_the_edited_one_stays(tmp_path: Path) -> None:
    export, general = workspace()
    general.add({"user": "U1", "text": "new", "ts": stamp(), "edited": {"ts": "1.0"}})
    general.add({"user": "U1", "text": "old", "ts": stamp(), "a": 1, "b": 2}, day=2)
    path = export.to_zip(tmp_path / "export.zip")
    message = only_message(path)
    assert message.content == "new"
    assert message.additional_kwargs["edited"] is True
    assert skipped(path) == {"duplicate": 1}


def test_of_two_copies_the_one_with_more_keys_stays(tmp_path: Path) -> None:
    export, general = workspace()
    general.add({"user": "U1", "text": "less", "ts": stamp()})
    general.add({"user": "U1", "text": "more", "ts": stamp(), "team": "T1"}, day=2)
    general.add({"user": "U1", "text": "less", "ts": stamp()}, day=3)
    assert only_message(export.to_zip(tmp_path / "export.zip")).content == "more"


# Threads.


def threaded(tmp_path: Path) -> Path:
    """Two threads over three days, interleaved, one with a reply to the channel."""
    export, general = workspace()
    for number, day in enumerate((1, 2), 1):
        root = general.says("U1", f"root {number}", day=day)
        root["thread_ts"] = root["ts"]
        general.says("U2", f"reply {number}", day=3, thread_ts=root["ts"])
    general.says(
        "U1",
        "for all",
        day=3,
        thread_ts=stamp(1, 1),
        subtype="thread_broadcast",
        root={"text": "root 1"},
    )
    general.says("U2", "plain", day=3)
    return export.to_zip(tmp_path / "export.zip")


def test_a_thread_is_a_session_of_its_own(tmp_path: Path) -> None:
    first, second = stamp(1, 1), stamp(2, 3)
    assert loaded(threaded(tmp_path)) == {
        "C1": [("Ann", "root 1"), ("Ann", "root 2"), ("Bo", "plain")],
        f"C1:{first}": [("Ann", "root 1"), ("Bo", "reply 1"), ("Ann", "for all")],
        f"C1:{second}": [("Ann", "root 2"), ("Bo", "reply 2")],
    }


def test_roots_and_replies_are_marked(tmp_path: Path) -> None:
    main, thread, _ = SlackChatLoader(threaded(tmp_path)).load()
    key = f"C1:{stamp(1, 1)}"
    root, *_, plain = main["messages"]
    assert (root.id, root.additional_kwargs["thread"]) == (key, key)
    assert "thread" not in plain.additional_kwargs
    assert thread["messages"][1].additional_kwargs["reply_to"] == {"id": key}


def test_the_first_message_of_a_thread_is_counted_once(tmp_path: Path) -> None:
    """In its thread it is context: nothing is learned from it a second time."""
    loader = SlackChatLoader(threaded(tmp_path))
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


@pytest.mark.parametrize("is_tombstone", [True, False])
def test_a_thread_without_its_root_is_a_session(
    tmp_path: Path, is_tombstone: bool
) -> None:
    export, general = workspace()
    root = stamp(1, 0)
    if is_tombstone:
        deleted = {"text": "This message was deleted.", "subtype": "tombstone"}
        general.add({"user": "U1", "ts": root, "thread_ts": root, **deleted})
    general.says("U1", "one", thread_ts=root)
    general.says("U2", "two", thread_ts=root)
    path = export.to_zip(tmp_path / "export.zip")
    assert loaded(path) == {f"C1:{root}": [("Ann", "one"), ("Bo", "two")]}
    assert skipped(path) == ({"unsent": 1} if is_tombstone else {})


def test_who_says_that_a_message_was_deleted_does_not_take_part(tmp_path: Path) -> None:
    export, general = workspace()
    deleted = {"text": "This message was deleted.", "subtype": "tombstone"}
    general.add({"user": "USLACKBOT", "ts": stamp(1, 0), **deleted})
    general.says("U1", "one")
    path = export.to_zip(tmp_path / "export.zip")
    (session,) = SlackChatLoader(path).load()
    assert metadata_of(session)["participants"] == ["Ann"]


def test_threads_of_direct_messages_stay_inside(tmp_path: Path) -> None:
    export, _ = workspace()
    chat = export.direct("D01ABCDEF", "U1", "U2")
    chat.says("U1", "root", thread_ts=stamp(1, 1))
    chat.says("U2", "plain")
    chat.says("U2", "reply", thread_ts=stamp(1, 1))
    assert loaded(export.to_zip(tmp_path / "export.zip")) == {
        "D01ABCDEF": [("Ann", "root"), ("Bo", "plain"), ("Bo", "reply")]
    }


# Conversations.


def test_metadata_says_what_kind_of_conversation_it_is(tmp_path: Path) -> None:
    export, general = workspace()
    general.says("U1", "in public")
    export.channel("G1", "secret", kind="groups").says("U1", "in private")
    mpim = export.channel("G2", "mpdm-ann--bo--cy-1", "mpims", members=["U1", "U2"])
    mpim.says("U2", "together")
    export.direct("D1", "U1", "U2").says("U1", "for you")
    path = export.to_zip(tmp_path / "export.zip")
    found = {
        metadata_of(session)["id"]: metadata_of(session)
        for session in SlackChatLoader(path, owner="Ann").load()
    }
    assert {key: (one["title"], one["is_group"]) for key, one in found.items()} == {
        "C1": ("#general", True),
        "D1": ("@Bo", False),
        "G1": ("#secret", True),
        "G2": ("@Bo", True),
    }
    assert found["D1"]["participants"] == ["Ann", "Bo"]
    assert found["D1"]["platform"] == "slack"
    assert found["D1"]["owner"] == "Ann"


# People.


def test_names_fall_back_one_by_one(tmp_path: Path) -> None:
    export = SlackExport()
    export.user("U1", "", profile={"real_name": "Real"})
    export.user("U2", "", real_name="Upper")
    export.lists["users.json"].append({"id": "U3", "name": "handle"})
    chat = export.channel("C1", "general")
    export.user("U6", "Display", profile={"real_name": "Real six"})
    for user in ("U6", "U1", "U2", "U3", "U4"):
        chat.says(user, "Hi")
    chat.says("U5", "Hi", user_profile={"display_name": "Guest"})
    chat.says(None, "Hi")
    texts = loaded(export.to_zip(tmp_path / "export.zip"))["C1"]
    assert [sender for sender, _ in texts] == [
        *("Display", "Real", "Upper", "handle", "U4", "Guest", "unknown")
    ]


def test_the_owner_is_who_is_in_all_direct_messages(tmp_path: Path) -> None:
    export, _ = workspace()
    export.direct("D1", "U1", "U2").says("U1", "mine")
    export.direct("D2", "U9", "U1").says("U1", "mine")
    summary = SlackChatLoader(export.to_zip(tmp_path / "export.zip")).inspect()
    assert (summary.owner, summary.owner_found_by) == ("Ann", "direct messages")


@pytest.mark.parametrize(
    "pairs", [[], [("U1", "U2")], [("U1", "U2")] * 2, [("U1", "U2"), ("U2", "U1")]]
)
def test_one_partner_does_not_tell_the_owner(
    tmp_path: Path, pairs: list[tuple[str, str]]
) -> None:
    export, general = workspace()
    for number, pair in enumerate(pairs):
        export.direct(f"D{number}", *pair).says("U1", "Hello")
    general.says("U1", "Hello")
    path = export.to_zip(tmp_path / "export.zip")
    assert SlackChatLoader(path).inspect().owner is None
    assert "is_from_me" not in (
        SlackChatLoader(path).load()[0]["messages"][0].additional_kwargs
    )


def test_of_slackdump_the_owner_is_not_the_partner(tmp_path: Path) -> None:
    export, _ = workspace()
    chat = export.direct("D1", user="U2")
    chat.says("U2", "yours")
    chat.says("U1", "mine")
    path = export.to_folder(tmp_path / "export")
    assert SlackChatLoader(path).inspect().owner == "Ann"


# Bots and system messages.


@pytest.mark.parametrize(
    "keys",
    [
        {"subtype": "bot_message", "user": None, "username": "Build"},
        {"subtype": "slackbot_response", "user": None, "username": "Build"},
        {"user": None, "bot_id": "B1", "bot_profile": {"name": "Build"}},
        {"user": "U7", "bot_id": "B1", "username": "Build"},
        {"user": "U9"},
    ],
    ids=["subtype", "slackbot_response", "bot_id", "stranger with bot_id", "user"],
)
def test_bots_are_left_out_unless_asked_for(
    tmp_path: Path, keys: dict[str, Any]
) -> None:
    export, general = workspace()
    general.says(keys.pop("user"), "green", **keys)
    path = export.to_zip(tmp_path / "export.zip")
    assert skipped(path) == {"bot": 1}
    assert loaded(path, keep="bot") == {"C1": [("Build", "green")]}


def test_slackbot_is_a_bot(tmp_path: Path) -> None:
    export, general = workspace()
    general.says("USLACKBOT", "I am only a bot")
    assert skipped(export.to_zip(tmp_path / "export.zip")) == {"bot": 1}


def test_what_a_person_posts_through_an_app_is_the_persons(tmp_path: Path) -> None:
    export, general = workspace()
    general.says("U1", "from my phone", bot_id="B1")
    assert loaded(export.to_zip(tmp_path / "export.zip")) == {
        "C1": [("Ann", "from my phone")]
    }


SYSTEM = """
channel_join channel_leave channel_topic channel_purpose channel_name
channel_archive channel_unarchive channel_convert_to_private
channel_posting_permissions channel_canvas_updated tabbed_canvas_updated group_join
group_leave group_topic bot_add bot_remove bot_enable bot_disable pinned_item
unpinned_item huddle_thread sh_room_created sh_room_shared reminder_add
joiner_notification joiner_notification_for_inviter app_conversation_leave
file_mention message_changed message_deleted message_replied reply_broadcast
ekm_access_denied document_mention list_record_comment a_kind_of_tomorrow
"""


@pytest.mark.parametrize("subtype", SYSTEM.split())
def test_what_slack_wrote_is_left_out(tmp_path: Path, subtype: str) -> None:
    export, general = workspace()
    general.says("U1", "<@U1> has joined the channel", subtype=subtype)
    path = export.to_zip(tmp_path / "export.zip")
    summary = SlackChatLoader(path).inspect()
    assert dict(summary.skipped) == {"system": 1}
    assert summary.details["system"] == {subtype: 1}


def test_a_me_message_is_text(tmp_path: Path) -> None:
    export, general = workspace()
    general.says("U1", "waves", subtype="me_message")
    assert only_message(export.to_zip(tmp_path / "export.zip")).content == "waves"


# Texts, files, reactions.


FILE = {"name": "cat.jpg", "mimetype": "image/jpeg", "mode": "hosted"}
JPEG = {"type": "photo", "mime_type": "image/jpeg"}
HIDDEN = {"id": "F1", "mode": "tombstone"}


@pytest.mark.parametrize(
    ("files", "attachment"),
    [
        (
            {"files": [FILE]},
            {"type": "photo", "name": "cat.jpg", "mime_type": "image/jpeg"},
        ),
        (
            {"file": FILE, "upload": True},
            {"type": "photo", "name": "cat.jpg", "mime_type": "image/jpeg"},
        ),
        ({"files": [HIDDEN]}, {"type": "file"}),
        ({"files": [{**FILE, "mode": "hidden_by_limit"}]}, JPEG),
        ({"files": [{"id": "F1", "file_access": "access_denied"}]}, {"type": "file"}),
        (
            {"files": [{"mimetype": "image/gif"}]},
            {"type": "gif", "mime_type": "image/gif"},
        ),
    ],
)
def test_files_are_attachments(
    tmp_path: Path, files: dict[str, Any], attachment: dict[str, str]
) -> None:
    export, general = workspace()
    general.says("U1", "", **files)
    path = export.to_zip(tmp_path / "export.zip")
    assert skipped(path) == {"media": 1}
    message = only_message(path, keep="media")
    assert message.content == f"[{attachment['type']}]"
    assert message.additional_kwargs["attachments"] == [attachment]


def test_a_caption_is_the_text(tmp_path: Path) -> None:
    export, general = workspace()
    general.says("U1", "my cat", subtype="file_share", files=[FILE])
    assert only_message(export.to_zip(tmp_path / "export.zip")).content == "my cat"


def test_the_old_sentence_of_a_shared_file_leaves_its_comment(tmp_path: Path) -> None:
    export, general = workspace()
    shared = "<@U1|ann> uploaded a file: <https://files.slack.com/x|cat.jpg>"
    general.says("U1", shared, subtype="file_share", file=FILE)
    general.says("U1", f"{shared} and commented: my cat", subtype="file_share")
    path = export.to_zip(tmp_path / "export.zip")
    assert loaded(path) == {"C1": [("Ann", "my cat")]}
    assert skipped(path) == {"media": 1}


def test_an_old_comment_on_a_file_is_its_authors(tmp_path: Path) -> None:
    export, general = workspace()
    comment = {"user": "U2", "comment": "nice &amp; warm"}
    text = "<@U2> commented on <@U1>'s file"
    general.says(None, text, subtype="file_comment", comment=comment)
    assert loaded(export.to_zip(tmp_path / "export.zip")) == {
        "C1": [("Bo", "nice & warm")]
    }


def test_a_shared_message_is_nobodys_text(tmp_path: Path) -> None:
    export, general = workspace()
    shared = {"is_share": True, "text": "theirs", "from_url": "https://s/1"}
    general.says("U1", "look", attachments=[shared])
    general.says("U1", "", attachments=[{"is_share": True, "text": "theirs"}])
    general.says("U1", "https://a.b", attachments=[{"title": "a preview"}])
    path = export.to_zip(tmp_path / "export.zip")
    assert skipped(path) == {"media": 1}
    (session,) = SlackChatLoader(path).load()
    assert [str(message.content) for message in session["messages"]] == [
        *("look", "https://a.b")
    ]
    first, second = (message.additional_kwargs for message in session["messages"])
    assert first["attachments"] == [
        {"type": "link", "uri": "https://s/1", "text": "theirs"}
    ]
    assert "attachments" not in second


def test_reactions_name_who_reacted_as_far_as_known(tmp_path: Path) -> None:
    export, general = workspace()
    reactions = [
        {"name": "thumbsup::skin-tone-3", "users": ["U2", "U1"], "count": 2},
        {"name": "tada", "users": ["U2"], "count": 40},
    ]
    general.says("U1", "Hello", reactions=reactions)
    message = only_message(export.to_zip(tmp_path / "export.zip"))
    assert message.additional_kwargs["reactions"] == [
        {"reaction": ":thumbsup::skin-tone-3:", "sender": "Bo"},
        {"reaction": ":thumbsup::skin-tone-3:", "sender": "Ann"},
        {"reaction": ":tada:", "sender": "Bo"},
        {"reaction": ":tada:", "sender": "unknown", "count": 39},
    ]


def test_blocks_are_read_where_there_is_no_text(tmp_path: Path) -> None:
    export, general = workspace()
    elements = [
        {"type": "text", "text": "a < b & "},
        {"type": "user", "user_id": "U2"},
        {"type": "emoji", "name": "tada"},
        {"type": "link", "url": "https://a.b"},
    ]
    rich = {"type": "rich_text", "elements": [{"elements": elements}]}
    section = {
        "type": "section",
        "text": {"type": "mrkdwn", "text": "*Build* for <@U1>"},
        "fields": [{"text": "green"}],
    }
    general.says("U1", "", blocks=[rich])
    general.says("U9", "", blocks=[section])
    general.says("U1", "the text", blocks=[section])
    path = export.to_zip(tmp_path / "export.zip")
    assert loaded(path, keep="bot")["C1"] == [
        ("Ann", "a < b & @Bo:tada:https://a.b"),
        ("Build", "*Build* for @Ann\ngreen"),
        ("Ann", "the text"),
    ]


def test_a_channel_may_be_called_attachments(tmp_path: Path) -> None:
    export, general = workspace()
    general.says("U1", "Hello")
    export.channel("C2", "attachments").says("U2", "Hi")
    saved = '[{"ts": "1.0", "text": "no"}]'
    export.others["attachments/attachments/2024-05-01.json"] = saved
    export.others["__uploads/F1/2024-05-01.json"] = saved
    path = export.to_zip(tmp_path / "export.zip")
    assert loaded(path) == {"C2": [("Bo", "Hi")], "C1": [("Ann", "Hello")]}
    assert SlackChatLoader(path).inspect().details["other_files"] == 2


def test_slackdump_may_save_a_thread_beside_its_channel(tmp_path: Path) -> None:
    reply = {"ts": stamp(1, 2), "thread_ts": stamp(1, 1), "user": "U1", "text": "Reply"}
    root = {**reply, "ts": stamp(1, 1), "text": "Root"}
    channel = {"channel_id": "C7", "name": "dumped", "messages": [root]}
    thread = {**channel, "thread_ts": stamp(1, 1), "messages": [root, reply]}
    (tmp_path / "C7.json").write_text(json.dumps(channel, indent=2))
    (tmp_path / f"C7-{stamp(1, 1)}.json").write_text(json.dumps(thread))
    (tmp_path / "Archive.json").write_text("{}")
    assert loaded(tmp_path) == {
        "C7": [("U1", "Root")],
        f"C7:{stamp(1, 1)}": [("U1", "Root"), ("U1", "Reply")],
    }
    assert isinstance(open_export(tmp_path).loader, SlackChatLoader)


def test_a_conversation_may_be_in_several_zips(tmp_path: Path) -> None:
    for number in (1, 2):
        export, general = workspace()
        general.says("U1", f"part {number}", day=number)
        if number == 2:
            general.says("U2", "a reply", day=2, thread_ts=stamp(1, 1))
        export.to_zip(tmp_path / f"{number}.zip")
    root = stamp(1, 1)
    assert loaded(tmp_path) == {
        "C1": [("Ann", "part 1"), ("Ann", "part 2")],
        f"C1:{root}": [("Bo", "a reply")],
    }


def test_people_of_two_workspaces_are_told_apart(tmp_path: Path) -> None:
    for number in (1, 2):
        export = SlackExport()
        export.user(f"U{number}", "Ann")
        export.channel(f"C{number}", "general").says(f"U{number}", "Hello")
        export.to_folder(tmp_path / f"team{number}")
    assert loaded(tmp_path) == {
        "C1": [("Ann (U1)", "Hello")],
        "C2": [("Ann (U2)", "Hello")],
    }


@pytest.mark.parametrize(("name", "is_group"), [("D01ABCDEF", False), ("d1", True)])
def test_a_folder_in_no_list_is_a_direct_message_by_its_id(
    tmp_path: Path, name: str, is_group: bool
) -> None:
    export, _ = workspace()
    export.folder(name).says("U1", "Hello")
    (session,) = SlackChatLoader(export.to_zip(tmp_path / "export.zip")).load()
    assert metadata_of(session)["is_group"] is is_group
