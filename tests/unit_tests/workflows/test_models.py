"""Models of this machine: find, list, forget and delete."""

import sys
from pathlib import Path

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.samples import write_imessage
from langchain_chatexports.workflows import delete_everything, list_data
from langchain_chatexports.workflows.models import find_tuned_model, match_models
from langchain_chatexports.workflows.search import open_index
from tests.unit_tests.builders.tuned_models import write_model


@pytest.mark.parametrize("name", [None, "Jonas Müller", "jonas muller", "JONAS"])
def test_newest_model_is_found(tmp_path: Path, name: str | None) -> None:
    write_model(tmp_path, "1" * 12, created_at=1, person="Jonas Müller")
    newest = write_model(tmp_path, "2" * 12, created_at=2, person="Jonas Müller")
    assert find_tuned_model(name, tmp_path).name == newest
    assert len(match_models(name, tmp_path)) == (2 if name else 1)


def test_prefix_must_be_unique(tmp_path: Path) -> None:
    name = write_model(tmp_path, "1" * 12, person="Jonas")
    write_model(tmp_path, "2" * 12, person="Jona")
    assert find_tuned_model("jonas", tmp_path).name == name
    with pytest.raises(LocalServerError, match="2 models match 'jo'"):
        find_tuned_model("jo", tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_CACHE_HOME is Linux's")
def test_all_data_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_dir, index_dir = tmp_path / "data", tmp_path / "indexes"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache = tmp_path / "cache" / "langchain-chatexports"
    for name in ("bases", "notes"):
        (cache / name).mkdir(parents=True)
        (cache / name / "model").write_bytes(b"12345")
    write_model(data_dir, "1" * 12)
    chats = write_imessage(tmp_path / "chat.db")
    with open_index(chats, index_dir=index_dir) as opened:
        assert opened.messages_read == 223
    found = list_data(data_dir, index_dir)
    counts = len(found.models), len(found.jobs), len(found.sets), len(found.indexes)
    assert counts == (1, 1, 1, 1)
    assert found.size_bytes > found.indexes[0].stat().st_size
    assert found.cache_bytes == 5
    assert str(found).startswith("1 model, 1 job, 1 file of examples, 1 search index: ")
    delete_everything(data_dir, index_dir)
    remaining = list_data(data_dir, index_dir)
    assert (remaining.size_bytes, remaining.cache_bytes) == (0, 0)
    assert chats.exists()
    assert (cache / "notes" / "model").exists()
