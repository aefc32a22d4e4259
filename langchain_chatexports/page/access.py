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

from langchain_chatexports._serving import log_error_location
from langchain_chatexports.page.languages import (
    LazyMessage,
    lazy_gettext,
    negotiate_language,
)
from langchain_chatexports.page.old_tab import START, TabKeys, sign_link

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
# Without it, a browser would request an icon outside the cookie's path.
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

# Prevents DNS rebinding, in which a page of another site sends its own host name.
_LOCAL_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?")


def _is_same_origin(scope: Scope) -> bool:
    """Return whether a request is for this host, and comes from its own pages."""
    headers = HTTPConnection(scope).headers
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or _LOCAL_HOST.fullmatch(hosts[0]) is None:
        return False
    return all(origin == f"http://{hosts[0]}" for origin in origins)


class OneTimeLinks:
    """Login links, each valid for one browser, and the cookie that they set."""

    def __init__(self, on_new: Callable[[str], None]) -> None:
        self.cookie = secrets.token_urlsafe(32)
        # Browsers send cookies to all ports of a host, but only below their path.
        self.path = f"/{secrets.token_urlsafe(32)}"
        self._on_new = on_new
        self._token = ""

    @property
    def token(self) -> str:
        """The token of the newest link."""
        return self._token

    def renew(self) -> None:
        """Create a new link, and invalidate the old one."""
        self._token = secrets.token_urlsafe(32)
        self._on_new(self._token)

    def use(self, token: str) -> bool:
        """Return whether a link is valid; if so, replace it with a new one."""
        is_valid = bool(self._token) and _is_equal(token, self._token)
        if is_valid:
            self.renew()
        return is_valid


class PageAccess:
    """Middleware that requires a valid link or cookie.

    It also rejects requests and websockets from other hosts and origins, and adds the
    content security policy.
    """

    def __init__(self, app: ASGIApp, *, links: OneTimeLinks, old_tab: TabKeys) -> None:
        self.app = app
        self._links = links
        self._old_tab = old_tab

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, log a browser in, or forward the request."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
        elif _is_same_origin(scope) and self._is_logged_in(scope):
            if _query_value(scope, _TOKEN):
                await self._redirect(is_new=False)(scope, receive, send)
            else:
                await self._forward(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._login_response(scope)(scope, receive, send)

    def _login_response(self, scope: Scope) -> Response:
        """Return the response to a browser that is not logged in."""
        if not _is_same_origin(scope):
            title = lazy_gettext("Access refused")
            text = lazy_gettext("Open this page at its exact address.")
            return _refusal(scope, title, text)
        if self._links.use(_query_value(scope, _TOKEN)):
            return self._redirect(is_new=True)
        if scope["path"] == _OLD_TAB:
            return self._reconnect_response(scope)
        if scope["path"] == START:
            return self._start_response(scope)
        title = lazy_gettext("Open this page with its link")
        text = lazy_gettext(
            "It shows private messages, so an old link or a bookmark does not open it. "
            "Start Chat exports again from your programs: that opens this page."
        )
        return _refusal(scope, title, text)

    def _is_logged_in(self, scope: Scope) -> bool:
        path = f"{self._links.path}/"
        headers = HTTPConnection(scope).headers.getlist("cookie")
        # Another server on this machine can set a cookie of the same name.
        cookies = (
            part.strip().partition("=") for h in headers for part in h.split(";")
        )
        values = [value for name, _, value in cookies if name == _COOKIE]
        is_known = any(_is_equal(value, self._links.cookie) for value in values)
        return is_known and _is_equal(scope["path"][: len(path)], path)

    def _reconnect_response(self, scope: Scope) -> Response:
        nonce, proof = _query_value(scope, "nonce"), _query_value(scope, "proof")
        if self._old_tab.verify(nonce, proof):
            return self._redirect(is_new=True)
        answer = "" if proof else self._old_tab.sign_page(nonce)
        return _html_response(answer, status=200 if answer else 403)

    def _start_response(self, scope: Scope) -> Response:
        """Return the newest link to a second start of the program."""
        nonce, proof = _query_value(scope, "nonce"), _query_value(scope, "proof")
        keys = self._old_tab
        if not keys.verify_start(nonce, proof):
            return _html_response("", status=403)
        answer = sign_link(keys.key, keys.port, nonce, self._links.token)
        return _html_response(answer, status=200)

    def _redirect(self, *, is_new: bool) -> Response:
        path = f"{self._links.path}/"
        if not is_new:
            return _html_response(_NO_ICON, status=303, location=path)
        cookie = f"{_COOKIE}={self._links.cookie}; Path={path}"
        # Not a redirect: browsers send no strict cookies after a redirect from another
        # origin, such as a local file.
        response = _html_response(_NO_ICON, status=200, refresh=f"0; url={path}")
        response.headers["set-cookie"] = f"{cookie}; HttpOnly; SameSite=Strict"
        return response

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = {**scope, "root_path": self._links.path}
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        secured = _SecuredSend(send)
        try:
            await self.app(scope, receive, secured.send)
        except Exception as error:  # noqa: BLE001 - its text can quote a message.
            log_error_location(error)
            if secured.start is None:
                title = lazy_gettext("Something went wrong")
                text = lazy_gettext(
                    "An unexpected error occurred. Please report it; the details are "
                    "in the window in which Chat exports runs."
                )
                page = _refusal(scope, title, text, status=500)
                await page(scope, receive, send)


class _SecuredSend:
    """Adds the security headers to a response, and the nonce to NiceGUI's scripts."""

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
            # The nonces change the length, so the headers are sent with the body.
            self._page = b""
        else:
            await self._send(message)

    async def _send_page(self, page: bytes) -> None:
        # All text in the page is escaped, so every script is NiceGUI's own.
        page = page.replace(b"<script", f'<script nonce="{self._nonce}"'.encode())
        start = self.start or {}
        MutableHeaders(scope=start)["content-length"] = str(len(page))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": page})


def _refusal(
    scope: Scope, title: LazyMessage, text: LazyMessage, *, status: int = 403
) -> Response:
    language = negotiate_language(
        HTTPConnection(scope).headers.get("accept-language", "")
    )
    page = _REFUSAL.format(
        language=language.tag,
        title=html.escape(language.render(title)),
        text=html.escape(language.render(text)),
    )
    return _html_response(page, status=status)


def _html_response(content: str, *, status: int, **headers: str) -> Response:
    common = {**_NO_STORE, **_HEADERS, _CSP: _REFUSAL_POLICY}
    return HTMLResponse(content, status, {**common, **headers})


def _query_value(scope: Scope, name: str) -> str:
    if scope["type"] != "http" or scope["method"] != "GET":
        return ""
    return HTTPConnection(scope).query_params.get(name, "")


def _is_equal(received: str, expected: str) -> bool:
    return hmac.compare_digest(received.encode("latin-1", "replace"), expected.encode())
