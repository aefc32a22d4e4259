"""The examples of a training file as token ids and labels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_chatexports.local_server.bases.chat_template import (
    ChatTemplate,
    LabeledExample,
    MessageError,
)

MAX_PROBLEMS = 10
"""How many problems of a file an error lists."""


@dataclass
class LabeledDataset:
    """The labeled examples of a file, and counts of the others."""

    examples: list[LabeledExample] = field(default_factory=list)
    """Examples with learned tokens; empty if only counted."""

    problems: list[str] = field(default_factory=list)
    count: int = 0  # Examples with learned tokens.
    cut: int = 0  # Examples cut at the maximum length.
    without_loss: int = 0  # Examples without learned tokens, which are skipped.
    trailing: int = 0  # Examples that do not end with the assistant.
    leading: int = 0  # Examples that begin with the assistant.


def label_examples(
    examples: Iterable[Mapping[str, Any]],
    template: ChatTemplate,
    *,
    max_length: int,
    keep: bool = True,
) -> LabeledDataset:
    """Label examples, and collect the problems of those that cannot be labeled."""
    dataset = LabeledDataset()
    for number, example in enumerate(examples, 1):
        if len(dataset.problems) >= MAX_PROBLEMS:
            break
        if example.get("tools") or example.get("functions"):
            dataset.problems.append(
                f"line {number}: the local server does not train tools"
            )
            continue
        messages: Sequence[Mapping[str, Any]] = example["messages"]
        try:
            labeled = template.label(messages, max_length=max_length)
        except MessageError as error:
            dataset.problems.append(f"line {number}: {error}")
            continue
        dataset.cut += labeled.is_cut
        dataset.trailing += messages[-1].get("role") != "assistant"
        roles = [m["role"] for m in messages if m.get("role") in {"user", "assistant"}]
        dataset.leading += roles[:1] == ["assistant"]
        if labeled.learned_tokens:
            dataset.count += 1
            if keep:
                dataset.examples.append(labeled)
        else:
            dataset.without_loss += 1
    return dataset
