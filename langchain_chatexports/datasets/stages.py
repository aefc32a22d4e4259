"""What became of every message on the way from an export to a set, stage by stage."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from langchain_chatexports.chat_loaders.ledger import ExportSummary
    from langchain_chatexports.datasets.deduplication import DuplicateCounts
    from langchain_chatexports.datasets.examples import ExampleCounts
    from langchain_chatexports.datasets.preferences import PreferenceCounts
    from langchain_chatexports.datasets.splits import ExampleSplits

__all__ = [
    "REASONS",
    "Stage",
    "Total",
    "stages_of_duplicates",
    "stages_of_examples",
    "stages_of_export",
    "stages_of_preferences",
    "stages_of_split",
    "total_of",
]

_MESSAGES = "messages"
_EXPORT = "Export"

REASONS = {
    # Of the loaders.
    "auto_reply": "an automatic reply",
    "deleted": "in the bin of the app",
    "draft": "never sent",
    "duplicate": "in another file of the export, too",
    "empty": "no text and nothing else",
    "excluded": "left out by name, conversation or date, as was asked",
    "media": "a photo, video, sound or file without a text",
    "orphan": "belongs to no conversation",
    "reaction": "a reaction; it stays with the message that it is about",
    "section": "in a part of the export that is not read (spam, requests)",
    "spam": "marked as spam",
    "system": "written by the app (a call, a new member, a new title)",
    "unreadable": "damaged",
    "unsent": "taken back by its sender",
    # Of the steps.
    "ai_share": "in a conversation in which the AI says too little",
    "dates": "in a conversation outside of the dates",
    "group": "in a conversation that is a group, or is none",
    "merged": "joined with its neighbor of the same sender; its text is kept",
    "not_trained": "in examples whose answers are all context",
    "participants": "in a conversation left out by who takes part",
    "repeated": "once more, in a window that overlaps the one before",
    "tail": "at the end of a conversation, too few for a window",
    "too_long": "longer alone than an example may be",
    "turns": "in a conversation with too few turns",
    "unnamed": "left out by a step that does not say why",
    # Of the examples.
    "forgotten": "taken out on request, after the set was written",
    "exact": "in an example that repeats another one, letter by letter",
    "leading": "by the AI, before anybody else has spoken",
    "near": "in an example that nearly repeats another one",
    "near_duplicate": "in an example whose text an earlier part holds, too",
    "no_assistant": "in a conversation or window in which the AI says nothing",
    "no_prompt": "an answer before anybody has said anything",
    "system_prompt": "put before a conversation",
    "trailing": "after the last answer, where nothing is learned from it",
    # Of preferences.
    "attachments": "an answer around pictures, whose texts cannot be told apart",
    "context": "an answer that is context only",
    "mixed": "an answer both liked and disliked",
    "no_original": "an edited answer whose original is not kept",
    "no_sign": "an answer that nobody edited, or reacted to",
    "others": "not an answer; it may stand in the prompt of one",
    "unchanged": "an answer edited to the same text",
    "unclear": "an answer with reactions that say neither yes nor no",
}
"""What the reasons mean."""


@dataclass(frozen=True)
class Stage:
    """What went into one stage and what came out of it.

    `taken` + the sum of `added` = `given` + the sum of `left_out`.
    """

    name: str
    unit: str
    taken: int
    given: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    added: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return it as a line for a terminal."""
        counts = {**self.added, **self.left_out}
        reasons = [
            f"{count:,} {'added' if reason in self.added else 'left out'}: {reason}"
            for reason, count in counts.items()
        ]
        line = f"{self.name}: {self.taken:,} {self.unit} -> {self.given:,}"
        return "; ".join([line, *reasons])

    @property
    def adds_up(self) -> bool:
        """Whether everything is accounted for."""
        return self.taken + sum(self.added.values()) == (
            self.given + sum(self.left_out.values())
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it in JSON types."""
        return {
            "name": self.name,
            "unit": self.unit,
            "in": self.taken,
            "out": self.given,
            "left_out": dict(self.left_out),
            "added": dict(self.added),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Stage:
        """Read what `to_dict` gave."""
        return cls(
            values["name"],
            values["unit"],
            values["in"],
            values["out"],
            values["left_out"],
            values["added"],
        )


class Total(NamedTuple):
    """The messages of all stages together: `found` + `added` = `kept` + `left_out`."""

    found: int
    kept: int
    left_out: Mapping[str, int]
    added: Mapping[str, int]
    is_of_export: bool
    """Whether `found` are an export's; else they are those of the sessions given."""

    def __str__(self) -> str:
        """Return it as a line for a terminal."""
        found = "in the exports" if self.is_of_export else "in the conversations given"
        parts = [f"{self.found:,} {found}"]
        parts += [f"{count:,} {reason}" for reason, count in self.added.items()]
        left = [f"{count:,} {reason}" for reason, count in self.left_out.items()]
        return f"{' + '.join(parts)} = {' + '.join([f'{self.kept:,} kept', *left])}"


def total_of(stages: Sequence[Mapping[str, Any]]) -> Total | None:
    """Add up what became of the messages.

    Args:
        stages: The stages in their order, as `Stage.to_dict` gives them.

    Returns:
        The total, or `None` where the stages do not follow on each other (some were
        counted in another pass, say), or there is none of messages.
    """
    of_messages = [stage for stage in stages if stage["unit"] == _MESSAGES]
    if not of_messages:
        return None
    exports = [stage for stage in of_messages if stage["name"].startswith(_EXPORT)]
    found = sum(stage["in"] for stage in exports or of_messages[:1])
    kept = of_messages[-1]["out"]
    left_out, added = Counter[str](), Counter[str]()
    for stage in of_messages:
        left_out.update(stage["left_out"])
        added.update(stage["added"])
    if found + added.total() != kept + left_out.total():
        return None
    return Total(found, kept, _sorted(left_out), _sorted(added), bool(exports))


def stages_of_export(summary: ExportSummary) -> Iterator[Stage]:
    """Yield what became of an export's messages in its loader and in its steps."""
    yield Stage(
        f"{_EXPORT} ({summary.platform})",
        _MESSAGES,
        summary.found,
        summary.kept,
        dict(summary.skipped),
    )
    for step in summary.steps:
        yield Stage(
            step.name,
            _MESSAGES,
            step.messages_in,
            step.messages_out,
            dict(step.left_out),
            dict(step.added),
        )


def stages_of_examples(counts: ExampleCounts) -> Iterator[Stage]:
    """Yield what became of sessions and messages on the way to examples."""
    prompts = counts.system_prompts
    yield Stage(
        "Examples",
        _MESSAGES,
        counts.messages_in,
        counts.messages_out + prompts,
        _sorted(counts.messages_left_out),
        {"system_prompt": prompts} if prompts else {},
    )
    yield Stage(
        "Examples",
        "sessions",
        counts.sessions,
        counts.examples,
        _sorted(counts.sessions_left_out),
    )


def stages_of_duplicates(counts: DuplicateCounts) -> Iterator[Stage]:
    """Yield what became of examples, and of the messages in them."""
    left_out = _sorted(counts.messages_left_out)
    kept = counts.messages - sum(left_out.values())
    yield Stage("Duplicates", _MESSAGES, counts.messages, kept, left_out)
    left_out = _sorted(counts.left_out)
    yield Stage("Duplicates", "examples", counts.examples, counts.kept, left_out)


def stages_of_preferences(counts: PreferenceCounts) -> Iterator[Stage]:
    """Yield what became of the messages, the AI's and all others."""
    left_out = Counter(counts.left_out)
    others = counts.messages - counts.answers
    if others:
        left_out["others"] += others
    yield Stage(
        "Preferences", _MESSAGES, counts.messages, counts.given, _sorted(left_out)
    )


def stages_of_split(splits: ExampleSplits) -> Iterator[Stage]:
    """Yield what became of examples, and of the messages in them."""
    kept = [item for part in splits.parts().values() for item in part]
    messages = sum(len(item.example["messages"]) for item in kept)
    left_out = _sorted(splits.messages_left_out)
    taken = messages + sum(left_out.values())
    yield Stage("Split", _MESSAGES, taken, messages, left_out)
    left_out = _sorted(splits.left_out)
    yield Stage("Split", "examples", splits.examples, len(kept), left_out)


def _sorted(counts: Mapping[str, int] | Iterable[Any]) -> dict[str, int]:
    return dict(sorted(dict(counts).items()))
