"""Recognition of WhatsApp exports by their content and names."""

from pathlib import Path

import pytest

from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
from langchain_chatexports.samples import write_messenger
from tests.unit_tests.builders.whatsapp import WhatsAppChat


def is_recognized(path: Path) -> bool:
    with ExportFiles([path], (".json", ".html", ".htm", ".txt")) as files:
        return WhatsAppChatLoader.matches(files)


def add_messages(chat: WhatsAppChat) -> WhatsAppChat:
    return chat.says("Ann", "Hi!").says("Bob", "Yes?")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("kind", ["ios", "android", "web"])
def test_chat_with_any_name_is_recognized(
    kind: str, encoding: str, tmp_path: Path
) -> None:
    chat = add_messages(getattr(WhatsAppChat, kind)())
    assert is_recognized(chat.to_file(tmp_path / "any.txt", encoding))


def test_text_next_to_another_export_is_ignored(tmp_path: Path) -> None:
    write_messenger(tmp_path / "hogwarts")
    add_messages(WhatsAppChat.android()).to_file(tmp_path / "hogwarts" / "pasted.txt")
    assert not is_recognized(tmp_path / "hogwarts")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("app.txt", "2022-03-18 14:56:01,123 - root - INFO - started: x\n"),
        ("app.txt", "2022-03-18 14:56:01 - INFO: started\n"),
        ("app.txt", "2022-03-18T14:56:01 - INFO: started\n"),
        ("app.txt", "2022-03-18T14:56 - INFO: started\n"),
        ("app.txt", "[2022-03-18T14:56:01] INFO: started\n"),
        ("app.log", "[2022-03-18 14:56:01] local.ERROR: boom\n"),
        ("error.txt", "2022/03/18 14:56:01 [error] 1#1: *1 open() failed: x\n"),
        ("access.txt", '1.2.3.4 - - [18/Mar/2022:14:56:01 +0000] "GET /: x" 200\n'),
        ("irc.txt", "[2022-03-18 14:56:01] <ann> hi: there\n[2022-03-18 14:57:02] y\n"),
        ("irc.txt", "2022-03-18 14:56:01\tann\thi: there\n"),
        ("irc.txt", "14:56 <ann> hi: there\n"),
        ("chat.csv", "18/03/2022, 14:56 - x,Ann,it is: so\n"),
        ("chat.md", "18/03/2022, 14:56 - Ann: Hi!\n"),
        ("telegram.txt", "Ann, [18.03.22 14:56]\nHi!\n"),
        ("subtitles.txt", "1\n00:00:01,000 --> 00:00:02,000\nAnn: Hi!\n"),
        ("notes.txt", "milk, bread\n12/03/2022 honey - soon: yes\n"),
        ("README.txt", "# Hare\n\n2022-03-18: version 1.0 - the first: one\n"),
        ("empty.txt", ""),
        ("blank.txt", "\n\n"),
    ],
)
@pytest.mark.parametrize("is_folder", [False, True])
def test_logs_and_other_chats_are_not_recognized(
    name: str, text: str, is_folder: bool, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert not is_recognized(tmp_path if is_folder else path)


def test_chat_name_without_suffix_is_recognized(tmp_path: Path) -> None:
    chat = add_messages(WhatsAppChat.android())
    assert is_recognized(chat.to_file(tmp_path / "WhatsApp Chat with Ann"))


def test_chat_name_with_a_log_header_is_recognized(tmp_path: Path) -> None:
    path = tmp_path / "WhatsApp Chat with Ann.txt"
    path.write_text("18/03/2022, 14:56:01 - Ann: Hi!\n")
    assert is_recognized(path)
