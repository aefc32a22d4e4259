"""The people of published archives, with training and held-out conversations."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from benchmarks.published_chats import ARCHIVES, most_active_senders, write_table
from langchain_chatexports import (
    MapAIMessages,
    MergeChatRuns,
    SplitSessions,
    TableChatLoader,
)
from langchain_chatexports.datasets.replies import ReplyIndex
from langchain_chatexports.evaluation.dialogues import (
    PERSON,
    Dialogue,
    HeldOutData,
    Utterance,
    index_replies,
)
from langchain_chatexports.evaluation.held_out import HeldOutTurn, choose_turns
from langchain_chatexports.personas.style import style_card
from langchain_chatexports.steps.select_sessions import has_several_others

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_core.chat_sessions import ChatSession
    from langchain_core.messages import BaseMessage

_HELD_OUT = 40


@dataclass(frozen=True)
class Person:
    """A person of an archive, with training and held-out conversations."""

    speaker: str
    name: str
    sessions: list[ChatSession] = field(repr=False)

    @cached_property
    def own(self) -> list[ChatSession]:
        """The conversations with a reply by the person, oldest first."""
        answering = [s for s in self.sessions if to_dialogue(s).replies()]
        return sorted(answering, key=_time)

    @cached_property
    def training(self) -> list[ChatSession]:
        """The conversations except the newest."""
        return self.own[:-_HELD_OUT]

    @cached_property
    def past(self) -> list[Dialogue]:
        """The training conversations as dialogues."""
        return [to_dialogue(session) for session in self.training]

    @cached_property
    def replies(self) -> ReplyIndex:
        """The replies of the training conversations, for prompts."""
        return index_replies(self.past)

    @cached_property
    def style(self) -> str | None:
        """A description of the person's style."""
        return style_card(text for talk in self.past for text in talk.replies())

    @cached_property
    def held_out(self) -> list[Dialogue]:
        """The newest conversations as dialogues."""
        return [to_dialogue(session) for session in self.own[-_HELD_OUT:]]

    def turns(self, count: int) -> list[HeldOutTurn]:
        """Choose turns of the newest conversations."""
        data = HeldOutData(self.past, self.held_out)
        return choose_turns(data, max_turns=count, min_dialogues=count, seed=0)


def to_dialogue(session: ChatSession) -> Dialogue:
    """Convert a session to a dialogue for the evaluation."""
    has_labels = has_several_others(session)

    def utterance(message: BaseMessage) -> Utterance:
        if message.type == "ai":
            return Utterance(PERSON, str(message.text))
        sender = message.additional_kwargs["sender"]
        label = f"{sender}: " if has_labels else ""
        return Utterance(sender, f"{label}{message.text}")

    return Dialogue.from_lines(map(utterance, session["messages"]))


def _time(session: Any) -> int:
    return int(session["messages"][0].additional_kwargs["message_time"])


def find_people(archives: Path, results: Path, kind: str) -> dict[str, Person]:
    """Read an archive, and return its most active people by their keys."""
    table, names = results / f"{kind}.csv", results / f"{kind}.json"
    if not table.is_file() or not names.is_file():
        folder, read = ARCHIVES[kind]
        lines = list(read(archives / folder))
        write_table(lines, table)
        names.write_text(json.dumps(most_active_senders(lines, 4)))
    split = SplitSessions() | MergeChatRuns()
    sessions = list(TableChatLoader(table) | split)
    return {
        f"{kind}-{number}": Person(
            f"{kind}-{number}", name, list(MapAIMessages(sender=name).invoke(sessions))
        )
        for number, name in enumerate(json.loads(names.read_text()), 1)
    }
