"""From exports to examples, for the commands that need them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langchain_chatexports.chat_loaders.ledger import Ledger
from langchain_chatexports.cli.console import Meter, asking, say, stdin_is_terminal
from langchain_chatexports.cli.exports import is_examples_file, open_exports
from langchain_chatexports.cli.people import did_you_mean
from langchain_chatexports.cli.totals import about_messages
from langchain_chatexports.datasets.prepared import read_prepared
from langchain_chatexports.datasets.trace import trace_examples
from langchain_chatexports.exceptions import (
    ExportFormatError,
    SenderNotFoundError,
    TrainingDataError,
)
from langchain_chatexports.steps import (
    ChunkSessions,
    LabelSpeakers,
    MapAIMessages,
    MergeChatRuns,
    SplitSessions,
)
from langchain_chatexports.steps.pipe import counted_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import timedelta
    from pathlib import Path

    from langchain_core.chat_sessions import ChatSession

    from langchain_chatexports.chat_loaders.counted_pass import CountedPass
    from langchain_chatexports.chat_loaders.ledger import ExportSummary
    from langchain_chatexports.cli.exports import Export
    from langchain_chatexports.cli.redacting import Redaction
    from langchain_chatexports.datasets.examples import TrainingExample
    from langchain_chatexports.datasets.trace import TracedExample
    from langchain_chatexports.steps import SessionTransform

__all__ = [
    "Gap",
    "Preparation",
    "PrepareOptions",
    "prepare_with_speaker",
]

# Those that `--split` sets by itself are not among them.
_ONLY_FOR_EXPORTS = {
    "ai": "--ai",
    "ai_role": "--ai-role",
    "contacts": "--contacts",
    "whole": "--whole",
    "max_messages": "--max-messages",
    "max_tokens": "--max-tokens",
    "label_groups": "--label-groups",
    "system": "--system",
}

Gap: TypeAlias = "timedelta | Literal['auto'] | None"


@dataclass(frozen=True)
class PrepareOptions:
    """How sessions become examples.

    Attributes:
        ai: Names or handles of the person who becomes the AI; empty for the owner.
        ai_role: The role whose messages become the AI's, in a table.
        contacts: Where names of people in iMessage exports come from.
        size: Messages in a window.
        overlap: Messages that neighboring windows share.
        whole: One example a conversation, cut only where it has too many tokens.
        keep_tail: Add a last, shorter window.
        keep_trailing: Keep messages after the last answer.
        split_gap: Cut threads into conversations first, at pauses longer than this.
        max_messages: Cut longer conversations at their largest pause.
        max_tokens: Most tokens in an example, counted by bytes.
        label_groups: Say in groups who speaks, in the text.
        system: A system prompt for each example.
        redaction: How to replace names and private numbers, if at all.
    """

    ai: tuple[str, ...] = ()
    ai_role: str | None = None
    contacts: Path | None = None
    size: int = 8
    overlap: int = 2
    whole: bool = False
    keep_tail: bool = False
    keep_trailing: bool = False
    split_gap: Gap = None
    max_messages: int | None = None
    max_tokens: int | None = None
    label_groups: bool = False
    system: str | None = None
    redaction: Redaction | None = None

    def given_for_exports(self) -> list[str]:
        """Name the options that were given and change nothing in finished examples."""
        unchanged = PrepareOptions()
        return [
            option
            for name, option in _ONLY_FOR_EXPORTS.items()
            if getattr(self, name) != getattr(unchanged, name)
        ]

    def steps(self, senders: Collection[str]) -> tuple[SessionTransform, ...]:
        """Return the steps that these options stand for.

        Args:
            senders: The names under which the AI's messages stand in an export; none
                for the owner's.
        """
        redacting = self.redaction.steps() if self.redaction else ()
        return (
            *redacting,
            *self._splitting(),
            MergeChatRuns(),
            self.speaking(senders),
            *((LabelSpeakers(),) if self.label_groups else ()),
            *self._windows(),
        )

    def speaking(self, senders: Collection[str]) -> MapAIMessages:
        """Return the step that makes the AI's messages, as for `steps`."""
        names = [self.redaction.name(n) if self.redaction else n for n in senders]
        return MapAIMessages(sender=tuple(names) or None, role=self.ai_role)

    def _splitting(self) -> tuple[SplitSessions, ...]:
        if self.split_gap is None and self.max_messages is None:
            return ()
        gap = "auto" if self.split_gap is None else self.split_gap
        return (SplitSessions(gap=gap, max_messages=self.max_messages),)

    def _windows(self) -> tuple[ChunkSessions, ...]:
        if self.whole and self.max_tokens is None:
            return ()
        return (
            ChunkSessions(
                size=None if self.whole else self.size,
                overlap=self.overlap,
                keep_tail=self.keep_tail or self.whole,
                max_tokens=self.max_tokens,
            ),
        )


