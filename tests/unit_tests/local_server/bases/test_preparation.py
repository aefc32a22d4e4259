"""What is converted of a `.gguf` file, and when."""

import struct
from pathlib import Path

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases import preparation
from langchain_chatexports.local_server.bases.chat_template import (
    ChatTemplate,
    ChatTokenizer,
    load_tokenizer,
)
from langchain_chatexports.local_server.bases.description import describe_base
from langchain_chatexports.local_server.bases.preparation import (
    base_directory,
    complete_base,
)
from langchain_chatexports.local_server.bases.weights import load_base
from langchain_chatexports.local_server.processes import ChildError

_CHAT = [{"role": "user", "content": "Ready? <|im_end|>"}]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_answers_need_no_conversion_and_training_sees_the_same(tiny_gguf: Path) -> None:
    directory = base_directory(describe_base(tiny_gguf))
    chat = ChatTokenizer(directory)
    rendered = chat.template.as_rendered(_CHAT)
    assert rendered == [{"role": "user", "content": "Ready? < |im_end|>"}]
    assert chat.context == 512
    assert not (directory / "config.json").exists()
    # A chat is counted: the tokenizer is converted, and the weights are not.
    prompt = chat.template.prompt_ids(_CHAT)
    assert not list(directory.glob("*.safetensors"))
    tokenizer, context = load_tokenizer(directory)
    template = ChatTemplate(tokenizer)
    assert template.derived == chat.template.derived
    assert template.prompt_ids(_CHAT) == prompt
    assert context == 512
    before = {file.name for file in directory.iterdir()}
    model = load_base(directory, "cpu", "float32")
    assert model.config.num_hidden_layers == 2
    new = {file.name for file in directory.iterdir()} - before
    assert new == {"model.safetensors", "generation_config.json"}


def test_what_is_complete_is_not_converted_again(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        msg = "KeyError: 'arch'"
        raise ChildError(msg)

    monkeypatch.setattr(preparation, "call_in_child", fail)
    directory = base_directory(describe_base(tiny_gguf))
    with pytest.raises(LocalServerError, match=r"cannot read .*tiny\.gguf: KeyError"):
        complete_base(directory)
    (directory / "config.json").write_text("{}")
    complete_base(directory)
    with pytest.raises(LocalServerError):
        complete_base(directory, weights=True)


@pytest.mark.parametrize("field", ["block_count", "context_length", "embedding_length"])
def test_a_file_that_says_too_little_of_its_model_is_refused(
    tiny_gguf: Path, tmp_path: Path, field: str
) -> None:
    """transformers would answer with a model of no layers, and llama.cpp ends."""
    name = f"llama.{field}".encode()
    content = tiny_gguf.read_bytes()
    at = content.index(name) + len(name) + 4
    file = tmp_path / "odd.gguf"
    file.write_bytes(content[:at] + struct.pack("<I", 0) + content[at + 4 :])
    with pytest.raises(LocalServerError, match=r"odd\.gguf .*complete language model"):
        base_directory(describe_base(file))
