"""The tuner against a hostile server: statuses, bodies, redirects, slow bytes."""

from __future__ import annotations

import gzip
import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import ChatExportError
from tests.fuzz.case import MARK, FindError, check_text
from tests.fuzz.mutations import json_bytes, mutated, mutated_json
from tests.unit_tests.builders.openai_server import KEY, OpenAIServer, _body
from tests.unit_tests.builders.tuners import (
    FakeClock,
    make_examples,
    make_tuner,
)

if TYPE_CHECKING:
    from tests.fuzz.case import Case

MEMORY = 2**29
_TIMEOUT = 3.0
_STATUSES = (200, 201, 204, 301, 302, 303, 307, 308, 400, 401, 403, 404, 408, 409, 413)
_MORE_STATUSES = (*_STATUSES, 418, 422, 429, 429, 500, 502, 503, 529, 999, 100)
_HEADERS = {
    "retry-after": "9" * 400,
    "x-should-retry": "true",
    "x-request-id": f"{KEY}\x1b[2J",
    "content-encoding": "gzip",
    "set-cookie": "a=b",
    "content-length": "99999999",
}


class _Clock(FakeClock):
    """A clock on which sleeping takes no time, and everything else does."""

    def now(self) -> float:
        return time.monotonic() + self.time


class _Handler(BaseHTTPRequestHandler):
    server: _Hostile
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_DELETE = do_GET  # noqa: N815 - their names tell the methods

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def _answer(self) -> None:
        hostile, random = self.server, self.server.random
        sent = self.rfile.read(int(self.headers.get("content-length") or 0))
        hostile.seen.append(f"{self.headers}".encode() + sent)
        body = _body(self.headers.get("content-type", ""), sent)
        status, answer = hostile.sound.answer(self.command, self.path, {}, body)
        headers = {"content-type": "application/json"}
        share = hostile.share
        if random.random() < share:
            status = random.choice(_MORE_STATUSES)
            headers["location"] = f"{hostile.elsewhere}{self.path}"
        if random.random() < share:
            answer = mutated_json(random, answer, share=0.1)
        if random.random() < share:
            texts = (MARK, KEY, "\x1b]0;x\x07", sent.decode("latin-1")[:3000])
            error = {"message": " ".join(texts), "code": random.choice(texts)}
            answer = {"error": {**error, "param": random.choice(texts), "type": KEY}}
        data = json_bytes(random, answer)
        if random.random() < share / 2:
            data = mutated(random, data)
        if random.random() < share:
            name = random.choice(sorted(_HEADERS))
            headers[name] = _HEADERS[name]
            if name == "content-encoding":
                data = gzip.compress(b" " * random.choice((1, 2**28)))
        self._write(status, {"content-length": str(len(data)), **headers}, data)

    def _write(self, status: int, headers: dict[str, str], data: bytes) -> None:
        lines = [f"HTTP/1.1 {status} -", *(f"{k}: {v}" for k, v in headers.items())]
        sent = ("\r\n".join(lines) + "\r\n\r\n").encode() + data
        if self.server.random.random() < self.server.share / 4:
            self.close_connection = True
            for byte in sent[: 10 * 60]:  # A byte at a time.
                self.wfile.write(bytes([byte]))
                time.sleep(0.2)
        self.wfile.write(sent)


class _Hostile(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, random: Random, elsewhere: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.random, self.elsewhere = random, elsewhere
        self.share = random.choice((0.05, 0.3))
        self.sound = OpenAIServer()
        self.seen: list[bytes] = []
        self.base_url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def end(self) -> None:
        """Stop, and free the port."""
        self.shutdown()
        self.server_close()


def attack(case: Case, _: None) -> None:
    """Order a model from a server that wishes us ill."""
    random = case.random
    stranger = _Hostile(Random(0), "")
    # Another name of this machine is another origin.
    elsewhere = f"http://localhost:{stranger.server_address[1]}"
    server = _Hostile(Random(random.random()), elsewhere)
    tuner = make_tuner(
        server,  # type: ignore[arg-type] # only its `base_url` is asked for
        clock=_Clock(),
        request_timeout=0.5,
        timeout=_TIMEOUT,
        default_headers={"x-gateway": MARK},
    )
    examples = make_examples(10, MARK)
    try:
        with case.judged():
            _order(tuner, examples)
        if any(MARK.encode() in seen or KEY.encode() in seen for seen in stranger.seen):
            msg = "a stranger got the examples or a key"
            raise FindError(msg)
    finally:
        server.end()
        stranger.end()


def _order(tuner: Any, examples: list[dict[str, Any]]) -> None:
    try:
        run = tuner.submit(examples)
        run.wait(_TIMEOUT)
        json.dumps(run.chat_model().model_name)
    except ChatExportError as error:
        if KEY in str(error):
            msg = "the key is shown"
            raise FindError(msg) from None
        raise
    check_text(repr(run))
