"""Error messages for invalid request bodies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.local_server.http.errors import ApiError
from langchain_chatexports.local_server.http.requests import (
    ChatRequest,
    JobRequest,
    parse_body,
)

if TYPE_CHECKING:
    from typing import Any


def refusal(kind: type[JobRequest | ChatRequest], **changes: Any) -> ApiError:
    bodies: dict[Any, dict[str, Any]] = {
        JobRequest: {"model": "tiny", "training_file": "file-1"},
        ChatRequest: {"model": "tiny", "messages": [{"role": "user"}]},
    }
    with pytest.raises(ApiError) as caught:
        parse_body(json.dumps(bodies[kind] | changes).encode(), kind)
    return caught.value


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (
            {"n_epochs": 0},
            (
                "Invalid value for 'hyperparameters.n_epochs': Input should be greater "
                "than or equal to 1 (allowed: 1 to 50, or 'auto')."
            ),
        ),
        (
            {"n_epochs": 51},
            (
                "Invalid value for 'hyperparameters.n_epochs': Input should be less "
                "than or equal to 50 (allowed: 1 to 50, or 'auto')."
            ),
        ),
        (
            {"n_epochs": "many"},
            (
                "Invalid value for 'hyperparameters.n_epochs': Input should be a valid "
                "integer (allowed: 1 to 50, or 'auto')."
            ),
        ),
        (
            {"learning_rate_multiplier": 0},
            (
                "Invalid value for 'hyperparameters.learning_rate_multiplier': Input "
                "should be greater than 0 (allowed: above 0 to 100, or 'auto')."
            ),
        ),
        ({"warmth": 1}, "Unrecognized key within 'hyperparameters'."),
        ({"seed": 1}, "Unrecognized key within 'hyperparameters'."),
    ],
)
def test_a_hyperparameter_is_refused_by_its_name_and_range(
    numbers: dict[str, Any], message: str
) -> None:
    error = refusal(JobRequest, hyperparameters=numbers)
    assert error.message == message
    assert error.param == "hyperparameters"


def test_the_newer_form_is_named_as_it_was_written() -> None:
    numbers = {"hyperparameters": {"batch_size": 300}}
    error = refusal(JobRequest, method={"type": "supervised", "supervised": numbers})
    assert "'method.supervised.hyperparameters.batch_size'" in error.message
    assert "1 to 256, or 'auto'" in error.message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"temperature": 3},
            (
                "Invalid value for 'temperature': Input should be less than or equal "
                "to 2 (allowed: 0 to 2)."
            ),
        ),
        (
            {"stop": ["a"] * 5},
            (
                "Invalid value for 'stop': List should have at most 4 items after "
                "validation, not 5."
            ),
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "x"}]}]},
            "Invalid value for 'messages.0.content.0.type': Input should be 'text'.",
        ),
        (
            {"messages": [{}]},
            "Missing required parameter: 'messages.0.role'.",
        ),
        ({"secret": 1}, "Unrecognized request argument."),
        ({"weight": 1}, "Unrecognized request argument."),
        (
            {"metadata": {"secret": 1}},
            "Invalid value for 'metadata': Input should be a valid string.",
        ),
        (
            {"n": 9},
            (
                "Invalid value for 'n': Input should be less than or equal to 8 "
                "(allowed: 1 to 8)."
            ),
        ),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where(
    changes: dict[str, Any], message: str
) -> None:
    assert refusal(ChatRequest, **changes).message == message


def test_a_whole_number_may_be_written_with_a_point() -> None:
    body = b'{"model": "m", "training_file": "f", "seed": 2.0}'
    assert parse_body(body, JobRequest).seed == 2
    with pytest.raises(ApiError, match="seed"):
        parse_body(body.replace(b"2.0", b"2.5"), JobRequest)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (JobRequest, {"method": {"type": "dpo", "dpo": {"hyperparameters": {}}}}),
        (JobRequest, {"integrations": [{"type": "wandb"}]}),
        (ChatRequest, {"functions": [{"name": "now"}]}),
    ],
)
def test_what_is_openais_and_not_served_here_is_said_so(
    kind: type[JobRequest | ChatRequest], changes: dict[str, Any]
) -> None:
    assert refusal(kind, **changes).message.endswith(
        "The local server does not support this."
    )
