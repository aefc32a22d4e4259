"""Train, validation and test examples that share no conversation and no text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import Counts, sum_of
from langchain_chatexports.datasets.deduplication import (
    example_text,
    normalized_text,
)
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.message_text import PROMPT_ROLES, message_text
from langchain_chatexports.datasets.trace import TracedExample
from langchain_chatexports.exceptions import TrainingDataError

MIN_EXAMPLES = 50
"""Of fewer examples, nothing is held out for validation by itself."""

# Shorter lines ("see you there then") are too common to be a sign of a copy.
_MIN_LINE_LENGTH = 40
# What is held out for validation by itself: enough for a loss that means something,
# and little of what there is to learn from.
_MIN_VALIDATION, _MAX_VALIDATION = 5, 200
_SHARE, _MAX_SHARE = 0.1, 0.25
_KNOWN = "older_text"
_SPLIT, _EXAMPLES = "Split", "examples"


@dataclass(frozen=True)
class ExampleSplits:
    """Examples in three parts, oldest first.

    `examples` = the three lengths + the sum of `skipped`.
    """

    train: list[TracedExample]
    validation: list[TracedExample]
    test: list[TracedExample]
    conversations: int = 0
    stages: tuple[Counts, ...] = ()
    """What became of the examples and of the messages in them, as `Split`."""

    @property
    def examples(self) -> int:
        """The examples that were split."""
        return self._counts.found

    @property
    def skipped(self) -> Counter[str]:
        """Examples that are in no part, by reason.

        The reason: `older_text` (text that an earlier part holds, too).
        """
        return self._counts.skipped

    @property
    def _counts(self) -> Counts:
        return sum_of(self.stages, _SPLIT, _EXAMPLES)

    def parts(self) -> dict[str, list[TracedExample]]:
        """Return the parts by name, without those that are empty."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in named.items() if part}

    def to_dict(self) -> dict[str, Any]:
        """Return the counts in JSON types."""
        return {
            "examples": self.examples,
            "conversations": self.conversations,
            "parts": {name: len(part) for name, part in self.parts().items()},
            "skipped": dict(sorted(self.skipped.items())),
        }

    def __repr__(self) -> str:
        """Show counts, never content."""
        return f"ExampleSplits({self.to_dict()})"


@dataclass
class _Conversation:
    first: int | None
    order: int
    examples: list[TracedExample] = field(default_factory=list)

    @property
    def age(self) -> tuple[int, int, int]:
        # Conversations without a time come first, as such messages do in a session.
        return (0, 0, self.order) if self.first is None else (1, self.first, self.order)


def split_examples(
    examples: Iterable[TracedExample],
    *,
    validation: float = 0.1,
    test: float = 0.1,
) -> ExampleSplits:
    """Split examples into train, validation and test, the newest for the test.

    Whole conversations go to one part, in the order of their first messages: a session
    is one conversation, or several where `SplitSessions` has cut it. An example is
    skipped if its text, or a piece of it of 40 characters or more, is in an earlier
    part, whatever the case and spaces: the test must not ask for texts that were
    trained on. All examples are in memory.

    Args:
        examples: Traced examples, from `trace_examples`.
        validation: Share of the examples for validation, 0 for none.
        test: Share of the examples for the test, 0 for none.

    Returns:
        The parts, with counts.

    Raises:
        TrainingDataError: If the examples have no known origin, or there are fewer
            conversations than parts.
        ValueError: If a share is negative, or they leave nothing to train on.
    """
    if validation < 0 or test < 0 or validation + test >= 1:
        msg = (
            f"validation ({validation}) and test ({test}) must be shares that leave "
            "some examples to train on."
        )
        raise ValueError(msg)
    texts: set[str] = set()
    conversations = sorted(_conversations(examples), key=lambda found: found.age)
    train, valid, tests = _cut(conversations, validation, test)
    texts.update(*(_texts(item.example) for item in train))
    valid, known = _by_known_text(texts, valid)
    texts.update(*(_texts(item.example) for item in valid))
    tests, known_too = _by_known_text(texts, tests)
    return ExampleSplits(
        train=train,
        validation=valid,
        test=tests,
        conversations=len(conversations),
        stages=_stages([*train, *valid, *tests], [*known, *known_too]),
    )


