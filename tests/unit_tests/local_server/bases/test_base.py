"""Base models: what is known of them, and refused ones."""

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases import base as base_module
from langchain_chatexports.local_server.bases.base import (
    DEFAULT_HUB_ID,
    find_base,
    fitting_bases,
    known_bases,
)
from langchain_chatexports.local_server.bases.preparation import (
    load_tokenizer,
    prepare_directory,
)
from langchain_chatexports.local_server.bases.template import TemplateError, template_of
from tests.unit_tests.builders.tiny_models import TINY_MODELS


def test_directory_is_described(tiny_base: Path) -> None:
    found = find_base(tiny_base)
    assert (found.name, found.kind) == ("tiny", "directory")
    assert (found.id, found.path) == (str(tiny_base), tiny_base)
    assert (found.size_bytes or 0) > 100_000
    assert not found.is_default
    assert not found.is_known
    assert prepare_directory(found) == tiny_base


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer"])
def test_missing_file_is_refused(tiny_base: Path, tmp_path: Path, missing: str) -> None:
    shutil.copytree(tiny_base, tmp_path / "part")
    for path in (tmp_path / "part").glob(f"{missing}*"):
        path.unlink()
    with pytest.raises(LocalServerError, match=missing.rpartition(".")[2]):
        find_base(tmp_path / "part")


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Path:
    """A copy of the tiny base, to be changed."""
    return Path(shutil.copytree(tiny_base, tmp_path / "base"))


@pytest.mark.parametrize(
    "name",
    [
        "weights.bin",
        "../outside.safetensors",
        "sub/model.safetensors",
        "/abs.safetensors",
        "..\\outside.safetensors",
        "model.safetensors.bin",
    ],
)
@pytest.mark.parametrize(
    "index", ["model.safetensors.index.json", "x.safetensors.index.json"]
)
def test_unsafe_weight_index_is_refused(base: Path, index: str, name: str) -> None:
    (base / "weights.bin").write_bytes(b"")
    (base / "model.safetensors.bin").write_bytes(b"")
    (base / index).write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(LocalServerError):
        find_base(base)


def test_pickle_in_the_config_is_refused(base: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    config["transformers_weights"] = "adapter_model.bin"
    (base / "config.json").write_text(json.dumps(config))
    with pytest.raises(LocalServerError, match="safetensors"):
        find_base(base)


def test_adapter_beside_weights_is_refused(base: Path) -> None:
    """transformers would load it, even from a pickle."""
    (base / "adapter_config.json").write_text("{}")
    (base / "model.gguf").write_bytes(b"GGUF")
    for path in (base, base / "model.gguf"):
        with pytest.raises(LocalServerError, match="adapter"):
            find_base(path)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_remote_code_is_never_run(
    base: Path, tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"open({str(tmp_path / 'ran')!r}, 'w')\nclass C: pass\nclass T: pass\n"
    (base / "own.py").write_text(code)
    known = json.loads((base / file).read_text())
    known["auto_map"] = {"AutoConfig": "own.C", "AutoTokenizer": [None, "own.T"]}
    known |= {"model_type": "own", "tokenizer_class": "T"}
    (base / file).write_text(json.dumps(known))
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 9))
    with pytest.raises(LocalServerError, match="needs custom code"):
        load_tokenizer(base)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("config.json", "max_position_embeddings", "many"),
        ("config.json", "model_type", ["llama"]),
        ("tokenizer.json", "model", {"type": "BPE", "vocab": 7}),
        ("tokenizer.json", "added_tokens", [{"id": -1}]),
        ("tokenizer_config.json", "chat_template", 7),
    ],
)
def test_damaged_config_is_refused(base: Path, file: str, key: str, value: Any) -> None:
    (base / "chat_template.jinja").unlink(missing_ok=True)
    known = json.loads((base / file).read_text())
    (base / file).write_text(json.dumps({**known, key: value}))
    with pytest.raises((LocalServerError, TemplateError)):
        template_of(*load_tokenizer(base))


