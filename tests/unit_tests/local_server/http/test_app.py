"""Checks of host, key and size, and unexpected errors."""

import errno
from typing import Any

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from langchain_chatexports.local_server.http import app as http_app
from langchain_chatexports.local_server.workspace import Workspace
from tests.unit_tests.local_server.http.conftest import KEY, open_http


def _error(response: Response) -> dict[str, Any]:
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def _upload(http: TestClient, content: bytes) -> Response:
    data = {"purpose": "fine-tune"}
    return http.post("/v1/files", files={"file": ("a", content)}, data=data)


@pytest.mark.parametrize("key", [None, "", "wrong", KEY + "x", KEY[:-1], "ü"])
def test_missing_key_is_a_401(workspace: Workspace, key: str | None) -> None:
    with open_http(workspace, key=None) as http:
        headers = {} if key is None else {b"authorization": f"Bearer {key}".encode()}
        for url in ("/v1/models", "/nowhere"):
            response = http.get(url, headers=headers)
            assert response.status_code == 401
            assert _error(response)["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "evil-localhost",
        "127.0.0.1@evil",
        "",
        "127.0.0.1:x",
    ],
)
def test_foreign_host_is_refused(http: TestClient, host: str) -> None:
    response = http.get("/v1/models", headers={"host": host})
    assert response.status_code == 400
    assert response.text == "Invalid host header"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LOCALHOST", "[::1]:80"]
)
def test_own_host_names_are_accepted(http: TestClient, host: str) -> None:
    assert http.get("/v1/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "url", ["/v1/nowhere", "/docs", "/openapi.json", "/v1/models/"]
)
def test_unknown_route_is_an_openai_404(http: TestClient, url: str) -> None:
    response = http.get(url)
    assert response.status_code == 404
    _error(response)


def test_other_origins_are_not_allowed(http: TestClient) -> None:
    response = http.get("/v1/models", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("has_length", [True, False])
def test_large_body_is_refused(
    http: TestClient, monkeypatch: pytest.MonkeyPatch, *, has_length: bool
) -> None:
    monkeypatch.setattr(http_app, "MAX_JSON_BYTES", 100)
    content = b"x" * 101 if has_length else (b"x" for _ in range(101))
    response = http.post("/v1/chat/completions", content=content)
    assert response.status_code == 400
    assert _error(response)["code"] == "body_too_large"


def test_uploads_have_their_own_limit(
    http: TestClient, monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    monkeypatch.setattr(http_app, "MAX_JSON_BYTES", 10)
    monkeypatch.setattr(http_app, "MAX_UPLOAD_BYTES", 10)
    assert _upload(http, b"{}\n" * 2**16).status_code == 400
    assert workspace.files.list() == ()
    assert _upload(http, b"{}\n" * 50).status_code == 200


def test_unexpected_error_logs_no_text(
    http: TestClient,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> None:
        msg = "secret words"
        raise KeyError(msg)

    monkeypatch.setattr(workspace.files, "list", broken)
    response = http.get("/v1/files")
    assert response.status_code == 500
    assert _error(response)["type"] == "server_error"
    assert "secret" not in response.text + caplog.text
    assert "KeyError" in caplog.text


def test_full_disk_is_a_507(
    http: TestClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(workspace.files, "create", full)
    response = _upload(http, b"{}\n")
    assert response.status_code == 507
    assert "disk" in _error(response)["message"]
    assert response.headers["x-should-retry"] == "false"
