"""The examples of a training file as token ids and labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.training.labels import (
    ChatTemplate,
    LabelledExample,
    MessageError,
    TemplateError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["DatasetReport", "label_examples"]


_MAX_PROBLEMS = 1000


@dataclass
class DatasetReport:
    """What became of a file's examples when they were labelled."""

    examples: list[LabelledExample] = field(default_factory=list)
    """Those that can be learned from, unless only their number was asked for."""

    count: int = 0
    """How many examples can be learned from."""

    problems: list[str] = field(default_factory=list)
    cut: int = 0
    """Examples longer than the model is trained with."""

    without_loss: int = 0
    """Examples of which nothing can be learned, and which are left out."""

    dropped_openers: int = 0
    """Assistant messages at the start of a dialogue that the template refuses."""

    trailing: int = 0
    """Examples that do not end with the assistant."""

    leading: int = 0
    """Examples that begin with the assistant, where the template takes that."""

    @property
    def tokens(self) -> int:
        """Tokens of one pass over the data."""
        return sum(len(example.input_ids) for example in self.examples)


def label_examples(
    examples: Iterable[Mapping[str, Any]],
    template: ChatTemplate,
    *,
    max_length: int,
    keep: bool = True,
) -> DatasetReport:
    """Label examples, and collect what cannot be labelled.

    Args:
        examples: Examples with `messages`.
        template: The base model's chat template.
        max_length: Longest example in tokens.
        keep: Whether to keep the examples, or to count them only.
    """
    report = DatasetReport()
    for number, example in enumerate(examples, 1):
        if len(report.problems) >= _MAX_PROBLEMS:
            break
        if example.get("tools") or example.get("functions"):
            report.problems.append(f"line {number}: the local server trains no tools")
            continue
        messages: Sequence[Mapping[str, Any]] = example["messages"]
        try:
            labelled = template.label(messages, max_length=max_length)
        except (MessageError, TemplateError) as error:
            report.problems.append(f"line {number}: {error}")
            continue
        report.cut += labelled.is_cut
        report.dropped_openers += labelled.dropped_openers
        report.trailing += messages[-1].get("role") != "assistant"
        roles = [m["role"] for m in messages if m.get("role") in {"user", "assistant"}]
        report.leading += roles[:1] == ["assistant"] and not labelled.dropped_openers
        if labelled.learned_tokens:
            report.count += 1
            if keep:
                report.examples.append(labelled)
        else:
            report.without_loss += 1
    return report
