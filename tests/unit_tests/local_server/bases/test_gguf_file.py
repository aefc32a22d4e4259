"""The GGUF file of a base: which one, how it is kept, and what is refused."""

from __future__ import annotations

import json
import shutil
import stat
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases import conversion, gguf_check, gguf_file
from langchain_chatexports.local_server.bases.description import (
    BaseDescription,
    describe_base,
)
from langchain_chatexports.local_server.bases.gguf_adapter import write_gguf_adapter
from langchain_chatexports.local_server.bases.gguf_check import AWKWARD_TEXTS
from langchain_chatexports.local_server.bases.gguf_conversion import write_base_gguf
from langchain_chatexports.local_server.bases.gguf_file import (
    NoGGUFError,
    check_quantization,
    gguf_of_adapter,
    gguf_of_base,
)
from langchain_chatexports.local_server.storage.adapters import save_adapter
from langchain_chatexports.local_server.training.hyperparameters import lora_config
from tests.unit_tests.builders.tiny_base import CHATML, tiny_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

pytest.importorskip("xllamacpp")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def converted(tiny_base: Path, cache: Path) -> Path:
    return gguf_of_base(describe_base(tiny_base), tiny_base, cache_dir=cache)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of the tasks that child processes would have run."""
    started: list[str] = []

    def run(task: dict[str, str]) -> dict[str, str]:
        started.append(task["kind"])
        return {"directory": task["source"]}

    monkeypatch.setattr(gguf_file, "run_conversion", run)
    return started


def test_a_base_is_converted_and_checked_once(
    converted: Path, tiny_base: Path, cache: Path, tasks: list[str]
) -> None:
    again = gguf_of_base(describe_base(tiny_base), tiny_base, cache_dir=cache)
    assert again == converted
    assert converted.name.startswith("tiny-")
    assert converted.name.endswith("-q8_0.gguf")
    assert tasks == []
    if sys.platform != "win32":
        assert stat.S_IMODE(converted.stat().st_mode) == 0o600


@pytest.mark.usefixtures("converted")
def test_a_changed_base_is_converted_again(
    tiny_base: Path, tmp_path: Path, cache: Path, tasks: list[str]
) -> None:
    base = Path(shutil.copytree(tiny_base, tmp_path / "tiny"))
    with pytest.raises(NoGGUFError):
        # Nothing was really written.
        gguf_of_base(describe_base(base), base, cache_dir=cache)
    assert tasks == ["write"]


def test_a_gguf_file_is_served_as_it_is(
    converted: Path, tiny_base: Path, tmp_path: Path, tasks: list[str]
) -> None:
    file = Path(shutil.copy(converted, tmp_path / "own.gguf"))
    found = gguf_of_base(describe_base(file), tiny_base, cache_dir=tmp_path)
    assert found == file
    assert tasks == ["check"]
    with pytest.raises(LocalServerError, match="as it is"):
        gguf_of_base(
            describe_base(file), tiny_base, quantization="q4_1", cache_dir=tmp_path
        )


def test_the_default_base_is_converted_as_those_of_the_hub_are(
    tiny_base: Path, tmp_path: Path, tasks: list[str]
) -> None:
    """llama.cpp reads a prompt in Q4_1, as in the wheel, half as fast as in Q8_0."""
    wheel = BaseDescription("tiny", "wheel", "tiny.Q4_1.gguf", None)
    check_quantization(wheel, "q4_1")
    with pytest.raises(NoGGUFError, match=r"tiny-.*-q8_0\.gguf"):
        # Nothing was really written.
        gguf_of_base(wheel, tiny_base, cache_dir=tmp_path)
    assert tasks == ["write"]


def test_what_is_written_is_checked_in_the_same_process(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: Path, directory: Path) -> None:
        raise NoGGUFError(f"{file.name} {directory.name}")  # noqa: EM102, TRY003

    monkeypatch.setattr(gguf_check, "check_gguf", refuse)
    file = tmp_path / "new.gguf"
    task = {"kind": "write", "source": str(tiny_base), "target": str(file)}
    with pytest.raises(NoGGUFError, match=r"new\.gguf tiny"):
        conversion._run({**task, "quantization": "q8_0"})
    assert file.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Python has no Unix sockets there")
def test_a_file_is_checked_without_a_port(
    converted: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports: list[Any] = []

    def listening() -> list[Any]:
        found = psutil.Process().net_connections("inet")
        return [each for each in found if each.status == psutil.CONN_LISTEN]

    def ask(*arguments: Any, **options: Any) -> Any:
        ports.extend(each for each in listening() if each not in others)
        return asked(*arguments, **options)

    # Engines of other tests have ports.
    others = listening()
    asked = gguf_check._tokens
    monkeypatch.setattr(gguf_check, "_tokens", ask)
    before = Path.cwd()
    gguf_check.check_gguf(converted, tiny_base)
    assert ports == []
    assert Path.cwd() == before


def test_an_unknown_quantization_is_refused_with_the_known_ones(
    tiny_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(LocalServerError, match="q4_1"):
        gguf_of_base(
            describe_base(tiny_base),
            tiny_base,
            quantization="q3_k_m",
            cache_dir=tmp_path,
        )


def test_without_the_engine_there_is_no_need_for_a_file(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_file, "find_spec", lambda _: None)
    with pytest.raises(NoGGUFError, match="xllamacpp"):
        gguf_of_base(describe_base(tiny_base), tiny_base, cache_dir=tmp_path)


@pytest.mark.parametrize("size", [0, 10, 3000])
def test_a_damaged_file_is_refused_before_llama_cpp_reads_it(
    converted: Path, tiny_base: Path, tmp_path: Path, tasks: list[str], size: int
) -> None:
    file = tmp_path / "cut.gguf"
    file.write_bytes(converted.read_bytes()[:size])
    with pytest.raises(NoGGUFError, match="not usable"):
        gguf_of_base(describe_base(file), tiny_base, cache_dir=tmp_path)
    assert tasks == []


def test_a_file_that_ends_the_process_is_a_reason_and_is_tried_again(
    converted: Path,
    tiny_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """llama.cpp aborts at some damage: here another program does."""
    file = Path(shutil.copy(converted, tmp_path / "own.gguf"))
    code = "import os; os.abort()"
    monkeypatch.setattr(
        "langchain_chatexports.local_server.bases.preparation.child_command",
        lambda _: [sys.executable, "-c", code],
    )
    for _ in range(2):
        with pytest.raises(NoGGUFError, match="the process ended"):
            gguf_of_base(describe_base(file), tiny_base, cache_dir=tmp_path)


def test_a_tokenizer_that_splits_in_another_way_is_refused(
    tiny_base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With fewer merges, the same text has more tokens."""
    other = Path(shutil.copytree(tiny_base, tmp_path / "other"))
    tokenizer = json.loads((other / "tokenizer.json").read_text("utf-8"))
    merges = tokenizer["model"]["merges"]
    del merges[len(merges) // 2 :]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    file = tmp_path / "base.gguf"
    file.touch()
    write_base_gguf(other, file, "none")
    gguf_check.check_gguf(file, other)
    with pytest.raises(NoGGUFError, match="other tokens"):
        gguf_check.check_gguf(file, tiny_base)
    # The end of a server was seen to hang.
    assert "main loop exit" not in capfd.readouterr().err


def test_a_split_that_llama_cpp_does_not_have_is_refused(tmp_path: Path) -> None:
    from gguf import GGUFWriter
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Whitespace

    from langchain_chatexports.local_server.bases.gguf_tokenizer import add_tokenizer

    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
        [Whitespace(), ByteLevel(use_regex=False)]
    )
    with pytest.raises(NoGGUFError, match="splits"):
        add_tokenizer(GGUFWriter(tmp_path / "x.gguf", "llama"), tokenizer, 500)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_adapter_without_the_file_gets_it_and_a_damaged_one_is_replaced(
    converted: Path, tiny_base: Path, tmp_path: Path
) -> None:
    import peft

    from langchain_chatexports.local_server.bases.weights import load_base

    folder = tmp_path / "adapter"
    model = load_base(tiny_base, "cpu", "float32")
    save_adapter(peft.get_peft_model(model, lora_config(model)), folder)
    written = gguf_of_adapter(folder, tiny_base, converted)
    content = written.read_bytes()
    assert write_gguf_adapter(folder, tiny_base).read_bytes() == content
    written.write_bytes(content[:500])
    assert gguf_of_adapter(folder, tiny_base, converted).read_bytes() == content
    written.unlink()
    (folder / "adapter_model.safetensors").write_bytes(b"damaged")
    with pytest.raises(NoGGUFError):
        gguf_of_adapter(folder, tiny_base, converted)


