"""What servers do, and what comes of it: model or error, jobs and uploads."""

import asyncio
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pytest

from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.finetuning.connection import Connection
from tests.unit_tests.builders.openai_server import (
    HTML,
    KEY,
    Fault,
    OpenAIServer,
    lost,
    refused,
)
from tests.unit_tests.builders.tuners import make_examples, make_tuner

UPLOAD = "POST /files"
CREATE = "POST /fine_tuning/jobs"
JOBS = "GET /fine_tuning/jobs"
POLL = "GET /fine_tuning/jobs/[^/]+"
EVENTS = "GET /fine_tuning/jobs/[^/]+/events"
MODELS = "GET /models/.*"

FAILED = "FineTuningFailedError"
CANCELLED = "FineTuningCancelledError"
UNAVAILABLE = "FineTuningUnavailableError"
TIMEOUT = "FineTuningTimeoutError"
BAD_FILE = "FileProcessingError"
MINIMAL: dict[str, Any] = {
    "keeps_metadata": False,
    "filters": False,
    "routes_missing": (EVENTS, MODELS),
}
NOT_CREATED = "No job was created"
CONTINUES = "continues, and may cost"


@dataclass
class Scenario:
    """One thing that a server does, and what comes of it."""

    name: str
    outcome: str
    """`model`, or the error's class."""

    jobs: int
    uploads: int
    faults: list[Fault] = field(default_factory=list)
    says: tuple[str, ...] = ()
    runs: int = 1
    tuner: dict[str, Any] = field(default_factory=dict)
    deleted: bool = False
    server: dict[str, Any] = field(default_factory=dict)


def model(name: str, *faults: Fault, jobs: int = 1, **more: Any) -> Scenario:
    """Describe a scenario that ends with a model."""
    tuner, runs = more.pop("tuner", {}), more.pop("runs", 1)
    return Scenario(
        name, "model", jobs, 1, list(faults), runs=runs, tuner=tuner, server=more
    )


def error(
    name: str, outcome: str, counts: tuple[int, int], *faults: Fault, **more: Any
) -> Scenario:
    """Describe a scenario that ends with an error; `counts` are jobs and uploads."""
    own = {k: more.pop(k) for k in ("says", "runs", "tuner", "deleted") if k in more}
    return Scenario(name, outcome, *counts, list(faults), server=more, **own)


_BAD_DATA = {
    "code": "invalid_training_file",
    "message": "The file has 3 examples",
    "param": "training_file",
}

