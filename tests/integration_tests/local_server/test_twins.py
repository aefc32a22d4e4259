"""Tiny twins of today's bases answer and score chats as training saw them."""

import queue
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import peft
import pytest
import torch

from langchain_chatexports.local_server.bases import weights
from langchain_chatexports.local_server.bases.chat_template import IGNORED
from langchain_chatexports.local_server.bases.tokenizer import ChatTokenizer
from langchain_chatexports.local_server.bases.weights import load_base
from langchain_chatexports.local_server.engines.sampling import Sampling
from langchain_chatexports.local_server.engines.scoring import score_conversation
from langchain_chatexports.local_server.engines.transformers import (
    GenerationRequest,
    TransformersEngine,
)
from tests.integration_tests.local_server.conftest import FAMILIES
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues
from tests.unit_tests.builders.trainings import run_training, training_spec
from tests.unit_tests.builders.twins import write_twin

_TURNS = 8
_ANSWER_TOKENS = 12


class TrainedTwin(NamedTuple):
    """A twin, an adapter of three steps, and what reads them."""

    adapter: Path
    tokenizer: ChatTokenizer
    engine: TransformersEngine
    plain: Any
    """The base with the adapter, loaded by PEFT alone."""


@pytest.fixture(scope="module", params=FAMILIES)
def twin(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("twin")
    base = write_twin(folder / "base", request.param)
    (folder / "train.jsonl").write_bytes(as_jsonl(dialogues(3)))
    numbers = {"n_epochs": 1, "batch_size": 1, "learning_rate_multiplier": 10.0}
    run_training(training_spec(folder, base, hyperparameters=numbers, max_length=256))
    with warnings.catch_warnings():
        # PEFT asks for an attribute that transformers is about to drop.
        warnings.simplefilter("ignore", FutureWarning)
        plain = peft.PeftModel.from_pretrained(
            load_base(base, "cpu", "float32"), folder / "model"
        ).eval()
    tokenizer = ChatTokenizer(base)
    engine = TransformersEngine(base, tokenizer, threads=1)
    with pytest.MonkeyPatch.context() as patch:
        # What bfloat16 rounds is more than what could be wrong.
        patch.setattr(weights, "choose_dtype", lambda _: "float32")
        yield TrainedTwin(folder / "model", tokenizer, engine, plain)
        engine.close()


def _greedy(model: Any, prompt: list[int], ends: set[int]) -> list[int]:
    """Write the likeliest answer, reading the whole text again for each token."""
    answer: list[int] = []
    while len(answer) < _ANSWER_TOKENS:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, -1]
        token = int(logits.argmax())
        if token in ends:
            break
        answer.append(token)
    return answer


def _ask(twin: TrainedTwin, prompt: list[int], adapter: Path | None) -> str:
    pieces: queue.Queue[Any] = queue.Queue()
    request = GenerationRequest(
        prompt, _ANSWER_TOKENS, adapter, Sampling(temperature=0, dry_multiplier=0)
    )
    twin.engine.submit(request, pieces.put)
    text = ""
    while True:
        piece = pieces.get(timeout=300)
        if piece.error is not None:
            raise piece.error
        text += str(piece.text)
        if piece.finish_reason:
            return text


def _chat(turns: int) -> list[dict[str, str]]:
    said = ("Are you ready for race {}?", "Slow and steady, {} times.")
    return [
        {"role": ("user", "assistant")[n % 2], "content": said[n % 2].format(n)}
        for n in range(turns)
    ]


def test_a_chat_of_eight_turns_continues_as_peft_alone_would(
    twin: TrainedTwin,
) -> None:
    tokenizer, template = twin.tokenizer, twin.tokenizer.template
    chat = [{"role": "user", "content": "Ready?"}]
    for turn in range(_TURNS // 2):
        prompt = template.prompt_ids(chat)
        wanted = _greedy(twin.plain, prompt, tokenizer.end_tokens)
        text = str(tokenizer.tokenizer.decode(wanted, skip_special_tokens=True))
        assert _ask(twin, prompt, twin.adapter) == text
        chat.append({"role": "assistant", "content": text})
        chat.append({"role": "user", "content": f"And {turn}?"})


def test_scores_are_the_loss_of_training(twin: TrainedTwin) -> None:
    template = twin.tokenizer.template
    chat = _chat(_TURNS)
    labeled = template.label(chat, max_length=10_000)
    with torch.inference_mode():
        logits = twin.plain(input_ids=torch.tensor([labeled.input_ids])).logits[0]
    loss = torch.nn.functional.cross_entropy(
        logits[:-1].float(),
        torch.tensor(labeled.labels[1:]),
        ignore_index=IGNORED,
        reduction="sum",
    )
    scores = twin.engine.run(
        lambda model: score_conversation(
            model, template, chat, adapter=twin.adapter, context=10_000
        )
    ).result()
    assert scores is not None
    found = sum(score.nll + (score.end_nll or 0.0) for score in scores)
    assert found == pytest.approx(float(loss), rel=1e-4)
