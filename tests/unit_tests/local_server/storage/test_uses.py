"""Which jobs use which uploaded examples."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from langchain_chatexports.local_server import list_models, list_sets
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.files import FileStore
from tests.unit_tests.builders.kept_models import keep_model
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues

if TYPE_CHECKING:
    from pathlib import Path


def test_sets_are_listed_with_the_jobs_that_used_them(tmp_path: Path) -> None:
    keep_model(tmp_path, "0123456789ab")
    content = as_jsonl(dialogues())
    unused = FileStore(DataDirectory(tmp_path)).create(
        io.BytesIO(content), filename="x.jsonl"
    )
    newest, oldest = list_sets(tmp_path)
    assert (newest.id, newest.size_bytes) == (unused["id"], len(content))
    assert newest.job_ids == ()
    assert oldest.job_ids == (list_models(tmp_path)[0].job_id,)
    assert newest.created_at >= oldest.created_at


def test_a_directory_that_is_not_there_has_no_sets(tmp_path: Path) -> None:
    assert list_sets(tmp_path / "none") == []
    assert not (tmp_path / "none").exists()
