"""Texts and keys reach only the server that the user named."""

import asyncio
import io
import json
import logging
import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from langchain_core.tracers.base import BaseTracer

from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.finetuning.errors import clean_text
from tests.unit_tests.builders.openai_server import (
    CREATE,
    FILES,
    JOBS,
    KEY,
    UPLOAD,
    Fault,
    OpenAIServer,
    lost,
    refused,
)
from tests.unit_tests.builders.tuners import make_examples, make_tuner

TOKEN = "gateway-token-0123456789"  # noqa: S105 - invented
MARK = "XYZZY-my-own-words"
ECHO = f"Cannot use: Who wins race 3? {MARK}"
FAILED = {"error": {"code": "bad", "message": ECHO, "param": None}}
DIRTY = "\x1b]0;owned\x07\x1b[31m a\u202eb"
CLEAN_CODES = ("\x1b", "\x07", "\u202e")


@pytest.fixture
def _all_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield


SERVERS: dict[str, tuple[list[Fault], dict[str, Any]]] = {
    "all is well": ([], {}),
    "lost answers": ([lost(UPLOAD), lost(CREATE)], {}),
    "refused file": ([refused(UPLOAD, 400, message=ECHO)], {}),
    "refused job": ([refused(CREATE, 400, message=ECHO)], {}),
    "closed": ([refused(CREATE, 403, message=ECHO)], {}),
    "unusable file": (
        [],
        {"file_statuses": ("uploaded", "error"), "file_status_details": ECHO},
    ),
    "failed job": ([], {"statuses": ("queued", "failed"), "final": FAILED}),
    "server in trouble": ([Fault(UPLOAD, -1, status=500, body=ECHO)], {}),
    "wrong key": ([refused("GET .*", 401, message=f"Bad key {KEY}", times=-1)], {}),
}


