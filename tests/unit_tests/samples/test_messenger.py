from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports import (
    ChatExportError,
    ChunkSessions,
    ExportAccessError,
    ExportFormatError,
    FolderFacebookMessengerChatLoader,
    MapAIMessages,
    MergeChatRuns,
    SingleFileFacebookMessengerChatLoader,
)
from langchain_chatexports.samples import write_messenger
from langchain_chatexports.samples.messenger import _STRIDE, _THREADS
from langchain_chatexports.samples.scenes import read_scenes

if TYPE_CHECKING:
    from typing import Any


FRIENDS = [
    "Ginny Weasley",
    "Hermione Granger",
    "Luna Lovegood",
    "Ron Weasley",
    "Sirius Black",
    "Draco Malfoy",
    "Rubeus Hagrid",
    "Neville Longbottom",
    "Severus Snape",
]
SIZES = [72, 66, 82, 84, 78, 82, 70, 73, 56]
MERGED_SIZES = [71, 66, 82, 83, 71, 76, 70, 73, 55]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_messenger(tmp_path_factory.mktemp("sample") / "hogwarts")


@pytest.fixture(scope="module")
def sessions(folder: Path) -> list[Any]:
    return FolderFacebookMessengerChatLoader(folder).load()


def thread_files(folder: Path) -> list[Path]:
    found = folder.glob("inbox/*/messages_*.json")
    return sorted(found, key=lambda file: file.relative_to(folder).as_posix())


def threads(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_bytes()) for file in thread_files(folder)]


def repaired(text: str) -> str:
    return text.encode("latin-1").decode("utf-8")


def senders(session: Any) -> set[str]:
    return {message.additional_kwargs["sender"] for message in session["messages"]}


def test_sessions_come_in_code_point_order_of_their_folders(
    sessions: list[Any],
) -> None:
    friends = [(senders(session) - {"Harry Potter"}).pop() for session in sessions]

    assert friends == FRIENDS


def test_no_message_is_left_out(folder: Path) -> None:
    summary = FolderFacebookMessengerChatLoader(folder).inspect()

    assert (summary.sessions, summary.found, summary.kept) == (9, 663, 663)


def test_the_owner_is_found(folder: Path) -> None:
    assert FolderFacebookMessengerChatLoader(folder).inspect().owner == "Harry Potter"


def test_sizes(sessions: list[Any]) -> None:
    assert [len(session["messages"]) for session in sessions] == SIZES


def test_sizes_after_merging_runs(sessions: list[Any]) -> None:
    merged = MergeChatRuns().invoke(sessions)

    assert [len(session["messages"]) for session in merged] == MERGED_SIZES


def test_the_tutorials_rule_gives_a_hundred_windows(
    sessions: list[Any],
) -> None:
    prepare = MergeChatRuns() | MapAIMessages(sender="Harry Potter") | ChunkSessions()

    windows = prepare.invoke(sessions)

    assert len(windows) == 100
    assert {len(window["messages"]) for window in windows} == {8}


def test_texts_stay_in_the_order_in_which_they_were_sent(
    folder: Path, sessions: list[Any]
) -> None:
    written = [
        [
            (repaired(row["sender_name"]), repaired(row["content"]))
            for row in thread["messages"]
        ]
        for thread in threads(folder)
    ]

    loaded = [
        [(m.additional_kwargs["sender"], m.content) for m in session["messages"]]
        for session in sessions
    ]

    assert loaded == written


def test_one_thread_holds_52_ties(folder: Path) -> None:
    ties = [
        sum(
            before["timestamp_ms"] == after["timestamp_ms"]
            for before, after in zip(
                thread["messages"], thread["messages"][1:], strict=False
            )
        )
        for thread in threads(folder)
    ]

    assert ties == [0, 0, 0, 0, 52, 0, 0, 0, 0]


def test_files_are_oldest_first(folder: Path) -> None:
    for thread in threads(folder):
        times = [row["timestamp_ms"] for row in thread["messages"]]
        assert times == sorted(times)


def test_a_single_file_is_one_session(folder: Path) -> None:
    loader = SingleFileFacebookMessengerChatLoader(
        folder / "inbox" / "HermioneGranger" / "messages_Hermione_Granger.json"
    )

    (session,) = loader.load()

    assert [message.content for message in session["messages"][:3]] == [
        "Hi Hermione! How's your summer going so far?",
        "Very well. I've read eleven books and been rained on in four countries.",
        "I've read half of one. It was about fishing and I'm not sure why I started.",
    ]


def test_each_thread_opens_with_its_own_lines(folder: Path) -> None:
    scenes = read_scenes("hogwarts.txt")

    for friend, thread in zip(FRIENDS, threads(folder), strict=True):
        opening = [line.text for line in scenes[f"{friend}: opening"]]
        said = [repaired(row["content"]) for row in thread["messages"]]
        assert said[: len(opening)] == opening


def test_files_are_where_the_tutorial_has_them(folder: Path) -> None:
    names = [file.relative_to(folder).as_posix() for file in thread_files(folder)]

    assert names == [
        "inbox/GinnyWeasley/messages_Ginny_Weasley.json",
        "inbox/HermioneGranger/messages_Hermione_Granger.json",
        "inbox/LunaLovegood/messages_Luna_Lovegood.json",
        "inbox/RonWeasley/messages_Harry_Potter.json",
        "inbox/SiriusBlack/messages_Sirius_Black.json",
        "inbox/dracomalfoy/messages_Draco_Malfoy.json",
        "inbox/hagrid/messages_Hagrid.json",
        "inbox/nevillelongbottom/messages_Neville.json",
        "inbox/severussnape/messages_Severus_Snape.json",
    ]


