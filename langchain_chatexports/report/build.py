"""`build_report`: compute a report in one pass over exports.

Memory does not grow with the number of messages, because only counts are stored.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import BaseMessage

from langchain_chatexports._terminal import printable
from langchain_chatexports._tokens import estimate_max_tokens
from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.pipe import read_loaders
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.schema import keys_of, metadata_of, sender_of
from langchain_chatexports.datasets.estimate import example_tokens
from langchain_chatexports.datasets.examples import to_training_examples
from langchain_chatexports.datasets.person import PersonNames
from langchain_chatexports.datasets.system_prompts import persona_prompt
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.report.figures import (
    DialogueFigures,
    ExampleFigures,
    ExportReport,
    PersonFigures,
    SourceFigures,
)
from langchain_chatexports.report.habits import HabitCounts
from langchain_chatexports.report.times import TimeCounts, find_time_zone
from langchain_chatexports.steps import MergeChatRuns
from langchain_chatexports.steps.pauses import automatic_gap, pauses_before
from langchain_chatexports.steps.training_steps import Gap, training_steps


def build_report(
    loaders: BaseChatLoader | Sequence[BaseChatLoader],
    *,
    ai: str | Collection[str] = (),
    time_zone: str = "UTC",
    anonymous: bool = False,
    gap: Gap = "auto",
    on_messages: Callable[[int], None] | None = None,
    readings: Sequence[Reading] | None = None,
) -> ExportReport:
    """Count the contents of exports and the training examples made from them.

    The sessions are read once.

    Args:
        loaders: One or more loaders. Sessions are counted after the loader's steps.
        ai: Names or handles of the person who becomes the AI; empty for each
            export's owner.
        time_zone: The time zone for days and hours, such as `Europe/Berlin`; `local`
            for this machine's.
        anonymous: Replace names of people and files with numbers.
        gap: The pause after which chats are split into dialogues; `"auto"` finds it
            in each chat, `None` never splits.
        on_messages: Called after each session with the number of messages read so far.
        readings: The passes over the loaders, to use their names later; by default, new
            ones.

    Returns:
        The figures.

    Raises:
        ValueError: If the time zone is unknown.
        MissedNamesError: If the AI has names that are only found after their messages.
            Pass all of them as `ai`.
        ChatExportError: If an export cannot be read.
    """
    exports = list(loaders) if isinstance(loaders, Sequence) else [loaders]
    ai_names = (ai,) if isinstance(ai, str) else tuple(ai)
    counts = _Counts(TimeCounts(find_time_zone(time_zone)), gap, on_messages)
    summaries = [
        counts.read(reading, ai_names) for reading in readings or read_loaders(exports)
    ]
    people = sorted(counts.senders, key=lambda name: (-counts.senders[name], name))
    owners = dict.fromkeys(summary.owner for summary in summaries if summary.owner)
    # Owners without messages follow.
    people += [owner for owner in owners if owner not in people]
    aliases = {
        name: f"Person {number}" if anonymous else printable(name)
        for number, name in enumerate(people, 1)
    }
    sources = []
    for number, (loader, summary) in enumerate(zip(exports, summaries, strict=True), 1):
        path = getattr(getattr(loader, "loader", loader), "path", None)
        name = f"Export {number}"
        if isinstance(path, Path) and not anonymous:
            name = printable(path.name)
        sources.append(
            SourceFigures(
                name=name,
                platform=summary.platform,
                owner=summary.owner and aliases[summary.owner],
                owner_found_by=summary.owner_found_by,
                chats=summary.sessions,
                found=summary.found,
                kept=summary.kept,
                skipped=dict(summary.skipped),
                first=summary.first,
                last=summary.last,
            )
        )
    return ExportReport(
        anonymous=anonymous,
        sources=tuple(sources),
        messages=counts.senders.total(),
        people=tuple(
            PersonFigures(
                name=aliases[name],
                is_ai=name in counts.ai_senders,
                messages=count,
                characters=counts.characters[name],
            )
            for name in people
            if (count := counts.senders[name])
        ),
        ai_is_owner=not ai_names,
        time=counts.times.figures(),
        dialogues=DialogueFigures(
            count=counts.dialogues,
            shortest_gap=min(counts.gaps, default=None),
            longest_gap=max(counts.gaps, default=None),
        ),
        habits=tuple(
            figures
            for habits in (counts.in_groups, counts.in_pairs)
            if (figures := habits.figures()) is not None
        ),
        examples=ExampleFigures(
            examples=counts.examples, answers=counts.answers, tokens=counts.tokens
        )
        if counts.examples
        else None,
    )


@dataclass
class _Counts:
    """The counts of a report."""

    times: TimeCounts
    gap: Gap
    on_messages: Callable[[int], None] | None
    dialogues: int = 0
    senders: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    ai_senders: set[str] = field(default_factory=set)
    gaps: set[float] = field(default_factory=set)
    in_groups: HabitCounts = field(default_factory=lambda: HabitCounts(is_group=True))
    in_pairs: HabitCounts = field(default_factory=lambda: HabitCounts(is_group=False))
    examples: int = 0
    answers: int = 0
    tokens: int = 0

    def read(self, reading: Reading, ai_names: tuple[str, ...]) -> ExportSummary:
        """Count an export, applying the same steps as `prepare`."""
        person = PersonNames(reading, ai_names)

        def add_chat(session: ChatSession) -> None:
            names = person.select(session)

            def is_ai(message: BaseMessage) -> bool:
                keys = keys_of(message)
                if person:
                    return keys.get("sender") in names
                return keys.get("is_from_me") is True

            is_group = metadata_of(session).get("is_group", False)
            self._add_chat(session.get("messages", ()), is_ai, is_group=is_group)

        sessions = _tap_sessions(reading, add_chat)
        for step in training_steps(person.mapping_step(), gap=self.gap):
            if isinstance(step, MergeChatRuns):
                sessions = _tap_sessions(sessions, self._add_dialogue)
            sessions = step.lazy_transform(sessions)
        examples = to_training_examples(
            sessions, system=persona_prompt, keep_single_messages=False
        )
        # Without messages by the AI, there are no examples.
        with suppress(SenderNotFoundError):
            for example in examples:
                roles = [message["role"] for message in example["messages"]]
                self.examples += 1
                self.answers += roles.count("assistant")
                self.tokens += example_tokens(example, estimate_max_tokens)
        person.check()
        return reading.summary()

    def _add_chat(
        self,
        messages: Sequence[BaseMessage],
        is_ai: Callable[[BaseMessage], bool],
        *,
        is_group: bool,
    ) -> None:
        """Count the messages of a chat."""
        person: str | None = None
        for message in messages:
            content = message.content
            size = len(content if isinstance(content, str) else str(message.text))
            sender, is_from_ai = sender_of(message), is_ai(message)
            self.senders[sender] += 1
            self.characters[sender] += size
            if is_from_ai:
                self.ai_senders.add(sender)
                person = sender
            self.times.add(keys_of(message).get("message_time"), is_ai=is_from_ai)
        pauses = [pause for pause in pauses_before(messages) if pause is not None]
        if pauses and isinstance(self.gap, timedelta):
            self.gaps.add(self.gap.total_seconds())
        elif pauses and self.gap is not None:
            self.gaps.add(automatic_gap(pauses))
        if person is not None:
            habits = self.in_groups if is_group else self.in_pairs
            habits.add(messages, person, automatic_gap(pauses))
        if self.on_messages is not None:
            self.on_messages(self.senders.total())

    def _add_dialogue(self, _session: ChatSession) -> None:
        self.dialogues += 1


def _tap_sessions(
    sessions: Iterable[ChatSession], count: Callable[[ChatSession], None]
) -> Iterator[ChatSession]:
    for session in sessions:
        count(session)
        yield session
        del session
