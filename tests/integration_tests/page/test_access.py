"""Who gets in: one browser per link, and nobody from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration_tests.page.conftest import Browser, Command

_TITLE = "Add exports"
_REFUSED = "This page needs its link"


def test_a_link_lets_one_browser_in(
    command: Command, browsers: Callable[..., Browser]
) -> None:
    first, second = browsers(), browsers()
    first.open(command.link)
    first.see(_TITLE)
    assert first.driver.current_url == command.address
    second.open(command.address)
    second.see(_REFUSED)
    second.open(command.link)
    second.see(_REFUSED)
    second.open(command.next_link())
    second.see(_TITLE)
    first.open(command.address)
    first.see(_TITLE)


def test_what_is_not_a_browser_with_the_cookie_is_refused(command: Command) -> None:
    with httpx.Client() as client:
        refused = client.get(command.address)
        assert refused.status_code == 403
        assert _REFUSED in refused.text
        assert client.get(f"{command.address}?token=x").status_code == 403
        assert client.get(f"{command.address}report").status_code == 403
        answer = client.get(command.link)
        cookie = answer.headers["set-cookie"]
        assert answer.status_code == 303
        assert answer.headers["location"] == "/"
        assert "; HttpOnly; SameSite=Strict" in cookie
        page = client.get(command.address)
        assert page.status_code == 200
        for other in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            assert client.get(command.address, headers=other).status_code == 403
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "'unsafe-inline'" not in policy.partition("script-src")[2].split(";")[0]
        assert page.text.count("<script") == page.text.count("<script nonce=")


def test_the_websocket_is_guarded(command: Command) -> None:
    place = command.address.replace("http:", "ws:")
    url = f"{place}_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    cookie = httpx.get(command.link).headers["set-cookie"].partition(";")[0]
    own = command.address.rstrip("/")
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