@pytest.mark.parametrize(
    "base", ["no/such/folder/here", "missing.gguf", "", "..", "../x", "a/b/", "a b/c"]
)
def test_invalid_base_is_refused(
    base: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LocalServerError, match=r"Pass|single file"):
        find_base(base)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct"),
        ("qwen2.5-0.5b-instruct-q4_k_m.gguf", "qwen2.5-0.5b-instruct"),
        ("my model.F16.gguf", "my-model"),
        ("plain.gguf", "plain"),
    ],
)
def test_gguf_name_has_no_quantization(tmp_path: Path, file: str, name: str) -> None:
    (tmp_path / file).write_bytes(b"GGUF")
    found = find_base(tmp_path / file)
    assert (found.name, found.kind) == (name, "gguf")


def test_default_base_is_the_wheel() -> None:
    found = find_base(None)
    assert (found.name, found.kind) == ("SmolLM2-135M-Instruct", "wheel")
    assert (found.id, found.license) == (DEFAULT_HUB_ID, "Apache-2.0")
    assert (found.size_bytes or 0) > 50_000_000
    assert found.is_default
    assert find_base(DEFAULT_HUB_ID) == found


def test_default_without_wheel_is_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_module, "_WHEEL", "no-such-distribution-anywhere")
    found = find_base(None)
    assert (found.kind, found.id, found.path) == ("hub", DEFAULT_HUB_ID, None)
    assert (found.license, found.is_default) == ("Apache-2.0", True)


def test_file_has_the_facts_of_its_known_base(tmp_path: Path) -> None:
    file = tmp_path / "Qwen3.5-2B-Q8_0.gguf"
    file.write_bytes(b"GGUF")
    found = find_base(file)
    assert (found.id, found.kind, found.size_bytes) == (str(file), "gguf", 4)
    assert found.license == "Apache-2.0"
    assert found.supports_language("Korean")


def test_only_incomplete_hub_models_need_a_download(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    hub = find_base("someone/something")
    assert hub.needs_download()
    folder = tmp_path / "models--someone--something"
    snapshot = folder / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(snapshot.name)
    (snapshot / "config.json").write_text("{}")
    assert hub.needs_download()
    shutil.copytree(tiny_base, snapshot, dirs_exist_ok=True)
    assert not hub.needs_download()
    assert not find_base(tiny_base).needs_download()


def test_each_known_base_has_a_tiny_model() -> None:
    known = known_bases()
    # test_model_families.py trains them.
    for base in known:
        name = base.id.partition("/")[2].lower()
        assert any(map(name.startswith, TINY_MODELS)), name
    assert known[0].id == DEFAULT_HUB_ID
    assert "tiny demo model" in known[0].note
    assert [find_base(base.id) for base in known[1:]] == list(known[1:])


@pytest.mark.parametrize(
    ("gigabytes", "name"),
    [
        (0, "SmolLM2-135M-Instruct"),
        (4, "SmolLM2-135M-Instruct"),
        (8, "SmolLM2-360M-Instruct"),
        (16, "Qwen3.5-0.8B"),
        (32, "granite-4.1-3b"),
        (64, "Qwen3-4B-Instruct-2507"),
        (128, "Qwen3.5-9B"),
    ],
)
def test_largest_base_fits_half_the_memory(gigabytes: int, name: str) -> None:
    assert fitting_bases(gigabytes * 10**9)[-1].name == name


def test_training_time_grows_with_the_base() -> None:
    """With 1.5 billion parameters a step took 5.2 to 6.5 seconds, and 0.92 with 135."""
    seconds = {base.id: base.training_seconds(0.92) or 0 for base in known_bases()}
    assert seconds[DEFAULT_HUB_ID] == 0.92
    smaller, larger = "LiquidAI/LFM2.5-1.2B-Instruct", "Qwen/Qwen3.5-2B"
    assert seconds[smaller] < 5.2
    assert seconds[larger] > 6.5
