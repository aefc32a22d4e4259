"""Both engines answer like PEFT for tiny models of the known bases."""

import asyncio
import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import peft
import pytest
import torch

from langchain_chatexports.local_server.bases import weights
from langchain_chatexports.local_server.bases.chat_template import (
    IGNORED,
    ChatTokenizer,
)
from langchain_chatexports.local_server.bases.gguf_check import check_gguf
from langchain_chatexports.local_server.bases.gguf_file import BaseGGUF
from langchain_chatexports.local_server.bases.weights import load_base
from langchain_chatexports.local_server.old_engines.llama_cpp import LlamaCppEngine
from langchain_chatexports.local_server.old_engines.transformers import (
    GenerationRequest,
    Sampling,
    TransformersEngine,
    score_conversation,
)
from tests.integration_tests.local_server.conftest import FAMILIES
from tests.unit_tests.builders.gguf import write_gguf
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues
from tests.unit_tests.builders.tiny_models import write_tiny_model
from tests.unit_tests.builders.training_runs import run_training, training_spec

# PEFT uses an attribute that transformers deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

_TURNS = 8
_ANSWER_TOKENS = 6
# In nats. ggml rounds Gemma's activation, keys and values to 16 bits. A wrong row order
# causes differences above 0.3 nats.
_TOLERANCE = 0.1


class TrainedModel(NamedTuple):
    """A tiny model, its adapter of three steps, and loaded models."""

    family: str
    base: Path
    adapter: Path
    tokenizer: ChatTokenizer
    engine: TransformersEngine
    plain: Any
    """The base with the adapter, loaded by PEFT alone."""


@pytest.fixture(scope="module", params=FAMILIES)
def trained(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("trained")
    base = write_tiny_model(folder / "base", request.param)
    (folder / "train.jsonl").write_bytes(as_jsonl(dialogues(3)))
    run_training(training_spec(folder, base, rate=10.0, max_length=256))
    adapter = folder / "model"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        base_model = load_base(base, "cpu", "float32")
        plain = peft.PeftModel.from_pretrained(base_model, adapter).eval()
    tokenizer = ChatTokenizer(base)
    engine = TransformersEngine(base, tokenizer, threads=1)
    with pytest.MonkeyPatch.context() as patch:
        # Rounding to bfloat16 would hide errors.
        patch.setattr(weights, "choose_dtype", lambda _: "float32")
        yield TrainedModel(request.param, base, adapter, tokenizer, engine, plain)
        engine.close()


def _next_token(model: Any, ids: list[int]) -> Any:
    """Return the log-likelihoods of the next token."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids])).logits[0, -1].float()
    return torch.log_softmax(logits, dim=-1)


def _greedy(model: Any, prompt: list[int], ends: set[int]) -> list[int]:
    answer: list[int] = []
    while len(answer) < _ANSWER_TOKENS:
        token = int(_next_token(model, prompt + answer).argmax())
        if token in ends:
            break
        answer.append(token)
    return answer


def _ask_transformers(trained: TrainedModel, prompt: list[int]) -> str:
    pieces: list[str] = []
    request = GenerationRequest(
        prompt,
        _ANSWER_TOKENS,
        trained.adapter,
        Sampling(temperature=0, dry_multiplier=0),
    )
    trained.engine.submit(request, pieces.append).result(300)
    return "".join(pieces)


def test_transformers_answers_like_peft(trained: TrainedModel) -> None:
    tokenizer, template = trained.tokenizer, trained.tokenizer.template
    chat = [{"role": "user", "content": "Ready?"}]
    for turn in range(_TURNS // 2):
        prompt = template.prompt_ids(chat)
        expected = _greedy(trained.plain, prompt, tokenizer.end_tokens)
        text = str(tokenizer.tokenizer.decode(expected, skip_special_tokens=True))
        assert _ask_transformers(trained, prompt) == text
        chat.append({"role": "assistant", "content": text})
        chat.append({"role": "user", "content": f"And {turn}?"})


def test_scores_equal_the_training_loss(trained: TrainedModel) -> None:
    template = trained.tokenizer.template
    texts = ("Are you ready for race {}?", "Slow and steady, {} times.")
    chat = [
        {"role": ("user", "assistant")[n % 2], "content": texts[n % 2].format(n)}
        for n in range(_TURNS)
    ]
    labeled = template.label(chat, max_length=10_000)
    with torch.inference_mode():
        logits = trained.plain(input_ids=torch.tensor([labeled.input_ids])).logits[0]
    loss = torch.nn.functional.cross_entropy(
        logits[:-1].float(),
        torch.tensor(labeled.labels[1:]),
        ignore_index=IGNORED,
        reduction="sum",
    )
    scores = trained.engine.run(
        lambda model: score_conversation(
            model, template, chat, adapter=trained.adapter, context=10_000
        )
    ).result()
    assert scores is not None
    found = sum(score.nll + (score.end_nll or 0.0) for score in scores)
    assert found == pytest.approx(float(loss), rel=1e-4)


async def test_llama_cpp_answers_like_peft(
    trained: TrainedModel, tmp_path: Path
) -> None:
    pytest.importorskip("xllamacpp")
    if trained.family == "falcon-h1":
        pytest.skip("llama.cpp does not answer for it")
    file = write_gguf(trained.base, tmp_path / "trained.gguf")
    matrices = await asyncio.to_thread(check_gguf, file, trained.base)
    gguf = BaseGGUF(file, lambda: matrices)
    engine = LlamaCppEngine(
        file, trained.tokenizer, name="x", write_adapter=gguf.write_adapter, threads=1
    )
    tokenizer, template = trained.tokenizer.tokenizer, trained.tokenizer.template
    # llama.cpp returns no likelihoods for parts of characters.
    parts = [n for n in range(len(tokenizer)) if "\ufffd" in tokenizer.decode([n])]
    chat: list[dict[str, str]] = []
    try:
        for turn in range(_TURNS // 2):
            chat.append({"role": "user", "content": f"Are you ready for race {turn}?"})
            body = {
                "messages": template.prepare_messages(chat),
                "max_tokens": _ANSWER_TOKENS,
                "temperature": 0,
                "logprobs": True,
                "top_logprobs": 5,
                "logit_bias": {str(token): -1000 for token in parts},
            }
            async with engine.open_response(
                trained.adapter, json.dumps(body).encode()
            ) as response:
                assert response.status_code == 200, await response.aread()
                answer = json.loads(await response.aread())["choices"][0]
            _compare(trained.plain, template.prompt_ids(chat), answer, parts)
            text = answer["message"]["content"] or "Slow and steady."
            chat.append({"role": "assistant", "content": text})
    finally:
        engine.close()


def _compare(model: Any, ids: list[int], answer: Any, banned: list[int]) -> None:
    """Compare the likelihoods of each token in an answer with transformers'."""
    for token in (answer.get("logprobs") or {"content": []})["content"]:
        expected = _next_token(model, ids)
        found = {each["id"]: each["logprob"] for each in token["top_logprobs"]}
        assert found == pytest.approx(
            {each: float(expected[each]) for each in found}, abs=_TOLERANCE
        )
        expected[banned] = -torch.inf
        assert float(expected.max() - expected[token["id"]]) < _TOLERANCE
        ids = [*ids, token["id"]]
