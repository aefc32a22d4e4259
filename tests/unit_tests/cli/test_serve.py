"""`chatexports serve`: options and output, without a server."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import local_server
from langchain_chatexports.local_server import ServerSettings
from langchain_chatexports.local_server.storage.data_directory import RunningServer
from tests.unit_tests.cli.conftest import Run

_INFO = RunningServer(
    "http://127.0.0.1:8199/v1", "tiny", "a-key-of-its-own", "/data", "llama.cpp"
)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[ServerSettings]:
    """The settings of servers that would have been started."""
    started: list[ServerSettings] = []

    def serve_forever(settings: ServerSettings, on_ready: Any) -> None:
        settings.check()
        started.append(settings)
        on_ready(_INFO)

    monkeypatch.setattr(local_server, "serve_forever", serve_forever)
    return started


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path) -> None:
    """A folder that looks like a base."""
    (tmp_path / "tiny").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / "tiny" / name).touch()


def test_output_can_be_evaluated_by_a_shell(
    run: Run, served: list[ServerSettings]
) -> None:
    done = run("serve", "--base", "./tiny")
    assert done.status == 0
    assert done.out.splitlines() == [
        "export OPENAI_BASE_URL=http://127.0.0.1:8199/v1",
        "export OPENAI_API_KEY=a-key-of-its-own",
    ]
    assert "Base model: tiny" in done.err
    assert "Engine: llama.cpp" in done.err
    assert "jobs resume when the server starts" in done.err
    assert served[0].api_key is None


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
    served: list[ServerSettings],
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
    run: Run, served: list[ServerSettings], tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("of-a-file\nand more\n")
    done = run("serve", "--base", "./tiny", "--api-key-file", "key")
    assert done.status == 0
    assert served[0].api_key == "of-a-file"
    assert "of-a-file" not in done.err


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"two words", b"\xff\xfe", b"x" * 9999]
)
def test_invalid_key_file_is_refused(
    run: Run,
    served: list[ServerSettings],
    tmp_path: Path,
    content: bytes,
) -> None:
    (tmp_path / "key").write_bytes(content)
    done = run("serve", "--base", "./tiny", "--api-key-file", "key")
    assert done.status == 1
    assert "Traceback" not in done.err
    assert "two words" not in done.err
    assert served == []
