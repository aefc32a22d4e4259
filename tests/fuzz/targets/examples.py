"""Files of examples: checked, counted, split, and written in every format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

from langchain_chatexports.datasets import (
    deduplicate_examples,
    estimate_training,
    split_examples,
    validate_examples,
    write_dataset,
    write_jsonl,
)
from langchain_chatexports.datasets.example_files import read_prepared
from langchain_chatexports.datasets.formats.trainer_formats import FormatName
from langchain_chatexports.datasets.jsonl import read_jsonl
from tests.fuzz.case import MARK, NAME, check_text
from tests.fuzz.mutations import hostile, json_bytes, mutated, mutated_json

if TYPE_CHECKING:
    from random import Random

    from tests.fuzz.case import Case

_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_EXTRAS: tuple[dict[str, Any], ...] = (
    {"weight": 0},
    {"name": "Ada_1"},
    {"tool_calls": [_CALL]},
    {"function_call": _CALL["function"]},
    {"refusal": MARK},
    {"content": [{"type": "text", "text": MARK}]},
    {"content": [{"type": "image_url", "image_url": {"url": "https://x.example"}}]},
    {"content": None},
    {"tool_call_id": "c1", "role": "tool"},
    {"role": "developer"},
)


def attack(case: Case, _: None) -> None:
    """Read a spoiled file of examples; what passes the check must be usable."""
    random = case.random
    path = case.export / "examples.jsonl"
    path.write_bytes(_examples(random))
    rows: list[Any] = []
    with case.judged():
        rows += read_jsonl(path)
        for method in ("supervised", "dpo"):
            problems = validate_examples(rows, minimum=0, method=method)
            for problem in problems:
                check_text(problem)
        sound: list[Any] = [r for r in rows if not validate_examples([r], minimum=0)]
        write_jsonl(rows, case.out / "again.jsonl")
        estimate_training(sound, model="gpt-4.1-mini")
        list(deduplicate_examples(sound))
        write_dataset(
            sound, case.out / "set", format=random.choice(get_args(FormatName))
        )
    with case.judged():
        # What was not checked is refused in time, too.
        write_dataset(
            rows, case.out / "raw", format=random.choice(get_args(FormatName))
        )
    with case.judged():
        split_examples(list(read_prepared(path)), near=None)


def _examples(random: Random) -> bytes:
    lines = [json_bytes(random, _example(random, number)) for number in range(6)]
    data = b"\n".join(lines) + b"\n"
    tokens = (b"\n", b"\r\n", b"\xef\xbb\xbf", b"<|im_end|>", b"\\ud800", b"NaN")
    return mutated(random, data, tokens) if random.random() < 0.3 else data


def _example(random: Random, number: int) -> Any:
    roles = ("user", "assistant") * 2
    messages: list[dict[str, Any]] = [
        {"role": role, "content": f"{MARK} {NAME} {number}"} for role in roles
    ]
    while random.random() < 0.5:
        random.choice(messages).update(random.choice(_EXTRAS))
    example: dict[str, Any] = {"messages": messages}
    if random.random() < 0.2:
        tools = random.choice(([], [{"type": "function"}], hostile(random)))
        example[random.choice(("tools", "functions", "parallel_tool_calls"))] = tools
    if random.random() < 0.2:
        example = {
            "input": example,
            "preferred_output": messages[1:2],
            "non_preferred_output": json.loads(json.dumps(messages[1:2])),
        }
    return mutated_json(random, example) if random.random() < 0.5 else example