@dataclass
class Preparation:
    """One pass from exports (or files of examples) to examples, with its counts.

    Attributes:
        paths: The exports, or JSONL files of examples.
        options: How sessions become examples.
        examples: Examples given so far.
        passes: The exports that are being read, each with its counted pass.
    """

    paths: Sequence[Path]
    options: PrepareOptions
    examples: int = 0
    passes: list[tuple[Export, CountedPass]] = field(default_factory=list)
    _ai_names: list[frozenset[str]] = field(default_factory=list)

    def __iter__(self) -> Iterator[TrainingExample]:
        """Read the exports and give their examples, lazily."""
        return (item.example for item in self.traced(Ledger()))

    def traced(self, ledger: Ledger) -> Iterator[TracedExample]:
        """Read the exports and give their examples with their origins, lazily.

        Args:
            ledger: Where to count; of files of examples nothing is counted.

        Raises:
            TrainingDataError: At the end, if there is no example.
        """
        self.examples = 0
        for item in self._source(ledger):
            self.examples += 1
            yield item
        if not self.examples:
            msg = (
                "No example came of these conversations: they are shorter than a "
                f"window of {self.options.size} messages. Use --keep-tail, a smaller "
                "--size, or --whole."
            )
            raise TrainingDataError(msg)

    def reads_examples(self) -> bool:
        """Return whether the paths are files of examples, and not exports.

        Raises:
            ExportFormatError: If some are and some are not.
        """
        prepared = [is_examples_file(path) for path in self.paths]
        if any(prepared) and not all(prepared):
            which = self.paths[prepared.index(True)]
            msg = (
                f"{which} holds examples and other paths are exports. Give one kind: "
                "prepare the exports first, or leave the file out."
            )
            raise ExportFormatError(msg)
        return all(prepared)

    def meter(self) -> Meter | None:
        """Return what tells how far the reading is; `None` for files of examples."""
        if self.reads_examples():
            return None
        return Meter(
            "messages",
            lambda: sum(counted.messages_read for _, counted in self.passes),
            about_messages(open_exports(self.paths)),
        )

    def _source(self, ledger: Ledger) -> Iterator[TracedExample]:
        if not self.reads_examples():
            return trace_examples(
                self.sessions(),
                system=self.options.system,
                keep_trailing=self.options.keep_trailing,
                ledger=ledger,
            )
        if self.options.redaction:
            msg = (
                "These are examples, and --redact is for exports. Redact the examples "
                "with: chatexports redact"
            )
            raise ExportFormatError(msg)
        given = self.options.given_for_exports()
        if given:
            say(f"warning: {', '.join(given)}: for exports, these are examples already")
        return chain.from_iterable(map(read_prepared, self.paths))

    def sessions(
        self,
        steps: Callable[[Collection[str]], Sequence[SessionTransform]] | None = None,
    ) -> Iterator[ChatSession]:
        """Read the exports and give their sessions, lazily.

        Args:
            steps: Gives the steps to pass an export's sessions through, for the names
                of the AI in it; `None` for those of the options.

        Raises:
            SenderNotFoundError: At the end, if the AI has no message in any export, or
                if nobody was named and an export's owner was not found.
        """
        steps = self.options.steps if steps is None else steps
        exports = open_exports(self.paths, contacts=self.options.contacts)
        if self.options.redaction:
            self.options.redaction.read_names(exports)
        self._ai_names = [
            frozenset(
                name for ai in self.options.ai for name in export.loader.names_of(ai)
            )
            for export in exports
        ]
        self.passes = [
            (export, counted_pass(export.loader, steps(sorted(names))))
            for export, names in zip(exports, self._ai_names, strict=True)
        ]
        return self._checked()

    def _checked(self) -> Iterator[ChatSession]:
        for _, counted in self.passes:
            yield from counted
        self._check_speakers()

    def _check_speakers(self) -> None:
        if self.options.ai_role:
            return  # Whether anybody has the role is seen from the examples.
        silent = [path for path, count in self._answers() if not count]
        if not silent:
            return
        senders = self.senders()
        if not self.options.ai:
            named = ", ".join(str(path) for path in silent)
            msg = f"The owner of {named} was not found: name who speaks with --ai NAME."
            raise SenderNotFoundError(msg, senders)
        if len(silent) == len(self.passes):
            nearest = did_you_mean(self.options.ai, senders)
            msg = f"Nobody in these exports has the name given with --ai.{nearest}"
            raise SenderNotFoundError(msg, senders)
        for path in silent:
            say(f"warning: nobody in {path} has a name given with --ai: left out")

    def _answers(self) -> Iterator[tuple[Path, int]]:
        """Yield each export's messages by the AI."""
        for (export, counted), names in zip(self.passes, self._ai_names, strict=True):
            summary = counted.summary()
            spoken = names or {summary.owner}
            yield (
                export.path,
                sum(n for sender, n in summary.senders.items() if sender in spoken),
            )

    def summaries(self) -> list[tuple[Export, ExportSummary]]:
        """Return the counts of each export, as far as it was read."""
        return [(export, counted.summary()) for export, counted in self.passes]

    def summaries_to_dicts(self) -> list[dict[str, Any]]:
        """Return the counts of each export in JSON types."""
        return [
            {"path": str(export.path), "format": export.format, **summary.to_dict()}
            for export, summary in self.summaries()
        ]

    def say_summaries(self) -> None:
        """Print the counts of each export."""
        for export, summary in self.summaries():
            say(export)
            say(summary)

    def senders(self) -> dict[str, int]:
        """Return the messages of each sender, most first, as far as they were read."""
        senders: Counter[str] = Counter()
        for _, summary in self.summaries():
            senders.update(summary.senders)
        return dict(sorted(senders.items(), key=lambda item: (-item[1], item[0])))

    def say_speaker(self) -> None:
        """Say who became the AI where nobody was named."""
        if self.options.ai or self.options.ai_role:
            return
        for export, summary in self.summaries():
            say(
                f"{export.path.name}: {summary.owner} speaks as the AI "
                "(the export's owner)"
            )