def hold_out_validation(examples: Sequence[TracedExample]) -> ExampleSplits | None:
    """Hold the newest conversations out for validation, if there are enough.

    A tenth is held out, 200 examples at most.
    """
    if len(examples) < MIN_EXAMPLES:
        return None
    share = min(_SHARE, _MAX_VALIDATION / len(examples))
    try:
        splits = split_examples(examples, validation=share, test=0)
    except TrainingDataError:
        return None
    is_enough = len(splits.validation) >= _MIN_VALIDATION
    is_most = len(splits.train) < (1 - _MAX_SHARE) * len(examples)
    return splits if is_enough and not is_most else None


def _stages(
    kept: Sequence[TracedExample], left: Sequence[TracedExample]
) -> tuple[Counts, Counts]:
    messages, examples = Counts(_SPLIT), Counts(_SPLIT, _EXAMPLES)
    for stage, given, gone in (
        (messages, _message_count(kept), _message_count(left)),
        (examples, len(kept), len(left)),
    ):
        stage.found, stage.kept = given + gone, given
        stage.skip(_KNOWN, gone)
    return messages, examples


def _message_count(examples: Iterable[TracedExample]) -> int:
    return sum(len(item.example["messages"]) for item in examples)


def _conversations(examples: Iterable[TracedExample]) -> list[_Conversation]:
    # Joined by session and by message: two exports can contain the same one.
    parents: dict[object, object] = {}

    def root(key: object) -> object:
        parents.setdefault(key, key)
        while parents[key] != key:
            parents[key] = key = parents[parents[key]]
        return key

    items = []
    for item in examples:
        if not isinstance(item, TracedExample) or item.origin.session_id is None:
            msg = (
                "The examples do not say which session they come from, so windows of "
                "one conversation could end up on both sides. Make them from "
                "the export with their origins, or keep their trace beside them."
            )
            raise TrainingDataError(msg)
        key = root(("session", item.origin.session_id))
        for message_id in item.origin.message_ids:
            parents[root(("message", message_id))] = key
        items.append(item)
    found: dict[object, _Conversation] = {}
    for item in items:
        key = root(("session", item.origin.session_id))
        first = item.origin.first
        conversation = found.setdefault(key, _Conversation(first, len(found)))
        conversation.examples.append(item)
        if first is not None:
            known = conversation.first
            conversation.first = first if known is None else min(known, first)
    return list(found.values())


def part_borders(
    sizes: Sequence[int], *, validation: float, test: float
) -> tuple[int, int]:
    """Return the indexes of the first conversations for validation and test."""
    parts = 1 + (validation > 0) + (test > 0)
    if sizes and len(sizes) < parts:
        msg = (
            f"{plural(len(sizes), 'conversation')} cannot be split into {parts} parts. "
            "Add conversations, or split the sessions at shorter pauses before windows "
            "are made."
        )
        raise TrainingDataError(msg)
    total = sum(sizes)
    middle = _start_of_part(sizes, len(sizes), test * total, 1 + (validation > 0))
    return _start_of_part(sizes, middle, validation * total, 1), middle


def _cut(
    conversations: Sequence[_Conversation], validation: float, test: float
) -> tuple[list[TracedExample], list[TracedExample], list[TracedExample]]:
    sizes = [len(found.examples) for found in conversations]
    start, middle = part_borders(sizes, validation=validation, test=test)
    return (
        _examples(conversations[:start]),
        _examples(conversations[start:middle]),
        _examples(conversations[middle:]),
    )


def _start_of_part(sizes: Sequence[int], end: int, wanted: float, keep: int) -> int:
    # As near to the wanted size as whole conversations allow, at least one of them,
    # and `keep` of them stay for the parts before.
    if not wanted:
        return end
    start, size = end, 0
    while start > keep:
        more = sizes[start - 1]
        if start < end and size + more - wanted > wanted - size:
            break
        start, size = start - 1, size + more
    return start


def _examples(conversations: Iterable[_Conversation]) -> list[TracedExample]:
    return list(chain.from_iterable(found.examples for found in conversations))


def _by_known_text(
    texts: set[str], examples: Iterable[TracedExample]
) -> tuple[list[TracedExample], list[TracedExample]]:
    new: list[TracedExample] = []
    known: list[TracedExample] = []
    for item in examples:
        is_known = not texts.isdisjoint(_texts(item.example))
        (known if is_known else new).append(item)
    return new, known


def _texts(example: TrainingExample) -> Iterator[str]:
    yield example_text(example)
    for message in example["messages"]:
        if message["role"] in PROMPT_ROLES:
            continue
        # Piece by piece, too: a merged run holds several bubbles.
        whole = message_text(message)
        pieces = dict.fromkeys([whole, *whole.split("\n\n"), *whole.splitlines()])
        for text in map(normalized_text, pieces):
            if len(text) >= _MIN_LINE_LENGTH:
                yield text
