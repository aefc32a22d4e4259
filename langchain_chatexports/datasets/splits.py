"""Split examples so that splits share neither dialogues nor text."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import Counts
from langchain_chatexports.chat_loaders.disjoint_sets import DisjointSets
from langchain_chatexports.datasets.chat_prompts import PROMPT_ROLES, message_text
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.trace import TracedExample
from langchain_chatexports.exceptions import TrainingDataError

MIN_EXAMPLES = 50
"""The minimum number of examples for an automatic validation split."""

# Shorter lines, such as "see you there then", are too common to indicate a copy.
_MIN_LINE_LENGTH = 40
# The size of an automatic validation split: enough for a meaningful loss, but only a
# small fraction of the examples.
_MIN_VALIDATION, _MAX_VALIDATION = 5, 200
_DEFAULT_FRACTION, _MAX_FRACTION = 0.1, 0.25
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class ExampleSplits:
    """Examples in three splits, oldest first.

    `examples` is the total of the three lengths and `skipped`.
    """

    train: list[TracedExample]
    validation: list[TracedExample]
    test: list[TracedExample]
    dialogues: int = 0
    stages: tuple[Counts, ...] = ()
    """Message and example counts of the split, as stages named `Split`."""

    @property
    def examples(self) -> int:
        """The number of examples before the split."""
        return self.stages[-1].found if self.stages else 0

    @property
    def skipped(self) -> Counter[str]:
        """Skipped examples by reason: `older_text` repeats text in an earlier split."""
        return self.stages[-1].skipped if self.stages else Counter()

    def non_empty(self) -> dict[str, list[TracedExample]]:
        """Return the non-empty splits by name."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: examples for name, examples in splits.items() if examples}

    def __repr__(self) -> str:
        """Show counts, never content."""
        counts = {
            "examples": self.examples,
            "dialogues": self.dialogues,
            "sizes": {name: len(split) for name, split in self.non_empty().items()},
            "skipped": dict(self.skipped),
        }
        return f"ExampleSplits({counts})"


def split_examples(
    examples: Iterable[TracedExample], *, validation: float = 0.1, test: float = 0.1
) -> ExampleSplits:
    """Split examples into train, validation and test; the newest go to the test set.

    Dialogues are never divided, and are assigned in the order of their first
    messages. The pieces of a session split by `SplitSessions` are separate
    dialogues. To keep training text out of the test set, an example is skipped if
    its text, or a passage of at least 40 characters, is in an earlier split, ignoring
    case and spaces. All examples are held in memory.

    Args:
        examples: Traced examples, from `trace_examples`.
        validation: Fraction of the examples for validation; 0 for no validation.
        test: Fraction of the examples for the test; 0 for no test.

    Raises:
        TrainingDataError: If an example's origin is unknown, or there are fewer
            dialogues than splits.
        ValueError: If a fraction is negative, or nothing is left to train on.
    """
    if validation < 0 or test < 0 or validation + test >= 1:
        msg = (
            f"validation ({validation}) and test ({test}) must be fractions that leave "
            "examples to train on."
        )
        raise ValueError(msg)
    dialogues = _group_dialogues(examples)
    sizes = [len(dialogue) for dialogue in dialogues]
    validation_start, test_start = _find_split_starts(
        sizes, validation=validation, test=test
    )
    train_split = list(chain.from_iterable(dialogues[:validation_start]))
    texts = {text for item in train_split for text in _comparison_texts(item.example)}
    validation_split, repeated = _separate_repeated(
        texts, dialogues[validation_start:test_start]
    )
    texts.update(
        text for item in validation_split for text in _comparison_texts(item.example)
    )
    test_split, repeated_in_test = _separate_repeated(texts, dialogues[test_start:])
    skipped = repeated + repeated_in_test
    kept = [*train_split, *validation_split, *test_split]
    return ExampleSplits(
        train_split,
        validation_split,
        test_split,
        len(dialogues),
        (
            _create_stage("messages", _count_messages(kept), _count_messages(skipped)),
            _create_stage("examples", len(kept), len(skipped)),
        ),
    )


def _create_stage(unit: str, kept: int, repeated: int) -> Counts:
    stage = Counts("Split", unit, kept + repeated, kept)
    stage.skip("older_text", repeated)
    return stage


