"""Servers that send requests elsewhere, or answers without an end."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import zlib
from socket import SO_KEEPALIVE, SOL_SOCKET
from typing import TYPE_CHECKING, Any

import pytest
from openai import AsyncOpenAI, AuthenticationError, OpenAI

from langchain_chatexports.exceptions import (
    FineTuningError,
    FineTuningFailedError,
    FineTuningTimeoutError,
)
from langchain_chatexports.finetuning.connection import Clock
from tests.unit_tests.builders.openai_server import KEY, Fault, OpenAIServer, refused
from tests.unit_tests.builders.tuners import (
    FakeClock,
    achat,
    chat,
    make_examples,
    make_tuner,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UPLOAD = "POST /files"
CREATE = "POST /fine_tuning/jobs"
JOBS = "GET /fine_tuning/jobs"
POLL = "GET /fine_tuning/jobs/[^/]+"
EVENTS = "GET /fine_tuning/jobs/[^/]+/events"
CHAT = "POST /chat/completions"
TOKEN = "gateway-token-0123456789"  # noqa: S105 - invented
MIB = 2**20


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer().running() as running:
        yield running


@pytest.fixture
def other() -> Iterator[OpenAIServer]:
    """The server that nobody named."""
    with OpenAIServer().running() as running:
        yield running


def origin(server: OpenAIServer) -> str:
    return f"http://127.0.0.1:{server.port}"


def redirect(request: str, to: OpenAIServer, status: int = 307) -> Fault:
    path = request.split()[1].removesuffix(".*")
    location = f"{to.base_url}{path}"
    return Fault(
        request, -1, status=status, headers={"location": location}, body={"x": 1}
    )


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("request_", [JOBS, "GET /files", UPLOAD, CREATE])
def test_nothing_is_sent_to_a_server_that_nobody_named(
    request_: str, status: int, server: OpenAIServer, other: OpenAIServer
) -> None:
    server.faults.append(redirect(request_, other, status))
    with pytest.raises(FineTuningError) as caught:
        make_tuner(server, default_headers={"x-gateway": TOKEN}).submit(make_examples())
    assert other.requests == []
    assert origin(server) in str(caught.value)
    assert origin(other) in str(caught.value)
    assert "`base_url`" in str(caught.value)


async def test_nothing_is_sent_there_by_the_async_methods_either(
    server: OpenAIServer, other: OpenAIServer
) -> None:
    server.faults.append(redirect(UPLOAD, other))
    with pytest.raises(FineTuningError, match=origin(other)):
        await make_tuner(server).asubmit(make_examples())
    assert other.requests == []


def test_a_redirect_is_an_answer_and_is_not_asked_for_again(
    server: OpenAIServer, other: OpenAIServer
) -> None:
    server.faults.append(redirect(JOBS, other))
    with pytest.raises(FineTuningError, match="Nothing was ordered"):
        make_tuner(server).submit(make_examples())
    assert server.requests == [JOBS]


def test_a_password_in_a_redirect_is_not_shown(
    server: OpenAIServer, other: OpenAIServer
) -> None:
    location = f"http://me:hush@127.0.0.1:{other.port}/v1/files?token=hush"
    server.faults.append(
        Fault(JOBS, -1, status=307, headers={"location": location}, body={})
    )
    with pytest.raises(FineTuningError) as caught:
        make_tuner(server).submit(make_examples())
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("location", ["http://[bad", "::", "//", "http://\x7f/"])
def test_a_redirect_to_nowhere_is_an_error_of_ours(
    server: OpenAIServer, location: str
) -> None:
    server.faults.append(
        Fault(JOBS, -1, status=307, headers={"location": location}, body={})
    )
    with pytest.raises(FineTuningError):
        make_tuner(server).submit(make_examples())


@pytest.mark.parametrize("request_", [UPLOAD, CREATE])
def test_a_redirect_to_the_same_server_is_followed(
    request_: str, server: OpenAIServer
) -> None:
    fault = redirect(request_, server)
    fault.times = 1
    server.faults.append(fault)
    assert make_tuner(server).submit(make_examples()).id == "ftjob-1"
    assert server.requests.count(request_) == 2
    assert b"tortoise" in server.contents["file-1"]


async def test_a_redirect_to_the_same_server_is_followed_asynchronously(
    server: OpenAIServer,
) -> None:
    fault = redirect(UPLOAD, server)
    fault.times = 1
    server.faults.append(fault)
    assert (await make_tuner(server).asubmit(make_examples())).id == "ftjob-1"


def test_redirects_in_a_circle_end(server: OpenAIServer) -> None:
    server.faults.append(redirect(JOBS, server))
    with pytest.raises(FineTuningError, match="redirect"):
        make_tuner(server).submit(make_examples())
    assert len(server.requests) <= 21


@pytest.mark.parametrize("to_itself", [True, False])
def test_a_given_client_follows_no_redirect_while_ordering(
    to_itself: bool, server: OpenAIServer, other: OpenAIServer
) -> None:
    server.faults.append(redirect(UPLOAD, server if to_itself else other))
    with OpenAI(base_url=server.base_url, api_key=KEY) as client:
        tuner = make_tuner(server, client=client)
        with pytest.raises(FineTuningError, match="`base_url`"):
            tuner.submit(make_examples())
    assert other.requests == []
    assert server.requests.count(UPLOAD) == 1


async def test_a_given_async_client_follows_no_redirect_while_ordering(
    server: OpenAIServer, other: OpenAIServer
) -> None:
    server.faults.append(redirect(UPLOAD, other))
    async with AsyncOpenAI(base_url=server.base_url, api_key=KEY) as client:
        tuner = make_tuner(server, async_client=client)
        with pytest.raises(FineTuningError, match=origin(other)):
            await tuner.asubmit(make_examples())
    assert other.requests == []


def test_the_users_own_client_keeps_its_rules_outside_of_the_tuner(
    server: OpenAIServer, other: OpenAIServer
) -> None:
    with OpenAI(base_url=server.base_url, api_key=KEY) as client:
        make_tuner(server, client=client).submit(make_examples())
        server.faults.append(redirect("GET /files", other))
        with pytest.raises(AuthenticationError):
            client.files.list()
    assert other.requests == ["GET /files"]


# Redirects of chats


def tuned(server: OpenAIServer, **kwargs: Any) -> Any:
    tuner = make_tuner(server, default_headers={"x-gateway": TOKEN})
    return tuner.submit(make_examples()).wait().chat_model(**kwargs)


def test_a_chat_is_not_sent_to_a_server_that_nobody_named(
    server: OpenAIServer, other: OpenAIServer
) -> None:
    model = tuned(server)
    server.faults.append(redirect(CHAT, other))
    with pytest.raises(FineTuningError, match=origin(other)):
        chat(model)
    assert other.requests == []
    assert server.requests.count(CHAT) == 1


@pytest.mark.parametrize("options", [None, (), [(SOL_SOCKET, SO_KEEPALIVE, 1)]])
def test_a_chat_with_socket_options_is_not_sent_there_either(
    options: Any, server: OpenAIServer, other: OpenAIServer
) -> None:
    model = tuned(server, http_socket_options=options)
    server.faults.append(redirect(CHAT, other))
    with pytest.raises(FineTuningError, match=origin(other)):
        chat(model)
    assert other.requests == []


def test_a_streamed_chat_is_not_sent_there_either(
    server: OpenAIServer, other: OpenAIServer
) -> None:
    model = tuned(server)
    server.faults.append(redirect(CHAT, other))
    with pytest.raises(FineTuningError, match=origin(other)):
        list(model.stream("Ready?"))
    model.root_client.close()
    assert other.requests == []


async def test_an_async_chat_is_not_sent_there_either(
    server: OpenAIServer, other: OpenAIServer
) -> None:
    model = tuned(server)
    server.faults.append(redirect(CHAT, other))
    with pytest.raises(FineTuningError, match=origin(other)):
        await achat(model)
    assert other.requests == []


def test_a_chat_of_a_given_client_is_not_sent_there_either(
    server: OpenAIServer, other: OpenAIServer
) -> None:
    with OpenAI(base_url=server.base_url, api_key=KEY) as client:
        model = make_tuner(server, client=client).invoke(make_examples())
    server.faults.append(redirect(CHAT, other))
    with pytest.raises(FineTuningError, match=origin(other)):
        chat(model)
    assert other.requests == []


def test_a_chat_that_is_redirected_within_the_server_is_answered(
    server: OpenAIServer,
) -> None:
    model = tuned(server)
    fault = redirect(CHAT, server)
    fault.times = 1
    server.faults.append(fault)
    assert chat(model) == "Slow and steady"


@pytest.mark.parametrize("by_environment", [True, False])
def test_the_proxy_of_a_chat_model_is_kept(
    by_environment: bool,
    server: OpenAIServer,
    other: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if by_environment:
        monkeypatch.setenv("OPENAI_PROXY", origin(other))
        model = tuned(server)
    else:
        model = tuned(server, openai_proxy=origin(other))
    assert chat(model) == "Slow and steady"
    assert len(other.requests) == 1
    assert "chat/completions" in other.requests[0]


def test_a_http_client_given_for_chats_is_theirs(
    server: OpenAIServer, other: OpenAIServer
) -> None:
    from openai import DefaultHttpxClient

    with DefaultHttpxClient() as http_client:
        model = tuned(server, http_client=http_client)
        assert model.http_client is http_client
        server.faults.append(redirect(CHAT, other))
        with pytest.raises(AuthenticationError):
            chat(model)
    assert other.requests == [CHAT]


async def test_the_side_that_has_no_http_client_of_ones_own_is_guarded(
    server: OpenAIServer, other: OpenAIServer
) -> None:
    from openai import DefaultHttpxClient

    with DefaultHttpxClient() as http_client:
        model = tuned(server, http_client=http_client)
        server.faults.append(redirect(CHAT, other))
        with pytest.raises(FineTuningError, match=origin(other)):
            await achat(model)
    assert other.requests == []


# Answers without an end


def _padded(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer).encode() + b" " * (64 * MIB)


PAGE = {"object": "list", "data": [], "has_more": False}


@pytest.mark.parametrize("how", ["plain", "gzip", "deflate, gzip", "unknown"])
@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_grows_too_large_is_not_read_to_its_end(
    how: str, status: int, server: OpenAIServer
) -> None:
    body, headers = _padded(PAGE), {}
    if how != "plain":
        body, headers = gzip.compress(body, 1), {"content-encoding": how}
    server.faults.append(Fault(JOBS, -1, status=status, body=body, headers=headers))
    with pytest.raises(FineTuningError, match="cannot be read"):
        make_tuner(server).submit(make_examples())


async def test_the_async_methods_read_no_endless_answer_either(
    server: OpenAIServer,
) -> None:
    body = gzip.compress(_padded(PAGE), 1)
    headers = {"content-encoding": "gzip"}
    server.faults.append(Fault(JOBS, -1, status=200, body=body, headers=headers))
    with pytest.raises(FineTuningError, match="cannot be read"):
        await make_tuner(server).asubmit(make_examples())


@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity"])
def test_a_compressed_answer_is_read(coding: str, server: OpenAIServer) -> None:
    pack: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "identity": bytes,
    }
    body = pack[coding](json.dumps(PAGE).encode())
    headers = {"content-encoding": coding}
    server.faults.append(Fault(JOBS, 1, status=200, body=body, headers=headers))
    assert make_tuner(server).submit(make_examples()).id == "ftjob-1"


@pytest.mark.parametrize(
    "call",
    [
        lambda tuner: tuner.invoke(make_examples()),
        lambda tuner: asyncio.run(tuner.ainvoke(make_examples())),
    ],
    ids=["invoke", "ainvoke"],
)
@pytest.mark.parametrize("request_", [JOBS, POLL])
def test_a_byte_now_and_then_does_not_outlast_the_timeout(
    request_: str, call: Callable[[Any], object], server: OpenAIServer
) -> None:
    server.faults.append(Fault(request_, -1, status=200, body=PAGE, pause=0.3))
    tuner = make_tuner(server, timeout=1, clock=Clock(), poll_interval=0.1)
    start = time.monotonic()
    with pytest.raises(FineTuningTimeoutError):
        call(tuner)
    assert time.monotonic() - start < 30


async def test_a_given_async_client_does_not_outlast_the_timeout_either(
    server: OpenAIServer,
) -> None:
    server.faults.append(Fault(JOBS, -1, status=200, body=PAGE, pause=0.3))
    async with AsyncOpenAI(base_url=server.base_url, api_key=KEY) as client:
        tuner = make_tuner(server, async_client=client, timeout=1, clock=Clock())
        start = time.monotonic()
        with pytest.raises(FineTuningTimeoutError):
            await tuner.asubmit(make_examples())
    assert time.monotonic() - start < 30


class Endless(OpenAIServer):
    """A server whose lists never end; each page takes a second."""

    endless: str = ""
    clock: FakeClock

    def _page(self, items: list[Any], query: dict[str, list[str]]) -> dict[str, Any]:
        if not self.requests[-1].endswith(self.endless):
            return super()._page(items, query)
        self.clock.time += 1
        number = len(self.requests)
        item = {"id": f"x-{number}", "object": "x", "status": "failed", "message": "m"}
        return {"object": "list", "data": [item], "has_more": True}


@pytest.mark.parametrize("endless", ["/jobs", "/files", "/events"])
def test_endless_pages_do_not_outlast_the_timeout(endless: str) -> None:
    clock = FakeClock()
    server = Endless(statuses=("running",))
    server.endless, server.clock = endless, clock
    with server.running():
        with pytest.raises(FineTuningTimeoutError):
            make_tuner(server, clock=clock, timeout=20).invoke(make_examples())
        assert len(server.requests) < 80


@pytest.mark.parametrize("endless", ["/jobs", "/files"])
def test_endless_pages_end_without_a_timeout_too(
    endless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langchain_chatexports.finetuning.connection.MAX_PAGES", 10)
    server = Endless()
    server.endless, server.clock = endless, FakeClock()
    with server.running():
        with pytest.raises(FineTuningError, match="no end"):
            make_tuner(server).submit(make_examples())
        assert len(server.requests) < 40


# What servers say


DIRTY = "\x1b]0;owned\x07\x1b[31m a\u202eb"
CLEAN_CODES = ("\x1b", "\x07", "\u202e")


@pytest.mark.parametrize("echo", [KEY, TOKEN, DIRTY], ids=["key", "token", "codes"])
@pytest.mark.parametrize("where", ["code", "message", "param"])
def test_an_error_of_a_job_shows_no_key_and_no_terminal_codes(
    where: str, echo: str
) -> None:
    error = {"code": "bad", "message": "no", "param": "x"} | {where: f"is {echo} ok"}
    statuses = ("queued", "failed")
    with OpenAIServer(statuses=statuses, final={"error": error}).running() as server:
        tuner = make_tuner(server, default_headers={"x-gateway": TOKEN})
        with pytest.raises(FineTuningFailedError) as caught:
            tuner.invoke(make_examples())
    shown = f"{caught.value} {vars(caught.value)}"
    assert echo not in shown
    assert not [code for code in CLEAN_CODES if code in str(caught.value)]
    assert not [code for code in CLEAN_CODES if code in str(caught.value.code)]
    assert not [code for code in CLEAN_CODES if code in str(caught.value.param)]


@pytest.mark.parametrize("echo", [KEY, TOKEN, DIRTY], ids=["key", "token", "codes"])
@pytest.mark.parametrize("where", ["code", "message"])
@pytest.mark.parametrize("request_", [UPLOAD, CREATE])
def test_a_refusal_shows_no_key_and_no_terminal_codes(
    request_: str, where: str, echo: str, server: OpenAIServer
) -> None:
    said: dict[str, Any] = {where: f"is {echo} ok"}
    server.faults.append(refused(request_, 400, **said))
    tuner = make_tuner(server, default_headers={"x-gateway": TOKEN})
    with pytest.raises(FineTuningError) as caught:
        tuner.submit(make_examples())
    shown = f"{caught.value} {caught.value.__cause__}"
    assert echo not in shown
    assert not [code for code in CLEAN_CODES if code in shown]


def test_a_status_that_is_no_word_reaches_no_terminal() -> None:
    with OpenAIServer(statuses=("queued", DIRTY)).running() as server:
        run = make_tuner(server).submit(make_examples()).refresh()
        with pytest.raises(FineTuningError) as caught:
            run.chat_model()
    shown = f"{caught.value} {caught.value.status} {run.status} {run!r}"
    assert not [code for code in CLEAN_CODES if code in shown]


def test_an_id_that_is_none_is_an_answer_that_cannot_be_read(
    server: OpenAIServer,
) -> None:
    answer = {"id": f"file-{DIRTY}", "object": "file", "status": "processed"}
    server.faults.append(Fault(UPLOAD, -1, status=200, body=answer))
    with pytest.raises(FineTuningError, match="cannot be read") as caught:
        make_tuner(server).submit(make_examples())
    assert not [code for code in CLEAN_CODES if code in str(caught.value)]


@pytest.mark.parametrize("by", ["azure_ad_token", "api_key"])
def test_no_way_to_give_a_key_shows_it(by: str) -> None:
    from openai import AzureOpenAI

    token = "secret words of mine"  # noqa: S105 - invented
    with OpenAIServer().running() as server:
        server.faults.append(refused("GET .*", 400, message=f"bad {token}", times=-1))
        given: dict[str, Any] = {by: token}
        with AzureOpenAI(
            azure_endpoint=origin(server), api_version="1", **given
        ) as client:
            tuner = make_tuner(server, client=client)
            with pytest.raises(FineTuningError) as caught:
                tuner.get("ftjob-1")
    assert token not in f"{caught.value} {caught.value.__cause__}"


def test_a_key_that_is_fetched_for_each_request_is_not_shown() -> None:
    token = "secret words of mine"  # noqa: S105 - invented
    with OpenAIServer().running() as server:
        server.faults.append(refused("GET .*", 400, message=f"bad {token}", times=-1))
        with OpenAI(base_url=server.base_url, api_key=lambda: token) as client:
            tuner = make_tuner(server, client=client)
            with pytest.raises(FineTuningError) as caught:
                tuner.get("ftjob-1")
    assert token not in f"{caught.value} {caught.value.__cause__}"
