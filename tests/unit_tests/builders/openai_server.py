"""A server with OpenAI's fine-tuning API on a real socket, and with faults.

It stores files and jobs, and records all requests. A fault defines which requests fail,
how often, and whether they are executed.
"""

import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

KEY = "sk-test-0123456789-do-not-show"
BASE_MODEL = "tiny-1"

# Requests, as in `Fault.request`.
UPLOAD = "POST /files"
FILES = "GET /files"
CREATE = "POST /fine_tuning/jobs"
JOBS = "GET /fine_tuning/jobs"
POLL = "GET /fine_tuning/jobs/[^/]+"
EVENTS = "GET /fine_tuning/jobs/[^/]+/events"
MODELS = "GET /models/.*"

_ENDED = {"succeeded", "failed", "cancelled"}
HTML = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1>" + "x" * 5000 + "</body>"


@dataclass
class Fault:
    """A failure of some requests."""

    request: str
    """A regular expression for the requests, such as `POST /files`."""

    times: int = 1
    """The number of failures; -1 for all requests."""

    status: int | None = None
    """The status of the response, without executing the request."""

    body: dict[str, Any] | str | bytes | None = None
    """The body of the response; a dict becomes JSON."""

    headers: dict[str, str] = field(default_factory=dict)
    carried_out: bool = False
    """Whether to execute the request despite the status."""

    cut_after: int | None = None
    """Execute the request, and close the connection after this many bytes."""

    delay: float = 0.0
    """Seconds to wait before the response."""

    after: int = 0
    """The number of requests that succeed first."""

    late: int = 0
    """Execute the request after this many further requests."""


def lost(request: str, times: int = 1, *, after: int = 0) -> Fault:
    """Execute the request, and lose the response."""
    return Fault(request, times, cut_after=0, after=after)


def refused(
    request: str,
    status: int,
    *,
    code: str | None = None,
    message: str = "no",
    param: str | None = None,
    times: int = 1,
    headers: dict[str, str] | None = None,
) -> Fault:
    """Answer with an error in OpenAI's format."""
    error = {"message": message, "type": "error", "code": code, "param": param}
    return Fault(
        request, times, status=status, body={"error": error}, headers=headers or {}
    )


