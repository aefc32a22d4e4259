"""The tutorials' code on langchain-community's loaders: their functions, our steps."""

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.utils import map_ai_messages, merge_chat_runs
from langchain_chatexports.samples import write_imessage, write_messenger
from langchain_chatexports.steps import ChunkSessions, MapAIMessages, MergeChatRuns
from tests.integration_tests import community
from tests.unit_tests.builders.sessions import said, talk


def plain(messages: Any) -> Any:
    return [(m.type, m.content, m.additional_kwargs) for m in messages]


def test_messenger_windows_are_those_of_the_tutorial(tmp_path: Path) -> None:
    loader = community.FolderFacebookMessengerChatLoader(
        path=write_messenger(tmp_path / "hogwarts")
    )
    merged = community.utils.merge_chat_runs(loader.load())
    sessions = list(community.utils.map_ai_messages(merged, sender="Harry Potter"))
    dialogues = [session["messages"] for session in sessions]
    expected = [
        messages[i : i + 8]
        for messages in dialogues
        for i in range(0, len(messages) - 8 + 1, 8 - 2)
    ]
    prepared = (
        loader
        | MergeChatRuns()
        | MapAIMessages(sender="Harry Potter")
        | ChunkSessions(size=8, overlap=2)
    )
    windows = [session["messages"] for session in prepared.load()]
    assert len(windows) == 100
    assert [plain(w) for w in windows] == [plain(w) for w in expected]


def test_imessage_dialogues_are_those_of_the_tutorial(tmp_path: Path) -> None:
    loader = community.IMessageChatLoader(path=write_imessage(tmp_path / "chat.db"))
    raw = loader.load()
    theirs = community.utils.map_ai_messages(
        community.utils.merge_chat_runs(raw), sender="Tortoise"
    )
    ours = map_ai_messages(merge_chat_runs(loader.lazy_load()), sender="Tortoise")
    expected = [plain(session["messages"]) for session in theirs]
    assert [plain(session["messages"]) for session in ours] == expected
    assert len(expected) == 10


@pytest.mark.benchmark
def test_time_grows_with_the_length_of_a_run_not_with_its_square() -> None:
    """A run of 40,000: 0.1 s; growing one text message by message takes 5 s."""
    messages = [said("H", "some words of a long run " * 4) for _ in range(40_000)]
    start = time.process_time()
    (session,) = MergeChatRuns().invoke({"messages": messages})
    assert time.process_time() - start < 1.5
    assert len(session["messages"]) == 1


def test_steps_work_in_other_processes() -> None:
    step = MergeChatRuns() | MapAIMessages(sender="Hare")
    races = [talk("Hare: Speed", "Hare: is key!", "Tortoise: No.") for _ in range(3)]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        outputs = list(pool.map(step.invoke, races))
    assert outputs == [step.invoke(race) for race in races]
