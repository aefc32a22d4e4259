"""Convert exports to training examples, or read example files."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from langchain_core.chat_sessions import ChatSession

from langchain_chatexports._translation import Sentence
from langchain_chatexports.chat_loaders.counts import Counts, ExportSummary
from langchain_chatexports.chat_loaders.date_order import DateOrder
from langchain_chatexports.chat_loaders.pipe import read_loaders
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.recognition import (
    Export,
    ExportOptions,
    estimate_message_count,
    open_exports,
)
from langchain_chatexports.chat_loaders.schema import sender_of
from langchain_chatexports.datasets.example_files import is_examples_file
from langchain_chatexports.datasets.examples import SystemPrompt
from langchain_chatexports.datasets.person import PersonNames
from langchain_chatexports.datasets.system_prompts import persona_prompt
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
from langchain_chatexports.steps import ChunkSessions, SessionTransform
from langchain_chatexports.steps.training_steps import Gap, training_steps
from langchain_chatexports.workflows.chat_filter import ChatFilter, index_names
from langchain_chatexports.workflows.redaction import Redaction

# Fields that also apply to finished examples; a split set has its own `keep_tail`.
_EXAMPLE_FIELDS = frozenset({"chats", "keep_tail", "limit", "redaction"})


@dataclass(frozen=True)
class PrepareOptions:
    """Options for converting exports to examples."""

    ai: tuple[str, ...] = ()
    """Names or handles of the person who becomes the AI; empty for the owner."""

    people: tuple[Path, ...] = ()
    """Paths of tables of people, vCards and address books."""

    export_zone: str | None = None
    """Time zone of exports with local times; `None` for the format's default."""

    date_order: DateOrder | None = None
    """Order of day and month in ambiguous dates."""

    chats: ChatFilter = field(default_factory=ChatFilter)
    """Filter that selects the chats."""

    gap: Gap = "auto"
    """Minimum pause between two dialogues in a chat; `"auto"` detects it for each chat,
    `None` never splits."""

    size: int = 8
    """Number of messages in a window."""

    overlap: int = 2
    """Number of messages shared by adjacent windows."""

    whole: bool = False
    """Whether to create one example per dialogue."""

    keep_tail: bool | None = None
    """Whether to add a last, shorter window. `None` adds it if chats are split, since
    dialogues are short."""

    keep_trailing: bool = False
    """Whether to keep messages after the last answer."""

    system: str | None = "auto"
    """System prompt for each example; `"auto"` names the AI and the other people;
    `None` for no prompt."""

    limit: int | None = None
    """Maximum number of examples; the newest are kept."""

    redaction: Redaction | None = None
    """Redaction of names and private numbers, if any."""

    def unused_for_examples(self) -> list[str]:
        """Return the names of set fields that do not apply to finished examples."""
        default = PrepareOptions()
        return [
            name
            for name, value in vars(self).items()
            if name not in _EXAMPLE_FIELDS and value != getattr(default, name)
        ]

    def export_options(self) -> ExportOptions:
        """Return the options for opening exports."""
        return {
            **self.chats.loader_options(),
            "people": self.people or None,
            "timezone": self.export_zone,
            "date_order": self.date_order,
            "columns": None,
        }

    def person(self, reading: Reading) -> PersonNames:
        """Return the names of the person who becomes the AI, in one export."""
        redact = self.redaction.redact_sender if self.redaction else None
        return PersonNames(reading, self.ai, redact)

    def steps(self, person: PersonNames) -> tuple[SessionTransform, ...]:
        """Return the steps that convert an export's sessions to example messages."""
        return (
            *(self.redaction.steps() if self.redaction else ()),
            *training_steps(
                person.mapping_step(),
                gap=self.gap,
                size=self.size,
                overlap=self.overlap,
                whole=self.whole,
                keep_tail=self.keep_tail,
            ),
        )

    def system_prompt(self) -> SystemPrompt:
        """Return the system prompt for `to_training_examples`."""
        return persona_prompt if self.system == "auto" else self.system


