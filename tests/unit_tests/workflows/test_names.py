"""Every option that takes a name looks it up in the same order.

To delete, a name must be complete. A loader reads an export once, so it also cannot
ignore accents.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from langchain_chatexports.chat_loaders.names import NameIndex
from langchain_chatexports.chat_loaders.table import TableChatLoader
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.datasets.removal import forget
from langchain_chatexports.datasets.trace import trace_examples
from langchain_chatexports.datasets.trace_file import read_trace
from langchain_chatexports.datasets.write import write_dataset
from langchain_chatexports.exceptions import ChatExportError, SenderNotFoundError
from langchain_chatexports.retrieval import ChatIndex, chat_mcp_server
from langchain_chatexports.steps import MapAIMessages
from langchain_chatexports.workflows.chat_filter import ChatFilter
from langchain_chatexports.workflows.preparation import PrepareOptions
from langchain_chatexports.workflows.prepare import prepare
from langchain_chatexports.workflows.redaction import Redaction
from langchain_chatexports.workflows.training_data import TrainingData
from tests.unit_tests.builders.names import LOOKUPS, Lookup

PARTNER = "Quokka"
NAMED = [lookup for lookup in LOOKUPS if lookup.query.strip()]
Find: TypeAlias = Callable[[Path, Lookup], Collection[str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chats.jsonl"


def load_chats(path: Path, lookup: Lookup, **options: Any) -> TableChatLoader:
    """Write a chat of each person with a partner, who is not asked for."""
    rows = [
        {"conversation_id": f"#{number}", "sender": who, "text": f"Hi {name}"}
        for number, name in enumerate(lookup.known)
        for who in (PARTNER, name)
    ]
    write_jsonl(rows, path)
    return TableChatLoader(path, **options)


def index_chats(path: Path, lookup: Lookup) -> ChatIndex:
    index = ChatIndex()
    index.rebuild(load_chats(path, lookup))
    return index


def find_sender(path: Path, lookup: Lookup) -> set[str]:
    hits = index_chats(path, lookup).search("hi", k=100, person=lookup.query)
    return {line.sender for hit in hits for line in hit.matches}


def find_chat(path: Path, lookup: Lookup) -> set[str]:
    hits = index_chats(path, lookup).search("hi", k=100, chat=lookup.query)
    return {line.text for hit in hits for line in hit.matches}


async def call_mcp(path: Path, lookup: Lookup, tool: str, **arguments: str) -> str:
    mcp = pytest.importorskip("mcp")
    if not hasattr(mcp, "Client"):
        pytest.skip("the client is version 2's")
    async with mcp.Client(chat_mcp_server(index_chats(path, lookup))) as client:
        result = await client.call_tool(tool, arguments)
    text = str(result.content[0].text)
    if result.is_error:
        raise ChatExportError(text)
    return text


def prepare_chats(path: Path, lookup: Lookup, **options: Any) -> TrainingData:
    load_chats(path, lookup)
    choices: dict[str, Any] = {"gap": None, "size": 2, "overlap": 0, "system": None}
    return prepare(path, PrepareOptions(**choices, **options), validation=None)


def chats_of(data: TrainingData) -> set[str]:
    texts = [example["messages"][0]["content"] for example in data.examples]
    return {str(text).removeprefix("Hi ") for text in texts}


def check(lookup: Lookup, find: Callable[[], Collection[str]]) -> None:
    """Check that one name is found, or that the error lists all that fit."""
    if len(lookup.found) == 1:
        assert set(find()) == {*lookup.found}
        return
    with pytest.raises(ChatExportError) as raised:
        find()
    assert all(repr(name) in str(raised.value) for name in lookup.found)


@pytest.mark.parametrize("lookup", NAMED, ids=repr)
class TestNames:
    """One class per look-up, one test per option."""

    def test_search_from_a_person(self, path: Path, lookup: Lookup) -> None:
        check(lookup, lambda: find_sender(path, lookup))

    def test_search_in_a_chat(self, path: Path, lookup: Lookup) -> None:
        def find() -> set[str]:
            return {text.removeprefix("Hi ") for text in find_chat(path, lookup)}

        check(lookup, find)

    async def test_mcp(self, path: Path, lookup: Lookup) -> None:
        try:
            chats = await call_mcp(path, lookup, "list_chats", person=lookup.query)
            hits = await call_mcp(
                path, lookup, "search_messages", query="hi", person=lookup.query
            )
        except ChatExportError as error:
            message = str(error)
            assert len(lookup.found) != 1
            assert all(repr(name) in message for name in lookup.found)
        else:
            (name,) = lookup.found
            assert chats.startswith("1 chat\n")
            assert f"{PARTNER}, {name}: 2 messages" in chats
            assert [line for line in hits.splitlines() if line.endswith(f"Hi {name}")]

    def test_person_to_imitate(self, path: Path, lookup: Lookup) -> None:
        def find() -> set[str]:
            return {str(prepare_chats(path, lookup, ai=(lookup.query,)).person)}

        check(lookup, find)

    def test_redacted_person_to_imitate(self, path: Path, lookup: Lookup) -> None:
        redaction = Redaction(path.with_suffix(".key"))

        def find() -> set[str]:
            data = prepare_chats(path, lookup, ai=(lookup.query,), redaction=redaction)
            # `Zoe` and `Zoë` have one stand-in, since they may be one person.
            names = [
                n for n in lookup.known if redaction.redact_sender(n) == data.person
            ]
            assert set(names) >= {*lookup.found}
            return {*lookup.found}

        check(lookup, find)

    def test_chats_with_a_person(self, path: Path, lookup: Lookup) -> None:
        def find() -> set[str]:
            chats = ChatFilter(include=(lookup.query,))
            return chats_of(
                prepare_chats(path, lookup, ai=(lookup.query,), chats=chats)
            )

        check(lookup, find)

    def test_chats_without_a_person(self, path: Path, lookup: Lookup) -> None:
        def find() -> set[str]:
            chats = ChatFilter(exclude=(lookup.query,))
            names = tuple(lookup.known)
            left = chats_of(prepare_chats(path, lookup, ai=names, chats=chats))
            return {*names} - left

        if len(lookup.known) > 1:
            check(lookup, find)

    def test_owner_is_a_full_name(self, path: Path, lookup: Lookup) -> None:
        loader = load_chats(path, lookup, owner=lookup.query)
        try:
            owner = loader.inspect().owner
        except SenderNotFoundError:
            assert len(NameIndex.of(lookup.known).find_same(lookup.query)) > 1
        else:
            found = NameIndex.of(lookup.known).find_same(lookup.query)
            assert {owner} & {*lookup.known} == set().union(*found)

    def test_forget_takes_full_names(self, path: Path, lookup: Lookup) -> None:
        sessions = load_chats(path, lookup) | MapAIMessages(sender=PARTNER)
        target = path.with_name("set.jsonl")
        write_dataset(trace_examples(sessions, keep_trailing=True), target)
        with suppress(SenderNotFoundError):
            forget(target, people=[lookup.query])
        left = {name for row in read_trace(target) for name in row.origin.senders}
        found = NameIndex.of(lookup.known).find_spellings(lookup.query)
        assert {*lookup.known} - left == found
