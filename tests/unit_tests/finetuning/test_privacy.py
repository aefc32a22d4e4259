"""Marked texts and keys: they reach the server's files, and nothing else."""

from __future__ import annotations

import asyncio
import io
import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.messages import HumanMessage
from langchain_core.tracers import ConsoleCallbackHandler
from langchain_core.tracers.base import BaseTracer

from langchain_chatexports.exceptions import FineTuningError, FineTuningFailedError
from langchain_chatexports.finetuning.errors import clean_text
from langchain_chatexports.finetuning.training_file import prepare_order
from langchain_chatexports.steps import MapAIMessages, MergeChatRuns
from tests.unit_tests.builders.openai_server import (
    KEY,
    Fault,
    OpenAIServer,
    lost,
    refused,
)
from tests.unit_tests.builders.tuners import make_examples, make_tuner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.chat_sessions import ChatSession

MARK = "XYZZY-my-own-words"
ECHO = f"Cannot use: Who wins race 3? {MARK}"
FAILED = {"error": {"code": "bad", "message": ECHO, "param": None}}


@pytest.fixture
def _all_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield


SERVERS: dict[str, tuple[list[Fault], dict[str, Any]]] = {
    "all is well": ([], {}),
    "lost answers": ([lost("POST /files"), lost("POST /fine_tuning/jobs")], {}),
    "refused file": ([refused("POST /files", 400, message=ECHO)], {}),
    "refused job": ([refused("POST /fine_tuning/jobs", 400, message=ECHO)], {}),
    "closed": ([refused("POST /fine_tuning/jobs", 403, message=ECHO)], {}),
    "unusable file": (
        [],
        {"file_statuses": ("uploaded", "error"), "file_status_details": ECHO},
    ),
    "failed job": ([], {"statuses": ("queued", "failed"), "final": FAILED}),
    "server in trouble": ([Fault("POST /files", -1, status=500, body=ECHO)], {}),
    "wrong key": ([refused("GET .*", 401, message=f"Bad key {KEY}", times=-1)], {}),
}


class Traces(BaseTracer):
    """Keeps what a tracer would send."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def _persist_run(self, run: Any) -> None:
        self.text += f"{run.inputs} {run.outputs} {run.error} {run.events} {run.extra}"


@pytest.mark.usefixtures("_all_logged")
@pytest.mark.parametrize(("faults", "settings"), SERVERS.values(), ids=SERVERS)
def test_no_text_and_no_key_in_logs_errors_traces_and_reprs(
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
        order = prepare_order(tuner, make_examples(marker=MARK))
        shown.write(f"{with_header!r} {order!r}")
        assert server.uploads == 0 or MARK.encode() in server.contents["file-1"]
    ours = [r for r in caplog.records if r.name.startswith("langchain_chatexports")]
    logged = " ".join(record.getMessage() for record in ours)
    for text in (shown.getvalue(), logged, traces.text):
        assert MARK not in text
        assert KEY not in text


def test_a_debug_log_of_any_library_holds_neither_text_nor_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """openai 2 writes the arguments of a request to its log."""
    with caplog.at_level(logging.DEBUG), OpenAIServer().running() as server:
        make_tuner(server).invoke(make_examples(marker=MARK))
        asyncio.run(make_tuner(server).ainvoke(make_examples(11, marker=MARK)))
        assert MARK.encode() in server.contents["file-2"]
    assert "openai" in caplog.text
    assert MARK not in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_a_message_that_reads_like_a_status_hides_none(status: str) -> None:
    examples = make_examples()
    examples[0]["messages"][1]["content"] = status
    with OpenAIServer(statuses=("queued", status)).running() as server:
        tuner = make_tuner(server)
        if status == "succeeded":
            assert tuner.invoke(examples).model_name
        else:
            with pytest.raises(FineTuningFailedError):
                tuner.invoke(examples)


class Races(BaseChatLoader):
    """Ten sessions with marked texts."""

    def lazy_load(self) -> Iterator[ChatSession]:
        for number in range(10):
            texts = {"Hare": f"{MARK} {number}?", "Tortoise": MARK}
            yield {
                "messages": [
                    HumanMessage(text, additional_kwargs={"sender": sender})
                    for sender, text in texts.items()
                ]
            }


def test_steps_that_are_run_while_the_tuner_reads_are_in_no_trace() -> None:
    traces = Traces()
    given = Races() | MergeChatRuns() | MapAIMessages(sender="Tortoise")
    with OpenAIServer().running() as server:
        make_tuner(server).invoke(given, {"callbacks": [traces]})
        assert MARK.encode() in server.contents["file-1"]
    assert "ftjob-1" in traces.text
    assert MARK not in traces.text


@pytest.mark.parametrize("how", ["invoke", "batch", "ainvoke", "abatch", "bound"])
@pytest.mark.parametrize("retries", [True, False])
def test_no_way_to_call_a_tuner_puts_the_examples_into_a_trace(
    how: str, retries: bool
) -> None:
    traces = Traces()
    given, config = make_examples(marker=MARK), {"callbacks": [traces]}
    with OpenAIServer().running() as server:
        tuner: Any = make_tuner(server)
        tuner = tuner.with_retry() if retries else tuner
        if how == "bound":
            tuner.with_config(config).invoke(given)
        elif "batch" in how:
            got = getattr(tuner, how)([given], config)
            asyncio.run(got) if how == "abatch" else None
        else:
            got = getattr(tuner, how)(given, config)
            asyncio.run(got) if how == "ainvoke" else None
    assert "ftjob-1" in traces.text
    assert MARK not in traces.text


def test_the_console_tracer_shows_no_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with OpenAIServer().running() as server:
        make_tuner(server).invoke(
            make_examples(marker=MARK), {"callbacks": [ConsoleCallbackHandler()]}
        )
    assert "ChatFineTuner" in (printed := capsys.readouterr().out)
    assert MARK not in printed


@pytest.mark.parametrize(
    ("said", "shown"),
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
def test_a_servers_words_are_shortened_and_its_quotations_left_out(
    said: str, shown: str
) -> None:
    assert clean_text(said) == shown