def prepare_with_speaker(
    paths: Sequence[Path],
    options: PrepareOptions,
    use: Callable[[Preparation], object],
) -> Preparation:
    """Prepare; where no speaker was named and no owner is found, ask for one.

    Args:
        paths: The exports, or JSONL files of examples.
        options: How sessions become examples.
        use: Reads a preparation to its end. Called once more after asking.

    Returns:
        The preparation that worked.

    Raises:
        SenderNotFoundError: If the named speaker does not occur, or if none was named,
            no owner is found, and there is no terminal to ask at.
    """
    preparation = Preparation(paths, options)
    try:
        use(preparation)
    except SenderNotFoundError:
        senders = preparation.senders()
        if options.ai or not (stdin_is_terminal() and senders):
            raise
        owners = {s.owner for _, s in preparation.summaries() if s.owner in senders}
        chosen = _ask_for_sender(senders)
        names = (chosen, *sorted(str(owner) for owner in owners))
        preparation = Preparation(paths, replace(options, ai=names))
        use(preparation)
    return preparation


def _ask_for_sender(senders: dict[str, int]) -> str:
    import typer

    say("Whose voice should the model learn? The export does not say whose it is.")
    names = list(senders)
    for number, (name, count) in enumerate(senders.items(), 1):
        say(f"  {number}. {name} ({count:,} messages)")
    while True:
        with asking():
            answer = typer.prompt("Number or name", err=True).strip()
        if answer in senders:
            return str(answer)
        if answer.isdigit() and 1 <= int(answer) <= len(names):
            return names[int(answer) - 1]
        say("Nobody of that number or name.")
