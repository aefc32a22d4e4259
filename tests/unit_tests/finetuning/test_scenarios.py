"""Scenarios of servers: the model or the error, the jobs and the uploads."""

import asyncio
from copy import deepcopy
from dataclasses import dataclass, field, fields
from typing import Any

import pytest

from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.finetuning import connection
from tests.unit_tests.builders.openai_server import (
    CREATE,
    EVENTS,
    FILES,
    HTML,
    JOBS,
    KEY,
    MODELS,
    POLL,
    UPLOAD,
    Fault,
    OpenAIServer,
    lost,
    refused,
)
from tests.unit_tests.builders.tuners import make_examples, make_tuner

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
CONTINUES = "continues, and may be billed"


@dataclass
class Scenario:
    """What a server does, and the outcome: a model, or an error's class."""

    name: str
    faults: tuple[Fault, ...]
    server: dict[str, Any]
    outcome: str = "model"
    jobs: int = 1
    uploads: int = 1
    says: tuple[str, ...] = ()
    """Parts of the error's message."""

    runs: int = 1
    tuner: dict[str, Any] = field(default_factory=dict)
    deleted: bool = False


def scenario(name: str, *faults: Fault, **options: Any) -> Scenario:
    """Create a scenario; options are its fields, or settings of the server."""
    known = {key: options.pop(key) for key in [*options] if key in _FIELDS}
    return Scenario(name, faults, options, **known)


_FIELDS = {field.name for field in fields(Scenario)}
_BAD_DATA = {
    "code": "invalid_training_file",
    "message": "The file has 3 examples",
    "param": "training_file",
}

SCENARIOS = [
    scenario("all is well"),
    scenario("the same call again", runs=3),
    scenario("the same call with run_again", jobs=2, runs=2, tuner={"run_again": True}),
    # Uploading and creating
    scenario("the upload fails before it is done", Fault(UPLOAD, 2, status=503)),
    scenario("the creation fails before it is done", Fault(CREATE, 3, status=500)),
    scenario(
        "502 in HTML, but done", Fault(CREATE, status=502, body=HTML, carried_out=True)
    ),
    scenario(
        "the response is lost, and the job fails",
        lost(CREATE),
        outcome=FAILED,
        statuses=("failed",),
    ),
    scenario("a conflict (409)", Fault(CREATE, status=409)),
    scenario(
        "the server is unavailable after the creation",
        lost(CREATE),
        Fault(JOBS, -1, status=503, after=1),
        outcome=UNAVAILABLE,
        says=("may have been created", "Make the same call again"),
    ),
    # Servers with fewer features
    scenario("no lists", routes_missing=(JOBS, FILES)),
    scenario("no events, models and metadata", **MINIMAL),
    scenario("... the same call makes a second job", jobs=2, runs=2, **MINIMAL),
    scenario("... a lost response makes a second job", lost(CREATE), jobs=2, **MINIMAL),
    scenario("metadata refused", refuses_field="metadata", keeps_metadata=False),
    scenario("the filter refused", refused(JOBS, 400, times=-1)),
    scenario("numbers in the old form", refuses_field="method", tuner={"n_epochs": 2}),
    scenario("one item a page", runs=2, page_size=1),
    # Refusals
    scenario(
        "429, long",
        refused(CREATE, 429, headers={"retry-after": "3600"}, times=-1),
        outcome=UNAVAILABLE,
        jobs=0,
        says=("3600 s",),
    ),
    scenario(
        "429, quota",
        refused(CREATE, 429, code="insufficient_quota", times=-1),
        outcome=UNAVAILABLE,
        jobs=0,
        says=("quota",),
    ),
    scenario(
        "the server's disk is full",
        refused(CREATE, 507, message="Free some space.", times=-1),
        outcome="FineTuningError",
        jobs=0,
        says=("507: Free some space",),
    ),
    scenario(
        "closed access (403)",
        refused(CREATE, 403, times=-1),
        outcome=UNAVAILABLE,
        jobs=0,
        says=("is allowed to tune it", "file-1"),
    ),
    scenario(
        "a refused key",
        outcome=UNAVAILABLE,
        jobs=0,
        uploads=0,
        tuner={"api_key": "sk-wrong"},
        says=("rejected the API key", "OPENAI_API_KEY"),
    ),
    scenario(
        "no server",
        outcome=UNAVAILABLE,
        jobs=0,
        uploads=0,
        tuner={"base_url": "http://127.0.0.1:9/v1"},
        says=("cannot be reached", "base_url"),
    ),
    scenario(
        "a server, but no API",
        Fault(".*", -1, status=200, body=HTML),
        outcome=UNAVAILABLE,
        jobs=0,
        uploads=0,
        says=("unreadable response", "base_url"),
    ),
    # Files
    scenario(
        "the file is refused",
        refused(UPLOAD, 400, message="Line 1 is not a dictionary", times=-1),
        outcome=BAD_FILE,
        jobs=0,
        uploads=0,
        says=("Line 1 is not a dictionary",),
    ),
    scenario(
        "the file turns out unusable",
        outcome=BAD_FILE,
        jobs=0,
        file_statuses=("uploaded", "error"),
        file_status_details="too long",
        says=("too long", "file-1"),
    ),
    scenario("a file in progress", file_statuses=("pending", "pending", "processed")),
    # Waiting
    scenario(
        "429 while waiting", refused(POLL, 429, headers={"retry-after": "7"}, times=3)
    ),
    scenario("forty failures in a row", Fault(POLL, 20, status=503), lost(POLL, 20)),
    scenario(
        "a gateway's page while waiting",
        Fault(POLL, status=200, body=HTML),
        Fault(POLL, status=504, body=HTML),
    ),
    scenario("the job is not found at first", refused(POLL, 404, times=2)),
    scenario("the job is gone", refused(POLL, 404, times=-1), outcome=UNAVAILABLE),
    scenario("events fail now and then", Fault(EVENTS, status=500), lost(EVENTS)),
    scenario(
        "the job fails early",
        outcome=FAILED,
        statuses=("validating_files", "failed"),
        final={"error": _BAD_DATA},
        says=("invalid_training_file", "3 examples", "training_file", "ftjob-1"),
    ),
    scenario(
        "the job fails, with delete_training_file",
        outcome=FAILED,
        statuses=("queued", "failed"),
        tuner={"delete_training_file": True},
        deleted=True,
    ),
    scenario(
        "the job is cancelled elsewhere",
        outcome=CANCELLED,
        statuses=("queued", "cancelled"),
        says=("cancelled", "may be billed"),
    ),
    scenario("unknown statuses", statuses=("paused", "WARMING_UP", "succeeded")),
    scenario(
        "an unknown status until the timeout",
        outcome=TIMEOUT,
        statuses=("paused",),
        tuner={"timeout": 600},
        says=("600 s", CONTINUES, "get('ftjob-1')"),
    ),
    scenario("the model's name a moment later", late_name=3),
    scenario(
        "success without a model's name",
        outcome="FineTuningError",
        final={"fine_tuned_model": None},
        says=("does not name the model", "get('ftjob-1')"),
    ),
    scenario(
        "the new model is not found at first",
        refused("GET /models/ft:.*", 404, times=2),
    ),
]


