"""Settings, hyperparameters, startup errors, and lazy imports."""

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
from langchain_chatexports.local_server.old_http import server as http_server
from langchain_chatexports.local_server.processes import child_environment
from langchain_chatexports.local_server.training.hyperparameters import (
    Hyperparameters,
    learning_rate,
    resolve_hyperparameters,
)
from tests.unit_tests.builders.tiny_base import tiny_tokenizer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"api_key": "two words"}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"aliases": {"gpt": "other"}}, "gpt=tiny"),
    ],
)
def test_invalid_settings_are_refused(
    tiny_base: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(LocalServerError, match=message):
        LocalServer(tiny_base, data_dir=tmp_path, **change)


def test_stopped_server_has_no_address(tiny_base: Path, tmp_path: Path) -> None:
    server = LocalServer(tiny_base, data_dir=tmp_path / "new")
    assert server.base_model == "tiny"
    assert not server.is_running
    with pytest.raises(LocalServerError, match="start"):
        _ = server.base_url
    assert not (tmp_path / "new").exists()
    server.stop()


def test_key_is_long_and_not_in_the_repr(tiny_base: Path, tmp_path: Path) -> None:
    server = LocalServer(tiny_base, data_dir=tmp_path)
    assert len(server.api_key) >= 24
    assert server.api_key not in repr(server)
    settings = ServerSettings(api_key=server.api_key)
    assert server.api_key not in repr(settings)


@pytest.mark.parametrize("missing", ["torch", "psutil", "httpx"])
def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr(http_server, "find_spec", lambda name: name != missing or None)
    with pytest.raises(MissingExtraError, match="local"):
        http_server.check_extra()


def test_trainer_has_no_keys_or_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("HF_TOKEN", "hf-secret")
    environment = child_environment(threads=1, offline=True)
    assert not any("secret" in value for value in environment.values())
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"


def test_import_is_light() -> None:
    heavy = "torch transformers fastapi starlette uvicorn platformdirs openai pydantic"
    script = (
        "import sys; before = set(sys.modules)\n"
        "import langchain_chatexports.local_server as package\n"
        f"print(sorted(set('{heavy}'.split()) & (set(sys.modules) - before)))\n"
        "package.LocalServer, package.list_models, package.serve_forever\n"
        "print(sorted({'torch', 'fastapi', 'transformers'} & set(sys.modules)))\n"
    )
    finished = subprocess.run(  # noqa: S603 - our own script.
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert finished.stdout.split("\n")[:2] == ["[]", "[]"]


@pytest.mark.parametrize(
    ("examples", "epochs"),
    [(0, 4), (10, 4), (20, 3), (24, 3), (25, 2), (1000, 2), (1001, 1)],
)
def test_epochs_depend_on_the_number_of_examples(examples: int, epochs: int) -> None:
    assert resolve_hyperparameters({}, examples=examples).n_epochs == epochs


@pytest.mark.parametrize(("examples", "batch"), [(10, 1), (50, 2), (100, 4), (999, 4)])
def test_batch_size_leaves_fifty_steps(examples: int, batch: int) -> None:
    found = resolve_hyperparameters({}, examples=examples, device="cuda")
    assert found.batch_size == batch


def test_requested_hyperparameters_take_precedence() -> None:
    requested = {"n_epochs": 7, "batch_size": "auto", "learning_rate_multiplier": 0.5}
    found = resolve_hyperparameters(requested, examples=50, device="cuda")
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
def test_learning_rate_depends_on_model_size_and_steps(
    parameters: int, steps: int, rate: float
) -> None:
    numbers = Hyperparameters(1, 1, 2.0)
    found = learning_rate(numbers, parameters=parameters, steps=steps)
    assert found == pytest.approx(2 * rate)


@pytest.fixture
def _keep_process_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the umask and threads of the test process."""
    monkeypatch.setattr(os, "umask", lambda _: 0)
    monkeypatch.setattr(http_server, "apply_thread_settings", lambda _: None)


@pytest.mark.usefixtures("_keep_process_settings")
def test_full_disk_at_startup_is_an_error(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(http_server, "_open_service", full)
    settings = ServerSettings(base=str(tiny_base), data_dir=str(tmp_path / "data"))
    with pytest.raises(LocalServerError, match="Free some space"):
        http_server.serve_forever(settings)


@pytest.mark.usefixtures("_keep_process_settings", "templates_derived_in_process")
def test_server_refuses_an_unusable_template(tiny_base: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    tiny_tokenizer("{{ messages[-1]['content'] }}").save_pretrained(base)
    settings = ServerSettings(base=str(base), data_dir=str(tmp_path / "data"))
    with pytest.raises(LocalServerError, match="each message exactly once"):
        http_server.serve_forever(settings)
