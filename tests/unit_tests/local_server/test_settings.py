"""Settings, hyperparameters, and lazy imports."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from langchain_chatexports.exceptions import LocalServerError, MissingExtraError
from langchain_chatexports.local_server import LocalServer, ServerSettings
from langchain_chatexports.local_server.http import server as startup
from langchain_chatexports.local_server.processes import child_environment
from langchain_chatexports.local_server.training.hyperparameters import (
    Hyperparameters,
    learning_rate,
    resolve_hyperparameters,
)
from tests.unit_tests.builders.tiny_base import tiny_tokenizer


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"api_key": "two words"}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"aliases": {"gpt": "other"}}, "gpt=tiny"),
    ],
)
def test_settings_out_of_range_are_refused(
    tiny_base: Path, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(LocalServerError, match=words):
        LocalServer(tiny_base, data_dir=tmp_path, **change)


def test_a_server_that_does_not_run_has_no_address(
    tiny_base: Path, tmp_path: Path
) -> None:
    described = LocalServer(tiny_base, data_dir=tmp_path / "new")
    assert described.base_model == "tiny"
    assert not described.is_running
    with pytest.raises(LocalServerError, match="start"):
        _ = described.base_url
    assert not (tmp_path / "new").exists()
    described.stop()


def test_the_key_is_long_and_not_in_the_repr(tiny_base: Path, tmp_path: Path) -> None:
    described = LocalServer(tiny_base, data_dir=tmp_path)
    assert len(described.api_key) >= 24
    assert described.api_key not in repr(described)
    settings = ServerSettings(api_key=described.api_key)
    assert described.api_key not in repr(settings)


@pytest.mark.parametrize("missing", ["torch", "psutil", "httpx"])
def test_a_missing_package_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr(startup, "find_spec", lambda name: name != missing or None)
    with pytest.raises(MissingExtraError, match="local"):
        startup.check_extra()


def test_a_trainer_gets_no_keys_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("HF_TOKEN", "hf-secret")
    environment = child_environment(threads=1, offline=True)
    assert not any("secret" in value for value in environment.values())
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"


def test_importing_the_room_imports_nothing_heavy() -> None:
    heavy = "torch transformers fastapi starlette uvicorn platformdirs openai pydantic"
    script = (
        "import sys; before = set(sys.modules)\n"
        "import langchain_chatexports.local_server as room\n"
        f"print(sorted(set('{heavy}'.split()) & (set(sys.modules) - before)))\n"
        "room.LocalServer, room.list_models, room.serve_forever\n"
        "print(sorted({'torch', 'fastapi', 'transformers'} & set(sys.modules)))\n"
    )
    finished = subprocess.run(  # noqa: S603 - this test's own words.
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert finished.stdout.split("\n")[:2] == ["[]", "[]"]


@pytest.mark.parametrize(
    ("examples", "epochs"),
    [(0, 4), (10, 4), (20, 3), (24, 3), (25, 2), (1000, 2), (1001, 1)],
)
def test_epochs_depend_on_the_size_of_the_data(examples: int, epochs: int) -> None:
    assert resolve_hyperparameters({}, examples=examples).n_epochs == epochs


@pytest.mark.parametrize(("examples", "batch"), [(10, 1), (50, 2), (100, 4), (999, 4)])
def test_a_batch_leaves_about_fifty_steps(examples: int, batch: int) -> None:
    found = resolve_hyperparameters({}, examples=examples, device="cuda")
    assert found.batch_size == batch


def test_what_the_client_asks_for_comes_first() -> None:
    asked = {"n_epochs": 7, "batch_size": "auto", "learning_rate_multiplier": 0.5}
    found = resolve_hyperparameters(asked, examples=50, device="cuda")
    assert found == Hyperparameters(7, 4, 0.5)


@pytest.mark.parametrize(
    ("parameters", "steps", "rate"),
    [
        (135_000_000, 30, 1e-3),
        (135_000_000, 51, 5e-4),
        (500_000_000, 30, 2e-4),
        (8_000_000_000, 30, 1e-4),
    ],
)
def test_larger_models_and_longer_trainings_learn_more_slowly(
    parameters: int, steps: int, rate: float
) -> None:
    numbers = Hyperparameters(1, 1, 2.0)
    found = learning_rate(numbers, parameters=parameters, steps=steps)
    assert found == pytest.approx(2 * rate)


@pytest.fixture
def _this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave what is of the whole process as it is."""
    monkeypatch.setattr(os, "umask", lambda _: 0)
    monkeypatch.setattr(startup, "apply_thread_settings", lambda _: None)


@pytest.mark.usefixtures("_this_process")
def test_a_start_on_a_full_disk_is_explained(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(startup, "_open_service", full)
    settings = ServerSettings(base=str(tiny_base), data_dir=str(tmp_path / "data"))
    with pytest.raises(LocalServerError, match="Free some space"):
        startup.serve_forever(settings)


@pytest.mark.usefixtures("_this_process")
def test_a_base_whose_template_writes_no_chats_is_refused_at_the_start(
    tiny_base: Path, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    tiny_tokenizer("{{ messages[-1]['content'] }}").save_pretrained(base)
    settings = ServerSettings(base=str(base), data_dir=str(tmp_path / "data"))
    with pytest.raises(LocalServerError, match="each message of a chat once"):
        startup.serve_forever(settings)
