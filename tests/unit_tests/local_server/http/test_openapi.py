"""The server conforms to its OpenAPI description, tested by schemathesis."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings

with warnings.catch_warnings():
    # Its helpers warn of one another's changes when they are imported.
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.core.result import Ok
    from schemathesis.specs.openapi import checks

from langchain_chatexports.local_server.http.app import create_app
from langchain_chatexports.local_server.http.openapi import describe_api
from langchain_chatexports.local_server.http.requests import JobRequest
from langchain_chatexports.local_server.http.routes import router
from tests.unit_tests.builders.kept_models import keep_adapter
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues
from tests.unit_tests.local_server.conftest import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.testclient import TestClient

    from langchain_chatexports.local_server.http.service import LocalService

# The same requests at each run: what counts as wrong on the wire is schemathesis's
# opinion, and it changes now and then.
_SETTINGS = settings(
    deadline=None,
    derandomize=True,
    max_examples=15,
    suppress_health_check=list(HealthCheck),
)
_HEADERS = {"Authorization": f"Bearer {KEY}", "Host": "127.0.0.1"}


def _without_lifespan(app: Any) -> Callable[..., Any]:
    """Let the application be asked without being started and stopped each time."""

    async def asked(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await app(scope, receive, send)
            return
        for end in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{end}.complete"})

    return asked


_NAMES = sorted(
    operation["operationId"]
    for path in describe_api()["paths"].values()
    for method, operation in path.items()
    if method != "parameters"
)


# Data may be as described and still be refused for what it says: no JSON lines in a
# file, a list that does not hold the id of `after`, a job that has finished.
_READ_CONTENT = {
    "cancelFineTuningJob",
    "createChatCompletion",
    # Transformers, which answers here, has none.
    "createEmbedding",
    "createFile",
    "createFineTuningJob",
    "deleteFineTuningJob",
    "listFiles",
    "listFineTuningEvents",
    "listFineTuningJobCheckpoints",
    "listPaginatedFineTuningJobs",
    "pauseFineTuningJob",
    "resumeFineTuningJob",
    "scoreChat",
    "tokenizeText",
}
# Any name may be asked for, and any text be a value of `metadata`.
_CANNOT_BE_WRONG = {
    "countCheckedExamples",
    "deleteModel",
    "listModels",
    "listPaginatedFineTuningJobs",
    "retrieveModel",
}
_MODEL_ID = "0123456789ab"


@pytest.fixture(scope="module")
def service(
    make_service: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalService]:
    made = make_service(tmp_path_factory.mktemp("described") / "data")
    made.queue.start = lambda: None
    yield made
    made.stop()


@pytest.fixture(scope="module")
def operations(service: LocalService) -> dict[str, Any]:
    # Without `security`: who may ask is test_access.py's matter.
    description = {**describe_api(), "security": []}
    schema = schemathesis.openapi.from_dict(description)
    schema.app = _without_lifespan(create_app(service, api_key=KEY))
    found = {}
    for read in schema.get_all_operations():
        assert isinstance(read, Ok), read
        operation = read.ok()
        found[operation.definition.raw["operationId"]] = operation
    return found


@pytest.fixture
def there(service: LocalService) -> dict[str, str]:
    """The ids of a file, a job and a model that are there."""
    upload = io.BytesIO(as_jsonl(dialogues()))
    file_id = service.files.create(upload, filename="a.jsonl")["id"]
    request = JobRequest(model="tiny", training_file=file_id)
    job_id = service.create_job(request)["id"]
    checkpoint = {"step": 1, "created_at": 1, "metrics": {"step": 1}, "folder": "."}
    name = keep_adapter(
        service.data,
        _MODEL_ID,
        job_id=job_id,
        signature=service.models._signature,
        checkpoints=[checkpoint],
    )
    service.models.refresh()
    service.jobs.update(
        job_id, only_from=("queued",), status="succeeded", fine_tuned_model=name
    )
    service.jobs.events(job_id).append("Step 1/1", data={"step": 1, "train_loss": 0.5})
    return {"file_id": file_id, "fine_tuning_job_id": job_id, "model": name}


def _ask(case: Any, name: str) -> Any:
    refused = [checks.positive_data_acceptance] if name in _READ_CONTENT else []
    return case.call_and_validate(
        base_url="http://127.0.0.1/v1", headers=_HEADERS, excluded_checks=refused
    )


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (name, mode)
        for name in _NAMES
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        if mode is GenerationMode.POSITIVE or name not in _CANNOT_BE_WRONG
    ],
)
def test_any_request_is_answered_as_described(
    operations: dict[str, Any], name: str, mode: GenerationMode
) -> None:
    @_SETTINGS
    @given(operations[name].as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        _ask(case, name)

    ask()


@pytest.mark.parametrize("name", _NAMES)
def test_what_is_there_is_told_as_described(
    operations: dict[str, Any], name: str, there: dict[str, str]
) -> None:
    statuses: list[int] = []

    @settings(_SETTINGS, max_examples=4)
    @given(operations[name].as_strategy(generation_mode=GenerationMode.POSITIVE))
    def ask(case: Any) -> None:
        case.query = {}
        for parameter in case.path_parameters:
            case.path_parameters[parameter] = there[parameter]
        if isinstance(case.body, dict) and "model" in case.body:
            case.body["model"] = "tiny"
        if name == "createChatCompletion":
            case.body.update(max_tokens=1, max_completion_tokens=1, stream=False)
        statuses.append(_ask(case, name).status_code)

    ask()
    if name not in _READ_CONTENT - {"listFiles"}:
        assert statuses[0] == 200


def test_every_route_is_described() -> None:
    routes = {
        (method.lower(), re.sub(r"{[^}]+}", "{}", route.path))
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    described = {
        (method, re.sub(r"{[^}]+}", "{}", path))
        for path, operations in describe_api()["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert described == routes


def test_no_answer_is_described_in_fastapis_own_shape() -> None:
    description = describe_api()
    statuses = {
        status
        for operations in description["paths"].values()
        for operation in operations.values()
        for status in operation["responses"]
    }
    assert statuses == {"200", "400", "401", "403", "404", "429", "503", "507"}
    assert not any(
        "Validation" in name for name in description["components"]["schemas"]
    )


def test_the_description_is_served_with_the_servers_address(http: TestClient) -> None:
    told = http.get("/v1/openapi.json").json()
    assert told == describe_api("http://127.0.0.1/v1")
