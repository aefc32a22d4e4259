"""Estimates of the number of messages in exports."""

from pathlib import Path

import pytest

from langchain_chatexports import WhatsAppChatLoader
from langchain_chatexports.chat_loaders import export_file
from langchain_chatexports.chat_loaders.recognition import (
    Export,
    estimate_message_count,
)
from langchain_chatexports.samples import write_imessage, write_messenger
from tests.unit_tests.builders.sessions import open_export


def test_estimate_adds_up_exports(tmp_path: Path) -> None:
    chats = open_export(write_imessage(tmp_path / "chat.db"))
    threads = open_export(write_messenger(tmp_path / "hogwarts"))
    assert estimate_message_count([chats]) == 223
    assert estimate_message_count([threads]) == 663
    assert estimate_message_count([chats, threads]) == 886


def test_estimate_for_long_files_uses_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = open_export(write_messenger(tmp_path / "hogwarts"))
    monkeypatch.setattr(export_file, "_SAMPLE_BYTES", 4096)
    assert estimate_message_count([threads]) == pytest.approx(663, rel=0.2)


def test_estimate_skips_broken_files(tmp_path: Path) -> None:
    write_messenger(tmp_path / "hogwarts")
    (tmp_path / "hogwarts" / "x.zip").write_bytes(b"PK\x03\x04 and no more")
    assert estimate_message_count([open_export(tmp_path / "hogwarts")]) == 663


def test_estimate_is_unknown_if_a_loader_has_none(tmp_path: Path) -> None:
    chats = open_export(write_imessage(tmp_path / "chat.db"))
    loader = WhatsAppChatLoader(tmp_path / "nothing")
    other = Export(path=tmp_path, loader=loader)
    assert estimate_message_count([chats, other]) is None
