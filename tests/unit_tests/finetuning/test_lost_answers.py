"""Answers that are lost, cut off, late or nonsense: still one job, or a clear error."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from langchain_chatexports.exceptions import FineTuningError
from tests.unit_tests.builders.openai_server import (
    HTML,
    KEY,
    Fault,
    OpenAIServer,
    lost,
)
from tests.unit_tests.builders.tuners import FakeClock, make_examples, make_tuner

if TYPE_CHECKING:
    from collections.abc import Iterator

UPLOAD = "POST /files"
CREATE = "POST /fine_tuning/jobs"
JOBS = "GET /fine_tuning/jobs"

# Answers that say the least that one can say, to be cut at every byte.
SHORT = {
    UPLOAD: {"id": "file-{}", "object": "file"},
    CREATE: {"id": "ftjob-{}", "object": "fine_tuning.job", "status": "queued"},
}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer().running() as running:
        yield running


@pytest.fixture
def client(server: OpenAIServer) -> Iterator[OpenAI]:
    """One client for many orders: making one takes longer than an order."""
    with OpenAI(base_url=server.base_url, api_key=KEY) as made:
        yield made


def counts_of_order(
    server: OpenAIServer, client: OpenAI, fault: Fault
) -> tuple[int, int]:
    """Place an order on an empty server, and count its jobs and uploads."""
    server.jobs.clear()
    server.files.clear()
    uploads = server.uploads
    server.faults[:] = [fault]
    run = make_tuner(server, client=client).submit(make_examples())
    assert run.id == f"ftjob-{server.created}"
    return len(server.jobs), server.uploads - uploads


@pytest.mark.parametrize("closing", [False, True], ids=["length", "closing"])
@pytest.mark.parametrize("request_of", [UPLOAD, CREATE])
def test_an_answer_cut_at_any_byte_gives_one_job_and_one_upload(
    request_of: str, closing: bool, server: OpenAIServer, client: OpenAI
) -> None:
    """Of a body that ends by closing, any part looks whole."""
    first = 88 if closing else 0  # The head is cut at each byte once.
    for length in range(first, 150 if closing else 140):
        number = server.created + 1
        body = {k: v.format(number) for k, v in SHORT[request_of].items()}
        fault = Fault(
            request_of,
            status=200,
            body=json.dumps(body),
            headers={"content-type": "application/json"},
            carried_out=True,
            cut_after=length,
            ends_by_closing=closing,
        )
        counts = counts_of_order(server, client, fault)
        assert counts == (1, 1), length


@pytest.mark.parametrize("request_of", [UPLOAD, CREATE])
def test_a_full_answer_cut_anywhere_gives_one_job_and_one_upload(
    request_of: str, server: OpenAIServer, client: OpenAI
) -> None:
    for length in [*range(0, 800, 40), 1500, -1, -2]:
        fault = Fault(request_of, cut_after=length)
        counts = counts_of_order(server, client, fault)
        assert counts == (1, 1), length


@pytest.mark.parametrize("request_of", [UPLOAD, CREATE])
def test_the_answer_to_the_last_attempt_can_be_lost_too(request_of: str) -> None:
    faults = [Fault(request_of, 3, status=503), lost(request_of)]
    with OpenAIServer(*faults).running() as server:
        make_tuner(server).submit(make_examples())
        assert (len(server.jobs), server.uploads) == (1, 1)


@pytest.mark.parametrize("request_of", [UPLOAD, CREATE])
def test_a_list_that_lags_behind_does_not_make_a_second_job(request_of: str) -> None:
    with OpenAIServer(lost(request_of), list_lag=2).running() as server:
        make_tuner(server).submit(make_examples())
        assert len(server.jobs) == 1


@pytest.mark.parametrize("looks", [1, 3, 5])
@pytest.mark.parametrize("delay", [0.0, 1.5], ids=["gateway", "client"])
def test_an_order_that_is_still_in_work_is_waited_for(delay: float, looks: int) -> None:
    """Client or gateway gave up, the server did not."""
    fault = Fault(CREATE, status=504, body=HTML, delay=delay, late=looks)
    clock = FakeClock()
    with OpenAIServer(fault).running() as server:
        tuner = make_tuner(server, clock=clock, request_timeout=1.0 if delay else 60.0)
        run = tuner.submit(make_examples())
        assert (run.id, len(server.jobs)) == ("ftjob-1", 1)
    assert sum(clock.sleeps) < 120


def test_what_is_in_work_is_not_waited_for_beyond_the_timeout() -> None:
    clock = FakeClock()
    with OpenAIServer(Fault(CREATE, -1, status=504, body=HTML)).running() as server:
        with pytest.raises(FineTuningError, match="may have been created"):
            make_tuner(server, clock=clock, timeout=10).submit(make_examples())
        assert server.requests.count(CREATE) == 1
    assert sum(clock.sleeps) <= 10


def test_a_list_that_does_not_say_that_it_goes_on_is_read_to_its_end() -> None:
    with OpenAIServer(tells_more=False, filters=False, page_size=1).running() as server:
        for suffix in ("a", "b", "c", "a"):
            make_tuner(server, suffix=suffix).submit(make_examples())
        assert (len(server.jobs), server.uploads) == (3, 1)


def test_a_list_that_begins_anew_with_each_page_comes_to_an_end() -> None:
    with OpenAIServer(obeys_after=False, filters=False, page_size=1).running() as odd:
        for suffix in ("a", "b"):
            run = make_tuner(odd, suffix=suffix).submit(make_examples())
        assert list(run.events())
        assert len(odd.jobs) == 2


def test_events_are_read_to_the_end_of_such_a_list() -> None:
    with OpenAIServer(tells_more=False, page_size=1).running() as server:
        run = make_tuner(server).submit(make_examples())
        messages = [event.message for event in run.events()]
        assert messages[0] == "Created fine-tuning job"


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
    "id",
    "status",
    "data",
    "has_more",
    "model",
    "metadata",
    "training_file",
    "fine_tuned_model",
    "error",
    "method",
    "hyperparameters",
    "seed",
    "suffix",
    "created_at",
    "message",
    "level",
    "filename",
    "bytes",
    "status_details",
    "expires_at",
    "shutdown_date",
    "step_number",
    "validation_file",
]
ODD = st.dictionaries(
    st.sampled_from(FIELDS),
    JSON | st.sampled_from(["queued", "failed", "succeeded", "ftjob-1"]),
    max_size=6,
)
ROUTES = [
    UPLOAD,
    "GET /files",
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


@given(
    route=st.sampled_from(ROUTES),
    answer=ODD
    | st.fixed_dictionaries({"data": st.lists(ODD | JSON, max_size=3)})
    | st.fixed_dictionaries({"id": st.just("ftjob-1")}, optional={"status": JSON})
    | JSON,
    times=st.sampled_from([1, -1]),
)
def test_whatever_a_server_says_comes_out_as_a_model_or_as_our_error(
    route: str, answer: Any, times: int
) -> None:
    headers = {"content-type": "application/json"}
    fault = Fault(route, times, status=200, body=json.dumps(answer), headers=headers)
    with OpenAIServer(fault, file_statuses=("uploaded", "processed")).running() as odd:
        tuner = make_tuner(
            odd, n_epochs=2, seed=3, suffix="x", delete_training_file=True
        )
        with suppress(FineTuningError):
            run = tuner.submit(make_examples())
            run.checkpoints()
            run.wait(300).chat_model()
            run.cancel()
