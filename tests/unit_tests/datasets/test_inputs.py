import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from langchain_chatexports.chat_loaders.imessage import IMessageChatLoader
from langchain_chatexports.datasets.inputs import read_examples
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.samples import write_imessage
from langchain_chatexports.steps import MergeChatRuns
from tests.unit_tests.builders.sessions import ListLoader

_TEXTS = {"user": "Ready?", "assistant": "Always."}
EXAMPLE = {"messages": [{"role": r, "content": c} for r, c in _TEXTS.items()]}
DIALOGUE = [HumanMessage("Ready?"), AIMessage("Always.")]
SESSION: Any = {"messages": DIALOGUE}


FORMS: dict[str, Any] = {
    "examples": [EXAMPLE, EXAMPLE],
    "a tuple of examples": (EXAMPLE, EXAMPLE),
    "sessions": [SESSION, SESSION],
    "sessions, of which the first is empty": [{"messages": []}, SESSION, SESSION],
    "list chunks of a stream": [[SESSION], [SESSION]],
    "lists of messages": [DIALOGUE, DIALOGUE],
    "lists of role dicts": [EXAMPLE["messages"], EXAMPLE["messages"]],
    "a loader": ListLoader([SESSION, SESSION]),
    "a loader with steps": ListLoader([SESSION, SESSION]) | MergeChatRuns(),
    "two loaders' sessions": [ListLoader([SESSION, SESSION])],
    "an iterator": iter([EXAMPLE, EXAMPLE]),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_all_inputs_give_the_same_examples(form: Any) -> None:
    assert list(read_examples(form)) == [EXAMPLE, EXAMPLE]


def test_a_path_is_read_as_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_jsonl([EXAMPLE, EXAMPLE], path)
    assert list(read_examples(path)) == [EXAMPLE, EXAMPLE]
    assert list(read_examples(str(path))) == [EXAMPLE, EXAMPLE]


def test_only_examples_keep_trailing_messages() -> None:
    more = [*EXAMPLE["messages"], {"role": "user", "content": "Go!"}]
    sessions: Any = [[*DIALOGUE, HumanMessage("Go!")]]
    assert [len(e["messages"]) for e in read_examples(sessions)] == [2]
    assert [len(e["messages"]) for e in read_examples([{"messages": more}])] == [3]


def test_sessions_without_the_ai_are_an_error() -> None:
    given: Any = [{"messages": [HumanMessage("a", additional_kwargs={"sender": "A"})]}]
    with pytest.raises(SenderNotFoundError, match="'A'"):
        list(read_examples(given))


@pytest.mark.parametrize(
    "given",
    [3, None, b"abc", DIALOGUE, EXAMPLE["messages"], DIALOGUE[0], [3], [b"x"]],
    ids=repr,
)
def test_other_inputs_are_a_type_error(given: Any) -> None:
    with pytest.raises(TypeError, match="Expected training examples") as caught:
        list(read_examples(given))
    assert "Ready" not in str(caught.value)


def exports_sessions(path: Path) -> Iterator[Any]:
    for number, _ in enumerate(IMessageChatLoader(path)):
        if number == 2:
            msg = "broken on the way"
            raise RuntimeError(msg)
        yield SESSION


def bad_items(path: Path) -> Iterator[Any]:
    for number, _ in enumerate(IMessageChatLoader(path)):
        yield SESSION if number < 2 else 3


@pytest.mark.skipif(
    not os.path.isdir("/dev/fd"),  # noqa: PTH112 (no pathlib at import)
    reason="POSIX lists its open files",
)
@pytest.mark.parametrize("broken", [exports_sessions, bad_items])
def test_failed_reading_closes_all_files(tmp_path: Path, broken: Any) -> None:
    path = write_imessage(tmp_path / "chat.db")
    given = broken(path)
    gc.collect()  # Files that earlier tests have left.
    before = open_files()
    with pytest.raises((RuntimeError, TypeError)):
        list(read_examples(given))
    gc.collect()
    assert open_files() == before


def open_files() -> list[str]:
    return sorted(os.listdir("/dev/fd"))  # noqa: PTH208 (names are enough)
