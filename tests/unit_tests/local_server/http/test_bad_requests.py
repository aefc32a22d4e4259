"""Invalid requests get OpenAI's errors, and none crashes the server."""

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute
from httpx2 import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from langchain_chatexports.local_server.http.routes import router

_JSON_TYPE = {"content-type": "application/json"}
_ALLOWED = {200, 400, 403, 404, 405}
_ROUTES = [
    (method, "/v1" + re.sub(r"{[^}]+}", "{id}", route.path))
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
]
_CHAT = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "a"}],
    "max_tokens": 1,
    "temperature": 1,
    "top_p": 1,
    "stop": ["x"],
    "seed": 1,
    "stream": False,
    "n": 1,
    "logit_bias": {"5": 1},
    "tools": [
        {
            "type": "function",
            "function": {"name": "x", "parameters": {"type": "object"}},
        }
    ],
    "tool_choice": {"type": "function", "function": {"name": "x"}},
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "object"}},
    },
}
_SCORE = {"model": "tiny", "messages": [{"role": "assistant", "content": "a"}]}
_JOB = {
    "model": "tiny",
    "training_file": "file-" + "0" * 32,
    "hyperparameters": {"n_epochs": 1},
    "method": {"type": "supervised", "supervised": {"hyperparameters": {}}},
    "suffix": "x",
    "seed": 1,
    "metadata": {"a": "b"},
}
_TEXT = st.text(st.characters(), max_size=12)
_NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([2**63, -(2**63), 10**400, 1e308])
)
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(_TEXT, inner, max_size=4)
    ),
    max_leaves=12,
)
_IDS = st.one_of(
    _TEXT,
    st.sampled_from(
        [
            "file-" + "0" * 32,
            "ftjob-" + "f" * 24,
            "..",
            "../../etc/passwd",
            "ft:tiny:local::" + "0" * 12,
            "ft:tiny:local::000000000000:ckpt-step-1",
            "tiny",
            "\0",
        ]
    ),
)


def _changed(body: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Return bodies with one changed value."""
    names = st.sampled_from([*body, "surprise"])
    return st.tuples(names, _JSON).map(
        lambda change: json.dumps({**body, change[0]: change[1]}).encode()
    )


_BODIES = st.one_of(
    _changed(_CHAT),
    _changed(_JOB),
    _changed(_SCORE),
    _JSON.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=40),
)


def _check(response: Response) -> None:
    assert response.status_code in _ALLOWED, response.text
    if response.status_code != 200:
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert isinstance(error["message"], str)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(_ROUTES), _IDS, _BODIES)
def test_any_body_gets_an_openai_response(
    http: TestClient, route: tuple[str, str], name: str, body: bytes
) -> None:
    method, path = route
    quoted = quote(name, safe="", errors="surrogatepass")
    url = path.replace("{id}", quoted)
    _check(http.request(method, url, content=body, headers=_JSON_TYPE))


@pytest.mark.parametrize("depth", [100, 400, 900, 5_000])
@pytest.mark.parametrize("key", ["tool_calls", "function_call", "content", "audio"])
def test_deep_nesting_is_a_400(http: TestClient, depth: int, key: str) -> None:
    nested = '{"a":' * depth + "1" + "}" * depth
    if key == "tool_calls":
        nested = f"[{nested}]"
    text = (
        '{"model": "tiny", "max_tokens": 1, "messages": '
        f'[{{"role": "assistant", "content": "a", "{key}": {nested}}}]}}'
    )
    response = http.post(
        "/v1/chat/completions", content=text.encode(), headers=_JSON_TYPE
    )
    assert response.status_code == 400
    _check(response)


@pytest.mark.parametrize(
    ("route", "body", "param", "message"),
    [
        (
            "fine_tuning/jobs",
            {**_JOB, "hyperparameters": {"learning_rate_multiplier": 0}},
            "hyperparameters",
            "Invalid value for 'hyperparameters': Input should be greater than 0.",
        ),
        (
            "fine_tuning/jobs",
            {**_JOB, "metadata": {"secret words": 1}},
            "metadata",
            "Invalid value for 'metadata': Input should be a valid string.",
        ),
        (
            "chat/completions",
            {**_CHAT, "messages": [{"role": "user", "content": [{"type": "x"}]}]},
            "messages",
            "Invalid value for 'messages': Field required.",
        ),
        (
            "chat/completions",
            {**_CHAT, "secret": 1},
            "secret",
            "Unrecognized request argument.",
        ),
    ],
)
def test_error_names_the_parameter_without_its_value(
    http: TestClient, route: str, body: Any, param: str, message: str
) -> None:
    error = http.post(f"/v1/{route}", json=body).json()["error"]
    assert (error["param"], error["message"]) == (param, message)
