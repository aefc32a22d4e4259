"""The functions give what langchain-community's give, where those are right."""

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


def session_of(lines: Any) -> Any:
    return {
        "messages": [said(*line, at=30 * index) for index, line in enumerate(lines)]
    }


def plain(messages: Any) -> Any:
    return [(m.type, m.content, m.additional_kwargs) for m in messages]


@given(LINES, DELIMITERS)
def test_runs_are_merged_alike(lines: Any, delimiter: Any) -> None:
    theirs = community.merge_chat_runs_in_session(session_of(lines), delimiter)
    ours = merge_chat_runs_in_session(session_of(lines), delimiter)
    assert ours["messages"] == theirs["messages"]


@given(LINES)
def test_messages_are_mapped_alike(lines: Any) -> None:
    theirs = community.map_ai_messages_in_session(session_of(lines), "H")
    ours = map_ai_messages_in_session(session_of(lines), "H")
    assert plain(ours["messages"]) == plain(theirs["messages"])


@given(st.lists(LINES, max_size=3))
def test_whole_exports_are_prepared_alike(exports: Any) -> None:
    sessions = [session_of(lines) for lines in exports]
    theirs = list(
        community.map_ai_messages(
            community.merge_chat_runs(deepcopy(sessions)), sender="H"
        )
    )
    ours = list(map_ai_messages(merge_chat_runs(sessions), sender="H"))
    assert [plain(s["messages"]) for s in ours] == [
        plain(s["messages"]) for s in theirs
    ]
