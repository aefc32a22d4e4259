"""Reconnection of a browser tab after a restart of `chatexports open`.

The port and a key are stored in the data directory, readable only by their owner. Each
start creates a new key, and accepts the previous one from a tab. Neither side sends the
key, because any program can listen on the port while the page is closed. Both sign the
tab's nonce with the key and the port, so that such a program cannot relay messages from
the page on another port. Old cookies and paths are useless to it.

A second start finds the running page in the same way: whoever can read the key may have
a link.
"""

import hmac
import json
import secrets
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from langchain_chatexports._files import write_atomic
from langchain_chatexports._serving import HOST

START = "/start"
"""The path at which a second start asks for a link."""

_MAX_NONCES, _MIN_NONCE = 100, 32
_SECONDS = 5.0


class TabKeys:
    """Keys that let open tabs reconnect after a restart."""

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / "page.json"
        stored = _read_json(self._file)
        port = stored.get("port")
        self.last_port = port if isinstance(port, int) and 0 < port < 2**16 else 0
        self.port = 0
        self._last_key = str(stored.get("key") or "")
        # This page gives the key to its tabs; the next page accepts it from them.
        self.key = secrets.token_urlsafe(32)
        self._nonces: deque[str] = deque(maxlen=_MAX_NONCES)
        self._starts: deque[str] = deque(maxlen=_MAX_NONCES)

    def store(self, port: int) -> None:
        """Store the port and the new key for the next page."""
        self.port = port
        stored = {"port": port, "key": self.key}
        write_atomic(self._file, json.dumps(stored).encode("ascii"))

    def sign_page(self, nonce: str) -> str:
        """Return this page's signature for a tab; empty without a previous key."""
        if not self._last_key:
            return ""
        self._nonces.append(nonce)
        return self._sign(f"page {self.port} {nonce}")

    def verify(self, nonce: str, proof: str) -> bool:
        """Return whether a tab of the previous page signed a nonce; valid once."""
        if nonce not in self._nonces:
            return False
        expected = self._sign(f"tab {self.port} {nonce}")
        is_valid = hmac.compare_digest(proof.encode(), expected.encode())
        if is_valid:
            self._nonces.remove(nonce)
        return is_valid

    def verify_start(self, nonce: str, proof: str) -> bool:
        """Return whether a second start signed a nonce with this page's key."""
        expected = _sign(self.key, f"start {self.port} {nonce}")
        is_new = len(nonce) >= _MIN_NONCE and nonce not in self._starts
        if is_new and hmac.compare_digest(proof.encode(), expected.encode()):
            self._starts.append(nonce)
            return True
        return False

    def _sign(self, text: str) -> str:
        return _sign(self._last_key, text)


def find_running_page(data_dir: Path) -> str | None:
    """Return a new login link of the page that another process serves, if any."""
    import httpx

    stored = _read_json(data_dir / "page.json")
    port, key = stored.get("port"), stored.get("key")
    if not isinstance(port, int) or not isinstance(key, str):
        return None
    address, nonce = f"http://{HOST}:{port}", secrets.token_urlsafe(32)
    query = {"nonce": nonce, "proof": _sign(key, f"start {port} {nonce}")}
    try:
        with httpx.Client(timeout=_SECONDS, trust_env=False) as client:
            response = client.get(f"{address}{START}", params=query)
    except httpx.HTTPError:
        return None
    token, _, proof = response.text.partition(" ")
    # Another program can listen on the port.
    expected = _sign(key, f"link {port} {nonce} {token}")
    if not hmac.compare_digest(proof.encode(), expected.encode()):
        return None
    return f"{address}/?token={token}"


def sign_link(key: str, port: int, nonce: str, token: str) -> str:
    """Return the answer to a second start: a link's token, and its signature."""
    return f"{token} {_sign(key, f'link {port} {nonce} {token}')}"


def _sign(key: str, text: str) -> str:
    return hmac.digest(key.encode(), text.encode(), "sha256").hex()


def _read_json(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        if isinstance(stored := json.loads(path.read_bytes()), dict):
            return stored
    return {}
