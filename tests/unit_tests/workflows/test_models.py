"""Models of this machine: find, list, forget and delete."""

import sys
from pathlib import Path

import pytest

from langchain_chatexports.local_server import Workspace
from langchain_chatexports.samples import write_imessage
from langchain_chatexports.workflows import delete_everything, list_data
from langchain_chatexports.workflows.search import open_index
from tests.unit_tests.builders.workspaces import add_model


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_CACHE_HOME is Linux's")
def test_all_data_is_deleted(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_dir = tmp_path / "indexes"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache = tmp_path / "cache" / "langchain-chatexports"
    for name in ("bases", "notes"):
        (cache / name).mkdir(parents=True)
        (cache / name / "model").write_bytes(b"12345")
    add_model(workspace)
    chats = write_imessage(tmp_path / "chat.db")
    with open_index(chats, index_dir=index_dir) as opened:
        assert opened.messages_read == 223
    found = list_data(workspace, index_dir)
    counts = (
        len(found.models),
        len(found.snapshot.jobs),
        len(found.snapshot.files),
        len(found.indexes),
    )
    assert counts == (1, 1, 1, 1)
    assert found.size_bytes > found.indexes[0].stat().st_size
    assert found.cache_bytes == 5
    assert str(found).startswith("1 model, 1 job, 1 file of examples, 1 search index: ")
    delete_everything(workspace, index_dir)
    remaining = list_data(workspace, index_dir)
    assert (remaining.size_bytes, remaining.cache_bytes) == (0, 0)
    assert chats.exists()
    assert (cache / "notes" / "model").exists()
