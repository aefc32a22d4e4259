"""Training speed, compared with TRL's defaults on the same data.

```
python -m benchmarks.training_speed                  # a few minutes on two idle cores
python -m benchmarks.training_speed --windows 8
```

Each contender trains the default base on the same windows of the Tortoise for one
epoch, in a new process: ours like a job (batches of one, bfloat16 if faster, no
recomputed activations, sleeping threads), and `SFTTrainer` with `LoraConfig` and TRL's
defaults (except `use_cpu` without a GPU, where TRL requires it). Loading and imports
are not measured; CPU is that of the whole process during training. A step of TRL has
eight windows, so compare the figures per window. The figures are in
`docs/local_server.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeAlias

from langchain_chatexports import (
    ChunkSessions,
    IMessageChatLoader,
    MapAIMessages,
    MergeChatRuns,
    to_training_examples,
    write_jsonl,
)
from langchain_chatexports.local_server import find_base
from langchain_chatexports.local_server.bases.preparation import prepare_directory
from langchain_chatexports.local_server.processes import (
    child_environment,
    thread_count,
)
from langchain_chatexports.local_server.workspace.files import read_examples
from langchain_chatexports.samples import write_imessage

CONTENDERS = ("ours", "TRL's defaults")
Costs: TypeAlias = dict[str, float]


class Moment(NamedTuple):
    """The clocks when a training begins."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Moment:
        """Read the clocks."""
        return cls(time.monotonic(), time.process_time())

    def costs(self) -> Costs:
        """Return the costs since this moment."""
        wall, cpu = Moment.now()
        return {
            "wall": wall - self.wall,
            "cpu": cpu - self.cpu,
            "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }


def main() -> None:
    """Measure each contender in a new process, and print a table."""
    if sys.argv[1:2] and sys.argv[1] in CONTENDERS:
        contender, *paths = sys.argv[1:]
        (train_library if contender == "ours" else train_trl)(*map(Path, paths))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--base", help="the default base if not given")
    options = parser.parse_args()
    windows = options.windows
    base = prepare_directory(find_base(options.base))
    print("| contender | s per window | CPU-s per window | peak memory |")
    print("| --- | --- | --- | --- |")
    seconds: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        file = write_windows(Path(name), windows)
        for contender in CONTENDERS:
            # Without our settings, TRL's threads spin.
            environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
            if contender == "ours":
                environment = child_environment(thread_count())
            module = ["-m", "benchmarks.training_speed"]
            finished = subprocess.run(  # noqa: S603 - this very file.
                [sys.executable, *module, contender, str(base), str(file)],
                env=environment,
                stdout=subprocess.PIPE,
                check=True,
            )
            found = json.loads(finished.stdout.splitlines()[-1])
            wall, cpu = found["wall"] / windows, found["cpu"] / windows
            seconds[contender] = wall, cpu
            memory = found["peak_kb"] / 1e6
            print(
                f"| {contender} | {wall:.2f} | {cpu:.2f} | {memory:.2f} GB |",
                flush=True,
            )
    ratios = [plain / own for own, plain in zip(*seconds.values(), strict=True)]
    print(f"| ratio | {ratios[0]:.1f} | {ratios[1]:.1f} | |")


def write_windows(folder: Path, number: int) -> Path:
    """Write a training file with a number of windows."""
    chats = IMessageChatLoader(write_imessage(folder / "chat.db"))
    windows = chats | MergeChatRuns() | MapAIMessages(sender="Tortoise")
    examples = list(to_training_examples(windows | ChunkSessions()))[:number]
    write_jsonl(examples, folder / "train.jsonl")
    return folder / "train.jsonl"


class MeasuredProgress:
    """The progress of a job that is not saved, with the costs of its steps."""

    is_stopping = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.costs: Costs | None = None
        self._begun: Moment | None = None

    def require_space(self, needed: int) -> None:
        """Ignore the size of saves."""

    def begin(self) -> None:
        """Begin with the steps."""
        self._begun = Moment.now()

    def step(self, step: int, steps: int, *_: object, **__: object) -> None:
        """Measure until the last step."""
        if step == steps and self._begun is not None:
            self.costs = self._begun.costs()

    def should_save(self) -> bool:
        """Save nothing."""
        return False

    def log(self, *_: object, **__: object) -> None:
        """Log nothing."""

    record = log


def train_library(base: Path, file: Path) -> None:
    """Train like a job; what is measured is between reading and saving."""
    from langchain_chatexports.local_server.training.lora import train_lora

    values = {"n_epochs": 1, "batch_size": 1, "learning_rate_multiplier": 1.0}
    job: Any = SimpleNamespace(
        base=str(base), base_model=base.name, hyperparameters=values, seed=1, step=0
    )
    folder = file.parent / "job"
    folder.mkdir()
    progress: Any = MeasuredProgress(folder)
    train_lora(progress, [*read_examples(file)], job, {})
    print(json.dumps(progress.costs))


def train_trl(base: Path, file: Path) -> None:
    """Train as in TRL's quickstart, with LoRA, for one epoch."""
    from datasets import load_dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from langchain_chatexports.local_server.bases.devices import choose_device

    data = load_dataset("json", data_files=str(file), split="train")
    config = SFTConfig(
        output_dir=str(file.parent / "plain"),
        num_train_epochs=1,
        save_strategy="no",
        report_to=[],
        use_cpu=choose_device() == "cpu",
    )
    lora = LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = SFTTrainer(
        model=str(base), args=config, train_dataset=data, peft_config=lora
    )
    begun = Moment.now()
    trainer.train()
    print(json.dumps(begun.costs()))


if __name__ == "__main__":
    main()