def _count_messages(examples: Iterable[TracedExample]) -> int:
    return sum(len(item.example["messages"]) for item in examples)


def hold_out_validation(examples: Sequence[TracedExample]) -> ExampleSplits | None:
    """Hold out the newest dialogues for validation, if there are enough.

    Holds out a tenth of the examples, at most 200.
    """
    if len(examples) < MIN_EXAMPLES:
        return None
    fraction = min(_DEFAULT_FRACTION, _MAX_VALIDATION / len(examples))
    try:
        splits = split_examples(examples, validation=fraction, test=0)
    except TrainingDataError:
        return None
    is_too_small = len(splits.validation) < _MIN_VALIDATION
    is_too_large = len(splits.train) < (1 - _MAX_FRACTION) * len(examples)
    return None if is_too_small or is_too_large else splits


def _find_split_starts(
    sizes: Sequence[int], *, validation: float, test: float
) -> tuple[int, int]:
    """Return the indexes of the first dialogues of the validation and test sets."""
    splits = 1 + (validation > 0) + (test > 0)
    if sizes and len(sizes) < splits:
        msg = (
            f"{plural(len(sizes), 'dialogue')} cannot be divided into {splits} "
            "splits. Add dialogues, or split sessions at shorter pauses."
        )
        raise TrainingDataError(msg)
    total = sum(sizes)
    test_start = _find_start(sizes, len(sizes), test * total, 1 + (validation > 0))
    return _find_start(sizes, test_start, validation * total, 1), test_start


def _find_start(sizes: Sequence[int], end: int, target: float, reserved: int) -> int:
    # Get as close to the target size as complete dialogues allow. Use at least one,
    # and leave at least `reserved` for the earlier splits.
    if not target:
        return end
    start, size = end, 0
    while start > reserved:
        next_size = size + sizes[start - 1]
        if start < end and next_size - target > target - size:
            break
        start, size = start - 1, next_size
    return start


def _group_dialogues(examples: Iterable[TracedExample]) -> list[list[TracedExample]]:
    # Oldest first. Sessions that share a message are joined, since two exports can
    # contain the same dialogue.
    joined = DisjointSets()
    items = list(examples)
    for item in items:
        if not isinstance(item, TracedExample) or item.origin.session_id is None:
            msg = (
                "The session of some examples is unknown, so a dialogue could be "
                "in several splits. Create them with `trace_examples`, or put their "
                "trace next to them."
            )
            raise TrainingDataError(msg)
        for message_id in item.origin.message_ids:
            joined.join(("session", item.origin.session_id), ("message", message_id))
    dialogues: dict[object, list[TracedExample]] = {}
    for item in items:
        key = joined.find(("session", item.origin.session_id))
        dialogues.setdefault(key, []).append(item)
    return sorted(dialogues.values(), key=_start_time)


def _start_time(dialogue: Sequence[TracedExample]) -> float:
    # Dialogues without a time come first, like messages without a time.
    times = [e.origin.first for e in dialogue if e.origin.first is not None]
    return min(times, default=float("-inf"))


def _separate_repeated(
    texts: set[str], dialogues: Iterable[Iterable[TracedExample]]
) -> tuple[list[TracedExample], list[TracedExample]]:
    unique: list[TracedExample] = []
    repeated: list[TracedExample] = []
    for item in chain.from_iterable(dialogues):
        is_repeated = not texts.isdisjoint(_comparison_texts(item.example))
        (repeated if is_repeated else unique).append(item)
    return unique, repeated


def _comparison_texts(example: TrainingExample) -> Iterator[str]:
    messages = [m for m in example["messages"] if m["role"] not in PROMPT_ROLES]
    yield _normalize("\n".join(map(message_text, messages)))
    for text in map(message_text, messages):
        # Also compare paragraphs and lines, since a merged run has several messages.
        passages = dict.fromkeys([text, *text.split("\n\n"), *text.splitlines()])
        for passage in map(_normalize, passages):
            if len(passage) >= _MIN_LINE_LENGTH:
                yield passage


def _normalize(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _SPACES.sub(" ", folded).strip()
