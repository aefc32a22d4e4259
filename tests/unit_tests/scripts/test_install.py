"""Packages are installed with uv, with pip's settings, or with pip."""

import importlib.util
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "install.py"
PIP_SETTINGS = """\
:env:.find-links='/wheels'
global.cert='/certificates.crt'
global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'
global.index-url="https://company.example/simple"
"""


@pytest.fixture
def script() -> Any:
    spec = importlib.util.spec_from_file_location("install", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PIP_COMMAND = ["-m", "pip", "--disable-pip-version-check"]


class Commands(list[list[str]]):
    """Records commands instead of running them; those of uv can fail."""

    def __init__(self, *, uv_code: int = 0) -> None:
        super().__init__()
        self._uv_code = uv_code
        self.environment: dict[str, str] = {}

    def __call__(self, command: list[str], **options: Any) -> Any:
        self.append(command)
        is_uv = command[0] == "/bin/uv"
        if is_uv:
            self.environment = options["env"]
        return SimpleNamespace(
            returncode=self._uv_code if is_uv else 0, stdout=PIP_SETTINGS
        )


def _run(
    script: Any, monkeypatch: pytest.MonkeyPatch, commands: Commands, uv: str | None
) -> list[list[str]]:
    monkeypatch.setattr(subprocess, "run", commands)
    monkeypatch.setattr(script.shutil, "which", lambda *_, **__: uv)
    assert script.main(["torch", "--", "-e", ".[cli]"]) == 0
    return [command for command in commands if command[-1] == ".[cli]"]


def test_uv_installs_from_the_indexes_of_pip(
    script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("UV_INDEX", "UV_FIND_LINKS", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://own.example/simple")
    commands = Commands()
    (command,) = _run(script, monkeypatch, commands, "/bin/uv")
    assert command[:3] == ["/bin/uv", "pip", "install"]
    expected = {
        "UV_DEFAULT_INDEX": "https://own.example/simple",  # What is set for uv wins.
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_FIND_LINKS": "/wheels",
        "SSL_CERT_FILE": "/certificates.crt",
    }
    assert commands.environment.items() >= expected.items()


@pytest.mark.parametrize(("uv", "uv_code"), [(None, 0), ("/bin/uv", 2)])
def test_pip_installs_where_uv_cannot(
    script: Any, monkeypatch: pytest.MonkeyPatch, uv: str | None, uv_code: int
) -> None:
    commands = Commands(uv_code=uv_code)
    *_, command = _run(script, monkeypatch, commands, uv)
    assert command[1:4] == PIP_COMMAND
    assert "--no-compile" in command
    assert [*PIP_COMMAND, "torch"] in [[*c[1:4], c[-1]] for c in commands]
