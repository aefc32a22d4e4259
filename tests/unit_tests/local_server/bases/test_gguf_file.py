"""The GGUF file of a base: choice, check and errors."""

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
import pytest
from huggingface_hub.errors import RepositoryNotFoundError

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases import download, gguf_check, gguf_file
from langchain_chatexports.local_server.bases.description import (
    BaseDescription,
    describe_base,
)
from langchain_chatexports.local_server.bases.gguf_adapter import (
    GGUFNotSupportedError,
    Matrix,
)
from langchain_chatexports.local_server.bases.gguf_check import check_gguf
from langchain_chatexports.local_server.bases.gguf_file import find_gguf
from langchain_chatexports.local_server.bases.preparation import find_base_directory
from tests.unit_tests.builders.gguf import write_gguf

pytest.importorskip("xllamacpp")

# PEFT uses an attribute that transformers deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

_MATRICES = {"layers.0.mlp.up_proj": Matrix("blk.0.ffn_up")}


@pytest.fixture(autouse=True)
def _temporary_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of tasks for child processes, which are not started."""
    started: list[str] = []

    def run(function: Any, source: str, target: str, **_: Any) -> dict[str, Any]:
        started.append(function.__name__.strip("_"))
        if started[-1] == "rewrite":
            shutil.copy(source, target)
        return {"matrices": _MATRICES}

    monkeypatch.setattr(gguf_file, "call_in_child", run)
    monkeypatch.setattr(gguf_file, "complete_base", lambda *_, **__: None)
    return started


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Path:
    """The tiny base, with its GGUF file in the same directory."""
    folder = Path(shutil.copytree(tiny_base, tmp_path / "tiny"))
    write_gguf(folder, folder / "tiny.gguf")
    return folder


def test_gguf_beside_weights_is_checked_once(base: Path, tasks: list[str]) -> None:
    for _ in range(2):
        found = find_gguf(describe_base(base), base)
        assert found.file == base / "tiny.gguf"
        assert found.find_matrices() == _MATRICES
        assert tasks == ["check"]
    write_gguf(base, base / "tiny.gguf", kind="F16")
    find_gguf(describe_base(base), base)
    assert tasks == ["check", "check"]


def test_several_gguf_files_are_refused(base: Path, tasks: list[str]) -> None:
    shutil.copy(base / "tiny.gguf", base / "other.gguf")
    with pytest.raises(GGUFNotSupportedError, match=r"2 \.gguf files"):
        find_gguf(describe_base(base), base)
    assert tasks == []


@pytest.mark.parametrize(("kind", "started"), [("Q8_0", []), ("Q4_1", ["rewrite"])])
def test_slow_gguf_is_rewritten(
    tiny_base: Path, tmp_path: Path, tasks: list[str], kind: str, started: list[str]
) -> None:
    """llama.cpp reads a prompt in Q4_1, as in the wheel, half as fast as in Q8_0."""
    file = write_gguf(tiny_base, tmp_path / "own.gguf", kind=kind)
    description = describe_base(file)
    directory = find_base_directory(description)
    found = find_gguf(description, directory)
    assert (found.file == file) == (kind == "Q8_0")
    assert tasks == started
    # It is compared with the weights before an adapter is used.
    for _ in range(2):
        assert found.find_matrices() == _MATRICES
        assert tasks == [*started, "check"]


def test_missing_engine_is_refused(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_file, "find_spec", lambda _: None)
    with pytest.raises(GGUFNotSupportedError, match="xllamacpp"):
        find_gguf(describe_base(base), base)


def test_refused_file_is_not_checked_again(
    base: Path, tasks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        msg = "it differs"
        raise GGUFNotSupportedError(msg)

    def run(function: Any, *paths: str, **_: Any) -> Any:
        tasks.append("check")
        return function(*paths)

    monkeypatch.setattr(gguf_check, "check_gguf", refuse)
    monkeypatch.setattr(gguf_file, "call_in_child", run)
    for _ in range(2):
        with pytest.raises(GGUFNotSupportedError, match="it differs"):
            find_gguf(describe_base(base), base)
    assert tasks == ["check"]


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ({"hare/One-GGUF": ["One-BF16.gguf", "One-Q8_0.gguf"]}, "One-Q8_0.gguf"),
        ({"ggml-org/One-GGUF": ["mmproj-q8_0.gguf", "one-f16.gguf"]}, "one-f16.gguf"),
        ({"hare/One-GGUF": ["One-Q4_K_M.gguf"]}, None),
        ({"other/One-GGUF": ["One-Q8_0.gguf"]}, None),
    ],
)
def test_hub_gguf_is_from_the_publisher(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, list[str]], chosen: str | None
) -> None:
    def list_files(_: object, repository: str) -> list[str]:
        if repository not in files:
            response: Any = httpx.Response(
                404, request=httpx.Request("GET", "https://hub")
            )
            raise RepositoryNotFoundError(repository, response=response)
        return files[repository]

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", list_files)
    monkeypatch.setattr(download, "download_files", lambda *_, **__: Path())
    assert download.download_gguf("hare/One") == (chosen and Path(chosen))


def test_downloaded_gguf_is_found_offline(
    tiny_base: Path, tiny_gguf: Path, tasks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads = iter([tiny_gguf])
    monkeypatch.setattr(gguf_file, "download_gguf", lambda _: next(downloads))
    hub = BaseDescription("tiny", "hub", "hare/tiny", None)
    for _ in range(2):
        found = find_gguf(hub, tiny_base)
        assert found.file == tiny_gguf
        assert found.find_matrices() == _MATRICES
    assert tasks == ["check"]


@pytest.mark.parametrize("outcome", [None, LocalServerError("there is no network")])
def test_hub_base_without_gguf_is_refused(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch, outcome: LocalServerError | None
) -> None:
    def find(_: str) -> None:
        if outcome is not None:
            raise outcome

    monkeypatch.setattr(gguf_file, "download_gguf", find)
    hub = BaseDescription("tiny", "hub", "hare/tiny", None)
    with pytest.raises(GGUFNotSupportedError, match=r"no network|hare/tiny"):
        find_gguf(hub, tiny_base)


def test_other_tokenization_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    """With fewer merges, the same text has more tokens."""
    other = Path(shutil.copytree(tiny_base, tmp_path / "other"))
    tokenizer = json.loads((other / "tokenizer.json").read_text("utf-8"))
    merges = tokenizer["model"]["merges"]
    del merges[len(merges) // 2 :]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    file = write_gguf(other, tmp_path / "base.gguf")
    with pytest.raises(GGUFNotSupportedError, match="renders chat 0 differently"):
        check_gguf(file, tiny_base)
