import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import ExportFormatError, FolderFacebookMessengerChatLoader
from langchain_chatexports.samples import write_messenger

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


def test_files_are_oldest_first(folder: Path) -> None:
    for thread in threads(folder):
        times = [row["timestamp_ms"] for row in thread["messages"]]
        assert times == sorted(times)


def test_accents_and_emoji_are_loaded_as_they_were_typed(sessions: list[Any]) -> None:
    texts = " ".join(m.content for s in sessions for m in s["messages"])

    assert "déjà vu" in texts
    assert "🌙" in texts


def test_the_bytes_never_change(folder: Path) -> None:
    content = b"".join(file.read_bytes() for file in thread_files(folder))

    assert hashlib.sha256(content).hexdigest() == (
        "6841ced14884575c020aeed445d9c3fb0c5640fe83e087e244c408fb85df7b9e"
    )


def test_the_same_sample_is_left_as_it_is(tmp_path: Path) -> None:
    folder = write_messenger(tmp_path / "hogwarts")
    (folder / "notes.txt").write_text("mine")
    before = [file.stat().st_mtime_ns for file in thread_files(folder)]

    write_messenger(folder)

    assert [file.stat().st_mtime_ns for file in thread_files(folder)] == before
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_strangers_folder_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "inbox" / "HermioneGranger" / "messages_Hermione_Granger.json"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"{}")

    with pytest.raises(ExportFormatError, match=re.escape(str(tmp_path))):
        write_messenger(tmp_path)

    assert theirs.read_bytes() == b"{}"
    assert [file.name for file in tmp_path.iterdir()] == ["inbox"]
