"""The families of the known bases: trained, and answered for by both engines."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from langchain_chatexports.local_server.bases.gguf_check import check_gguf
from langchain_chatexports.local_server.bases.gguf_file import BaseGGUF
from langchain_chatexports.local_server.bases.tokenizer import ChatTokenizer
from langchain_chatexports.local_server.bases.weights import adapted_layers, load_base
from langchain_chatexports.local_server.engines.llama_cpp import LlamaCppEngine
from langchain_chatexports.local_server.storage.models import save_adapter
from tests.integration_tests.local_server.conftest import FAMILIES
from tests.unit_tests.builders.gguf import write_gguf
from tests.unit_tests.builders.tiny_base import dialogues
from tests.unit_tests.builders.twins import write_twin

pytest.importorskip("xllamacpp")

_TURNS = 8
_STEPS = 3
# In nats. ggml looks Gemma's activation up in a table of float16, and keeps keys and
# values in 16 bits. Rows in a wrong order are 0.3 nats off and more.
_TOLERANCE = 0.1


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "family", [each for each in FAMILIES if each.values != ("falcon-h1",)]
)
async def test_a_talk_with_a_tuned_model_is_that_of_transformers(
    tmp_path: Path, family: str
) -> None:
    base = write_twin(tmp_path / "twin", family)
    tokenizer = ChatTokenizer(base)
    model = _train(base, tokenizer, tmp_path / "adapter")
    file = write_gguf(base, tmp_path / "twin.gguf")
    matrices = await asyncio.to_thread(check_gguf, file, base)
    gguf = BaseGGUF(file, "key", lambda: matrices)
    engine = LlamaCppEngine(
        file, tokenizer, name="x", adapter_file=gguf.adapter_file, threads=1
    )
    chat: list[dict[str, str]] = []
    # llama.cpp does not say how likely a part of a character is.
    parts = [
        token
        for token in range(len(tokenizer.tokenizer))
        if "\ufffd" in tokenizer.tokenizer.decode([token])
    ]
    try:
        for turn in range(_TURNS):
            chat.append({"role": "user", "content": f"Are you ready for race {turn}?"})
            body = {
                "messages": tokenizer.template.as_rendered(chat),
                "max_tokens": 6,
                "temperature": 0,
                "logprobs": True,
                "top_logprobs": 5,
                "logit_bias": {str(token): -1000 for token in parts},
            }
            answer = await _ask(engine, body, tmp_path / "adapter")
            _compare(model, tokenizer.template.prompt_ids(chat), answer, parts)
            text = answer["message"]["content"] or "Slow and steady."
            chat.append({"role": "assistant", "content": text})
    finally:
        engine.close()


def _train(base: Path, tokenizer: ChatTokenizer, folder: Path) -> Any:
    import peft

    model = load_base(base, "cpu", "float32")
    config = peft.LoraConfig(
        r=8, target_modules=adapted_layers(model), task_type="CAUSAL_LM"
    )
    tuned = peft.get_peft_model(model, config)
    optimizer = torch.optim.AdamW(tuned.parameters(), lr=0.01)
    for example in dialogues(_STEPS):
        labeled = tokenizer.template.label(example["messages"], max_length=512)
        ids, labels = torch.tensor([labeled.input_ids]), torch.tensor([labeled.labels])
        tuned(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    save_adapter(tuned, folder)
    return tuned.eval()


async def _ask(engine: LlamaCppEngine, body: dict[str, Any], adapter: Path) -> Any:
    async with engine.answer(adapter, json.dumps(body).encode()) as response:
        assert response.status_code == 200, await response.aread()
        return json.loads(await response.aread())["choices"][0]


def _compare(model: Any, ids: list[int], answer: Any, banned: list[int]) -> None:
    """Compare each token of an answer with what transformers says of it."""
    for token in (answer.get("logprobs") or {"content": []})["content"]:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids])).logits[0, -1].float()
        wanted = torch.log_softmax(logits, dim=-1)
        found = {each["id"]: each["logprob"] for each in token["top_logprobs"]}
        assert found == pytest.approx(
            {each: float(wanted[each]) for each in found}, abs=_TOLERANCE
        )
        wanted[banned] = -torch.inf
        assert float(wanted.max() - wanted[token["id"]]) < _TOLERANCE
        ids = [*ids, token["id"]]
