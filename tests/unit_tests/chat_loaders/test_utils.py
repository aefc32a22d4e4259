"""`merge_chat_runs` and `map_ai_messages`; see also the integration test."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.utils import map_ai_messages, merge_chat_runs
from langchain_chatexports.steps import MapAIMessages, MergeChatRuns
from tests.unit_tests.builders.sessions import ListLoader, closable, talk

RACES = [
    talk("Hare: Speed", "Hare: is key!", "Tortoise: No.", id=f"race-{n}")
    for n in range(3)
]


def test_merge_chat_runs_equals_step() -> None:
    assert list(merge_chat_runs(RACES)) == MergeChatRuns().invoke(RACES)


def test_functions_can_be_nested() -> None:
    merged = merge_chat_runs(ListLoader(RACES).lazy_load())
    output = list(map_ai_messages(chat_sessions=merged, sender="Hare"))
    assert output == (MergeChatRuns() | MapAIMessages(sender="Hare")).invoke(RACES)


def test_closing_the_iterator_closes_the_loader() -> None:
    loader = ListLoader(RACES)
    output = map_ai_messages(merge_chat_runs(loader), sender="Hare")
    next(output)
    closable(output).close()
    assert loader.closed == 1


@pytest.mark.parametrize("function", [merge_chat_runs, map_ai_messages])
def test_functions_are_not_generator_functions(function: Callable[..., Any]) -> None:
    """LCEL would call generator functions with lists of sessions."""
    assert not inspect.isgeneratorfunction(function)
    params = {"sender": "Hare"} if function is map_ai_messages else {}
    assert isinstance(function(RACES, **params), Iterator)