SCENARIOS = [
    model("all is well"),
    model("the same call again", runs=3),
    model("the same call with run_again", jobs=2, runs=2, tuner={"run_again": True}),
    # Uploading and creating
    model("the upload fails before it is done", Fault(UPLOAD, 2, status=503)),
    model("the creation fails before it is done", Fault(CREATE, 3, status=500)),
    model(
        "502 in HTML, but done", Fault(CREATE, status=502, body=HTML, carried_out=True)
    ),
    error(
        "the answer is lost, and the job fails at once",
        FAILED,
        (1, 1),
        lost(CREATE),
        statuses=("failed",),
    ),
    model("a conflict (409)", Fault(CREATE, status=409)),
    error(
        "the server goes away after the creation",
        UNAVAILABLE,
        (1, 1),
        lost(CREATE),
        Fault(JOBS, -1, status=503, after=1),
        says=("may have been created", "repeat the same call"),
    ),
    # Servers that know less
    model("no lists", routes_missing=(JOBS, "GET /files")),
    model("no events, models and metadata", **MINIMAL),
    model("... the same call makes a second job", jobs=2, runs=2, **MINIMAL),
    model("... a lost answer makes a second job", lost(CREATE), jobs=2, **MINIMAL),
    model("metadata refused", refuses_field="metadata", keeps_metadata=False),
    model("the filter refused", refused(JOBS, 400, times=-1), runs=1),
    model("numbers in the old form", refuses_field="method", tuner={"n_epochs": 2}),
    model("one item a page", runs=2, page_size=1),
    # Refusals
    error(
        "429, long",
        UNAVAILABLE,
        (0, 1),
        refused(CREATE, 429, headers={"retry-after": "3600"}, times=-1),
        says=("3600 s", NOT_CREATED),
    ),
    error(
        "429, quota",
        UNAVAILABLE,
        (0, 1),
        refused(CREATE, 429, code="insufficient_quota", times=-1),
        says=("quota", NOT_CREATED),
    ),
    error(
        "the server's disk is full",
        "FineTuningError",
        (0, 1),
        refused(CREATE, 507, message="Free some space.", times=-1),
        says=("(507: Free some space)", NOT_CREATED),
    ),
    error(
        "closed access (403)",
        UNAVAILABLE,
        (0, 1),
        refused(CREATE, 403, times=-1),
        says=("may fine-tune it", NOT_CREATED, "file-1"),
    ),
    error(
        "a refused key",
        UNAVAILABLE,
        (0, 0),
        tuner={"api_key": "sk-wrong"},
        says=("refused the API key", "OPENAI_API_KEY", NOT_CREATED),
    ),
    error(
        "no server there",
        UNAVAILABLE,
        (0, 0),
        tuner={"base_url": "http://127.0.0.1:9/v1"},
        says=("cannot be reached", "base_url", NOT_CREATED),
    ),
    error(
        "a server, but no API",
        UNAVAILABLE,
        (0, 0),
        Fault(".*", -1, status=200, body=HTML),
        says=("cannot be read", "base_url"),
    ),
    # Files
    error(
        "the file is refused",
        BAD_FILE,
        (0, 0),
        refused(UPLOAD, 400, message="Line 1 is not a dictionary", times=-1),
        says=("Line 1 is not a dictionary", NOT_CREATED),
    ),
    error(
        "the file turns out unusable",
        BAD_FILE,
        (0, 1),
        file_statuses=("uploaded", "error"),
        file_status_details="too long",
        says=("too long", NOT_CREATED, "file-1"),
    ),
    model("a file in progress", file_statuses=("pending", "pending", "processed")),
    # Waiting
    model(
        "429 while waiting", refused(POLL, 429, headers={"retry-after": "7"}, times=3)
    ),
    model("forty failures in a row", Fault(POLL, 20, status=503), lost(POLL, 20)),
    model(
        "a gateway's page while waiting",
        Fault(POLL, status=200, body=HTML),
        Fault(POLL, status=504, body=HTML),
    ),
    model("the job is not found at first", refused(POLL, 404, times=2)),
    error("the job is gone", UNAVAILABLE, (1, 1), refused(POLL, 404, times=-1)),
    model("events fail now and then", Fault(EVENTS, status=500), lost(EVENTS)),
    error(
        "the job fails early",
        FAILED,
        (1, 1),
        statuses=("validating_files", "failed"),
        final={"error": _BAD_DATA},
        says=("invalid_training_file", "3 examples", "training_file", "ftjob-1"),
    ),
    error(
        "the job fails, with delete_training_file",
        FAILED,
        (1, 1),
        statuses=("queued", "failed"),
        tuner={"delete_training_file": True},
        deleted=True,
    ),
    error(
        "somebody else cancels the job",
        CANCELLED,
        (1, 1),
        statuses=("queued", "cancelled"),
        says=("cancelled", "may be billed"),
    ),
    model("unknown statuses", statuses=("paused", "WARMING_UP", "succeeded")),
    error(
        "an unknown status until the timeout",
        TIMEOUT,
        (1, 1),
        statuses=("paused",),
        tuner={"timeout": 600},
        says=("600 s", CONTINUES, "get('ftjob-1')"),
    ),
    model("the model's name a moment later", late_name=3),
    error(
        "success without a model's name",
        "FineTuningError",
        (1, 1),
        final={"fine_tuned_model": None},
        says=("does not name its model", "paid for"),
    ),
    model(
        "the new model is not found at first",
        refused("GET /models/ft:.*", 404, times=2),
    ),
]


@pytest.mark.parametrize("in_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario(scenario: Scenario, in_async: bool) -> None:
    server = OpenAIServer(*deepcopy(scenario.faults), **scenario.server)
    settings, examples = scenario.tuner, make_examples()
    with server.running():
        tuner = make_tuner(server, **settings)
        for _ in range(scenario.runs):
            outcome: Any
            try:
                if in_async:
                    outcome = asyncio.run(tuner.ainvoke(examples))
                else:
                    outcome = tuner.invoke(examples)
            except FineTuningError as caught:
                outcome = caught
    is_error = isinstance(outcome, FineTuningError)
    name = type(outcome).__name__ if is_error else "model"
    counts = (name, len(server.jobs), server.uploads)
    expected = (scenario.outcome, scenario.jobs, scenario.uploads)
    assert counts == expected, (outcome, server.requests)
    assert bool(server.deleted) is scenario.deleted
    _nothing_changes_before_a_look(server)
    if is_error:
        _is_short_and_private(outcome, scenario.says)
    else:
        job = server.jobs[f"ftjob-{len(server.jobs)}"]
        assert outcome.model_name == job["fine_tuned_model"]


def _nothing_changes_before_a_look(server: OpenAIServer) -> None:
    looked: set[str] = set()
    for request in server.requests:
        if request in {"GET /files", JOBS}:
            looked.add(request)
        elif request == UPLOAD:
            assert "GET /files" in looked
            looked.discard("GET /files")
        elif request == CREATE and server.refuses_field is None:
            assert JOBS in looked
            looked.discard(JOBS)


def _is_short_and_private(error: FineTuningError, says: tuple[str, ...]) -> None:
    for words in says:
        assert words in str(error)
    text = f"{error} {error!r}"
    assert len(str(error)) < 900
    assert KEY not in text
    assert "<" not in text
    assert "tortoise" not in text


@pytest.mark.parametrize("request_of", [CREATE, POLL])
def test_requests_that_time_out(
    request_of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server creates the job after the client has given up."""
    monkeypatch.setattr(Connection, "request_timeout", 0.1)
    late = 3 if request_of == CREATE else 0
    fault = Fault(request_of, status=504 if late else None, delay=0.3, late=late)
    with OpenAIServer(fault).running() as server:
        assert make_tuner(server).invoke(make_examples()).model_name
        assert (len(server.jobs), server.uploads) == (1, 1)