class Traces(BaseTracer):
    """Records what a tracer would send."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def _persist_run(self, run: Any) -> None:
        self.text += f"{run.inputs} {run.outputs} {run.error} {run.events} {run.extra}"


@pytest.mark.usefixtures("_all_logged")
@pytest.mark.parametrize(("faults", "settings"), SERVERS.values(), ids=SERVERS)
def test_no_text_or_key_in_output(
    faults: list[Fault], settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    faults = [Fault(**vars(fault)) for fault in faults]
    traces, shown = Traces(), io.StringIO()
    with OpenAIServer(*faults, **settings).running() as server:
        tuner = make_tuner(server)
        try:
            model = tuner.invoke(make_examples(marker=MARK), {"callbacks": [traces]})
            shown.write(repr(model))
        except FineTuningError as error:
            shown.write(f"{error} {error!r} {vars(error)}")
            if faults and "wrong key" in error.args[0]:
                traceback.print_exception(error, file=shown)
        with_header = make_tuner(server, default_headers={"x-secret": KEY})
        shown.write(repr(with_header))
        assert server.uploads == 0 or MARK.encode() in server.contents["file-1"]
    ours = [r for r in caplog.records if r.name.startswith("langchain_chatexports")]
    logged = " ".join(record.getMessage() for record in ours)
    for text in (shown.getvalue(), logged, traces.text):
        assert MARK not in text
        assert KEY not in text


def test_no_text_or_key_in_debug_logs(caplog: pytest.LogCaptureFixture) -> None:
    """openai 2 writes the arguments of a request to its log."""
    with caplog.at_level(logging.DEBUG), OpenAIServer().running() as server:
        make_tuner(server).invoke(make_examples(marker=MARK))
        asyncio.run(make_tuner(server).ainvoke(make_examples(11, marker=MARK)))
        assert MARK.encode() in server.contents["file-2"]
    assert "openai" in caplog.text
    assert MARK not in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("how", ["batch", "abatch", "bound"])
def test_traces_have_no_examples(how: str) -> None:
    traces = Traces()
    examples, config = make_examples(marker=MARK), {"callbacks": [traces]}
    with OpenAIServer().running() as server:
        tuner: Any = make_tuner(server)
        if how == "bound":
            tuner.with_config(config).invoke(examples)
        else:
            result = getattr(tuner, how)([examples], config)
            asyncio.run(result) if how == "abatch" else None
    assert "{'input': ''} {'job_id': 'ftjob-1'," in traces.text
    assert "'examples': 10" in traces.text
    assert MARK not in traces.text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Line 3 is wrong.", "Line 3 is wrong"),
        ("Unknown field 'metadata'", "Unknown field 'metadata'"),
        ("Bad content: 'see you at nine'", "Bad content: '…'"),
        ('Bad content: "see you at nine"', "Bad content: '…'"),
        ("Incorrect API key: sk-abcdef123456.", "Incorrect API key: …"),
        ("a\n  b", "a b"),
        ("<!DOCTYPE html><html>", ""),
        ("x" * 1000, "x" * 300 + "…"),
    ],
)
def test_keys_quotations_and_html_are_removed(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


@pytest.mark.parametrize("echo", [KEY, TOKEN, DIRTY], ids=["key", "token", "codes"])
@pytest.mark.parametrize("where", ["code", "message"])
@pytest.mark.parametrize("request_", [UPLOAD, CREATE])
def test_rejection_has_no_key_or_terminal_codes(
    request_: str, where: str, echo: str, server: OpenAIServer
) -> None:
    fields: dict[str, Any] = {where: f"is {echo} ok"}
    server.faults.append(refused(request_, 400, **fields))
    tuner = make_tuner(server, default_headers={"x-gateway": TOKEN})
    with pytest.raises(FineTuningError) as caught:
        tuner.submit(make_examples())
    shown = f"{caught.value} {caught.value.__cause__}"
    assert echo not in shown
    assert not [code for code in CLEAN_CODES if code in shown]


def test_key_at_the_cut_is_hidden(server: OpenAIServer) -> None:
    message = f"{'x ' * 145}{TOKEN}"
    server.faults.append(refused(CREATE, 400, message=message))
    tuner = make_tuner(server, default_headers={"x-gateway": TOKEN})
    with pytest.raises(FineTuningError) as caught:
        tuner.submit(make_examples())
    assert "x x" in str(caught.value)
    assert TOKEN[:7] not in str(caught.value)


def test_multi_line_quotation_is_removed(server: OpenAIServer) -> None:
    examples = make_examples(marker="\n\nno idea\nsee you")
    server.faults.append(refused(CREATE, 400, message="Bad: no idea\nsee you"))
    with pytest.raises(FineTuningError) as caught:
        make_tuner(server).submit(examples)
    assert "idea" not in f"{caught.value} {caught.value.__cause__}"


def test_unsendable_key_is_hidden(server: OpenAIServer) -> None:
    key = "sk-schlüssel-0123"
    with pytest.raises(FineTuningError, match="`api_key`") as caught:
        make_tuner(server, api_key=key).get("ftjob-1")
    assert caught.value.__cause__ is None
    assert key not in "".join(traceback.format_exception(caught.value))


@pytest.fixture
def other() -> Iterator[OpenAIServer]:
    """The target of a redirect."""
    with OpenAIServer().running() as running:
        yield running


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("request_", [JOBS, FILES, UPLOAD, CREATE])
def test_redirects_are_not_followed(
    request_: str, status: int, server: OpenAIServer, other: OpenAIServer
) -> None:
    there = f"http://me:hush@127.0.0.1:{other.port}"
    headers = {"location": f"{there}/v1/files?token=hush"}
    server.faults.append(Fault(request_, -1, status=status, headers=headers, body={}))
    tuner = make_tuner(server, default_headers={"x-gateway": TOKEN})
    with pytest.raises(FineTuningError, match="`base_url`") as caught:
        asyncio.run(tuner.asubmit(make_examples()))
    assert other.requests == []
    assert server.requests.count(request_) == 1
    assert f"http://127.0.0.1:{other.port}" in str(caught.value)
    assert "hush" not in str(caught.value)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.sampled_from(["", "x", "file-1"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["id", "data", "a"]), inner, max_size=3)
    ),
    max_leaves=4,
)
FIELDS = [
    *("id", "status", "data", "has_more", "model", "metadata", "training_file"),
    *("fine_tuned_model", "error", "method", "hyperparameters", "seed", "suffix"),
    *("created_at", "message", "level", "filename", "bytes", "status_details"),
    *("expires_at", "shutdown_date", "step_number", "validation_file"),
]
ODD = st.dictionaries(
    st.sampled_from(FIELDS),
    JSON | st.sampled_from(["queued", "failed", "succeeded", "ftjob-1"]),
    max_size=6,
)
ROUTES = [
    UPLOAD,
    FILES,
    "GET /files/.*",
    "DELETE /files/.*",
    CREATE,
    JOBS,
    f"{JOBS}/[^/]+",
    f"{JOBS}/[^/]+/events",
    f"{JOBS}/[^/]+/checkpoints",
    f"{CREATE}/[^/]+/cancel",
    "GET /models/.*",
]


@settings(max_examples=20)  # Each one is a server and a dozen requests.
@example(route=FILES, answer={"data": [{"id": [1]}]}, times=-1)
@example(route=FILES, answer={"id": "", "data": True}, times=1)
@example(route=CREATE, answer={"data": []}, times=1)
@given(
    route=st.sampled_from(ROUTES),
    answer=ODD
    | st.fixed_dictionaries({"data": st.lists(ODD | JSON, max_size=3)})
    | st.fixed_dictionaries({"id": st.just("ftjob-1")}, optional={"status": JSON})
    | JSON,
    times=st.sampled_from([1, -1]),
)
def test_any_response_is_handled(route: str, answer: Any, times: int) -> None:
    headers = {"content-type": "application/json"}
    fault = Fault(route, times, status=200, body=json.dumps(answer), headers=headers)
    with OpenAIServer(
        fault, file_statuses=("uploaded", "processed")
    ).running() as server:
        tuner = make_tuner(
            server, n_epochs=2, seed=3, suffix="x", delete_training_file=True
        )
        with suppress(FineTuningError):
            run = tuner.submit(make_examples())
            run.checkpoints()
            run.wait(300).chat_model()
            run.cancel()
