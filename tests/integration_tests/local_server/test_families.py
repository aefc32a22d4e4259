"""Other model families: tiny random weights with the real chat templates."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.local_server.bases.tokenizer import ChatTokenizer
from langchain_chatexports.local_server.engines.transformers import (
    GenerationRequest,
    TransformersEngine,
)
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues, tiny_tokenizer
from tests.unit_tests.builders.trainings import run_training, training_spec

if TYPE_CHECKING:
    from typing import Any


_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_FAMILIES = {
    "qwen2.5": ("Qwen2", "qwen2_5", {}),
    "llama3": ("Llama", "llama3_2", {}),
    "gemma3": ("Gemma3", "gemma3", {"sliding_window": 64}),
    "qwen3": ("Qwen3", "qwen3_instruct_2507", {}),
}


def _write_base(folder: Any, family: Any) -> Any:
    import torch
    import transformers

    name, template, more = _FAMILIES[family]
    config_name = f"{name}TextConfig" if name == "Gemma3" else f"{name}Config"
    spec = find_spec("trl")
    assert spec is not None
    assert spec.origin is not None
    templates = Path(spec.origin).parent / "chat_templates"
    tokenizer = tiny_tokenizer((templates / f"{template}.jinja").read_text("utf-8"))
    config = getattr(transformers, config_name)(
        vocab_size=len(tokenizer), **_SIZES, **more
    )
    torch.manual_seed(3)
    getattr(transformers, f"{name}ForCausalLM")(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _answer(engine: Any, messages: Any, adapter: Any) -> Any:
    import queue

    pieces: queue.Queue[Any] = queue.Queue()
    prompt = engine._tokenizer.template.prompt_ids(messages)
    engine.submit(
        GenerationRequest(prompt, 80, adapter=adapter, temperature=0), pieces.put
    )
    text = ""
    while True:
        piece = pieces.get(timeout=60)
        assert piece.error is None, piece.error
        text += piece.text
        if piece.finish_reason:
            return text


@pytest.mark.release
@pytest.mark.parametrize("family", sorted(_FAMILIES))
def test_a_family_is_trained_and_served(tmp_path: Path, family: Any) -> None:
    base = _write_base(tmp_path / family, family)
    examples = dialogues()
    for example in examples:
        example["messages"].insert(0, {"role": "system", "content": "Be a tortoise."})
    (tmp_path / "train.jsonl").write_bytes(as_jsonl(examples))
    numbers = {"n_epochs": 2, "batch_size": 2, "learning_rate_multiplier": 10.0}
    run_training(training_spec(tmp_path, base, hyperparameters=numbers, max_length=256))
    engine = TransformersEngine(base, ChatTokenizer(base), threads=1)
    messages = examples[0]["messages"][:2]
    try:
        base_answer = _answer(engine, messages, None)
        tuned_answer = _answer(engine, messages, tmp_path / "model")
        assert tuned_answer != base_answer
        # Longer than Gemma's window, which must slide.
        long = [{"role": "user", "content": "race " * 120}]
        assert _answer(engine, long, tmp_path / "model") is not None
        assert _answer(engine, messages, None) == base_answer
    finally:
        engine.close()
