"""Training of an adapter: labels, batches, saves and what comes out."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import get_peft_model
from safetensors.numpy import load_file

from langchain_chatexports.local_server.bases.labels import (
    IGNORED,
    LabeledExample,
    label_examples,
)
from langchain_chatexports.local_server.bases.preparation import load_tokenizer
from langchain_chatexports.local_server.bases.template import (
    read_template,
    template_of,
)
from langchain_chatexports.local_server.bases.weights import load_base
from langchain_chatexports.local_server.errors import (
    BaseMissingError,
    InvalidExamplesError,
)
from langchain_chatexports.local_server.training import (
    hyperparameters,
    lora,
    samples,
)
from langchain_chatexports.local_server.training.hyperparameters import (
    Hyperparameters,
    create_lora_config,
)
from langchain_chatexports.local_server.training.linear import use_fused_layers
from langchain_chatexports.local_server.training.lora import order_batches, pad
from langchain_chatexports.local_server.training.steps import ChatTrainer
from langchain_chatexports.local_server.workspace.jobs import SAMPLE
from tests.unit_tests.builders.lora_runs import RecordedProgress, run_lora
from tests.unit_tests.builders.tiny_base import dialogues
from tests.unit_tests.builders.tiny_models import write_tiny_model

_WEIGHTS = "adapter_model.safetensors"


def _progress(folder: Path, **options: Any) -> RecordedProgress:
    return RecordedProgress(folder / "job", **options)


def _weights(folder: Path | None) -> dict[str, Any]:
    assert folder is not None
    return dict(load_file(folder / _WEIGHTS))


def _assert_equal(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_each_step_is_reported(tiny_base: Path, tmp_path: Path) -> None:
    progress = _progress(tmp_path)
    folder = run_lora(progress, tiny_base, held_out=dialogues(2), epochs=2)
    assert folder == tmp_path / "job" / "model"
    steps = progress.steps
    assert [each["step"] for each in steps] == list(range(1, 21))
    assert {each["steps"] for each in steps} == {20}
    assert all(each["loss"] > 0 for each in steps)
    assert all(0 <= each["train_mean_token_accuracy"] <= 1 for each in steps)
    assert [each["step"] for each in steps if "valid_loss" in each] == [10, 20]
    assert progress.results["hyperparameters"]["n_epochs"] == 2
    assert progress.results["trained_tokens"] > 0
    # Twice the tokens of nearly all replies.
    assert progress.results["reply_tokens"] == 28


def test_a_persons_model_on_a_larger_base_has_half_strength(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, larger, nobodys = (_progress(tmp_path / name) for name in "abc")
    run_lora(small, tiny_base, person="Tortoise")
    monkeypatch.setattr(hyperparameters, "_SMALL_MODEL", 0)
    run_lora(larger, tiny_base, person="Tortoise")
    run_lora(nobodys, tiny_base)
    assert small.results["strength"] == pytest.approx(1.0)
    assert larger.results["strength"] == pytest.approx(0.5)
    assert "strength" not in nobodys.results


def test_samples_change_nothing_of_the_training(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run_lora(_progress(tmp_path / "plain"), tiny_base)
    monkeypatch.setattr(samples, "_SECONDS", 0.0)
    monkeypatch.setattr(samples, "_SHARE", 0)
    shown = run_lora(_progress(tmp_path / "shown"), tiny_base)
    _assert_equal(_weights(plain), _weights(shown))
    file = tmp_path / "shown" / "job" / SAMPLE
    sample = json.loads(file.read_text())
    asked = [m["content"] for e in dialogues(10) for m in e["messages"]]
    assert sample["message"] in asked
    assert isinstance(sample["answer"], str)
    assert file.stat().st_mode & 0o077 == 0
    assert not (tmp_path / "plain" / "job" / SAMPLE).exists()


def test_model_has_one_adapter_and_its_tokenizer(
    tiny_base: Path, tmp_path: Path
) -> None:
    folder = run_lora(_progress(tmp_path), tiny_base, epochs=3, batch_size=4)
    assert folder is not None
    files = [path for path in folder.rglob("*") if path.is_file()]
    large = {path.name for path in files if path.stat().st_size > 50_000}
    assert large == {_WEIGHTS}
    assert all(path.suffix not in {".bin", ".pt", ".pth", ".pkl"} for path in files)
    template = (folder / "chat_template.jinja").read_text("utf-8")
    assert template == read_template(tiny_base).jinja


@pytest.mark.parametrize(("batch_size", "stop_at"), [(1, 7), (3, 3), (1, 20)])
def test_resumed_training_equals_an_uninterrupted_one(
    tiny_base: Path, tmp_path: Path, batch_size: int, stop_at: int
) -> None:
    options: dict[str, Any] = {
        "epochs": 2,
        "batch_size": batch_size,
        "held_out": dialogues(2),
    }
    whole = _progress(tmp_path / "whole")
    expected = run_lora(whole, tiny_base, **options)
    stopped = _progress(tmp_path / "stopped", stop_at=stop_at)
    first = run_lora(stopped, tiny_base, **options)
    resumed = _progress(tmp_path / "stopped")
    if stop_at < len(whole.steps):
        assert first is None
        first = run_lora(resumed, tiny_base, step=stop_at, **options)
    _assert_equal(_weights(first), _weights(expected))
    assert stopped.steps + resumed.steps == whole.steps


class _KilledError(BaseException):
    """What ends a trainer in the middle of a step."""


def test_killed_training_repeats_the_steps_since_its_save(
    tiny_base: Path, tmp_path: Path
) -> None:
    whole = _progress(tmp_path / "whole")
    expected = run_lora(whole, tiny_base, epochs=2)

    def kill_at_the_third(folder: Path) -> None:
        if folder.name == "checkpoint-12":
            raise _KilledError

    killed = _progress(tmp_path / "killed", save_every=4, on_save=kill_at_the_third)
    with pytest.raises(_KilledError):
        run_lora(killed, tiny_base, epochs=2)
    assert len(killed.steps) == 12
    resumed = _progress(tmp_path / "killed")
    found = run_lora(resumed, tiny_base, epochs=2, step=12)
    assert resumed.steps == whole.steps[8:]
    _assert_equal(_weights(found), _weights(expected))


def test_best_epoch_becomes_the_model(tiny_base: Path, tmp_path: Path) -> None:
    """Both epochs are trained, and the second one is worse."""
    other = dialogues(2)
    for example in other:
        example["messages"][1]["content"] = "WWW ZZZ QQQ %%% ~~~"
        example["messages"][3]["content"] = "ZZZ QQQ"
    progress = _progress(tmp_path)
    folder = run_lora(progress, tiny_base, epochs=2, rate=20.0, held_out=other)
    losses = [each["valid_loss"] for each in progress.steps if "valid_loss" in each]
    assert losses[0] < losses[1]
    assert (
        f"Using epoch 1 of 2, which has the lowest validation loss, {losses[0]:.6f}"
    ) in [message for message, _ in progress.events]
    _assert_equal(_weights(folder), _weights(progress.folder / "checkpoint-10"))


def test_invalid_examples_are_named(tiny_base: Path, tmp_path: Path) -> None:
    examples = dialogues()
    examples[3]["messages"].insert(0, {"role": "tool", "content": "secret"})
    examples[5]["tools"] = [{"type": "function"}]
    with pytest.raises(InvalidExamplesError) as caught:
        run_lora(_progress(tmp_path), tiny_base, examples=examples)
    message = str(caught.value)
    assert "line 4: message 0: " in message
    assert "line 6: the local server does not support tools" in message
    assert "secret" not in message
    assert caught.value.code == "invalid_training_file"
    with pytest.raises(InvalidExamplesError, match="validation file") as caught:
        run_lora(_progress(tmp_path), tiny_base, held_out=examples)
    assert caught.value.param == "validation_file"


def test_unusual_examples_are_logged_once(tiny_base: Path, tmp_path: Path) -> None:
    examples = dialogues()
    del examples[0]["messages"][0]
    examples[1]["messages"].append({"role": "user", "content": "Never read."})
    for message in examples[2]["messages"]:
        message["weight"] = 0
    progress = _progress(tmp_path, stop_at=1)
    run_lora(progress, tiny_base, examples=examples)
    warnings = [text for text, more in progress.events if more.get("level") == "warn"]
    assert len(warnings) == 2  # That the model may begin a chat is none.
    resumed = _progress(tmp_path)
    run_lora(resumed, tiny_base, examples=examples, step=1)
    assert not [text for text, more in resumed.events if more.get("level") == "warn"]


def test_missing_base_ends_the_job(tmp_path: Path) -> None:
    with pytest.raises(BaseMissingError, match="gone cannot be trained") as caught:
        run_lora(_progress(tmp_path), tmp_path / "gone")
    assert caught.value.code == "base_missing"


@pytest.mark.parametrize(
    ("dtype", "limit", "attention"),
    [("bfloat16", 512, "eager"), ("bfloat16", 8, "sdpa"), ("float32", 512, "sdpa")],
)
def test_attention_is_the_fastest_for_the_lengths(
    tiny_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dtype: str,
    limit: int,
    attention: str,
) -> None:
    found = []

    def train(_: object, model: Any, *__: object) -> bool:
        found.append(model.config._attn_implementation)
        return False

    monkeypatch.setattr(lora, "_EAGER_TOKENS", limit)
    monkeypatch.setattr(lora, "_train", train)
    assert run_lora(_progress(tmp_path), tiny_base, dtype=dtype) is None
    assert found == [attention]


def _labeled(tiny_base: Path, count: int) -> tuple[Any, list[LabeledExample]]:
    tokenizer, context = load_tokenizer(tiny_base)
    examples = [
        {"messages": example["messages"][: 2 + 2 * (n % 2)]}
        for n, example in enumerate(dialogues(count))
    ]
    template = template_of(tokenizer, context)
    data = label_examples(examples, tokenizer, template, max_length=500)
    return tokenizer, data.examples


def test_batches_hold_all_examples_of_each_epoch(tiny_base: Path) -> None:
    _, examples = _labeled(tiny_base, 10)
    settings = Hyperparameters(3, 4, 1.0)
    batches = order_batches(examples, settings, 7)
    assert batches == order_batches(examples, settings, 7)
    assert len(batches) == settings.steps(10) == 9
    by_id = sorted(map(id, examples))
    for epoch in (batches[:3], batches[3:6], batches[6:]):
        assert sorted(id(example) for batch in epoch for example in batch) == by_id
        # Of like length.
        ranges = sorted((min(sizes), max(sizes)) for sizes in map(_sizes, epoch))
        assert all(a[1] <= b[0] for a, b in pairwise(ranges))


def _sizes(batch: list[LabeledExample]) -> list[int]:
    return [len(example.labels) for example in batch]


def test_loss_is_that_of_transformers(tiny_base: Path) -> None:
    """Only the logits of labeled tokens are computed."""
    _, examples = _labeled(tiny_base, 4)
    model = load_base(tiny_base, "cpu", "float32")
    trainer = ChatTrainer.__new__(ChatTrainer)
    for batch in ([examples[0]], examples):
        ids = torch.full((len(batch), 200), 0)
        labels = torch.full_like(ids, IGNORED)
        for row, example in enumerate(batch):
            ids[row, : len(example.labels)] = torch.tensor(example.input_ids)
            labels[row, : len(example.labels)] = torch.tensor(example.labels)
        with torch.no_grad():
            expected = model(input_ids=ids, labels=labels).loss
            found = [
                float(trainer.compute_loss(model, pad(batch, 0, step=step)))
                for step in (1, 64)
            ]
        assert found == pytest.approx([float(expected)] * 2, rel=1e-6)


def test_steps_bound_the_number_of_lengths() -> None:
    examples = [LabeledExample([1] * n, [1] * n, is_truncated=False) for n in (9, 80)]
    lengths = [pad([each], 0, step=64)["input_ids"].shape[1] for each in examples]
    assert lengths == [64, 128]


def _loss_and_gradients(
    base: Path, dtype: str, *, fuse: bool
) -> tuple[float, dict[str, torch.Tensor]]:
    tokens = torch.arange(1, 30)[None]
    torch.manual_seed(1)
    model = load_base(base, "cpu", dtype)
    config = create_lora_config(model)
    config.init_lora_weights = False
    tuned = get_peft_model(model, config)
    if fuse:
        use_fused_layers(tuned)
    loss = tuned(input_ids=tokens, labels=tokens).loss
    loss.backward()
    named = tuned.named_parameters()
    return float(loss.detach()), {n: p.grad for n, p in named if p.requires_grad}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT's, about transformers.
@pytest.mark.parametrize("family", ["llama-3.2", "qwen3.5"])
def test_fused_layers_compute_like_pefts(family: str, tmp_path: Path) -> None:
    base = write_tiny_model(tmp_path / "base", family)
    loss, gradients = _loss_and_gradients(base, "float32", fuse=False)
    fused_loss, fused_gradients = _loss_and_gradients(base, "float32", fuse=True)
    assert fused_loss == pytest.approx(loss, rel=1e-6)
    assert gradients.keys() == fused_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(fused_gradients[name], gradient)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT's, about transformers.
@pytest.mark.parametrize("family", ["llama-3.2", "qwen3.5"])
def test_fused_layers_round_bfloat16_like_pefts(family: str, tmp_path: Path) -> None:
    base = write_tiny_model(tmp_path / "base", family)
    _, exact = _loss_and_gradients(base, "float32", fuse=False)
    errors = []
    for fuse in (False, True):
        _, gradients = _loss_and_gradients(base, "bfloat16", fuse=fuse)
        assert {gradient.dtype for gradient in gradients.values()} == {torch.float32}
        differences = [gradients[name] - exact[name] for name in exact]
        errors.append(float(torch.cat([d.flatten() for d in differences]).norm()))
    assert errors[1] < 2 * errors[0]


def test_accuracy_starts_anew_after_each_step(tiny_base: Path) -> None:
    _, examples = _labeled(tiny_base, 4)
    model = load_base(tiny_base, "cpu", "float32")
    trainer = ChatTrainer.__new__(ChatTrainer)
    with torch.no_grad():
        trainer.compute_loss(model, pad(examples, 0))
    assert 0 <= trainer.pop_accuracy() <= 1
    assert trainer.counted == 0


def test_training_needs_neither_trl_nor_datasets(
    tiny_base: Path, tmp_path: Path
) -> None:
    """transformers imports `datasets` where it is installed."""
    script = (
        "import sys;"
        "sys.modules.update(dict.fromkeys(['trl', 'datasets', 'pyarrow', 'pandas']));"
        "from tests.unit_tests.builders.lora_runs import *;"
        "print(run_lora(RecordedProgress(Path(sys.argv[2])), Path(sys.argv[1])))"
    )
    folder = tmp_path / "job"
    found = subprocess.run(  # noqa: S603 - this interpreter.
        [sys.executable, "-c", script, str(tiny_base), str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == str(folder / "model")
