"""Make training examples from exports, or read files of examples."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeAlias

from langchain_core.chat_sessions import ChatSession

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import Counts, ExportSummary, Reading
from langchain_chatexports.chat_loaders.date_order import DateOrder
from langchain_chatexports.chat_loaders.recognition import (
    Export,
    ExportOptions,
    estimate_message_count,
    is_examples_file,
    open_exports,
)
from langchain_chatexports.chat_loaders.suggestions import did_you_mean
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.datasets.examples import SystemPrompt
from langchain_chatexports.datasets.persona_prompts import persona_prompt
from langchain_chatexports.datasets.redaction import Redaction
from langchain_chatexports.datasets.trace import (
    TracedExample,
    newest_examples,
    trace_examples,
)
from langchain_chatexports.datasets.trace_file import read_prepared
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
    SessionTransform,
    SplitSessions,
)
from langchain_chatexports.steps.pipe import read_loader

# `--split` sets `keep_tail` by itself.
_FOR_EXAMPLES = frozenset({"chats", "keep_tail", "limit", "redaction"})

Gap: TypeAlias = "timedelta | Literal['auto'] | None"


@dataclass(frozen=True)
class PrepareOptions:
    """The options that turn sessions into examples.

    Attributes:
        ai: Names or handles of the person who becomes the AI; empty for the owner.
        contacts: The source of names in iMessage exports.
        people: The table of people.
        export_zone: The time zone of exports with local times; `None` for the default
            of each format.
        date_order: The order of day and month, if an export does not show it.
        chats: The choice of chats.
        gap: The pause after which a thread is split into conversations, before messages
            are merged; `"auto"` finds it in each thread, `None` never splits.
        size: Messages in a window.
        overlap: Messages that neighboring windows share.
        whole: One example per conversation.
        keep_tail: Add a last, shorter window; `None` for yes if threads are split,
            since their conversations are short.
        keep_trailing: Keep messages after the last answer.
        system: A system prompt for each example; `"auto"` names the AI and the other
            people; `None` for none.
        limit: Keep only this many of the newest examples.
        redaction: The redaction of names and private numbers, if any.
    """

    ai: tuple[str, ...] = ()
    contacts: Path | None = None
    people: Path | None = None
    export_zone: str | None = None
    date_order: DateOrder | None = None
    chats: ChatChoice = field(default_factory=ChatChoice)
    gap: Gap = "auto"
    size: int = 8
    overlap: int = 2
    whole: bool = False
    keep_tail: bool | None = None
    keep_trailing: bool = False
    system: str | None = "auto"
    limit: int | None = None
    redaction: Redaction | None = None

    def unused_for_examples(self) -> list[str]:
        """Return the fields that are set, but do not apply to finished examples."""
        default = PrepareOptions()
        return [
            name
            for name, value in vars(self).items()
            if name not in _FOR_EXAMPLES and value != getattr(default, name)
        ]

    def export_options(self) -> ExportOptions:
        """Return the options with which exports are opened."""
        return {
            **self.chats.loader_options(),
            "people": self.people,
            "contacts": self.contacts,
            "timezone": self.export_zone,
            "date_order": self.date_order,
            "columns": None,
        }

    def steps(self, senders: Collection[str]) -> tuple[SessionTransform, ...]:
        """Return the steps that turn an export's sessions into examples' messages."""
        redaction = self.redaction
        names = [redaction.name(name) if redaction else name for name in senders]
        return (
            *(redaction.steps() if redaction else ()),
            *self.split_steps(),
            MergeChatRuns(),
            MapAIMessages(sender=tuple(names) or None),
            LabelSpeakers(),
            *self.window_steps(),
        )

    def split_steps(self) -> tuple[SplitSessions, ...]:
        """Return the step that splits threads into conversations, if any."""
        if self.gap is None:
            return ()
        return (SplitSessions(gap=self.gap),)

    def window_steps(self) -> tuple[ChunkSessions, ...]:
        """Return the step that splits conversations into windows, if any."""
        if self.whole:
            return ()
        keep_tail = self.gap is not None if self.keep_tail is None else self.keep_tail
        # An answer that two windows share is context in the later one.
        window = ChunkSessions(
            size=self.size,
            overlap=self.overlap,
            keep_tail=keep_tail,
            overlap_as_context=True,
        )
        return (window,)

    def system_prompt(self) -> SystemPrompt:
        """Return the system prompt, as `to_training_examples` takes it."""
        return persona_prompt if self.system == "auto" else self.system


@dataclass
class Preparation:
    """One pass from exports (or files of examples) to examples, with its counts."""

    paths: Sequence[Path]
    options: PrepareOptions
    # Yielded so far.
    examples: int = 0
    # The exports with their counted passes, once reading has begun.
    passes: list[tuple[Export, Reading]] = field(default_factory=list)
    _ai_names: list[frozenset[str]] = field(default_factory=list)

    def traced(self, counts: list[Counts]) -> Iterator[TracedExample]:
        """Read the exports, and yield their examples with their origins.

        With a limit, the newest examples are yielded after all have been read.
        """
        examples = self._counted(self._source(counts))
        if self.options.limit is None:
            yield from examples
            return
        newest = [*newest_examples(examples, self.options.limit, counts=counts)]
        self.examples = len(newest)
        yield from newest

    def _counted(self, examples: Iterator[TracedExample]) -> Iterator[TracedExample]:
        self.examples = 0
        for example in examples:
            self.examples += 1
            yield example
        if not self.examples:
            msg = (
                "These conversations produced no examples: they are shorter than a "
                f"window of {plural(self.options.size, 'message')}, or contain no "
                "answers. Use --keep-tail, a smaller --size, --whole, or a longer "
                "--gap."
            )
            raise TrainingDataError(msg)

    @cached_property
    def reads_examples(self) -> bool:
        """Whether the paths are files of examples, and not exports."""
        prepared = [is_examples_file(path) for path in self.paths]
        if any(prepared) and not all(prepared):
            which = self.paths[prepared.index(True)]
            msg = (
                f"{which} holds examples and other paths are exports. Use one kind: "
                "prepare the exports first, or leave the file out."
            )
            raise ExportFormatError(msg)
        return all(prepared)

    @cached_property
    def exports(self) -> list[Export]:
        """The exports at the paths, with the parts of each joined."""
        exports = open_exports(self.paths, **self.options.export_options())
        return self.options.chats.selected(exports)

    @property
    def whole_exports(self) -> tuple[Path, ...]:
        """The paths of exports that were read completely and without redaction.

        A talk must not cite messages that were left out or redacted.
        """
        options = self.options
        is_whole = options.chats.is_everything and not options.redaction
        if not is_whole or self.reads_examples:
            return ()
        return tuple(self.paths)

    @property
    def messages_read(self) -> int:
        """Messages read from the exports so far."""
        return sum(counted.messages_read for _, counted in self.passes)

    def estimate_message_count(self) -> int | None:
        """Estimate the number of messages; `None` if there is no estimate."""
        return estimate_message_count(self.exports)

    def _source(self, counts: list[Counts]) -> Iterator[TracedExample]:
        if not self.reads_examples:
            return trace_examples(
                self.sessions(),
                system=self.options.system_prompt(),
                keep_trailing=self.options.keep_trailing,
                keep_lone=False,
                counts=counts,
            )
        if self.options.redaction:
            msg = (
                "These are examples, and --redact is for exports: prepare the exports "
                "again."
            )
            raise ExportFormatError(msg)
        return chain.from_iterable(map(read_prepared, self.paths))

    def sessions(self) -> Iterator[ChatSession]:
        """Read the exports and yield their sessions."""
        if self.options.redaction:
            self.options.redaction.read_names(self.exports)
        self._ai_names = [
            frozenset(
                name for ai in self.options.ai for name in export.loader.names_of(ai)
            )
            for export in self.exports
        ]
        self.passes = [
            (export, read_loader(export.loader, self.options.steps(sorted(names))))
            for export, names in zip(self.exports, self._ai_names, strict=True)
        ]
        return self._checked()

    def _checked(self) -> Iterator[ChatSession]:
        for _, counted in self.passes:
            yield from counted
        chats = self.options.chats
        if not chats.is_everything:
            chats.check_names(self.exports)
            if not any(summary.kept for _, summary in self.summaries()):
                msg = (
                    "No message in these exports matches --with, --no-groups, "
                    "--exclude, --since and --until. Use fewer of them."
                )
                raise TrainingDataError(msg)
        silent, senders = self.silent_exports(), self.senders()
        if silent and not self.options.ai:
            named = ", ".join(str(path) for path in silent)
            msg = (
                f"The owner of {named} was not found: name the speaker with --ai NAME."
            )
            raise SenderNotFoundError(msg, senders)
        if silent and len(silent) == len(self.passes):
            nearest = did_you_mean(self.options.ai, senders)
            msg = f"Nobody in these exports has the name given with --ai.{nearest}"
            raise SenderNotFoundError(msg, senders)

    def silent_exports(self) -> list[Path]:
        """Return the exports without a message by the AI, of those read so far."""
        silent = []
        for (export, counted), names in zip(self.passes, self._ai_names, strict=True):
            summary = counted.summary()
            if not (summary.kept or self.options.chats.is_everything):
                continue  # All of its chats were excluded.
            if summary.senders.keys().isdisjoint(names or {summary.owner}):
                silent.append(export.path)
        return silent

    @property
    def conversations(self) -> int:
        """The number of conversations so far, after threads were split at pauses."""
        count = 0
        for _, summary in self.summaries():
            if not summary.steps:
                count += summary.sessions
                continue
            last = summary.steps[-1]
            is_windows = last.name == ChunkSessions.__name__
            count += last.sessions_found if is_windows else last.sessions_kept
        return count

    def summaries(self) -> list[tuple[Export, ExportSummary]]:
        """Return the counts of each export so far."""
        return [(export, counted.summary()) for export, counted in self.passes]

    def summaries_to_dicts(self) -> list[dict[str, Any]]:
        """Return the counts of each export in JSON types."""
        return [
            {"path": str(export.path), "format": export.format, **summary.to_dict()}
            for export, summary in self.summaries()
        ]

    def senders(self) -> dict[str, int]:
        """Return the number of messages of each sender so far, most first."""
        senders: Counter[str] = Counter()
        for _, summary in self.summaries():
            senders.update(summary.senders)
        return dict(sorted(senders.items(), key=lambda item: (-item[1], item[0])))