class SeveralPeopleError(Exception):
    """An export has chats with several people, or its owner is unknown."""


class OtherPerson(PersonNames):
    """The one whom the owner of exports talks to, if it is always the same person."""

    def __init__(self, reading: Reading, names: set[str]) -> None:
        """Initialize without reading; all exports share `names`."""
        super().__init__(reading, ())
        self._reading, self._names = reading, names

    def __bool__(self) -> bool:
        """Return whether there is a person to map: always, unlike without names."""
        return True

    def find(self) -> frozenset[str]:
        """Return the person's name, once it is read."""
        return frozenset(self._names)

    def select(self, session: ChatSession) -> frozenset[str]:
        """Return the other person in a session."""
        owner = self._reading.owner
        self._names |= {*map(sender_of, session.get("messages", ()))} - {owner}
        if owner is None or len(self._names) > 1:
            raise SeveralPeopleError
        return self.find()


@dataclass
class Preparation:
    """A counted pass over exports or example files."""

    paths: Sequence[Path]
    options: PrepareOptions
    other_person: set[str] | None = None
    """To imitate the other person of chats with one: the name, once it is read."""

    examples: int = 0
    """The number of examples so far."""

    passes: list[tuple[Export, Reading]] = field(default_factory=list)
    """The exports and their counted passes, set when reading begins."""

    _persons: list[PersonNames] = field(default_factory=list)

    def iter_examples(self, counts: list[Counts]) -> Iterator[TracedExample]:
        """Yield the exports' examples with their origins.

        With a limit, all examples are read before the newest are yielded.
        """
        examples = self._count_examples(self._read_examples(counts))
        if self.options.limit is None:
            yield from examples
            return
        newest = [*newest_examples(examples, self.options.limit, counts=counts)]
        self.examples = len(newest)
        yield from newest

    def _count_examples(
        self, examples: Iterator[TracedExample]
    ) -> Iterator[TracedExample]:
        self.examples = 0
        for example in examples:
            self.examples += 1
            yield example
        if not self.examples:
            msg = Sentence(
                "These dialogues produced no examples: they are shorter than a "
                "window ({size}), or contain no answers. Use `keep_tail`, a smaller "
                "`size`, `whole`, or a longer `gap`.",
                size=self.options.size,
            )
            parameters = ("keep_tail", "size", "whole", "gap")
            raise TrainingDataError(msg, parameters=parameters)

    @cached_property
    def has_example_files(self) -> bool:
        """Whether the paths are example files rather than exports."""
        has_examples = [is_examples_file(path) for path in self.paths]
        if any(has_examples) and not all(has_examples):
            path = self.paths[has_examples.index(True)]
            msg = Sentence(
                "{path} contains examples, but other paths are exports. Pass either "
                "examples or exports, not both.",
                path=path,
            )
            raise ExportFormatError(msg)
        return all(has_examples)

    @cached_property
    def exports(self) -> list[Export]:
        """The exports at the paths; all files of a split export form one export."""
        return open_exports(self.paths, **self.options.export_options())

    @property
    def citable_exports(self) -> tuple[Path, ...]:
        """Paths of exports that a talk may cite.

        Empty if chats were excluded or redacted, since those must not be cited.
        """
        options = self.options
        if not options.chats.includes_all or options.redaction:
            return ()
        return () if self.has_example_files else tuple(self.paths)

    @property
    def readings(self) -> list[Reading]:
        """The counted passes."""
        return [reading for _, reading in self.passes]

    @property
    def messages_read(self) -> int:
        """The number of messages read from the exports so far."""
        return sum(reading.messages_read for reading in self.readings)

    def estimate_message_count(self) -> int | None:
        """Estimate the number of messages; `None` if that is not possible."""
        return estimate_message_count(self.exports)

    def _read_examples(self, counts: list[Counts]) -> Iterator[TracedExample]:
        if not self.has_example_files:
            return trace_examples(
                self.sessions(),
                system=self.options.system_prompt(),
                keep_trailing=self.options.keep_trailing,
                keep_single_messages=False,
                counts=counts,
            )
        if self.options.redaction:
            msg = (
                "These files contain examples, but only exports can be redacted. "
                "Prepare the exports again with a redaction."
            )
            raise ExportFormatError(msg, parameters=("redact",))
        return chain.from_iterable(map(read_prepared, self.paths))

    def sessions(self) -> Iterator[ChatSession]:
        """Read the exports and yield their sessions."""
        if self.options.redaction:
            self.options.redaction.read_names(self.exports)
        self._persons = []
        loaders = [export.loader for export in self.exports]
        readings = read_loaders(loaders, self._create_steps)
        self.passes = list(zip(self.exports, readings, strict=True))
        return self._read_sessions()

    def _create_steps(self, reading: Reading) -> tuple[SessionTransform, ...]:
        names = self.other_person
        person = self.options.person(reading)
        self._persons.append(person if names is None else OtherPerson(reading, names))
        return self.options.steps(self._persons[-1])

    def _read_sessions(self) -> Iterator[ChatSession]:
        for _, reading in self.passes:
            yield from reading
        chats = self.options.chats
        if not chats.includes_all:
            chats.check_names(self.readings)
            if not any(summary.kept for _, summary in self.summaries()):
                msg: str = Sentence(
                    "No message in these exports matches the filter of chats. Use "
                    "fewer or other conditions."
                )
                raise TrainingDataError(msg, parameters=chats.used_fields())
        for person in self._persons:
            person.check()
        without_ai, senders = self.exports_without_ai(), self.senders()
        if without_ai and not self.options.ai:
            paths = ", ".join(str(path) for path in without_ai)
            msg = Sentence(
                "The owner of {paths} is unknown. Choose a person with `ai`.",
                paths=paths,
            )
            raise SenderNotFoundError(msg, senders, parameters=("ai",))
        if without_ai and len(without_ai) == len(self.passes):
            known_names = index_names(self.readings, senders)
            msg = known_names.problem(
                self.options.ai, "sender in these exports", "`ai`"
            )
            raise SenderNotFoundError(msg, senders, parameters=("ai",))

    def exports_without_ai(self) -> list[Path]:
        """Return the exports read so far that have no message from the AI."""
        without_ai = []
        for (export, reading), person in zip(self.passes, self._persons, strict=True):
            summary, names = reading.summary(), person.find()
            if not (summary.kept or self.options.chats.includes_all):
                continue  # All of its chats were excluded.
            if summary.senders.keys().isdisjoint(names or {summary.owner}):
                without_ai.append(export.path)
        return without_ai

    @property
    def dialogues(self) -> int:
        """The number of dialogues so far, after conversations were split at pauses."""
        count = 0
        for _, summary in self.summaries():
            if not summary.steps:
                count += summary.sessions
                continue
            last_step = summary.steps[-1]
            if last_step.name == ChunkSessions.__name__:
                count += last_step.sessions_found
            else:
                count += last_step.sessions_kept
        return count

    def summaries(self) -> list[tuple[Export, ExportSummary]]:
        """Return the counts of each export so far."""
        return [(export, reading.summary()) for export, reading in self.passes]

    def summaries_to_dicts(self) -> list[dict[str, Any]]:
        """Return the counts of each export in JSON types."""
        return [
            {"path": str(export.path), "format": export.format, **summary.to_dict()}
            for export, summary in self.summaries()
        ]

    def senders(self) -> dict[str, int]:
        """Return the message count of each sender so far, in descending order."""
        senders: Counter[str] = Counter()
        for _, summary in self.summaries():
            senders.update(summary.senders)
        return dict(sorted(senders.items(), key=lambda item: (-item[1], item[0])))
