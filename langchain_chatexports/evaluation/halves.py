"""What a model was trained on and what was held out, from sets, files or exports."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.recognition import (
    is_examples_file,
    set_parts,
)
from langchain_chatexports.datasets.example_files import read_prepared
from langchain_chatexports.datasets.message_text import message_text
from langchain_chatexports.datasets.preparation import Preparation
from langchain_chatexports.datasets.splits import split_examples
from langchain_chatexports.datasets.trace import UNKNOWN_ORIGIN, TracedExample
from langchain_chatexports.evaluation.contestants import PairIndex, training_pairs
from langchain_chatexports.evaluation.conversations import (
    data_from_examples,
    data_from_sessions,
)
from langchain_chatexports.evaluation.held_out import require_turns
from langchain_chatexports.exceptions import (
    ExportNotFoundError,
    SenderNotFoundError,
    TrainingDataError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from langchain_chatexports.datasets.examples import TrainingExample
    from langchain_chatexports.evaluation.conversations import HeldOutData
    from langchain_chatexports.evaluation.model_server import ModelServer

__all__ = [
    "Halves",
    "halves_of_examples",
    "halves_of_exports",
    "halves_of_job",
    "pairs_of_job",
]

# As `prepare --split` splits.
_SHARE = 0.1
# Of the conversations, where an export has few; and of their examples.
_MAX_SHARE, _MAX_EXAMPLES = 0.4, 0.6
_MIN_CONVERSATIONS, _MIN_TURNS = 40, 150


@dataclass(frozen=True)
class Halves:
    """What is compared, and where it comes from.

    Attributes:
        data: Both halves as conversations.
        training: The examples of the training half, with their origins.
        held_out_ids: The ids of the held-out conversations of exports.
        preparation: How exports were read; `None` where there are none.
    """

    data: HeldOutData
    training: list[TracedExample]
    held_out_ids: frozenset[str] = frozenset()
    preparation: Preparation | None = None

    @property
    def examples(self) -> list[TrainingExample]:
        """The examples of the training half."""
        return [item.example for item in self.training]

    def training_of_another(self, name: str) -> list[TracedExample]:
        """Return what another person of the same exports would be trained on.

        Args:
            name: A name or handle of that person.

        Returns:
            Their newest examples outside the held-out conversations, no more than the
            person's own.

        Raises:
            SenderNotFoundError: If the person does not speak in the exports.
            TrainingDataError: If there are no exports, but examples.
        """
        if self.preparation is None:
            msg = (
                "Examples are one person's: to compare with another person's model, "
                "name the exports."
            )
            raise TrainingDataError(msg)
        options = replace(self.preparation.options, ai=(name,), ai_role=None)
        another = Preparation(self.preparation.paths, options)
        try:
            found = [
                item
                for item in another.traced([])
                if str(item.origin.session_id) not in self.held_out_ids
            ]
        except SenderNotFoundError as error:
            msg = "The other person does not speak in these exports."
            raise SenderNotFoundError(msg, error.senders) from None
        found.sort(key=lambda item: item.origin.first or 0)
        return found[-len(self.training) :]


def halves_of_examples(paths: Sequence[Path], training: Path | None) -> Halves | None:
    """Read both halves from examples that were written before.

    Args:
        paths: The folder of a set with both parts, or files of held-out examples.
        training: The file of examples that the model was trained on, for the latter.

    Returns:
        The halves; `None` if the paths are exports.

    Raises:
        ExportNotFoundError: If one half is missing.
    """
    parts = set_parts(paths[0]) if len(paths) == 1 and training is None else {}
    if parts:
        if "test" not in parts:
            msg = (
                f"{paths[0]} has no test.jsonl: it was not split, or the training part "
                "repeats all that was to be held out. Write it again from more "
                "conversations: chatexports prepare --split"
            )
            raise ExportNotFoundError(msg)
        return _from_files([parts["test"]], parts["train"])
    prepared = [is_examples_file(path) for path in paths]
    if not all(prepared):
        return None
    if training is None:
        msg = (
            "These examples are held out, and those that the model was trained on are "
            "needed too: --training FILE, or the folder of prepare --split."
        )
        raise ExportNotFoundError(msg)
    return _from_files(paths, training)


def halves_of_exports(
    windows: Sequence[TracedExample],
    preparation: Preparation,
    *,
    holds_out_enough: bool,
) -> Halves:
    """Split exports: the older conversations for training, the newest held out.

    Args:
        windows: The examples of the exports.
        preparation: The finished preparation that they came from.
        holds_out_enough: Whether as much is held out as a comparison needs, or as
            little as `prepare --split` does.
    """
    validation, test = (0.0, _share(windows)) if holds_out_enough else (_SHARE, _SHARE)
    splits = split_examples(windows, validation=validation, test=test)
    parts = {
        str(item.origin.session_id): name
        for name, half in splits.parts().items()
        for item in half
    }
    options = preparation.options
    owners = {summary.owner for _, summary in preparation.summaries()}
    names = options.ai or [options.ai_role or "", *map(str, owners)]
    # Labels are read before texts, and belong to nobody's style.
    options_of_whole = replace(options, whole=True, label_groups=False)
    whole = Preparation(preparation.paths, options_of_whole)
    data = data_from_sessions(
        whole.sessions(),
        parts,
        person=", ".join(sorted(names)),
        prompts=_prompts(windows),
        labels_groups=options.label_groups,
    )
    held_out = frozenset(name for name, part in parts.items() if part == "test")
    return Halves(data, splits.train, held_out, preparation)


def _prompts(windows: Iterable[TracedExample]) -> dict[str, str]:
    """Return the system prompts of the conversations' first windows, by session id."""
    found: dict[str, str] = {}
    for item in windows:
        first = item.example["messages"][0]
        if first["role"] == "system":
            found.setdefault(str(item.origin.session_id), message_text(first))
    return found


