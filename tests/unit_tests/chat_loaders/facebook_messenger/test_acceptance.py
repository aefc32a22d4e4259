r"""One export with everything, its bytes written by hand as the exporters write them.

Nothing here uses the builders: Meta's escapes (`\u00c5\u0091` for "ő") stand in the
files as they are, so that a mistake in our idea of them cannot hide.
"""

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from langchain_chatexports import FolderFacebookMessengerChatLoader
from tests.unit_tests.builders.sessions import said_in

ROOT = "your_facebook_activity/messages"

# Two files of a thread: a tie over their border, what nobody typed, odd letters.
ZSOFI_1 = rb"""{
  "participants": [{"name": "Zs\u00c3\u00b3fi"}, {"name": "Grace Hopper"}],
  "messages": [
    {"sender_name": "Zs\u00c3\u00b3fi", "timestamp_ms": 1700000009000,
     "content": "Zs\u00c3\u00b3fi named the plan Picnic."},
    {"sender_name": "Grace Hopper", "timestamp_ms": 1700000008000,
     "content": "Reacted \u00f0\u009f\u0098\u0082 to your message "},
    {"sender_name": "Zs\u00c3\u00b3fi", "timestamp_ms": 1700000007000,
     "photos": [{"uri": "your_facebook_activity/messages/inbox/zsofi_1/photos/1.jpg",
                 "creation_timestamp": 1700000007}]},
    {"sender_name": "Zs\u00c3\u00b3fi", "timestamp_ms": 1700000006000,
     "content": "J\u00c3\u00b3 j\u00c3\u00a9t! \u00e2\u009d\u00a4",
     "reactions": [{"reaction": "\u00f0\u009f\u0098\u0086",
                    "actor": "Grace Hopper"}]},
    {"sender_name": "Grace Hopper", "timestamp_ms": 1700000005000,
     "content": "h\u00c5\u0091s"}
  ],
  "title": "Zs\u00c3\u00b3fi",
  "is_still_participant": true,
  "thread_path": "inbox/zsofi_1",
  "magic_words": []
}"""
ZSOFI_2 = rb"""{
  "participants": [{"name": "Zs\u00c3\u00b3fi"}, {"name": "Grace Hopper"}],
  "messages": [
    {"sender_name": "Zs\u00c3\u00b3fi", "timestamp_ms": 1700000005000,
     "content": "second of three"},
    {"sender_name": "Zs\u00c3\u00b3fi", "timestamp_ms": 1700000005000,
     "content": "first of three"},
    {"sender_name": "Grace Hopper", "timestamp_ms": 1700000004000,
     "content": "You called Zs\u00c3\u00b3fi.", "call_duration": 61},
    {"sender_name": "Grace Hopper", "timestamp_ms": 1700000003000},
    {"sender_name": "Zs\u00c3\u00b3fi", "timestamp_ms": 1700000002000,
     "content": "regretted", "is_unsent": true}
  ],
  "title": "Zs\u00c3\u00b3fi", "thread_path": "inbox/zsofi_1"
}"""
# Somebody whose chat went over to encryption: the other half is in the storage.
BOB_OLD = rb"""{
  "participants": [{"name": "Bob Ray"}, {"name": "Grace Hopper"}],
  "messages": [
    {"sender_name": "Bob Ray", "timestamp_ms": 1600000001000, "content": "before"}
  ],
  "title": "Bob Ray", "thread_path": "e2ee_cutover/bobray_2"
}"""
BOB_NEW = """{
  "participants": ["Grace Hopper", "Bob Ray"],
  "threadName": "Bob Ray_7",
  "messages": [
    {"isUnsent": false, "media": [], "reactions": [], "senderName": "Grace Hopper",
     "text": "Cześć 😂", "timestamp": 1710000001000, "type": "text"},
    {"isUnsent": true, "media": [], "reactions": [], "senderName": "Bob Ray",
     "text": "User unsent a message", "timestamp": 1710000002000,
     "type": "placeholder"},
    {"isUnsent": false, "media": [{"uri": "Failed to download media"}],
     "reactions": [], "senderName": "Bob Ray", "text": "",
     "timestamp": 1710000003000, "type": "media"}
  ]
}""".encode()
# A group with somebody who left, a deleted account, and lines about the group.
CLUB = rb"""{
  "participants": [{"name": "Bob Ray"}, {"name": "Facebook user"},
                   {"name": "Grace Hopper"}],
  "messages": [
    {"sender_name": "Eve", "timestamp_ms": 1500000005000,
     "content": "Eve left the group."},
    {"sender_name": "Eve", "timestamp_ms": 1500000004000,
     "content": "who added him to the group?"},
    {"sender_name": "Facebook user", "timestamp_ms": 1500000003000,
     "content": "me"},
    {"sender_name": "Bob Ray", "timestamp_ms": 1500000002000,
     "content": "Bob added Eve to the group.", "users": [{"name": "Eve"}]}
  ],
  "title": "The Club", "thread_path": "archived_threads/theclub_3",
  "joinable_mode": {"mode": 1, "link": ""}
}"""
SPAM = rb"""{
  "participants": [{"name": "Casino"}, {"name": "Grace Hopper"}],
  "messages": [{"sender_name": "Casino", "timestamp_ms": 1, "content": "win"}],
  "title": "Casino", "thread_path": "message_requests/casino_4"
}"""
# The first exports: no section, no number, seconds.
OLD = rb"""{
  "participants": [{"name": "Ann"}, {"name": "Grace Hopper"}], "title": "Ann",
  "messages": [
    {"sender_name": "Ann", "timestamp": 1520000000, "content": "hi",
     "type": "Generic"}
  ]
}"""
EMPTY = rb"""{"participants": ["Grace Hopper", "Nobody"], "threadName": "Nobody_1",
  "messages": []}"""
