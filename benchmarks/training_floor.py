"""A training step compared with the matrix products that it cannot avoid.

```
python -m benchmarks.training_floor                   # the default base
python -m benchmarks.training_floor --profile         # and where the time goes
python -m benchmarks.training_floor --parameters 600 --vocabulary 152000
```

With frozen weights a step needs two products forward and two backward of each weight
and token: 4 x parameters x tokens operations. The floor is their time at the speed of
this machine's own matrix product, which is measured between the steps of the same run.
The rest, on an AMD EPYC in bfloat16 with 373 tokens (2026-11-24): of a step's time,
products with weights and adapters are 55 %, attention's products 10 %, its softmax 6 %,
other elementwise operations 8 %, copies 5 %, and a thousand small calls the rest.
Times are CPU time of the process, in which other programs on the machine count little.
With `--parameters`, in millions, a random model of that size is trained, because the
output layer of a large vocabulary differs from the others.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.training_speed import write_windows
from langchain_chatexports.local_server import find_base
from langchain_chatexports.local_server.bases.preparation import prepare_directory
from langchain_chatexports.local_server.processes import (
    child_environment,
    thread_count,
)
from langchain_chatexports.local_server.workspace.files import read_examples

_SIZE, _PRODUCTS = 1024, 3
# The first steps allocate memory.
_UNTIMED = 2
_HEAD_SIZE, _LAYERS = 64, 28


class TimedProgress:
    """The progress of a job that is not saved, with the time of each step."""

    is_stopping = False

    def __init__(self, folder: Path) -> None:
        import torch

        self.folder = folder
        self.step_seconds: list[float] = []
        self.product_seconds: list[float] = []
        self.losses: list[float] = []
        self._matrix = torch.randn(_SIZE, _SIZE)
        self._began = 0.0

    def require_space(self, needed: int) -> None:
        """Ignore the size of saves."""

    def begin(self) -> None:
        """Begin with the steps."""
        self._began = time.process_time()

    def step(self, *_: object, loss: float, **__: object) -> None:
        """Note the time of a step; then measure matrix products."""
        now = time.process_time()
        self.step_seconds.append(now - self._began)
        self.losses.append(loss)
        for _number in range(_PRODUCTS):
            _ = self._matrix @ self._matrix
        self._began = time.process_time()
        self.product_seconds.append((self._began - now) / _PRODUCTS)

    def should_save(self) -> bool:
        """Save nothing."""
        return False

    def log(self, *_: object, **__: object) -> None:
        """Log nothing."""

    record = log


def write_random_base(folder: Path, millions: int, vocabulary: int) -> Path:
    """Write a base with random weights and the default base's tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    # 12 x layers x width**2 parameters and the embeddings, which are also the output.
    widths = range(128, 8192, 128)
    sizes = {12 * _LAYERS * w**2 + vocabulary * w: w for w in widths}
    width = sizes[max((s for s in sizes if s <= millions * 1e6), default=min(sizes))]
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=8 * width // 3,
        num_hidden_layers=_LAYERS,
        num_attention_heads=width // _HEAD_SIZE,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    source = prepare_directory(find_base(None))
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return folder


def measure(base: Path, file: Path, *, profiles: bool) -> dict[str, float]:
    """Train one epoch; return the ratio of a step to its floor, and other figures."""
    from torch.profiler import profile

    from langchain_chatexports.local_server.training import lora
    from langchain_chatexports.local_server.training.steps import ChatTrainer

    counts: list[tuple[int, int]] = []
    compute_loss = ChatTrainer.compute_loss

    def count(self: Any, model: Any, inputs: Any, *more: Any, **options: Any) -> Any:
        parameters = model.get_base_model().num_parameters(only_trainable=False)
        adapter = sum(p.numel() for p in model.parameters() if p.requires_grad)
        counts.append((parameters - adapter, inputs["input_ids"].numel()))
        return compute_loss(self, model, inputs, *more, **options)

    ChatTrainer.compute_loss = count  # type: ignore[method-assign]
    values = {"n_epochs": 1, "batch_size": 1, "learning_rate_multiplier": 1.0}
    job: Any = SimpleNamespace(
        base=str(base), base_model=base.name, hyperparameters=values, seed=1, step=0
    )
    folder = file.parent / "job"
    folder.mkdir()
    progress: Any = TimedProgress(folder)
    with ExitStack() as stack:
        profiler = stack.enter_context(profile()) if profiles else None
        lora.train_lora(progress, [*read_examples(file)], job, {"dtype": "float32"})
    if profiler is not None:
        table = profiler.key_averages().table(sort_by="self_cpu_time_total")
        print(table)
    speed = 2 * _SIZE**3 / statistics.median(progress.product_seconds)
    steps = zip(progress.step_seconds, counts, strict=True)
    ratios = [s / (4 * p * t / speed) for s, (p, t) in steps][_UNTIMED:]
    return {
        "ratio": statistics.median(ratios),
        "seconds": statistics.mean(progress.step_seconds[_UNTIMED:]),
        "tokens": statistics.mean(tokens for _, tokens in counts[_UNTIMED:]),
        "parameters": counts[0][0],
        "gflops": speed / 1e9,
        "loss": statistics.mean(progress.losses),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def main() -> None:
    """Measure in a child process with a trainer's environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--threads", type=int, default=thread_count())
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--parameters", type=int, help="of a random base, in millions")
    parser.add_argument("--vocabulary", type=int, default=49_152)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.child:
        command = [sys.executable, "-m", "benchmarks.training_floor", "--child"]
        environment = child_environment(options.threads)
        subprocess.run(  # noqa: S603 - this very file.
            [*command, *sys.argv[1:]], env=environment, check=True
        )
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = prepare_directory(find_base(None))
        if options.parameters:
            size = (options.parameters, options.vocabulary)
            base = write_random_base(folder / "base", *size)
        file = write_windows(folder, options.windows)
        found = measure(base, file, profiles=options.profile)
    print(json.dumps({name: round(value, 3) for name, value in found.items()}))


if __name__ == "__main__":
    main()
