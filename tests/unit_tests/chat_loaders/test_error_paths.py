"""Errors of the loaders carry the path that they are about."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import (
    FolderFacebookMessengerChatLoader,
    IMessageChatLoader,
    SingleFileFacebookMessengerChatLoader,
)
from langchain_chatexports.chat_loaders.table import TableChatLoader
from langchain_chatexports.exceptions import ChatExportError, ExportNotFoundError
from tests.unit_tests.builders.sessions import open_export

LOADERS = [
    FolderFacebookMessengerChatLoader,
    IMessageChatLoader,
    SingleFileFacebookMessengerChatLoader,
    TableChatLoader,
]


@pytest.mark.parametrize("load", [*LOADERS, open_export])
def test_of_a_missing_export(tmp_path: Path, load: Callable[[Path], Any]) -> None:
    path = tmp_path / "nothing"
    with pytest.raises(ExportNotFoundError) as caught:
        load(path).load()
    assert caught.value.path == path


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("content", [b"plain text", b"{", b"<html>"])
def test_of_a_file_that_is_no_export(
    tmp_path: Path, loader: Callable[[Path], Any], content: bytes
) -> None:
    path = tmp_path / "message_1.json"
    path.write_bytes(content)
    with pytest.raises(ChatExportError) as caught:
        loader(path).load()
    assert caught.value.path == path
