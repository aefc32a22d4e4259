"""The GGUF file of a base: which one, how it is checked, and what is refused."""

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
    Matrix,
    NoGGUFError,
    match_matrices,
)
from langchain_chatexports.local_server.bases.gguf_check import check_gguf
from langchain_chatexports.local_server.bases.gguf_file import gguf_of_base
from langchain_chatexports.local_server.bases.preparation import base_directory
from tests.unit_tests.builders.gguf import write_gguf
from tests.unit_tests.builders.twins import write_twin

pytest.importorskip("xllamacpp")

# PEFT uses an attribute that transformers deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

_MATRICES = {"layers.0.mlp.up_proj": Matrix("blk.0.ffn_up")}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of the tasks that child processes would have run."""
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


def test_the_file_in_a_bases_directory_is_checked_once(
    base: Path, tasks: list[str]
) -> None:
    for _ in range(2):
        found = gguf_of_base(describe_base(base), base)
        assert found.file == base / "tiny.gguf"
        assert found.find_matrices() == _MATRICES
        assert tasks == ["check"]
    write_gguf(base, base / "tiny.gguf", kind="F16")
    gguf_of_base(describe_base(base), base)
    assert tasks == ["check", "check"]


def test_a_directory_without_one_file_is_left_to_transformers(
    base: Path, tasks: list[str]
) -> None:
    shutil.copy(base / "tiny.gguf", base / "other.gguf")
    with pytest.raises(NoGGUFError, match=r"2 \.gguf files"):
        gguf_of_base(describe_base(base), base)
    assert tasks == []


@pytest.mark.parametrize(("kind", "started"), [("Q8_0", []), ("Q4_1", ["rewrite"])])
def test_a_gguf_file_is_served_as_it_is_unless_its_type_is_slow(
    tiny_base: Path, tmp_path: Path, tasks: list[str], kind: str, started: list[str]
) -> None:
    """llama.cpp reads a prompt in Q4_1, as in the wheel, half as fast as in Q8_0."""
    file = write_gguf(tiny_base, tmp_path / "own.gguf", kind=kind)
    description = describe_base(file)
    directory = base_directory(description)
    found = gguf_of_base(description, directory)
    assert (found.file == file) == (kind == "Q8_0")
    assert tasks == started
    # It is compared with what was trained before an adapter is used.
    for _ in range(2):
        assert found.find_matrices() == _MATRICES
        assert tasks == [*started, "check"]


def test_without_the_engine_there_is_no_need_for_a_file(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_file, "find_spec", lambda _: None)
    with pytest.raises(NoGGUFError, match="xllamacpp"):
        gguf_of_base(describe_base(base), base)


def test_a_refused_file_is_not_checked_again(
    base: Path, tasks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        msg = "it differs"
        raise NoGGUFError(msg)

    def run(function: Any, *paths: str, **_: Any) -> Any:
        tasks.append("check")
        return function(*paths)

    monkeypatch.setattr(gguf_check, "check_gguf", refuse)
    monkeypatch.setattr(gguf_file, "call_in_child", run)
    for _ in range(2):
        with pytest.raises(NoGGUFError, match="it differs"):
            gguf_of_base(describe_base(base), base)
    assert tasks == ["check"]


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ({"hare/One-GGUF": ["One-BF16.gguf", "One-Q8_0.gguf"]}, "One-Q8_0.gguf"),
        ({"ggml-org/One-GGUF": ["mmproj-q8_0.gguf", "one-f16.gguf"]}, "one-f16.gguf"),
        ({"hare/One-GGUF": ["One-Q4_K_M.gguf"]}, None),
        ({"somebody/One-GGUF": ["One-Q8_0.gguf"]}, None),
    ],
)
def test_a_hub_bases_file_is_its_publishers(
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


def test_a_downloaded_file_is_found_without_the_hub(
    tiny_base: Path, tiny_gguf: Path, tasks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads = iter([tiny_gguf])
    monkeypatch.setattr(gguf_file, "download_gguf", lambda _: next(downloads))
    hub = BaseDescription("tiny", "hub", "hare/tiny", None)
    for _ in range(2):
        found = gguf_of_base(hub, tiny_base)
        assert found.file == tiny_gguf
        assert found.find_matrices() == _MATRICES
    assert tasks == ["check"]


@pytest.mark.parametrize("outcome", [None, LocalServerError("there is no network")])
def test_a_hub_base_without_a_file_is_left_to_transformers(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch, outcome: LocalServerError | None
) -> None:
    def find(_: str) -> None:
        if outcome is not None:
            raise outcome

    monkeypatch.setattr(gguf_file, "download_gguf", find)
    hub = BaseDescription("tiny", "hub", "hare/tiny", None)
    with pytest.raises(NoGGUFError, match=r"no network|hare/tiny"):
        gguf_of_base(hub, tiny_base)


def test_answers_in_the_wrong_order_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def match(*given: Any) -> dict[str, Matrix]:
        found = match_matrices(*given)
        return {name: Matrix(each.name) for name, each in found.items()}

    monkeypatch.setattr(gguf_check, "match_matrices", match)
    base = write_twin(tmp_path / "twin", "llama3.2")
    file = write_gguf(base, tmp_path / "twin.gguf")
    with pytest.raises(NoGGUFError, match="nats from transformers"):
        check_gguf(file, base)


def test_a_tokenizer_that_splits_in_another_way_is_refused(
    tiny_base: Path, tmp_path: Path
) -> None:
    """With fewer merges, the same text has more tokens."""
    other = Path(shutil.copytree(tiny_base, tmp_path / "other"))
    tokenizer = json.loads((other / "tokenizer.json").read_text("utf-8"))
    merges = tokenizer["model"]["merges"]
    del merges[len(merges) // 2 :]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    file = write_gguf(other, tmp_path / "base.gguf")
    with pytest.raises(NoGGUFError, match="renders the chat 0 differently"):
        check_gguf(file, tiny_base)
