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
from langchain_chatexports.datasets.preparation import Preparation
from langchain_chatexports.datasets.splits import split_examples
from langchain_chatexports.evaluation.conversations import (
    data_from_examples,
    data_from_sessions,
)
from langchain_chatexports.exceptions import ExportNotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langchain_chatexports.datasets.examples import TrainingExample
    from langchain_chatexports.datasets.trace import TracedExample
    from langchain_chatexports.evaluation.conversations import HeldOutData

__all__ = ["Halves", "halves_of_examples", "halves_of_exports"]

# As `prepare --split` splits.
_SHARE = 0.1
# Of the conversations, where an export has few; and of their examples.
_MAX_SHARE, _MAX_EXAMPLES = 0.4, 0.6
_MIN_CONVERSATIONS, _MIN_TURNS = 40, 150


@dataclass(frozen=True)
class Halves:
    """What is compared, and the examples of its training half."""

    data: HeldOutData
    examples: list[TrainingExample]


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
    splits = split_examples(windows, validation=validation, test=test, near=None)
    parts = {
        str(item.origin.session_id): name
        for name, half in splits.parts().items()
        for item in half
    }
    options = preparation.options
    owners = {summary.owner for _, summary in preparation.summaries()}
    names = options.ai or [options.ai_role or "", *map(str, owners)]
    whole = Preparation(preparation.paths, replace(options, whole=True))
    data = data_from_sessions(whole.sessions(), parts, person=", ".join(sorted(names)))
    return Halves(data, [item.example for item in splits.train])


def _from_files(held_out: Sequence[Path], training: Path) -> Halves:
    trained = list(read_prepared(training))
    tested = [item for path in held_out for item in read_prepared(path)]
    examples = [item.example for item in trained]
    return Halves(data_from_examples(trained, tested), examples)


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
