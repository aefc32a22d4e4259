"""Deleting without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import (
    KeptData,
    count_kept,
    delete_everything,
    delete_model,
    list_models,
)
from langchain_chatexports.local_server.locks import ProcessLock
from tests.unit_tests.builders.kept_models import keep_model

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


@pytest.fixture
def root(tmp_path: Path) -> Any:
    keep_model(tmp_path / "data", "0" * 11 + "1", mark="MARKED")
    keep_model(tmp_path / "data", "0" * 11 + "2", mark="MARKED")
    return tmp_path / "data"


def _marked(root: Any) -> Any:
    return [p for p in root.rglob("*") if p.is_file() and b"MARKED" in p.read_bytes()]


def test_what_is_kept_is_counted(root: Any) -> None:
    assert count_kept(root) == KeptData(files=2, jobs=2, models=2)


def test_a_directory_that_is_not_there_holds_nothing_and_is_not_made(
    tmp_path: Path,
) -> None:
    assert count_kept(tmp_path / "none") == KeptData(0, 0, 0)
    assert delete_everything(tmp_path / "none") == KeptData(0, 0, 0)
    assert not (tmp_path / "none").exists()


def test_one_model_is_deleted_and_the_other_stays(root: Any) -> None:
    newest, oldest = list_models(root)
    delete_model(newest.name, data_dir=root)
    assert [model.name for model in list_models(root)] == [oldest.name]
    assert not newest.path.exists()


def test_a_model_that_is_not_there_is_refused_with_those_that_are(root: Any) -> None:
    with pytest.raises(LocalServerError, match="ft:tiny:local::000000000002"):
        delete_model("ft:tiny:local::ffffffffffff", data_dir=root)
    assert len(list_models(root)) == 2


def test_everything_deleted_leaves_no_marked_text(root: Any) -> None:
    (root / "models" / ".new-half").mkdir()
    (root / "models" / ".new-half" / "adapter_model.safetensors").write_text("MARKED")
    (root / "files" / ".DS_Store").write_text("MARKED")
    assert len(_marked(root)) == 6
    assert delete_everything(root) == KeptData(files=2, jobs=2, models=2)
    assert _marked(root) == []
    assert count_kept(root) == KeptData(0, 0, 0)


@pytest.mark.parametrize(
    "delete",
    [
        delete_everything,
        lambda root: delete_model(list_models(root)[0].name, data_dir=root),
    ],
)
def test_nothing_is_deleted_under_a_running_server(root: Any, delete: Any) -> None:
    with ProcessLock(root / "server.lock") as lock:
        assert lock.acquire()
        with pytest.raises(LocalServerError, match="Another local server"):
            delete(root)
    assert count_kept(root) == KeptData(files=2, jobs=2, models=2)


def test_nothing_is_deleted_under_a_trainer_that_was_left_alone(root: Any) -> None:
    job = next((root / "jobs").iterdir())
    with ProcessLock(job / "trainer.lock") as lock:
        assert lock.acquire()
        with pytest.raises(LocalServerError, match="trainer at work"):
            delete_everything(root)
    assert count_kept(root) == KeptData(files=2, jobs=2, models=2)