def halves_of_job(server: ModelServer, model: str) -> Halves:
    """Read both halves from the job that made a model: what it trained on and held out.

    Args:
        server: The server that has the model.
        model: The tuned model's name.

    Raises:
        TrainingDataError: If the job held nothing out, or its files are gone.
    """
    job = server.job_facts(model)
    if isinstance(job.examples, str) or isinstance(job.held_out, str):
        reason = job.examples if isinstance(job.examples, str) else job.held_out
        msg = (
            f"There is nothing to compare the model with: {reason}. A training holds a "
            "part out where there are 50 examples and more that do not repeat each "
            "other: train on more chats."
        )
        raise TrainingDataError(msg)
    trained = _untraced(job.examples)
    data = data_from_examples(trained, _untraced(job.held_out))
    require_turns(data)
    return Halves(data, trained)


def pairs_of_job(server: ModelServer, model: str) -> PairIndex:
    """Index what the person answered to whom in what a model was trained on.

    Args:
        server: The server that has the model.
        model: The tuned model's name.

    Raises:
        TrainingDataError: If the examples of its training are gone, or are without an
            answer.
    """
    examples = server.job_facts(model).examples
    if isinstance(examples, str):
        msg = f"There are no examples of its training: {examples}."
        raise TrainingDataError(msg)
    pairs = training_pairs(data_from_examples(_untraced(examples), ()).training)
    if not pairs:
        msg = "There are no examples of its training that answer anybody."
        raise TrainingDataError(msg)
    return PairIndex(pairs)


def _untraced(examples: Sequence[TrainingExample]) -> list[TracedExample]:
    return [TracedExample(example, UNKNOWN_ORIGIN) for example in examples]


def _from_files(held_out: Sequence[Path], training: Path) -> Halves:
    trained = list(read_prepared(training))
    tested = [item for path in held_out for item in read_prepared(path)]
    return Halves(data_from_examples(trained, tested), trained)


def _share(windows: Sequence[TracedExample]) -> float:
    """Return the share of the examples that the newest conversations hold."""
    oldest_first, turns = Counter[str](), Counter[str]()
    for item in sorted(windows, key=lambda item: item.origin.first or 0):
        session = str(item.origin.session_id)
        oldest_first[session] += 1
        roles = (message["role"] for message in item.example["messages"])
        turns[session] += sum(role == "assistant" for role in roles)
    sizes = list(oldest_first.values())
    newest_turns = [turns[session] for session in reversed(oldest_first)]
    for_turns = sum(total < _MIN_TURNS for total in accumulate(newest_turns)) + 1
    enough = max(_MIN_CONVERSATIONS, for_turns)
    wanted = max(int(_SHARE * len(sizes)), min(enough, int(_MAX_SHARE * len(sizes))), 1)
    return min(_MAX_EXAMPLES, sum(sizes[-wanted:]) / max(len(windows), 1))
