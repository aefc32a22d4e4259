"""Reconnection of a browser tab after a restart of `chatexports open`.

The port and a key are stored in the data directory, readable only by their owner. Each
start creates a new key, and accepts the previous one from a tab. Neither side sends the
key, because any program can listen on the port while the page is closed. Both sign the
tab's nonce with the key and the port, so that such a program cannot relay messages from
the page on another port. Old cookies and paths are useless to it.
"""

import hmac
import json
import secrets
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from langchain_chatexports._files import write_atomic

_MAX_NONCES = 100


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

    def _sign(self, text: str) -> str:
        return hmac.digest(self._last_key.encode(), text.encode(), "sha256").hex()


def _read_json(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        if isinstance(stored := json.loads(path.read_bytes()), dict):
            return stored
    return {}