class OpenAIServer:
    """The server with its files, jobs, recorded requests and faults."""

    statuses: Sequence[str] = ("validating_files", "running", "succeeded")
    """The statuses of a job, one for each retrieval."""

    file_statuses: Sequence[str] = ("processed",)
    file_status_details: str | None = None
    final: Mapping[str, Any] = {}
    """Changes to the job at its last status."""

    keeps_metadata = True
    filters = True
    """Whether lists of jobs are filtered by metadata."""

    refuses_field: str | None = None
    """A field of new jobs that is rejected with 400."""

    routes_missing: Sequence[str] = ()
    """Requests, as in `Fault.request`, that are answered with 404."""

    page_size: int | None = None
    late_name = 0
    """The number of retrievals after the success without the model's name."""

    words: Sequence[str] = ("Slow", " and", " steady")
    """The pieces of every answer."""

    tokens: list[int] | None = None

    def __init__(self, *faults: Fault, **settings: Any) -> None:
        self.faults = list(faults)
        self.models: dict[str, str | None] = {BASE_MODEL: None}
        for name, value in settings.items():
            assert hasattr(self, name), name
            setattr(self, name, value)
        self.files: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.deleted: list[str] = []
        self.uploads = self.created = 0
        self.requests: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.chats: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.before_answer: Callable[[str], None] | None = None
        self.before_work: Callable[[str], None] | None = None
        self.late: list[tuple[int, Callable[[], object]]] = []
        """Requests to execute later, with the number of requests before them."""

        self.lock = threading.RLock()
        self._retrievals: Counter[str] = Counter()

    @contextmanager
    def running(self) -> Iterator["OpenAIServer"]:
        handler = type("Handler", (_Handler,), {"state": self})
        http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        http.daemon_threads = True
        self.port = http.server_address[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            http.shutdown()
            http.server_close()
            thread.join()

    def answer(  # noqa: PLR0911 - one for each route.
        self, method: str, path: str, query: dict[str, list[str]], body: Any
    ) -> tuple[int, Any]:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[:1] == ["v1"]:
            parts = parts[1:]
        with self.lock:
            if parts[0] == "files":
                return self._files(method, parts[1:], query, body)
            if parts[:2] == ["fine_tuning", "jobs"]:
                return self._jobs(method, parts[2:], query, body)
            if parts[0] == "models":
                return self._models(method, "/".join(parts[1:]))
            if parts == ["chat", "completions"]:
                self.chats.append(body)
                return 200, _completion(body, self.words)
            if parts == ["hold"]:
                return 200, {}
            if parts == ["tokenize"] and self.tokens is not None:
                return 200, {"count": len(self.tokens), "tokens": self.tokens}
        return _error(404, "no such route")

    def _files(
        self, method: str, rest: list[str], query: dict[str, list[str]], body: Any
    ) -> tuple[int, Any]:
        if method == "POST":
            self.uploads += 1
            file_id = f"file-{self.uploads}"
            self.contents[file_id] = body["file"]
            self.files[file_id] = {
                "id": file_id,
                "object": "file",
                "bytes": len(body["file"]),
                "created_at": 1_700_000_000 + self.uploads,
                "filename": body["filename"],
                "purpose": body["purpose"],
                "status": self.file_statuses[0],
                "expires_at": None,
                "status_details": self.file_status_details,
            }
            return 200, self.files[file_id]
        if not rest:
            return 200, self._page(list(self.files.values()), query)
        file_id = rest[0]
        if file_id not in self.files:
            return _error(404, "no such file")
        if method == "DELETE":
            del self.files[file_id]
            self.deleted.append(file_id)
            return 200, {"id": file_id, "object": "file", "deleted": True}
        if rest[1:] == ["content"]:
            return 200, self.contents[file_id].decode()
        file = self.files[file_id]
        file["status"] = self._at(file_id, self.file_statuses)
        return 200, file

    def _jobs(
        self, method: str, rest: list[str], query: dict[str, list[str]], body: Any
    ) -> tuple[int, Any]:
        if method == "POST" and not rest:
            return self._new_job(body)
        if not rest:
            jobs = list(reversed(self.jobs.values()))
            for name, (value,) in query.items():
                match = re.fullmatch(r"metadata\[(.+)\]", name)
                if match and self.filters:
                    jobs = [
                        j for j in jobs if (j["metadata"] or {}).get(match[1]) == value
                    ]
            return 200, self._page(jobs, query)
        job = self.jobs.get(rest[0])
        if job is None:
            return _error(404, "no such job")
        if rest[1:] == ["cancel"] and job["status"] in _ENDED:
            return _error(400, "the job has ended")
        listed = {
            "events": self.events[job["id"]][::-1],
            "checkpoints": job["checkpoints"],
        }
        if rest[-1] in listed:
            return 200, self._page(listed[rest[-1]], query)
        if rest[1:] == ["cancel"]:
            job.update(status="cancelled", frozen=True)
        self._advance(job)
        return 200, job

    def _new_job(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.bodies.append(body)
        if self.refuses_field is not None and self.refuses_field in body:
            message = f"Unrecognized request argument supplied: {self.refuses_field}"
            return _error(400, message)
        self.created += 1
        job_id = f"ftjob-{self.created}"
        names = ("model", "training_file", "validation_file", "suffix")
        self.jobs[job_id] = {
            **{name: body.get(name) for name in names},
            "id": job_id,
            "object": "fine_tuning.job",
            "created_at": 1_700_000_000 + self.created,
            "status": self.statuses[0],
            "fine_tuned_model": None,
            "metadata": dict(body.get("metadata", {})) if self.keeps_metadata else None,
            "seed": body.get("seed", 0),
            "error": {"code": None, "message": None, "param": None},
            "hyperparameters": {"n_epochs": "auto"},
            "result_files": [],
            "organization_id": "org-1",
            "checkpoints": [],
        }
        self.events[job_id] = []
        self.add_event(job_id, "Created fine-tuning job")
        return 200, self.jobs[job_id]

    def add_event(self, job_id: str, message: str, **changes: Any) -> None:
        """Add an event to a job."""
        events = self.events[job_id]
        number = len(events) + 1
        events.append(
            {
                "id": f"{job_id}-event-{number}",
                "object": "fine_tuning.job.event",
                "created_at": 1_700_000_000,
                "level": "info",
                "message": message,
                "type": "message",
                "data": None,
                **changes,
            }
        )

    def _advance(self, job: dict[str, Any]) -> None:
        if job.get("frozen"):
            self._name_model(job)
            return
        job["status"] = self._at(job["id"], self.statuses)
        self.add_event(job["id"], f"The job is {job['status']}")
        if job["status"] == self.statuses[-1]:
            job["frozen"] = True
            self._name_model(job)
            job.update(self.final)

    def _name_model(self, job: dict[str, Any]) -> None:
        if job["status"] != "succeeded" or job["fine_tuned_model"] or self.final:
            return
        if self.late_name:
            self.late_name -= 1
            return
        name = f"ft:{job['model']}:org:{job['suffix'] or ''}:{job['id'][-1]}"
        job["fine_tuned_model"] = name
        self.models[name] = self.models.get(job["model"])
        job["checkpoints"] = [_checkpoint(job, step) for step in (20, 10)]

    def _models(self, method: str, name: str) -> tuple[int, Any]:
        if not name:
            return 200, {
                "object": "list",
                "data": [_model(n, d) for n, d in self.models.items()],
            }
        if name not in self.models:
            return _error(404, "no such model")
        if method == "DELETE":
            del self.models[name]
            return 200, {"id": name, "object": "model", "deleted": True}
        return 200, _model(name, self.models[name])

    def _at(self, item: str, statuses: Sequence[str]) -> str:
        self._retrievals[item] += 1
        return statuses[min(self._retrievals[item], len(statuses) - 1)]

    def _page(self, items: list[Any], query: dict[str, list[str]]) -> dict[str, Any]:
        ids = [item["id"] for item in items]
        after = query.get("after", [""])[0]
        start = ids.index(after) + 1 if after in ids else 0
        size = self.page_size or int(query.get("limit", ["20"])[0])
        data, has_more = items[start : start + size], start + size < len(items)
        return {"object": "list", "data": data, "has_more": has_more}


class _Handler(BaseHTTPRequestHandler):
    state: OpenAIServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def do_GET(self) -> None:
        url, state = urlsplit(self.path), self.state
        request = f"{self.command} {url.path.removeprefix('/v1')}"
        sent = self.rfile.read(int(self.headers.get("content-length") or 0))
        with state.lock:
            due = [item for item in state.late if item[0] <= len(state.requests)]
            state.late = [item for item in state.late if item not in due]
            for _, execute in due:
                execute()
        state.requests.append(request)
        state.headers.append({k.lower(): v for k, v in self.headers.items()})
        if state.before_work is not None:
            state.before_work(request)

        def work() -> tuple[int, Any]:
            body = _body(self.headers.get("content-type", ""), sent)
            return state.answer(self.command, url.path, parse_qs(url.query), body)

        fault = self._fault(request)
        if fault is not None and fault.late:
            state.late.append((len(state.requests) + fault.late, work))
        if fault is not None and fault.delay:
            time.sleep(fault.delay)
        key = self.headers.get("authorization") or ""
        status: int | None = None if fault is None else fault.status
        answer: Any = None if fault is None else fault.body
        if status is None or (fault is not None and fault.carried_out):
            if key.removeprefix("Bearer ") != KEY:
                done = _error(401, f"Incorrect API key provided: {key}")
            elif any(re.fullmatch(route, request) for route in state.routes_missing):
                done = _error(404, "Not Found")
            else:
                done = work()
            status, answer = done if status is None else (status, answer)
        if state.before_answer is not None:
            state.before_answer(f"{self.command} {self.path}")
        self._send(status, answer, fault or Fault(""))

    do_POST = do_DELETE = do_GET  # noqa: N815 - names of the base class

    def _fault(self, request: str) -> Fault | None:
        with self.state.lock:
            for fault in self.state.faults:
                if re.fullmatch(fault.request, request) and fault.times:
                    if fault.after:
                        fault.after -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None

    def _send(self, status: int, answer: Any, fault: Fault) -> None:
        kind = "application/json"
        if isinstance(answer, Iterator):
            data, kind = b"".join(answer), "text/event-stream"
        elif isinstance(answer, str):
            data, kind = answer.encode(), "text/html"
        else:
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        headers = {"content-type": kind, "content-length": str(len(data))}
        response = _head(status, {**headers, **fault.headers}) + data
        if fault.cut_after is None:
            self.wfile.write(response)
            return
        self.close_connection = True
        self.wfile.write(response[: fault.cut_after])
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)


def _head(status: int, headers: dict[str, str]) -> bytes:
    # Sent together with the body, because a second packet would be delayed by 40 ms.
    lines = [f"HTTP/1.1 {status} -", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _body(content_type: str, sent: bytes) -> Any:
    if content_type.startswith("multipart/"):
        head = f"content-type: {content_type}\r\n\r\n".encode()
        form: dict[str, Any] = {}
        for part in BytesParser(policy=HTTP).parsebytes(head + sent).iter_parts():
            name = part.get_param("name", header="content-disposition")
            content: Any = part.get_payload(decode=True)
            form[str(name)] = content.decode()
            if part.get_filename():
                form["filename"] = part.get_filename()
                form[str(name)] = content
        return form
    return json.loads(sent) if sent else {}


def _error(status: int, message: str) -> tuple[int, dict[str, Any]]:
    error = {"message": message, "type": "invalid_request_error", "code": None}
    return status, {"error": {**error, "param": None}}


def _model(name: str, shutdown_date: str | None) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "org-1",
        "shutdown_date": shutdown_date,
    }


def _checkpoint(job: dict[str, Any], step: int) -> dict[str, Any]:
    return {
        "id": f"ftckpt-{step}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": 1_700_000_000 + step,
        "fine_tuned_model_checkpoint": f"{job['fine_tuned_model']}:ckpt-step-{step}",
        "fine_tuning_job_id": job["id"],
        "step_number": step,
        "metrics": {"step": step, "train_loss": 1.0},
    }


def _completion(body: dict[str, Any], words: Sequence[str]) -> Any:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    common = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": body["model"]}
    if not body.get("stream"):
        message = {"role": "assistant", "content": "".join(words)}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        common |= {"object": "chat.completion", "choices": choices, "usage": usage}
        return common
    common["object"] = "chat.completion.chunk"
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": word}}]}
        for word in words
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if body.get("stream_options", {}).get("include_usage"):
        chunks.append({"choices": [], "usage": usage})
    lines = [f"data: {json.dumps({**common, **chunk})}\n\n" for chunk in chunks]
    return (line.encode() for line in [*lines, "data: [DONE]\n\n"])
