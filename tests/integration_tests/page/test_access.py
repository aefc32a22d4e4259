"""Access to the page: one browser per link, and none from elsewhere."""

import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.integration_tests.page.conftest import Browsers, Command, opened, wait

_TITLE = "Add chats"
_REFUSED = "Open this page with its link"
_SECONDS = 600


@contextmanager
def _listening(answer: bytes, port: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Run another server on this machine, and yield its port and its requests."""
    requests: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(f"{self.path} {self.headers}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Listener) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        try:
            yield other.server_port, requests
        finally:
            other.shutdown()


def test_link_logs_in_one_browser(shared: Command, browsers: Browsers) -> None:
    first, second = browsers(), browsers()
    first.open(shared.link)
    first.see(_TITLE)
    assert first.driver.current_url == urljoin(first.address, "add")
    second.open(first.address)
    second.see(_REFUSED)
    second.open(shared.link)
    second.see(_REFUSED)
    second.open(shared.next_link())
    second.see(_TITLE)
    first.open(first.address)
    first.see(_TITLE)


def test_websocket_requires_cookie_and_origin(shared: Command) -> None:
    login = httpx.get(shared.link, timeout=_SECONDS)
    page = urljoin(shared.address, login.headers["refresh"].partition("url=")[2])
    socket_path = "_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    url = f"{page.replace('http:', 'ws:')}{socket_path}"
    cookie = login.headers["set-cookie"].partition(";")[0]
    own = shared.address.rstrip("/")
    open_socket = partial(connect, url, open_timeout=_SECONDS)
    for headers, origin in (
        ({}, own),
        ({"Cookie": cookie}, "http://evil.example"),
        ({"Cookie": f"{cookie}x"}, own),
    ):
        with (
            pytest.raises(InvalidStatus, match="403"),
            open_socket(additional_headers=headers, origin=Origin(origin)),
        ):
            pass
    headers = {"Cookie": cookie}
    with open_socket(additional_headers=headers, origin=Origin(own)) as socket:
        assert str(socket.recv(_SECONDS)).startswith("0{")


def test_other_local_server_gets_no_access(shared: Command, browsers: Browsers) -> None:
    """Browsers send cookies to all ports of a host."""
    page = b"<title>other</title><img src=/img><p>another server"
    browser = browsers()
    browser.open(shared.link)
    browser.see(_TITLE)
    path = urlsplit(browser.driver.current_url).path
    with _listening(page) as (port, requests):
        script = f"location.href = 'http://127.0.0.1:{port}/manage'"
        browser.driver.execute_script(script)
        browser.see("another server")
        wait(lambda: any(request.startswith("/img") for request in requests))
    assert not any("cookie" in request.lower() for request in requests)
    assert len(path) > 20
    assert not any(path in request for request in requests)
    with httpx.Client(timeout=_SECONDS) as client:
        for guess in ("manage", "talk", ""):
            assert client.get(f"{shared.address}{guess}").status_code == 403


def test_browser_command_line_has_no_link(
    tmp_path: Path, tiny_base: Path, browsers: Browsers
) -> None:
    """All users of a machine can read command lines."""
    program, called = tmp_path / "browser", tmp_path / "called"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {called}.new; mv {called}.new {called}\n'
    )
    program.chmod(0o755)
    with opened(tmp_path, tiny_base, program) as command:
        wait(called.exists)
        address = called.read_text().strip()
        assert command.link.partition("=")[2] not in address
        assert address.startswith("file:")
        page = Path(url2pathname(urlsplit(address).path))
        assert stat.S_IMODE(page.stat().st_mode) == 0o600
        assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700
        browser = browsers()
        browser.open(address)
        browser.see(_TITLE)
    assert not page.exists()


def test_second_start_opens_the_running_page(
    command: Command, browsers: Browsers, tmp_path: Path
) -> None:
    link_file = tmp_path / "data" / "page-link"
    assert stat.S_IMODE(link_file.stat().st_mode) == 0o600
    options = ["--no-browser", "--data-dir", str(tmp_path / "data")]
    link = subprocess.check_output(  # noqa: S603 - our own command.
        [sys.executable, "-m", "langchain_chatexports.cli", "open", *options], text=True
    ).strip()
    assert link == command.link
    browser = browsers()
    browser.open(link)
    browser.see(_TITLE)
    assert command.process.poll() is None


def test_unknown_address_leads_to_the_chats(
    shared: Command, browsers: Browsers
) -> None:
    browser = browsers()
    browser.open(shared.link)
    browser.go("nowhere")
    browser.see(_TITLE)
    assert browser.driver.current_url.endswith("/add")
