"""Conversion of `.gguf` files."""

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases import preparation
from langchain_chatexports.local_server.bases.base import find_base
from langchain_chatexports.local_server.bases.preparation import (
    complete_base,
    conversion_bytes,
    find_directory,
    load_tokenizer,
)
from langchain_chatexports.local_server.bases.template import (
    read_template,
    template_of,
)
from langchain_chatexports.local_server.bases.weights import load_base
from langchain_chatexports.local_server.processes import ChildProcessFailedError

_CHAT = [{"role": "user", "content": "Ready? <|im_end|>"}]


@pytest.fixture(autouse=True)
def _temporary_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.usefixtures("templates_derived_in_process")
def test_conversion_is_complete(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = find_base(tiny_gguf)
    weights = base.count_parameters() or 0
    assert conversion_bytes(base) == 2 * weights > 0
    # An unknown base has an estimate, too.
    assert 0 < (base.training_seconds(10.0) or 0) < 10.0
    directory = find_directory(base)
    assert not (directory / "config.json").exists()
    # Reading the template converts the tokenizer, but not the weights.
    template = read_template(directory)
    assert not list(directory.glob("*.safetensors"))
    rendered = template.prepare(_CHAT)
    assert rendered == [{"role": "user", "content": "Ready? < |im_end|>"}]
    tokenizer, context = load_tokenizer(directory)
    assert template_of(tokenizer, context) == template
    assert context == 512
    before = {file.name for file in directory.iterdir()}
    # The tokenizer was converted in a child process. A trainer converts the weights
    # itself, and reads and writes other files afterwards.
    monkeypatch.setattr(preparation, "call_in_child", None)
    replaced = np.memmap, gguf.GGUFReader, gguf.get_tensor_name_map
    complete_base(directory, weights=True, in_child=False)
    assert replaced == (np.memmap, gguf.GGUFReader, gguf.get_tensor_name_map)
    model = load_base(directory, "cpu", "float32")
    assert model.config.num_hidden_layers == 2
    new = {file.name for file in directory.iterdir()} - before
    assert new == {"model.safetensors", "generation_config.json"}
    assert conversion_bytes(base) == 0
    # The file's size was announced, but for its header.
    size = (directory / "model.safetensors").stat().st_size
    assert 2 * weights < size < 2 * weights + 10_000


def test_conversion_runs_once(tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        msg = "KeyError: 'arch'"
        raise ChildProcessFailedError(msg)

    monkeypatch.setattr(preparation, "call_in_child", fail)
    directory = find_directory(find_base(tiny_gguf))
    with pytest.raises(LocalServerError, match=r"cannot read .*tiny\.gguf: KeyError"):
        complete_base(directory)
    (directory / "config.json").write_text("{}")
    complete_base(directory)
    with pytest.raises(LocalServerError):
        complete_base(directory, weights=True)


def test_damaged_file_is_reported(tiny_gguf: Path, tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(tiny_gguf.read_bytes())
    directory = find_directory(find_base(file))
    file.write_bytes(b"GGUF")
    for in_child in (True, False):
        with pytest.raises(LocalServerError, match=r"cannot read .*tiny\.gguf: \w+"):
            complete_base(directory, weights=True, in_child=in_child)


@pytest.mark.parametrize("field", ["block_count", "context_length", "embedding_length"])
def test_partial_gguf_is_refused(tiny_gguf: Path, tmp_path: Path, field: str) -> None:
    """transformers would load a model without layers, and llama.cpp crashes."""
    name = f"llama.{field}".encode()
    content = tiny_gguf.read_bytes()
    at = content.index(name) + len(name) + 4
    file = tmp_path / "partial.gguf"
    file.write_bytes(content[:at] + struct.pack("<I", 0) + content[at + 4 :])
    with pytest.raises(
        LocalServerError, match=r"partial\.gguf .*complete language model"
    ):
        find_directory(find_base(file))
