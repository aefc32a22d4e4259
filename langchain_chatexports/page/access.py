"""Access to the page: one-time links, a cookie, and a content security policy."""

import hmac
import html
import re
import secrets
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from langchain_chatexports._serving import log_error_location
from langchain_chatexports.page.languages import lazy_gettext, negotiate_language

# NiceGUI's pages have inline scripts, its Vue compiles templates (`unsafe-eval`), and
# Quasar sets inline styles. Nothing is loaded from elsewhere or sent there.
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; base-uri 'none'; connect-src 'self'; font-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; img-src 'self' data:; "
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
# Without the icon, a browser would request one outside the cookie's path.
_PAGE = """<!doctype html>
<html lang="{language}"><meta charset="utf-8"><title>Chat exports</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto;
       padding: 0 1rem }}
</style>
<main><h1>{title}</h1><p>{text}</p></main></html>"""

_TITLE = lazy_gettext("Open this page with its link")
_TEXT = lazy_gettext(
    "It shows private messages, so an old link or a bookmark does not open it. "
    "Start Chat exports again from your programs: that opens this page."
)

# Prevents DNS rebinding, in which a page of another site sends its own host name.
_LOCAL_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?")


class OneTimeLinks:
    """Login links, each valid for one browser, and the cookie that they set.

    `on_new` is called with each new token.
    """

    def __init__(self, on_new: Callable[[str], None]) -> None:
        # Another server on this machine can set a cookie of a name that it knows.
        self.cookie_name = f"chatexports-{secrets.token_urlsafe(16)}"
        self.cookie = secrets.token_urlsafe(32)
        # Browsers send cookies to all ports of a host, but only below their path.
        self.path = f"/{secrets.token_urlsafe(32)}"
        self._on_new = on_new
        self._token = ""

    def renew(self) -> None:
        self._token = secrets.token_urlsafe(32)
        self._on_new(self._token)

    def use(self, token: str) -> bool:
        """Return whether a link is valid; if so, replace it with a new one."""
        is_valid = bool(self._token) and _is_equal(token, self._token)
        if is_valid:
            self.renew()
        return is_valid

    def is_logged_in(self, request: HTTPConnection) -> bool:
        """Return whether a request has the cookie, and is below its path."""
        path, cookie = f"{self.path}/", request.cookies.get(self.cookie_name, "")
        is_below = _is_equal(request.scope["path"][: len(path)], path)
        return is_below and _is_equal(cookie, self.cookie)


class PageAccess:
    """Middleware that requires a valid link or cookie.

    It also rejects requests and websockets from other hosts and origins, and adds the
    content security policy.
    """

    def __init__(self, app: ASGIApp, links: OneTimeLinks) -> None:
        self.app = app
        self._links = links

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, log a browser in, or forward the request."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
        elif (response := self._response(HTTPConnection(scope))) is None:
            await self._forward(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            response.headers.update({**_HEADERS, "cache-control": "no-store"})
            await response(scope, receive, send)

    def _response(self, request: HTTPConnection) -> Response | None:
        """Return the response to a request; `None` if it is forwarded."""
        if not _is_same_origin(request):
            return _refuse(request)
        token = ""
        if request.scope.get("method") == "GET":
            token = request.query_params.get("token", "")
        path = f"{self._links.path}/"
        if self._links.is_logged_in(request):
            return RedirectResponse(path, 303) if token else None
        if self._links.use(token):
            # Not a redirect: browsers send no strict cookies after a redirect from
            # another origin, such as a local file.
            response = HTMLResponse(
                '<!doctype html><link rel="icon" href="data:,">',
                headers={"refresh": f"0; url={path}"},
            )
            response.set_cookie(
                self._links.cookie_name,
                self._links.cookie,
                path=path,
                httponly=True,
                samesite="strict",
            )
            return response
        return _refuse(request)

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                if headers.get("content-type", "").startswith("text/html"):
                    headers["cache-control"] = "no-store"
            await send(message)

        try:
            scope = {**scope, "root_path": self._links.path}
            await self.app(scope, receive, send_secured)
        except Exception as error:  # noqa: BLE001 - its text can quote a message.
            log_error_location(error)


def _refuse(request: HTTPConnection) -> Response:
    language = negotiate_language(request.headers.get("accept-language", ""))
    page = _PAGE.format(
        language=language.tag,
        title=html.escape(language.render(_TITLE)),
        text=html.escape(language.render(_TEXT)),
    )
    return HTMLResponse(page, 403)


def _is_same_origin(request: HTTPConnection) -> bool:
    """Return whether a request is for this host, and comes from its own pages."""
    hosts, origins = map(request.headers.getlist, ("host", "origin"))
    if len(hosts) != 1 or _LOCAL_HOST.fullmatch(hosts[0]) is None:
        return False
    return all(origin == f"http://{hosts[0]}" for origin in origins)


def _is_equal(received: str, expected: str) -> bool:
    return hmac.compare_digest(received.encode("latin-1", "replace"), expected.encode())
