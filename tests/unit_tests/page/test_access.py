"""Access to the page: links, cookies, hosts, headers and old tabs."""

import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from langchain_chatexports._serving import ServerThread
from langchain_chatexports.page.access import OneTimeLinks, PageAccess
from langchain_chatexports.page.old_tab import TabKeys, find_running_page

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
        await send({**start, "headers": [kind, (b"content-length", b"17")]})
        for part, more in ((b"<script", True), (b"></script>", False)):
            body = {"type": "http.response.body", "body": part, "more_body": more}
            await send(body)


class _Visit:
    def __init__(self, app: Any = None, old_tab: Any = None) -> None:
        self.tokens: list[str] = []
        self.links = OneTimeLinks(self.tokens.append)
        self.links.renew()
        self.page = app or _Page()
        self.access = PageAccess(self.page, links=self.links, old_tab=old_tab)

    @property
    def cookie(self) -> str:
        return f"other=1; chatexports={self.links.cookie}"

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
    assert headers["set-cookie"].endswith(f"; Path={path}; HttpOnly; SameSite=Strict")
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


async def test_scripts_get_a_nonce() -> None:
    visit = _Visit()
    _, headers, body = await visit(cookie=visit.cookie)
    policy = headers["content-security-policy"]
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert body == f'<script nonce="{nonce}"></script>'.encode()
    assert headers["content-length"] == str(len(body))
    assert headers["cache-control"] == "no-store"
    _, other, _ = await visit(cookie=visit.cookie)
    assert other["content-security-policy"] != policy


async def test_error_page_has_no_error_text(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(*_: object) -> None:
        msg = "a private message"
        raise ValueError(msg)

    visit = _Visit(fail)
    status, _, body = await visit(cookie=visit.cookie)
    assert status == 500
    assert b"private" not in body
    assert "private" not in caplog.text
    assert "ValueError" in caplog.text


async def test_old_tab_logs_in_once_with_its_key(tmp_path: Path) -> None:
    last = TabKeys(tmp_path)
    last.store(PORT)
    old_tab = TabKeys(tmp_path)
    assert old_tab.last_port == PORT
    old_tab.store(PORT)
    visit = _Visit(old_tab=old_tab)

    def sign(side: str, key: str = last.key, port: int = PORT) -> str:
        text = f"{side} {port} n1".encode()
        return hmac.digest(key.encode(), text, "sha256").hex()

    status, _, proof = await visit(path="/old-tab", query="nonce=n1")
    assert (status, proof.decode()) == (200, sign("page"))
    for bad in (sign("page"), sign("tab", old_tab.key), sign("tab", port=1)):
        query = f"nonce=n1&proof={bad}"
        status, headers, body = await visit(path="/old-tab", query=query)
        assert (status, body) == (403, b"")
        assert "set-cookie" not in headers
    query = f"nonce=n1&proof={sign('tab')}"
    status, headers, _ = await visit(path="/old-tab", query=query)
    assert status == 200
    assert f"chatexports={visit.links.cookie}; " in headers["set-cookie"]
    assert (await visit(path="/old-tab", query=query))[0] == 403


async def test_first_page_has_no_old_tabs(tmp_path: Path) -> None:
    visit = _Visit(old_tab=TabKeys(tmp_path))
    assert (await visit(path="/old-tab", query="nonce=n1"))[0] == 403


def test_second_start_gets_a_link_of_the_running_page(tmp_path: Path) -> None:
    assert find_running_page(tmp_path) is None
    keys, tokens = TabKeys(tmp_path), list[str]()
    links = OneTimeLinks(tokens.append)
    server = ServerThread(
        PageAccess(_Page(), links=links, old_tab=keys), lifespan="off"
    )
    server.listen()
    keys.store(server.port)
    links.renew()
    server.start(60)
    try:
        link = f"http://127.0.0.1:{server.port}/?token={tokens[-1]}"
        assert find_running_page(tmp_path) == link
        # Only with the key of this page.
        stored = {"port": server.port, "key": "other"}
        (tmp_path / "page.json").write_text(json.dumps(stored))
        assert find_running_page(tmp_path) is None
    finally:
        server.stop()
    assert find_running_page(tmp_path) is None


async def test_start_is_verified_once(tmp_path: Path) -> None:
    keys = TabKeys(tmp_path)
    keys.store(PORT)
    visit, nonce = _Visit(old_tab=keys), "n" * 40
    text = f"start {PORT} {nonce}".encode()
    proof = hmac.digest(keys.key.encode(), text, "sha256").hex()
    query = f"nonce={nonce}&proof={proof}"
    assert (await visit(path="/start", query=f"nonce={nonce}&proof=x"))[0] == 403
    status, _, body = await visit(path="/start", query=query)
    assert (status, body.decode().partition(" ")[0]) == (200, visit.tokens[-1])
    assert (await visit(path="/start", query=query))[0] == 403
