"""The speed of the machine, measured with a tiny model."""

from typing import Any

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.processes import ChildProcessFailedError
from langchain_chatexports.local_server.training import speed


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_random_model_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    small: dict[str, Any] = {
        **speed._SHAPE,
        "vocab_size": 400,
        "hidden_size": 36,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
    }
    monkeypatch.setattr(speed, "_SHAPE", small)
    monkeypatch.setattr(speed, "call_in_child", lambda function, **_: function())
    assert 0 < speed.measure_machine() < 1


def test_failed_measurement_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ChildProcessFailedError

    monkeypatch.setattr(speed, "call_in_child", fail)
    with pytest.raises(LocalServerError, match="could not be measured"):
        speed.measure_machine()
