"""Files of examples: names, checks and order."""

import hashlib
import io
import os
from pathlib import Path

import pytest

from langchain_chatexports.finetuning.training_file import TrainingFile
from langchain_chatexports.local_server.errors import NotFoundError
from langchain_chatexports.local_server.workspace import Workspace
from langchain_chatexports.local_server.workspace.files import (
    JsonLinesError,
    file_id_of,
)
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues

_CONTENT = as_jsonl(dialogues(2))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "data")


def test_file_is_named_by_its_content(workspace: Workspace) -> None:
    file = workspace.files.create(_CONTENT)
    assert file.id == file_id_of(hashlib.sha256(_CONTENT).hexdigest())
    assert file.size_bytes == len(_CONTENT)
    assert workspace.files.create(io.BytesIO(_CONTENT)).id == file.id
    assert len(workspace.files.list()) == 1
    assert [*workspace.files.read(file.id)] == dialogues(2)


def test_file_has_the_name_of_an_upload(workspace: Workspace) -> None:
    upload = TrainingFile(dialogues(2))
    assert workspace.files.create(upload.data).name == upload.name


def test_files_are_listed_newest_first(workspace: Workspace) -> None:
    files = [workspace.files.create(b'{"a": %d}' % n) for n in range(3)]
    for age, file in enumerate(files):
        os.utime(workspace.file_path(file.id), (age, age))
    expected = [file.id for file in files[::-1]]
    assert [file.id for file in workspace.files.list()] == expected


@pytest.mark.parametrize(
    "content",
    [b"not json\n", b"{}\n[]\n", b'{"a": 1}\n{"a": \n', b"\xff\xfe\n", b"[" * 100_000],
)
def test_bad_jsonl_is_refused(workspace: Workspace, content: bytes) -> None:
    with pytest.raises(JsonLinesError, match=r"JSONL.*Line \d"):
        workspace.files.create(content)
    assert not [*(workspace.data_dir / "files").iterdir()]


@pytest.mark.parametrize("name", ["x", "../secret", "file-" + "g" * 32, "\0"])
def test_unknown_file_is_an_error(workspace: Workspace, name: str) -> None:
    for call in (workspace.files.get, workspace.files.delete):
        with pytest.raises(NotFoundError):
            call(name)
    with pytest.raises(ValueError, match="not an id"):
        workspace.file_path(name)
