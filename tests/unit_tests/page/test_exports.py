"""The list of exports on the page: the queue, the cards, and the copies of uploads."""

import errno
import shutil
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.chat_sessions import ChatSession

from langchain_chatexports.chat_loaders.imessage import IMessageChatLoader
from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.local_server import DiskFullError
from langchain_chatexports.page.errors import translate_error
from langchain_chatexports.page.exports import ExportList, count_senders, owner_keys
from langchain_chatexports.samples import write_imessage, write_messenger
from tests.unit_tests.builders.whatsapp import WhatsAppChat, write_pair_chat

_SECONDS = 240


@pytest.fixture
def exports(tmp_path: Path) -> ExportList:
    copies = tmp_path / "copies"
    copies.mkdir()
    return ExportList(copies, lambda: None)


def _add(exports: ExportList, *paths: Path) -> None:
    exports.add(paths)
    exports.join(_SECONDS)


def _drop(exports: ExportList, path: Path, batch: str = "1") -> None:
    """Upload a file, or the files of a folder, as the browser does."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    for file in filter(Path.is_file, files):
        target = exports.receive_file(batch, str(file.relative_to(path.parent)))
        assert target is not None
        shutil.copy(file, target)
    exports.end_upload(batch, path.name, is_complete=True)
    exports.join(_SECONDS)


def _states(exports: ExportList) -> list[tuple[str, str]]:
    return [(card.name, card.state) for card in exports.cards]


def _copies(exports: ExportList) -> list[Path]:
    return [path for path in exports._folder.rglob("*") if path.is_file()]


def test_exports_are_added_and_removed(exports: ExportList, tmp_path: Path) -> None:
    _add(exports, write_messenger(tmp_path / "hogwarts"))
    _add(exports, write_imessage(tmp_path / "chat.db"))
    platforms = [card.summary and card.summary.platform for card in exports.cards]
    assert platforms == ["facebook_messenger", "imessage"]
    assert count_senders(exports.cards)["Hare"] > 0
    assert owner_keys(exports.cards) == {name_key("Harry Potter")}
    exports.remove(exports.cards[0].id)
    assert owner_keys(exports.cards) == set()
    exports.remove(exports.cards[0].id)
    assert count_senders(exports.cards) == {}


def test_bad_file_does_not_affect_others(exports: ExportList, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no chat")
    chats = write_imessage(tmp_path / "chat.db")
    _add(exports, tmp_path / "notes.txt", chats, tmp_path / "nowhere")
    assert _states(exports) == [
        ("notes.txt", "failed"),
        ("chat.db", "read"),
        ("nowhere", "failed"),
    ]
    assert "This does not look like a chat" in str(exports.cards[0].work.error)
    assert "There is no such file or folder" in str(exports.cards[2].work.error)


def test_truncated_file_is_reported_as_damaged(
    exports: ExportList, tmp_path: Path
) -> None:
    chat = WhatsAppChat.ios().says("Ann", "Hi!").to_zip(tmp_path / "chat.zip")
    chat.write_bytes(chat.read_bytes()[:-40])
    _drop(exports, chat)
    assert "This file is damaged or incomplete" in str(exports.cards[0].work.error)


@pytest.mark.parametrize(
    "error",
    [
        DiskFullError("any text"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_full_disk_is_reported(error: Exception) -> None:
    assert str(translate_error(error).message).startswith(
        "The disk is full or almost full"
    )


def test_whatsapp_chats_share_one_card(exports: ExportList, tmp_path: Path) -> None:
    for name in ("Ann", "Ben", "Cleo"):
        chat = WhatsAppChat.android().says(name, "Hi!").says("Me", f"Hello {name}")
        _drop(exports, chat.to_file(tmp_path / f"WhatsApp Chat with {name}.txt"), name)
    (card,) = exports.cards
    assert card.summary is not None
    assert (card.summary.sessions, card.summary.kept) == (3, 6)


def test_same_export_is_added_once(exports: ExportList, tmp_path: Path) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    folder = write_messenger(tmp_path / "hogwarts")
    _drop(exports, chats)
    _drop(exports, folder, "2")
    shutil.copy(chats, tmp_path / "copy.db")
    _drop(exports, tmp_path / "copy.db", "3")
    _drop(exports, folder, "4")
    path = exports.cards[0].paths[0]
    _add(exports, path)
    _drop(exports, folder, "5")
    names = "copy.db", "hogwarts", "chat.db"
    assert _states(exports) == [
        *(("chat.db", "read"), ("hogwarts", "read")),
        *((name, "repeated") for name in names),
    ]
    assert path.exists()
    assert len(_copies(exports)) == 1 + len([*folder.rglob("*.json")])
    # Without the chats, it would be untrue.
    exports.remove(exports.cards[0].id)
    assert _states(exports) == [("hogwarts", "read")]


def test_messages_of_two_exports_are_counted_once(
    exports: ExportList, tmp_path: Path
) -> None:
    chat = WhatsAppChat.android()
    for number in range(6):
        chat.says("Ann", f"This is the message number {number}.")
    _add(exports, chat.to_file(tmp_path / "WhatsApp Chat with Ann.txt"))
    chat.says("Ann", "And another one.")
    (tmp_path / "later").mkdir()
    _add(exports, chat.to_file(tmp_path / "later" / "WhatsApp Chat with Ann.txt"))
    summaries = [card.summary for card in exports.cards]
    assert sum(summary.kept for summary in summaries if summary) == 7


def test_reading_can_be_canceled(
    exports: ExportList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, resume = threading.Event(), threading.Event()
    read = IMessageChatLoader._sessions

    def read_after_event(
        loader: IMessageChatLoader, build: Any, reading: Reading
    ) -> Iterator[ChatSession]:
        started.set()
        resume.wait(_SECONDS)
        yield from read(loader, build, reading)

    monkeypatch.setattr(IMessageChatLoader, "_sessions", read_after_event)
    messenger = write_messenger(tmp_path / "hogwarts")
    exports.add([write_imessage(tmp_path / "chat.db"), messenger])
    started.wait(_SECONDS)
    card = exports.cards[0]
    assert card.state == "reading"
    exports.remove(card.id)
    resume.set()
    exports.join(_SECONDS)
    assert _states(exports) == [("hogwarts", "read")]


def test_dropped_folder_keeps_its_structure(
    exports: ExportList, tmp_path: Path
) -> None:
    _drop(exports, write_messenger(tmp_path / "hogwarts"))
    assert _states(exports) == [("hogwarts", "read")]
    assert _copies(exports)
    exports.remove(exports.cards[0].id)
    assert not _copies(exports)


def test_failed_or_canceled_upload_leaves_no_copy(
    exports: ExportList, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no chat")
    _drop(exports, tmp_path / "notes.txt")
    assert _states(exports) == [("notes.txt", "failed")]
    assert not _copies(exports)
    target = exports.receive_file("2", "half.zip")
    assert target is not None
    target.write_bytes(b"PK")
    exports.remove(exports.cards[-1].id)
    assert exports.receive_file("2", "half.zip") is None
    assert not exports.count_bytes("2", 1)
    exports.end_upload("2", "half.zip", is_complete=True)
    assert not _copies(exports)
    assert _states(exports) == [("notes.txt", "failed")]


def test_folder_of_photos_is_said(exports: ExportList) -> None:
    exports.end_upload("1", "Holidays", is_complete=True)
    assert _states(exports) == [("Holidays", "failed")]
    assert "only photos and videos" in str(exports.cards[0].work.error)


def test_aborted_upload_is_said(exports: ExportList) -> None:
    assert exports.receive_file("1", "half.zip")
    assert exports.count_bytes("1", 2)
    (card,) = exports.cards
    assert (card.state, card.copied_bytes) == ("copying", 2)
    exports.end_upload("1", "", is_complete=False)
    (card,) = exports.cards
    assert card.state == "failed"
    assert "The file was not copied completely" in str(card.work.error)


def test_full_disk_during_an_upload_is_said_once(exports: ExportList) -> None:
    assert exports.receive_file("1", "large.zip")
    exports.fail_upload("1", OSError(errno.ENOSPC, "No space left on device"))
    assert not exports.count_bytes("1", 1)
    assert exports.receive_file("1", "more.zip") is None
    exports.end_upload("1", "large.zip", is_complete=True)
    (card,) = exports.cards
    assert "The disk is full or almost full" in str(card.work.error)
    assert not _copies(exports)


def test_card_lists_skipped_files(
    exports: ExportList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "chats"
    write_pair_chat(folder / "WhatsApp Chat with Ann.txt", "Ann", "Ben")
    (folder / "WhatsApp Chat with Cleo.txt").write_text("cut off")
    several = tmp_path / "several"
    shutil.copytree(write_messenger(tmp_path / "hogwarts"), several / "hogwarts")
    write_imessage(several / "chat.db")
    (several / "recipe.pdf").write_bytes(b"%PDF-1")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(
            warnings,
            "showwarning",
            lambda warning, *_, **__: exports.add_warning(warning),
        )
        _drop(exports, folder)
        _add(exports, several)
    names = [card.skipped_files for card in exports.cards]
    assert names == [("WhatsApp Chat with Cleo.txt",), ("recipe.pdf",), ()]
    # These warnings have sentences of the page.
    assert not any(card.warnings for card in exports.cards)


def test_chat_from_two_phones_is_found(exports: ExportList, tmp_path: Path) -> None:
    mine = write_pair_chat(tmp_path / "WhatsApp Chat with Mum.txt", "Mum", "Jo")
    hers = write_pair_chat(
        tmp_path / "WhatsApp Chat with Jo K.txt", "Petra", "Jo K", first=12
    )
    other = WhatsAppChat.android().says("Al", "This is another.").says("Jo", "It is.")
    _add(exports, mine, hers, other.to_file(tmp_path / "WhatsApp Chat with Al.txt"))
    (pair,) = [pair for card in exports.cards for pair in card.duplicates]
    assert {pair.first.title, pair.second.title} == {"Mum", "Jo K"}
    assert pair.chat_to_exclude("Petra").title == "Mum"
    assert pair.chat_to_exclude("Mum").title == "Jo K"
    assert pair.chat_to_exclude("") == pair.second


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("..", "export"),
        ("..\\..\\x.zip", "x.zip"),
        ("a\nb\0.zip", "ab.zip"),
        ("é" * 300 + ".zip", "é" * 98 + ".zip"),
        ("漢" * 100 + ".zip", "漢" * 65 + ".zip"),
    ],
)
def test_dropped_file_stays_in_its_folder(
    exports: ExportList, name: str, kept: str
) -> None:
    copies = [exports.receive_file(batch, name) for batch in ("1", "2")]
    assert [copy and copy.name for copy in copies] == [kept, kept]
    assert len({copy and copy.parent for copy in copies}) == len(copies)
    assert all(copy and copy.is_relative_to(exports._folder) for copy in copies)


@pytest.mark.parametrize(
    "path", ["../../../etc/passwd", "a/../../../b.json", "/etc/passwd", "a//b/../c"]
)
def test_dropped_folder_stays_in_copies(exports: ExportList, path: str) -> None:
    target = exports.receive_file("1", path)
    assert target is not None
    assert target.resolve().is_relative_to(exports._folder.resolve())


def test_typed_path_is_never_deleted(exports: ExportList, tmp_path: Path) -> None:
    """A path through the folder of copies can lead out of it."""
    mine = tmp_path / "Documents" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("no chat")
    target = exports.receive_file("1", "a.zip")
    assert target is not None
    copies = target.parent
    up = copies.joinpath(*[".."] * (len(copies.parts) - 1))
    linked = copies / "linked"
    linked.symlink_to(mine.parent)
    for typed in (
        up.joinpath(*mine.parts[1:]),
        up.joinpath(*mine.parts[1:]).with_name("none"),
        linked / "notes.txt",
        linked / "none",
    ):
        _add(exports, typed)
        assert exports.cards[-1].work.error
        exports.remove(exports.cards[-1].id)
        assert mine.read_text() == "no chat"
