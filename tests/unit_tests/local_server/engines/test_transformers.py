"""Answers and scores by transformers: the child process, adapters and likelihoods."""

import asyncio
import json
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from langchain_chatexports.local_server.bases.labels import encode_prompt
from langchain_chatexports.local_server.engines import transformers as engine_module
from langchain_chatexports.local_server.engines.loaded_base import (
    LoadedBase,
    Request,
)
from langchain_chatexports.local_server.engines.sampling import Sampling
from langchain_chatexports.local_server.engines.transformers import TransformersEngine
from langchain_chatexports.local_server.errors import RequestError
from langchain_chatexports.local_server.workspace import Model
from tests.unit_tests.builders.engines import (
    HELLO,
    TINY,
    ask,
    open_llama_cpp,
    open_transformers,
    stream,
    text_of,
    tiny_template,
)
from tests.unit_tests.builders.tiny_base import write_random_adapter
from tests.unit_tests.builders.waiting import wait_until

# PEFT uses an attribute that transformers deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

_LONG = 400
_GREEDY: dict[str, Any] = {"temperature": 0}
_CHAT: list[dict[str, Any]] = [
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "Are you ready?"},
    {"role": "assistant", "content": "Slow and steady — ja!", "weight": 0},
    {"role": "user", "content": "never scored"},
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tiny_base: Path) -> AsyncIterator[TransformersEngine]:
    new_engine = open_transformers(tiny_base)
    yield new_engine
    await new_engine.aclose()


@pytest.fixture(scope="module")
def loaded(tiny_base: Path) -> Iterator[LoadedBase]:
    """The model of a child, in this process."""
    before = torch.get_num_threads()
    yield LoadedBase(tiny_base, tiny_template(tiny_base))
    torch.set_num_threads(before)


@pytest.mark.asyncio(loop_scope="module")
async def test_llama_cpp_gives_the_same_greedy_answers(
    engine: TransformersEngine, tiny_base: Path, tiny_gguf: Path
) -> None:
    pytest.importorskip("xllamacpp")
    other = open_llama_cpp(tiny_base, tiny_gguf)
    try:
        for multiplier in (0.0, 0.8):
            options = {"max_tokens": 40, **_GREEDY, "dry_multiplier": multiplier}
            expected, found = [
                await ask(each, TINY, **options) for each in (engine, other)
            ]
            # The answer can end in a part of a character.
            texts = [text_of(answer).rstrip("\ufffd") for answer in (found, expected)]
            assert texts[0] == texts[1]
            assert found.usage is not None
            assert expected.usage is not None
            assert found.usage.prompt_tokens == expected.usage.prompt_tokens
    finally:
        await other.aclose()


@pytest.mark.asyncio(loop_scope="module")
async def test_adapters_change_answers_and_scores(
    engine: TransformersEngine, tiny_base: Path, tmp_path: Path
) -> None:
    folders = [
        write_random_adapter(tiny_base, tmp_path / str(seed), seed=seed)
        for seed in (1, 2)
    ]
    models = [TINY, *(Model("ft:x", folder) for folder in folders)]
    tasks = [ask(engine, model, **_GREEDY) for model in (*models, *models)]
    texts = [text_of(answer) for answer in await asyncio.gather(*tasks)]
    assert texts[:3] == texts[3:]
    assert len(set(texts)) == 3
    scores = [(await engine.score(model, _CHAT))[0]["nll"] for model in models]
    assert len(set(scores)) == 3
    strengths = (0.0, 0.5, 1.0)
    weaker = [
        (await engine.score(replace(models[1], strength=strength), _CHAT))[0]["nll"]
        for strength in strengths
    ]
    assert weaker[0] == pytest.approx(scores[0])
    assert weaker[2] == scores[1]
    assert len(set(weaker)) == 3
    half = replace(models[1], strength=0.5)
    assert text_of(await ask(engine, half, **_GREEDY)) not in texts[1:3]


@pytest.mark.asyncio(loop_scope="module")
async def test_long_messages_are_refused(engine: TransformersEngine) -> None:
    with pytest.raises(RequestError, match="at most 512 tokens") as caught:
        await ask(engine, messages=[{"role": "user", "content": "race " * 600}])
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(RequestError, match="at most 512 tokens"):
        await engine.score(TINY, _CHAT * 40)
    content = [{"role": "user", "content": "race " * 245}]
    usage = (await ask(engine, messages=content, max_tokens=1000, **_GREEDY)).usage
    assert usage is not None
    assert usage.total_tokens <= 512


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("n", 2),
        ("logprobs", True),
        ("presence_penalty", 1),
        ("frequency_penalty", -1),
        ("logit_bias", {"5": 1}),
        ("tools", [{"type": "function", "function": {"name": "now"}}]),
        ("response_format", {"type": "json_object"}),
    ],
)
async def test_llama_cpp_option_is_refused(
    engine: TransformersEngine, param: str, value: Any
) -> None:
    with pytest.raises(RequestError, match="for tests") as caught:
        await ask(engine, **{param: value})
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("cold", [{"temperature": 0}, {"top_p": 0}, {"seed": 5}])
async def test_seeded_or_greedy_answers_repeat(
    engine: TransformersEngine, cold: dict[str, Any]
) -> None:
    answers = [
        text_of(await ask(engine, **{"seed": seed, **cold})) for seed in range(3)
    ]
    assert len(set(answers)) == 1


