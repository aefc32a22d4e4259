"""A local model hub for the real `huggingface_hub` client, with one model."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

CUT_AFTER = 15_000_000
"""The number of bytes before a connection is closed."""

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A hub with the files of a folder as its model."""

    def __init__(self, hub_id: str, folder: Path) -> None:
        self.hub_id = hub_id
        self.files = {file.name: file.read_bytes() for file in folder.iterdir()}
        self.is_gated = False
        self.claimed_size: int | None = None
        """A false size of the weights."""

        self.cuts = 0
        """The number of connections to close during large files."""

        self.sent: list[tuple[str, int, int]] = []
        """The name, offset and size of each response with a file."""

        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self)

            do_HEAD = do_GET  # noqa: N815 - a name of the base class

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator["Hub"]:
        """Answer requests while the context is open."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(request.path).path)
        api, resolve = f"/api/models/{self.hub_id}", f"/{self.hub_id}/resolve/"
        if path in {api, f"{api}/revision/main"}:
            self._send_json(request, {"id": self.hub_id, "sha": COMMIT, "siblings": []})
        elif path.startswith(f"{api}/tree/"):
            tree = [self._entry(name) for name in self.files]
            self._send_json(request, tree)
        elif path.startswith(resolve) and self.is_gated:
            self._refuse(request, "GatedRepo", "Access to this model is restricted.")
        elif path.startswith(resolve):
            self._send_file(request, path.rpartition("/")[2])
        else:
            self._refuse(request, "RepoNotFound", "Repository not found")

    def _size(self, name: str) -> int:
        is_claimed = self.claimed_size is not None and name.endswith(".safetensors")
        return self.claimed_size or 0 if is_claimed else len(self.files[name])

    def _entry(self, name: str) -> dict[str, Any]:
        etag = hashlib.sha1(self.files[name]).hexdigest()  # noqa: S324 - as git does.
        return {"type": "file", "path": name, "oid": etag, "size": self._size(name)}

    def _send_file(self, request: BaseHTTPRequestHandler, name: str) -> None:
        content, entry = self.files[name], self._entry(name)
        given = request.headers.get("Range", "bytes=0-").removeprefix("bytes=")
        offset = int(given.split("-")[0])
        request.send_response(206 if "Range" in request.headers else 200)
        request.send_header("ETag", f'"{entry["oid"]}"')
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("Accept-Ranges", "bytes")
        request.send_header(
            "Content-Range", f"bytes {offset}-{len(content) - 1}/{len(content)}"
        )
        request.send_header("Content-Length", str(self._size(name) - offset))
        request.end_headers()
        if request.command == "HEAD":
            return
        end = len(content)
        if self.cuts and end > CUT_AFTER:
            self.cuts -= 1
            end = max(offset, CUT_AFTER)
        self.sent.append((name, offset, max(0, end - offset)))
        request.wfile.write(content[offset:end])
        request.wfile.flush()
        request.close_connection = end < len(content)

    def _send_json(self, request: BaseHTTPRequestHandler, value: Any) -> None:
        content = json.dumps(value).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(content)

    def _refuse(self, request: BaseHTTPRequestHandler, code: str, text: str) -> None:
        request.send_response(401)
        request.send_header("X-Error-Code", code)
        request.send_header("X-Error-Message", text)
        request.send_header("Content-Length", "0")
        request.end_headers()
