"""What is kept on this machine: found by name, listed, forgotten, deleted."""

import sys
from pathlib import Path

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.samples import write_imessage
from langchain_chatexports.workflows import delete_everything, kept
from langchain_chatexports.workflows.models import find_tuned, models_named
from langchain_chatexports.workflows.search import open_index
from tests.unit_tests.builders.kept_models import keep_model


def test_without_a_name_it_is_the_newest(tmp_path: Path) -> None:
    keep_model(tmp_path, "1" * 12, created_at=1)
    newest = keep_model(tmp_path, "2" * 12, created_at=2)
    assert find_tuned(None, tmp_path).name == newest


@pytest.mark.parametrize("name", ["Jonas Müller", "jonas muller", "JONAS"])
def test_of_two_models_of_a_person_it_is_the_newest(tmp_path: Path, name: str) -> None:
    keep_model(tmp_path, "1" * 12, created_at=1, person="Jonas Müller")
    newest = keep_model(tmp_path, "2" * 12, created_at=2, person="Jonas Müller")
    assert find_tuned(name, tmp_path).name == newest
    assert len(models_named(name, tmp_path)) == 2


def test_a_beginning_must_be_of_one_model(tmp_path: Path) -> None:
    name = keep_model(tmp_path, "1" * 12, person="Jonas")
    keep_model(tmp_path, "2" * 12, person="Jona")
    assert find_tuned("jonas", tmp_path).name == name
    with pytest.raises(LocalServerError, match="2 models match 'jo'"):
        find_tuned("jo", tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_CACHE_HOME is Linux's")
def test_all_that_is_kept_is_listed_with_its_size_and_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir, index_dir = tmp_path / "data", tmp_path / "indexes"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache = tmp_path / "cache" / "langchain-chatexports"
    for name in ("bases", "notes"):
        (cache / name).mkdir(parents=True)
        (cache / name / "model").write_bytes(b"12345")
    keep_model(data_dir, "1" * 12)
    chats = write_imessage(tmp_path / "chat.db")
    with open_index(chats, index_dir=index_dir) as opened:
        assert opened.messages_read == 223
    found = kept(data_dir, index_dir)
    counts = len(found.models), len(found.jobs), len(found.sets), len(found.indexes)
    assert counts == (1, 1, 1, 1)
    assert found.size_bytes > found.indexes[0].stat().st_size
    assert found.cache_bytes == 5
    assert str(found).startswith("1 model, 1 job, 1 file of examples, 1 search index: ")
    delete_everything(data_dir, index_dir)
    left = kept(data_dir, index_dir)
    assert (left.size_bytes, left.cache_bytes) == (0, 0)
    assert chats.exists()
    assert (cache / "notes" / "model").exists()
