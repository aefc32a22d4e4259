"""The functions give what langchain-community's give, where those are right."""

from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage

from langchain_chatexports.chat_loaders.utils import (
    map_ai_messages,
    map_ai_messages_in_session,
    merge_chat_runs,
    merge_chat_runs_in_session,
)
from tests.integration_tests.community import utils as community
from tests.unit_tests.builders.sessions import said, talk, texts

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


# Where they are not right.


def test_community_joins_blank_texts_and_we_do_not() -> None:
    session: ChatSession = {
        "messages": [said("H", "a"), said("H", " "), said("H", "b")]
    }
    assert texts(community.merge_chat_runs_in_session(session, "/")) == ["a//b"]
    assert texts(merge_chat_runs_in_session(session, "/")) == ["a/b"]


def test_community_changes_its_input_and_we_do_not() -> None:
    parts = ["a", {"type": "text", "text": "b"}]
    theirs: ChatSession = {"messages": [said("H", deepcopy(parts))]}
    community.merge_chat_runs_in_session(theirs)
    ours: ChatSession = {"messages": [said("H", deepcopy(parts))]}
    merge_chat_runs_in_session(ours)
    assert theirs["messages"][0].content == "ab"
    assert ours["messages"][0].content == parts


def test_community_drops_keys_of_a_session_and_we_do_not() -> None:
    session = talk("H: a", functions=[])
    assert "functions" not in community.merge_chat_runs_in_session(session)
    assert "functions" in merge_chat_runs_in_session(session)


def test_community_drops_ids_and_names_of_mapped_messages_and_we_do_not() -> None:
    session: ChatSession = {"messages": [said("H", "a", message_id="m1")]}
    (theirs,) = community.map_ai_messages_in_session(session, "H")["messages"]
    (ours,) = map_ai_messages_in_session(session, "H")["messages"]
    assert (theirs.id, ours.id) == (None, "m1")
    assert isinstance(ours, AIMessage)


def test_community_loses_events_that_a_runs_first_message_lacks() -> None:
    session: ChatSession = {"messages": [said("H", "a"), said("H", "b", at=0)]}
    (theirs,) = community.merge_chat_runs_in_session(session)["messages"]
    (ours,) = merge_chat_runs_in_session(session)["messages"]
    assert "events" not in theirs.additional_kwargs
    assert len(ours.additional_kwargs["events"]) == 1
