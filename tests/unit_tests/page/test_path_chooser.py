"""What the chooser of a file or folder shows of a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports.page.path_chooser import list_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_is_shown_by_names_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("chats", "Archive", ".cache"):
        (tmp_path / name).mkdir()
    for name in ("messages.zip", "Chat.txt", ".env"):
        (tmp_path / name).write_text("private")
    found = list_folder(tmp_path)
    assert found.folders == ["Archive", "chats"]
    assert found.files == ["Chat.txt", "messages.zip"]
    assert found.error is None


def test_a_folder_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    found = list_folder(tmp_path / "gone")
    assert (found.folders, found.files) == ([], [])
    assert "No such file" in str(found.error)
