"""Access to the page: one-time links, a cookie, and a content security policy."""

import hmac
import html
import re
import secrets
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from langchain_chatexports.local_server.http.errors import log_without_text
from langchain_chatexports.page.languages import Sentence, language_for, later
from langchain_chatexports.page.old_tab import OldTab

_TOKEN = "token"  # noqa: S105 - the parameter's name.
_COOKIE = "chatexports"
_OLD_TAB = "/old-tab"

# NiceGUI's Vue compiles templates (`unsafe-eval`), and Quasar sets inline styles. No
# inline script runs without the response's nonce, and nothing is loaded from elsewhere.
_POLICY = (
    "default-src 'none'; base-uri 'none'; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; "
    "img-src 'self' data:; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'"
)
_REFUSAL_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_CSP = "content-security-policy"
_NO_STORE = {"cache-control": "no-store"}
_HEADERS = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
# Otherwise a browser would request an icon outside of the path.
_NO_ICON = '<!doctype html><link rel="icon" href="data:,">'
_REFUSAL = """<!doctype html>
<html lang="{language}"><meta charset="utf-8"><title>chatexports</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto;
       padding: 0 1rem }}
</style>
<h1>{title}</h1><p>{text}</p></html>"""

# A page of another site whose name resolves to this machine (DNS rebinding) sends that
# name.
_OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?")


def _is_own(scope: Scope) -> bool:
    """Return whether a request is to this address, and from its own pages."""
    headers = HTTPConnection(scope).headers
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or _OWN_HOST.fullmatch(hosts[0]) is None:
        return False
    return all(one == f"http://{hosts[0]}" for one in origins)


class OneTimeLinks:
    """The tokens of links, each valid for one browser, and the cookie it then has."""

    def __init__(self, on_new: Callable[[str], None]) -> None:
        self.cookie = secrets.token_urlsafe(32)
        # A browser sends a cookie to all servers of a host, on any port, but only below
        # its path.
        self.path = f"/{secrets.token_urlsafe(32)}"
        self._on_new = on_new
        self._token = ""

    def renew(self) -> None:
        """Create a new link; the old one becomes invalid."""
        self._token = secrets.token_urlsafe(32)
        self._on_new(self._token)

    def use(self, token: str) -> bool:
        """Use a link, and create the next one; return whether it was valid."""
        is_good = bool(self._token) and _same(token, self._token)
        if is_good:
            self.renew()
        return is_good


class PageAccess:
    """Middleware that requires a link or its cookie.

    It refuses other hosts and origins, for websockets too, and adds the content
    security policy.
    """

    def __init__(self, app: ASGIApp, *, links: OneTimeLinks, old_tab: OldTab) -> None:
        self.app = app
        self._links = links
        self._old_tab = old_tab

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, log a browser in, or pass the request on."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
        elif _is_own(scope) and self._is_logged_in(scope):
            if _value_of(scope, _TOKEN):
                await self._lead_on(is_new=False)(scope, receive, send)
            else:
                await self._pass_on(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._answer(scope)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response:
        """Return the response to a browser that is not logged in."""
        if not _is_own(scope):
            title = later("Not from here")
            text = later("This page answers its own address only.")
            return _refusal(scope, title, text)
        if self._links.use(_value_of(scope, _TOKEN)):
            return self._lead_on(is_new=True)
        if scope["path"] == _OLD_TAB:
            return self._answer_old_tab(scope)
        title = later("This page needs its link")
        text = later(
            "It shows private messages, so it opens only by a link that works once. "
            "The newest link is the last line in the window where chatexports open "
            "runs: copy it into this browser's address bar."
        )
        return _refusal(scope, title, text)

    def _is_logged_in(self, scope: Scope) -> bool:
        path = f"{self._links.path}/"
        headers = HTTPConnection(scope).headers.getlist("cookie")
        # Another server of this machine can set a cookie of the same name.
        cookies = (one.strip().partition("=") for h in headers for one in h.split(";"))
        given = [value for name, _, value in cookies if name == _COOKIE]
        is_known = any(_same(value, self._links.cookie) for value in given)
        return is_known and _same(scope["path"][: len(path)], path)

    def _answer_old_tab(self, scope: Scope) -> Response:
        nonce, proof = _value_of(scope, "nonce"), _value_of(scope, "proof")
        if self._old_tab.let_in(nonce, proof):
            return self._lead_on(is_new=True)
        answer = "" if proof else self._old_tab.proof(nonce)
        return _page(answer, status=200 if answer else 403)

    def _lead_on(self, *, is_new: bool) -> Response:
        path = f"{self._links.path}/"
        if not is_new:
            return _page(_NO_ICON, status=303, location=path)
        cookie = f"{_COOKIE}={self._links.cookie}; Path={path}"
        # Not a redirect: after one from another origin, such as a file, a browser
        # would not send a strict cookie.
        response = _page(_NO_ICON, status=200, refresh=f"0; url={path}")
        response.headers["set-cookie"] = f"{cookie}; HttpOnly; SameSite=Strict"
        return response

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = {**scope, "root_path": self._links.path}
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        guarded = _Guarded(send)
        try:
            await self.app(scope, receive, guarded.send)
        except Exception as error:  # noqa: BLE001 - its text can quote a message.
            log_without_text(error)
            if guarded.start is None:
                title = later("Something went wrong")
                text = later(
                    "Something unexpected went wrong. The window where chatexports "
                    "open runs says where: please report it."
                )
                page = _refusal(scope, title, text, status=500)
                await page(scope, receive, send)


class _Guarded:
    """Adds the policy to a response, and the nonce to NiceGUI's page."""

    def __init__(self, send: Send) -> None:
        self.start: Message | None = None
        self._send = send
        self._nonce = secrets.token_urlsafe(16)
        self._page: bytes | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
            await self._begin(message)
        elif message["type"] == "http.response.body" and self._page is not None:
            self._page += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_page(self._page)
        else:
            await self._send(message)

    async def _begin(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        headers.update(_HEADERS)
        headers[_CSP] = _POLICY.format(nonce=self._nonce)
        if headers.get("content-type", "").startswith("text/html"):
            headers.update(_NO_STORE)
            # The length changes, so the start is sent with the body.
            self._page = b""
        else:
            await self._send(message)

    async def _send_page(self, page: bytes) -> None:
        # All texts in the page are escaped, so these are NiceGUI's own scripts.
        page = page.replace(b"<script", f'<script nonce="{self._nonce}"'.encode())
        start = self.start or {}
        MutableHeaders(scope=start)["content-length"] = str(len(page))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": page})


def _refusal(
    scope: Scope, title: Sentence, text: Sentence, *, status: int = 403
) -> Response:
    language = language_for(HTTPConnection(scope).headers.get("accept-language", ""))
    page = _REFUSAL.format(
        language=language.tag,
        title=html.escape(language.render(title)),
        text=html.escape(language.render(text)),
    )
    return _page(page, status=status)


def _page(content: str, *, status: int, **headers: str) -> Response:
    always = {**_NO_STORE, **_HEADERS, _CSP: _REFUSAL_POLICY}
    return HTMLResponse(content, status, {**always, **headers})


def _value_of(scope: Scope, name: str) -> str:
    if scope["type"] != "http" or scope["method"] != "GET":
        return ""
    return HTTPConnection(scope).query_params.get(name, "")


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("latin-1", "replace"), wanted.encode())
