import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_tests.unit_tests import ToolsUnitTests
from langgraph.checkpoint.memory import InMemorySaver

from langchain_chatexports import ChatExportRetriever, IMessageChatLoader
from langchain_chatexports.retrieval import chat_search_tool
from langchain_chatexports.samples import write_imessage
from tests.unit_tests.builders.agents import ScriptedModel, calls
from tests.unit_tests.builders.sessions import said

RACE = {
    "messages": [
        said("Hare", "Speed is key!", at=0),
        said("Tortoise", "When do we race?", at=60),
        said("Hare", "On Sunday at noon.", at=86_400),
    ],
    "metadata": {"id": "t1", "platform": "races", "title": "The race"},
}


def make_tool(*sessions: Any, **settings: Any) -> BaseTool:
    return chat_search_tool(ChatExportRetriever.from_sessions(sessions, **settings))


def call(tool: BaseTool, **arguments: Any) -> ToolMessage:
    request = {"name": tool.name, "args": arguments, "id": "1", "type": "tool_call"}
    message = tool.invoke(request)
    assert isinstance(message, ToolMessage)
    return message


class TestChatSearchTool(ToolsUnitTests):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_tool(RACE)

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"query": "race", "person": "Hare", "start": "2023-08-28"}


def test_content_has_id_time_and_sender() -> None:
    message = call(make_tool(RACE), query="Sunday")
    (document,) = message.artifact
    assert message.status == "success"
    assert message.content == (
        "1 passage, best first:\n\n"
        f"[{document.metadata['match']}] 2023-08-29T00:32:03+00:00, Hare\n"
        "Chat: The race (Hare, Tortoise)\n"
        "2023-08-29 (UTC)\n"
        "00:32 Hare: On Sunday at noon."
    )


def test_model_can_filter() -> None:
    tool = make_tool(RACE)
    parameters = convert_to_openai_tool(tool)["function"]["parameters"]
    fields = ["chat", "end", "person", "query", "start"]
    assert sorted(parameters["properties"]) == fields
    assert call(tool, query="race key Sunday", person="Tortoise").artifact
    late = call(tool, query="speed Sunday race", start="2023-08-29").artifact
    assert [document.metadata["first"][:10] for document in late] == ["2023-08-29"]
    early = call(tool, query="speed Sunday race", end="2023-08-28").artifact
    assert [document.metadata["first"][:10] for document in early] == ["2023-08-28"]
    assert not call(tool, query="race", start="2024-01-01").artifact


def test_filters_of_the_retriever_are_fixed() -> None:
    tool = make_tool(RACE, person="Tortoise", end=date(2023, 8, 28))
    assert sorted(tool.args) == ["chat", "query", "start"]
    (document,) = call(tool, query="speed race").artifact
    by = {m["id"]: m["sender"] for m in document.metadata["messages"]}
    assert by[document.metadata["match"]] == "Tortoise"
    refused = call(tool, query="speed", person="Hare")
    assert refused.status == "error"


def test_unknown_name_suggests_the_nearest() -> None:
    message = call(make_tool(RACE), query="race", person="Hara")
    assert message.status == "error"
    assert "Hare" in message.text


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"query": "race", "start": "last week"}, "start"),
        ({"query": ""}, "query"),
        ({"query": "x" * 1_001}, "query"),
        ({}, "query"),
        ({"query": "race", "folder": "/"}, "folder"),
    ],
)
def test_bad_arguments_are_reported(arguments: dict[str, Any], named: str) -> None:
    message = call(make_tool(RACE), **arguments)
    assert message.status == "error"
    assert message.text.startswith(f"Invalid arguments. {named}: ")
    assert "pydantic" not in message.text


async def test_tool_is_async() -> None:
    tool = make_tool(RACE)
    request = {"name": tool.name, "args": {"query": "key"}, "id": "1"}
    found = await tool.ainvoke({**request, "type": "tool_call"})
    assert "Speed is key!" in found.text
    request["args"] = {"query": "key", "person": "Fox"}
    refused = await tool.ainvoke({**request, "type": "tool_call"})
    assert refused.status == "error"


def test_long_texts_are_truncated() -> None:
    messages = [said("Hare", "so\n" * 20_000, at=0), said("Tortoise", "fast", at=1)]
    message = call(make_tool({"messages": messages}), query="fast")
    assert "Tortoise: fast" in message.text
    assert len(message.text) < 3_000
    assert len(message.artifact[0].page_content) > 60_000


@pytest.fixture
def loader(tmp_path: Path) -> IMessageChatLoader:
    return IMessageChatLoader(write_imessage(tmp_path / "chat.db"), owner="Tortoise")


def quote(messages: list[BaseMessage]) -> AIMessage:
    """Answer with the id and sender of the tool's first passage."""
    found = re.search(r"^\[(.+?)\] (\S+), (.+)$", messages[-1].text, re.MULTILINE)
    assert found
    return AIMessage(f"{found[3]} said so ({found[1]}).")


def test_agent_cites_messages_of_the_export(loader: IMessageChatLoader) -> None:
    tool = chat_search_tool(ChatExportRetriever.from_sessions(loader))
    model = ScriptedModel(script=[calls(tool.name, query="motto"), quote])
    agent: Any = create_agent(model, [tool], checkpointer=InMemorySaver())
    state = agent.invoke(
        {"messages": [("user", "What is Tortoise's motto?")]},
        {"configurable": {"thread_id": "1"}},
    )
    assert [tool.name for tool in model.tools] == ["search_chats"]
    (cited,) = re.findall(r"\((.+)\)", state["messages"][-1].text)
    said_so = {m.id: m for session in loader for m in session["messages"]}[cited]
    assert said_so.content == "Slow and steady, that's my motto."
    assert state["messages"][-1].text.startswith("Tortoise")
