"""The functions have the same results as langchain-community's."""

from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.utils import (
    map_ai_messages,
    map_ai_messages_in_session,
    merge_chat_runs,
    merge_chat_runs_in_session,
)
from tests.integration_tests.community import utils as community
from tests.unit_tests.builders.sessions import said

TEXTS = st.text(min_size=1, max_size=6).filter(str.strip)
LINES = st.lists(st.tuples(st.sampled_from(["H", "T", None]), TEXTS), max_size=12)
DELIMITERS = st.sampled_from(["\n\n", " ", ""])


def build_session(lines: Any) -> Any:
    messages = [said(*line, at=30 * index) for index, line in enumerate(lines)]
    return {"messages": messages}


def plain(messages: Any) -> Any:
    return [(m.type, m.content, m.additional_kwargs) for m in messages]


@given(LINES, DELIMITERS)
def test_merged_runs_match_community(lines: Any, delimiter: Any) -> None:
    expected = community.merge_chat_runs_in_session(build_session(lines), delimiter)
    actual = merge_chat_runs_in_session(build_session(lines), delimiter)
    assert actual["messages"] == expected["messages"]


@given(LINES)
def test_mapped_messages_match_community(lines: Any) -> None:
    expected = community.map_ai_messages_in_session(build_session(lines), "H")
    actual = map_ai_messages_in_session(build_session(lines), "H")
    assert plain(actual["messages"]) == plain(expected["messages"])


@given(st.lists(LINES, max_size=3))
def test_functions_on_exports_match_community(exports: Any) -> None:
    sessions = [build_session(lines) for lines in exports]
    merged = community.merge_chat_runs(deepcopy(sessions))
    expected = community.map_ai_messages(merged, sender="H")
    actual = map_ai_messages(merge_chat_runs(sessions), sender="H")
    for session, expected_session in zip(actual, expected, strict=True):
        assert plain(session["messages"]) == plain(expected_session["messages"])
