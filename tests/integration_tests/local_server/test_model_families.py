"""Both engines answer like PEFT for tiny models of the known bases."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import peft
import pytest
import torch

from langchain_chatexports.local_server.bases import weights
from langchain_chatexports.local_server.bases.gguf_check import check_gguf
from langchain_chatexports.local_server.bases.labels import (
    IGNORED,
    encode_chat,
    encode_prompt,
    label,
)
from langchain_chatexports.local_server.bases.template import ChatTemplate
from langchain_chatexports.local_server.bases.weights import load_base
from langchain_chatexports.local_server.engines.loaded_base import (
    LoadedBase,
    Request,
)
from langchain_chatexports.local_server.engines.sampling import Sampling
from tests.integration_tests.local_server.conftest import FAMILIES
from tests.unit_tests.builders.engines import (
    ask,
    open_llama_cpp,
    tiny_template,
    write_gguf_for,
)
from tests.unit_tests.builders.gguf import write_gguf
from tests.unit_tests.builders.lora_runs import RecordedProgress, run_lora
from tests.unit_tests.builders.tiny_base import dialogues
from tests.unit_tests.builders.tiny_models import write_tiny_model

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
    template: ChatTemplate
    engine: LoadedBase
    plain: Any
    """The base with the adapter, loaded by PEFT alone."""


@pytest.fixture(scope="module", params=FAMILIES)
def trained(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("trained")
    base = write_tiny_model(folder / "base", request.param)
    progress = RecordedProgress(folder / "job")
    adapter = run_lora(progress, base, examples=dialogues(3), rate=10.0)
    assert adapter is not None
    assert len(progress.steps) == 3
    with pytest.MonkeyPatch.context() as patch:
        # Rounding to bfloat16 would hide errors.
        patch.setattr(weights, "choose_dtype", lambda _: "float32")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            base_model = load_base(base, "cpu", "float32")
            plain = peft.PeftModel.from_pretrained(base_model, adapter).eval()
        template = tiny_template(base)
        engine = LoadedBase(base, template)
        yield TrainedModel(request.param, base, adapter, template, engine, plain)


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
    sampling = Sampling(temperature=0, dry_multiplier=0)
    request = Request(prompt, _ANSWER_TOKENS, trained.adapter, sampling, [], None)
    trained.engine.generate(request, pieces.append, lambda: False)
    return "".join(pieces)


def test_transformers_answers_like_peft(trained: TrainedModel) -> None:
    tokenizer = trained.engine.tokenizer
    chat = [{"role": "user", "content": "Ready?"}]
    for turn in range(_TURNS // 2):
        prompt = encode_prompt(tokenizer, trained.template, chat)
        expected = _greedy(trained.plain, prompt, trained.engine.end_tokens)
        text = str(tokenizer.decode(expected, skip_special_tokens=True))
        assert _ask_transformers(trained, prompt) == text
        chat.append({"role": "assistant", "content": text})
        chat.append({"role": "user", "content": f"And {turn}?"})


def test_scores_equal_the_training_loss(trained: TrainedModel) -> None:
    texts = ("Are you ready for race {}?", "Slow and steady, {} times.")
    chat = [
        {"role": ("user", "assistant")[n % 2], "content": texts[n % 2].format(n)}
        for n in range(_TURNS)
    ]
    tokenizer, template = trained.engine.tokenizer, trained.template
    labeled = label(tokenizer, template, chat, max_length=10_000)
    with torch.inference_mode():
        logits = trained.plain(input_ids=torch.tensor([labeled.input_ids])).logits[0]
    loss = torch.nn.functional.cross_entropy(
        logits[:-1].float(),
        torch.tensor(labeled.labels[1:]),
        ignore_index=IGNORED,
        reduction="sum",
    )
    ids, replies = encode_chat(tokenizer, template, chat)
    positions = [at for reply in replies for at in range(reply.start, reply.end)]
    found = trained.engine.negative_log_likelihoods(ids, positions, trained.adapter)
    assert sum(found) == pytest.approx(float(loss), rel=1e-4)


async def test_llama_cpp_answers_like_peft(
    trained: TrainedModel, tmp_path: Path
) -> None:
    pytest.importorskip("xllamacpp")
    if trained.family == "falcon-h1":
        pytest.skip("llama.cpp does not answer for it")
    file = write_gguf(trained.base, tmp_path / "trained.gguf")
    # Chats and tokens are the same, too.
    assert check_gguf(file, trained.base)
    model = write_gguf_for(trained.base, file, trained.adapter)
    engine = open_llama_cpp(trained.base, file)
    tokenizer = trained.engine.tokenizer
    # llama.cpp returns no likelihoods for parts of characters.
    parts = [n for n in range(len(tokenizer)) if "\ufffd" in tokenizer.decode([n])]
    chat: list[dict[str, str]] = []
    try:
        for turn in range(_TURNS // 2):
            chat.append({"role": "user", "content": f"Are you ready for race {turn}?"})
            answer = await ask(
                engine,
                model,
                messages=chat,
                max_tokens=_ANSWER_TOKENS,
                temperature=0,
                dry_multiplier=0,
                logprobs=True,
                top_logprobs=5,
                logit_bias={str(token): -1000 for token in parts},
            )
            choice = answer.choices[0]
            prompt = encode_prompt(tokenizer, trained.template, chat)
            _compare(trained.plain, prompt, choice.logprobs, parts)
            text = choice.message.content or "Slow and steady."
            chat.append({"role": "assistant", "content": text})
    finally:
        await engine.aclose()


def _compare(model: Any, ids: list[int], logprobs: Any, banned: list[int]) -> None:
    """Compare the likelihoods of each token in an answer with transformers'."""
    for token in (logprobs.content if logprobs else None) or ():
        expected = _next_token(model, ids)
        found = {each.id: each.logprob for each in token.top_logprobs}
        assert found == pytest.approx(
            {each: float(expected[each]) for each in found}, abs=_TOLERANCE
        )
        expected[banned] = -torch.inf
        assert float(expected.max() - expected[token.id]) < _TOLERANCE
        ids = [*ids, token.id]
