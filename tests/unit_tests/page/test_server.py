"""The start of the page's server."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.page import server


def test_port_is_opened_after_the_screens_are_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Otherwise tabs that reconnect would wait, and give up on a slow machine."""
    order = []

    def listen(*_: object) -> NoReturn:
        order.append("listen")
        msg = "the port is taken"
        raise LocalServerError(msg)

    monkeypatch.setattr(os, "umask", lambda _: 0)
    monkeypatch.setattr(server, "_build_app", lambda *_: order.append("build"))
    monkeypatch.setattr(server, "_listen", listen)
    with pytest.raises(LocalServerError, match="taken"):
        server.serve_page(print, base=None, data_dir=tmp_path, index_dir=None, port=0)
    assert order == ["build", "listen"]
