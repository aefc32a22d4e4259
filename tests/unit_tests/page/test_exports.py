"""Exports on the page: the queue, its cards, and the copies of what is dropped."""

import errno
import shutil
import threading
import warnings
from pathlib import Path

import pytest

from langchain_chatexports.chat_loaders.counts import Reading
from langchain_chatexports.chat_loaders.imessage import IMessageChatLoader
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.page.errors import explain
from langchain_chatexports.page.exports import ExportList
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
    """Send a file, or the files of a folder, as the browser does."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    for file in filter(Path.is_file, files):
        arriving = exports.receive(batch, str(file.relative_to(path.parent)))
        assert arriving is not None
        shutil.copy(file, arriving[1])
    exports.received(batch, path.name)
    exports.join(_SECONDS)


def _states(exports: ExportList) -> list[tuple[str, str]]:
    return [(card.name, card.state) for card in exports.cards]


def _copies(exports: ExportList) -> list[Path]:
    return [path for path in exports._folder.rglob("*") if path.is_file()]


def test_exports_are_added_and_removed(exports: ExportList, tmp_path: Path) -> None:
    _add(exports, write_messenger(tmp_path / "hogwarts"))
    _add(exports, write_imessage(tmp_path / "chat.db"))
    assert exports.read is not None
    platforms = [one.platform for one in exports.read.summaries]
    assert platforms == ["facebook_messenger", "imessage"]
    assert exports.read.senders["Hare"] > 0
    assert exports.read.owners == []
    exports.remove(exports.cards[1])
    assert exports.read.owners == ["Harry Potter"]
    exports.remove(exports.cards[0])
    assert exports.read is None


def test_a_bad_file_leaves_the_good_ones_beside_it(
    exports: ExportList, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no chat")
    chats = write_imessage(tmp_path / "chat.db")
    _add(exports, tmp_path / "notes.txt", chats, tmp_path / "nowhere")
    assert _states(exports) == [
        ("notes.txt", "failed"),
        ("chat.db", "read"),
        ("nowhere", "failed"),
    ]
    assert "No export was recognized" in str(exports.cards[0].work.error)
    assert "There is nothing at" in str(exports.cards[2].work.error)


def test_a_file_that_was_cut_off_is_told_from_what_is_no_export(
    exports: ExportList, tmp_path: Path
) -> None:
    whole = WhatsAppChat.ios().says("Ann", "Hi!").to_zip(tmp_path / "whole.zip")
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole.read_bytes()[:-40])
    _drop(exports, cut)
    (card,) = exports.cards
    assert card.work.error is not None
    assert card.work.error.sentence.one.startswith("This file is damaged or incomplete")


@pytest.mark.parametrize(
    "error",
    [
        LocalServerError("The disk with /data has 3 MB free, and a training needs"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_a_full_disk_is_said(error: Exception) -> None:
    assert str(explain(error).sentence).startswith("The disk is full, or nearly so")


def test_chats_of_whatsapp_join_one_card(exports: ExportList, tmp_path: Path) -> None:
    for name in ("Ann", "Ben", "Cleo"):
        chat = WhatsAppChat.android().says(name, "Hi!").says("Me", f"Hello {name}")
        _drop(exports, chat.to_file(tmp_path / f"WhatsApp Chat with {name}.txt"), name)
    (card,) = exports.cards
    assert card.summary is not None
    assert (card.summary.sessions, card.summary.kept) == (3, 6)


def test_what_is_given_twice_is_learned_once(
    exports: ExportList, tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    _drop(exports, chats)
    shutil.copy(chats, tmp_path / "copy.db")
    _drop(exports, tmp_path / "copy.db", "2")
    summaries = [card.summary for card in exports.cards]
    counts = [(one.kept, one.skipped.get("duplicate")) for one in summaries if one]
    assert counts == [(223, None), (0, 223)]
    path = exports.cards[0].paths[0]
    _add(exports, path)
    assert len(exports.cards) == 2
    assert [*map(str, exports.notes)] == ["chat.db is in the list already."]
    assert path.exists()


def test_reading_can_be_cancelled(
    exports: ExportList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()
    read = IMessageChatLoader.read

    def slowly(loader: IMessageChatLoader) -> Reading:
        begun.set()
        may_end.wait(_SECONDS)
        return read(loader)

    monkeypatch.setattr(IMessageChatLoader, "read", slowly)
    chats = write_imessage(tmp_path / "chat.db")
    threads = write_messenger(tmp_path / "hogwarts")
    exports.add([chats, threads])
    begun.wait(_SECONDS)
    card = exports.cards[0]
    assert card.state == "reading"
    exports.remove(card)
    may_end.set()
    card.work.join(_SECONDS)
    exports.join(_SECONDS)
    assert _states(exports) == [("hogwarts", "read")]


def test_a_dropped_folder_keeps_its_structure(
    exports: ExportList, tmp_path: Path
) -> None:
    _drop(exports, write_messenger(tmp_path / "hogwarts"))
    assert _states(exports) == [("hogwarts", "read")]
    assert _copies(exports)
    exports.remove(exports.cards[0])
    assert not _copies(exports)


def test_what_fails_or_is_cancelled_leaves_no_copy(
    exports: ExportList, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no chat")
    _drop(exports, tmp_path / "notes.txt")
    assert _states(exports) == [("notes.txt", "failed")]
    assert not _copies(exports)
    arriving = exports.receive("2", "half.zip")
    assert arriving is not None
    card, place = arriving
    place.write_bytes(b"PK")
    exports.remove(card)
    assert exports.receive("2", "half.zip") is None
    exports.received("2", "half.zip")
    assert not _copies(exports)


def test_warnings_name_copies_as_the_person_does(
    exports: ExportList, tmp_path: Path
) -> None:
    _drop(exports, write_imessage(tmp_path / "chat.db"))
    exports.warn(UserWarning(f"{exports.cards[0].paths[0]} is odd. Give --this."))
    assert exports.warnings == ["chat.db is odd."]


def test_what_is_skipped_in_a_folder_is_named_on_its_card(
    exports: ExportList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "chats"
    write_pair_chat(folder / "WhatsApp Chat with Ann.txt", "Ann", "Ben")
    (folder / "WhatsApp Chat with Cleo.txt").write_text("cut off")
    several = tmp_path / "several"
    shutil.copytree(write_messenger(tmp_path / "hogwarts"), several / "hogwarts")
    write_imessage(several / "chat.db")
    (several / "recipe.pdf").write_bytes(b"%PDF-1")

    def note(warning: Warning, *_: object, **_more: object) -> None:
        exports.warn(warning)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", note)
        _drop(exports, folder)
        _add(exports, several)
    names = [card.skipped_files for card in exports.cards]
    assert names == [["WhatsApp Chat with Cleo.txt"], ["recipe.pdf"], []]
    # The page's own sentences are about the rest.
    assert [len(card.warnings) for card in exports.cards] == [1, 1, 0]


def test_a_chat_that_two_phones_exported_is_found_by_its_texts(
    exports: ExportList, tmp_path: Path
) -> None:
    mine = write_pair_chat(tmp_path / "WhatsApp Chat with Mum.txt", "Mum", "Jo")
    hers = write_pair_chat(
        tmp_path / "WhatsApp Chat with Jo K.txt", "Petra", "Jo K", first=12
    )
    other = tmp_path / "WhatsApp Chat with Al.txt"
    WhatsAppChat.android().says("Al", "This is another.").says("Jo", "It is.").to_file(
        other
    )
    _add(exports, mine, hers, other)
    assert exports.read is not None
    (pair,) = exports.read.twins
    assert {pair.one.title, pair.other.title} == {"Mum", "Jo K"}
    assert pair.not_learned("Petra").title == "Mum"
    assert pair.not_learned("Mum").title == "Jo K"
    assert pair.not_learned("") == pair.other
    for name in ("Mum", "Jo K"):
        assert pair.not_learned("", [name]).title != name


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
def test_a_dropped_file_stays_in_its_folder(
    exports: ExportList, name: str, kept: str
) -> None:
    place = exports.new_copy(name)
    assert place.name == kept
    assert place.parent != exports.new_copy(name).parent


@pytest.mark.parametrize(
    "path", ["../../../etc/passwd", "a/../../../b.json", "/etc/passwd", "a//b/../c"]
)
def test_the_files_of_a_dropped_folder_stay_in_it(
    exports: ExportList, path: str
) -> None:
    arriving = exports.receive("1", path)
    assert arriving is not None
    copies = exports._folder.resolve()
    assert arriving[1].resolve().is_relative_to(copies)


def test_a_typed_path_is_never_deleted_wherever_it_leads(
    exports: ExportList, tmp_path: Path
) -> None:
    """A path through the folder of copies can lead out of it again."""
    mine = tmp_path / "Documents" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("no chat")
    copies = exports.new_copy("a.zip").parent
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
        exports.remove(exports.cards[-1])
        assert mine.read_text() == "no chat"
