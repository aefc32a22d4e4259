"""Examples in the shape that LangSmith's client takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langsmith import Client
from langsmith.schemas import ExampleCreate

from langchain_chatexports.datasets import (
    split_examples,
    to_langsmith_examples,
    to_training_examples,
    trace_examples,
)
from langchain_chatexports.steps import MapAIMessages
from tests.unit_tests.builders.conversations import conversation
from tests.unit_tests.builders.dialogues import dialogue


def uploaded(example: dict[str, Any]) -> dict[str, Any]:
    """Return what the client would send of an example."""
    sent = ExampleCreate.model_validate(example).model_dump(
        by_alias=True, exclude_none=True
    )
    return {key: sent[key] for key in ("inputs", "outputs", "metadata") if key in sent}


def test_the_last_answer_is_the_reference_output() -> None:
    (example,) = to_langsmith_examples([dialogue("suaua")])
    assert uploaded(example) == {
        "inputs": {"messages": dialogue("suau")["messages"]},
        "outputs": {"messages": [{"role": "assistant", "content": "a4"}]},
    }


def test_what_is_not_learned_is_neither_reference_nor_marked() -> None:
    """Weights are for training; a chat model would refuse them."""
    (example,) = to_langsmith_examples([dialogue("ucuauc")])
    assert [m["content"] for m in example["inputs"]["messages"]] == [
        "u0",
        "c1",
        "u2",
    ]
    assert not any("weight" in message for message in example["inputs"]["messages"])
    assert uploaded(example)["outputs"]["messages"][0]["content"] == "a3"


def test_tools_of_an_example_are_an_input() -> None:
    tools = [{"type": "function", "function": {"name": "look"}}]
    (example,) = to_langsmith_examples([{**dialogue("ua"), "tools": tools}])
    assert example["inputs"]["tools"] == tools


@pytest.mark.parametrize("turns", ["a", "sa", "u", "uc"])
def test_an_example_without_a_question_or_an_answer_is_left_out(turns: str) -> None:
    assert not list(to_langsmith_examples([dialogue(turns)]))


def test_metadata_leads_back_to_the_export_and_names_nobody() -> None:
    session = conversation("Ready?", "Always.", session_id="+15550100", start=1_000)
    traced = list(trace_examples(MapAIMessages().invoke(session)))
    (example,) = to_langsmith_examples(traced)
    origin = traced[0].origin
    assert example["metadata"] == {
        "message_ids": list(origin.message_ids),
        "first": origin.first,
        "last": origin.last,
    }
    assert origin.message_ids
    assert not {"+15550100", *origin.senders} & set(json.dumps(example).split('"'))


def test_parts_are_splits_of_the_data_set() -> None:
    sessions = [
        conversation(
            f"{n}, ready?", f"{n}, always.", session_id=str(n), start=n * 1_000_000
        )
        for n in range(10)
    ]
    splits = split_examples(trace_examples(MapAIMessages().invoke(sessions)), near=None)
    examples = list(to_langsmith_examples(splits))
    assert [example["split"] for example in examples] == [
        name for name, part in splits.parts().items() for _ in part
    ]
    assert {ExampleCreate.model_validate(example).split for example in examples} > {
        "train"
    }


def test_client_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's own code makes its objects of them; what it sends is not sent."""
    sent: list[ExampleCreate] = []
    monkeypatch.setattr(
        Client,
        "_upload_examples_batches_parallel",
        lambda _self, batches, *_: sent.extend(e for batch in batches for e in batch),
    )
    session = conversation("Ready?", "Always.", session_id="a", start=1_000)
    examples = to_training_examples(MapAIMessages().invoke(session))
    client = Client(api_url="http://127.0.0.1:1", api_key="none")
    client.create_examples(
        dataset_id="00000000-0000-0000-0000-000000000000",
        examples=list(to_langsmith_examples(examples)),
    )
    (example,) = sent
    assert example.model_dump(by_alias=True)["outputs"]["messages"]


def test_text_is_clean_for_json() -> None:
    example = dialogue("ua")
    example["messages"][0]["content"] = "half \ud83d"
    (made,) = to_langsmith_examples([example])
    assert made["inputs"]["messages"][0]["content"] == "half \ufffd"
