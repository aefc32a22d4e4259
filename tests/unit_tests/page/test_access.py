"""Access to the page: links, cookies, hosts and headers."""

from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from langchain_chatexports._locks import ProcessLock
from langchain_chatexports.page.access import OneTimeLinks, PageAccess
from langchain_chatexports.page.server import find_running_page

PORT = 8123
HOST = f"127.0.0.1:{PORT}"


class _Page:
    """An application that answers with a page, and records its requests."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        self.requests.append(scope["type"])
        start = {"type": "http.response.start", "status": 200}
        kind = (b"content-type", b"text/html; charset=utf-8")
        await send({**start, "headers": [kind]})
        await send({"type": "http.response.body", "body": b"a page"})


class _Visit:
    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.links = OneTimeLinks(self.tokens.append)
        self.links.renew()
        self.page = _Page()
        self.access = PageAccess(self.page, self.links)

    @property
    def cookie(self) -> str:
        return f"other=1; {self.links.cookie_name}={self.links.cookie}"

    async def __call__(
        self,
        *,
        kind: str = "http",
        path: str | None = None,
        query: str = "",
        **headers: str,
    ) -> tuple[int, dict[str, str], bytes]:
        fields = {"host": HOST, **headers}
        scope = {
            "type": kind,
            "method": "GET",
            "path": f"{self.links.path}/" if path is None else path,
            "query_string": query.encode(),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in fields.items()],
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": f"{kind}.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.access(scope, receive, send)
        start = sent[0]
        received = {k.decode(): v.decode() for k, v in start.get("headers", ())}
        body = b"".join(message.get("body", b"") for message in sent)
        return start.get("status", start.get("code")), received, body


async def test_link_works_once_and_is_renewed() -> None:
    visit = _Visit()
    token = visit.tokens[0]
    status, headers, _ = await visit(path="/", query=f"token={token}")
    path = f"{visit.links.path}/"
    assert (status, headers["refresh"]) == (200, f"0; url={path}")
    assert visit.links.cookie in headers["set-cookie"]
    parts = headers["set-cookie"].lower().split("; ")[1:]
    assert {*parts} == {f"path={path}".lower(), "httponly", "samesite=strict"}
    status, headers, body = await visit(query=f"token={token}")
    assert status == 403
    assert "set-cookie" not in headers
    assert b"Open this page with its link" in body
    assert len(visit.tokens) == 2
    assert visit.tokens[1] != token
    assert visit.page.requests == []


async def test_logged_in_browser_does_not_consume_link() -> None:
    visit = _Visit()
    query = f"token={visit.tokens[0]}"
    status, headers, _ = await visit(query=query, cookie=visit.cookie)
    assert status == 303
    assert "set-cookie" not in headers
    assert len(visit.tokens) == 1


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cookie": "chatexports="},
        {"cookie": "chatexports=x"},
        {"cookie": "own", "host": "evil.example"},
        {"cookie": "own", "host": f"evil.example@{HOST}"},
        {"cookie": "own", "origin": "http://evil.example"},
        {"cookie": "own", "origin": "null"},
        {"cookie": "own", "origin": f"https://{HOST}"},
        {"cookie": "own", "origin": "http://127.0.0.1:9999"},
        *({"cookie": "own", "path": path} for path in ("/", "/manage", "//")),
        *({"cookie": "own", "path": path} for path in ("/{}", "/{}x/", "/x/{}/")),
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_foreign_requests_are_refused(options: dict[str, str], kind: str) -> None:
    visit = _Visit()
    values = {"own": visit.cookie}
    sent = {name: values.get(value, value) for name, value in options.items()}
    if "path" in sent:
        sent["path"] = sent["path"].format(visit.links.path[1:])
    status, _, _ = await visit(kind=kind, **sent)
    assert status == (403 if kind == "http" else 1008)
    assert visit.page.requests == []


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_own_requests_pass(kind: str) -> None:
    visit = _Visit()
    status, _, _ = await visit(kind=kind, cookie=visit.cookie, origin=f"http://{HOST}")
    assert status == 200
    assert visit.page.requests == [kind]


async def test_page_loads_nothing_from_elsewhere() -> None:
    visit = _Visit()
    _, headers, _ = await visit(cookie=visit.cookie)
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in policy
    assert headers["cache-control"] == "no-store"


def test_second_start_reads_the_link_of_a_running_page(tmp_path: Path) -> None:
    assert find_running_page(tmp_path) is None
    (tmp_path / "page-link").write_text("http://127.0.0.1:1/?token=a")
    assert find_running_page(tmp_path) is None
    with ProcessLock(tmp_path / "page.lock") as lock:
        assert lock.acquire()
        assert find_running_page(tmp_path) == "http://127.0.0.1:1/?token=a"
    assert find_running_page(tmp_path) is None
