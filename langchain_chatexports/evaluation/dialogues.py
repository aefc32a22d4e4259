"""The dialogues that a model was trained on and the held-out ones."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

from langchain_chatexports._translation import Sentence
from langchain_chatexports.datasets.chat_prompts import PROMPT_ROLES, message_text
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.replies import EarlierReply, ReplyIndex
from langchain_chatexports.exceptions import TrainingDataError
from langchain_chatexports.local_server import Model, Workspace

PERSON = ""
"""The speaker of the messages of the person to imitate."""

OTHER = "other"

_BUBBLES = "\n\n"
# Shorter messages at the border of two windows may be equal by chance.
_MIN_BORDER_LENGTH = 12


@dataclass(frozen=True)
class Utterance:
    """A turn of the person, merged as in training, or a message of another person."""

    speaker: str
    text: str = field(repr=False)
    is_forwarded: bool = False
    """Whether the text is forwarded or quoted, and so not trained on."""


@dataclass(frozen=True)
class Dialogue:
    """A dialogue between the person and others."""

    lines: tuple[Utterance, ...] = field(repr=False)
    """The utterances, oldest first; consecutive lines of the person are merged."""

    system: str | None = field(default=None, repr=False)

    @classmethod
    def from_lines(
        cls, lines: Iterable[Utterance], *, system: str | None = None
    ) -> "Dialogue":
        """Merge the person's consecutive lines.

        Other people's lines are not merged, because training keeps them separate.
        """
        merged: list[Utterance] = []
        for line in lines:
            if merged and line.speaker == PERSON == merged[-1].speaker:
                last = merged.pop()
                text = f"{last.text}{_BUBBLES}{line.text}"
                is_forwarded = last.is_forwarded or line.is_forwarded
                merged.append(Utterance(PERSON, text, is_forwarded))
            else:
                merged.append(line)
        return cls(tuple(merged), system)

    def exchanges(self) -> Iterator[tuple[Utterance, Utterance]]:
        """Yield each of the person's own utterances, with the one before it."""
        for before, line in pairwise(self.lines):
            if line.speaker == PERSON and not line.is_forwarded:
                yield before, line

    def replies(self) -> list[str]:
        """Return the person's replies to others."""
        return [line.text for _, line in self.exchanges()]


@dataclass(frozen=True)
class HeldOutData:
    """The dialogues that a model was trained on and the held-out ones."""

    training: Sequence[Dialogue] = field(repr=False)
    held_out: Sequence[Dialogue] = field(repr=False)


def data_from_examples(
    training: Iterable[TrainingExample], held_out: Iterable[TrainingExample]
) -> HeldOutData:
    """Rebuild dialogues from examples; overlapping windows are joined.

    Args:
        training: The examples that the model was trained on.
        held_out: The held-out examples.

    Returns:
        The dialogues of both.

    Raises:
        TrainingDataError: If the person has no replies in one of them.
    """
    data = []
    for name, examples in (("training", training), ("held-out", held_out)):
        dialogues = [
            _rebuild_dialogue(windows) for windows in _group_overlapping(examples)
        ]
        if not any(dialogue.replies() for dialogue in dialogues):
            msg = (
                f"The person has no replies in the {name} examples, so there is "
                "nothing to evaluate. Train on more chats."
            )
            raise TrainingDataError(msg)
        data.append(dialogues)
    return HeldOutData(*data)


def load_model_data(workspace: Workspace, model: Model) -> HeldOutData:
    """Load the training data and the held-out data of a model on this machine.

    Args:
        workspace: The jobs and files of this machine.
        model: The tuned model.

    Returns:
        The dialogues of both.

    Raises:
        TrainingDataError: If training held nothing out, or its examples were
            deleted.
    """
    training, validation = workspace.examples(model)
    examples = cast("list[TrainingExample]", training)
    held_out = cast("list[TrainingExample]", validation)
    if not (examples and held_out):
        msg = Sentence(
            "Nothing to evaluate: training held out no examples, or they were deleted. "
            "Train a model on at least 50 distinct examples."
        )
        raise TrainingDataError(msg)
    return data_from_examples(examples, held_out)


def index_replies(dialogues: Iterable[Dialogue]) -> ReplyIndex:
    """Return an index of the person's replies in dialogues."""
    return ReplyIndex(
        EarlierReply(before.text, line.text)
        for dialogue in dialogues
        for before, line in dialogue.exchanges()
    )


def _extract_chat(example: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Return the role and text of messages with text, and whether their weight is 0."""
    return [
        (message["role"], text, message.get("weight") == 0)
        for message in example["messages"]
        if message["role"] not in PROMPT_ROLES
        and (text := message_text(message)).strip()
    ]


def _group_overlapping(
    examples: Iterable[TrainingExample],
) -> Iterator[list[TrainingExample]]:
    """Group consecutive windows that overlap."""
    windows: list[TrainingExample] = []
    for example in examples:
        if windows and not _count_overlap(windows[-1], example):
            yield windows
            windows = []
        windows.append(example)
    if windows:
        yield windows


def _count_overlap(before: TrainingExample, after: TrainingExample) -> int:
    """Return how many messages at the end of one window begin the next one."""
    # Ignore weights: the same message may have another weight in each window.
    before_messages = [message[:2] for message in _extract_chat(before)]
    after_messages = [message[:2] for message in _extract_chat(after)]
    for count in range(min(len(before_messages), len(after_messages)), 0, -1):
        if before_messages[-count:] == after_messages[:count]:
            is_long = len(after_messages[0][1]) >= _MIN_BORDER_LENGTH
            return count if is_long or count > 1 else 0
    return 0


def _rebuild_dialogue(windows: Sequence[TrainingExample]) -> Dialogue:
    lines: list[Utterance] = []
    for index, window in enumerate(windows):
        overlap = _count_overlap(windows[index - 1], window) if index else 0
        for role, text, has_no_weight in _extract_chat(window)[overlap:]:
            is_person = role == "assistant"
            speaker = PERSON if is_person else OTHER
            lines.append(Utterance(speaker, text, is_person and has_no_weight))
    first_message = windows[0]["messages"][0]
    is_prompt = first_message["role"] in PROMPT_ROLES
    system = message_text(first_message) or None if is_prompt else None
    return Dialogue.from_lines(lines, system=system)