EXPORT = {
    f"{ROOT}/inbox/zsofi_1/message_1.json": ZSOFI_1,
    f"{ROOT}/inbox/Zsofi_1/message_2.json": ZSOFI_2,
    f"{ROOT}/e2ee_cutover/bobray_2/message_1.json": BOB_OLD,
    f"{ROOT}/archived_threads/theclub_3/message_1.json": b"\xef\xbb\xbf" + CLUB,
    f"{ROOT}/message_requests/casino_4/message_1.json": SPAM,
    "messages/Ann_f00-_bar/message.json": OLD,
    "messages/Bob Ray_7.json": BOB_NEW,
    "messages/Nobody_1.json": EMPTY,
    "your_facebook_activity/groups/your_group_messages/3.json": CLUB,
    f"{ROOT}/autofill_information.json": b'{"autofill_information_v2": {}}',
    f"{ROOT}/secret_conversations.json": b'{"secret_conversations_v2": {}}',
    f"{ROOT}/inbox/zsofi_1/photos/1.jpg": b"\xff\xd8\xff",
    f"__MACOSX/{ROOT}/inbox/zsofi_1/._message_1.json": b"\x00\x05\x16\x07",
}
# In code-point order of the folders' names; one of a thread's two begins with "Z".
EXPECTED = {
    "ann_f00-_bar": [("Ann", "hi")],
    "zsofi_1": [
        ("Zsófi", "first of three"),
        ("Zsófi", "second of three"),
        ("Grace Hopper", "hős"),
        ("Zsófi", "Jó jét! ❤"),
    ],
    "bobray_2": [("Bob Ray", "before"), ("Grace Hopper", "Cześć 😂")],
    "theclub_3": [("unknown", "me"), ("Eve", "who added him to the group?")],
}
LEFT_OUT = {
    "duplicate": 4,  # The group's copy.
    "empty": 1,
    "media": 2,
    "reaction": 1,
    "section": 1,
    "system": 4,
    "unsent": 2,
}


def in_one_folder(folder: Path) -> Path:
    for name, data in EXPORT.items():
        path = folder / "export" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / "export"


def write_zip(path: Path, names: Iterable[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, EXPORT[name])
    return path


def in_three_zips(folder: Path) -> Path:
    for part in range(3):
        write_zip(folder / "zips" / f"facebook-{part}.zip", list(EXPORT)[part::3])
    return folder / "zips"


@pytest.mark.parametrize("write", [in_one_folder, in_three_zips])
def test_what_people_typed_is_given_and_the_rest_is_counted(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    loader = FolderFacebookMessengerChatLoader(write(tmp_path))
    assert list(said_in(loader).items()) == list(EXPECTED.items())
    summary = loader.inspect()
    assert summary.skipped == LEFT_OUT
    assert summary.kept == sum(map(len, EXPECTED.values()))
    assert (summary.owner, summary.platform) == ("Grace Hopper", "facebook_messenger")
    assert summary.details["other_files"] == 2
