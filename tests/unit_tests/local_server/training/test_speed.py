"""The speed of the machine, with a tiny shape in place of the default base's."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.processes import child_command
from langchain_chatexports.local_server.training import speed


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let another program run in place of the measurement."""

    def replace(program: str) -> None:
        command = [sys.executable, "-c", program]
        monkeypatch.setattr(speed, "child_command", lambda _: command)

    return replace


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_model_without_weights_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small: dict[str, Any] = {
        **speed._SHAPE,
        "vocab_size": 400,
        "hidden_size": 36,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
    }
    monkeypatch.setattr(speed, "_SHAPE", small)
    speed._print_speed()
    measured = json.loads(capsys.readouterr().out)
    assert 0 < measured["seconds_per_token"] < 1
    assert measured["memory_bytes"] > 10**8


def test_the_measurement_is_what_its_process_prints(
    child: Callable[[str], None],
) -> None:
    child("""print('{"seconds_per_token": 0.5, "memory_bytes": 7}')""")
    assert speed.measure_machine() == speed.Speed(0.5, 7)


@pytest.mark.parametrize(
    "program", ["raise SystemExit(1)", "import time; time.sleep(9)"]
)
def test_what_cannot_be_measured_is_an_error(
    child: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    child(program)
    monkeypatch.setattr(speed, "_SECONDS_AT_MOST", 1)
    with pytest.raises(LocalServerError, match="could not be measured"):
        speed.measure_machine()


def test_the_measurement_ends_with_the_process_that_started_it() -> None:
    command = child_command("langchain_chatexports.local_server.training.speed")
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:  # noqa: S603 - ours
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(240) == 1
