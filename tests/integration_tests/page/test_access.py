"""Who gets in: one browser per link, and nobody from elsewhere."""

import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.integration_tests.page.conftest import Browser, Command, opened, wait

_TITLE = "Add exports"
_REFUSED = "This page needs its link"


@contextmanager
def _listening(answer: bytes, port: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Run another server of this machine; give its port, and what it is asked."""
    seen: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(f"{self.path} {self.headers}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Listener) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        try:
            yield other.server_port, seen
        finally:
            other.shutdown()


def test_a_link_lets_one_browser_in(
    shared: Command, browsers: Callable[..., Browser]
) -> None:
    first, second = browsers(), browsers()
    first.open(shared.link)
    first.see(_TITLE)
    assert first.driver.current_url == first.address
    second.open(first.address)
    second.see(_REFUSED)
    second.open(shared.link)
    second.see(_REFUSED)
    second.open(shared.next_link())
    second.see(_TITLE)
    first.open(first.address)
    first.see(_TITLE)


def test_the_websocket_is_guarded(shared: Command) -> None:
    answer = httpx.get(shared.link)
    place = urljoin(shared.address, answer.headers["refresh"].partition("url=")[2])
    place = place.replace("http:", "ws:")
    url = f"{place}_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    cookie = answer.headers["set-cookie"].partition(";")[0]
    own = shared.address.rstrip("/")
    for headers, origin in (
        ({}, own),
        ({"Cookie": cookie}, "http://evil.example"),
        ({"Cookie": f"{cookie}x"}, own),
    ):
        with (
            pytest.raises(InvalidStatus, match="403"),
            connect(url, additional_headers=headers, origin=Origin(origin)),
        ):
            pass
    with connect(
        url, additional_headers={"Cookie": cookie}, origin=Origin(own)
    ) as socket:
        assert str(socket.recv(5)).startswith("0{")


def test_another_server_of_this_machine_gets_no_key_to_the_page(
    shared: Command, browsers: Callable[..., Browser]
) -> None:
    """Cookies know no ports, so a browser sends them to each server of a host."""
    page = b"<title>other</title><img src=/img><p>another server"
    person = browsers()
    person.open(shared.link)
    person.see(_TITLE)
    path = urlsplit(person.driver.current_url).path
    with _listening(page) as (port, seen):
        script = f"location.href = 'http://127.0.0.1:{port}/manage'"
        person.driver.execute_script(script)
        person.see("another server")
        wait(lambda: any(request.startswith("/img") for request in seen))
    cookies = [
        line for request in seen for line in request.splitlines() if "ookie" in line
    ]
    assert cookies == []
    assert len(path) > 20
    assert not any(path in request for request in seen)
    with httpx.Client() as client:
        for guess in ("manage", "talk", ""):
            assert client.get(f"{shared.address}{guess}").status_code == 403


def test_no_link_is_in_the_command_line_of_the_browser(
    tmp_path: Path, tiny_base: Path, browsers: Callable[..., Browser]
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
        person = browsers()
        person.open(address)
        person.see(_TITLE)
    assert not page.exists()


def test_an_old_tab_comes_back_to_its_screen_when_the_page_has_begun_again(
    tmp_path: Path, tiny_base: Path, browsers: Callable[..., Browser]
) -> None:
    left = tmp_path / "data" / "page.json"
    person = browsers()
    with opened(tmp_path, tiny_base) as command:
        person.open(command.link)
        person.go("manage")
        person.see("Delete everything")
        old = person.driver.current_url
        assert stat.S_IMODE(left.stat().st_mode) == 0o600
        # It deletes the port, too, which is still known when the page ends.
        person.click("Delete everything …")
        person.click_in_dialog("Delete everything")
        person.see("Deleted: 0 models")
    # Another program that takes the port meanwhile gets nothing of use.
    port = urlsplit(old).port or 0
    with _listening(b"0" * 64, port) as (_, seen):
        wait(lambda: any(request.startswith("/old-tab?nonce=") for request in seen))
    assert not any("proof=" in request for request in seen)
    with opened(tmp_path, tiny_base) as command:
        assert urlsplit(command.link).port == port
        wait(lambda: person.driver.current_url not in {old, "about:blank"})
        person.see("Delete everything")
        assert person.driver.current_url.endswith("/manage")
        with httpx.Client() as client:
            # The cookies and paths of the last page open nothing.
            for request in seen:
                path = request.partition(" ")[0]
                if not path.startswith("/old-tab"):
                    named = request.partition("Cookie: ")[2].partition("\n")[0]
                    address = urljoin(command.address, path)
                    answer = client.get(address, headers={"Cookie": named.strip()})
                    assert answer.status_code == 403
