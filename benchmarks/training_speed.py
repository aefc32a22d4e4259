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

from langchain_chatexports.local_server.bases.description import describe_default_base

from langchain_chatexports import (
    ChunkSessions,
    IMessageChatLoader,
    MapAIMessages,
    MergeChatRuns,
    to_training_examples,
    write_jsonl,
)
from langchain_chatexports.local_server.bases.preparation import prepare_base
from langchain_chatexports.local_server.processes import (
    child_environment,
    default_threads,
)
from langchain_chatexports.samples import write_imessage

CONTENDERS = ("ours", "TRL's defaults")


def main() -> None:
    """Measure each contender in a new process, and print a table."""
    if sys.argv[1:2] and sys.argv[1] in CONTENDERS:
        contender, *paths = sys.argv[1:]
        (train_library if contender == "ours" else train_trl)(*map(Path, paths))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=16)
    windows = parser.parse_args().windows
    base = prepare_base(describe_default_base())
    print("| contender | s per window | CPU-s per window | peak memory |")
    print("| --- | --- | --- | --- |")
    seconds: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        file = write_windows(Path(name), windows)
        for contender in CONTENDERS:
            # Without our settings, TRL's threads spin.
            environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
            if contender == "ours":
                environment = child_environment(threads=default_threads(), offline=True)
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


def train_library(base: Path, file: Path) -> None:
    """Train like a job."""
    from langchain_chatexports.local_server.bases.chat_template import (
        ChatTemplate,
        label_examples,
    )
    from langchain_chatexports.local_server.storage.files import read_examples
    from transformers import AutoTokenizer

    from langchain_chatexports.local_server.bases.devices import (
        choose_device,
        choose_dtype,
    )
    from langchain_chatexports.local_server.training import trainer as training

    spec = training.TrainingSpec(
        data_dir=str(file.parent),
        job_id="measured",
        base_directory=str(base),
        training_file=str(file),
        validation_file=None,
        hyperparameters={
            "n_epochs": 1,
            "batch_size": 1,
            "learning_rate_multiplier": 1.0,
        },
        seed=1,
        max_length=1024,
        dtype=choose_dtype(choose_device()),
        model_folder=str(file.parent / "model"),
        model_record={},
    )
    spec.folder.mkdir(parents=True)
    tokenizer = AutoTokenizer.from_pretrained(base)
    template = ChatTemplate(tokenizer)
    data = label_examples(read_examples(file), template, max_length=spec.max_length)
    # The part of a job between reading and saving.
    measure(training._build_trainer(spec, tokenizer, data, None))  # noqa: SLF001


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
    measure(
        SFTTrainer(model=str(base), args=config, train_dataset=data, peft_config=lora)
    )


def measure(trainer: object) -> None:
    """Train, and print the costs as JSON."""
    cpu, wall = time.process_time(), time.monotonic()
    trainer.train()  # type: ignore[attr-defined]  # TRL is untyped.
    found = {
        "wall": time.monotonic() - wall,
        "cpu": time.process_time() - cpu,
        "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
