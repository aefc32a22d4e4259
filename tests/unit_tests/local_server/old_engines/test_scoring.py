"""Scores of given answers, compared with a plain computation."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from starlette.testclient import TestClient
from transformers import AutoModelForCausalLM, AutoTokenizer

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.old_engines.transformers import LoadedBase

_CHAT: list[dict[str, Any]] = [
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "Are you ready?"},
    {"role": "assistant", "content": "Slow and steady — ja!", "weight": 0},
    {"role": "user", "content": "never scored"},
]


def _nll(base: Path, text: str, answer: str) -> float:
    """Return the negative log-likelihood of `answer` after `text`, in nats."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    ids = tokenizer(text + answer)["input_ids"]
    start = len(tokenizer(text)["input_ids"])
    with torch.inference_mode():
        scores = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    return -sum(float(scores[at - 1, ids[at]]) for at in range(start, len(ids)))


def test_each_answer_is_scored_with_its_end(http: TestClient, tiny_base: Path) -> None:
    body = {"model": "tiny", "messages": _CHAT}
    scores = http.post("/v1/score", json=body).json()["turns"]
    assert [score["index"] for score in scores] == [0, 2]
    assert [score["size_bytes"] for score in scores] == [6, 23]
    before = (
        "<|im_start|>assistant\nHello.<|im_end|>\n"
        "<|im_start|>user\nAre you ready?<|im_end|>\n<|im_start|>assistant\n"
    )
    total = _nll(tiny_base, before, "Slow and steady — ja!<|im_end|>")
    end = _nll(tiny_base, before + "Slow and steady — ja!", "<|im_end|>")
    assert scores[1]["nll"] + scores[1]["end_nll"] == pytest.approx(total, rel=0.02)
    assert scores[1]["end_nll"] == pytest.approx(end, rel=0.02)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": "none", "messages": _CHAT}, 404),
        ({"model": "tiny", "messages": []}, 400),
        ({"model": "tiny", "messages": [{"role": "tool", "content": "x"}]}, 400),
        ({"model": "tiny", "messages": _CHAT * 40}, 400),
        ({"model": "tiny", "messages": _CHAT, "surprise": 1}, 400),
    ],
)
def test_invalid_score_request_is_refused(
    http: TestClient, body: dict[str, Any], status: int
) -> None:
    response = http.post("/v1/score", json=body)
    assert response.status_code == status
    assert response.json()["error"]["message"]


@pytest.mark.parametrize(
    "config",
    [
        {"peft_type": "XLORA", "adapters": {"0": "someone/elses"}},
        {"peft_type": "LORA", "megatron_config": {}, "megatron_core": "os"},
        {},
    ],
)
def test_other_peft_adapters_are_not_loaded(
    tiny_base: Path, tmp_path: Path, config: dict[str, Any]
) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    model = LoadedBase(tiny_base, threads=1)
    with pytest.raises(LocalServerError, match="plain LoRA adapter"):
        model.negative_log_likelihoods([1, 2], [1], tmp_path)
