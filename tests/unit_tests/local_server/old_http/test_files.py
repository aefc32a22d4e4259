"""Uploaded files: storage and deletion."""

import io
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.file_object import FileObject
from starlette.testclient import TestClient

from langchain_chatexports.local_server.old_http.service import LocalService
from langchain_chatexports.local_server.storage.files import FileStore
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues

_CONTENT = as_jsonl(dialogues(2))


def _upload(client: OpenAI, content: bytes = _CONTENT, **options: Any) -> FileObject:
    return client.files.create(file=io.BytesIO(content), purpose="fine-tune", **options)


def test_upload_is_processed_immediately(client: OpenAI) -> None:
    created = _upload(client)
    assert created.id.startswith("file-")
    assert (created.status, created.filename) == ("processed", "upload")
    assert created.bytes == len(_CONTENT)
    assert client.files.retrieve(created.id) == created
    assert client.files.content(created.id).content == _CONTENT


def test_files_are_listed_newest_first(client: OpenAI) -> None:
    ids = [_upload(client).id for _ in range(3)]
    assert [file.id for file in client.files.list()] == ids[::-1]
    assert [file.id for file in client.files.list(limit=1)] == ids[::-1]


def test_deleted_file_leaves_no_text(client: OpenAI, tmp_path: Path) -> None:
    created = _upload(client, as_jsonl(dialogues(2, mark="MARKED")))
    assert client.files.delete(created.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(created.id)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"MARKED" in path.read_bytes() for path in files)


def test_failed_deletion_can_be_repeated(
    client: OpenAI, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on Windows, while another program uses the file."""

    def fail(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "The file is used by another process")

    created = _upload(client)
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", fail)
        with pytest.raises(openai.InternalServerError):
            client.files.delete(created.id)
    assert client.files.retrieve(created.id) == created
    assert client.files.delete(created.id).deleted
    assert not list((tmp_path / "data" / "files").iterdir())


def test_incomplete_uploads_are_deleted(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(service.files, "delete", kill)
    with pytest.raises(Killed):
        service.files.create(io.BytesIO(b"not JSON"), filename="x")
    assert len(list(service.data.files.iterdir())) == 1
    assert service.files.list_all() == []
    FileStore(service.data).delete_incomplete()
    assert not list(service.data.files.iterdir())


@pytest.mark.parametrize(
    "name",
    ["x", "file-1", "..%2F..%2Fsecret", "file-" + "g" * 24, "file-" + "0" * 24, "%00"],
)
def test_unknown_file_is_a_404(http: TestClient, name: str) -> None:
    for call in (
        http.get(f"/v1/files/{name}"),
        http.get(f"/v1/files/{name}/content"),
        http.delete(f"/v1/files/{name}"),
    ):
        assert call.status_code == 404
        assert call.json()["error"]["message"]


@pytest.mark.parametrize(
    "content",
    [b"not json\n", b"{}\n[]\n", b'{"a": 1}\n{"a": \n', b"\xff\xfe\n", b"[" * 100_000],
)
def test_bad_jsonl_is_refused(client: OpenAI, content: bytes, tmp_path: Path) -> None:
    with pytest.raises(openai.BadRequestError, match="JSONL"):
        _upload(client, content)
    assert not list((tmp_path / "data" / "files").iterdir())


_FILE: Any = {"file": ("a", _CONTENT)}


@pytest.mark.parametrize(
    "form",
    [
        {"data": {"purpose": "fine-tune"}},
        {"files": _FILE, "data": {"purpose": "assistants"}},
        {"files": _FILE},
        {"data": {"file": "text", "purpose": "fine-tune"}},
        {"json": {"file": "text", "purpose": "fine-tune"}},
        {"content": b"--x", "headers": {"content-type": "multipart/form-data"}},
        {
            "files": _FILE,
            "data": {"purpose": "fine-tune", "expires_after[seconds]": "7200"},
        },
    ],
)
def test_invalid_upload_form_is_a_400(http: TestClient, form: dict[str, Any]) -> None:
    response = http.post("/v1/files", **form)
    assert response.status_code == 400
    assert response.json()["error"]["message"]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=", "after=x"])
def test_invalid_query_is_a_400(http: TestClient, query: str) -> None:
    response = http.get(f"/v1/files?{query}")
    assert response.status_code == 400
    assert response.json()["error"]["param"] == query.split("=", maxsplit=1)[0]
