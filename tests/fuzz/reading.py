"""What people do with an export, for the targets: each way of reading it to its end."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from langchain_chatexports.datasets import (
    edit_preferences,
    reaction_labels,
    trace_examples,
    validate_examples,
)
from langchain_chatexports.report import build_report
from langchain_chatexports.steps import (
    ChunkSessions,
    LabelSpeakers,
    MapAIMessages,
    MergeChatRuns,
    Redact,
    SplitSessions,
)
from tests.fuzz.case import FindError, check_text

if TYPE_CHECKING:
    from random import Random

    from langchain_core.chat_loaders import BaseChatLoader

    from langchain_chatexports.chat_loaders.base import ChatExportLoader
    from langchain_chatexports.steps.base import SessionTransform

__all__ = ["loader_options", "read_somehow"]

_INCLUDES = ("reactions", "system", "unsent", "media")


def loader_options(random: Random, includes: tuple[str, ...] = _INCLUDES) -> Any:
    """Return some of the options that switch on what is left out by default."""
    return {f"include_{name}": True for name in includes if random.random() < 0.5}


def read_somehow(random: Random, loader: ChatExportLoader) -> None:
    """Read an export in one of the ways that people do.

    Raises:
        FindError: If what comes out breaks the contract of loaders.
    """
    check_text(repr(loader))
    match random.randrange(6):
        case 0:
            _look(loader)
        case 1:
            _prepare(random, loader)
        case 2:
            step = Redact.for_export(loader, key="for-fuzzing")
            _look(loader | step)
            step.undo_map(loader)
        case 3:
            mapped = loader | MergeChatRuns() | MapAIMessages()
            list(edit_preferences(mapped))
            list(reaction_labels(mapped))
        case 4:
            zone = random.choice(("UTC", "Pacific/Kiritimati", "America/Adak"))
            build_report(loader, time_zone=zone).model_dump_json()
        case _:
            for session in loader.lazy_load():
                json.dumps([m.additional_kwargs for m in session["messages"]])


def _look(loader: Any) -> None:
    summary = loader.inspect()
    if summary.found != summary.kept + sum(summary.skipped.values()):
        msg = "found is not kept and skipped"
        raise FindError(msg)
    json.dumps(summary.to_dict())
    str(summary)


def _prepare(random: Random, loader: BaseChatLoader) -> None:
    steps: list[SessionTransform] = [
        MergeChatRuns(max_gap=random.choice((None, timedelta(hours=1)))),
        SplitSessions(gap=random.choice(("auto", timedelta(days=1)))),
        MapAIMessages(),
        LabelSpeakers(),
        ChunkSessions(keep_tail=random.random() < 0.5),
    ]
    piped: Any = loader
    for step in steps:
        piped |= step
    traced = list(trace_examples(piped))
    problems = validate_examples((item.example for item in traced), minimum=0)
    for problem in problems:
        check_text(problem)
