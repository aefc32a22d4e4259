"""`chatexports serve`: options and output, without a server."""

from importlib import import_module
from pathlib import Path
from typing import NoReturn, Self

import pytest

from langchain_chatexports import local_server
from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.testing import EchoEngine
from tests.unit_tests.cli.conftest import Run

SERVE = import_module("langchain_chatexports.cli.serve")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[LocalServer]:
    """The servers that have been started; Ctrl-C follows."""
    started: list[LocalServer] = []

    class Server(LocalServer):
        def start(self) -> Self:
            started.append(super().start())
            return self

        def _open_engine(self) -> EchoEngine:
            return EchoEngine()

    def interrupt() -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(local_server, "LocalServer", Server)
    monkeypatch.setattr(SERVE, "_wait", interrupt)
    return started


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path) -> None:
    """A folder that looks like a base."""
    (tmp_path / "tiny").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / "tiny" / name).touch()


def test_output_can_be_evaluated_by_a_shell(
    run: Run, served: list[LocalServer], tmp_path: Path
) -> None:
    done = run("serve", "--base", "./tiny", "--data-dir", "data", "--port", "0")
    assert done.status == 0, done.err
    address, key = done.out.splitlines()
    assert address.startswith("export OPENAI_BASE_URL=http://127.0.0.1:")
    assert address.endswith("/v1")
    assert key == f"export OPENAI_API_KEY={served[0].api_key}"
    assert "Base model: tiny" in done.err
    assert f"Data: {tmp_path / 'data'}" in done.err
    assert f"Engine: {EchoEngine.description}" in done.err
    assert "jobs resume when the next program runs them" in done.err


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--base", "./nothing"), 1, "not found"),
        (("--alias", "gpt"), 2, "NAME=BASE"),
        (("--alias", "gpt=other"), 1, "gpt=tiny"),
        (("--port", "99999"), 2, "65535"),
    ],
)
def test_wrong_options_are_refused(
    run: Run,
    served: list[LocalServer],
    options: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    base = () if "--base" in options else ("--base", "./tiny")
    done = run("serve", *base, *options)
    assert done.status == status
    assert message in done.err
    assert "Traceback" not in done.err
    assert not served


def test_key_is_the_first_line_of_its_file(
    run: Run, served: list[LocalServer], tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("of-a-file\nand more\n")
    options = ("--data-dir", "data", "--port", "0")
    done = run("serve", "--base", "./tiny", "--api-key-file", "key", *options)
    assert done.status == 0, done.err
    assert served[0].api_key == "of-a-file"
    assert "of-a-file" not in done.err


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"two words", b"\xff\xfe", b"x" * 9999]
)
def test_invalid_key_file_is_refused(
    run: Run,
    served: list[LocalServer],
    tmp_path: Path,
    content: bytes,
) -> None:
    (tmp_path / "key").write_bytes(content)
    done = run("serve", "--base", "./tiny", "--api-key-file", "key")
    assert done.status == 1
    assert "Traceback" not in done.err
    assert "two words" not in done.err
    assert served == []
