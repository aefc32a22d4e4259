"""The local server: its key, its host, its paths, its ids, its bodies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.fuzz.case import CANARY, MARK, FindError
from tests.fuzz.mutations import hostile, json_bytes, mutated, mutated_json

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.fuzz.case import Case

MEMORY = 2**32
_KEY = "a-key-for-fuzzing-0123456789"
_BASE = "tiny"
_IDS = (
    "..",
    "../canary",
    "%2e%2e%2fcanary",
    "..%2f..%2fbeside%2fcanary",
    "%2fetc%2fpasswd",
    "file-0",
    "file-" + "a" * 24,
    "ftjob-" + "a" * 24,
    "ft:tiny::../../canary",
    "ft:tiny:x:abcdefgh",
    "ft:tiny:x:abcdefgh:ckpt-step-../..",
    "x" * 5000,
    "%00",
    "\u0663",
    "",
)
_ROUTES = (
    "GET /v1/files",
    "GET /v1/files/{}",
    "GET /v1/files/{}/content",
    "DELETE /v1/files/{}",
    "GET /v1/fine_tuning/jobs",
    "GET /v1/fine_tuning/jobs/{}",
    "POST /v1/fine_tuning/jobs/{}/cancel",
    "GET /v1/fine_tuning/jobs/{}/events",
    "GET /v1/fine_tuning/jobs/{}/checkpoints",
    "GET /v1/models",
    "GET /v1/models/{}",
    "DELETE /v1/models/{}",
    "GET /{}",
    "PUT /v1/files/{}",
)
_QUERIES = ("", "?limit=0", "?limit=9e9", "?after=../x", "?limit=1&limit=2", "?order=x")
_WRONG_KEYS = (
    "",
    "Bearer",
    "Bearer ",
    f"Bearer {_KEY[:-1]}",
    f"Bearer {_KEY}x",
    f"Bearer {_KEY.upper()}",
    f"Basic {_KEY}",
    _KEY,
    "Bearer \xff\xfe",
    "Bearer *",
)
_HOSTS = ("evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "[::")
_BODIES: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "/v1/chat/completions",
        {
            "model": _BASE,
            "messages": [{"role": "user", "content": MARK}],
            "max_tokens": 3,
            "temperature": 0.5,
            "top_p": 0.9,
            "n": 1,
            "stop": ["x"],
            "seed": 1,
            "stream": False,
        },
    ),
    (
        "/v1/fine_tuning/jobs",
        {
            "model": _BASE,
            "training_file": "file-0",
            "suffix": "me",
            "seed": 1,
            "hyperparameters": {"n_epochs": 1},
            "method": {"type": "supervised", "supervised": {"hyperparameters": {}}},
            "metadata": {"a": "b"},
        },
    ),
    (
        "/v1/score",
        {
            "model": _BASE,
            "messages": [
                {"role": "user", "content": MARK},
                {"role": "assistant", "content": "yes"},
            ],
        },
    ),
)


def prepare(folder: Path) -> Path:
    """Write a base with random weights."""
    from tests.unit_tests.builders.tiny_base import write_tiny_base

    return write_tiny_base(folder)


def attack(case: Case, base: Path) -> None:
    """Ask a server of our own what nobody should ask it."""
    from starlette.testclient import TestClient

    from langchain_chatexports.local_server.bases.description import signature_of
    from langchain_chatexports.local_server.http.app import create_app
    from langchain_chatexports.local_server.http.service import LocalService
    from langchain_chatexports.local_server.storage.data_directory import DataDirectory

    data = DataDirectory(case.out / "data")
    data.prepare()
    service = LocalService(
        data,
        base=str(base),
        base_model=_BASE,
        base_directory=base,
        signature=signature_of(base),
    )
    # Jobs stay queued: the attack is on what is accepted.
    service.queue.start = lambda: None  # type: ignore[method-assign]
    app = create_app(service, api_key=_KEY)
    with case.judged(expected=()), TestClient(app, base_url="http://127.0.0.1") as http:
        for _ in range(30):
            case.random.choice((_knock, _walk, _walk, _send, _upload))(
                case.random, http
            )


def _ask(http: Any, method: str, url: str, **options: Any) -> Any:
    headers = {"authorization": f"Bearer {_KEY}", **options.pop("headers", {})}
    raw = {
        name.encode(): value.encode("latin-1", "replace")
        for name, value in headers.items()
    }
    url = quote(url, safe="/%?=&[]:")[:8000]  # As every client does.
    answer = http.request(method, url, headers=raw, **options)
    if answer.status_code >= 500:
        msg = f"{answer.status_code} of {method} {url[:80]}"
        raise FindError(msg)
    if CANARY in answer.text or (answer.is_error and MARK in answer.text):
        msg = f"{method} {url[:80]} says what it must not"
        raise FindError(msg)
    return answer


def _knock(random: Random, http: Any) -> None:
    headers = {"authorization": random.choice(_WRONG_KEYS)}
    if random.random() < 0.3:
        headers = {"host": random.choice(_HOSTS)}
    elif random.random() < 0.2:
        headers["x-api-key"] = headers["cookie"] = _KEY
    answer = _ask(http, "GET", f"/v1/models?api_key={_KEY}", headers=headers)
    if not answer.is_error:
        msg = f"let in with {sorted(headers)}"
        raise FindError(msg)


def _walk(random: Random, http: Any) -> None:
    method, _, path = random.choice(_ROUTES).partition(" ")
    name = random.choice(_IDS)
    if random.random() < 0.3:
        name = mutated(random, name.encode()).decode("latin-1").replace("#", "")
    _ask(http, method, path.format(name) + random.choice(_QUERIES))


def _send(random: Random, http: Any) -> None:
    path, body = random.choice(_BODIES)
    content = json_bytes(random, mutated_json(random, body, share=0.15))
    if random.random() < 0.2:
        content = mutated(random, content)
    kind = random.choice(("application/json", "application/json", "text/plain", ""))
    _ask(http, "POST", path, content=content, headers={"content-type": kind})


def _upload(random: Random, http: Any) -> None:
    messages = _BODIES[2][1]["messages"]
    rows = [mutated_json(random, {"messages": messages}, share=0.03) for _ in range(12)]
    data = b"\n".join(json_bytes(random, row) for row in rows)
    if random.random() < 0.2:
        data = mutated(random, data)
    name = random.choice(
        (
            "x.jsonl",
            "../../canary",
            "/etc/passwd",
            "\x1b[2J",
            str(hostile(random))[:500],
        )
    )
    form = {"purpose": random.choice(("fine-tune", "fine-tune", "batch"))}
    name = name.encode("utf-8", "replace").decode()
    answer = _ask(http, "POST", "/v1/files", files={"file": (name, data)}, data=form)
    if not answer.is_error:
        order = {"model": _BASE, "training_file": answer.json()["id"]}
        _ask(http, "POST", "/v1/fine_tuning/jobs", content=json.dumps(order))