def test_files_have_the_exports_keys(folder: Path) -> None:
    for thread in threads(folder):
        assert sorted(thread) == [
            "is_still_participant",
            "magic_words",
            "messages",
            "participants",
            "thread_path",
            "title",
        ]
        assert {tuple(sorted(row)) for row in thread["messages"]} == {
            ("content", "sender_name", "timestamp_ms")
        }


def test_one_thread_path_ends_in_a_slash(folder: Path) -> None:
    ends = [thread["thread_path"].endswith("/") for thread in threads(folder)]

    assert ends.count(True) == 1


def test_the_owners_place_among_the_participants_varies(folder: Path) -> None:
    places = {
        [person["name"] for person in thread["participants"]].index("Harry Potter")
        for thread in threads(folder)
    }

    assert places == {0, 1}


def test_files_are_ascii_with_the_exporters_escapes(folder: Path) -> None:
    raw = b"".join(file.read_bytes() for file in thread_files(folder))

    assert raw.isascii()
    assert b"d\\u00c3\\u00a9j\\u00c3\\u00a0 vu" in raw
    assert b"\\u00f0\\u009f\\u008c\\u0099" in raw
    assert set(re.findall(rb"\\u(..)", raw)) == {b"00"}


def test_accents_and_emoji_are_loaded_as_they_were_typed(
    sessions: list[Any],
) -> None:
    texts = " ".join(m.content for s in sessions for m in s["messages"])

    assert "déjà vu" in texts
    assert "🌙" in texts


def test_no_slot_is_left_open(sessions: list[Any]) -> None:
    assert not any(
        set(message.content) & set("{}")
        for session in sessions
        for message in session["messages"]
    )


def test_every_exchange_is_drawn() -> None:
    scenes = read_scenes("hogwarts.txt")

    for thread in _THREADS:
        common = scenes.get(thread.common or "", [])
        size = len(scenes[f"{thread.friend}: exchanges"] + common) // 2
        drawn = {index * _STRIDE % size for index in range(thread.exchanges)}
        assert len(drawn) == size


def test_the_bytes_never_change(folder: Path) -> None:
    content = b"".join(file.read_bytes() for file in thread_files(folder))

    assert hashlib.sha256(content).hexdigest() == (
        "6841ced14884575c020aeed445d9c3fb0c5640fe83e087e244c408fb85df7b9e"
    )


def test_two_writes_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    again = write_messenger(tmp_path / "deep" / "hogwarts")

    for file in thread_files(folder):
        assert (again / file.relative_to(folder)).read_bytes() == file.read_bytes()


def test_nothing_is_left_beside_the_folder(folder: Path) -> None:
    assert [file.name for file in folder.parent.iterdir()] == ["hogwarts"]
    assert sorted(file.name for file in folder.iterdir()) == ["README.txt", "inbox"]


def test_a_text_is_taken_as_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert write_messenger() == Path("hogwarts")
    assert len(thread_files(Path("hogwarts"))) == 9


def test_an_earlier_sample_is_replaced(tmp_path: Path) -> None:
    folder = write_messenger(tmp_path / "hogwarts")
    changed, missing, *_ = thread_files(folder)
    before = changed.read_bytes()
    changed.write_bytes(b"{}")
    missing.unlink()

    write_messenger(folder)

    assert changed.read_bytes() == before
    assert len(thread_files(folder)) == 9


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    assert len(thread_files(write_messenger(tmp_path))) == 9


def test_a_strangers_folder_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "inbox" / "HermioneGranger" / "messages_Hermione_Granger.json"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"{}")

    with pytest.raises(ExportFormatError, match=re.escape(str(tmp_path))):
        write_messenger(tmp_path)

    assert theirs.read_bytes() == b"{}"
    assert [file.name for file in tmp_path.iterdir()] == ["inbox"]


def test_a_file_of_that_name_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "hogwarts"
    target.write_bytes(b"mine")

    with pytest.raises(ExportFormatError, match=re.escape(str(target))):
        write_messenger(target)

    assert target.read_bytes() == b"mine"


def test_a_failure_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "langchain_chatexports.samples.messenger.read_scenes", lambda _: {}
    )

    with pytest.raises(KeyError):
        write_messenger(tmp_path / "hogwarts")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["mkdir", "replace"])
@pytest.mark.parametrize("kind", [PermissionError, OSError])
def test_a_refusal_of_the_system_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, kind: type[Any]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise kind(errno.EACCES if kind is PermissionError else errno.ENOSPC, "no")

    target = tmp_path / "hogwarts"
    monkeypatch.setattr(Path, call, refuse)
    expected = ExportAccessError if kind is PermissionError else ExportFormatError
    with pytest.raises(expected, match=re.escape(f"{target} cannot be written")):
        write_messenger(target)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    sys.platform == "win32" or getattr(os, "geteuid", lambda: 0)() == 0,
    reason="root writes everywhere",
)
def test_a_read_only_folder_is_one_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ExportAccessError, match="a folder of your own"):
            write_messenger(tmp_path / "hogwarts")
    finally:
        tmp_path.chmod(0o700)


def test_a_path_below_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ChatExportError, match="cannot be written"):
        write_messenger(tmp_path / "file" / "below" / "hogwarts")


@pytest.mark.skipif(sys.platform == "win32", reason="the whole path has a limit there")
def test_the_longest_name_is_written(tmp_path: Path) -> None:
    write_messenger(tmp_path / ("a" * 255))
