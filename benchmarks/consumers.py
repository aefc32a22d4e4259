r"""Checks that the trainers' own code reads the sets that are written for them.

The tests hold the rows to schemas; this runs the trainers' loaders, whose packages ask
for other versions than ours. From the repository's root, in an environment of its own
that sees the project's (here `.venv`):

    python -m venv /tmp/trainers
    echo "$PWD/.venv/lib/python3.11/site-packages" \
        > /tmp/trainers/lib/python3.11/site-packages/project.pth
    /tmp/trainers/bin/pip install --no-deps llamafactory mlx-lm axolotl addict colorama
    /tmp/trainers/bin/python -m benchmarks.consumers

Each line says how many rows a trainer took, and how many answers it would learn from,
beside what the set's own accounting says. Run on 2026-11-20 with llamafactory 0.9.5,
mlx-lm 0.32.2 and axolotl 0.19.0: all took all rows, and the answers agreed.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers.utils import is_torchaudio_available

from langchain_chatexports.chat_loaders.imessage import IMessageChatLoader
from langchain_chatexports.datasets import (
    split_examples,
    trace_examples,
    write_dataset,
)
from langchain_chatexports.samples import write_imessage
from langchain_chatexports.steps import (
    ChunkSessions,
    MapAIMessages,
    MergeChatRuns,
    SplitSessions,
)
from tests.unit_tests.builders.tiny_base import tiny_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_chatexports.datasets import ExampleSplits

_NOT_LEARNED = -100


def main() -> None:
    """Write a set for each trainer and let its code read it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        splits = _splits(home)
        checks: dict[str, Callable[[Path], tuple[int, int]]] = {
            "llama-factory": _llama_factory,
            "mlx": _mlx,
            "axolotl": _axolotl,
        }
        agreed = True
        for name, check in checks.items():
            written = write_dataset(splits, home / name, format=name)  # type: ignore[arg-type] # the keys are names of formats
            expected = (sum(written.files.values()), written.answers_written)
            found = check(written.path)
            agreed &= found == expected
            print(f"{name}: rows and answers {found}, written {expected}")
        sys.exit(not agreed)


def _splits(home: Path) -> ExampleSplits:
    loader = IMessageChatLoader(write_imessage(home / "chat.db"))
    sessions = (
        loader
        | SplitSessions()
        | MergeChatRuns(delimiter="\n")  # LLaMA-Factory's turns are joined by two.
        | MapAIMessages(sender="Tortoise")
        | ChunkSessions(keep_tail=True)
    )
    return split_examples(trace_examples(sessions, system="To {others}."), near=None)


def _llama_factory(folder: Path) -> tuple[int, int]:
    # What it reads sound with is no matter here; transformers must not see the stub.
    if not is_torchaudio_available():
        sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    from llamafactory.data.converter import SharegptDatasetConverter
    from llamafactory.data.parser import get_dataset_list

    settings: Any = types.SimpleNamespace(media_dir=str(folder))
    names = list(json.loads((folder / "dataset_info.json").read_bytes()))
    rows = answers = 0
    for described in get_dataset_list(names, str(folder)):
        convert = SharegptDatasetConverter(dataset_attr=described, data_args=settings)
        for row in json.loads((folder / described.dataset_name).read_bytes()):
            taken = convert(row)
            rows += bool(taken["_response"])
            turns = [*taken["_prompt"], *taken["_response"]]
            # A run of answers is one turn there, joined by a blank line.
            answers += sum(
                1 + turn["content"].count("\n\n")
                for turn in turns
                if turn["role"] == "assistant"
            )
    return rows, answers


def _mlx(folder: Path) -> tuple[int, int]:
    # Its package wants Apple's library at import; its data sets do not.
    package = importlib.util.find_spec("mlx_lm")
    if package is None or package.submodule_search_locations is None:
        msg = "mlx-lm is not installed"
        raise SystemExit(msg)
    stub = types.ModuleType("mlx_lm")
    stub.__path__ = list(package.submodule_search_locations)
    sys.modules["mlx_lm"] = stub
    tuner = types.ModuleType("mlx_lm.tuner")
    tuner.__path__ = [f"{stub.__path__[0]}/tuner"]
    terminal: Any = types.ModuleType("mlx_lm.cli_ui")
    terminal.rprint = print
    sys.modules |= {"mlx_lm.tuner": tuner, "mlx_lm.cli_ui": terminal}
    datasets = importlib.import_module("mlx_lm.tuner.datasets")
    settings = types.SimpleNamespace(mask_prompt=True)
    rows = answers = 0
    for part in datasets.load_local_dataset(folder, tiny_tokenizer(), settings):
        for index in range(len(part)):
            tokens, prompt = part.process(part[index])
            rows += 1
            answers += len(tokens) > prompt
    return rows, answers


def _axolotl(folder: Path) -> tuple[int, int]:
    from axolotl.prompt_strategies.chat_template import load
    from axolotl.utils.dict import DictDefault

    tokenizer = tiny_tokenizer()
    settings = DictDefault({"sequence_len": 4096, "train_on_inputs": False})
    described = {
        "type": "chat_template",
        "roles_to_train": [],
        "message_field_training": "train",
    }
    strategy = load(tokenizer, settings, described)
    rows = answers = 0
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").split("\n")[:-1]:
            taken = strategy.tokenize_prompt(json.loads(line))
            rows += 1
            answers += _spans(taken["labels"])
    return rows, answers


def _spans(labels: list[Any]) -> int:
    learned = [label != _NOT_LEARNED for label in labels]
    return sum(
        now and not before
        for before, now in zip([False, *learned], learned, strict=False)
    )


if __name__ == "__main__":
    main()
