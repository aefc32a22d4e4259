"""Uploaded files: storage and deletion."""

import io
import time
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.file_object import FileObject
from starlette.testclient import TestClient

from langchain_chatexports.local_server.workspace import Workspace
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues
from tests.unit_tests.builders.workspaces import add_job

_CONTENT = as_jsonl(dialogues(2))


def _upload(client: OpenAI, content: bytes = _CONTENT, **options: Any) -> FileObject:
    return client.files.create(file=io.BytesIO(content), purpose="fine-tune", **options)


def test_upload_is_processed_immediately(client: OpenAI) -> None:
    created = _upload(client)
    assert created.id.startswith("file-")
    assert (created.status, created.bytes) == ("processed", len(_CONTENT))
    assert client.files.retrieve(created.id) == created
    assert client.files.content(created.id).content == _CONTENT
    assert _upload(client).id == created.id


def test_files_are_listed_newest_first(client: OpenAI) -> None:
    ids = []
    for number in range(3):
        ids.append(_upload(client, b'{"n": %d}' % number).id)
        time.sleep(0.02)
    assert [file.id for file in client.files.list()] == ids[::-1]
    assert [file.id for file in client.files.list(limit=1)] == ids[::-1]


def test_deleted_file_leaves_no_text(client: OpenAI, workspace: Workspace) -> None:
    created = _upload(client, as_jsonl(dialogues(2, mark="MARKED")))
    assert client.files.delete(created.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(created.id)
    files = [path for path in workspace.data_dir.rglob("*") if path.is_file()]
    assert not any(b"MARKED" in path.read_bytes() for path in files)


def test_file_of_an_unfinished_job_is_not_deleted(
    client: OpenAI, workspace: Workspace
) -> None:
    job = add_job(workspace)
    with pytest.raises(openai.BadRequestError, match="A job needs"):
        client.files.delete(job.training_file)
    workspace.jobs.cancel(job.id)
    assert client.files.delete(job.training_file).deleted


@pytest.mark.parametrize(
    "name",
    ["x", "file-1", "..%2F..%2Fsecret", "file-" + "g" * 32, "file-" + "0" * 32, "%00"],
)
def test_unknown_file_is_a_404(http: TestClient, name: str) -> None:
    for call in (
        http.get(f"/v1/files/{name}"),
        http.get(f"/v1/files/{name}/content"),
        http.delete(f"/v1/files/{name}"),
    ):
        assert call.status_code == 404
        assert call.json()["error"]["message"]


@pytest.mark.parametrize("content", [b"not json\n", b"{}\n[]\n", b"\xff\xfe\n"])
def test_bad_jsonl_is_refused(client: OpenAI, content: bytes) -> None:
    with pytest.raises(openai.BadRequestError, match="JSONL"):
        _upload(client, content)


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
