"""`chatexports serve`: what it says and refuses; the integration tests really serve."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import local_server
from langchain_chatexports.local_server import ServerSettings
from langchain_chatexports.local_server.storage.data_directory import RunningServer
from tests.unit_tests.cli.conftest import Command

_INFO = RunningServer(
    "http://127.0.0.1:8199/v1", "tiny", "a-key-of-its-own", "/data", "llama.cpp"
)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[ServerSettings]:
    """The settings that a server would have been started with."""
    asked: list[ServerSettings] = []

    def serve_forever(settings: ServerSettings, on_ready: Any) -> None:
        settings.check()
        asked.append(settings)
        on_ready(_INFO)

    monkeypatch.setattr(local_server, "serve_forever", serve_forever)
    return asked


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """A folder that looks like a base."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).touch()
    return str(folder)


def test_what_is_printed_is_ready_for_a_shell(
    chatexports: Command, served: list[ServerSettings], tiny: str
) -> None:
    done = chatexports("serve", "--base", tiny)
    assert done.status == 0
    assert done.out.splitlines() == [
        "export OPENAI_BASE_URL=http://127.0.0.1:8199/v1",
        "export OPENAI_API_KEY=a-key-of-its-own",
    ]
    assert "Base model: tiny" in done.err
    assert "Answers: llama.cpp" in done.err
    assert "jobs continue when the server starts" in done.err
    assert served[0].api_key is None


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--base", "./nothing"), 1, "not found"),
        (("--alias", "gpt"), 2, "NAME=BASE"),
        (("--alias", "gpt=other"), 1, "gpt=tiny"),
        (("--port", "99999"), 2, "65535"),
    ],
)
def test_what_no_server_can_have_is_refused_in_a_line(
    chatexports: Command,
    served: list[ServerSettings],
    tiny: str,
    options: tuple[str, ...],
    status: int,
    words: str,
) -> None:
    base = () if "--base" in options else ("--base", tiny)
    done = chatexports("serve", *base, *options)
    assert done.status == status
    assert words in done.err
    assert "Traceback" not in done.err
    assert not served


def test_the_key_is_the_first_line_of_a_file(
    chatexports: Command, served: list[ServerSettings], tiny: str, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("of-a-file\nand more\n")
    done = chatexports("serve", "--base", tiny, "--api-key-file", "key")
    assert done.status == 0
    assert served[0].api_key == "of-a-file"
    assert "of-a-file" not in done.err
    assert "list of processes" not in done.err


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"two words", b"\xff\xfe", b"x" * 9999]
)
def test_a_file_without_a_key_is_refused_and_not_quoted(
    chatexports: Command,
    served: list[ServerSettings],
    tiny: str,
    tmp_path: Path,
    content: bytes,
) -> None:
    (tmp_path / "key").write_bytes(content)
    done = chatexports("serve", "--base", tiny, "--api-key-file", "key")
    assert done.status == 1
    assert "Traceback" not in done.err
    assert "two words" not in done.err
    assert served == []
