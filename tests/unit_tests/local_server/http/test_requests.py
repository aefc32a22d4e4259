"""Error messages for invalid request bodies."""

import pytest
from starlette.testclient import TestClient

_BODIES: dict[str, dict[str, object]] = {
    "fine_tuning/jobs": {"model": "tiny", "training_file": "file-1"},
    "chat/completions": {"model": "tiny", "messages": [{"role": "user"}]},
}


@pytest.mark.parametrize(
    ("route", "changes", "message"),
    [
        (
            "fine_tuning/jobs",
            {"hyperparameters": {"n_epochs": 51}},
            (
                "Invalid value for 'hyperparameters': Input should be less than or "
                "equal to 50."
            ),
        ),
        (
            "fine_tuning/jobs",
            {"metadata": {"secret words": 1}},
            "Invalid value for 'metadata': Input should be a valid string.",
        ),
        (
            "chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "x"}]}]},
            "Invalid value for 'messages': Field required.",
        ),
        ("chat/completions", {"secret": 1}, "Unrecognized request argument."),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where_and_repeats_nothing(
    http: TestClient, route: str, changes: dict[str, object], message: str
) -> None:
    response = http.post(f"/v1/{route}", json={**_BODIES[route], **changes})
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["message"], error["param"]) == (message, next(iter(changes)))