def _sentencepiece_tokenizer(*, has_prefix: bool) -> PreTrainedTokenizerFast:
    """Train a tokenizer as transformers makes them of SentencePiece's models."""
    from tokenizers import (
        AddedToken,
        Tokenizer,
        decoders,
        models,
        normalizers,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    specials = ["<unk>", "<s>", "<|im_start|>", "<|im_end|>"]
    model = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))  # noqa: S106
    prefix = [normalizers.Prepend("▁")] if has_prefix else []
    model.normalizer = normalizers.Sequence([*prefix, normalizers.Replace(" ", "▁")])
    model.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=[*specials, *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
    )
    model.train_from_iterator(AWKWARD_TEXTS * 2, trainer)
    described = json.loads(model.to_str())
    # The trainer calls bytes special, and SentencePiece's models do not.
    described["added_tokens"] = described["added_tokens"][: len(specials)]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(described)),
        unk_token="<unk>",  # noqa: S106
        bos_token="<s>",  # noqa: S106
        eos_token="<|im_end|>",  # noqa: S106
        chat_template=CHATML,
    )
    tokenizer.add_tokens([AddedToken("\n\n", normalized=False)])
    return tokenizer


@pytest.mark.parametrize("has_prefix", [False, True])
def test_a_tokenizer_of_sentencepiece_splits_as_in_transformers(
    tmp_path: Path, *, has_prefix: bool
) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _sentencepiece_tokenizer(has_prefix=has_prefix)
    config = LlamaConfig(
        vocab_size=len(tokenizer) + 5,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    torch.manual_seed(1)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    file = tmp_path / "base.gguf"
    file.touch()
    write_base_gguf(tmp_path / "base", file, "none")
    gguf_check.check_gguf(file, tmp_path / "base")


def test_texts_to_compare_are_the_same_for_tokenizers_that_normalize() -> None:
    # Qwen's tokenizer normalizes, and llama.cpp's form of it does not.
    for text in AWKWARD_TEXTS:
        assert unicodedata.is_normalized("NFC", text)
