"""A server of OpenAI's fine-tuning protocol over a real socket, with faults to order.

It keeps files and jobs as a real one does, and writes down every request. A fault says
which request goes wrong, how often, and how: before or after it was carried out.
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
_ENDED = {"succeeded", "failed", "cancelled"}
HTML = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1>" + "x" * 5000 + "</body>"


@dataclass
class Fault:
    """One thing that goes wrong.

    Attributes:
        request: What it strikes, such as `POST /files`; a regular expression.
        times: How often; -1 is for ever.
        status: Answer with this status instead of carrying the request out.
        body: The answer's body: a dict for JSON, a string or bytes as they are.
        headers: Further headers of the answer.
        carried_out: Carry the request out all the same.
        cut_after: Carry it out, and close after this many bytes of the body; 0 is
            before the head.
        delay: Seconds to think before the answer.
        after: How many such requests to let pass first.
        late: Carry it out so many requests after the answer.
    """

    request: str
    times: int = 1
    status: int | None = None
    body: dict[str, Any] | str | bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    carried_out: bool = False
    cut_after: int | None = None
    delay: float = 0.0
    after: int = 0
    late: int = 0


def lost(request: str, times: int = 1, *, after: int = 0) -> Fault:
    """The request is carried out, its answer never arrives."""
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
    """The request is answered with OpenAI's error shape."""
    error = {"message": message, "type": "error", "code": code, "param": param}
    return Fault(
        request, times, status=status, body={"error": error}, headers=headers or {}
    )


class OpenAIServer:
    """The server: what it holds, what it was asked, and what it does wrong."""

    statuses: Sequence[str] = ("validating_files", "running", "succeeded")
    """What a job's status is at each look; the last one stays."""

    file_statuses: Sequence[str] = ("processed",)
    file_status_details: str | None = None
    final: Mapping[str, Any] = {}
    """Changes to the job once it has reached the last status."""

    keeps_metadata = True
    filters = True
    """Whether the list of jobs obeys a metadata filter."""

    refuses_field: str | None = None
    """A field of a new job that is answered with 400."""

    routes_missing: Sequence[str] = ()
    """Requests, as in `Fault.request`, that are answered with 404."""

    page_size: int | None = None
    late_name = 0
    """Looks after the success before the model's name is there."""

    words: Sequence[str] = ("Slow", " and", " steady")
    """What every chat is answered with."""

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
        """What is done only after so many requests."""

        self.lock = threading.RLock()
        self._looks: Counter[str] = Counter()

    @contextmanager
    def running(self) -> Iterator["OpenAIServer"]:
        kind = type("Handler", (_Handler,), {"state": self})
        http = ThreadingHTTPServer(("127.0.0.1", 0), kind)
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
                "expires_at": 1_900_000_000
                if "expires_after[seconds]" in body
                else None,
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
        self.say(job_id, "Created fine-tuning job")
        return 200, self.jobs[job_id]

    def say(self, job_id: str, message: str, **changes: Any) -> None:
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
        self.say(job["id"], f"The job is {job['status']}")
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
        self._looks[item] += 1
        return statuses[min(self._looks[item], len(statuses) - 1)]

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
        """Say nothing."""

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
            for _, put_off in due:
                put_off()
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

    do_POST = do_DELETE = do_GET  # noqa: N815 - the names that Python calls

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
        whole = _head(status, {**headers, **fault.headers}) + data
        if fault.cut_after is None:
            self.wfile.write(whole)
            return
        self.close_connection = True
        self.wfile.write(whole[: fault.cut_after])
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)


def _head(status: int, headers: dict[str, str]) -> bytes:
    # Sent in one piece with the body: two would wait 40 ms for each other.
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
    if not body.get("stream"):
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": "".join(words)},
                }
            ],
            "usage": usage,
        }
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": word}}]}
        for word in words
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if body.get("stream_options", {}).get("include_usage"):
        chunks.append({"choices": [], "usage": usage})
    common = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": body["model"],
    }
    lines = [f"data: {json.dumps({**common, **chunk})}\n\n" for chunk in chunks]
    return (line.encode() for line in [*lines, "data: [DONE]\n\n"])
