"""Split examples into parts that share neither conversations nor texts."""

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
"""The minimum number of examples for an automatic validation part."""

# Shorter lines ("see you there then") are too common to indicate a copy.
_MIN_LINE_LENGTH = 40
# The size of an automatic validation part: enough for a meaningful loss, but only a
# small share of the examples.
_MIN_VALIDATION, _MAX_VALIDATION = 5, 200
_SHARE, _MAX_SHARE = 0.1, 0.25
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class ExampleSplits:
    """Examples in three parts, oldest first.

    `examples` is the sum of the three lengths and of `skipped`.
    """

    train: list[TracedExample]
    validation: list[TracedExample]
    test: list[TracedExample]
    conversations: int = 0
    stages: tuple[Counts, ...] = ()
    """The counts of messages and of examples, as `Split`."""

    @property
    def examples(self) -> int:
        """The number of examples before the split."""
        return self.stages[-1].found if self.stages else 0

    @property
    def skipped(self) -> Counter[str]:
        """Examples in no part, by reason: `older_text` repeats an earlier part."""
        return self.stages[-1].skipped if self.stages else Counter()

    def parts(self) -> dict[str, list[TracedExample]]:
        """Return the parts by name, without empty ones."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in named.items() if part}

    def __repr__(self) -> str:
        """Show counts, never content."""
        counts = {
            "examples": self.examples,
            "conversations": self.conversations,
            "parts": {name: len(part) for name, part in self.parts().items()},
            "skipped": dict(self.skipped),
        }
        return f"ExampleSplits({counts})"


def split_examples(
    examples: Iterable[TracedExample], *, validation: float = 0.1, test: float = 0.1
) -> ExampleSplits:
    """Split examples into train, validation and test; the newest are the test.

    Complete conversations are assigned to parts, in the order of their first messages.
    The parts of a session that was split by `SplitSessions` are separate conversations.
    To keep training texts out of the test, an example is skipped if its text, or a
    piece of 40 characters or more, is in an earlier part; case and spaces do not
    matter. All examples are in memory.

    Args:
        examples: Traced examples, from `trace_examples`.
        validation: Share of the examples for validation, 0 for none.
        test: Share of the examples for the test, 0 for none.

    Raises:
        TrainingDataError: If the origin of examples is unknown, or if there are fewer
            conversations than parts.
        ValueError: If a share is negative, or they leave nothing to train on.
    """
    if validation < 0 or test < 0 or validation + test >= 1:
        msg = (
            f"validation ({validation}) and test ({test}) must be shares that leave "
            "examples to train on."
        )
        raise ValueError(msg)
    conversations = _conversations(examples)
    start, middle = _part_borders(
        [len(found) for found in conversations], validation=validation, test=test
    )
    train = list(chain.from_iterable(conversations[:start]))
    texts = {text for item in train for text in _texts(item.example)}
    valid, repeated = _by_known_text(texts, conversations[start:middle])
    texts.update(text for item in valid for text in _texts(item.example))
    tests, repeated_too = _by_known_text(texts, conversations[middle:])
    skipped = repeated + repeated_too
    in_parts = [*train, *valid, *tests]
    passed = _stage("examples", len(in_parts), len(skipped))
    messages = _stage("messages", _messages_in(in_parts), _messages_in(skipped))
    return ExampleSplits(train, valid, tests, len(conversations), (messages, passed))


def _stage(unit: str, kept: int, repeated: int) -> Counts:
    stage = Counts("Split", unit, kept + repeated, kept)
    stage.skip("older_text", repeated)
    return stage


def _messages_in(examples: Iterable[TracedExample]) -> int:
    return sum(len(item.example["messages"]) for item in examples)


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


def _part_borders(
    sizes: Sequence[int], *, validation: float, test: float
) -> tuple[int, int]:
    parts = 1 + (validation > 0) + (test > 0)
    if sizes and len(sizes) < parts:
        msg = (
            f"{plural(len(sizes), 'conversation')} cannot be split into {parts} parts. "
            "Add conversations, or split sessions at shorter pauses before cutting "
            "windows."
        )
        raise TrainingDataError(msg)
    total = sum(sizes)
    middle = _start_of_part(sizes, len(sizes), test * total, 1 + (validation > 0))
    return _start_of_part(sizes, middle, validation * total, 1), middle


def _start_of_part(sizes: Sequence[int], end: int, wanted: float, keep: int) -> int:
    # As close to the wanted size as complete conversations allow, but at least one, and
    # `keep` of them stay for the earlier parts.
    if not wanted:
        return end
    start, size = end, 0
    while start > keep:
        more = sizes[start - 1]
        if start < end and size + more - wanted > wanted - size:
            break
        start, size = start - 1, size + more
    return start


def _conversations(examples: Iterable[TracedExample]) -> list[list[TracedExample]]:
    # The oldest first. Joined by session and by message: two exports can contain the
    # same one.
    joined = DisjointSets()
    items = list(examples)
    for item in items:
        if not isinstance(item, TracedExample) or item.origin.session_id is None:
            msg = (
                "The examples have no known session, so windows of one conversation "
                "could be in several parts. Make them from the export with "
                "`trace_examples`, or keep their trace next to them."
            )
            raise TrainingDataError(msg)
        for message_id in item.origin.message_ids:
            joined.join(("session", item.origin.session_id), ("message", message_id))
    found: dict[object, list[TracedExample]] = {}
    for item in items:
        key = joined.find(("session", item.origin.session_id))
        found.setdefault(key, []).append(item)
    return sorted(found.values(), key=_age)


def _age(conversation: Sequence[TracedExample]) -> float:
    # Conversations without a time come first, like messages without a time.
    times = [one.origin.first for one in conversation if one.origin.first is not None]
    return min(times, default=float("-inf"))


def _by_known_text(
    texts: set[str], conversations: Iterable[Iterable[TracedExample]]
) -> tuple[list[TracedExample], list[TracedExample]]:
    new: list[TracedExample] = []
    known: list[TracedExample] = []
    for item in chain.from_iterable(conversations):
        is_known = not texts.isdisjoint(_texts(item.example))
        (known if is_known else new).append(item)
    return new, known


def _texts(example: TrainingExample) -> Iterator[str]:
    chat = [one for one in example["messages"] if one["role"] not in PROMPT_ROLES]
    yield _normalized("\n".join(map(message_text, chat)))
    for whole in map(message_text, chat):
        # Also compare pieces, since a merged run contains several bubbles.
        pieces = dict.fromkeys([whole, *whole.split("\n\n"), *whole.splitlines()])
        for text in map(_normalized, pieces):
            if len(text) >= _MIN_LINE_LENGTH:
                yield text


def _normalized(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _SPACES.sub(" ", folded).strip()