@pytest.mark.parametrize("in_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario_has_expected_outcome(scenario: Scenario, in_async: bool) -> None:
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
    _assert_looked_up_first(server)
    if is_error:
        says = scenario.says if scenario.jobs else (*scenario.says, NOT_CREATED)
        _assert_short_and_private(outcome, says)
    else:
        job = server.jobs[f"ftjob-{len(server.jobs)}"]
        assert outcome.model_name == job["fine_tuned_model"]


def _assert_looked_up_first(server: OpenAIServer) -> None:
    looked: set[str] = set()
    for request in server.requests:
        if request in {FILES, JOBS}:
            looked.add(request)
        elif request == UPLOAD:
            assert FILES in looked
            looked.discard(FILES)
        elif request == CREATE and server.refuses_field is None:
            assert JOBS in looked
            looked.discard(JOBS)


def _assert_short_and_private(error: FineTuningError, says: tuple[str, ...]) -> None:
    for words in says:
        assert words in str(error)
    text = f"{error} {error!r}"
    assert len(str(error)) < 900
    assert KEY not in text
    assert "<" not in text
    assert "tortoise" not in text


@pytest.mark.parametrize("request_of", [CREATE, POLL])
def test_request_timeout_does_not_repeat_the_job(
    request_of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server creates the job after the client has given up."""
    monkeypatch.setattr(connection, "_REQUEST_TIMEOUT", 0.1)
    late = 3 if request_of == CREATE else 0
    fault = Fault(request_of, status=504 if late else None, delay=0.3, late=late)
    with OpenAIServer(fault).running() as server:
        assert make_tuner(server).invoke(make_examples()).model_name
        assert (len(server.jobs), server.uploads) == (1, 1)
