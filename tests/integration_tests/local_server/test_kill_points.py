"""A trainer killed again and again, at moments spread over all of its work.

The libraries are imported once, and each attempt is a fork of that process, so that the
kills fall into reading, training, saving and publishing and not into imports.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.local_server.processes import child_command
from langchain_chatexports.local_server.storage.events import EventLog
from tests.integration_tests.local_server.conftest import KILLS
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


pytestmark = [
    pytest.mark.training,
    pytest.mark.release,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
]

_KILLS = KILLS or 10
_DRIVER = '''
import json, os, random, signal, sys, time, warnings

warnings.simplefilter("ignore")
import datasets, peft, torch, transformers, trl
from pathlib import Path
from transformers import AutoModelForCausalLM, AutoTokenizer
from langchain_chatexports.local_server.training import progress
from langchain_chatexports.local_server.training import trainer as training

progress.SAVE_SECONDS = 0.05
orders = [training.TrainingSpec(**order) for order in json.load(sys.stdin)]
kills, finished, chance = int(sys.argv[1]), [], random.Random(7)


def attempt(order, seconds):
    """Train in a fork; give whether it ended by itself."""
    child = os.fork()
    if child == 0:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        try:
            training.train(order)
            os._exit(0)
        except BaseException as error:
            Path(order.job_folder, "error").write_text(repr(error))
            os._exit(1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None




calm, *hurt = orders
assert attempt(calm, 600) == 0
start = time.monotonic()
for order in hurt:
    tries = 0
    while not Path(order.model_folder).exists():
        tries += 1
        longest = 600 if kills <= 0 else 3 + tries / 5
        code = attempt(order, chance.uniform(0, longest) if kills > 0 else longest)
        assert code in (None, 0), code
        kills -= code is None
    finished.append(tries)
    if kills <= 0:
        break
print(json.dumps(finished))
'''


def _order(folder: Any, base: Any, file: Any) -> Any:
    (folder / "job" / "work").mkdir(parents=True)
    return {
        "job_folder": str(folder / "job"),
        "base_directory": str(base),
        "training_file": str(file),
        "validation_file": str(file),
        "hyperparameters": {
            "n_epochs": 3,
            "batch_size": 1,
            "learning_rate_multiplier": 20.0,
        },
        "seed": 5,
        "max_length": 256,
        "stops_early": False,
        "dtype": "float32",
        "model_folder": str(folder / "model"),
        "model_record": {"name": "ft:tiny"},
    }


def test_kills_leave_the_same_model_and_each_step_told_once(
    tiny_base: Any, tmp_path: Path
) -> None:
    file = tmp_path / "train.jsonl"
    file.write_bytes(as_jsonl(dialogues()))
    orders = [_order(tmp_path / f"{n}", tiny_base, file) for n in range(_KILLS + 1)]
    python = child_command("x")[0]
    finished = subprocess.run(  # noqa: S603 - this test's own words.
        [python, "-c", _DRIVER, str(_KILLS)],
        input=json.dumps(orders).encode(),
        stdout=subprocess.PIPE,
        check=False,
        timeout=1800,
    )
    errors = [path.read_text() for path in tmp_path.glob("*/job/error")]
    assert finished.returncode == 0, errors
    tries = json.loads(finished.stdout)
    calm = (tmp_path / "0" / "model" / "adapter_model.safetensors").read_bytes()
    for number in range(1, len(tries) + 1):
        model = tmp_path / f"{number}" / "model"
        assert (model / "adapter_model.safetensors").read_bytes() == calm
        record = json.loads((model / "model.json").read_text())
        assert [kept["step"] for kept in record["checkpoints"]] == [10, 20, 30]
        for kept in record["checkpoints"]:
            assert (model / kept["folder"] / "adapter_config.json").exists()
        events = EventLog(tmp_path / f"{number}" / "job" / "events.jsonl").read()
        told = [e["data"]["step"] for e in events if "step" in (e["data"] or {})]
        assert told == list(range(1, 31))