@pytest.mark.asyncio(loop_scope="module")
async def test_abandoned_answers_are_cancelled(engine: TransformersEngine) -> None:
    """Otherwise the next request would wait for them."""
    for options in ({}, {"stream": True}):
        body = {"messages": HELLO, "max_tokens": _LONG, **_GREEDY, **options}
        running = [
            asyncio.ensure_future(anext(engine.complete(TINY, body))) for _ in range(9)
        ]
        await asyncio.sleep(0.3)
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await asyncio.wait_for(ask(engine, max_tokens=1), 120)


@pytest.mark.asyncio(loop_scope="module")
async def test_child_requires_its_key(engine: TransformersEngine) -> None:
    await ask(engine, max_tokens=1)
    (child,) = engine._children
    for path in ("/complete", "/score", "/tokenize"):
        headers = {"authorization": "Bearer another"}
        response = await child.client.post(path, json={}, headers=headers)
        assert response.status_code == 401


async def test_idle_child_ends(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "IDLE_SECONDS", 1)
    engine = open_transformers(tiny_base)
    await ask(engine, max_tokens=1)
    assert engine._child is not None
    assert engine._child._process is not None
    process = psutil.Process(engine._child._process.pid)
    await asyncio.to_thread(
        wait_until, lambda: process.status() == psutil.STATUS_ZOMBIE
    )
    assert text_of(await ask(engine, **_GREEDY))
    assert (await stream(engine))[0].model == "tiny"
    await engine.aclose()


async def test_missing_base_is_a_sentence(tmp_path: Path, tiny_base: Path) -> None:
    base = shutil.copytree(tiny_base, tmp_path / "base")
    engine = open_transformers(base)
    shutil.rmtree(base)
    with pytest.raises(RequestError, match=r"base is missing. Restore it") as caught:
        await ask(engine)
    assert caught.value.status == 503
    await engine.aclose()


def _request(loaded: LoadedBase, base: Path, tokens: int) -> Request:
    prompt = encode_prompt(loaded.tokenizer, tiny_template(base), HELLO)
    return Request(prompt, tokens, None, Sampling(temperature=0), [], None)


def test_cancelled_generation_stops(loaded: LoadedBase, tiny_base: Path) -> None:
    pieces: list[str] = []
    is_cancelled = threading.Event()

    def put(piece: str) -> None:
        pieces.append(piece)
        is_cancelled.set()

    request = _request(loaded, tiny_base, _LONG)
    _, tokens = loaded.generate(request, put, is_cancelled.is_set)
    assert pieces
    assert tokens < _LONG


@pytest.mark.parametrize("own", [True, False])
def test_answer_stops_at_its_end_token(tiny_base: Path, own: bool) -> None:
    """Some models' settings have the end of a text only."""
    loaded = LoadedBase(tiny_base, tiny_template(tiny_base))
    (end,) = loaded.end_tokens
    likeliest = 7 if own else end
    head = loaded._model.lm_head
    head.bias = torch.nn.Parameter(head.weight.new_zeros(len(head.weight)))
    head.bias.data[likeliest] = 1e4
    loaded.end_tokens |= {7} if own else set()
    pieces: list[str] = []
    request = _request(loaded, tiny_base, 3)
    assert loaded.generate(request, pieces.append, lambda: False) == ("stop", 0)
    assert pieces == []


@pytest.mark.parametrize(
    "config",
    [
        {"peft_type": "XLORA", "adapters": {"0": "someone/elses"}},
        {"peft_type": "LORA", "megatron_config": {}, "megatron_core": "os"},
        {},
    ],
)
def test_other_peft_adapters_are_not_loaded(
    loaded: LoadedBase, tmp_path: Path, config: dict[str, Any]
) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(RequestError, match="plain LoRA adapter"):
        loaded.negative_log_likelihoods([1, 2], [1], tmp_path)


def _nll(base: Path, text: str, answer: str) -> float:
    """Return the negative log-likelihood of `answer` after `text`, in nats."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    ids = tokenizer(text + answer)["input_ids"]
    start = len(tokenizer(text)["input_ids"])
    with torch.inference_mode():
        scores = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    return -sum(float(scores[at - 1, ids[at]]) for at in range(start, len(ids)))


@pytest.mark.asyncio(loop_scope="module")
async def test_scores_are_log_likelihoods(
    engine: TransformersEngine, tiny_base: Path
) -> None:
    scores = await engine.score(TINY, _CHAT)
    before = (
        "<|im_start|>assistant\nHello.<|im_end|>\n"
        "<|im_start|>user\nAre you ready?<|im_end|>\n<|im_start|>assistant\n"
    )
    total = _nll(tiny_base, before, "Slow and steady — ja!<|im_end|>")
    end = _nll(tiny_base, before + "Slow and steady — ja!", "<|im_end|>")
    assert scores[1]["nll"] + scores[1]["end_nll"] == pytest.approx(total, rel=0.02)
    assert scores[1]["end_nll"] == pytest.approx(end, rel=0.02)
