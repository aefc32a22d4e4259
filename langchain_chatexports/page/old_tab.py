"""Reconnection of a browser tab after a restart of `chatexports open`.

The port and a key are stored in the data directory, for their owner only. Each start
creates a new key, and accepts the previous one from a tab. Neither side sends the key,
because any program can listen on the port while the page is closed; old cookies and
paths are useless to it. Both sign the tab's nonce with the key and the port, so that a
program in between cannot relay messages of the page from another port.
"""

import hmac
import json
import secrets
from collections import deque
from pathlib import Path

from langchain_chatexports._files import write_whole
from langchain_chatexports.workflows.models import page_file, read_json

_MAX_NONCES = 100


class OldTab:
    """The shared secrets of this page, the last page and their tabs."""

    def __init__(self, data_dir: Path | None) -> None:
        self._data_dir = data_dir
        left = read_json(page_file(data_dir)) or {}
        port = left.get("port")
        self.last_port = port if isinstance(port, int) and 0 < port < 2**16 else 0
        self.port = 0
        self._last_key = str(left.get("key") or "")
        # Of this page's tabs, for the next page.
        self.key = secrets.token_urlsafe(32)
        self._nonces: deque[str] = deque(maxlen=_MAX_NONCES)

    def keep(self, port: int) -> None:
        """Store the port and the new key for the next page."""
        self.port = port
        left = {"port": port, "key": self.key}
        write_whole(page_file(self._data_dir), json.dumps(left).encode("ascii"))

    def proof(self, nonce: str) -> str:
        """Return the proof for a tab that this is its page; empty if impossible."""
        if not self._last_key:
            return ""
        self._nonces.append(nonce)
        return self._signed(f"page {self.port} {nonce}")

    def let_in(self, nonce: str, proof: str) -> bool:
        """Return whether a tab has proved that it is of the last page; works once."""
        if nonce not in self._nonces:
            return False
        wanted = self._signed(f"tab {self.port} {nonce}")
        is_tab = hmac.compare_digest(proof.encode(), wanted.encode())
        if is_tab:
            self._nonces.remove(nonce)
        return is_tab

    def _signed(self, text: str) -> str:
        return hmac.digest(self._last_key.encode(), text.encode(), "sha256").hex()
