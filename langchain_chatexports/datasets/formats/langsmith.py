"""Examples of a LangSmith data set, for evaluations; nothing is uploaded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_chatexports.datasets.jsonl import json_line
from langchain_chatexports.datasets.message_text import PROMPT_ROLES
from langchain_chatexports.datasets.splits import ExampleSplits
from langchain_chatexports.datasets.trace import UNKNOWN_ORIGIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from langchain_chatexports.datasets.formats.rows import AnyRecord
    from langchain_chatexports.datasets.trace import ExampleOrigin

__all__ = ["to_langsmith_examples"]


def to_langsmith_examples(
    examples: Iterable[AnyRecord] | ExampleSplits,
) -> Iterator[dict[str, Any]]:
    """Return examples as `langsmith.Client.create_examples` takes them.

    The last answer of each is the reference output, and what was said before it the
    input: `{"messages": [...]}` in OpenAI's shape on both sides, which chat models
    (`model.invoke(inputs["messages"])`) and LangGraph's graphs take. An example without
    an answer, or with nothing said before it, is left out. Of traced examples, the
    metadata holds the export's message ids and the times of the first and the last
    message, but no names and no session id, which can be a phone number.

    Nothing is uploaded. `create_examples` sends the texts to LangSmith.

    Args:
        examples: Training examples, plain or traced, or a split set, whose parts become
            LangSmith's splits.

    Yields:
        The examples, in JSON types.
    """
    if isinstance(examples, ExampleSplits):
        for name, part in examples.parts().items():
            for example in to_langsmith_examples(part):
                yield {**example, "split": name}
        return
    outputs = _outputs_key()
    for item in examples:
        record, origin = item if isinstance(item, tuple) else (item, UNKNOWN_ORIGIN)
        # From the JSON line, whose text is clean: JSON takes no half surrogates.
        values: dict[str, Any] = json.loads(json_line(record))
        messages = values.pop("messages", [])
        end = _last_answer(messages)
        before = [_without_weight(message) for message in messages[:end]]
        if all(message["role"] in PROMPT_ROLES for message in before):
            continue
        example = {
            "inputs": {"messages": before, **values},
            outputs: {"messages": [_without_weight(messages[end])]},
        }
        metadata = _metadata(origin)
        yield {**example, "metadata": metadata} if metadata else example


def _outputs_key() -> str:
    from langsmith.schemas import ExampleCreate

    # `outputs` in older versions, which drop what they do not know without an error.
    fields = ExampleCreate.model_fields
    return "reference_outputs" if "reference_outputs" in fields else "outputs"


def _last_answer(messages: list[dict[str, Any]]) -> int:
    """Return the index of the last answer to learn from, or 0 if there is none."""
    answers = (
        index
        for index, message in enumerate(messages)
        if message["role"] == "assistant" and message.get("weight") != 0
    )
    return max(answers, default=0)


def _without_weight(message: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "weight"}


def _metadata(origin: ExampleOrigin) -> dict[str, Any]:
    values = {
        "message_ids": list(origin.message_ids),
        "first": origin.first,
        "last": origin.last,
    }
    return {key: value for key, value in values.items() if value not in (None, [])}
