"""Training files: the lines of one, and their examples as token ids and labels."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.training.labels import (
    ChatTemplate,
    LabelledExample,
    MessageError,
    TemplateError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["DatasetReport", "JsonLinesError", "label_examples", "read_examples"]


MAX_LINE_BYTES = 8 * 2**20
"""The longest line of a training file; parsed, it may take thirty times as much."""

MAX_LINES = 1_000_000
"""The most lines of a training file."""

_MAX_PROBLEMS = 1000


class JsonLinesError(ValueError):
    """A file is not made of JSON objects, one a line; the text names the line."""


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


def read_examples(path: str | Path) -> Iterator[dict[str, Any]]:
    """Read the JSON objects of a file, one a line; lines of white space are skipped.

    Args:
        path: The file. It is split at line feeds only: U+2028 may stand in a text.

    Yields:
        The objects, in order.

    Raises:
        JsonLinesError: At the first line that is no JSON object, or too long.
    """
    with Path(path).open("rb") as file:
        # Not `for line in file`: a single line could hold the memory of all.
        for number in count(1):
            line = file.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
            if len(line) > MAX_LINE_BYTES or number > MAX_LINES:
                msg = (
                    f"Line {number} is longer than {MAX_LINE_BYTES} bytes, or the file "
                    f"has more than {MAX_LINES} lines. Split it."
                )
                raise JsonLinesError(msg)
            if not line.strip():
                continue
            try:
                # Editors on Windows begin a file with a byte order mark.
                value = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError):
                value = None
            if not isinstance(value, dict):
                msg = (
                    "Expected file to have JSONL format, where every line is a JSON "
                    f"dictionary. Line {number} is not a dictionary."
                )
                raise JsonLinesError(msg)
            yield value


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
