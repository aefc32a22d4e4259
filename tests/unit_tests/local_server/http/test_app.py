"""Which requests are refused for their host, key or size."""

import errno
from typing import Any

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from langchain_chatexports.local_server.http import app as access
from langchain_chatexports.local_server.http.service import LocalService
from tests.unit_tests.local_server.conftest import KEY, asking


def _error(response: Response) -> dict[str, Any]:
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize("key", [None, "", "wrong", KEY + "x", KEY[:-1], "ü"])
def test_without_the_key_nothing_is_told(
    service: LocalService, key: str | None
) -> None:
    with asking(service, key=None) as http:
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
def test_a_foreign_host_is_refused(http: TestClient, host: str) -> None:
    response = http.get("/v1/models", headers={"host": host})
    assert response.status_code == 400
    assert response.text == "Invalid host header"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LOCALHOST", "[::1]:80"]
)
def test_its_own_names_are_answered(http: TestClient, host: str) -> None:
    assert http.get("/v1/models", headers={"host": host}).status_code == 200


def test_an_unknown_route_is_a_404_in_openais_shape(http: TestClient) -> None:
    response = http.get("/v1/nowhere")
    assert response.status_code == 404
    _error(response)


@pytest.mark.parametrize("says_so", [True, False])
def test_a_body_that_is_too_large_is_refused(
    http: TestClient, monkeypatch: pytest.MonkeyPatch, *, says_so: bool
) -> None:
    monkeypatch.setattr(access, "MAX_JSON_BYTES", 100)
    content = b"x" * 101 if says_so else (b"x" for _ in range(101))
    response = http.post("/v1/chat/completions", content=content)
    assert response.status_code == 400
    assert _error(response)["code"] == "body_too_large"


def test_an_upload_may_be_larger_than_other_bodies(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "MAX_JSON_BYTES", 10)
    response = http.post(
        "/v1/files", files={"file": ("a", b"{}\n" * 50)}, data={"purpose": "fine-tune"}
    )
    assert response.status_code == 200


def test_an_upload_beyond_its_own_limit_is_refused(
    http: TestClient, monkeypatch: pytest.MonkeyPatch, service: LocalService
) -> None:
    monkeypatch.setattr(access, "MAX_UPLOAD_BYTES", 10)
    response = http.post(
        "/v1/files",
        files={"file": ("a", b"{}\n" * 2**16)},
        data={"purpose": "fine-tune"},
    )
    assert _error(response)["code"] == "body_too_large"
    assert service.files.newest_first() == []


def test_a_defect_shows_no_page_and_logs_no_text(
    http: TestClient,
    service: LocalService,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> None:
        msg = "secret words"
        raise KeyError(msg)

    monkeypatch.setattr(service.files, "newest_first", broken)
    response = http.get("/v1/files")
    assert response.status_code == 500
    assert _error(response)["type"] == "server_error"
    assert "secret" not in response.text + caplog.text
    assert "KeyError" in caplog.text


def test_a_full_disk_is_said_in_a_sentence(
    http: TestClient, service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(service.files, "create", full)
    response = http.post(
        "/v1/files", files={"file": ("a", b"{}\n")}, data={"purpose": "fine-tune"}
    )
    assert response.status_code == 507
    assert "disk" in _error(response)["message"]
